//! What befalls each call of one run: what its story needs, what its target asks for, and some more by chance.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use keyroll::protocol::{Event, Phase, State};
use tokio_util::sync::CancellationToken;

use super::{
    cells::{Row, What, columns, known_record},
    incidents, people,
    reader::Reader,
    steps::{Way, record, step},
    world::{
        Outside,
        facts::Fact,
        fault::{Call, Chance, Fault, Incident, Op},
        journal::Ledger,
    },
};

/// Something that the story needs, the first time that its place is passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scripted {
    pub at: Place,
    pub what: What,
}

/// A place on whichever way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Call(&'static str, Op),
    Record(&'static str),
    Step(&'static str),
}

/// What a run may suffer.
pub struct Lot {
    pub script: Vec<Scripted>,
    /// A row, and what befalls it, one after the other.
    pub target: Option<(Row, Vec<What>)>,
    /// Of a thousand calls, and of a hundred first visits of a row.
    pub noise: (u32, u32),
    /// So many in all.
    pub budget: usize,
    /// Deaths at calls by their number.
    pub kills: Vec<(usize, Fault)>,
    /// Which clock never jumps ahead.
    pub honest: incidents::Honest,
    /// A copy may say one thing and do another, for the provider tells who is used.
    pub liars: bool,
}

/// How often what befell where.
#[derive(Default, Clone)]
pub struct Counts {
    pub struck: BTreeMap<(Row, What), u32>,
    pub visits: BTreeMap<Row, u32>,
}

/// Shared by the world, which asks it, and the run, which looks at it.
#[derive(Clone)]
pub struct Fate(pub Arc<Mutex<Inner>>);

pub struct Inner {
    lot: Lot,
    reader: Reader,
    /// How each process sees the rotation: as of its own last record.
    views: BTreeMap<usize, State>,
    facts: usize,
    seen: BTreeSet<Row>,
    /// The records there were when the target was struck last.
    struck_at: usize,
    pub counts: Counts,
    pub struck: usize,
    pub calls: usize,
    pub calm: bool,
    /// What a person wants to be done.
    pub wishes: Vec<Incident>,
    /// Stops each process between two steps.
    pub stops: BTreeMap<usize, CancellationToken>,
}

impl Fate {
    pub fn new(lot: Lot, ledger: Ledger) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            lot,
            reader: Reader::new(ledger),
            views: BTreeMap::new(),
            facts: 0,
            seen: BTreeSet::new(),
            struck_at: 0,
            counts: Counts::default(),
            struck: 0,
            calls: 0,
            calm: false,
            wishes: Vec::new(),
            stops: BTreeMap::new(),
        })))
    }
}

impl Chance for Fate {
    fn befalls(&mut self, call: Call, outside: &mut Outside) -> Fault {
        self.0.lock().unwrap().befalls(call, outside)
    }
}

impl Inner {
    /// Whether nothing more will befall this run.
    pub fn spent(&self) -> bool {
        self.calm || self.struck >= self.lot.budget
    }

    fn learn(&mut self, outside: &Outside) {
        for (_, fact) in &outside.facts[self.facts..] {
            if let Fact::Recorded { process, record } = fact
                && let Some(state) = self.reader.state_after(record)
            {
                self.views.insert(*process, state);
            }
        }
        self.facts = outside.facts.len();
    }

    fn row(&self, call: Call, outside: &Outside) -> (Row, Option<Row>) {
        // Whoever is about to take it over sees what is there.
        let taking = call.op == Op::Append;
        let view = self.views.get(&call.process).copied().or_else(|| self.reader.state().filter(|_| taking));
        let (way, at) = match view {
            Some(state) => (Way::of(&state), step(&state)),
            None => (Way::Ahead, "preflight"),
        };
        match (call.op, &outside.machines[call.process].writing) {
            (Op::Append, Some(event)) => {
                let text = record(*event, view.map_or(Phase::Create, |state| state.phase));
                (Row::Record(way, known_record(&text).unwrap_or_else(|| text.leak())), None)
            }
            (Op::Open | Op::Take | Op::Records | Op::Decrees | Op::Asked, _) => (Row::Journal(call.op), None),
            _ => (Row::Call(way, at, call.op), Some(Row::Step(way, at))),
        }
    }

