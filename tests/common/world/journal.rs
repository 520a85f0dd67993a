//! A journal of many rotations in memory, as conditional as the real ones; and a process's way to it, which may break.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Identity, RotationId},
    ports::*,
    protocol::Event,
    record::{Decree, Decreed, Detail, Record, SCHEMA},
    rotation::Rotation,
};

use super::{
    facts::Fact,
    fault::{Fault, Op},
    origin,
    process::Process,
};

#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Tables>>);

#[derive(Default)]
pub struct Tables {
    rotations: Vec<Row>,
    decrees: Vec<Decreed>,
}

pub struct Row {
    pub entry: Entry,
    identities: Vec<Identity>,
    pub records: Vec<Record>,
    epoch: u64,
    /// Who drives it holds another one of this.
    driven: Arc<()>,
    /// Asks, and after which record a runner took each out.
    pub notes: Vec<(Note, Option<u64>)>,
}

impl Ledger {
    pub fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    pub fn rotations(&self) -> Vec<Rotation> {
        self.lock().rotations.iter().map(|row| Rotation::fold(&row.records).unwrap()).collect()
    }

    pub fn record_count(&self) -> usize {
        self.lock().rotations.iter().map(|row| row.records.len()).sum()
    }

    pub fn decreed(&self) -> Vec<Decreed> {
        self.lock().decrees.clone()
    }

    /// An ask for whoever drives the last rotation.
    pub fn ask(&self, event: Event, detail: Detail) {
        if let Some(row) = self.lock().last().filter(|row| row.entry.open) {
            row.notes.push((Note { event, detail }, None));
        }
    }

    /// Nothing risky begins until then.
    pub fn freeze(&self, at: DateTime<Utc>, until: DateTime<Utc>) {
        let decree = Decree::Freeze { playbooks: Vec::new(), until, reason: "a freeze".into() };
        self.lock().decree(at, "ann", decree);
    }

    /// Whoever drives this rotation does so no more, whatever they hold.
    pub fn evict(&self, rotation: &RotationId) {
        if let Ok(row) = self.lock().row(rotation) {
            row.driven = Arc::new(());
        }
    }
}

impl Tables {
    pub fn row(&mut self, id: &RotationId) -> Result<&mut Row, JournalError> {
        self.rotations.iter_mut().rev().find(|row| row.entry.rotation == *id).ok_or_else(|| JournalError::Unknown(id.to_string()))
    }

    fn decree(&mut self, at: DateTime<Utc>, by: &str, decree: Decree) -> Decreed {
        let decreed = Decreed { schema: SCHEMA, seq: self.decrees.len() as u64 + 1, at, by: by.into(), decree };
        self.decrees.push(decreed.clone());
        decreed
    }

    /// The last rotation that was begun.
    pub fn last(&mut self) -> Option<&mut Row> {
        self.rotations.last_mut()
    }
}

