//! What was left behind: reported, and deleted only where it is certainly ours and dead.

use keyroll::{journal::SqliteJournal, ports::Journal, record::Decree};
use serde_json::json;

use super::{ends, stage::Stage};

fn filters(stage: &Stage, keys: &[(&String, &str)]) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (key, name) in keys {
        settings.add_filter(&regex::escape(key), format!("[{name}]"));
    }
    let folder = stage.journal().parent().unwrap().display().to_string();
    settings.add_filter(&regex::escape(&folder), "[FOLDER]");
    settings.add_filter(r"http://127\.0\.0\.1:\d+", "[VAULT]");
    settings.add_filter(r"\b01[0-9a-z]{24}\b", "[ROTATION]");
    settings.add_filter(r"\b\d{4}-\d\d(-\d\d)?\b", "[DAY]");
    settings.add_filter(r"\b[0-9a-f]{16}\b", "[JOURNAL]");
    settings
}

/// The exact name that the last rotation asked for.
async fn intended(stage: &Stage) -> String {
    let journal = SqliteJournal::open(&stage.journal()).await.unwrap();
    let entry = journal.entries().await.unwrap().remove(0);
    let records = journal.records(&entry.rotation).await.unwrap();
    keyroll::rotation::Rotation::fold(&records).unwrap().names.pop().unwrap()
}

