//! Where keys live: versions with fields, written under a condition, with read endpoints that may be behind.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{ids::Version, ports::*, protocol::Refusal, secret::Secret};

use super::{
    Outside,
    facts::{At, By, Fact},
    fault::{Fault, Op},
    process::Port,
};

/// Our fields, as the playbook names them.
pub const SECRET: &str = "key";
pub const ID: &str = "key_id";
/// Somebody else's field.
pub const OTHER: &str = "other";

#[derive(Default)]
pub struct Cabinet {
    pub versions: Vec<Stored>,
    /// The longest a reader may still get an old value.
    pub stale_for: Duration,
    /// Read endpoints beside the first; each may be behind until some moment.
    pub replicas: Vec<At>,
    /// Versions that can no longer be read.
    pub forgotten: Vec<usize>,
    pub mark: Option<Mark>,
    pub name: String,
}

pub struct Stored {
    pub at: At,
    pub fields: BTreeMap<String, String>,
    pub by: By,
    /// The key in it, by number.
    key: Option<usize>,
}

impl Stored {
    pub fn key(&self) -> Option<usize> {
        self.key
    }
}

impl Cabinet {
    /// The place of the version that was current at this moment.
    fn at(&self, at: At) -> Option<usize> {
        self.versions.iter().rposition(|stored| stored.at <= at)
    }

    /// The key that was current at this moment; before everything, the first one.
    pub fn key_at(&self, at: At) -> Option<usize> {
        self.versions.get(self.at(at).unwrap_or_default()).and_then(Stored::key)
    }
}

fn version(place: usize) -> Version {
    Version::new((place + 1).to_string())
}

fn place(version: &Version) -> Option<usize> {
    version.as_str().parse::<usize>().ok()?.checked_sub(1)
}

impl Outside {
    /// Another store; what it holds.
    pub fn add_store(&mut self, key: Option<usize>) -> usize {
        let number = self.stores.len();
        self.stores.push(Cabinet { name: format!("sim store {number}"), ..Cabinet::default() });
        let mut fields = BTreeMap::from([(OTHER.to_owned(), "kept".to_owned())]);
        if let Some(key) = key {
            fields.insert(SECRET.into(), self.issuer.keys[key].value.clone());
            fields.insert(ID.into(), self.issuer.keys[key].id.clone());
            self.stored(number, fields, By::Them);
        }
        number
    }

    /// A store takes a version; its readers pick it up in time.
    pub fn stored(&mut self, store: usize, fields: BTreeMap<String, String>, by: By) -> usize {
        let key = fields.get(SECRET).and_then(|value| self.key_by_value(value));
        let last = self.stores[store].versions.last();
        let kept = last.is_none_or(|last| last.fields.get(OTHER) == fields.get(OTHER));
        let over = last.and_then(Stored::key);
        let at = self.now;
        self.stores[store].versions.push(Stored { at, fields, by, key });
        self.note(Fact::Wrote { store, key, over, kept, by });
        self.awaits_readers(store);
        self.stores[store].versions.len() - 1
    }

    fn snapshot(&self, store: usize, place: usize) -> Option<Snapshot> {
        let stored = self.stores[store].versions.get(place)?;
        let fields = stored.fields.iter().map(|(field, value)| (field.clone(), Secret::new(value.as_str()))).collect();
        Some(Snapshot { version: version(place), fields })
    }
}

#[async_trait]
impl Store for Port {
    fn locator(&self) -> String {
        self.process.sim.lock().stores[self.place].name.clone()
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.process.call(Op::Check, 1 + self.place, |_| Ok(())).await.map_err(|failure| vec![failure.into()])
    }
    async fn read(&self) -> Got<Option<Snapshot>> {
        let (store, process) = (self.place, self.process.number);
        let fault = self.process.befalls(Op::Read, store).await;
        if fault == Fault::NotFound {
            return Ok(None);
        }
        self.process
            .suffered(fault, move |outside| {
                let cabinet = &outside.stores[store];
                let (stale_for, newest) = (cabinet.stale_for, cabinet.versions.len().checked_sub(1));
                let place = if fault == Fault::Stale {
                    let ago = outside.some(stale_for);
                    outside.stores[store].at(outside.now.saturating_sub(ago)).or(newest)
                } else {
                    newest
                };
                let key = place.and_then(|place| outside.stores[store].versions[place].key);
                outside.note(Fact::Read { process, store, key });
                Ok(place.and_then(|place| outside.snapshot(store, place)))
            })
            .await
    }
    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        let (store, wanted) = (self.place, place(version));
        let fault = self.process.befalls(Op::ReadAt, store).await;
        if fault == Fault::NotFound {
            return Ok(None);
        }
        self.process
            .suffered(fault, move |outside| {
                let wanted = wanted.filter(|wanted| !outside.stores[store].forgotten.contains(wanted));
                Ok(wanted.and_then(|wanted| outside.snapshot(store, wanted)))
            })
            .await
    }
    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        let (store, by, base) = (self.place, By::Us(self.process.number), change.base.and_then(place));
        let mark = change.mark.clone();
        let changes: Vec<_> = change.fields.iter().map(|(field, value)| (field.clone(), value.reveal().to_owned())).collect();
        self.process
            .call(Op::Write, store, move |outside| {
                let cabinet = &mut outside.stores[store];
                if base != cabinet.versions.len().checked_sub(1) {
                    return Err(Failure::refused(Refusal::Conflict, Some(400), "it moved on"));
                }
                cabinet.mark = Some(mark);
                let mut fields = cabinet.versions.last().map(|stored| stored.fields.clone()).unwrap_or_default();
                fields.extend(changes);
                Ok(version(outside.stored(store, fields, by)))
            })
            .await
    }
    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        let store = self.place;
        self.process
            .call(Op::Endpoints, store, move |outside| {
                let cabinet = &outside.stores[store];
                let newest = cabinet.versions.len().checked_sub(1);
                let behind = |until: At| if outside.now < until { newest.and_then(|newest| newest.checked_sub(1)) } else { newest };
                let mut endpoints = vec![("first".to_owned(), newest.map(version))];
                let others = cabinet.replicas.iter().enumerate();
                endpoints.extend(others.map(|(number, until)| (format!("replica {number}"), behind(*until).map(version))));
                Ok(endpoints)
            })
            .await
    }
    async fn mark(&self) -> Got<Option<Mark>> {
        let store = self.place;
        self.process.call(Op::Mark, store, move |outside| Ok(outside.stores[store].mark.clone())).await
    }
    async fn clock(&self) -> Got<Option<DateTime<Utc>>> {
        self.process.call(Op::StoreClock, self.place, |outside| Ok(outside.store_clock.map(|wrong| outside.time() + wrong))).await
    }
}
