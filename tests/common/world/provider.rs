//! Who issues keys: by their number, with whatever lag the world has.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Identity, KeyId},
    playbook::Limits,
    ports::*,
    protocol::{Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

use super::{
    Outside,
    facts::{At, By, Fact, Origin},
    fault::{Fault, Op},
    origin,
    process::Process,
};

/// The longest that something takes to be seen, beyond the call itself.
#[derive(Clone, Copy, Default)]
pub struct Lags {
    pub listed: Duration,
    pub ready: Duration,
    pub dead: Duration,
    /// The longest a call whose reply was lost may take to land.
    pub late: Duration,
}

pub struct Issuer {
    pub traits: Traits,
    pub lags: Lags,
    pub keys: Vec<Key>,
    pub switches: bool,
    pub tells_use: bool,
    /// The provider can tell which key a value is.
    pub proves: bool,
    /// It tells when a key was made.
    pub tells_age: bool,
    /// How long a key lives by itself.
    pub lives: Option<Duration>,
    /// What keys are called, before their number.
    pub prefix: String,
}

impl Default for Issuer {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        let traits = Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: five,
            ready_within: five,
            dead_within: five,
            usage_lag: Duration::ZERO,
            quota: None,
        };
        let (keys, prefix) = (Vec::new(), "key".into());
        Self { traits, lags: Lags::default(), keys, switches: false, tells_use: false, proves: true, tells_age: true, lives: None, prefix }
    }
}

pub struct Key {
    pub id: String,
    pub value: String,
    pub name: String,
    pub token: Option<String>,
    pub origin: Origin,
    pub made: At,
    pub listed_from: At,
    pub works_from: At,
    pub deleted: Option<At>,
    /// Until then it works although it is deleted, and until then it is still listed.
    pub lingers: (At, At),
    pub on: bool,
    /// From when to when it was used; no end: still.
    pub uses: Vec<(At, Option<At>)>,
}

impl Key {
    pub fn works(&self, now: At) -> bool {
        self.on && self.works_from <= now && self.deleted.is_none_or(|_| now < self.lingers.0)
    }

    /// Whether the listing shows it, if that is as old as this; what it must show by now, it shows.
    fn shown(&self, now: At, at: At, within: Duration) -> bool {
        match self.deleted {
            Some(deleted) if deleted + within <= now => false,
            None if self.made + within <= now => true,
            _ => self.made <= at && self.listed(at),
        }
    }

    fn listed(&self, now: At) -> bool {
        self.listed_from <= now && self.deleted.is_none_or(|_| now < self.lingers.1)
    }

    /// The last use that is known at `at`.
    fn last_use(&self, at: At) -> Option<At> {
        self.uses.iter().filter(|(from, _)| *from <= at).map(|(_, to)| to.unwrap_or(at).min(at)).max()
    }
}

impl Outside {
    /// A new key's number.
    pub fn make(&mut self, name: &str, origin: Origin, token: Option<String>) -> usize {
        let (number, now, lags) = (self.issuer.keys.len(), self.now, self.issuer.lags);
        let (listed_from, works_from) = match origin {
            Origin::Ours { .. } => (now + self.some(lags.listed), now + self.some(lags.ready)),
            Origin::Before | Origin::Theirs => (now, now),
        };
        self.issuer.keys.push(Key {
            id: format!("{}-{number}", self.issuer.prefix),
            value: format!("sk-{}-{number:04}-in-memory", self.issuer.prefix),
            name: name.into(),
            token,
            origin: origin.clone(),
            made: now,
            listed_from,
            works_from,
            deleted: None,
            lingers: (At::ZERO, At::ZERO),
            on: true,
            uses: Vec::new(),
        });
        self.note(Fact::Made { key: number, origin });
        number
    }

    pub fn key_by_value(&self, value: &str) -> Option<usize> {
        self.issuer.keys.iter().position(|key| key.value == value)
    }

    pub fn key_by_id(&self, id: &str) -> Option<usize> {
        self.issuer.keys.iter().position(|key| key.id == id)
    }

    /// Deletes a key; whether it was there.
    pub fn delete(&mut self, key: usize, by: By) -> bool {
        let (now, lags) = (self.now, self.issuer.lags);
        let lingers = (now + self.some(lags.dead), now + self.some(lags.listed));
        let found = &mut self.issuer.keys[key];
        if found.deleted.is_some() {
            return false;
        }
        (found.deleted, found.lingers) = (Some(now), lingers);
        self.note(Fact::Deleted { key, by });
        true
    }

    fn switch(&mut self, key: usize, on: bool, by: By) {
        if self.issuer.keys[key].on != on {
            self.issuer.keys[key].on = on;
            self.note(Fact::Switched { key, on, by });
        }
    }

    fn listing(&self, at: At) -> Vec<Listed> {
        let issuer = &self.issuer;
        let named = issuer.traits.ambiguity != Ambiguity::Unnamed;
        let listed = |key: &Key| Listed {
            id: KeyId::new(&key.id),
            name: named.then(|| key.name.clone()),
            created_at: issuer.tells_age.then(|| origin() + key.made),
            expires_at: issuer.lives.map(|lives| origin() + key.made + lives),
            last_used: if issuer.tells_use { key.last_use(at).map(|used| origin() + used) } else { None },
            enabled: key.on,
        };
        issuer.keys.iter().filter(|key| key.shown(self.now, at, issuer.traits.listed_within)).map(listed).collect()
    }
}