async fn provider(stage: &Stage) -> String {
    let journal = SqliteJournal::open(&stage.journal()).await.unwrap();
    let entry = journal.entries().await.unwrap().remove(0);
    let records = journal.records(&entry.rotation).await.unwrap();
    keyroll::rotation::Rotation::fold(&records).unwrap().plan.provider
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_certainly_ours_and_dead_is_deleted() {
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    let playbook = playbook.to_str().unwrap();
    ends(&stage.keyroll(&["run", playbook]).await, 0);
    let used = stage.accessors().await.pop().unwrap();
    ends(&stage.keyroll(&["reconcile", playbook]).await, 0);

    let name = intended(&stage).await;
    // A create of ours that came late; a key of somebody else; one with a name that only looks like ours; one declared dead.
    let late = stage.make_key("late-value-nobody-has", Some(&name)).await;
    let foreign = stage.make_key("somebody-elses-value", None).await;
    let alike = stage.make_key("looks-like-ours", Some(&format!("{name}0"))).await;
    let dead = stage.make_key("declared-dead", None).await;
    let other = stage.make_key("declared-dead-at-another-provider", None).await;
    let journal = SqliteJournal::open(&stage.journal()).await.unwrap();
    for (key, at) in [(&dead, provider(&stage).await), (&other, "openai project x".to_owned())] {
        let decree = Decree::Tombstone {
            playbook: "stage".into(),
            provider: at,
            key: keyroll::ids::KeyId::new(key.clone()),
            because: "a test".into(),
        };
        journal.decree(chrono::Utc::now(), "test", decree).await.unwrap();
    }
    let names = [(&used, "IN-USE"), (&late, "LATE"), (&foreign, "FOREIGN"), (&alike, "ALIKE"), (&dead, "DEAD"), (&other, "OTHER")];
    let before = stage.accessors().await;
    let told = ends(&stage.keyroll(&["reconcile", playbook]).await, 3);
    filters(&stage, &names).bind(|| insta::assert_snapshot!("reconcile", told));
    assert_eq!(stage.accessors().await, before, "without --fix nothing is changed");

    let fixed = ends(&stage.keyroll(&["reconcile", playbook, "--fix"]).await, 3);
    filters(&stage, &names).bind(|| insta::assert_snapshot!("reconcile_fix", fixed));
    let mut left = stage.accessors().await;
    left.sort();
    let mut kept = vec![used, foreign, alike, other];
    kept.sort();
    assert_eq!(left, kept);
    let tombstones = journal.decrees().await.unwrap();
    let of = |key: &str| {
        tombstones.iter().filter(|one| matches!(&one.decree, Decree::Tombstone { key: dead, .. } if dead.as_str() == key)).count()
    };
    assert_eq!(of(&late), 1, "the tombstone is in the journal");

    let json = stage.keyroll(&["reconcile", playbook, "--output", "json"]).await;
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(object["playbooks"][0]["keys"].as_array().map(Vec::len), Some(4));
    // The value in the store still works: the next rotation begins as ever.
    ends(&stage.keyroll(&["run", playbook]).await, 0);
}

/// The late create's value in an old version of the store: somebody may have read it there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_any_version_of_a_store_holds_is_left_alone() {
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    let playbook = playbook.to_str().unwrap();
    ends(&stage.keyroll(&["run", playbook]).await, 0);
    let (accessor, value) = (stage.accessors().await.pop().unwrap(), stage.secrets()[1].clone());
    let late = stage.make_key("late-value-in-a-store", Some(&intended(&stage).await)).await;
    stage.put(&json!({ "secret_id": "late-value-in-a-store", "accessor": "x" }));
    stage.put(&json!({ "secret_id": value, "accessor": accessor }));
    let told = ends(&stage.keyroll(&["reconcile", playbook, "--fix"]).await, 3);
    assert!(told.contains("somebody has its value"), "{told}");
    assert!(stage.accessors().await.contains(&late));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_value_back_in_a_store_is_an_alarm() {
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    let playbook = playbook.to_str().unwrap();
    let old = stage.secrets()[1].clone();
    ends(&stage.keyroll(&["run", playbook]).await, 0);
    stage.put(&json!({ "secret_id": old, "accessor": "gone" }));
    let told = ends(&stage.keyroll(&["reconcile", playbook, "--fix"]).await, 3);
    assert!(told.contains("knows to be revoked") && told.contains("--replace"), "{told}");
    assert!(!told.contains(&old));
    assert_eq!(stage.accessors().await.len(), 1, "the live key is not touched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_rotation_is_left_alone() {
    let stage = Stage::new().await;
    stage.edit("grace: 0s", "grace: 2h");
    let playbook = stage.playbook();
    let playbook = playbook.to_str().unwrap();
    ends(&stage.keyroll(&["run", playbook]).await, 6);
    let late = stage.make_key("late-value-nobody-has", Some(&intended(&stage).await)).await;
    let told = ends(&stage.keyroll(&["reconcile", playbook, "--fix"]).await, 6);
    assert!(told.contains("left alone: rotation"), "{told}");
    assert!(stage.accessors().await.contains(&late));
}

/// The open rotation is another playbook's, at the same provider: its create may be under way this very moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_another_playbooks_open_rotation_are_left_alone() {
    let stage = Stage::new().await;
    let value = stage.make_key("value-of-the-other-service", None).await;
    stage.put_at("stage/other", json!({ "secret_id": "value-of-the-other-service", "accessor": value })).await;
    let other = stage.playbook().with_file_name("other.yaml");
    let text = std::fs::read_to_string(stage.playbook()).unwrap().replace("name: stage", "name: other").replace("stage/app", "stage/other");
    let (before, rest) = text.split_once("consumers:").unwrap();
    let (_, after) = rest.split_once("verify:").unwrap();
    let job = "consumers: [{ name: nightly, job: { runs_every: 2h, max_run: 1h } }]";
    std::fs::write(&other, format!("{before}{job}\nverify:{after}")).unwrap();
    ends(&stage.keyroll(&["run", other.to_str().unwrap()]).await, 6);
    let late = stage.make_key("late-value-nobody-has", Some(&intended(&stage).await)).await;
    let told = ends(&stage.keyroll(&["reconcile", stage.playbook().to_str().unwrap(), "--fix"]).await, 0);
    assert!(told.contains("3 of open rotations"), "{told}");
    assert!(stage.accessors().await.contains(&late));
    ends(&stage.keyroll(&["rollback", "other", "--reason", "enough"]).await, 6);
}

/// A machine is gone with its journal: its mark is refused until a person says so, and says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_journal_is_adopted_by_name() {
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    let playbook = playbook.to_str().unwrap();
    ends(&stage.keyroll(&["run", playbook]).await, 0);
    let lost = SqliteJournal::open(&stage.journal()).await.unwrap().id().to_owned();
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(stage.journal().with_file_name(file));
    }
    let refused = ends(&stage.keyroll(&["run", playbook]).await, 2);
    assert!(refused.contains("--adopt"), "{refused}");
    let told = ends(&stage.keyroll(&["reconcile", playbook]).await, 3);
    assert!(told.contains(&format!("--adopt {lost}")), "{told}");
    ends(&stage.keyroll(&["reconcile", playbook, "--adopt", &lost]).await, 2);
    let slip = ends(&stage.keyroll(&["reconcile", playbook, "--adopt", "0123456789abcdef", "--reason", "gone"]).await, 2);
    assert!(slip.contains("nothing was recorded"), "{slip}");
    let adopted = ends(&stage.keyroll(&["reconcile", playbook, "--adopt", &lost, "--reason", "the disk is gone"]).await, 0);
    filters(&stage, &[]).bind(|| insta::assert_snapshot!("reconcile_adopt", adopted));
    ends(&stage.keyroll(&["run", playbook]).await, 0);
    stage.assert_clean("adopted").await;
}
