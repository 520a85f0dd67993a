//! The world around the protocol: a provider, stores, instances that read them, a journal, two runners, and calls under way.

use arrayvec::ArrayVec;
use keyroll::protocol::{Effect, State, decide};

use crate::{
    memory::Memory,
    setting::{Budget, Setting, Without},
};

/// A key, by the order in which they were made; the first is the old one.
pub type Key = u8;
pub const OLD: Key = 0;

/// What a store or an instance holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Value {
    Nothing,
    Foreign,
    Key(Key),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Life {
    Live,
    Off,
    Dead,
}

/// A key at the provider.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Made {
    pub life: Life,
    /// Which create of ours made it; none: it was there before, or is somebody else's.
    pub attempt: Option<u8>,
}

/// A store's value at one version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Put {
    pub value: Value,
    pub version: u8,
}

/// More than a setting's budgets let be written while one wait lasts.
pub const WRITES: usize = 12;

/// A store: what a reader may still get, oldest first; the last is the current value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    pub log: ArrayVec<Put, WRITES>,
    next: u8,
    /// How many of these were already replaced when the wait that is on began: nobody gets them once it is over.
    covered: u8,
}

impl Store {
    fn new(value: Value) -> Self {
        Self { log: [Put { value, version: 0 }].into_iter().collect(), next: 1, covered: 0 }
    }

    pub fn current(&self) -> Put {
        self.log[self.log.len() - 1]
    }

    pub fn put(&mut self, value: Value) -> Put {
        let put = Put { value, version: self.next };
        self.next += 1;
        self.log.push(put);
        put
    }

    /// The value of before, at the version of before: what [`Without::NewVersions`] makes of a restore.
    fn put_back(&mut self, value: Value) -> Put {
        let version = self.log.iter().find(|put| put.value == value).map_or(0, |put| put.version);
        self.log.push(Put { value, version });
        self.current()
    }

    pub fn wait_begins(&mut self) {
        self.covered = u8::try_from(self.log.len() - 1).unwrap_or(u8::MAX);
    }

    pub fn wait_ends(&mut self) {
        self.log.drain(..usize::from(self.covered));
        self.covered = 0;
    }
}

/// A change of the outside world, as it is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Op {
    Create(u8),
    /// A store, the value, and what it replaces.
    Promote(u8, Value, Put),
    Restore(u8, Value, Put),
    Switch(bool),
    Delete(Key),
}

/// A process that drives the rotation, or believes that it does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Runner {
    /// What it takes for the journal since another runner took the rotation over; none: it holds the lease.
    pub behind: Option<Memory>,
    /// The value that its own create gave it.
    pub hand: Option<Key>,
}

/// What somebody did that must never be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Crime {
    /// The protocol does not take what its own driver answers.
    Illegal,
    /// An effect without its intent.
    NoIntent,
    /// A deletion without its tombstone.
    NoTombstone,
    /// A deletion of a key that is not ours to delete.
    NotOurs,
    /// A leaked key became a store's value.
    LeakedWritten,
}

/// Keys, as bits.
pub type Keys = u8;

pub fn bit(key: Key) -> Keys {
    1 << key
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub journal: Memory,
    pub runners: [Option<Runner>; 2],
    pub keys: ArrayVec<Made, 7>,
    pub stores: ArrayVec<Store, 2>,
    /// What each instance uses.
    pub instances: [Value; 2],
    /// Calls whose sender hears nothing of them any more, and that may land at any time, or never.
    pub net: ArrayVec<Op, 3>,
    pub left: Budget,
    /// Keys that somebody said had leaked.
    pub leaked: Keys,
    /// Keys that somebody else deleted, or that were dead before.
    pub killed: Keys,
    /// Keys that a person was told of and left alone.
    pub reported: Keys,
    /// Keys that were made after the rotation was over.
    pub late: Keys,
    /// Instances that a person excused.
    pub waived: u8,
    /// Somebody else changed a value of ours.
    pub meddled: bool,
    /// A person deleted the old key, as told.
    pub by_hand: bool,
    pub crime: Option<Crime>,
}

impl World {
    pub fn new(setting: &Setting) -> Self {
        use keyroll::protocol::Kind;
        let value = if setting.rules.kind == Kind::Install { Value::Nothing } else { Value::Key(OLD) };
        let life = if setting.rules.kind == Kind::Rotate { Life::Live } else { Life::Dead };
        Self {
            journal: Memory::new(setting.rules, value, setting.unnamed),
            runners: [Some(Runner { behind: None, hand: None }), None],
            keys: [Made { life, attempt: None }].into_iter().collect(),
            stores: (0..setting.rules.stores).map(|_| Store::new(value)).collect(),
            instances: [value; 2],
            net: ArrayVec::new(),
            left: setting.budget,
            leaked: 0,
            killed: if life == Life::Dead { bit(OLD) } else { 0 },
            reported: 0,
            late: 0,
            waived: 0,
            meddled: false,
            by_hand: false,
            crime: None,
        }
    }

