//! The driver over a world in memory: every way out, with a fault at every call and a death around every record.

#[path = "../common/figure.rs"]
mod figure;
mod found;
mod spend;
mod waits;
mod world;

use figure::figure;
use std::time::Duration;

use keyroll::{
    driver::{Halt, Overrides, Runner, drive, preflight},
    ids::{InstanceId, RotationId},
    playbook::Playbook,
    ports::{Clock, Journal, Note, Opening, World},
    protocol::{Answer, Ask, End, Event, Refusal, Why},
    record::{Detail, Waiver},
    retry::Patience,
    rotation::Rotation,
    sight::Blind,
};
use tokio_util::sync::CancellationToken;
use world::{Fault, Ledger, Paused, Sim, book, origin};

const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    sim: Sim,
    book: Playbook,
    world: World,
    ledger: Ledger,
    clock: Paused,
    patience: Duration,
}

impl Bench {
    fn new(extra: &str) -> Self {
        let sim = Sim::new(5);
        sim.lock().switches = extra.contains("disable_for");
        let start = tokio::time::Instant::now();
        let clock = Paused { origin: origin(), start };
        sim.lock().start = Some(start);
        sim.lock().tells_use = extra.contains("idle_for");
        Self { world: sim.world(), sim, book: book(extra), ledger: Ledger::default(), clock, patience: 100 * HOUR }
    }

    async fn open(&self) {
        let overrides = Overrides {
            install: false,
            replace: false,
            old_key_id: None,
            salt: self.ledger.salt().to_vec(),
            journal: None,
            adopted: Vec::new(),
            known: None,
        };
        let plan = preflight(&self.world, &self.book, &self.clock, &overrides).await.unwrap();
        let opening = Opening {
            rotation: RotationId::new("r1"),
            name: "sim",
            identities: &[],
            seen: None,
            event: Event::Planned,
            detail: Detail::Planned(Box::new(plan)),
            then: None,
            at: self.clock.now(),
        };
        self.ledger.open(opening).await.unwrap();
    }

    fn rotation(&self) -> Rotation {
        Rotation::fold(&self.ledger.records.lock().unwrap()).unwrap()
    }

    /// Takes the rotation over and drives it, as a new process would.
    async fn go(&self) -> Result<Rotation, Halt> {
        let mut lease = self.ledger.take(&RotationId::new("r1")).await?;
        let mut rotation = self.rotation();
        let record = self.ledger.append(&mut lease, self.clock.now(), Event::Resumed, Detail::Nothing, false).await?;
        rotation.add(&record)?;
        let stop = CancellationToken::new();
        let runner = Runner {
            world: &self.world,
            book: &self.book,
            journal: &self.ledger,
            clock: &self.clock,
            gate: &keyroll::ports::AlwaysOpen,
            stop: &stop,
            patience: Patience::default(),
            longest_wait: self.patience,
            handed: None,
        };
        drive(&runner, &mut Blind, &mut rotation, &mut lease).await?;
        Ok(rotation)
    }

    /// Resumes after each death until it is over or held.
    async fn to_the_end(&self, story: &str) -> Rotation {
        for _ in 0..20 {
            let rotation = self.rotation();
            if rotation.state.ended().is_some() {
                return rotation;
            }
            match self.go().await {
                Ok(rotation) => return rotation,
                Err(Halt::Journal(_) | Halt::Outside(_)) => {}
                Err(halt) => panic!("{story}: {halt}"),
            }
        }
        panic!("{story}: never ends")
    }
}

const PLAIN: &str = "verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h }\n";
const DISABLES: &str = "verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h, disable_for: 2h, watch: 1m }\n";

