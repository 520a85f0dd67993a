//! A real process, killed with SIGKILL around every journal write of a rotation through the production adapters; then
//! `keyroll resume`. Afterwards one key is alive, the store serves it, and the chain verifies.

mod child;
#[path = "../common/stage.rs"]
mod stage;

use std::os::unix::process::ExitStatusExt;

use keyroll::{journal::SqliteJournal, ports::Journal, protocol::End, rotation::Rotation};
use stage::Stage;

/// One killed process, and what the next one made of it. None: the rotation had fewer records.
async fn die(at: u64, after: bool) -> Option<Rotation> {
    let story = format!("killed at record {at}, after the write: {after}");
    let stage = Stage::new().await;
    let status = child::spawn(&stage, at, after).await;
    if status.success() {
        return None;
    }
    assert_eq!(status.signal(), Some(9), "{story}: the child was killed, and did not fail");
    let journal = SqliteJournal::open(&stage.journal()).await.unwrap();
    if let [entry] = journal.entries().await.unwrap().as_slice() {
        drop(journal);
        let output = stage.keyroll(&["resume", entry.rotation.as_str()]).await;
        assert!(matches!(output.status.code(), Some(0 | 1)), "{story}: {}", String::from_utf8_lossy(&output.stderr));
        let journal = SqliteJournal::open(&stage.journal()).await.unwrap();
        let rotation = Rotation::fold(&journal.records(&entry.rotation).await.unwrap()).unwrap();
        assert!(rotation.state.ended().is_some(), "{story}");
        stage.assert_clean(&story).await;
        return Some(rotation);
    }
    panic!("{story}: the journal has no rotation");
}

/// README's promise, in one round: every record of a whole rotation, before and after it is durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_around_any_record_leaves_nothing_behind() {
    if child::is_wanted() {
        return;
    }
    let (mut kills, mut attempts, mut done) = (0, 0, 0);
    for after in [false, true] {
        // Record 1 before its write is a process that never began.
        for at in if after { 1.. } else { 2.. } {
            let Some(rotation) = die(at, after).await else { break };
            kills += 1;
            attempts += usize::from(rotation.state.attempt > 1);
            done += usize::from(rotation.state.ended() == Some(End::Done));
        }
    }
    println!("{kills} kills, {done} rotations done, {attempts} of them with another key");
    assert!(kills >= 30, "only {kills} kills: the records are fewer than they were");
    assert_eq!(kills, done, "a killed rotation of healthy services still ends done");
    assert!(attempts > 0, "a key whose value died with its process is replaced by another");
}

/// The test binary as the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process() {
    if child::is_wanted() {
        child::run().await;
    }
}

/// The exact moment that scripts lose a key: it is created, and its value is nowhere yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_value_died_is_deleted_before_another_is_made() {
    if child::is_wanted() {
        return;
    }
    let rotation = die(3, true).await.unwrap();
    assert_eq!(rotation.state.attempt, 2);
    assert_eq!(rotation.tombstones.len(), 2, "the lost key, and the old one");
}
