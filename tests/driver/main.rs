//! The driver over a world in memory: every way out, with a fault at every call and a death around every record.

mod waits;
#[path = "../common/world/mod.rs"]
mod world;

use std::time::Duration;

use chrono::TimeDelta;
use keyroll::{
    batch,
    driver::{Halt, Overrides, Runner, drive, preflight},
    ids::{InstanceId, KeyId, RotationId},
    playbook::Playbook,
    ports::{Clock, Journal, Note, Opening},
    protocol::{Answer, Ask, End, Event, Kind, Refusal, Why},
    record::{Detail, Waiver},
    retry::Patience,
    rotation::Rotation,
    sight::Blind,
};
use tokio_util::sync::CancellationToken;
use world::{
    Sim,
    book::book,
    facts::{By, Fact, Origin},
    fault::{Call, Fault, Op},
    oracle::{Setting, judge},
    process::Process,
};

const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    sim: Sim,
    book: Playbook,
    patience: Duration,
}

impl Bench {
    fn new(extra: &str) -> Self {
        let sim = Sim::new(5);
        let mut outside = sim.lock();
        outside.issuer.switches = extra.contains("disable_for");
        outside.issuer.tells_use = extra.contains("idle_for");
        for (number, copy) in outside.services[0].copies.iter_mut().enumerate() {
            copy.every = Some(Duration::from_secs(2 * (number as u64 % 3)));
        }
        drop(outside);
        Self { sim, book: book(extra), patience: 100 * HOUR }
    }

    async fn open(&self) {
        let process = self.sim.process(0);
        let overrides = Overrides { salt: process.salt().to_vec(), ..Overrides::default() };
        let plan = preflight(&process.world(), &self.book, &process, &overrides).await.unwrap();
        let opening = Opening {
            rotation: RotationId::new("r1"),
            name: "sim",
            identities: &[],
            event: Event::Planned,
            detail: Detail::Planned(Box::new(plan)),
            at: process.now(),
        };
        process.open(opening).await.unwrap();
    }

    fn rotation(&self) -> Rotation {
        self.sim.ledger.rotations().remove(0)
    }

    /// Takes the rotation over and drives it, as a new process would; how it stands then, also if that process was killed.
    async fn go(&self) -> Result<Rotation, Halt> {
        let process = self.sim.process(0);
        match process.lives(self.driven(&process)).await {
            Some(Err(halt)) => Err(halt),
            Some(Ok(())) | None => Ok(self.rotation()),
        }
    }

    async fn driven(&self, process: &Process) -> Result<(), Halt> {
        let taken = batch::take(process, process, &RotationId::new("r1"), &mut Blind).await?;
        let Some((mut rotation, mut lease)) = taken else { return Ok(()) };
        let stop = CancellationToken::new();
        let runner = Runner {
            world: &process.world(),
            book: &self.book,
            journal: process,
            clock: process,
            gate: &keyroll::ports::AlwaysOpen,
            stop: &stop,
            patience: Patience::default(),
            longest_wait: self.patience,
        };
        drive(&runner, &mut Blind, &mut rotation, &mut lease).await
    }

    /// Resumes after each death and each wait until it is over or held.
    async fn to_the_end(&self, story: &str) -> Rotation {
        for _ in 0..30 {
            let rotation = self.rotation();
            if rotation.state.ended().is_some() {
                return rotation;
            }
            match self.go().await {
                Ok(rotation) if rotation.state.ended().is_some() || rotation.state.held.is_some() => return rotation,
                Ok(parked) if self.patience.is_zero() => self.pass(parked.waiting.map_or(Duration::ZERO, |wait| wait.lasts)).await,
                Ok(_) | Err(Halt::Journal(_) | Halt::Outside(_)) => {}
                Err(halt) => panic!("{story}: {halt}"),
            }
        }
        panic!("{story}: never ends")
    }

    /// The fault for one of all calls that this picks.
    fn fault(&self, fault: Fault, picks: fn(Op) -> bool, at: usize) {
        let mut calls = 0;
        self.sim.chance(move |call: Call| {
            calls += usize::from(picks(call.op));
            if picks(call.op) && calls == at + 1 { fault } else { Fault::None }
        });
    }

