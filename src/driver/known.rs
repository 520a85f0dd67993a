//! Which of our keys a value, a version or a claim stands for.

use std::collections::BTreeMap;

use crate::{
    ids::{Fingerprint, KeyId, Version},
    playbook::{Playbook, Store as StoreSpec, WriteSource},
    ports::{Claim, Snapshot, World},
    protocol::Role,
    rotation::Rotation,
    secret::Secret,
};

/// The field that holds the key itself.
pub fn secret_field(spec: &StoreSpec) -> &str {
    field(spec, WriteSource::Secret).unwrap_or("value")
}

/// The field that takes `source`, where there is one.
pub fn field(spec: &StoreSpec, source: WriteSource) -> Option<&str> {
    spec.write.iter().find(|(_, takes)| **takes == source).map(|(name, _)| name.as_str())
}

/// What is known of the old and the new key. Readings that were needed once are kept, as fingerprints and digests only.
pub struct Known {
    salt: Vec<u8>,
    prints: Vec<(Fingerprint, Role)>,
    ids: Vec<(KeyId, Role)>,
    versions: Vec<BTreeMap<Version, Option<Role>>>,
    digests: Vec<(String, Role)>,
    /// How many keys were given up when this was read.
    formers: usize,
}

impl Known {
    /// Nothing known yet.
    pub fn new(salt: &[u8], stores: usize) -> Self {
        Self {
            salt: salt.to_vec(),
            prints: Vec::new(),
            ids: Vec::new(),
            versions: vec![BTreeMap::new(); stores],
            digests: Vec::new(),
            formers: 0,
        }
    }

    /// What a rotation's records tell.
    pub fn of(rotation: &Rotation, salt: &[u8]) -> Self {
        let mut known = Self::new(salt, rotation.plan.stores.len());
        known.update(rotation);
        known
    }

    /// Takes in what the records tell by now.
    pub fn update(&mut self, rotation: &Rotation) {
        self.prints.clear();
        self.ids.clear();
        // What a given-up key's digest or version was read as is no proof of its successor.
        if self.formers != rotation.formers.len() {
            self.formers = rotation.formers.len();
            self.digests.clear();
            self.versions.iter_mut().for_each(BTreeMap::clear);
        }
        if let Some(old) = &rotation.plan.old {
            self.prints.push((old.fingerprint.clone(), Role::Old));
            self.ids.extend(old.id.clone().map(|id| (id, Role::Old)));
        }
        // A key that was given up is, like the old one, what gets replaced.
        for former in &rotation.formers {
            self.prints.push((former.fingerprint.clone(), Role::Old));
            self.ids.push((former.id.clone(), Role::Old));
        }
        if let Some(new) = &rotation.new {
            self.prints.push((new.fingerprint.clone(), Role::New));
            self.ids.push((new.id.clone(), Role::New));
        }
        for (known, told) in self.versions.iter_mut().zip(&rotation.versions) {
            known.extend(told.iter().map(|(version, role)| (version.clone(), Some(*role))));
        }
    }

    /// Notes that a store's version holds this key (preflight, where there are no records yet).
    pub fn note(&mut self, store: usize, snapshot: &Snapshot, id: Option<&KeyId>, secret: &Secret, role: Role) {
        self.prints.push((secret.fingerprint(&self.salt), role));
        self.ids.extend(id.map(|id| (id.clone(), role)));
        self.digests.push((secret.sha256(), role));
        if let Some(known) = self.versions.get_mut(store) {
            known.insert(snapshot.version.clone(), Some(role));
        }
    }

    /// Which of our keys this value is.
    pub fn role(&self, secret: &Secret) -> Option<Role> {
        let print = secret.fingerprint(&self.salt);
        let found = self.prints.iter().find(|(known, _)| *known == print).map(|(_, role)| *role);
        let unread = || self.prints.iter().any(|(known, _)| *known == Fingerprint::unknown()).then_some(Role::Old);
        found.or_else(unread)
    }

    /// Which of our keys a store's value is.
    pub fn shown(&self, spec: &StoreSpec, snapshot: Option<&Snapshot>) -> Option<Role> {
        self.role(snapshot?.fields.get(secret_field(spec))?)
    }

    /// Which of our keys an instance claims. A version that nobody told us of (a foreign field was changed) is read once.
    pub async fn claimed(&mut self, claim: &Claim, store: usize, world: &World, book: &Playbook) -> Option<Role> {
        match claim {
            Claim::KeyId(id) => self.ids.iter().find(|(known, _)| known.as_str() == id).map(|(_, role)| *role),
            Claim::Version(text) => {
                let version = Version::new(text.clone());
                if let Some(role) = self.versions.get(store)?.get(&version) {
                    return *role;
                }
                let snapshot = world.stores.get(store)?.read_at(&version).await.ok()?;
                let role = self.shown(book.stores.get(store)?, snapshot.as_ref());
                self.versions.get_mut(store)?.insert(version, role);
                role
            }
            Claim::Sha256(text) => {
                let text = text.to_lowercase();
                if text.len() < 8 {
                    return None;
                }
                let found = |digests: &[(String, Role)]| digests.iter().find(|(known, _)| known.starts_with(&text)).map(|(_, role)| *role);
                if found(&self.digests).is_none() && self.digests.len() < self.prints.len() {
                    self.learn_digests(store, world, book).await;
                }
                found(&self.digests)
            }
        }
    }

    async fn learn_digests(&mut self, store: usize, world: &World, book: &Playbook) {
        let (Some(port), Some(spec), Some(versions)) = (world.stores.get(store), book.stores.get(store), self.versions.get(store)) else {
            return;
        };
        let versions: Vec<Version> = versions.keys().cloned().collect();
        for version in versions {
            if let Ok(Some(snapshot)) = port.read_at(&version).await
                && let Some(secret) = snapshot.fields.get(secret_field(spec))
            {
                self.learn(secret);
            }
        }
    }

    /// Keeps the digest of a value that is in hand.
    pub fn learn(&mut self, secret: &Secret) {
        if let Some(role) = self.role(secret)
            && !self.digests.iter().any(|(_, known)| *known == role)
        {
            self.digests.push((secret.sha256(), role));
        }
    }
}
