//! The rules one by one.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use keyroll::{
    batch::{Batch, Manner, Tick},
    playbook::{Playbook, Source},
    ports::{Clock, Gate, Journal},
    protocol::End,
    record::{Decree, Decreed, SCHEMA},
    retry::Patience,
    schedule::{Cause, Due, Key, Past, Queued, Terms, Times, Urgency, due, freezes, lacks, outlived},
};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::world::{Fleet, Ledger, Paused, Sim, book};

const DAY: Duration = Duration::from_secs(86_400);

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn origin() -> DateTime<Utc> {
    at("2026-01-05T00:00:00Z")
}

fn decreed(seq: u64, decree: Decree) -> Decreed {
    Decreed { schema: SCHEMA, seq, at: origin(), by: "ann".into(), decree }
}

fn freeze(seq: u64, playbooks: &[&str], until: &str) -> Decreed {
    let playbooks = playbooks.iter().map(|name| (*name).to_owned()).collect();
    decreed(seq, Decree::Freeze { playbooks, until: at(until), reason: "fair".into() })
}

fn plain(key: &Key, every: Option<Duration>) -> Due {
    let terms = Terms { name: "a", every, needs: Duration::from_secs(3600) };
    due(&terms, key, &Past::default(), None, &Times::of("a", None, &[]))
}

#[test]
fn the_gate_opens_when_the_window_and_all_freezes_do() {
    let window = "Mon-Thu 09:00-16:00 Europe/Berlin".parse().ok();
    let decrees = [
        freeze(1, &[], "2026-01-06T00:00:00Z"),
        freeze(2, &["a"], "2026-01-08T20:00:00Z"),
        freeze(3, &["other"], "2026-03-01T00:00:00Z"),
        freeze(4, &[], "2026-04-01T00:00:00Z"),
        decreed(5, Decree::Thaw { freeze: 4, reason: "enough".into() }),
    ];
    let times = Times::of("a", window, &freezes(&decrees));
    // Thursday evening, then a weekend from Friday on.
    let closed = times.closed(at("2026-01-05T10:00:00Z")).expect("closed");
    assert_eq!(closed.until, at("2026-01-12T08:00:00Z"));
    assert!(closed.why.contains("freeze 1") && closed.why.contains("freeze 2") && !closed.why.contains("freeze 3"), "{}", closed.why);
    assert_eq!(times.closed(at("2026-01-12T08:00:00Z")), None);
    let night = times.closed(at("2026-01-12T20:00:00Z")).expect("closed");
    assert_eq!(night.why, "outside its window, Mon-Thu 09:00-16:00 Europe/Berlin");
    // A freeze that is ordered while the gate is in use.
    times.renew(&freezes(&[freeze(1, &[], "2026-02-01T00:00:00Z")]));
    assert_eq!(times.closed(at("2026-01-12T08:00:00Z")).map(|closed| closed.until), Some(at("2026-02-02T08:00:00Z")));
}

#[test]
fn a_key_is_due_by_its_age_or_its_expiry_whichever_comes_first() {
    let made = Some(origin());
    let aged = plain(&Key { made, ..Key::default() }, Some(90 * DAY));
    assert_eq!(aged.cause, Cause::Age);
    let limit = origin() + 90 * DAY;
    assert!(aged.at.unwrap() <= limit && aged.at.unwrap() >= limit - DAY, "{aged:?}");
    assert_eq!(aged.safe_until, Some(limit));
    let expiring = plain(&Key { made, expires: Some(origin() + 40 * DAY), ..Key::default() }, Some(90 * DAY));
    assert_eq!(expiring.cause, Cause::Expiry);
    assert!(expiring.at.unwrap() <= origin() + 33 * DAY, "{expiring:?}");
    let unknown = plain(&Key::default(), Some(90 * DAY));
    assert_eq!((&unknown.cause, unknown.at, unknown.urgency(origin())), (&Cause::AgeUnknown, None, Urgency::Due));
    assert_eq!(plain(&Key { made, ..Key::default() }, None).cause, Cause::NeverDue);
}

