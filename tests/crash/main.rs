//! A real process, killed with SIGKILL before and after every call of a port and every record of a rotation through the
//! production adapters, alone and in pairs; then `keyroll resume`. Afterwards one key is alive, the store serves it, every
//! instance works with it, and the chain verifies.

#[path = "../common/deaths/mod.rs"]
mod deaths;
#[path = "../common/stage.rs"]
mod stage;

use std::{collections::BTreeSet, process::Output};

use async_trait::async_trait;
use deaths::{
    Child, Point,
    ground::{Ground, each, killed},
};
use keyroll::{journal::SqliteJournal, ports::Journal, rotation::Rotation};
use stage::Stage;

/// The test that becomes the process that dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process() {
    if deaths::is_wanted() {
        deaths::run().await;
    }
}

#[async_trait]
impl Ground for Stage {
    fn child(&self) -> Child {
        let env = vec![("KEYROLL_JOURNAL".into(), self.journal().display().to_string()), ("STAGE_TOKEN".into(), self.token().into())];
        Child { test: "child_process", env, playbook: self.playbook() }
    }
    async fn keyroll(&self, args: &[&str]) -> Output {
        Stage::keyroll(self, args).await
    }
    async fn rotations(&self) -> Vec<Rotation> {
        let journal = SqliteJournal::open(&self.journal()).await.unwrap();
        let mut found = Vec::new();
        for entry in journal.entries().await.unwrap() {
            found.push(Rotation::fold(&journal.records(&entry.rotation).await.unwrap()).unwrap());
        }
        found
    }
    async fn assert_clean(&self, story: &str) {
        self.fleet_caught_up().await;
        Stage::assert_clean(self, story).await;
    }
}

/// Two at a time: a child mostly waits.
const AT_ONCE: usize = 2;

/// README's promise: every boundary of a whole rotation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_call_or_record_leaves_nothing_behind() {
    if deaths::is_wanted() {
        return;
    }
    let points: BTreeSet<Point> = Stage::new().await.child().points().await.into_iter().collect();
    let (all, effects) = (points.len(), points.iter().filter(|point| point.effect()).count());
    let rotations = each(points.into_iter().collect(), AT_ONCE, async |point| killed(&Stage::new().await, &[point]).await).await;
    let killed: Vec<Rotation> = rotations.into_iter().flatten().collect();
    let other = killed.iter().filter(|rotation| rotation.state.attempt > 1).count();
    println!("{} kills at {all} boundaries, {effects} of them around an effect; {other} rotations made another key", killed.len());
    assert!(all >= 90 && effects == 6, "{all} boundaries, {effects} around effects: fewer than they were");
    // What is passed only now and then, by the clock, may be missing.
    assert!(killed.len() + 4 >= all, "{} of {all} boundaries were reached", killed.len());
    assert!(other > 0, "a key whose value died with its process is replaced by another");
}

/// A spread over all pairs; every pair of them is in `tests/simulation`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_kill_while_going_on_leaves_nothing_behind() {
    if deaths::is_wanted() {
        return;
    }
    let all = Stage::new().await.child().points().await;
    let firsts: Vec<Point> = all.into_iter().filter(Point::matters).step_by(5).collect();
    let mut pairs = Vec::new();
    for first in firsts {
        let stage = Stage::new().await;
        stage.child().dies(&first).await;
        let seconds: Vec<Point> = stage.child().points().await.into_iter().filter(Point::matters).collect();
        pairs.extend(seconds.into_iter().step_by(7).map(|second| [first.clone(), second]));
    }
    let all = pairs.len();
    let ended = each(pairs, AT_ONCE, async |pair| killed(&Stage::new().await, &pair).await).await;
    println!("{} pairs of kills", ended.iter().flatten().count());
    assert!(all >= 20 && ended.iter().flatten().count() + 2 >= all, "{all} pairs");
}
