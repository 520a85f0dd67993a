//! Each way a rotation can go, by the command a person types.

use keyroll::sandbox::service::Behaviour;

use super::{ends, stage::Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_ends_at_0_and_a_second_one_rotates_again() {
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    for _ in 0..2 {
        ends(&stage.keyroll(&["run", playbook.to_str().unwrap()]).await, 0);
        stage.assert_clean("done").await;
    }
    let history = ends(&stage.keyroll(&["history"]).await, 0);
    assert_eq!(history.matches("stage").count(), 2, "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_changes_nothing() {
    let stage = Stage::new().await;
    let before = stage.secrets();
    ends(&stage.keyroll(&["plan", stage.playbook().to_str().unwrap()]).await, 0);
    assert_eq!(stage.secrets(), before);
    assert!(!stage.journal().exists(), "not even a journal is made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_proof_rolls_back_with_1() {
    let stage = Stage::new().await;
    stage.edit("within: 20s", "within: 1s");
    stage.fleet.behave(1, Behaviour::Stuck);
    let before = stage.secrets();
    ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 1);
    assert_eq!(stage.secrets(), before, "the old key is in use again");
    stage.assert_clean("rolled back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_waits_for_a_person_who_waives_and_resumes() {
    let stage = Stage::new().await;
    stage.edit("within: 20s", "on_timeout: hold, within: 3s");
    stage.fleet.behave(1, Behaviour::Stuck);
    let held = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 3);
    assert!(held.contains("keyroll resume"), "{held}");
    // The command that keyroll itself prints.
    let stuck = held.split("--instance ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    ends(&stage.keyroll(&["waive", "--consumer", "app", "--instance", stuck, "--reason", "it is being retired"]).await, 0);
    let unasked = ends(&stage.keyroll(&["resume"]).await, 3);
    assert!(unasked.contains("--reason"), "a timer must not answer for a person: {unasked}");
    ends(&stage.keyroll(&["resume", "--reason", "waived"]).await, 0);
    stage.assert_clean("waived").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_rotation_takes_an_amended_playbook() {
    let stage = Stage::new().await;
    stage.edit("within: 20s", "on_timeout: hold, within: 3s");
    stage.fleet.behave(1, Behaviour::Stuck);
    ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 3);
    stage.fleet.behave(1, Behaviour::Normal);
    stage.edit("within: 3s", "within: 30s");
    let playbook = stage.playbook();
    ends(&stage.keyroll(&["amend", "stage", playbook.to_str().unwrap(), "--reason", "more time"]).await, 0);
    ends(&stage.keyroll(&["resume", "stage", "--reason", "amended"]).await, 0);
    stage.assert_clean("amended").await;

    let other = ends(&stage.keyroll(&["amend", "stage", playbook.to_str().unwrap()]).await, 2);
    assert!(!other.contains("panicked"), "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_waits_are_parked_with_6_and_rollback_is_asked_of_a_parked_one() {
    let stage = Stage::new().await;
    stage.edit("grace: 0s", "grace: 2h");
    let before = stage.secrets();
    let parked = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 6);
    assert!(parked.contains("keyroll resume"), "{parked}");
    ends(&stage.keyroll(&["resume"]).await, 6);
    let again = ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 6);
    assert!(again.contains("still open"), "{again}");
    ends(&stage.keyroll(&["rollback", "--reason", "not today"]).await, 1);
    assert_eq!(stage.secrets(), before);
    stage.assert_clean("rolled back from parked").await;
    let too_late = ends(&stage.keyroll(&["rollback", "stage"]).await, 3);
    assert!(too_late.contains("it is over"), "{too_late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_driven_hears_a_rollback_from_another_process() {
    let stage = Stage::new().await;
    stage.edit("within: 20s", "within: 1h");
    stage.fleet.behave(0, Behaviour::Stuck);
    let mut child = stage.start(&["run", stage.playbook().to_str().unwrap(), "--output", "json"]);
    stage.until_promoted(&mut child).await;
    let busy = ends(&stage.keyroll(&["resume"]).await, 4);
    assert!(busy.contains("driven by another"), "{busy}");
    ends(&stage.keyroll(&["rollback"]).await, 6);
    let status = child.wait().await.unwrap();
    assert_eq!(status.code(), Some(1), "the other process went back");
    stage.assert_clean("asked from outside").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_interrupt_parks_and_resume_goes_on() {
    let stage = Stage::new().await;
    stage.edit("within: 20s", "within: 1h");
    stage.fleet.behave(0, Behaviour::Stuck);
    let mut child = stage.start(&["run", stage.playbook().to_str().unwrap(), "--output", "json"]);
    stage.until_promoted(&mut child).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(6));
    stage.fleet.behave(0, Behaviour::Normal);
    ends(&stage.keyroll(&["resume"]).await, 0);
    stage.assert_clean("interrupted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_machine_has_no_rotations_and_says_what_to_type() {
    let stage = Stage::new().await;
    for verb in ["status", "history"] {
        let text = ends(&stage.keyroll(&[verb]).await, 0);
        assert!(text.contains("keyroll run"), "{text}");
    }
    ends(&stage.keyroll(&["resume"]).await, 2);
    ends(&stage.keyroll(&["show", "nothing"]).await, 2);
}