/// A clock that jumps can only lengthen a wait: of all clocks the one that says the least has passed is believed.
#[tokio::test(start_paused = true)]
async fn a_wait_is_over_only_by_the_journals_clock_too() {
    let mut bench = Bench::new(PLAIN);
    bench.ledger.slow_clock = Some(tokio::time::Instant::now());
    bench.open().await;
    let rotation = bench.to_the_end("a slow clock").await;
    assert_eq!(rotation.state.ended(), Some(End::Done));
    assert!(rotation.waiting.unwrap().journal_since.is_some());
    assert!(bench.clock.steady() >= 2 * HOUR, "by our own clocks half of the wait was enough");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_rotation_is_done() {
    for extra in [PLAIN, DISABLES] {
        let bench = Bench::new(extra);
        bench.open().await;
        let rotation = bench.to_the_end(extra).await;
        assert_eq!(rotation.state.ended(), Some(End::Done));
        bench.sim.assert_clean(extra);
        assert_eq!(bench.sim.lock().creates, 1);
        assert!(bench.clock.steady() >= HOUR, "the grace was waited for");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_follows_rolls_back() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().instances[3].stuck = true;
    let rotation = bench.to_the_end("stuck").await;
    assert_eq!(rotation.state.ended(), Some(End::RolledBack));
    assert_eq!(bench.sim.lock().versions.last().unwrap(), "value-0");
    bench.sim.assert_clean("stuck");
}

/// A provider that cannot be asked has neither accepted nor refused the old key: nothing for a person to decide.
#[tokio::test(start_paused = true)]
async fn an_outage_during_the_proof_of_death_holds_nobody_up() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().cut_off = true;
    assert!(matches!(bench.go().await, Err(Halt::Outside(failure)) if failure.to_string() == "no answer in time"));
    assert_eq!(bench.rotation().state.held, None);
    bench.sim.lock().cut_off = false;
    assert_eq!(bench.to_the_end("the provider is back").await.state.ended(), Some(End::Done));
    bench.sim.assert_clean("cut off");
}

#[tokio::test(start_paused = true)]
async fn with_hold_a_person_decides() {
    let bench = Bench::new("verify: { within: 5m, stable_for: 10s, on_timeout: hold }\n");
    bench.open().await;
    bench.sim.lock().instances[3].stuck = true;
    let rotation = bench.to_the_end("hold").await;
    assert_eq!(rotation.state.held, Some(Why::NotVerified));
    assert_eq!(rotation.missing.len(), 1, "the one that is missing is named");

    bench.sim.lock().instances[3].stuck = false;
    ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("hold").await.state.ended(), Some(End::Done));
    bench.sim.assert_clean("hold");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_for_good_can_be_waived() {
    let bench = Bench::new("verify: { within: 5m, stable_for: 10s, on_timeout: hold }\n");
    bench.open().await;
    bench.sim.lock().instances.pop();
    assert_eq!(bench.to_the_end("gone").await.state.held, Some(Why::NotVerified), "four of five are not enough");
    let waiver = Waiver { consumer: "api".into(), instance: Some(InstanceId::new("4")) };
    let mut lease = bench.ledger.take(&RotationId::new("r1")).await.unwrap();
    let person = Detail::Person { by: "ada".into(), reason: None, playbook: None, waiver: Some(waiver) };
    bench.ledger.append(&mut lease, bench.clock.now(), Event::Resumed, Detail::Nothing, false).await.unwrap();
    // Said twice, it still excuses one.
    for _ in 0..2 {
        bench.ledger.append(&mut lease, bench.clock.now(), Event::Asked(Ask::Waive), person.clone(), false).await.unwrap();
    }
    ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("waived").await.state.ended(), Some(End::Done));
    bench.sim.assert_clean("waived");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_falls_ill_on_the_new_key_rolls_back_at_once() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().instances[1].ill_on_new = true;
    let rotation = bench.go().await.unwrap();
    assert_eq!(rotation.state.ended(), Some(End::RolledBack));
    let records = bench.ledger.records.lock().unwrap().clone();
    let bad = records.iter().position(|record| matches!(record.event, Event::Saw(_, Answer::Bad))).unwrap();
    let took = records[bad].at - records[bad - 1].at;
    assert!(took < chrono::TimeDelta::minutes(1), "it did not wait for the deadline, but took {took}");
    bench.sim.assert_clean("ill");
}

#[tokio::test(start_paused = true)]
async fn a_dead_old_key_is_never_written_back() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().instances[3].stuck = true;
    // Somebody deletes the old key by hand while the rotation waits for the straggler.
    bench.sim.lock().keys.get_mut("key-0").unwrap().alive = false;
    let rotation = bench.to_the_end("deleted by hand").await;
    assert_eq!(rotation.state.held, Some(Why::Refused(Refusal::Gone)));
    let outside = bench.sim.lock();
    assert_eq!(outside.versions.last().unwrap(), "value-1", "the stores keep the key that works");
    assert!(outside.keys["key-1"].alive, "and it is not deleted");
}

