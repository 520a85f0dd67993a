//! One run, made from its seed: the world, the playbook, and what it will suffer.

use std::time::Duration;

use keyroll::{
    playbook::Playbook,
    ports::{Ambiguity, Traits},
    protocol::Kind,
};

use super::{
    cells::{self, Row, What},
    fate::{Lot, Place, Scripted},
    incidents::Honest,
    roads::{self, Needs},
    world::{
        Outside, Sim,
        book::Text,
        facts::{By, Origin},
        fault::{Fault, Incident, Op},
        oracle::Setting,
        provider::Lags,
        services::Says,
    },
};

/// How a run is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nothing befalls it.
    None,
    /// One row of the coverage is struck again and again, with some noise.
    Row,
    /// Whatever comes.
    Noise,
}

pub struct Scenario {
    pub trouble: Trouble,
    pub book: Playbook,
    pub setting: Setting,
    /// It begins with a leak, and no rotation before.
    pub leaked_first: bool,
    /// Some copy reads its store only when it starts.
    pub reads_once: bool,
    pub longest_wait: Duration,
    /// How often somebody looks whether there is something to do.
    pub tick: Duration,
    pub lot: Option<Lot>,
    pub sim: Sim,
}

/// A number of seconds up to this.
fn secs(dice: &mut fastrand::Rng, from: u64, to: u64) -> Duration {
    Duration::from_secs(dice.u64(from..=to))
}

fn one<T: Copy>(dice: &mut fastrand::Rng, of: &[T]) -> T {
    of[dice.usize(0..of.len())]
}

/// From here on a seed names one cell of the coverage, and a number.
pub const AIMED: u64 = 1 << 32;
/// So many seeds aim at one cell.
pub const AIMS: u64 = 1 << 10;

/// The cell that a seed aims at.
fn aimed(seed: u64) -> (Row, Vec<What>) {
    let cells = cells::cells();
    let (row, what) = cells[usize::try_from((seed - AIMED) / AIMS).unwrap() % cells.len()];
    (row, vec![what])
}

/// The row of a seed, as they come one after the other, and a few of its cells.
fn in_turn(seed: u64) -> (Row, Vec<What>) {
    let nth = usize::try_from(seed / 16 * 14 + seed % 16 - 1).unwrap();
    let targets = cells::targets();
    let (row, mut these) = targets[nth % targets.len()].clone();
    // Each round begins with another one of them: some rows are passed only once.
    let first = nth / targets.len() % these.len();
    these.rotate_left(first);
    (row, these)
}

impl Scenario {
    pub fn of(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let trouble = match seed % 16 {
            _ if seed >= AIMED => Trouble::Row,
            0 => Trouble::None,
            15 => Trouble::Noise,
            _ => Trouble::Row,
        };
        let (target, needs) = match trouble {
            Trouble::None => (None, roads::any(&mut dice, true)),
            Trouble::Noise => (None, roads::any(&mut dice, false)),
            Trouble::Row => {
                let (row, these) = if seed >= AIMED { aimed(seed) } else { in_turn(seed) };
                let needs = roads::to(row, &these, &mut dice);
                (Some((row, these)), needs)
            }
        };
        Self::build(seed, trouble, target, needs, dice)
    }