#[test]
fn urgency_rises_from_fine_to_overdue() {
    let due = plain(&Key { made: Some(origin()), ..Key::default() }, Some(90 * DAY));
    let limit = origin() + 90 * DAY;
    for (when, urgency) in
        [(limit - 20 * DAY, Urgency::Fine), (limit - 5 * DAY, Urgency::Soon), (limit, Urgency::Due), (limit + DAY, Urgency::Overdue)]
    {
        assert_eq!(due.urgency(when), urgency, "{when}");
    }
    // Close to its expiry it is overdue, whatever its age.
    let due = plain(&Key { made: Some(origin()), expires: Some(origin() + 40 * DAY), ..Key::default() }, None);
    assert_eq!(due.urgency(origin() + 38 * DAY), Urgency::Overdue);
}

#[test]
fn a_queued_playbook_is_due_until_a_rotation_that_began_later_is_done() {
    let key = Key { made: Some(origin()), ..Key::default() };
    let terms = Terms { name: "a", every: Some(90 * DAY), needs: Duration::ZERO };
    let queued = Queued { at: origin() + DAY, reason: "bob left".into() };
    let due = |past: &Past| due(&terms, &key, past, Some(&queued), &Times::of("a", None, &[]));
    let now = due(&Past::default());
    assert_eq!((now.at, now.cause), (Some(queued.at), Cause::Queued("bob left".into())));
    let before = Past { renewed: Some(origin()), ..Past::default() };
    assert_eq!(due(&before).at, Some(queued.at));
    let after = Past { renewed: Some(origin() + DAY * 2), ..Past::default() };
    assert_eq!(due(&after).cause, Cause::Age);
    // One that was rolled back is not what was asked for; it is tried again, not at once.
    let failed = Past { failed: 1, failed_at: Some(origin() + 2 * DAY), ..before };
    assert_eq!(due(&failed).begins, Some(origin() + 2 * DAY + Duration::from_secs(3600)));
}

#[test]
fn a_freeze_beyond_the_expiry_is_known() {
    let freezes = freezes(&[freeze(1, &["a"], "2026-02-01T00:00:00Z")]);
    let expires = |text: &str| Key { expires: Some(at(text)), ..Key::default() };
    assert!(outlived(&freezes[0], "a", &expires("2026-01-20T00:00:00Z")));
    assert!(!outlived(&freezes[0], "a", &expires("2026-03-01T00:00:00Z")));
    assert!(!outlived(&freezes[0], "b", &expires("2026-01-20T00:00:00Z")));
}

#[test]
fn a_good_name_carries_application_environment_and_month() {
    for (name, extra, lacking) in [
        ("inference-production", "", vec![]),
        ("inference", "", vec!["environment"]),
        ("inference-prod", "labels: { env: production }", vec![]),
        ("inference-prod", "labels: { env: blue }", vec!["environment"]),
        ("prod", "", vec!["application"]),
        ("inference-prod", "key_name: \"{name}\"", vec!["month"]),
        ("inference", "key_name: \"key-{yyyy}\"", vec!["application", "environment", "month"]),
    ] {
        assert_eq!(lacks(&book(name, extra)), lacking, "{name} {extra}");
    }
}

proptest! {
    /// A name only ever brings it forward: by 5 % at most, and by a day at most.
    #[test]
    fn a_fleet_is_spread_forward(name in "[a-z-]{1,20}", days in 1_u32..400) {
        let terms = Terms { name: &name, every: Some(DAY * days), needs: Duration::ZERO };
        let key = Key { made: Some(origin()), ..Key::default() };
        let due = due(&terms, &key, &Past::default(), None, &Times::of(&name, None, &[]));
        let (at, limit) = (due.at.unwrap(), origin() + DAY * days);
        prop_assert!(at <= limit && at >= limit - (DAY * days / 20).min(DAY), "{at} {limit}");
        prop_assert_eq!(due.begins, due.at);
    }
}

/// A playbook with one text in place of another.
fn edited(name: &str, from: &str, to: &str) -> Playbook {
    let text = book(name, "every: 90d").source.text.replace(from, to);
    Playbook::parse(Arc::new(Source { name: format!("{name}.yaml"), text })).unwrap()
}

/// One playbook, its key made 100 days ago.
struct Bench {
    clock: Paused,
    fleet: Fleet,
    ledger: Ledger,
    sim: Sim,
    stop: CancellationToken,
}

impl Bench {
    fn new(extra: &str) -> Self {
        let clock = Paused { origin: origin(), start: tokio::time::Instant::now() };
        let sim = Sim::new(clock, "a", origin() - DAY * 100, None);
        let mut fleet = Fleet::default();
        fleet.add(book("a", extra), sim.clone());
        Self { clock, fleet, ledger: Ledger::default(), sim, stop: CancellationToken::new() }
    }

