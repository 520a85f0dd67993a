//! The outside world with boundaries around every call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Identity, KeyId, Version},
    playbook::SecretRef,
    ports::*,
    rotation::Tombstone,
};

use super::Fate;

/// A port inside its boundaries.
struct Deadly<P: ?Sized> {
    inner: Arc<P>,
    fate: Arc<Fate>,
}

fn wrap<P: ?Sized>(inner: Arc<P>, fate: &Arc<Fate>) -> Arc<Deadly<P>> {
    Arc::new(Deadly { inner, fate: fate.clone() })
}

/// The same world, inside its boundaries.
pub fn deadly(world: World, fate: &Arc<Fate>) -> World {
    let consumers = world.consumers.into_iter().map(|wiring| Wiring {
        discovery: wiring.discovery.map(|inner| wrap(inner, fate) as _),
        health: wiring.health.map(|inner| wrap(inner, fate) as _),
        rollout: wiring.rollout.map(|inner| wrap(inner, fate) as _),
    });
    World {
        provider: wrap(world.provider, fate),
        stores: world.stores.into_iter().map(|inner| wrap(inner, fate) as _).collect(),
        consumers: consumers.collect(),
        outlets: world.outlets,
    }
}

#[async_trait]
impl Provider for Deadly<dyn Provider> {
    fn traits(&self) -> Traits {
        self.inner.traits()
    }
    fn principal(&self) -> Option<Identity> {
        self.inner.principal()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.fate.around("check", self.inner.check()).await
    }
    async fn list(&self) -> Got<Vec<Listed>> {
        self.fate.around("list", self.inner.list()).await
    }
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        self.fate.around("identify", self.inner.identify(credential, listed)).await
    }
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        self.fate.around("create", self.inner.create(wanted)).await
    }
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        self.fate.around("delete", self.inner.delete(tombstone)).await
    }
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        self.fate.around("probe", self.inner.probe(credential)).await
    }
    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        self.inner.by_hand(key)
    }
    fn rotates_own(&self) -> Option<&SecretRef> {
        self.inner.rotates_own()
    }
    fn switch(&self) -> Option<&dyn Switch> {
        self.inner.switch().map(|_| self as &dyn Switch)
    }
    fn usage(&self) -> Option<&dyn Usage> {
        self.inner.usage().map(|_| self as &dyn Usage)
    }
}

#[async_trait]
impl Switch for Deadly<dyn Provider> {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let switch = self.inner.switch().ok_or_else(|| Failure::not_sent("no switch"))?;
        self.fate.around("switch", switch.set(key, on)).await
    }
}

#[async_trait]
impl Usage for Deadly<dyn Provider> {
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let usage = self.inner.usage().ok_or_else(|| Failure::not_sent("no usage"))?;
        self.fate.around("usage", usage.last_used(key)).await
    }
}

#[async_trait]
impl Store for Deadly<dyn Store> {
    fn locator(&self) -> String {
        self.inner.locator()
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.fate.around("store-check", self.inner.check()).await
    }
    async fn read(&self) -> Got<Option<Snapshot>> {
        self.fate.around("read", self.inner.read()).await
    }
    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        self.fate.around("read-at", self.inner.read_at(version)).await
    }
    async fn versions(&self) -> Got<Option<Vec<Version>>> {
        self.inner.versions().await
    }
    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        self.fate.around("write", self.inner.write(change)).await
    }
    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        self.fate.around("endpoints", self.inner.endpoints()).await
    }
    async fn mark(&self) -> Got<Option<Mark>> {
        self.fate.around("mark", self.inner.mark()).await
    }
    fn reference(&self, field: &str) -> Option<SecretRef> {
        self.inner.reference(field)
    }
    async fn clock(&self) -> Got<Option<DateTime<Utc>>> {
        self.fate.around("store-clock", self.inner.clock()).await
    }
}

#[async_trait]
impl Discovery for Deadly<dyn Discovery> {
    async fn instances(&self) -> Got<Found> {
        self.fate.around("discover", self.inner.instances()).await
    }
}

#[async_trait]
impl Health for Deadly<dyn Health> {
    async fn ask(&self, instance: &Instance) -> Got<Report> {
        self.fate.around("ask", self.inner.ask(instance)).await
    }
}

#[async_trait]
impl Rollout for Deadly<dyn Rollout> {
    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.inner.check().await
    }
    async fn roll(&self, order: &Order) -> Got<()> {
        self.fate.around("roll", self.inner.roll(order)).await
    }
    async fn rolled(&self, order: &Order) -> Got<Option<bool>> {
        self.fate.around("rolled", self.inner.rolled(order)).await
    }
}
