//! What the journal's records tell, in small: as `rotation::Rotation` folds them (`agrees.rs` sees to that).

use arrayvec::ArrayVec;
use keyroll::protocol::{Answer, Debt, Effect, Event, Illegal, Kind, Phase, Query, Role, Rules, Stand, State, apply};

use crate::world::{Key, Keys, OLD, Put, Value, bit};

/// The part of a record's detail that later steps depend on.
#[derive(Clone, Copy, Debug)]
pub enum Detail {
    Nothing,
    /// What an intent replaces, or what was written or read.
    At(Put),
    Created(Key),
    Stray(Key),
    /// The key that an intent to delete names.
    Dies(Key),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Memory {
    pub state: State,
    /// As it was planned.
    pub kind: Kind,
    pub new: Option<Key>,
    pub formers: ArrayVec<Key, 4>,
    pub stray: Option<Key>,
    /// Per store: what the last intent replaces.
    pub bases: [Put; 2],
    /// Per store: the value at the newest version that is known to hold an old key, and at the newest one that is known.
    old: [Value; 2],
    last: [Value; 2],
    pub tombstones: Keys,
    /// How many keys of lost creates may be there still, unfound; counted only where the provider lists no names, for nobody else asks.
    pub unfound: Option<u8>,
}

impl Memory {
    pub fn new(rules: Rules, value: Value, unnamed: bool) -> Self {
        Self {
            state: State::start(rules),
            kind: rules.kind,
            new: None,
            formers: ArrayVec::new(),
            stray: None,
            bases: [Put { value, version: 0 }; 2],
            old: [value; 2],
            last: [value; 2],
            tombstones: 0,
            unfound: unnamed.then_some(0),
        }
    }

    /// The records with one more.
    pub fn with(&self, event: Event, detail: Detail) -> Result<Self, Illegal> {
        let next = apply(&self.state, &event)?;
        let mut memory = self.clone();
        memory.learn(event, detail);
        let paid = self.state.new_leak == Debt::Paid && next.new_leak == Debt::None && next.phase == Phase::Create;
        if next.former.1 > self.state.former.1 || paid {
            memory.give_up_new(next.later > self.state.later, paid);
        }
        memory.state = next;
        Ok(memory)
    }

    fn learn(&mut self, event: Event, detail: Detail) {
        if let Some(unfound) = &mut self.unfound {
            let begun = self.state.phase == Phase::Create && self.state.stand == Stand::Begun;
            *unfound = match (event, detail) {
                (Event::Lost(Effect::Create), _) => *unfound + 1,
                (Event::Resumed, _) if begun => *unfound + 1,
                (Event::Intended(Effect::Delete(Role::Stray)), Detail::Dies(key)) if self.tombstones & bit(key) == 0 => *unfound - 1,
                _ => *unfound,
            };
        }
        match (event, detail) {
            (_, Detail::Created(key)) => self.new = Some(key),
            (_, Detail::Stray(key)) => self.stray = Some(key),
            (_, Detail::Dies(key)) => self.tombstones |= bit(key),
            (Event::Intended(Effect::Promote(i) | Effect::Restore(i)), Detail::At(base)) => {
                self.bases[usize::from(i)] = base;
                if matches!(event, Event::Intended(Effect::Promote(_))) && self.kind != Kind::Install {
                    self.wrote(i, base.value, Role::Old);
                }
            }
            (Event::Did(Effect::Promote(i)) | Event::Saw(Query::Current(i), Answer::Late), Detail::At(put)) => {
                self.wrote(i, put.value, Role::New);
            }
            (Event::Saw(Query::Current(i), Answer::Yes), Detail::At(put)) if matches!(self.state.phase, Phase::Promote(_)) => {
                self.wrote(i, put.value, Role::New);
            }
            (Event::Did(Effect::Restore(i)) | Event::Saw(Query::Current(i), Answer::Yes), Detail::At(put)) => {
                self.wrote(i, put.value, Role::Old);
            }
            _ => {}
        }
    }

    /// As the rotation does: what is still to go stands last, what leaked before the others.
    fn give_up_new(&mut self, later: bool, paid: bool) {
        let (debt, left) = self.state.former;
        let first = self.formers.len() - usize::from(left) + usize::from(debt == Debt::Begun && !paid);
        let place = if later { self.formers.len() } else { first.min(self.formers.len()) };
        if let Some(new) = self.new.take() {
            self.formers.insert(place, new);
        }
        self.old = self.last;
    }

    fn wrote(&mut self, store: u8, value: Value, role: Role) {
        let store = usize::from(store);
        self.last[store] = value;
        // A version that turns out to hold something else is passed over.
        if role == Role::Old && self.role(value) == Some(Role::Old) {
            self.old[store] = value;
        }
    }

    /// The newest value of a store that is an old key.
    pub fn old_value(&self, store: usize) -> Option<Value> {
        Some(self.old[store]).filter(|value| self.role(*value) == Some(Role::Old))
    }

    /// Which of our keys a value is.
    pub fn role(&self, value: Value) -> Option<Role> {
        let Value::Key(key) = value else { return None };
        let old = key == OLD && self.kind != Kind::Install || self.formers.contains(&key);
        let new = self.new == Some(key);
        if old { Some(Role::Old) } else { new.then_some(Role::New) }
    }

    /// The exact key in this role, where it is known.
    pub fn key(&self, role: Role) -> Option<Key> {
        match role {
            Role::Old => (self.kind != Kind::Install && self.state.rules.proved).then_some(OLD),
            Role::New => self.new,
            Role::Stray => self.stray,
            Role::Former => self.formers.iter().rev().nth(usize::from(self.state.former.1).checked_sub(1)?).copied(),
        }
    }
}
