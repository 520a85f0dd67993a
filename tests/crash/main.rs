//! A real process, killed with SIGKILL around every journal write of a rotation through the production adapters; then
//! `keyroll resume`. Afterwards one key is alive, the store serves it, and the chain verifies.

mod child;
#[path = "../common/figure.rs"]
mod figure;
#[path = "../common/stage.rs"]
mod stage;

use figure::figure;
use futures_util::StreamExt as _;
use std::os::unix::process::ExitStatusExt;

use keyroll::{journal::SqliteJournal, ports::Journal, protocol::End, rotation::Rotation};
use stage::Stage;

/// With how many first deaths at once, and how many second ones of each: a rotation waits more than it works.
const AT_ONCE: usize = 8;
const IN_A_ROW: usize = 4;

/// More records than the main road has.
const LONGEST: u64 = 30;

/// A moment in which a process dies: just before a record is durable, or just after.
#[derive(Clone, Copy, Debug)]
struct Death {
    at: u64,
    after: bool,
}

/// Processes killed one after the other, and what the last one made of it. None: one of them came to the end before.
async fn die(deaths: &[Death]) -> Option<Rotation> {
    let story = format!("{deaths:?}");
    let stage = Stage::new().await;
    for death in deaths {
        let status = child::spawn(&stage, death.at, death.after).await;
        if status.success() {
            return None;
        }
        assert_eq!(status.signal(), Some(9), "{story}: the child was killed, and did not fail");
    }
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
            let Some(rotation) = die(&[Death { at, after }]).await else { break };
            kills += 1;
            attempts += usize::from(rotation.state.attempt > 1);
            done += usize::from(rotation.state.ended() == Some(End::Done));
        }
    }
    figure("crash, SIGKILL", format!("{kills}, before and after each record; {done} rotations done, {attempts} with another key"));
    assert!(kills >= 30, "only {kills} kills: the records are fewer than they were");
    assert_eq!(kills, done, "a killed rotation of healthy services still ends done");
    assert!(attempts > 0, "a key whose value died with its process is replaced by another");
}

/// The process that goes on is killed, too: at each record that it writes, before and after it is durable. Some 600 rotations.
#[ignore = "takes minutes"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_pair_of_kills_leaves_nothing_behind() {
    let firsts = [false, true].into_iter().flat_map(|after| (if after { 1 } else { 2 }..LONGEST).map(move |at| Death { at, after }));
    let seconds = futures_util::stream::iter(firsts).map(|first| {
        tokio::spawn(async move {
            let (mut pairs, mut back) = (0, 0);
            for after in [false, true] {
                // The first record that the next process writes is the one that was lost, or the one behind it.
                let seconds = futures_util::stream::iter(first.at + u64::from(first.after)..).map(|at| Death { at, after });
                let ends = seconds.map(|second| tokio::spawn(async move { die(&[first, second]).await })).buffered(IN_A_ROW);
                let ends = ends.map(|end| end.expect("what went wrong is said above"));
                let ends: Vec<_> = ends.take_while(|end| std::future::ready(end.is_some())).collect().await;
                for end in ends.into_iter().flatten().map(|rotation| rotation.state.ended()) {
                    // Who dies after the fence leaves a store of which the next one cannot tell who wrote to it: it goes back.
                    assert!(matches!(end, Some(End::Done | End::RolledBack)), "{first:?}, then {after}: {end:?}");
                    back += usize::from(end == Some(End::RolledBack));
                    pairs += 1;
                }
            }
            (first.at, pairs, back)
        })
    });
    let pairs: Vec<_> = seconds.buffer_unordered(AT_ONCE).map(|pairs| pairs.expect("what went wrong is said above")).collect().await;
    let total: usize = pairs.iter().map(|(_, pairs, _)| pairs).sum();
    let back: usize = pairs.iter().map(|(_, _, back)| back).sum();
    figure("crash, pairs of SIGKILL", format!("{total} on the main road, before and after each record; {back} went back"));
    assert!(pairs.iter().all(|(at, pairs, _)| *at < LONGEST - 1 || *pairs == 0), "the road has more than {LONGEST} records: {pairs:?}");
    assert!(total > 400 && back * 20 < total, "{total} pairs, {back} of them back: {pairs:?}");
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
    let rotation = die(&[Death { at: 3, after: true }]).await.unwrap();
    assert_eq!(rotation.state.attempt, 2);
    assert_eq!(rotation.tombstones.len(), 2, "the lost key, and the old one");
}
