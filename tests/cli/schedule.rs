//! What a timer runs, what a person freezes, and what monitoring asks.

use keyroll::sandbox::service::Behaviour;
use serde_json::Value;

use super::{ends, stage::Stage};

impl Stage {
    /// The playbook with one more line at its end.
    fn line(&self, line: &str) {
        let text = std::fs::read_to_string(self.playbook()).unwrap();
        std::fs::write(self.playbook(), format!("{text}{line}\n")).unwrap();
    }

    fn folder(&self) -> String {
        self.playbook().parent().unwrap().to_str().unwrap().to_owned()
    }

    async fn due(&self, more: &[&str], code: i32) -> String {
        ends(&self.keyroll(&[&["run", "--due", &self.folder()], more].concat()).await, code)
    }
}

/// A length that has passed since the stage was made.
const AT_ONCE: &str = "every: 1ms";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_rotates_what_is_due_and_moves_on_what_is_parked() {
    let stage = Stage::new().await;
    stage.line("every: 90d");
    let idle = stage.due(&[], 0).await;
    assert!(idle.contains("nothing is due; the next is stage, in 8"), "{idle}");
    assert_eq!(idle.lines().count(), 1, "{idle}");

    stage.edit("every: 90d", AT_ONCE);
    stage.edit("grace: 0s", "grace: 1h");
    let parked = stage.due(&[], 6).await;
    assert!(parked.contains("PLAYBOOK") && parked.contains("keyroll resume"), "{parked}");
    let before = ends(&stage.keyroll(&["show", "--output", "json"]).await, 0);
    let still = stage.due(&[], 6).await;
    assert!(still.contains("parked until"), "{still}");
    assert_eq!(before.matches("\"seq\"").count(), ends(&stage.keyroll(&["show", "--output", "json"]).await, 0).matches("\"seq\"").count());

    // Its playbook is gone; the journal has it.
    ends(&stage.keyroll(&["rollback", "--reason", "no"]).await, 1);
    stage.assert_clean("rolled back").await;
    let waits = stage.due(&[], 0).await;
    assert!(waits.contains("may begin in"), "after one that went back the next one waits an hour: {waits}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_playbook_keeps_no_other_from_its_rotation() {
    let stage = Stage::new().await;
    stage.line(AT_ONCE);
    std::fs::write(stage.playbook().with_file_name("broken.yaml"), "keyroll: 1\nname: broken\n").unwrap();
    let said = stage.due(&[], 2).await;
    assert!(said.contains("rotated") && said.contains("keyroll validate"), "{said}");
    stage.assert_clean("rotated").await;
    let objects = ends(&stage.keyroll(&["run", "--due", "--output", "json", stage.playbook().to_str().unwrap()]).await, 0);
    let last: Value = serde_json::from_str(objects.lines().last().unwrap()).unwrap();
    assert_eq!((&last["batch"][0]["what"], &last["exit_code"]), (&"rotated".into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_keeps_a_rotation_from_its_next_step_until_it_ends() {
    let stage = Stage::new().await;
    stage.line(AT_ONCE);
    let before = stage.secrets();
    for wrong in [&["freeze", "--until", "2d"][..], &["freeze", "--until", "yesterday", "--reason", "x"], &["freeze", "stage"]] {
        ends(&stage.keyroll(wrong).await, 2);
    }
    let over = ends(&stage.keyroll(&["freeze", "--until", "2020-01-01", "--reason", "x"]).await, 2);
    assert!(over.contains("is over already"), "{over}");
    let frozen = ends(&stage.keyroll(&["freeze", "--until", "2d", "--reason", "fair", "stage", "sage"]).await, 0);
    assert!(frozen.contains("freeze 1") && frozen.contains("knows no playbook `sage`"), "{frozen}");
    let listed = ends(&stage.keyroll(&["freeze"]).await, 0);
    assert!(listed.contains("stage, sage") && listed.contains("fair"), "{listed}");

    let said = stage.due(&[], 0).await;
    assert!(said.contains("kept by a window or a freeze"), "{said}");
    // A person who runs it by hand is kept too, and told why.
    let said = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 6);
    assert!(said.contains("freeze 1 until") && said.contains("fair"), "{said}");
    assert_eq!(stage.secrets(), before);
    let status = ends(&stage.keyroll(&["status", &stage.folder()]).await, 0);
    assert!(status.contains("parked") && status.contains("freeze 1"), "{status}");

    ends(&stage.keyroll(&["freeze", "--end", "7", "--reason", "x"]).await, 2);
    ends(&stage.keyroll(&["freeze", "--end", "1", "--reason", "it is over"]).await, 0);
    assert!(stage.due(&[], 0).await.contains("rotated"));
    stage.assert_clean("thawed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_does_not_wait_for_the_window() {
    let stage = Stage::new().await;
    stage.edit("grace: 0s", "grace: 1h");
    ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 6);
    ends(&stage.keyroll(&["freeze", "--until", "2d", "--reason", "fair"]).await, 0);
    ends(&stage.keyroll(&["rollback", "--reason", "now"]).await, 1);
    stage.assert_clean("rolled back in a freeze").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitoring_gets_3_for_what_is_held_or_late() {
    let stage = Stage::new().await;
    stage.line("every: 90d");
    // Never rotated: the provider is asked.
    let fresh = ends(&stage.keyroll(&["status", "--check", &stage.folder()]).await, 0);
    assert!(fresh.contains("fine") && fresh.contains("in 8"), "{fresh}");
    assert!(fresh.contains("carry no application"), "`stage-2026-11` names no application: {fresh}");
    stage.edit("within: 20s", "on_timeout: hold, within: 1s");
    stage.fleet.behave(1, Behaviour::Stuck);
    ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 3);
    let held = ends(&stage.keyroll(&["status", "--check"]).await, 3);
    assert!(held.contains("held") && held.contains("keyroll resume"), "{held}");
    ends(&stage.keyroll(&["status"]).await, 0);
    let rows = ends(&stage.keyroll(&["status", "--output", "json"]).await, 0);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!((&rows[0]["urgency"], &rows[0]["state"], &rows[0]["held"]), (&"overdue".into(), &"held".into(), &"not_verified".into()));
    let reported = stage.due(&[], 3).await;
    assert!(reported.contains("held:"), "{reported}");
    let piped = ends(&stage.keyroll(&["status", "--watch"]).await, 2);
    assert!(piped.contains("terminal"), "{piped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_several_ends_with_a_table_and_the_worst_code() {
    let (stage, other) = (Stage::new().await, Stage::new().await);
    other.edit("name: stage", "name: other");
    other.edit("path: /healthz", "path: /nowhere");
    other.edit("env:STAGE_TOKEN", &format!("file:{}", other.journal().with_file_name("token").display()));
    super::inbox::secret(other.playbook().parent().unwrap(), "token", other.token());
    let said = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap(), other.playbook().to_str().unwrap()]).await, 2);
    assert!(said.contains("WHAT HAPPENED") && said.contains("done") && said.contains("not begun"), "{said}");
}