#[tokio::test(start_paused = true)]
async fn the_old_value_is_found_at_the_version_that_the_promote_wrote_over() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    // A foreign write of another field after the plan; the version that the plan saw is kept no longer.
    bench.sim.lock().versions.push("value-0".into());
    bench.sim.lock().forgotten.push("1".into());
    bench.sim.lock().instances[3].stuck = true;
    let rotation = bench.to_the_end("moved on").await;
    assert_eq!(rotation.state.ended(), Some(End::RolledBack));
    bench.sim.assert_clean("moved on");
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_write_between_plan_and_promote_ends_cleanly_and_stays() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().versions.push("value-theirs".into());
    bench.sim.lock().instances.clear();
    let rotation = bench.to_the_end("theirs").await;
    assert_eq!(rotation.state.ended(), Some(End::Aborted));
    let outside = bench.sim.lock();
    assert_eq!(outside.versions.last().unwrap(), "value-theirs", "their value is never written over");
    assert!(!outside.keys["key-1"].alive, "our key is gone");
    assert!(outside.keys["key-0"].alive, "and the old one is not ours to judge");
}

/// A service that reports one key and uses another: only the provider's own figures tell.
#[tokio::test(start_paused = true)]
async fn an_instance_that_lies_is_found_by_the_idle_gate() {
    const ASKS: &str = "verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h, idle_for: 2h }\n";
    let honest = Bench::new(ASKS);
    honest.open().await;
    assert_eq!(honest.to_the_end("honest").await.state.ended(), Some(End::Done));
    honest.sim.assert_clean("honest");
    assert!(honest.clock.steady() >= 2 * HOUR, "the old key was seen to be idle for as long as asked");

    let bench = Bench::new(ASKS);
    bench.open().await;
    bench.sim.lock().instances[2].lies = true;
    let rotation = bench.to_the_end("a liar").await;
    assert_eq!(rotation.state.held, Some(Why::StillUsed));
    let outside = bench.sim.lock();
    assert!(outside.keys["key-0"].alive, "the key that it really uses is alive");
    assert_eq!(outside.served_dead, Vec::<String>::new());
}

/// Our clock jumps ahead by half a day; the store's does not.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_does_not_make_a_key_idle() {
    let mut bench = Bench::new("verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h, idle_for: 4h }\n");
    bench.patience = Duration::from_secs(60);
    bench.sim.lock().tells_time = true;
    bench.open().await;
    bench.go().await.unwrap();
    tokio::time::sleep(HOUR).await;
    bench.clock.origin += 12 * HOUR;
    let parked = bench.go().await.unwrap();
    assert_eq!((parked.state.ended(), parked.state.held), (None, None), "idle for an hour is not idle for four");
    while bench.rotation().state.ended().is_none() {
        tokio::time::sleep(HOUR).await;
        bench.go().await.unwrap();
    }
    assert_eq!(bench.rotation().state.ended(), Some(End::Done));
    assert!(bench.clock.steady() >= 4 * HOUR);
    bench.sim.assert_clean("jumped");
}

#[tokio::test(start_paused = true)]
async fn not_found_is_believed_only_where_the_listing_agrees() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().fault = Some((2, Fault::NotFound));
    let rotation = bench.to_the_end("a wrong address").await;
    assert_eq!(rotation.state.held, Some(Why::Refused(Refusal::Invalid)), "the delete said 404, and the key is still listed");
    ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("mended").await.state.ended(), Some(End::Done));
    bench.sim.assert_clean("mended");
}

#[tokio::test(start_paused = true)]
async fn long_waits_are_parked_and_a_takeover_does_not_start_them_anew() {
    let mut bench = Bench::new(PLAIN);
    bench.patience = Duration::from_secs(60);
    bench.open().await;
    let parked = bench.go().await.unwrap();
    assert_eq!((parked.state.ended(), parked.state.held), (None, None));
    let waiting = parked.waiting.unwrap();
    assert_eq!(waiting.lasts, HOUR);
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.go().await.unwrap().state.ended(), Some(End::Done));
    bench.sim.assert_clean("parked");
}