#[async_trait]
impl Journal for Ledger {
    fn id(&self) -> &str {
        "ledger"
    }
    fn salt(&self) -> &[u8] {
        b"salt"
    }
    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError> {
        let mut tables = self.lock();
        let taken = |row: &&Row| row.entry.open && row.identities.iter().any(|identity| opening.identities.contains(identity));
        if let Some(row) = tables.rotations.iter().find(taken) {
            return Err(JournalError::Open(row.entry.rotation.clone()));
        }
        let known = tables.rotations.iter().filter(|row| row.entry.name == opening.name).count();
        if opening.seen.is_some_and(|seen| seen != known) {
            return Err(JournalError::Overtaken(opening.name.to_owned()));
        }
        let (rotation, at) = (opening.rotation.clone(), opening.at);
        let events = std::iter::once((opening.event, opening.detail)).chain(opening.then);
        let record = |((event, detail), seq)| Record { schema: SCHEMA, rotation: rotation.clone(), seq, epoch: 1, at, event, detail };
        let records: Vec<Record> = events.zip(1..).map(record).collect();
        let entry = Entry { rotation: rotation.clone(), name: opening.name.into(), open: true };
        let driven = Arc::new(());
        let guard = Box::new(driven.clone());
        let (identities, seq) = (opening.identities.to_vec(), records.len() as u64);
        tables.rotations.push(Row { entry, identities, records, epoch: 1, driven, notes: Vec::new() });
        Ok(Lease { rotation, epoch: 1, seq, head: String::new(), term: Term::default(), guard })
    }
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        let mut tables = self.lock();
        let row = tables.row(rotation)?;
        if Arc::strong_count(&row.driven) > 1 {
            return Err(JournalError::Busy(rotation.clone(), "another".into()));
        }
        row.epoch += 1;
        let seq = row.records.len() as u64;
        // What the last runner took and never recorded is asked again.
        row.notes.iter_mut().filter(|(_, taken)| *taken == Some(seq)).for_each(|(_, taken)| *taken = None);
        Ok(Lease {
            rotation: rotation.clone(),
            epoch: row.epoch,
            seq,
            head: String::new(),
            term: Term::default(),
            guard: Box::new(row.driven.clone()),
        })
    }
    async fn append(&self, lease: &mut Lease, at: DateTime<Utc>, event: Event, detail: Detail, ends: bool) -> Result<Record, JournalError> {
        let mut tables = self.lock();
        let row = tables.row(&lease.rotation)?;
        if row.epoch != lease.epoch || row.records.len() as u64 != lease.seq {
            return Err(JournalError::TakenOver(lease.rotation.clone()));
        }
        if !row.entry.open {
            return Err(JournalError::Down("it is over and takes no more records".into()));
        }
        lease.seq += 1;
        let record = Record { schema: SCHEMA, rotation: lease.rotation.clone(), seq: lease.seq, epoch: lease.epoch, at, event, detail };
        row.records.push(record.clone());
        row.entry.open = !ends;
        Ok(record)
    }
    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError> {
        Ok(self.lock().row(rotation)?.records.clone())
    }
    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(self.lock().rotations.iter().rev().map(|row| row.entry.clone()).collect())
    }
    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError> {
        let tables = self.lock();
        let row = tables.rotations.iter().find(|row| row.entry.open && row.identities.contains(identity));
        Ok(row.map(|row| row.entry.rotation.clone()))
    }
    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError> {
        let mut tables = self.lock();
        let row = tables.row(rotation)?;
        if !row.entry.open {
            return Err(JournalError::Unknown(format!("{rotation} that is still open")));
        }
        row.notes.push((note, None));
        Ok(())
    }
    async fn asked(&self, lease: &Lease) -> Result<bool, JournalError> {
        Ok(self.lock().row(&lease.rotation)?.notes.iter().any(|(_, taken)| taken.is_none()))
    }
    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError> {
        let mut tables = self.lock();
        let row = tables.row(&lease.rotation)?;
        if row.epoch != lease.epoch {
            return Err(JournalError::TakenOver(lease.rotation.clone()));
        }
        let Some((note, taken)) = row.notes.iter_mut().find(|(_, taken)| taken.is_none()) else { return Ok(None) };
        *taken = Some(lease.seq);
        Ok(Some(note.clone()))
    }
    async fn take_in(&self, _: &str, _: &[Record]) -> Result<(), JournalError> {
        Ok(())
    }
    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        Ok(self.lock().decree(at, by, decree))
    }
    async fn hashes(&self, _: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }
    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        Ok(self.lock().decrees.clone())
    }
}

fn down() -> JournalError {
    JournalError::Down("it does not answer".into())
}

impl Process {
    /// One call of the journal. Where the answer is lost, the work is done.
    async fn journal<T>(&self, op: Op, work: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
        let fault = self.befalls(op, 0).await;
        self.no_longer_driven();
        match fault {
            Fault::DownBefore | Fault::Unreachable | Fault::HangBefore => return Err(down()),
            _ => {}
        }
        let done = work.await;
        match fault {
            Fault::DownAfter => done.and(Err(down())),
            Fault::CrashAfter => self.die().await,
            _ => done,
        }
    }

    /// Sees to it that the lease of a process that has been dead or still for long enough is free.
    fn no_longer_driven(&self) {
        let mut outside = self.sim.lock();
        let (now, lasts) = (outside.now, outside.lease);
        let Some(lasts) = lasts else { return };
        for machine in &mut outside.machines {
            let since = machine.dead_since.or(machine.still.map(|(from, _)| from));
            if since.is_some_and(|since| now - since >= lasts)
                && let Some(rotation) = machine.drives.take()
            {
                machine.lapsed = true;
                self.sim.ledger.evict(&rotation);
            }
        }
    }

