//! What a deadline shortens, and what it never does.

use std::time::Duration;

use keyroll::{
    driver::{Floor, Proving, Verdict, floor, shorten, total, waits},
    ports::{Ambiguity, Traits},
    record::Waits,
};
use proptest::prelude::*;

use crate::world::book;

const MINUTE: Duration = Duration::from_secs(60);

fn traits() -> Traits {
    Traits {
        ambiguity: Ambiguity::Listable,
        listed_within: Duration::ZERO,
        ready_within: Duration::ZERO,
        dead_within: Duration::ZERO,
        usage_lag: 15 * MINUTE,
        quota: None,
    }
}

#[test]
fn the_time_while_the_key_still_works_goes_first() {
    let book = book("revoke: { grace: 1h, disable_for: 2h, watch: 10m }\n");
    let (asked, floor) = (waits(&book), floor(&book, &traits()));
    assert_eq!((floor.grace, floor.because), (15 * MINUTE, "a consumer's max_request"));
    for (left, grace, soak, verdict) in [
        (200, 60, 120, Verdict::InTime),
        (170, 40, 120, Verdict::InTime),
        (145, 15, 120, Verdict::InTime),
        (85, 15, 60, Verdict::InTime),
        (25, 15, 0, Verdict::InTime),
        (24, 15, 0, Verdict::TooLate),
        (0, 15, 0, Verdict::TooLate),
    ] {
        let fit = shorten(&asked, &floor, Proving::default(), left * MINUTE);
        assert_eq!((fit.waits.grace, fit.waits.soak, fit.verdict), (grace * MINUTE, soak * MINUTE, verdict), "{left} minutes");
        assert_eq!(fit.waits.watch, 10 * MINUTE, "watching is a proof");
    }
}

#[test]
fn idle_time_goes_down_to_what_the_provider_needs_to_tell() {
    let book = book("revoke: { grace: 5m, idle_for: 26h }\n");
    let (asked, floor) = (waits(&book), floor(&book, &traits()));
    let fit = shorten(&asked, &floor, Proving::default(), 60 * MINUTE);
    assert_eq!((fit.waits.idle, fit.verdict), (45 * MINUTE, Verdict::InTime), "the lag is part of the hour");
    assert_eq!(shorten(&asked, &floor, Proving::default(), 14 * MINUTE).verdict, Verdict::TooLate);
}

#[test]
fn a_jobs_cycle_is_never_shortened() {
    let job = "  - { name: nightly, job: { runs_every: 24h, max_run: 2h } }\n";
    for (revoke, grace, soak) in [("revoke: { grace: 30h }\n", 24 * 60, 0), ("revoke: { grace: 30h, disable_for: 30h }\n", 121, 24 * 60)] {
        let book = book(&format!("{job}{revoke}"));
        let fit = shorten(&waits(&book), &floor(&book, &traits()), Proving::default(), MINUTE);
        assert_eq!((fit.waits.grace, fit.waits.soak, fit.verdict), (grace * MINUTE, soak * MINUTE, Verdict::TooLate), "{revoke}");
    }
}

#[test]
fn proofs_that_may_take_long_make_it_tight() {
    let book = book("revoke: { grace: 1m }\n");
    let proving = Proving { least: MINUTE, most: 20 * MINUTE };
    for (left, verdict) in [(35, Verdict::InTime), (34, Verdict::Tight), (16, Verdict::Tight), (15, Verdict::TooLate)] {
        assert_eq!(shorten(&waits(&book), &floor(&book, &traits()), proving, left * MINUTE).verdict, verdict, "{left}");
    }
}

proptest! {
    #[test]
    fn nothing_falls_below_its_floor_or_rises_above_what_was_asked(
        numbers in prop::array::uniform8(0u64..100_000), extra in prop::array::uniform3(0u64..100_000), lag in prop::option::of(0u64..10_000),
    ) {
        let secs = Duration::from_secs;
        let [low, soak, watch, stale, least, most, left, _] = numbers.map(secs);
        let floor = Floor { grace: low, because: "", soak, lag: lag.map(secs) };
        let idle = if lag.is_some() { secs(extra[1]) } else { Duration::ZERO };
        let asked = Waits { grace: low + secs(extra[0]), watch, soak: soak + secs(extra[2]), stale, idle };
        let proving = Proving { least, most: least + most };
        let fit = shorten(&asked, &floor, proving, left);
        let is = fit.waits;
        prop_assert!(is.grace >= low && is.grace <= asked.grace && is.soak >= soak && is.soak <= asked.soak && is.idle <= asked.idle);
        prop_assert_eq!((is.watch, is.stale), (asked.watch, asked.stale));
        let shortest = total(&Waits { grace: low, idle: Duration::ZERO, soak, ..asked }, &floor);
        prop_assert_eq!(fit.verdict == Verdict::InTime, shortest + proving.most <= left);
        if total(&asked, &floor) + proving.most <= left {
            prop_assert_eq!(is, asked);
        }
    }
}
