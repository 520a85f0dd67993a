//! One rotation as its records tell it: the protocol's state, and the ids, versions and evidence beside it.
//!
//! Every reader folds the same records: the driver, `status`, the live picture and the reports.

use chrono::{DateTime, Utc};

use crate::{
    ids::{Fingerprint, KeyId, RotationId, Version},
    protocol::{Action, Answer, Debt, Effect, End, Event, Illegal, Kind, Phase, Query, Role, Stand, State, apply, decide},
    record::{Decree, Decreed, Detail, Emergency, Evidence, Missing, Plan, Readings, Record, SCHEMA, Waiting, Waiver},
};

/// The right to delete one exact key. Only a committed intent to delete it, or a committed decree, makes one (I5).
#[derive(Debug)]
pub struct Tombstone {
    key: KeyId,
    retires: bool,
}

impl Tombstone {
    /// The key that is dead for good.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// It is the old key of a planned rotation, which nobody should have used for some time. A key that leaked, or that nobody needs, goes whoever uses it.
    pub fn retires(&self) -> bool {
        self.retires
    }

    /// The right that a committed decree gives; none where the decree is about something else.
    pub fn decreed(decreed: &Decreed) -> Option<Self> {
        match &decreed.decree {
            Decree::Tombstone { key, .. } => Some(Self { key: key.clone(), retires: false }),
            _ => None,
        }
    }
}

/// The key this rotation made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// Its value's fingerprint.
    pub fingerprint: Fingerprint,
    /// When it was made: the provider's word, else our own clock's.
    pub created_at: DateTime<Utc>,
    /// When it stops working by itself, where the provider tells.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A rotation, folded from its records.
#[derive(Clone, PartialEq, Debug)]
pub struct Rotation {
    /// Its id.
    pub id: RotationId,
    /// The first record's plan; an amended playbook's text is in [`Rotation::playbook`].
    pub plan: Plan,
    /// The playbook in force.
    pub playbook: String,
    /// What decides the next step.
    pub state: State,
    /// When it began and when its last record was written.
    pub began: DateTime<Utc>,
    /// See [`Rotation::began`].
    pub last: DateTime<Utc>,
    /// The new key, once the provider confirmed it.
    pub new: Option<NewKey>,
    /// Keys that this rotation made and gave up in an emergency, in order.
    pub formers: Vec<NewKey>,
    /// The emergency, where there is one: the last declaration counts.
    pub emergency: Option<Emergency>,
    /// The last stray found.
    pub stray: Option<KeyId>,
    /// The exact names of all creates so far.
    pub names: Vec<String>,
    /// When the first create was intended.
    pub first_create: Option<DateTime<Utc>>,
    /// When a create's outcome was last lost; a takeover right after its intent counts too.
    pub unsure_create: Option<DateTime<Utc>>,
    /// How many creates may have left a key whose value nobody got.
    pub lost_creates: usize,
    /// How many such keys were found.
    pub strays: usize,
    /// Per store: the version the last intent replaces.
    pub bases: Vec<Option<Version>>,
    /// Per store: each version we know, and which key it holds.
    pub versions: Vec<Vec<(Version, Role)>>,
    /// When the last store took the new key.
    pub promoted_at: Option<DateTime<Utc>>,
    /// The wait that is on, or was last.
    pub waiting: Option<Waiting>,
    /// The first wait after the last promote: later clocks are measured against it.
    pub first_wait: Option<Waiting>,
    /// What both keys had spent, at each wait since the last promote.
    pub readings: Vec<Readings>,
    /// What keeps the next step from beginning: a closed window, a freeze.
    pub gated: Option<Waiting>,
    /// When the last wait was over.
    pub waited_at: Option<DateTime<Utc>>,
    /// Keys that are dead for good, in order.
    pub tombstones: Vec<KeyId>,
    /// Who need not prove anything.
    pub waivers: Vec<Waiver>,
    /// The last evidence.
    pub proved: Vec<Evidence>,
    /// The last missing evidence.
    pub missing: Vec<Missing>,
    /// The last thing the other side said when it refused or was not understood.
    pub said: Option<String>,
    /// When it was last held.
    pub held_at: Option<DateTime<Utc>>,
    /// Who has seen that it is held. Told by a decree, not by its records: see [`Rotation::heed`].
    pub seen: Option<Seen>,
    /// How many records.
    pub seq: u64,
}

/// A person who has seen that a rotation is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What they said.
    pub reason: Option<String>,
}

/// Why records do not make a rotation.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The first record is not a plan.
    #[error("the first record is no plan")]
    NoPlan,
    /// Written by another keyroll.
    #[error("record {seq} has form {found}; this keyroll knows {SCHEMA}: use a newer one")]
    Schema {
        /// Its place.
        seq: u64,
        /// Its form.
        found: u16,
    },
    /// Out of order.
    #[error("record {0} is missing")]
    Gap(u64),
    /// Not what the protocol allows.
    #[error("record {seq} cannot follow: {illegal}")]
    Illegal {
        /// Its place.
        seq: u64,
        /// Why.
        illegal: Illegal,
    },
}