    fn holds(&self, lease: &Lease) -> Result<(), JournalError> {
        if !self.sim.lock().machines[self.number].lapsed {
            return Ok(());
        }
        // Whether somebody else took over since decides the word for it.
        let taken = self.sim.ledger.lock().row(&lease.rotation)?.epoch != lease.epoch;
        Err(if taken { JournalError::TakenOver(lease.rotation.clone()) } else { JournalError::Lapsed(lease.rotation.clone()) })
    }

    fn drives(&self, lease: Lease) -> Lease {
        let mut outside = self.sim.lock();
        let rows = outside.lease.is_some();
        let machine = &mut outside.machines[self.number];
        machine.drives = rows.then(|| lease.rotation.clone());
        machine.lapsed = false;
        if !rows {
            return lease;
        }
        // A row outlives a process that is killed: only an orderly end gives it back.
        let guard = Guard { process: self.clone(), held: Some(lease.guard) };
        Lease { guard: Box::new(guard), ..lease }
    }
}

/// A lease row's holder.
struct Guard {
    process: Process,
    held: Option<Box<dyn Send + Sync>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut outside = self.process.sim.lock();
        let machine = &mut outside.machines[self.process.number];
        if machine.dead_since.is_some() {
            // Kept until it lapses: eviction takes it from there.
            machine.keeps.extend(self.held.take());
        } else {
            machine.drives = None;
        }
    }
}

#[async_trait]
impl Journal for Process {
    fn id(&self) -> &str {
        "ledger"
    }
    fn salt(&self) -> &[u8] {
        b"salt"
    }
    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError> {
        let process = self.number;
        let lease = self
            .journal(Op::Open, async {
                let lease = self.sim.ledger.open(opening).await?;
                for record in self.sim.ledger.records(&lease.rotation).await? {
                    self.sim.lock().note(Fact::Recorded { process, record });
                }
                Ok(lease)
            })
            .await?;
        Ok(self.drives(lease))
    }
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        let lease = self.journal(Op::Take, self.sim.ledger.take(rotation)).await?;
        Ok(self.drives(lease))
    }
    async fn append(&self, lease: &mut Lease, at: DateTime<Utc>, event: Event, detail: Detail, ends: bool) -> Result<Record, JournalError> {
        self.sim.lock().machines[self.number].writing = Some(event);
        let fault = self.befalls(Op::Append, 0).await;
        self.no_longer_driven();
        if matches!(fault, Fault::DownBefore | Fault::Unreachable | Fault::HangBefore) {
            return Err(down());
        }
        self.holds(lease)?;
        let done = self.sim.ledger.append(lease, at, event, detail, ends).await;
        if let Ok(record) = &done {
            self.sim.lock().note(Fact::Recorded { process: self.number, record: record.clone() });
        }
        match fault {
            Fault::DownAfter => done.and(Err(down())),
            Fault::CrashAfter => self.die().await,
            _ => done,
        }
    }
    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError> {
        self.journal(Op::Records, self.sim.ledger.records(rotation)).await
    }
    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.journal(Op::Records, self.sim.ledger.entries()).await
    }
    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError> {
        self.journal(Op::Records, self.sim.ledger.holder(identity)).await
    }
    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError> {
        self.sim.ledger.leave(rotation, note).await
    }
    async fn asked(&self, lease: &Lease) -> Result<bool, JournalError> {
        self.journal(Op::Asked, async {
            self.holds(lease)?;
            self.sim.ledger.asked(lease).await
        })
        .await
    }
    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError> {
        self.journal(Op::Collect, async {
            self.holds(lease)?;
            self.sim.ledger.collect(lease).await
        })
        .await
    }
    async fn take_in(&self, _: &str, _: &[Record]) -> Result<(), JournalError> {
        Ok(())
    }
    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        self.sim.ledger.decree(at, by, decree).await
    }
    async fn hashes(&self, _: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }
    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        self.journal(Op::Decrees, self.sim.ledger.decrees()).await
    }
    async fn clock(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        if self.sim.lock().journal_clock.is_none() {
            return Ok(None);
        }
        self.journal(Op::JournalClock, async {
            let outside = self.sim.lock();
            let pace = if outside.journal_slow { outside.now / 2 } else { outside.now };
            Ok(outside.journal_clock.map(|wrong| origin() + pace + wrong))
        })
        .await
    }
}