    fn befalls(&mut self, call: Call, outside: &mut Outside) -> Fault {
        self.calls += 1;
        self.learn(outside);
        let (row, beside) = self.row(call, outside);
        for row in [Some(row), beside].into_iter().flatten() {
            *self.counts.visits.entry(row).or_default() += 1;
        }
        if let Some((_, fault)) = self.lot.kills.iter().find(|(at, _)| *at == self.calls) {
            return *fault;
        }
        if self.spent() {
            return Fault::None;
        }
        let mut fault = Fault::None;
        for what in self.chosen(row, beside, outside) {
            match what {
                What::Fault(chosen) if fault == Fault::None => {
                    fault = chosen;
                    self.count(row, what);
                }
                What::Fault(_) => {}
                What::Incident(incident) => {
                    if let Some(beside) = beside
                        && self.happens(incident, call.process, outside)
                    {
                        outside.note(Fact::Happened { what: incident });
                        self.count(beside, what);
                    }
                }
            }
        }
        fault
    }

    fn count(&mut self, row: Row, what: What) {
        self.struck += 1;
        *self.counts.struck.entry((row, what)).or_default() += 1;
    }

    fn happens(&mut self, incident: Incident, process: usize, outside: &mut Outside) -> bool {
        use Incident::*;
        match incident {
            // The running process hears of it before its next step.
            AskRollback | LeakOld | LeakNew | LeakBoth | LeakOldNow | LeakNewNow => {
                let now = outside.time() + outside.wrong_by[outside.machines[process].host];
                let Some(rotation) = self.reader.rotation() else { return false };
                let Some((ask, detail)) = people::ask(incident, rotation, now, &mut outside.dice) else { return false };
                self.reader.ledger.ask(Event::Asked(ask), detail);
                true
            }
            // Only somebody who takes the rotation over can do this: the running process is asked to stop first.
            AskAmend | AskWaive | AskGoOn => {
                self.wishes.push(incident);
                if let Some(stop) = self.stops.get(&process) {
                    stop.cancel();
                }
                true
            }
            Lies if !self.lot.liars => false,
            _ => incidents::happens(incident, outside, &self.reader.ledger, self.lot.honest),
        }
    }

    /// What befalls now: the script's, the target's, and what comes by chance.
    fn chosen(&mut self, row: Row, beside: Option<Row>, outside: &mut Outside) -> Vec<What> {
        let passed = |place: Place| match (place, row) {
            (Place::Call(at, op), Row::Call(_, step, called)) => (at, op) == (step, called),
            (Place::Record(kind), Row::Record(_, written)) => kind == written,
            (Place::Step(at), Row::Call(_, step, _)) => at == step,
            _ => false,
        };
        let mut chosen = Vec::new();
        if let Some(next) = self.lot.script.iter().position(|scripted| passed(scripted.at)) {
            chosen.push(self.lot.script.remove(next).what);
            // What belongs to the same moment.
            if let Some(next) =
                self.lot.script.iter().position(|scripted| passed(scripted.at) && matches!(scripted.what, What::Incident(_)))
            {
                chosen.push(self.lot.script.remove(next).what);
            }
            return chosen;
        }
        let records = self.reader.len();
        if let Some((target, left)) = &mut self.lot.target {
            let due = match *target {
                Row::Step(..) => beside == Some(*target) && outside.dice.u8(0..4) < if records == self.struck_at { 2 } else { 3 },
                _ => row == *target,
            };
            if due && !left.is_empty() {
                self.struck_at = records;
                chosen.push(left.remove(0));
                // Several things may happen at one moment; a call suffers one.
                while matches!(target, Row::Step(..)) && !left.is_empty() && outside.dice.bool() {
                    chosen.push(left.remove(0));
                }
                return chosen;
            }
        }
        let first = self.seen.insert(row);
        let (per_call, per_row) = self.lot.noise;
        if outside.dice.u32(0..1000) < per_call || first && outside.dice.u32(0..100) < per_row {
            let of = if outside.dice.u8(0..4) == 0 { beside.unwrap_or(row) } else { row };
            let columns = columns(of);
            if !columns.is_empty() {
                chosen.push(columns[outside.dice.usize(0..columns.len())]);
            }
        }
        chosen
    }
}