    /// Whether that fault's turn came.
    fn struck(&self, fault: Fault) -> bool {
        self.sim.facts().iter().any(|(_, fact)| matches!(fact, Fact::Called { fault: struck, .. } if *struck == fault))
    }

    /// Time passes without a process.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
        drop(self.sim.lock());
    }

    /// What must hold when a rotation is over.
    fn assert_clean(&self, story: &str) {
        let setting = Setting {
            kind: Kind::Rotate,
            old: Some(0),
            proved: true,
            stores: 1,
            expected: vec![Some(5)],
            reads: vec![0],
            stale_for: Duration::ZERO,
            least: Duration::from_secs(60),
        };
        let id = |id: &KeyId| self.sim.lock().key_by_id(id.as_str());
        let facts = self.sim.facts();
        let oracle = judge(&facts, &setting, &id).unwrap_or_else(|what| panic!("{story}: {what}"));
        oracle.at_the_end(self.rotation().state.ended()).unwrap_or_else(|what| panic!("{story}: {what}"));
    }

    fn served(&self) -> Option<usize> {
        self.sim.lock().served(0)
    }

    fn alive(&self) -> Vec<usize> {
        self.sim.lock().alive()
    }
}

const PLAIN: &str = "verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h }\n";
const DISABLES: &str = "verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h, disable_for: 2h, watch: 1m }\n";

/// A clock that jumps can only lengthen a wait: of all clocks the one that says the least has passed is believed.
#[tokio::test(start_paused = true)]
async fn a_wait_is_over_only_by_the_journals_clock_too() {
    let bench = Bench::new(PLAIN);
    bench.sim.lock().journal_clock = Some(TimeDelta::zero());
    bench.sim.lock().journal_slow = true;
    bench.open().await;
    let rotation = bench.to_the_end("a slow clock").await;
    assert_eq!(rotation.state.ended(), Some(End::Done));
    assert!(rotation.waiting.unwrap().journal_since.is_some());
    assert!(bench.sim.lock().now >= 2 * HOUR, "by our own clocks half of the wait was enough");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_rotation_is_done() {
    for extra in [PLAIN, DISABLES] {
        let bench = Bench::new(extra);
        bench.open().await;
        let rotation = bench.to_the_end(extra).await;
        assert_eq!(rotation.state.ended(), Some(End::Done));
        bench.assert_clean(extra);
        assert_eq!(bench.sim.lock().issuer.keys.len(), 2);
        assert!(bench.sim.lock().now >= HOUR, "the grace was waited for");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_follows_rolls_back() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().services[0].copies[3].stuck = true;
    let rotation = bench.to_the_end("stuck").await;
    assert_eq!(rotation.state.ended(), Some(End::RolledBack));
    assert_eq!(bench.served(), Some(0));
    bench.assert_clean("stuck");
}

#[tokio::test(start_paused = true)]
async fn with_hold_a_person_decides() {
    let bench = Bench::new("verify: { within: 5m, stable_for: 10s, on_timeout: hold }\n");
    bench.open().await;
    bench.sim.lock().services[0].copies[3].stuck = true;
    let rotation = bench.to_the_end("hold").await;
    assert_eq!(rotation.state.held, Some(Why::NotVerified));
    assert_eq!(rotation.missing.len(), 1, "the one that is missing is named");

    bench.sim.lock().restart(0, 3);
    ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("hold").await.state.ended(), Some(End::Done));
    bench.assert_clean("hold");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_for_good_can_be_waived() {
    let bench = Bench::new("verify: { within: 5m, stable_for: 10s, on_timeout: hold }\n");
    bench.open().await;
    bench.sim.lock().vanish(0, 4);
    assert_eq!(bench.to_the_end("gone").await.state.held, Some(Why::NotVerified), "four of five are not enough");
    let waiver = Waiver { consumer: "service0".into(), instance: Some(InstanceId::new("4")) };
    let person = Detail::Person { by: "ada".into(), reason: None, playbook: None, waiver: Some(waiver) };
    // Said twice, it still excuses one.
    for _ in 0..2 {
        leave(&bench, Ask::Waive, person.clone()).await;
    }
    ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("waived").await.state.ended(), Some(End::Done));
    bench.assert_clean("waived");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_falls_ill_on_the_new_key_rolls_back_at_once() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().services[0].copies[1].ill_on_new = true;
    let rotation = bench.go().await.unwrap();
    assert_eq!(rotation.state.ended(), Some(End::RolledBack));
    let records = bench.sim.ledger.records(&RotationId::new("r1")).await.unwrap();
    let bad = records.iter().position(|record| matches!(record.event, Event::Saw(_, Answer::Bad))).unwrap();
    let took = records[bad].at - records[bad - 1].at;
    assert!(took < chrono::TimeDelta::minutes(1), "it did not wait for the deadline, but took {took}");
    bench.assert_clean("ill");
}

#[tokio::test(start_paused = true)]
async fn a_dead_old_key_is_never_written_back() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().services[0].copies[3].stuck = true;
    // Somebody deletes the old key by hand while the rotation waits for the straggler.
    bench.sim.lock().delete(0, By::Them);
    let rotation = bench.to_the_end("deleted by hand").await;
    assert_eq!(rotation.state.held, Some(Why::Refused(Refusal::Gone)));
    assert_eq!(bench.served(), Some(1), "the stores keep the key that works");
    assert_eq!(bench.alive(), [1], "and it is not deleted");
}