impl Rotation {
    /// Folds records.
    ///
    /// # Errors
    /// [`Broken`] where they are not one rotation, whole and in order.
    pub fn fold(records: &[Record]) -> Result<Self, Broken> {
        let (first, rest) = records.split_first().ok_or(Broken::NoPlan)?;
        let mut rotation = Self::begin(first)?;
        for record in rest {
            rotation.add(record)?;
        }
        Ok(rotation)
    }

    /// The rotation after its first record.
    ///
    /// # Errors
    /// [`Broken`] where that is no plan.
    pub fn begin(first: &Record) -> Result<Self, Broken> {
        check(first, 1)?;
        let (Event::Planned, Detail::Planned(plan)) = (&first.event, &first.detail) else { return Err(Broken::NoPlan) };
        let stores = plan.stores.iter();
        Ok(Self {
            id: first.rotation.clone(),
            playbook: plan.playbook.clone(),
            state: State::start(plan.rules),
            began: first.at,
            last: first.at,
            new: None,
            formers: Vec::new(),
            emergency: None,
            stray: None,
            names: Vec::new(),
            first_create: None,
            unsure_create: None,
            lost_creates: 0,
            strays: 0,
            bases: stores.clone().map(|store| store.base.clone()).collect(),
            versions: stores.map(|store| store.base.iter().map(|base| (base.clone(), Role::Old)).collect()).collect(),
            promoted_at: None,
            waiting: None,
            first_wait: None,
            readings: Vec::new(),
            gated: None,
            waited_at: None,
            tombstones: Vec::new(),
            waivers: Vec::new(),
            proved: Vec::new(),
            missing: Vec::new(),
            said: None,
            held_at: None,
            seen: None,
            seq: first.seq,
            plan: (**plan).clone(),
        })
    }

    /// The rotation after one more record.
    ///
    /// # Errors
    /// [`Broken`] where it does not follow; nothing was changed then.
    pub fn add(&mut self, record: &Record) -> Result<(), Broken> {
        check(record, self.seq + 1)?;
        let next = apply(&self.state, &record.event).map_err(|illegal| Broken::Illegal { seq: record.seq, illegal })?;
        self.learn(record);
        let paid = self.state.new_leak == Debt::Paid && next.new_leak == Debt::None && next.phase == Phase::Create;
        if next.former.1 > self.state.former.1 || paid {
            self.give_up_new(next.later > self.state.later, paid);
        }
        if next.held.is_some() && self.state.held.is_none() {
            self.held_at = Some(record.at);
        }
        self.state = next;
        self.seq = record.seq;
        self.last = record.at;
        Ok(())
    }

    /// Takes in what was decided beside it: who has seen that it is held. One who saw an earlier hold has not seen this one.
    pub fn heed(&mut self, decrees: &[Decreed]) {
        let held_at = self.held_at.filter(|_| self.state.held.is_some());
        self.seen = held_at.and_then(|held_at| {
            decrees.iter().rev().find_map(|decreed| match &decreed.decree {
                Decree::Ack { rotation, reason } if *rotation == self.id && decreed.at >= held_at => {
                    Some(Seen { by: decreed.by.clone(), at: decreed.at, reason: reason.clone() })
                }
                _ => None,
            })
        });
    }

    fn learn(&mut self, record: &Record) {
        if record.event == Event::Resumed && self.state.phase == Phase::Create && self.state.stand != Stand::Idle {
            self.unsure_create = Some(record.at);
            self.lost_creates += usize::from(self.state.stand == Stand::Begun);
        }
        if record.event != Event::Resumed {
            self.gated = None;
        }
        match (&record.event, &record.detail) {
            (Event::Gated, Detail::Waiting(waiting)) => self.gated = Some(waiting.clone()),
            (Event::Intended(Effect::Create), Detail::Intent { name: Some(name), .. }) => {
                self.first_create.get_or_insert(record.at);
                self.names.push(name.clone());
            }
            (Event::Intended(Effect::Delete(role)), Detail::Intent { key: Some(key), .. }) => {
                self.strays += usize::from(*role == Role::Stray && !self.tombstones.contains(key));
                self.tombstones.push(key.clone());
            }
            (Event::Intended(Effect::Promote(i) | Effect::Restore(i)), Detail::Intent { base, .. }) => {
                if let Some(slot) = self.bases.get_mut(usize::from(*i)) {
                    slot.clone_from(base);
                }
                // What a promote writes over is the old key, at perhaps a later version than the plan saw.
                if let (Event::Intended(Effect::Promote(_)), Some(base), Kind::Rotate | Kind::Replace) =
                    (&record.event, base, self.plan.rules.kind)
                {
                    self.wrote(*i, base, Role::Old);
                }
            }
            (Event::Lost(Effect::Create), _) => {
                self.unsure_create = Some(record.at);
                self.lost_creates += 1;
            }
            (_, Detail::Created { id, fingerprint, created_at, expires_at }) => {
                let (created_at, expires_at) = (created_at.unwrap_or(record.at), *expires_at);
                self.new = Some(NewKey { id: id.clone(), fingerprint: fingerprint.clone(), created_at, expires_at });
            }
            (Event::Did(Effect::Promote(i)), Detail::Wrote { version }) => self.promoted(*i, version, record.at),
            (Event::Saw(Query::Current(i), Answer::Yes), Detail::Wrote { version }) if !self.restoring() => {
                self.promoted(*i, version, record.at)
            }
            (Event::Saw(Query::Current(i), Answer::Late), Detail::Wrote { version }) => self.promoted(*i, version, record.at),
            (Event::Did(Effect::Restore(i)) | Event::Saw(Query::Current(i), Answer::Yes), Detail::Wrote { version }) => {
                self.wrote(*i, version, Role::Old);
            }
            (_, Detail::Stray { id }) => self.stray = Some(id.clone()),
            (_, Detail::Evidence { proved, missing }) => {
                self.proved.clone_from(proved);
                self.missing.clone_from(missing);
            }
            (Event::Parked(_), Detail::Waiting(waiting)) => {
                self.first_wait.get_or_insert_with(|| waiting.clone());
                self.readings.extend(waiting.readings);
                self.waiting = Some(waiting.clone());
            }
            (Event::Waited(_), _) => self.waited_at = Some(record.at),
            (_, Detail::Reply { said }) => self.said = Some(said.clone()),
            (_, Detail::Emergency(emergency)) => {
                let mut emergency = emergency.clone();
                let before = self.emergency.take().map(|known| known.leaked).unwrap_or_default();
                emergency.leaked.splice(0..0, before);
                emergency.leaked.dedup();
                self.emergency = Some(emergency);
            }
            (_, Detail::Person { playbook, waiver, .. }) => {
                if let Some(playbook) = playbook {
                    self.playbook.clone_from(playbook);
                }
                self.waivers.extend(waiver.clone());
            }
            _ => {}
        }
    }

