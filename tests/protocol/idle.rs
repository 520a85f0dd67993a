//! The idle gate, against worlds in which keys are used: it opens only where nobody used the old key, and what it says of a use is true.

use std::time::Duration;

use keyroll::protocol::{Answer, Idle, LastUse, grown, idle, unchanged};
use proptest::prelude::*;

/// How late a provider's figures may be, in seconds.
const LAG: u64 = 30;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Calls with a key: when, from the promote on (before it is below zero), and how much later each shows.
type Calls = Vec<(i64, u64)>;

fn calls() -> impl Strategy<Value = Calls> {
    proptest::collection::vec((-60i64..600, 0..=LAG), 0..5)
}

/// What was spent by then, as the provider tells.
fn spent(calls: &Calls, at: u64) -> u64 {
    calls.iter().filter(|(call, later)| *call + later.cast_signed() <= at.cast_signed()).count() as u64
}

fn readings(calls: &Calls, at: &[u64]) -> Vec<(Duration, u64)> {
    at.iter().map(|at| (secs(*at), spent(calls, *at))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// From what a key has spent: there was no call after `until` that the provider should have shown, and one at `from` or later.
    #[test]
    fn what_readings_say_of_a_use_is_true(calls in calls(), at in proptest::collection::btree_set(0u64..700, 1..6)) {
        let at: Vec<u64> = at.into_iter().collect();
        let last = *at.last().expect("one at least");
        let told = unchanged(&readings(&calls, &at), secs(LAG));
        let moment = |at: Duration| at.as_secs().cast_signed();
        let shown_by = last.cast_signed() - LAG.cast_signed();
        let hidden = calls.iter().any(|(call, _)| *call > moment(told.until) && *call <= shown_by);
        prop_assert!(!hidden, "{told:?}");
        // What was before the promote is told as at it.
        if let Some(from) = told.from.filter(|from| !from.is_zero()) {
            prop_assert!(calls.iter().any(|(call, _)| *call > moment(from)), "{told:?}");
        }
        // It is not only careful: what no reading shows is not held against the key.
        if readings(&calls, &at).windows(2).all(|pair| pair[0].1 == pair[1].1) {
            prop_assert_eq!(told, LastUse { until: secs(at[0]), from: None });
        }
    }

    /// From what a key has spent: a use of the new key since its promote.
    #[test]
    fn growth_is_a_use_since_the_promote(calls in calls(), at in proptest::collection::btree_set(0u64..700, 0..6)) {
        let at: Vec<u64> = at.into_iter().collect();
        let news = readings(&calls, &at);
        if grown(&news, secs(LAG)) {
            prop_assert!(calls.iter().any(|(call, _)| *call > 0), "{news:?}");
        }
        let late: Vec<_> = news.iter().filter(|(at, _)| *at >= secs(LAG)).collect();
        let grew = late.first().zip(late.last()).is_some_and(|(first, last)| last.1 > first.1);
        prop_assert!(!grew || grown(&news, secs(LAG)), "{news:?}");
    }

    /// The gate opens only where the old key was idle for long enough, by all that the provider can have shown.
    #[test]
    fn an_open_gate_means_an_idle_key(calls in calls(), at in proptest::collection::btree_set(0u64..700, 1..6), grace in 0u64..60, wanted in 1u64..120) {
        let at: Vec<u64> = at.into_iter().collect();
        let now = *at.last().expect("one at least");
        let gate = Idle { settled: secs(grace + LAG), idle: secs(wanted), lag: secs(LAG) };
        let told = unchanged(&readings(&calls, &at), secs(LAG));
        if idle(told, true, secs(now), Duration::ZERO, gate).is_ok() {
            let shown = now.cast_signed() - LAG.cast_signed();
            let used = calls.iter().any(|(call, _)| (shown - wanted.cast_signed() + 1..=shown).contains(call));
            prop_assert!(!used, "{told:?} at {now}");
        }
    }
}

const GATE: Idle = Idle { settled: Duration::from_secs(100), idle: Duration::from_secs(50), lag: Duration::from_secs(LAG) };

/// The old key last used then, the new one in use; and what a person answered for last.
fn at(now: u64, used: u64, held: u64) -> Result<(), (Answer, bool)> {
    idle(LastUse { until: secs(used), from: Some(secs(used)) }, true, secs(now), secs(held), GATE)
}

#[test]
fn each_bound_of_the_gate() {
    let (later, used) = (Err((Answer::Later, false)), Err((Answer::No, false)));
    assert_eq!(at(179, 100, 0), later, "idle for a second less than wanted, and the lag");
    assert_eq!(at(180, 100, 0), Ok(()));
    assert_eq!(at(1000, 101, 0), used, "used when everybody should have been off it");
    assert_eq!(at(1000, 101, 101), used, "used at the very moment of the hold: nobody answered for that");
    assert_eq!(at(1000, 101, 102), Ok(()), "a person answered for it");
    assert_eq!(at(152, 101, 102), later, "and it must be idle since");

    let unused = |now| idle(LastUse::default(), false, secs(now), Duration::ZERO, GATE);
    assert_eq!(unused(149), Err((Answer::Later, true)));
    assert_eq!(unused(150), Err((Answer::No, true)), "the new key should have been used by then");
    assert_eq!(at(10, 20, 0), later, "a clock that is behind the provider's");
}

#[test]
fn the_last_of_several_uses_is_told() {
    let readings = [(secs(0), 1), (secs(100), 2), (secs(200), 3), (secs(300), 3)];
    assert_eq!(unchanged(&readings, secs(LAG)), LastUse { until: secs(200), from: Some(secs(100 - LAG)) });
}

#[test]
fn without_a_reading_nothing_is_said() {
    assert_eq!(unchanged(&[], secs(LAG)), LastUse::default());
    assert!(!grown(&[], secs(LAG)));
    assert!(!grown(&[(secs(LAG - 1), 1), (secs(500), 2)], secs(LAG)), "it may be what was spent before");
    assert!(grown(&[(secs(LAG), 1), (secs(500), 2)], secs(LAG)));
}