    /// The runner that holds the lease.
    pub fn holder(&self) -> Option<usize> {
        self.runners.iter().position(|runner| runner.as_ref().is_some_and(|runner| runner.behind.is_none()))
    }

    /// What a runner takes for the journal.
    pub fn mind(&self, runner: usize) -> Option<&Memory> {
        self.runners[runner].as_ref().map(|runner| runner.behind.as_ref().unwrap_or(&self.journal))
    }

    pub fn life(&self, key: Key) -> Life {
        self.keys.get(usize::from(key)).map_or(Life::Dead, |made| made.life)
    }

    /// The store that an instance reads.
    pub fn source(&self, instance: usize) -> &Store {
        &self.stores[instance % self.stores.len()]
    }

    pub fn accuse(&mut self, crime: Crime) {
        self.crime = self.crime.or(Some(crime));
    }

    /// An operation reaches the other side.
    pub fn land(&mut self, setting: &Setting, op: Op) -> Landed {
        match op {
            Op::Create(attempt) => self.create(setting, attempt),
            Op::Promote(store, value, base) => {
                let conditional = setting.without != Some(Without::ConditionalPromote);
                self.write(setting, usize::from(store), value, conditional.then_some(base), Store::put)
            }
            Op::Restore(store, value, base) => {
                let put = if setting.without == Some(Without::NewVersions) { Store::put_back } else { Store::put };
                self.write(setting, usize::from(store), value, Some(base), put)
            }
            Op::Switch(on) => match self.life(OLD) {
                Life::Dead => Landed::Gone,
                _ => {
                    self.keys[usize::from(OLD)].life = if on { Life::Live } else { Life::Off };
                    Landed::Changed
                }
            },
            Op::Delete(key) => match self.life(key) {
                Life::Dead => Landed::Gone,
                _ => {
                    if self.journal.tombstones & bit(key) == 0 {
                        self.accuse(Crime::NoTombstone);
                    }
                    if key != OLD && self.keys[usize::from(key)].attempt.is_none() {
                        self.accuse(Crime::NotOurs);
                    }
                    if !setting.rules.revokes {
                        return Landed::NotHere;
                    }
                    self.keys[usize::from(key)].life = Life::Dead;
                    Landed::Changed
                }
            },
        }
    }

    fn create(&mut self, setting: &Setting, attempt: u8) -> Landed {
        let same = self.keys.iter().position(|made| made.attempt == Some(attempt));
        if let Some(key) = same.filter(|_| setting.rules.replays || setting.rules.by_person) {
            return Landed::Made(u8::try_from(key).unwrap_or(Key::MAX));
        }
        let alive = self.keys.iter().filter(|made| made.life != Life::Dead).count();
        if alive >= setting.quota || self.keys.is_full() {
            return Landed::Full;
        }
        let key = u8::try_from(self.keys.len()).unwrap_or(Key::MAX);
        self.keys.push(Made { life: Life::Live, attempt: Some(attempt) });
        if self.journal.state.ended().is_some() {
            self.late |= bit(key);
        }
        Landed::Made(key)
    }

    fn write(&mut self, setting: &Setting, store: usize, value: Value, base: Option<Put>, put: fn(&mut Store, Value) -> Put) -> Landed {
        let current = self.stores[store].current();
        let by_value = setting.without == Some(Without::VersionsCompared);
        let same = |base: Put| current.version == base.version || by_value && current.value == base.value;
        if base.is_some_and(|base| !same(base)) {
            return Landed::Moved;
        }
        Landed::Put(put(&mut self.stores[store], value))
    }

    /// A record is written: by the holder of the lease, or by whoever wants to, where the epoch does not count.
    pub fn append(&mut self, setting: &Setting, runner: usize, memory: Memory) {
        let Some(writer) = self.runners[runner].as_mut() else { return };
        if writer.behind.is_some() {
            if setting.without != Some(Without::Epoch) {
                self.runners[runner] = None;
                return;
            }
            writer.behind = None;
            let before = std::mem::replace(&mut self.journal, memory);
            if let Some(other) = self.runners[1 - runner].as_mut() {
                other.behind.get_or_insert(before);
            }
            return;
        }
        self.journal = memory;
    }

    /// A runner that lost its lease can still finish the effect that it has begun; nothing else, as the journal takes no more of it.
    pub fn finishes(state: &State) -> bool {
        use keyroll::protocol::Action;
        matches!(decide(state), Action::Do(effect) if !matches!(effect, Effect::Rollout(..)))
    }
}

/// What the other side made of an operation.
pub enum Landed {
    Changed,
    Made(Key),
    Put(Put),
    Gone,
    Moved,
    Full,
    /// Only a person deletes here.
    NotHere,
}