    /// What the new key was is now one of the keys that get replaced. Those that are still to go stand last, what leaked before the
    /// others; one that is being deleted stays the first of them.
    fn give_up_new(&mut self, later: bool, paid: bool) {
        let (debt, left) = self.state.former;
        let begun = usize::from(debt == Debt::Begun && !paid);
        let first = self.formers.len().saturating_sub(usize::from(left)) + begun;
        let place = if later { self.formers.len() } else { first.min(self.formers.len()) };
        self.formers.splice(place..place, self.new.take());
        for (_, role) in self.versions.iter_mut().flatten() {
            *role = Role::Old;
        }
    }

    fn wrote(&mut self, store: u8, version: &Version, role: Role) {
        if let Some(known) = self.versions.get_mut(usize::from(store)) {
            known.retain(|(before, _)| before != version);
            known.push((version.clone(), role));
        }
    }

    fn promoted(&mut self, store: u8, version: &Version, at: DateTime<Utc>) {
        self.promoted_at = Some(at);
        self.first_wait = None;
        self.readings.clear();
        self.wrote(store, version, Role::New);
    }

    fn restoring(&self) -> bool {
        matches!(self.state.phase, Phase::Fence | Phase::BackRestore(_))
    }

    /// The exact id of the key in this role, where it is known.
    pub fn key(&self, role: Role) -> Option<&KeyId> {
        match role {
            Role::Old => self.plan.old.as_ref().and_then(|old| old.id.as_ref()),
            Role::New => self.new.as_ref().map(|new| &new.id),
            Role::Stray => self.stray.as_ref(),
            Role::Former => self.formers.iter().rev().nth(usize::from(self.state.former.1).checked_sub(1)?).map(|former| &former.id),
        }
    }

    /// How many keys of lost creates may be there still, unfound.
    pub fn unfound(&self) -> usize {
        self.lost_creates.saturating_sub(self.strays)
    }

    /// Keys that no lost create left behind: they have a part of their own, or are dead for good.
    pub fn accounted(&self) -> Vec<KeyId> {
        let made = self.formers.iter().chain(&self.new).map(|made| &made.id);
        self.tombstones.iter().chain(made).chain(self.key(Role::Old)).cloned().collect()
    }

    /// The key that an ended rotation left in use, where its id is known.
    pub fn in_use(&self) -> Option<(KeyId, Fingerprint)> {
        match self.state.ended()? {
            End::Done => self.new.as_ref().map(|new| (new.id.clone(), new.fingerprint.clone())),
            End::RolledBack | End::Aborted => self.plan.old.as_ref().and_then(|old| Some((old.id.clone()?, old.fingerprint.clone()))),
        }
    }

    /// The right to delete this role's key, once the intent is committed.
    pub fn tombstone(&self, role: Role) -> Option<Tombstone> {
        let committed = decide(&self.state) == Action::Do(Effect::Delete(role));
        let key = self.key(role).filter(|key| committed && self.tombstones.contains(key))?;
        Some(Tombstone { key: key.clone(), retires: role == Role::Old && self.emergency.is_none() })
    }
}

fn check(record: &Record, seq: u64) -> Result<(), Broken> {
    if record.schema > SCHEMA {
        return Err(Broken::Schema { seq: record.seq, found: record.schema });
    }
    if record.seq != seq {
        return Err(Broken::Gap(seq));
    }
    Ok(())
}
