//! What stores hold, current and older, compared in memory and dropped again.

use std::collections::BTreeSet;

use crate::{
    driver::{field, secret_field},
    ids::{KeyId, Version},
    playbook::{Playbook, WriteSource},
    ports::{Credential, Failure, Got, Life, Listed, Snapshot, World},
    protocol::Seen,
    secret::Secret,
};

/// One value that a store serves.
pub struct Held {
    /// The store, for people.
    pub store: String,
    /// Its place in the playbook.
    pub place: usize,
    /// The version.
    pub version: Version,
    /// Whether readers get it now, from any endpoint.
    pub current: bool,
    /// The value.
    pub secret: Secret,
    /// The id field beside it: a claim.
    pub claim: Option<KeyId>,
    /// The id, where the provider proves it.
    pub proved: Option<KeyId>,
}

/// Everything that could be read.
#[derive(Default)]
pub struct Holdings {
    /// All values, by store.
    pub held: Vec<Held>,
    /// What could not be read: then absence proves nothing.
    pub gaps: Vec<Failure>,
    /// Whether a current value is among the gaps.
    pub current_gap: bool,
    /// Stores that do not tell which older versions there are.
    pub silent: Vec<String>,
}

/// How many older versions of one store are read at most.
const VERSIONS: usize = 50;

/// Reads every store of a playbook, old versions too. `known` are versions that the journal tells of, by store.
pub async fn read(world: &World, book: &Playbook, known: &[Vec<Version>]) -> Holdings {
    let mut all = Holdings::default();
    for (place, store) in world.stores.iter().enumerate() {
        let locator = store.locator();
        let mut seen: BTreeSet<Version> = BTreeSet::new();
        match store.read().await {
            Ok(Some(snapshot)) => {
                seen.insert(snapshot.version.clone());
                all.take(book, place, &locator, snapshot, true);
            }
            Ok(None) => {}
            Err(failure) => {
                all.current_gap = true;
                all.gaps.push(failure);
                continue;
            }
        }
        let served = match store.endpoints().await {
            Ok(endpoints) => endpoints.into_iter().filter_map(|(_, version)| version).collect(),
            Err(failure) => {
                all.current_gap = true;
                all.gaps.push(failure);
                Vec::new()
            }
        };
        let told = match store.versions().await {
            Ok(Some(versions)) => versions,
            Ok(None) => {
                all.silent.push(locator.clone());
                Vec::new()
            }
            Err(failure) => {
                all.gaps.push(failure);
                Vec::new()
            }
        };
        if told.len() > VERSIONS {
            all.silent.push(locator.clone());
        }
        let older = told.into_iter().take(VERSIONS).chain(known.get(place).into_iter().flatten().cloned());
        for (version, current) in served.into_iter().map(|version| (version, true)).chain(older.map(|version| (version, false))) {
            if !seen.insert(version.clone()) {
                continue;
            }
            match store.read_at(&version).await {
                Ok(Some(snapshot)) => all.take(book, place, &locator, snapshot, current),
                Ok(None) => {}
                Err(failure) => {
                    all.current_gap |= current;
                    all.gaps.push(failure);
                }
            }
        }
    }
    all
}

impl Holdings {
    fn take(&mut self, book: &Playbook, place: usize, store: &str, mut snapshot: Snapshot, current: bool) {
        let Some(spec) = book.stores.get(place) else { return };
        let claim = field(spec, WriteSource::Id).and_then(|name| snapshot.fields.get(name)).map(|id| KeyId::new(id.reveal()));
        let Some(secret) = snapshot.fields.remove(secret_field(spec)) else { return };
        self.held.push(Held { store: store.to_owned(), place, version: snapshot.version, current, secret, claim, proved: None });
    }

    /// Asks the provider which key each value is.
    ///
    /// # Errors
    /// The first answer that does not come: then nobody knows what the stores hold.
    pub async fn prove(&mut self, world: &World, listed: &[Listed]) -> Got<()> {
        for held in &mut self.held {
            let credential = Credential { id: held.claim.clone(), secret: held.secret.duplicate() };
            held.proved = world.provider.identify(&credential, listed).await?.map(|(id, _)| id);
        }
        Ok(())
    }

    /// Whether a current and whether an older value is this key. A value whose key nobody can tell could be any.
    pub fn holds(&self, key: &KeyId, explained: impl Fn(&Held) -> bool) -> (Seen, Seen) {
        let seen = |current: bool, gap: bool| {
            let mut values = self.held.iter().filter(|held| held.current == current);
            if values.clone().any(|held| held.proved.as_ref() == Some(key) || held.claim.as_ref() == Some(key)) {
                Seen::Yes
            } else if gap || values.any(|held| held.proved.is_none() && !explained(held)) {
                Seen::Unclear
            } else {
                Seen::No
            }
        };
        (seen(true, self.current_gap), seen(false, !self.gaps.is_empty() || !self.silent.is_empty()))
    }
}

/// Whether a stored key works, by one call with it.
pub async fn works(world: &World, held: &Held) -> Option<bool> {
    let credential = Credential { id: held.claim.clone(), secret: held.secret.duplicate() };
    match world.provider.probe(&credential).await {
        Ok(Life::Alive) => Some(true),
        Ok(Life::Dead) => Some(false),
        Ok(Life::Unclear) | Err(_) => None,
    }
}