#[tokio::test(start_paused = true)]
async fn the_old_value_is_found_at_the_version_that_the_promote_wrote_over() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    // A foreign write of another field after the plan; the version that the plan saw is kept no longer.
    bench.sim.lock().touch_by_hand(0);
    bench.sim.lock().stores[0].forgotten.push(0);
    bench.sim.lock().services[0].copies[3].stuck = true;
    let rotation = bench.to_the_end("moved on").await;
    assert_eq!(rotation.state.ended(), Some(End::RolledBack));
    bench.assert_clean("moved on");
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_write_between_plan_and_promote_ends_cleanly_and_stays() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    let theirs = bench.sim.lock().make("theirs", Origin::Theirs, None);
    bench.sim.lock().write_by_hand(0, theirs);
    let rotation = bench.to_the_end("theirs").await;
    assert_eq!(rotation.state.ended(), Some(End::Aborted));
    assert_eq!(bench.served(), Some(theirs), "their value is never written over");
    assert_eq!(bench.alive(), [0, theirs], "our key is gone, and the old one is not ours to judge");
}

/// A service that reports one key and uses another: only the provider's own figures tell.
#[tokio::test(start_paused = true)]
async fn an_instance_that_lies_is_found_by_the_idle_gate() {
    const ASKS: &str = "verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h, idle_for: 2h }\n";
    let honest = Bench::new(ASKS);
    honest.open().await;
    assert_eq!(honest.to_the_end("honest").await.state.ended(), Some(End::Done));
    honest.assert_clean("honest");
    assert!(honest.sim.lock().now >= 2 * HOUR, "the old key was seen to be idle for as long as asked");

    let bench = Bench::new(ASKS);
    bench.open().await;
    bench.sim.lock().services[0].copies[2].lies = true;
    let rotation = bench.to_the_end("a liar").await;
    assert_eq!(rotation.state.held, Some(Why::StillUsed));
    assert_eq!(bench.alive(), [0, 1], "the key that it really uses is alive");
    bench.assert_clean("a liar");
}

/// Our clock jumps ahead by half a day; the store's does not.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_does_not_make_a_key_idle() {
    let mut bench = Bench::new("verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h, idle_for: 4h }\n");
    bench.patience = Duration::from_secs(60);
    bench.sim.lock().store_clock = Some(TimeDelta::zero());
    bench.open().await;
    bench.go().await.unwrap();
    bench.pass(HOUR).await;
    bench.sim.lock().wrong_by[0] = TimeDelta::hours(12);
    let parked = bench.go().await.unwrap();
    assert_eq!((parked.state.ended(), parked.state.held), (None, None), "idle for an hour is not idle for four");
    while bench.rotation().state.ended().is_none() {
        bench.pass(HOUR).await;
        bench.go().await.unwrap();
    }
    assert_eq!(bench.rotation().state.ended(), Some(End::Done));
    assert!(bench.sim.lock().now >= 4 * HOUR);
    bench.assert_clean("jumped");
}

