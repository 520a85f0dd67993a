//! Reads the one rotation of a run out of the journal, and keeps what was read.

use keyroll::{protocol::State, record::Record, rotation::Rotation};

use super::world::journal::Ledger;

pub struct Reader {
    pub ledger: Ledger,
    rotation: Option<Rotation>,
    /// The state after each record.
    states: Vec<State>,
}

impl Reader {
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, rotation: None, states: Vec::new() }
    }

    fn catch_up(&mut self) {
        let mut tables = self.ledger.lock();
        let Some(row) = tables.last() else { return };
        // A runner that stood still before it began may begin another one after the first is over.
        if self.rotation.as_ref().is_some_and(|rotation| rotation.id != row.entry.rotation) {
            (self.rotation, self.states) = (None, Vec::new());
        }
        for record in &row.records[self.states.len()..] {
            match &mut self.rotation {
                None => self.rotation = Some(Rotation::begin(record).unwrap()),
                Some(rotation) => rotation.add(record).unwrap_or_else(|broken| panic!("{broken}")),
            }
            self.states.extend(self.rotation.as_ref().map(|rotation| rotation.state));
        }
    }

    pub fn rotation(&mut self) -> Option<&Rotation> {
        self.catch_up();
        self.rotation.as_ref()
    }

    pub fn state_after(&mut self, record: &Record) -> Option<State> {
        self.catch_up();
        self.rotation.as_ref().filter(|rotation| rotation.id == record.rotation)?;
        self.states.get(usize::try_from(record.seq).ok()?.checked_sub(1)?).copied()
    }

    pub fn state(&self) -> Option<State> {
        self.states.last().copied()
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }
}
