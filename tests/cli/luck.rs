//! Bad input and bad luck, as a person meets them: an exit code, what is wrong, what state the keys are in, what to type.

use keyroll::sandbox::service::Behaviour;
use serde_json::json;

use super::{ends, stage::Stage};

/// A change of the stage, and what must be said about it.
struct Case {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    code: i32,
    says: &'static str,
}

const CASES: &[Case] = &[
    Case { name: "a path that holds nothing", from: "path: stage/app", to: "path: stage/typo", code: 2, says: "--install" },
    Case {
        name: "a field that is missing",
        from: "{ secret_id: secret,",
        to: "{ secretid: secret,",
        code: 2,
        says: "has no field `secretid`",
    },
    Case {
        name: "an environment variable that is not set",
        from: "env:STAGE_TOKEN",
        to: "env:NOT_SET_HERE",
        code: 2,
        says: "NOT_SET_HERE",
    },
    Case { name: "a wrong health path", from: "path: /healthz", to: "path: /nowhere", code: 2, says: "does not prove the key in use" },
    Case { name: "a wrong pointer", from: "json: /secrets/app/version", to: "json: /secrets/version", code: 2, says: "named no key" },
    Case { name: "more instances than there are", from: "expect: 3", to: "expect: 4", code: 2, says: "3 of 4 expected instances" },
    Case { name: "a role that does not exist", from: "role: app }", to: "role: nobody }", code: 2, says: "nobody" },
    Case { name: "a provider that cannot disable", from: "grace: 0s", to: "grace: 0s, disable_for: 1h", code: 2, says: "disable" },
    Case { name: "an unknown field", from: "stale_for:", to: "stalefor:", code: 2, says: "stale_for" },
    Case { name: "a duration in words", from: "grace: 0s", to: "grace: 90 days", code: 2, says: "90d" },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_found_before_anything_is_changed() {
    for case in CASES {
        let stage = Stage::new().await;
        stage.edit(case.from, case.to);
        let before = stage.secrets();
        let said = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, case.code);
        assert!(said.contains(case.says), "{}: {said}", case.name);
        assert_eq!(stage.secrets(), before, "{}", case.name);
        stage.assert_clean(case.name).await;
    }
}

/// "No such key" also means: wrong account. So a person says that it is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_key_is_replaced_only_where_a_person_says_so() {
    let stage = Stage::new().await;
    stage.put(&json!({ "secret_id": "no-such-secret-id", "accessor": "none" }));
    let playbook = stage.playbook();
    let said = ends(&stage.keyroll(&["run", playbook.to_str().unwrap()]).await, 2);
    assert!(said.contains("--replace"), "{said}");
    assert_eq!(stage.secrets()[1], "no-such-secret-id", "nothing was written");
    ends(&stage.keyroll(&["run", "--replace", playbook.to_str().unwrap()]).await, 0);
    assert_ne!(stage.secrets()[1], "no-such-secret-id");
    let said = ends(&stage.keyroll(&["run", "--replace", playbook.to_str().unwrap()]).await, 2);
    assert!(said.contains("the key in use works"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_5_and_says_so() {
    let stage = Stage::new().await;
    let address = stage.address();
    stage.edit(&address, "http://127.0.0.1:1");
    let said = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 5);
    assert!(said.contains("no connection"), "{said}");
    assert!(said.contains("key in use is untouched"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_write_during_the_rotation_is_never_written_over() {
    let stage = Stage::new().await;
    stage.edit("grace: 0s", "grace: 2h");
    ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 6);
    let theirs = json!({ "secret_id": "theirs", "accessor": "theirs" });
    stage.put(&theirs);
    let held = ends(&stage.keyroll(&["rollback"]).await, 3);
    assert!(held.contains("neither the old nor the new key"), "{held}");
    assert_eq!(stage.secrets()[1], "theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_cannot_be_used_means_no_effect() {
    let stage = Stage::new().await;
    let before = stage.secrets();
    for place in ["/proc/keyroll/journal.db", "/dev/null/journal.db"] {
        let said = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap(), "--journal", place]).await, 5);
        assert!(said.contains("nothing more is done"), "{said}");
    }
    assert_eq!(stage.secrets(), before);
    stage.assert_clean("no journal").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_playbooks_for_one_key_do_not_run_together() {
    let stage = Stage::new().await;
    let other = stage.playbook().with_file_name("other.yaml");
    std::fs::copy(stage.playbook(), &other).unwrap();
    let said = ends(&stage.keyroll(&["validate", stage.playbook().to_str().unwrap(), other.to_str().unwrap()]).await, 2);
    assert!(said.contains("stage.yaml") && said.contains("other.yaml"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_journal_is_refused_and_the_journal_named() {
    let stage = Stage::new().await;
    ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 0);
    let other = stage.journal().with_file_name("other.db");
    let said = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap(), "--journal", other.to_str().unwrap()]).await, 2);
    assert!(said.contains("another journal"), "{said}");
}

/// However an instance misbehaves once the new key is out, the old key ends in use again and the new one is gone; where
/// nobody can tell for sure, a person is asked first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_misbehaves_never_costs_the_old_key() {
    for behaviour in [Behaviour::Stuck, Behaviour::Hangs, Behaviour::Html, Behaviour::Flaps, Behaviour::Ill] {
        let story = format!("{behaviour:?}");
        let stage = Stage::new().await;
        stage.edit("within: 20s, stable_for: 0s", "within: 1s, stable_for: 200ms");
        stage.edit("json: /secrets/app/version }", "json: /secrets/app/version }, timeout: 300ms");
        stage.fleet.behave(1, behaviour);
        let before = stage.secrets();
        let output = stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await;
        if output.status.code() == Some(3) {
            // It cannot prove the old key either: mended, it can.
            stage.fleet.behave(1, Behaviour::Normal);
            ends(&stage.keyroll(&["resume", "--reason", "mended"]).await, 1);
        } else {
            ends(&output, 1);
        }
        assert_eq!(stage.secrets(), before, "{story}: the old key is in use");
        stage.assert_clean(&story).await;
    }
}
