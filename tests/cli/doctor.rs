//! What stands ready for a rotation: each thing that is wrong is told with its remedy, all at once.

use keyroll::sandbox::service::Behaviour;

use super::{ends, stage::Stage};

fn filters(stage: &Stage) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    let folder = stage.journal().parent().unwrap().display().to_string();
    settings.add_filter(&regex::escape(&folder), "[FOLDER]");
    settings.add_filter(r"http://127\.0\.0\.1:\d+", "[VAULT]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "[INSTANCE]");
    settings.add_filter(r"key [0-9a-f-]{20,}", "key [KEY]");
    settings.add_filter(r", \d+s old", ", [AGE] old");
    settings.add_filter(r"are \d+s apart", "are [SKEW] apart");
    settings.add_filter(r"\d+ MiB free at \S+", "[ROOM] MiB free at [PLACE]");
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_well_is_one_line_each() {
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    let fresh = ends(&stage.keyroll(&["doctor", playbook.to_str().unwrap()]).await, 0);
    assert!(!stage.journal().exists(), "it changes nothing");
    filters(&stage).bind(|| insta::assert_snapshot!("doctor_fresh", fresh));
    ends(&stage.keyroll(&["run", playbook.to_str().unwrap()]).await, 0);
    let after = ends(&stage.keyroll(&["doctor", playbook.to_str().unwrap()]).await, 0);
    assert!(after.contains("rotations: 1, records: ") && after.contains("every hash is right"), "{after}");
    for secret in stage.secrets() {
        assert!(!after.contains(&secret));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_wrong_is_told_at_once() {
    let stage = Stage::new().await;
    let bad = stage.playbook().with_file_name("bad.yaml");
    std::fs::write(&bad, "keyroll: 1\nname: bad\nstoers: []\n").unwrap();
    let unset = stage.playbook().with_file_name("unset.yaml");
    let text = std::fs::read_to_string(stage.playbook()).unwrap();
    let key = stage.playbook().with_file_name("token");
    std::fs::write(&key, stage.token()).unwrap();
    let hook = format!("notify:\n  - webhook: {{ url: \"http://127.0.0.1:1/\", secret: \"file:{}\" }}\nverify:", key.display());
    let by_file = text.replace("verify:", &hook);
    std::fs::write(&unset, text.replace("env:STAGE_TOKEN", "env:NOT_SET_HERE").replace("name: stage", "name: unset")).unwrap();
    std::fs::write(stage.playbook(), by_file).unwrap();
    stage.fleet.behave(1, Behaviour::Stuck);
    stage.edit("expect: 3", "expect: 4");
    let folder = stage.playbook().parent().unwrap().to_owned();
    let told = ends(&stage.keyroll(&["doctor", folder.to_str().unwrap()]).await, 2);
    filters(&stage).bind(|| insta::assert_snapshot!("doctor_ill", told));
    assert!(told.contains("chmod 600") && told.contains("NOT_SET_HERE") && told.contains("3 of 4 expected"), "{told}");

    let json = stage.keyroll(&["doctor", folder.to_str().unwrap(), "--output", "json"]).await;
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((object["exit_code"].as_u64(), object["patients"].as_array().map(Vec::len)), (Some(2), Some(4)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_5() {
    let stage = Stage::new().await;
    let address = stage.address();
    stage.edit(&address, "http://127.0.0.1:1");
    let told = ends(&stage.keyroll(&["doctor", stage.playbook().to_str().unwrap()]).await, 5);
    assert!(told.contains("no connection"), "{told}");
}

/// A record that was changed by hand, a journal that others can read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_found() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    ends(&stage.keyroll(&["run", playbook.to_str().unwrap()]).await, 0);
    let journal = stage.journal();
    std::fs::set_permissions(&journal, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = ends(&stage.keyroll(&["doctor"]).await, 2);
    assert!(open.contains("chmod 600"), "{open}");
    std::fs::set_permissions(&journal, std::fs::Permissions::from_mode(0o600)).unwrap();
    ends(&stage.keyroll(&["doctor"]).await, 0);
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", journal.display())).await.unwrap();
    sqlx::query("UPDATE event SET body = replace(body, 'stage', 'stagf') WHERE seq = 1").execute(&pool).await.unwrap();
    pool.close().await;
    let changed = ends(&stage.keyroll(&["doctor"]).await, 2);
    assert!(changed.contains("its hash does not match"), "{changed}");
}