    fn add(&mut self, name: &str, extra: &str) -> Sim {
        let sim = Sim::new(self.clock, name, origin() - DAY * 99, None);
        self.fleet.add(book(name, extra), sim.clone());
        sim
    }

    /// What one `run --due` of a new process does.
    async fn tick(&self) -> Tick {
        self.tick_as(false).await
    }

    async fn tick_as(&self, keep_going: bool) -> Tick {
        let manner = Manner { longest_wait: Duration::ZERO, patience: Patience::default(), keep_going };
        Batch::new(&self.ledger, &self.clock, &self.fleet, &self.stop, manner, self.fleet.items()).tick().await.unwrap()
    }

    async fn later(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn what_has_nothing_to_do_is_not_taken_over() {
    let bench = Bench::new("every: 90d");
    let tick = bench.tick().await;
    assert_eq!((tick.outcomes.len(), tick.outcomes[0].code), (1, 6), "{tick:?}");
    let records = bench.ledger.records();
    for _ in 0..2 {
        bench.later(10 * MINUTE).await;
        assert_eq!(bench.tick().await.outcomes[0].code, 6);
    }
    assert_eq!(bench.ledger.records(), records, "nothing was written while it waited");
    bench.later(10 * MINUTE).await;
    let done = bench.tick().await;
    assert_eq!((done.outcomes[0].code, done.outcomes[0].what.as_str()), (0, "rotated"));
    let idle = bench.tick().await;
    assert_eq!(idle.outcomes, []);
    assert!(idle.next.is_some_and(|(name, at)| name == "a" && at > bench.clock.now() + 80 * DAY));
}

#[tokio::test(start_paused = true)]
async fn an_open_rotation_goes_on_without_its_playbook_and_waits_at_a_closed_gate() {
    let mut bench = Bench::new("every: 90d\nwindow: \"Mon 00:00-00:20 UTC\"");
    bench.tick().await;
    bench.later(30 * MINUTE).await;
    // The wait is over, and the window too: one visit writes that down, the next ones nothing.
    bench.tick().await;
    let records = bench.ledger.records();
    for _ in 0..10 {
        bench.later(10 * MINUTE).await;
        let tick = bench.tick().await;
        assert!(tick.outcomes[0].code == 6 && tick.outcomes[0].what.contains("outside its window"), "{tick:?}");
    }
    assert_eq!(bench.ledger.records(), records);
    bench.later(6 * DAY + 22 * 60 * MINUTE).await;
    let items = std::mem::take(&mut bench.fleet);
    let none: Vec<_> = Vec::new();
    let manner = Manner { longest_wait: Duration::ZERO, patience: Patience::default(), keep_going: false };
    let tick = Batch::new(&bench.ledger, &bench.clock, &items, &bench.stop, manner, none).tick().await.unwrap();
    assert_eq!(tick.outcomes[0].what, "rotated", "{tick:?}");
}

#[tokio::test(start_paused = true)]
async fn after_one_that_goes_back_no_other_begins_unless_asked_to() {
    let mut bench = Bench::new("every: 90d");
    let other = bench.add("b", "every: 90d");
    bench.sim.lock().stuck = true;
    let tick = bench.tick().await;
    assert_eq!(tick.outcomes.len(), 2, "{tick:?}");
    assert!(tick.outcomes[1].what.contains("a went wrong"), "{tick:?}");
    assert_eq!(other.lock().effects, []);
    // The next tick is another batch: the failure is known, and not new.
    bench.later(10 * MINUTE).await;
    bench.tick().await;
    assert!(!other.lock().effects.is_empty());
}

#[tokio::test(start_paused = true)]
async fn keep_going_begins_others_too_and_a_failed_one_is_not_begun_again_at_once() {
    let mut bench = Bench::new("every: 90d");
    let other = bench.add("b", "every: 90d");
    bench.sim.lock().stuck = true;
    bench.tick_as(true).await;
    assert!(!other.lock().effects.is_empty());
    for _ in 0..6 {
        bench.later(10 * MINUTE).await;
        bench.tick().await;
    }
    let rolled: Vec<_> = bench.ledger.rotations().into_iter().filter(|rotation| rotation.plan.name == "a").collect();
    assert_eq!(rolled.iter().map(|rotation| rotation.state.ended()).collect::<Vec<_>>(), [Some(End::RolledBack)]);
    bench.sim.lock().stuck = false;
    bench.later(60 * MINUTE).await;
    bench.tick().await;
    assert_eq!(bench.ledger.rotations().iter().filter(|rotation| rotation.plan.name == "a").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_held_rotation_is_told_and_never_answered() {
    let mut bench = Bench::new("");
    bench.fleet = Fleet::default();
    bench.fleet.add(edited("a", "within: 1m,", "within: 1m, on_timeout: hold,"), bench.sim.clone());
    bench.sim.lock().stuck = true;
    assert_eq!(bench.tick().await.outcomes[0].code, 3);
    let records = bench.ledger.records();
    bench.sim.lock().stuck = false;
    bench.later(DAY).await;
    let tick = bench.tick().await;
    assert_eq!(tick.outcomes[0].code, 3);
    assert!(tick.outcomes[0].next.as_ref().is_some_and(|next| next.contains("--reason")), "{tick:?}");
    assert_eq!(bench.ledger.records(), records);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_another_runner_drives_is_said_and_is_no_error() {
    let bench = Bench::new("every: 90d");
    bench.tick().await;
    bench.later(30 * MINUTE).await;
    let id = bench.ledger.rotations()[0].id.clone();
    let lease = bench.ledger.take(&id).await.unwrap();
    let tick = bench.tick().await;
    assert_eq!((tick.outcomes[0].code, tick.outcomes[0].what.as_str()), (6, "another keyroll is driving it"));
    drop(lease);
    assert_eq!(bench.tick().await.outcomes[0].what, "rotated");
}

#[tokio::test(start_paused = true)]
async fn two_playbooks_of_one_service_do_not_change_it_at_once() {
    for (hold, begins) in [(false, true), (true, false)] {
        let mut bench = Bench::new("");
        bench.fleet = Fleet::default();
        bench.fleet.add(edited("a", "within: 1m,", "within: 1m, on_timeout: hold,"), bench.sim.clone());
        let other = Sim::new(bench.clock, "b", origin() - DAY * 99, None);
        bench.fleet.add(edited("b", "b:1", "a:1"), other.clone());
        bench.sim.lock().stuck = hold;
        bench.tick_as(true).await;
        bench.later(10 * MINUTE).await;
        let tick = bench.tick().await;
        // Once `a` has proved its key and only waits, `b` may; while it is held half-way, `b` may not.
        assert_eq!(!other.lock().effects.is_empty(), begins, "{tick:?}");
        assert_eq!(tick.outcomes.iter().any(|one| one.what.contains("the same service")), !begins, "{tick:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_unknown_age_is_never_due_by_itself() {
    let bench = Bench::new("every: 90d");
    bench.sim.lock().tells = false;
    let tick = bench.tick().await;
    assert_eq!((tick.outcomes, tick.unknown), (vec![], vec!["a".to_owned()]));
    bench.ledger.decree(bench.clock.now(), "ann", Decree::Queued { playbook: "a".into(), reason: "bob left".into() }).await.unwrap();
    assert_eq!(bench.tick().await.outcomes.len(), 1, "queued, it is rotated all the same");
}

/// A freeze that is ordered while a rotation is being driven holds for its next step.
#[tokio::test(start_paused = true)]
async fn a_freeze_holds_within_seconds() {
    let bench = Bench::new("every: 90d");
    let until = bench.clock.now() + DAY;
    let order = async {
        bench.later(Duration::from_secs(10)).await;
        bench.ledger.decree(bench.clock.now(), "ann", Decree::Freeze { playbooks: vec![], until, reason: "fair".into() }).await.unwrap();
    };
    let manner = Manner { longest_wait: 60 * MINUTE, patience: Patience::default(), keep_going: false };
    let mut batch = Batch::new(&bench.ledger, &bench.clock, &bench.fleet, &bench.stop, manner, bench.fleet.items());
    let (tick, ()) = tokio::join!(batch.tick(), order);
    let tick = tick.unwrap();
    assert!(tick.outcomes[0].what.contains("freeze 1"), "{tick:?}");
    assert!(bench.ledger.rotations()[0].gated.is_some());
    assert!(bench.sim.lock().effects.iter().all(|(_, effect)| *effect != "delete"), "it stands before the deletion");
}