#[tokio::test(start_paused = true)]
async fn a_person_can_go_back_until_the_point_of_no_return() {
    let mut bench = Bench::new(PLAIN);
    bench.patience = Duration::from_secs(60);
    bench.open().await;
    bench.go().await.unwrap();
    let person = Detail::Person { by: "ada".into(), reason: None, playbook: None, waiver: None };
    bench.ledger.leave(&RotationId::new("r1"), Note { event: Event::Asked(Ask::Rollback), detail: person }).await.unwrap();
    bench.patience = HOUR;
    assert_eq!(bench.to_the_end("asked").await.state.ended(), Some(End::RolledBack));
    bench.sim.assert_clean("asked");
}

/// Dies before and after every record, once each; and again with a disable.
#[tokio::test(start_paused = true)]
async fn a_death_around_any_record_leaves_nothing_behind() {
    let mut deaths = 0;
    for extra in [PLAIN, DISABLES] {
        for after in [false, true] {
            for at in 1.. {
                let bench = Bench::new(extra);
                bench.open().await;
                *bench.ledger.die.lock().unwrap() = Some((at, after));
                let story = format!("death at record {at}, after the write: {after}");
                let rotation = bench.to_the_end(&story).await;
                assert!(matches!(rotation.state.ended(), Some(End::Done | End::RolledBack)), "{story}: {:?}", rotation.state);
                bench.sim.assert_clean(&story);
                if bench.ledger.die.lock().unwrap().is_some() {
                    break;
                }
                deaths += 1;
            }
        }
    }
    figure("driver, deaths", format!("{deaths}, one before and one after each record"));
    assert!(deaths > 60, "{deaths} deaths only: the records are fewer than they were");
}

/// Every mutating call in turn is lost, refused, or the process dies around it.
#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_leaves_nothing_behind() {
    let mut faults = 0;
    for extra in [PLAIN, DISABLES] {
        for fault in [Fault::LostAfter, Fault::LostBefore, Fault::CrashBefore, Fault::CrashAfter, Fault::Refused] {
            for at in 0.. {
                let bench = Bench::new(extra);
                bench.open().await;
                bench.sim.lock().fault = Some((at, fault));
                let story = format!("{fault:?} at call {at}");
                let mut rotation = crashing(&bench, &story).await;
                if rotation.state.held.is_some() {
                    ask(&bench, Ask::GoOn).await;
                    rotation = bench.to_the_end(&story).await;
                }
                assert!(rotation.state.ended().is_some(), "{story}: {:?}", rotation.state);
                bench.sim.assert_clean(&story);
                if bench.sim.lock().calls <= at {
                    break;
                }
                faults += 1;
            }
        }
    }
    figure("driver, faults", format!("{faults}, one at each call"));
    assert!(faults >= 30);
}

/// A crash inside a call ends the process: nothing after it is journaled.
async fn crashing(bench: &Bench, story: &str) -> Rotation {
    loop {
        let death = bench.sim.lock().death.clone();
        let dying = death.notified();
        let before = bench.ledger.records.lock().unwrap().len();
        let outcome = tokio::select! { biased; () = dying => None, rotation = bench.to_the_end(story) => Some(rotation) };
        if let Some(rotation) = outcome {
            return rotation;
        }
        // What the dying process wrote after the crash never happened.
        let mut records = bench.ledger.records.lock().unwrap();
        let crash = records.iter().enumerate().skip(before).find(|(_, record)| matches!(record.event, Event::Lost(_))).map(|(at, _)| at);
        if let Some(at) = crash {
            records.truncate(at);
        }
    }
}

async fn ask(bench: &Bench, ask: Ask) {
    let mut lease = bench.ledger.take(&RotationId::new("r1")).await.unwrap();
    bench.ledger.append(&mut lease, bench.clock.now(), Event::Resumed, Detail::Nothing, false).await.unwrap();
    bench.ledger.append(&mut lease, bench.clock.now(), Event::Asked(ask), Detail::Nothing, false).await.unwrap();
}
