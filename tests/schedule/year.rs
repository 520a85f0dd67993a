//! A year of 200 playbooks with `run --due` every ten minutes: 52,560 ticks, in paused time.

use crate::figure::figure;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyroll::{
    batch::{Batch, Manner},
    playbook::{Playbook, Window},
    ports::{Clock, Journal},
    protocol::End,
    record::Decree,
    retry::Patience,
};
use tokio_util::sync::CancellationToken;

use super::world::{Fleet, Ledger, Paused, Sim, book};

const PLAYBOOKS: usize = 200;
const TICKS: u32 = 365 * 24 * 6;
const TEN_MINUTES: Duration = Duration::from_secs(600);
const WINDOWS: [&str; 5] = [
    "window: \"Mon-Thu 09:00-16:00 Europe/Berlin\"",
    "window: \"Fri-Sat 22:00-04:00 America/New_York\"",
    "",
    "window: [\"Tue 08:00-12:00 Asia/Tokyo\", \"Thu 13:00-17:00 Asia/Tokyo\"]",
    "window: \"01:30-03:30 Australia/Sydney\"",
];

/// Playbook `n`: how old its key may get, or how long it lives; and whether it is one of those frozen for longer.
struct Case {
    name: String,
    every: Option<TimeDelta>,
    lives: Option<TimeDelta>,
    window: Option<Window>,
    frozen: bool,
}

fn case(n: usize) -> (Case, Playbook) {
    let name = format!("app{n}-prod");
    let every = [30, 45, 60, 90][n % 4];
    let expires = n.is_multiple_of(10);
    let text = if expires { String::new() } else { format!("every: {every}d\n") };
    let book = book(&name, &format!("{text}{}", WINDOWS[n % 5]));
    let (every, lives) = if expires { (None, Some(TimeDelta::days(40))) } else { (Some(TimeDelta::days(every)), None) };
    (Case { name, every, lives, window: book.window.clone(), frozen: n % 9 == 1 }, book)
}

/// A freeze: from when, to when, and whom (all, or those that are [`Case::frozen`]).
type Frozen = (DateTime<Utc>, DateTime<Utc>, bool);

fn may(case: &Case, freezes: &[Frozen], at: DateTime<Utc>) -> bool {
    let frozen = freezes.iter().any(|(from, to, all)| (*from..*to).contains(&at) && (*all || case.frozen));
    !frozen && case.window.as_ref().is_none_or(|window| window.is_open(at))
}

/// The first tick from `at` on when it may begin, found the slow way.
fn opening(case: &Case, freezes: &[Frozen], at: DateTime<Utc>) -> DateTime<Utc> {
    let mut tick = at;
    while !may(case, freezes, tick) {
        tick += TEN_MINUTES;
    }
    tick
}

#[tokio::test(start_paused = true)]
async fn a_year_of_a_fleet() {
    let began = std::time::Instant::now();
    let origin: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let clock = Paused { origin, start: tokio::time::Instant::now() };
    let (mut fleet, mut cases) = (Fleet::default(), Vec::new());
    for n in 0..PLAYBOOKS {
        let (case, book) = case(n);
        // Keys of all ages, as they are found on the first day.
        let age = TimeDelta::hours(i64::try_from(n * 37 % 650).unwrap());
        let sim = Sim::new(clock, &case.name, origin - age, case.lives);
        fleet.add(book, sim.clone());
        cases.push((case, sim));
    }
    let (ledger, stop) = (Ledger::default(), CancellationToken::new());
    let manner = Manner { longest_wait: Duration::ZERO, patience: Patience::default(), keep_going: false };
    let mut batch = Batch::new(&ledger, &clock, &fleet, &stop, manner, fleet.items());

    let day = |day: u32| origin + TimeDelta::days(day.into());
    let freezes: [Frozen; 2] = [(day(100), day(104), true), (day(200), day(207), false)];
    for tick in 0..TICKS {
        tokio::time::sleep_until(clock.start + TEN_MINUTES * tick).await;
        let decree = match clock.now() {
            now if now == day(100) => Decree::Freeze { playbooks: vec![], until: day(104), reason: "fair".into() },
            now if now == day(200) => {
                let playbooks = cases.iter().filter(|(case, _)| case.frozen).map(|(case, _)| case.name.clone()).collect();
                Decree::Freeze { playbooks, until: day(215), reason: "move".into() }
            }
            // It ends earlier than it was ordered to.
            now if now == day(207) => Decree::Thaw { freeze: 2, reason: "moved".into() },
            _ => Decree::Ack { rotation: keyroll::ids::RotationId::new("none"), reason: None },
        };
        if !matches!(decree, Decree::Ack { .. }) {
            ledger.decree(clock.now(), "ann", decree).await.unwrap();
        }
        batch.tick().await.unwrap();
    }
    assert_eq!(*fleet.troubles.lock().unwrap(), Vec::<String>::new());

    let rotations = ledger.rotations();
    let mut count = 0;
    for (case, sim) in &cases {
        let mine: Vec<_> = rotations.iter().filter(|rotation| rotation.plan.name == case.name).collect();
        count += mine.len();
        let outside = sim.lock();
        for (at, effect) in &outside.effects {
            assert!(may(case, &freezes, *at), "{}: {effect} at {at}, outside its window or in a freeze", case.name);
        }
        // One key a rotation, one rotation at a time, and all but the last are over.
        assert_eq!(outside.keys.len(), mine.len() + 1, "{}", case.name);
        for pair in mine.windows(2) {
            assert_eq!(pair[0].state.ended(), Some(End::Done), "{}", case.name);
            assert!(pair[0].last < pair[1].began, "{}", case.name);
        }
        // Each key was replaced when it was due: not more than 5 % early, and at the first opening after it was.
        let until = day(365);
        for (place, (key, made, _)) in outside.keys.iter().enumerate() {
            let (earliest, latest) = match (case.every, case.lives) {
                (Some(every), _) => (*made + every - (every / 20).min(TimeDelta::days(1)), *made + every),
                // A quarter of its 40 days, at most a week, and its own waits.
                (None, Some(lives)) => (*made + lives - TimeDelta::days(9), *made + lives - TimeDelta::days(7)),
                (None, None) => unreachable!(),
            };
            // Where the window was just over when it became due.
            let latest = opening(case, &freezes, latest) + TimeDelta::hours(2);
            match mine.get(place) {
                Some(next) => {
                    assert!(next.began >= earliest, "{key}: rotated at {}, not due before {earliest}", next.began);
                    assert!(next.began <= latest, "{key}: rotated at {}, late after {latest}", next.began);
                }
                None => assert!(latest > until, "{key}: was due at {latest} and never rotated"),
            }
        }
    }
    assert!(count > 1000, "a year is more than {count} rotations");
    // Looking on writes nothing: what there is comes from rotations that had something to do.
    let records = ledger.records();
    assert!(records < count * 45, "{records} records of {count} rotations");
    let took = began.elapsed();
    figure("a year of `run --due`", format!("{count} rotations, {records} records"));
    assert!(took < Duration::from_secs(120), "{took:?}");
}
