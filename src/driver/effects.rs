//! Effects: one call of one port each, sent at most once before its outcome is journaled.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{
    hands::{Hands, endure},
    known::secret_field,
    looks::PROBE_EVERY,
};
use crate::{
    ids::{KeyId, Version},
    playbook::WriteSource,
    ports::{Change, Credential, Failure, Fate, Got, Life, Like, Mark, Order, Wanted},
    protocol::{Effect, Event, Phase, Refusal, Role, replaces},
    record::Detail,
    rotation::Rotation,
    secret::{Secret, hex},
};

impl Hands<'_> {
    /// What an intent must say so that its effect can be repeated exactly, by another process too.
    pub(super) async fn intend(&mut self, rotation: &Rotation, effect: Effect) -> Result<Detail, Failure> {
        let mut intent = (None, None, None);
        match effect {
            Effect::Create => intent.0 = Some(self.key_name(rotation)),
            Effect::Promote(i) | Effect::Restore(i) => intent.2 = self.base(rotation, effect, usize::from(i)).await?,
            Effect::Disable | Effect::Enable => intent.1 = rotation.key(Role::Old).cloned(),
            Effect::Delete(role) => intent.1 = rotation.key(role).cloned(),
            Effect::Rollout(..) => {}
        }
        let (name, key, base) = intent;
        Ok(Detail::Intent { name, key, base })
    }

    /// The version to write over: the store's current one, where the protocol lets us write over what it shows; else the last one we know.
    async fn base(&mut self, rotation: &Rotation, effect: Effect, place: usize) -> Result<Option<Version>, Failure> {
        let planned = rotation.bases.get(place).cloned().flatten();
        let current = endure!(self, self.world.stores[place].read());
        let role = self.book.stores.get(place).and_then(|spec| self.known.shown(spec, current.as_ref()));
        Ok(if replaces(&rotation.state, effect, role) { current.map(|snapshot| snapshot.version) } else { planned })
    }

    fn key_name(&self, rotation: &Rotation) -> String {
        let month = rotation.began;
        let name = self
            .book
            .key_name
            .replace("{name}", &rotation.plan.name)
            .replace("{yyyy}", &month.format("%Y").to_string())
            .replace("{mm}", &month.format("%m").to_string())
            .replace("{dd}", &month.format("%d").to_string());
        format!("{name}-{}-{}", rotation.id, rotation.state.attempt)
    }

    /// Does it. `Err` only where it was provably not sent and patience is over.
    pub(super) async fn perform(&mut self, rotation: &Rotation, effect: Effect) -> Result<(Event, Detail), Failure> {
        let mut tries = self.tries();
        loop {
            let failure = match self.attempt(rotation, effect).await {
                Ok(detail) => return Ok((Event::Did(effect), detail)),
                Err(failure) => failure,
            };
            let said = |said| Detail::Reply { said };
            match failure.fate {
                // With its remedy: whoever reads the record has nothing else.
                Fate::Refused { why, .. } => return Ok((Event::Refused(effect, why), said(failure.told()))),
                Fate::Unknown { .. } => return Ok((Event::Lost(effect), said(failure.to_string()))),
                Fate::NotSent { .. } => self.endure(&mut tries, failure).await?,
            }
        }
    }

    async fn attempt(&mut self, rotation: &Rotation, effect: Effect) -> Got<Detail> {
        match effect {
            Effect::Create => self.create(rotation).await,
            Effect::Promote(i) => {
                let fields = self.promoted(rotation, usize::from(i)).await?;
                self.write(rotation, usize::from(i), "promote", &fields).await
            }
            Effect::Restore(i) => {
                let fields = self.restored(rotation, usize::from(i)).await?;
                self.write(rotation, usize::from(i), "restore", &fields).await
            }
            Effect::Rollout(role, i) => self.roll(rotation, role, usize::from(i)).await,
            Effect::Disable => self.switch(rotation, false).await,
            Effect::Enable => self.switch(rotation, true).await,
            Effect::Delete(role) => {
                let tombstone = rotation.tombstone(role).ok_or_else(|| lost("its id is not in the journal"))?;
                let provider = self.world.provider.clone();
                if let Some(port) = provider.by_value() {
                    let value = self.value_by_id(rotation, tombstone.key()).await?;
                    let value = value.ok_or_else(|| lost("its value can no longer be read, and it is revoked by its value"))?;
                    return port.revoke(&value).await.map(|()| Detail::Nothing);
                }
                match self.world.provider.delete(&tombstone).await {
                    Err(failure) if failure.refusal() == Some(Refusal::Gone) => self.really_gone(rotation, tombstone.key(), failure).await,
                    deleted => deleted.map(|()| Detail::Nothing),
                }
            }
        }
    }

    /// A wrong address answers "not found" for every key: "gone" is believed only where the listing agrees, and could know the key.
    async fn really_gone(&self, rotation: &Rotation, key: &KeyId, gone: Failure) -> Got<Detail> {
        // A key that was made since the plan may not be listed yet: its absence says nothing.
        if !rotation.plan.listed.contains(key) {
            self.clock.sleep(self.world.provider.traits().listed_within).await;
        }
        match self.unlisted(key).await {
            Ok(true) => Err(gone),
            Ok(false) => Err(Failure::refused(Refusal::Invalid, None, format!("{}, but key {key} is still listed", gone.what))),
            Err(_) => Err(Failure::unknown(gone.what)),
        }
    }

    /// Whether a key leaves the listing, by the time that a deletion must show in it.
    pub(super) async fn unlisted(&self, key: &KeyId) -> Got<bool> {
        let (began, within) = (self.clock.steady(), self.world.provider.traits().listed_within);
        loop {
            if self.world.provider.list().await?.iter().all(|listed| listed.id != *key) {
                return Ok(true);
            }
            if self.clock.steady().saturating_sub(began) >= within {
                return Ok(false);
            }
            self.clock.sleep(PROBE_EVERY.min(within)).await;
        }
    }

    /// The value of one of our keys, as long as it can be read anywhere.
    async fn value_by_id(&mut self, rotation: &Rotation, key: &KeyId) -> Result<Option<Secret>, Failure> {
        if rotation.key(Role::New) == Some(key) {
            return self.new_value(rotation).await;
        }
        let old = rotation.plan.old.iter().filter(|old| old.id.as_ref() == Some(key)).map(|old| &old.fingerprint);
        let former = rotation.formers.iter().filter(|former| former.id == *key).map(|former| &former.fingerprint);
        let prints: Vec<_> = old.chain(former).map(|print| (Some(key.clone()), print.clone())).collect();
        self.value_of(rotation, &prints).await
    }

    async fn create(&mut self, rotation: &Rotation) -> Got<Detail> {
        let name = rotation.names.last().ok_or_else(|| lost("its name is not in the journal"))?;
        let token = token(&[rotation.id.as_str(), "create", &rotation.state.attempt.to_string()]);
        // What is deleted can no longer be read: what was kept of it takes its place.
        let alive = |id: &&KeyId| !rotation.tombstones.contains(id);
        let living = rotation.key(Role::Old).filter(alive).or_else(|| rotation.formers.iter().rev().map(|former| &former.id).find(alive));
        let like = living.map(Like::Key).or(rotation.plan.kept.as_ref().map(Like::Gone));
        let formers = rotation.formers.iter().map(|former| &former.id);
        let keep: Vec<_> = rotation.key(Role::Old).into_iter().chain(formers).filter(alive).cloned().collect();
        let wanted = Wanted { name, token: &token, like, keep: &keep, limits: &self.book.limits, listed: &rotation.plan.listed };
        let minted = self.world.provider.create(&wanted).await?;
        let fingerprint = minted.secret.fingerprint(self.journal.salt());
        self.value = Some(minted.secret);
        Ok(Detail::Created { id: minted.id, fingerprint, created_at: minted.created_at, expires_at: minted.expires_at })
    }

    /// The fields of the new key.
    async fn promoted(&mut self, rotation: &Rotation, place: usize) -> Got<BTreeMap<String, Secret>> {
        let value = self.new_value(rotation).await?.ok_or_else(|| lost("the new key's value is gone"))?;
        let new = rotation.new.as_ref().ok_or_else(|| lost("the new key is not in the journal"))?;
        let name = rotation.names.last().map(String::as_str).unwrap_or_default();
        Ok(self.fields(place, &value, &new.id, name, rotation.began))
    }

    fn fields(&self, place: usize, value: &Secret, id: &KeyId, name: &str, at: DateTime<Utc>) -> BTreeMap<String, Secret> {
        let Some(spec) = self.book.stores.get(place) else { return BTreeMap::new() };
        let take = |source: &WriteSource| match source {
            WriteSource::Secret => value.duplicate(),
            WriteSource::Id => Secret::new(id.as_str()),
            WriteSource::Name => Secret::new(name),
            WriteSource::CreatedAt => Secret::new(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        };
        spec.write.iter().map(|(field, source)| (field.clone(), take(source))).collect()
    }

    /// Our fields as they were before the rotation.
    async fn restored(&mut self, rotation: &Rotation, place: usize) -> Got<BTreeMap<String, Secret>> {
        let Some(spec) = self.book.stores.get(place) else { return Err(lost("the playbook no longer names this store")) };
        // A fence writes what it replaces once more, and nothing else: what was given up must not come back with it.
        let old = match rotation.state.phase {
            Phase::Fence => {
                let current = endure!(self, self.world.stores[place].read());
                if current.as_ref().map(|now| &now.version) != rotation.bases.get(place).and_then(Option::as_ref) {
                    return Err(Failure::refused(Refusal::Conflict, None, "the store changed since the fence was intended"));
                }
                current
            }
            _ => self.old_snapshot(rotation, place).await?,
        };
        let snapshot = old.ok_or_else(|| lost("the store no longer has the old value"))?;
        if let (Phase::BackRestore(_), Some(secret)) = (rotation.state.phase, snapshot.fields.get(secret_field(spec))) {
            let old = Credential { id: rotation.key(Role::Old).cloned(), secret: secret.duplicate() };
            // Only a plain "no such key" counts: a provider that is down must not keep anybody from going back.
            if matches!(self.world.provider.probe(&old).await, Ok(Life::Dead)) {
                let what = "the provider refuses the old key: writing it back would serve a dead one, so the new key stays";
                return Err(Failure::refused(Refusal::Gone, None, what));
            }
        }
        Ok(snapshot.fields.into_iter().filter(|(field, _)| spec.write.contains_key(field)).collect())
    }

    async fn write(&mut self, rotation: &Rotation, place: usize, direction: &str, fields: &BTreeMap<String, Secret>) -> Got<Detail> {
        let base = rotation.bases.get(place).and_then(Option::as_ref);
        let mark = Mark { journal: self.journal.id().to_owned(), rotation: rotation.id.clone() };
        let parts = [rotation.id.as_str(), &rotation.state.attempt.to_string(), direction, base.map_or("", Version::as_str)];
        let change = Change { base, fields, token: &token(&parts), mark: &mark };
        let version = self.world.stores[place].write(&change).await?;
        Ok(Detail::Wrote { version })
    }

    async fn roll(&mut self, rotation: &Rotation, role: Role, place: usize) -> Got<Detail> {
        if let Some(rollout) = self.world.consumers.get(place).and_then(|wiring| wiring.rollout.as_ref()) {
            rollout.roll(&self.order(rotation, role, place)).await?;
        }
        Ok(Detail::Nothing)
    }

    pub(super) fn order(&self, rotation: &Rotation, role: Role, place: usize) -> Order {
        let way = if role == Role::Old { "back" } else { "forward" };
        Order {
            consumer: rotation.plan.consumers.get(place).map(|consumer| consumer.name.clone()).unwrap_or_default(),
            rotation: rotation.id.clone(),
            tag: format!("{}-{}-{way}-{place}", rotation.id, rotation.state.attempt),
            versions: rotation.versions.iter().filter_map(|known| known.last().map(|(version, _)| version.clone())).collect(),
        }
    }

    async fn switch(&mut self, rotation: &Rotation, on: bool) -> Got<Detail> {
        let key = rotation.key(Role::Old).ok_or_else(|| lost("the old key's id is not known"))?;
        let switch = self.world.provider.switch().ok_or_else(|| lost("the provider cannot disable a key"))?;
        match switch.set(key, on).await {
            Err(failure) if failure.refusal() == Some(Refusal::Gone) => self.really_gone(rotation, key, failure).await,
            set => set.map(|()| Detail::Nothing),
        }
    }
}

/// The same for the same parts, in any process.
fn token(parts: &[&str]) -> String {
    hex(&Sha256::digest(parts.join("\n")))
}

fn lost(what: &str) -> Failure {
    Failure::refused(Refusal::ValueLost, None, what)
}