fn gone() -> Failure {
    Failure::refused(Refusal::Gone, Some(404), "answered 404")
}

#[async_trait]
impl Provider for Process {
    fn traits(&self) -> Traits {
        self.sim.lock().issuer.traits
    }
    fn principal(&self) -> Option<Identity> {
        None
    }
    fn describe(&self) -> String {
        "sim".into()
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.call(Op::Check, 0, |_| Ok(())).await.map_err(|failure| vec![failure.into()])
    }
    async fn list(&self) -> Got<Vec<Listed>> {
        let fault = self.befalls(Op::List, 0).await;
        self.suffered(fault, move |outside| {
            // An eventual listing: what it showed a while ago.
            let ago = if fault == Fault::Stale { outside.some(outside.issuer.lags.listed) } else { Duration::ZERO };
            Ok(outside.listing(outside.now.saturating_sub(ago)))
        })
        .await
    }
    async fn identify(&self, credential: &Credential, _: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let value = credential.secret.reveal().to_owned();
        self.call(Op::Identify, 0, move |outside| {
            let found = outside.key_by_value(&value).filter(|_| outside.issuer.proves);
            Ok(found.map(|key| (KeyId::new(&outside.issuer.keys[key].id), "the sim knows".into())))
        })
        .await
    }
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let like = wanted.like.map(|like| match like {
            Like::Key(id) => id.clone(),
            Like::Gone(kept) => KeyId::new(kept.read::<String>().expect("a key's id")),
        });
        let (name, token) = (wanted.name.to_owned(), wanted.token.to_owned());
        let process = self.number;
        self.call(Op::Create, 0, move |outside| {
            let replays = outside.issuer.traits.ambiguity == Ambiguity::Replayed;
            let same = |key: &Key| key.token.as_ref() == Some(&token) && key.deleted.is_none();
            let known = outside.issuer.keys.iter().position(same).filter(|_| replays);
            let full = outside.issuer.traits.quota.is_some_and(|quota| outside.alive().len() >= quota);
            if known.is_none() && full {
                return Err(Failure::refused(Refusal::Quota, Some(400), "no room for another key"));
            }
            let key = known.unwrap_or_else(|| {
                let like = like.and_then(|id| outside.key_by_id(id.as_str()));
                outside.make(&name, Origin::Ours { process, name: name.clone(), like }, Some(token))
            });
            let made = &outside.issuer.keys[key];
            let created_at = outside.issuer.tells_age.then(|| origin() + made.made);
            let expires_at = outside.issuer.lives.map(|lives| origin() + made.made + lives);
            Ok(Minted { id: KeyId::new(&made.id), secret: Secret::new(&*made.value), created_at, expires_at })
        })
        .await
    }
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let (id, by) = (tombstone.key().as_str().to_owned(), By::Us(self.number));
        self.call(Op::Delete, 0, move |outside| {
            let key = outside.key_by_id(&id).ok_or_else(gone)?;
            if outside.delete(key, by) { Ok(()) } else { Err(gone()) }
        })
        .await
    }
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let fault = self.befalls(Op::Probe, 0).await;
        let (value, process) = (credential.secret.reveal().to_owned(), self.number);
        match fault {
            Fault::Denied | Fault::TooMany | Fault::BrokenBefore => return Ok(Life::Unclear),
            // A wrong place: it knows no key at all.
            Fault::NotFound => return Ok(Life::Dead),
            _ => {}
        }
        self.suffered(fault, move |outside| {
            let key = outside.key_by_value(&value);
            outside.note(Fact::Probed { process, key });
            let (now, Some(key)) = (outside.now, key) else { return Ok(Life::Dead) };
            let key = &mut outside.issuer.keys[key];
            let lives = outside.issuer.lives.is_none_or(|lives| now < key.made + lives);
            if !key.works(now) || !lives {
                return Ok(Life::Dead);
            }
            key.uses.push((now, Some(now)));
            Ok(Life::Alive)
        })
        .await
    }
    fn switch(&self) -> Option<&dyn Switch> {
        self.sim.lock().issuer.switches.then_some(self as &dyn Switch)
    }
    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
    fn usage(&self) -> Option<&dyn Usage> {
        self.sim.lock().issuer.tells_use.then_some(self as &dyn Usage)
    }
}

/// Keys here have no limits to compare: what is kept of one is which one it was.
#[async_trait]
impl Attributes for Process {
    async fn of(&self, _: &KeyId) -> Got<Bounds> {
        Ok(Bounds::new())
    }
    async fn planned(&self, _: Option<Like<'_>>, _: &Limits) -> Got<Bounds> {
        Ok(Bounds::new())
    }
    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        Ok(Kept::of(&key.as_str()).expect("a text"))
    }
}

#[async_trait]
impl Switch for Process {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let (id, by) = (key.as_str().to_owned(), By::Us(self.number));
        self.call(Op::Switch, usize::from(on), move |outside| {
            let key = outside.key_by_id(&id).filter(|key| outside.issuer.keys[*key].deleted.is_none()).ok_or_else(gone)?;
            outside.switch(key, on, by);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Usage for Process {
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let id = key.as_str().to_owned();
        self.call(Op::Usage, 0, move |outside| {
            let key = outside.key_by_id(&id).filter(|key| outside.issuer.keys[*key].deleted.is_none()).ok_or_else(gone)?;
            let at = outside.now.saturating_sub(outside.issuer.traits.usage_lag);
            Ok(outside.issuer.keys[key].last_use(at).map(|used| origin() + used))
        })
        .await
    }
}