    fn build(seed: u64, trouble: Trouble, target: Option<(Row, Vec<What>)>, needs: Needs, mut dice: fastrand::Rng) -> Self {
        let dice = &mut dice;
        let kind = needs
            .kind
            .unwrap_or_else(|| one(dice, &[Kind::Rotate, Kind::Rotate, Kind::Rotate, Kind::Rotate, Kind::Install, Kind::Replace]));
        let rotates = kind == Kind::Rotate;
        let proved = !rotates || needs.proved.unwrap_or_else(|| dice.u8(0..12) != 0);
        let disables = rotates && proved && needs.disables.unwrap_or_else(|| dice.u8(0..4) == 0);
        let idle = rotates && proved && needs.idle.unwrap_or_else(|| dice.u8(0..4) == 0);
        let ambiguity = needs
            .ambiguity
            .unwrap_or_else(|| one(dice, &[Ambiguity::Listable, Ambiguity::Listable, Ambiguity::Unnamed, Ambiguity::Replayed]));
        let stores = if needs.single { Some(1) } else { needs.stores };
        let stores = stores.unwrap_or_else(|| one(dice, &[1, 1, 2, 3]));
        let services = dice.usize(1..=3);
        let stale_for = if needs.slow { secs(dice, 20, 60) } else { secs(dice, 0, 90) };
        let max_request = secs(dice, 0, 120);
        let usage_lag = if idle { secs(dice, 0, 120) } else { Duration::ZERO };
        let traits = Traits {
            ambiguity,
            listed_within: secs(dice, 2, 15),
            ready_within: secs(dice, 5, 20),
            dead_within: secs(dice, 2, 30),
            usage_lag,
            quota: if dice.u8(0..6) == 0 { Some(2) } else { None },
        };

        let sim = Sim::empty();
        let mut outside = sim.lock();
        outside.dice = fastrand::Rng::with_seed(seed ^ 0x5eed);
        outside.latency = Duration::from_millis(u64::from(one(dice, &[0u16, 20, 200])));
        outside.lease = needs.lease.unwrap_or_else(|| dice.bool()).then(|| secs(dice, 10, 40));
        let honest = needs.honest.unwrap_or_else(|| one(dice, &[Honest::Wall, Honest::Store, Honest::Journal]));
        outside.store_clock = (honest == Honest::Store || needs.store_clock || dice.bool()).then(Default::default);
        outside.journal_clock = (honest == Honest::Journal || needs.journal_clock || dice.bool()).then(Default::default);
        outside.issuer.traits = traits;
        outside.issuer.lags = Lags {
            listed: traits.listed_within,
            ready: traits.ready_within / 2,
            dead: traits.dead_within / 2,
            // A create that lands later than its provider's listing must show it is beyond what can be settled.
            late: traits.listed_within,
        };
        outside.stale_starts = trouble != Trouble::None;
        outside.issuer.switches = disables || dice.bool();
        // Without names, only its use tells a key of ours from others.
        outside.issuer.tells_use = idle || ambiguity == Ambiguity::Unnamed || dice.bool();
        outside.issuer.proves = proved;
        let first = if kind == Kind::Install { None } else { Some(outside.make("first", Origin::Before, None)) };
        for store in 0..stores {
            outside.add_store(first);
            outside.stores[store].stale_for = stale_for;
            if needs.replicas || !needs.single && dice.u8(0..3) == 0 {
                outside.stores[store].replicas = vec![Duration::ZERO; dice.usize(1..=2)];
            }
        }
        if let Some(first) = first.filter(|_| kind == Kind::Replace) {
            outside.delete(first, By::Them);
        }
        let (mut consumers, mut expected, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        for service in 0..services {
            let job = service > 0 && dice.u8(0..5) == 0;
            let store = dice.usize(0..stores);
            let copies = dice.usize(1..=3);
            add_service(&mut outside, store, copies, job, &needs, proved, dice);
            consumers.push((!job).then_some(store));
            expected.push((!job).then_some(copies));
            reads.push(store);
        }
        let reads_once = outside.services.iter().flat_map(|service| &service.copies).any(|copy| copy.every.is_none());
        drop(outside);

        let jobs = consumers.iter().any(Option::is_none);
        let job_least = if jobs { stale_for + Duration::from_secs(60) } else { Duration::ZERO };
        let least = stale_for.max(max_request).max(job_least);
        let grace = secs(dice, 5, 300);
        let (within, stable) = (if needs.hasty { 15 } else { dice.u64(20..=120) }, dice.u64(0..=8));
        // Time for everybody, where nothing is to go wrong.
        let within = if trouble == Trouble::None { within + 2 * stale_for.as_secs() + 60 } else { within };
        let hold = needs.hold.unwrap_or_else(|| dice.u8(0..3) == 0);
        let mut revoke = format!("grace: {}s", grace.as_secs());
        if disables {
            let watch = dice.u64(5..=40);
            revoke += &format!(", disable_for: {}s, watch: {watch}s", dice.u64(watch..=300));
        }
        if idle {
            revoke += &format!(", idle_for: {}s", dice.u64(60..=900));
        }
        let every = dice.u64(1..=5);
        let on_timeout = if hold { "hold" } else { "rollback" };
        let times = dice.u8(1..=3);
        let text = Text {
            name: "sim".into(),
            stores,
            stale_for: format!("{}s", stale_for.as_secs()),
            consumers,
            max_request: Some(format!("{}s", max_request.as_secs())),
            extra: format!(
                "probe: {{ times: {times} }}\nverify: {{ within: {within}s, stable_for: {stable}s, every: {every}s, on_timeout: {on_timeout} }}\nrevoke: {{ {revoke} }}\n"
            ),
        };
        let book = text.parse();
        let setting = Setting { kind, old: first, proved: proved && rotates, stores, expected, reads, stale_for, least };
        let noise = match trouble {
            Trouble::None => (0, 0),
            Trouble::Row => one(dice, &[(0, 0), (0, 3), (1, 5)]),
            Trouble::Noise => one(dice, &[(1, 5), (2, 10), (10, 20)]),
        };
        let budget = match trouble {
            Trouble::None => needs.script.len(),
            Trouble::Row => needs.script.len() + 3 + dice.usize(0..4),
            Trouble::Noise => dice.usize(4..24),
        };
        let lot = Lot { script: needs.script, target, noise, budget, kills: Vec::new(), honest, liars: idle };
        Self {
            trouble,
            book,
            setting,
            leaked_first: needs.leaked_first && rotates,
            reads_once,
            longest_wait: one(dice, &[Duration::ZERO, Duration::from_secs(20), Duration::from_secs(600)]),
            tick: secs(dice, 5, 40),
            lot: Some(lot),
            sim,
        }
    }
}

fn add_service(outside: &mut Outside, store: usize, copies: usize, job: bool, needs: &Needs, proved: bool, dice: &mut fastrand::Rng) {
    let number = outside.add_service(store, if job { 0 } else { copies });
    let rolls = needs.rolls || dice.bool();
    // Without a rollout nobody but the copy itself makes it look again.
    let polls = !rolls || dice.u8(0..4) != 0;
    // Whoever reports an id that nothing proves cannot be believed.
    let kinds = if proved { &[Says::Version, Says::Sha256, Says::KeyId][..] } else { &[Says::Version, Says::Sha256] };
    let says = needs.says.unwrap_or_else(|| one(dice, kinds));
    let service = &mut outside.services[number];
    (service.job, service.rolls, service.says) = (job, rolls, says);
    service.forgets_rollouts = dice.u8(0..5) == 0;
    service.counted = dice.u8(0..3) == 0;
    for copy in &mut service.copies {
        copy.every = polls.then(|| secs(dice, 0, 15));
    }
}

/// A scripted fault.
pub fn at_call(step: &'static str, op: Op, fault: Fault) -> Scripted {
    Scripted { at: Place::Call(step, op), what: What::Fault(fault) }
}

/// A scripted death, or worse, at a record.
pub fn at_record(kind: &'static str, fault: Fault) -> Scripted {
    Scripted { at: Place::Record(kind), what: What::Fault(fault) }
}

/// An incident during a call.
pub fn while_calling(step: &'static str, op: Op, incident: Incident) -> Scripted {
    Scripted { at: Place::Call(step, op), what: What::Incident(incident) }
}

/// A scripted incident.
pub fn beside(step: &'static str, incident: Incident) -> Scripted {
    Scripted { at: Place::Step(step), what: What::Incident(incident) }
}

/// Ways in which an emergency may be declared.
pub const LEAKS_OLD: [Incident; 2] = [Incident::LeakOld, Incident::LeakOldNow];