#[tokio::test(start_paused = true)]
async fn not_found_is_believed_only_where_the_listing_agrees() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.fault(Fault::NotFound, Op::mutates, 2);
    let rotation = bench.to_the_end("a wrong address").await;
    assert_eq!(rotation.state.held, Some(Why::Refused(Refusal::Invalid)), "the delete said 404, and the key is still listed");
    ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("mended").await.state.ended(), Some(End::Done));
    bench.assert_clean("mended");
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
    bench.pass(HOUR).await;
    assert_eq!(bench.go().await.unwrap().state.ended(), Some(End::Done));
    bench.assert_clean("parked");
}

#[tokio::test(start_paused = true)]
async fn a_person_can_go_back_until_the_point_of_no_return() {
    let mut bench = Bench::new(PLAIN);
    bench.patience = Duration::from_secs(60);
    bench.open().await;
    bench.go().await.unwrap();
    let person = Detail::Person { by: "ada".into(), reason: None, playbook: None, waiver: None };
    leave(&bench, Ask::Rollback, person).await;
    bench.patience = HOUR;
    assert_eq!(bench.to_the_end("asked").await.state.ended(), Some(End::RolledBack));
    bench.assert_clean("asked");
}

/// Dies before and after every record, and loses the journal there, once each; and again with a disable.
#[tokio::test(start_paused = true)]
async fn a_death_around_any_record_leaves_nothing_behind() {
    let mut deaths = 0;
    for extra in [PLAIN, DISABLES] {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::DownBefore, Fault::DownAfter] {
            for at in 0.. {
                let bench = Bench { patience: Duration::ZERO, ..Bench::new(extra) };
                bench.open().await;
                bench.fault(fault, |op| op == Op::Append, at);
                let story = format!("{fault:?} at record {}", at + 2);
                let rotation = bench.to_the_end(&story).await;
                assert!(matches!(rotation.state.ended(), Some(End::Done | End::RolledBack)), "{story}: {:?}", rotation.state);
                bench.assert_clean(&story);
                if !bench.struck(fault) {
                    break;
                }
                deaths += 1;
            }
        }
    }
    println!("{deaths} deaths");
    assert!(deaths > 120, "{deaths} deaths only: the records are fewer than they were");
}

/// Every mutating call in turn is lost, refused, lands late, or the process dies around it.
#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_leaves_nothing_behind() {
    use Fault::*;
    let mut faults = 0;
    for extra in [PLAIN, DISABLES] {
        for fault in [ResetAfter, ResetBefore, CrashBefore, CrashAfter, Denied, TooMany, Late, Unreadable] {
            for at in 0.. {
                let bench = Bench { patience: Duration::ZERO, ..Bench::new(extra) };
                bench.open().await;
                bench.fault(fault, Op::mutates, at);
                let story = format!("{fault:?} at call {at}");
                let mut rotation = bench.to_the_end(&story).await;
                if rotation.state.held.is_some() {
                    ask(&bench, Ask::GoOn).await;
                    rotation = bench.to_the_end(&story).await;
                }
                assert!(rotation.state.ended().is_some(), "{story}: {:?}", rotation.state);
                bench.pass(HOUR).await;
                bench.assert_clean(&story);
                if !bench.struck(fault) {
                    break;
                }
                faults += 1;
            }
        }
    }
    println!("{faults} faults");
    assert!(faults >= 45);
}

async fn ask(bench: &Bench, ask: Ask) {
    leave(bench, ask, Detail::Nothing).await;
}

async fn leave(bench: &Bench, ask: Ask, detail: Detail) {
    bench.sim.ledger.leave(&RotationId::new("r1"), Note { event: Event::Asked(ask), detail }).await.unwrap();
}
