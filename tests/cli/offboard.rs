//! Somebody leaves: every key they could read is replaced, and nobody else's.

use keyroll::sandbox::service::Behaviour;
use serde_json::Value;

use super::{ends, office::Office};

const LABELS: [&str; 3] = ["contractor-acme", "contractor-b", "team-c"];

fn objects(output: &std::process::Output) -> Vec<Value> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The row of each playbook in the closing table.
fn row<'a>(table: &'a Value, name: &str) -> &'a Value {
    table["keys"].as_array().unwrap().iter().find(|row| row["playbook"] == name).unwrap_or_else(|| panic!("no {name} in {table:#}"))
}

/// The names of all keys, and those that fit the first label.
fn names(count: usize) -> (Vec<String>, Vec<String>) {
    let all: Vec<String> = (0..count).map(|n| format!("key-{n:02}")).collect();
    let fitting = all.iter().step_by(LABELS.len()).cloned().collect();
    (all, fitting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_matching_keys_are_replaced_and_one_that_is_held_stops_no_other() {
    let office = Office::new(30, &LABELS).await;
    let (all, fitting) = names(30);
    let before: Vec<String> = all.iter().map(|name| office.key(name)).collect();
    office.edit("key-03", "within: 10s", "on_timeout: hold, within: 1s");
    office.edit("key-06", "grace: 0s", "grace: 2h");
    let page = office.folder().with_file_name("offboarding.html");
    let chosen = ["--label", "access=contractor-acme", "--label", "access=staff", "--revoke-by", "30s"];

    // The rehearsal touches nothing: not even a journal is made.
    let plan = office.keyroll(&[&["plan", "--output", "json"], &chosen[..]].concat()).await;
    assert_eq!(plan.status.code(), Some(0));
    let table = objects(&plan).pop().unwrap();
    let planned: Vec<&str> = table["keys"].as_array().unwrap().iter().map(|row| row["playbook"].as_str().unwrap()).collect();
    assert_eq!(planned, fitting);
    assert!(row(&table, "key-06")["notes"][0].as_str().unwrap().contains("instead of 2h"), "{table:#}");
    let dry = ends(&office.keyroll(&[&["run", "--dry-run"], &chosen[..]].concat()).await, 0);
    assert!(dry.contains("10 keys"), "{dry}");
    assert_eq!(all.iter().map(|name| office.key(name)).collect::<Vec<_>>(), before);
    assert!(!office.journal().exists());

    office.fleets["key-03"].behave(0, Behaviour::Stuck);
    let html = ["--html", page.to_str().unwrap()];
    let run = office.keyroll(&[&["run", "--output", "json"], &chosen[..], &html[..]].concat()).await;
    assert_eq!(run.status.code(), Some(3), "the worst of all: {}", super::said(&run));
    let table = objects(&run).into_iter().rev().find(|line| line.get("all_dead").is_some()).unwrap();
    assert_eq!(table["keys"].as_array().unwrap().len(), fitting.len());
    for (name, old) in all.iter().zip(&before) {
        let alive = office.alive(name).await;
        if !fitting.contains(name) {
            assert_eq!((alive, office.key(name)), (vec![old.clone()], old.clone()), "{name} is nobody's who left");
            continue;
        }
        let row = row(&table, name);
        assert_eq!(row["old_key"], old.as_str(), "{row:#}");
        assert!(row["created_at"].is_string());
        if name == "key-03" {
            assert!(alive.contains(old), "its key was not proved, so the old one lives");
            assert_eq!((&row["outcome"], &row["proved_dead"], &row["revoked_at"]), (&"held".into(), &false.into(), &Value::Null));
            assert!(row["next"][0].as_str().unwrap().starts_with("keyroll resume "), "{row:#}");
            continue;
        }
        assert!(!alive.contains(old), "{name}: the old key is gone");
        assert_eq!(alive, [office.key(name)], "{name}: the new one is in use");
        assert_eq!((&row["outcome"], &row["proved_dead"], &row["in_time"]), (&"done".into(), &true.into(), &true.into()), "{row:#}");
        assert_eq!(row["next"], serde_json::json!([]));
    }
    assert_eq!(table["all_dead"], false);
    assert!(std::fs::read_to_string(page).unwrap().contains("1 of 10 keys are NOT proved dead"));
    // The reason stands in the record.
    let report: Value = serde_json::from_slice(&office.keyroll(&["report", "key-06", "--output", "json"]).await.stdout).unwrap();
    assert!(report["begun"]["why"].as_str().unwrap().starts_with("offboarding of access=contractor-acme, access=staff"), "{report:#}");
    assert!(report["notes"][0].as_str().unwrap().starts_with("shortened to meet"));
    assert_eq!(report["people"][0]["by"], "ana");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_shortened_is_said_beforehand() {
    let office = Office::new(3, &["a"]).await;
    office.edit("key-00", "stale_for: 0s", "stale_for: 2h");
    office.edit("key-01", "max_request: 0s", "max_request: 3h");
    let said = ends(&office.keyroll(&["plan", "--all", "--revoke-by", "1h"]).await, 0);
    assert!(said.contains("2 of 3 cannot make it in time"), "{said}");
    assert!(said.contains("2h before the old key may be touched (a store's stale_for)"), "{said}");
    assert!(said.contains("3h before the old key may be touched (a consumer's max_request)"), "{said}");
    // And it is not shortened: without time to sit through it, it is parked.
    let run = office.keyroll(&["run", "--all", "--revoke-by", "1h", "--wait", "1s", "--output", "json"]).await;
    assert_eq!(run.status.code(), Some(6), "{}", super::said(&run));
    for name in ["key-00", "key-01"] {
        let report: Value = serde_json::from_slice(&office.keyroll(&["report", name, "--output", "json"]).await.stdout).unwrap();
        assert!(report["waits"][0]["planned_seconds"].as_f64().unwrap() >= 7200.0, "{report:#}");
        assert!(office.alive(name).await.len() == 2, "both keys live while it waits");
    }
    assert_eq!(office.alive("key-02").await.len(), 1);
    // Once more: what is under way is gone on with, not begun again.
    let again = office.keyroll(&["run", "--all", "--revoke-by", "1h", "--wait", "1s"]).await;
    let said = ends(&again, 6);
    assert!(said.contains("a rotation is under way") && said.contains("began before this run"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_is_named_and_what_nobody_has_is_an_error() {
    let office = Office::new(2, &["a"]).await;
    std::fs::write(office.playbook("broken"), "keyroll: 1\nname: [\n").unwrap();
    let said = ends(&office.keyroll(&["run", "--label", "access=a"]).await, 2);
    assert!(said.contains("broken.yaml") && said.contains("it may be one of these"), "{said}");
    assert!(said.contains("1 of 3 keys are NOT proved dead"), "the others are out: {said}");
    std::fs::remove_file(office.playbook("broken")).unwrap();
    let said = ends(&office.keyroll(&["run", "--label", "access=nobody"]).await, 2);
    assert!(said.contains("access=staff"), "it says which labels there are: {said}");
    for args in
        [&["run", "--label", "access"][..], &["run", "--revoke-by", "3h", "playbooks"], &["run", "--all", "--revoke-by", "2020-01-01"]]
    {
        ends(&office.keyroll(args).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_is_named_and_once_it_is_over_the_same_command_goes_on() {
    let office = Office::new(1, &["a"]).await;
    let by = ["--all", "--revoke-by", "1h"];
    ends(&office.keyroll(&["freeze", "--until", "8h", "--reason", "fair"]).await, 0);
    let plan = ends(&office.keyroll(&[&["plan"], &by[..]].concat()).await, 0);
    assert!(plan.contains("the key cannot be deleted before") && plan.contains("freeze 1") && !plan.contains("never shortened"), "{plan}");
    let run = ends(&office.keyroll(&[&["run"], &by[..]].concat()).await, 6);
    assert!(run.contains("1 of 1 keys are NOT proved dead"), "{run}");
    ends(&office.keyroll(&["freeze", "--end", "1", "--reason", "it was cancelled"]).await, 0);
    let status = ends(&office.keyroll(&["status"]).await, 0);
    assert!(status.contains("# goes on where it stopped"), "the freeze is no reason any more: {status}");
    let run = ends(&office.keyroll(&[&["run"], &by[..]].concat()).await, 0);
    assert!(run.contains("All 1 keys are revoked and proved dead; 1 with something left to do"), "{run}");
}
