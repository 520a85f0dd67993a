//! What the journal knows of keys: a fold over its rotations and decrees.

use std::collections::BTreeSet;

use crate::{
    ids::{Fingerprint, KeyId, RotationId},
    protocol::{End, Kind, Role},
    record::{Decree, Decreed},
    rotation::Rotation,
};

/// How a key stands, as far as records tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In use.
    Current,
    /// Made by a rotation that is still open.
    New,
    /// Replaced, and not yet revoked.
    Previous,
    /// Revoked, and proved dead.
    Dead,
}

/// One key of one rotation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The playbook's name.
    pub playbook: String,
    /// The file it was read from.
    pub origin: String,
    /// The provider, in its own description.
    pub provider: String,
    /// The rotation.
    pub rotation: RotationId,
    /// The value's fingerprint.
    pub fingerprint: Fingerprint,
    /// The key's id, where it was proved.
    pub key: Option<KeyId>,
    /// How it stands.
    pub standing: Standing,
}

/// All keys of a journal.
#[derive(Debug, Default)]
pub struct Memory {
    /// Each fingerprint once, as the newest rotation that knows it tells.
    pub traces: Vec<Trace>,
    names: BTreeSet<(String, String)>,
    recorded: BTreeSet<(String, KeyId)>,
    tombstones: BTreeSet<(String, KeyId)>,
    busy_names: BTreeSet<(String, String)>,
    busy: BTreeSet<(String, KeyId)>,
    kept: BTreeSet<(String, KeyId)>,
    adopted: Vec<String>,
}

impl Memory {
    /// Folds rotations, newest first, and decrees.
    pub fn of(rotations: &[Rotation], decrees: &[Decreed]) -> Self {
        let mut memory = Self::default();
        for rotation in rotations {
            let provider = &rotation.plan.provider;
            memory.names.extend(rotation.names.iter().map(|name| (provider.clone(), name.clone())));
            let known = [Role::Old, Role::New].into_iter().filter_map(|role| rotation.key(role));
            memory.recorded.extend(known.map(|id| (provider.clone(), id.clone())));
            memory.tombstones.extend(rotation.tombstones.iter().map(|id| (provider.clone(), id.clone())));
            if rotation.state.ended().is_none() {
                // Its create may be under way, of whatever playbook it is.
                memory.busy_names.extend(rotation.names.iter().map(|name| (provider.clone(), name.clone())));
                let known = [Role::Old, Role::New, Role::Stray].into_iter().filter_map(|role| rotation.key(role));
                memory.busy.extend(known.chain(&rotation.tombstones).map(|id| (provider.clone(), id.clone())));
            }
            for trace in of_rotation(rotation) {
                if !memory.traces.iter().any(|known| known.fingerprint == trace.fingerprint) {
                    memory.traces.push(trace);
                }
            }
        }
        for decreed in decrees {
            match &decreed.decree {
                Decree::Tombstone { provider, key, .. } => drop(memory.tombstones.insert((provider.clone(), key.clone()))),
                Decree::Kept { provider, key, .. } => drop(memory.kept.insert((provider.clone(), key.clone()))),
                Decree::Adopted { journal, .. } => memory.adopted.push(journal.clone()),
                _ => {}
            }
        }
        memory
    }

    /// What is known of a value.
    pub fn trace(&self, fingerprint: &Fingerprint) -> Option<&Trace> {
        self.traces.iter().find(|trace| trace.fingerprint == *fingerprint)
    }

    /// Whether a create intent asked this provider for exactly this name.
    pub fn intended(&self, provider: &str, name: &str) -> bool {
        self.names.contains(&(provider.to_owned(), name.to_owned()))
    }

    /// Whether a rotation's records name this id as its old or its new key.
    pub fn recorded(&self, provider: &str, key: &KeyId) -> bool {
        self.recorded.contains(&(provider.to_owned(), key.clone()))
    }

    /// Whether an open rotation looks after this key: by its id, or by the name that it asked for.
    pub fn busy(&self, provider: &str, key: &KeyId, name: Option<&str>) -> bool {
        let named = |name: &str| self.busy_names.contains(&(provider.to_owned(), name.to_owned()));
        name.is_some_and(named) || self.busy.contains(&(provider.to_owned(), key.clone()))
    }

    /// Whether this id is dead for good.
    pub fn tombstoned(&self, provider: &str, key: &KeyId) -> bool {
        self.tombstones.contains(&(provider.to_owned(), key.clone()))
    }

    /// Whether a person was asked about this key, and keeps it.
    pub fn kept(&self, provider: &str, key: &KeyId) -> bool {
        self.kept.contains(&(provider.to_owned(), key.clone()))
    }

    /// Whether marks of this journal are no longer refused.
    pub fn adopted(&self, journal: &str) -> bool {
        self.adopted.iter().any(|known| known == journal)
    }
}

fn of_rotation(rotation: &Rotation) -> Vec<Trace> {
    let trace = |fingerprint: &Fingerprint, key: Option<&KeyId>, standing| Trace {
        playbook: rotation.plan.name.clone(),
        origin: rotation.plan.origin.clone(),
        provider: rotation.plan.provider.clone(),
        rotation: rotation.id.clone(),
        fingerprint: fingerprint.clone(),
        key: key.cloned(),
        standing,
    };
    let promoted = rotation.state.touched > 0;
    let (old, new) = match rotation.state.ended() {
        Some(End::Done) => (Standing::Dead, Standing::Current),
        Some(End::RolledBack | End::Aborted) => (Standing::Current, Standing::Dead),
        // What an open rotation has not proved dead may still work.
        None if promoted => (Standing::Previous, Standing::New),
        None => (Standing::Current, Standing::New),
    };
    let old = if rotation.plan.rules.kind == Kind::Replace { Standing::Dead } else { old };
    let new = rotation.new.iter().map(|key| trace(&key.fingerprint, Some(&key.id), new));
    let old = rotation.plan.old.iter().map(|key| trace(&key.fingerprint, key.id.as_ref(), old));
    new.chain(old).collect()
}
