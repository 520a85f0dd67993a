//! A vendor's stand-in: keys that really work and really die, behind that vendor's shapes; and the adapter beside it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use keyroll::{
    adapters::{Ctx, registry::Registry, wire::Wire},
    ids::KeyId,
    playbook::{self, Block, SecretRef, Seg, Source},
    ports::{Credential, Failure, Got, Minted, Provider, Secrets, Wanted},
    protocol::Refusal,
    sandbox::server::{Answer, Call, Fault, Server, Standin},
    secret::Secret,
};
use serde_json::Value;

use crate::provider::{ProviderBench, suite};

/// What every admin call of a stand-in must bear.
pub const ADMIN: &str = "admin-credential-3f9c2b7a";

/// A key as a vendor keeps it.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub name: String,
    pub value: String,
    pub made: DateTime<Utc>,
    pub expires: Option<DateTime<Utc>>,
    pub used: Option<DateTime<Utc>>,
    pub enabled: bool,
    /// It is deleted, and calls are refused from then on.
    pub dies: Option<Instant>,
    pub spent: f64,
    /// What it was made with, in the vendor's own words.
    pub more: Value,
}

impl Key {
    pub fn live(&self) -> bool {
        self.enabled && self.dies.is_none_or(|dies| Instant::now() < dies) && self.expires.is_none_or(|end| Utc::now() < end)
    }

    /// Its beginning and its end.
    pub fn redacted(&self, head: usize, tail: usize) -> String {
        format!("{}...{}", &self.value[..head], &self.value[self.value.len() - tail..])
    }
}

/// All keys of a vendor.
#[derive(Default)]
pub struct Keys {
    pub all: Vec<Key>,
    pub dies_after: Duration,
    /// They stand in fixed places that are never empty: a key takes another one's place, and what takes a deleted one's is nobody's.
    pub slots: bool,
    /// The most items of a page.
    pub page: usize,
}

impl Keys {
    /// A key with a value that begins so.
    pub fn make(&mut self, id: impl Into<String>, value_begins: &str, name: &str, more: Value) -> &mut Key {
        let value = format!("{value_begins}{}", random(40));
        self.all.push(Key {
            id: id.into(),
            name: name.to_owned(),
            value,
            made: Utc::now().trunc_subsecs(0),
            expires: None,
            used: None,
            enabled: true,
            dies: None,
            spent: 0.0,
            more,
        });
        self.all.last_mut().expect("just made")
    }

    /// Those that are in the listing.
    pub fn listed(&self) -> Vec<&Key> {
        self.all.iter().filter(|key| key.dies.is_none()).collect()
    }

    pub fn find(&mut self, id: &str) -> Option<&mut Key> {
        self.all.iter_mut().find(|key| key.id == id && key.dies.is_none())
    }

    /// Whether there was one to delete.
    pub fn delete(&mut self, id: &str) -> bool {
        let dies = Instant::now() + self.dies_after;
        self.find(id).map(|key| key.dies = Some(dies)).is_some()
    }

    /// A call with a key: whether it is let in.
    pub fn call(&mut self, value: &str) -> bool {
        let Some(key) = self.all.iter_mut().find(|key| key.value == value) else { return false };
        let live = key.live();
        if live {
            key.used = Some(Utc::now().trunc_subsecs(0));
            key.spent += 0.25;
        }
        live
    }

    pub fn named(&self, name: &str) -> usize {
        self.all.iter().filter(|key| key.name == name).count()
    }

    pub fn living(&self) -> Vec<&Key> {
        self.all.iter().filter(|key| key.live()).collect()
    }

    /// Those of them that somebody has: in a slot, those that ever were called with.
    pub fn in_hands(&self) -> Vec<&Key> {
        self.living().into_iter().filter(|key| !self.slots || key.used.is_some()).collect()
    }
}

pub fn random(letters: usize) -> String {
    (0..letters).map(|_| fastrand::alphanumeric()).collect()
}

/// How a vendor answers.
pub type Shape = fn(&mut Keys, &Call) -> Answer;

/// One vendor's stand-in, and how keyroll is set up for it.
#[derive(Clone, Copy)]
pub struct Vendor {
    /// Its name in a playbook.
    pub name: &'static str,
    /// Its block, for a stand-in at this address, where the admin credential stands at this reference.
    pub block: fn(url: &str, admin: &str) -> String,
    pub shape: Shape,
    /// A key that a person made, with limits where keys have some.
    pub seed: fn(&mut Keys, name: &str),
    /// The method and path (`*` is one segment) of a create, a delete, and a page of the listing.
    pub create: (&'static str, &'static str),
    pub delete: (&'static str, &'static str),
    pub list: (&'static str, &'static str),
    /// The path that a key is tried on, and whether a call there is no admin call.
    pub probe: (&'static str, &'static str),
    /// The statuses that alone mean nothing; one that is not among them may mean death without more.
    pub unclear: &'static [u16],
    pub model: &'static str,
    /// How many fit on a page of the listing; more are seeded where it has pages.
    pub page: usize,
    /// How many keys are seeded for the contract.
    pub seeds: usize,
}

/// A vendor's world.
pub struct World {
    pub keys: Keys,
    shape: Shape,
    /// What is done to a reply of this method and path before it goes out.
    pub mangle: Option<Mangle>,
}

/// A change of replies: method, path, and what is done.
pub type Mangle = (&'static str, String, Box<dyn Fn(&mut Value) + Send>);

impl Standin for World {
    fn answer(&mut self, call: &Call) -> Answer {
        let answer = match ((self.shape)(&mut self.keys, call), &self.mangle) {
            (Answer::Json(status, mut body), Some((method, path, change)))
                if (*method == "*" || call.method == *method) && (path == "*" || keyroll::sandbox::server::fits(path, &call.path)) =>
            {
                change(&mut body);
                Answer::Json(status, body)
            }
            (answer, _) => answer,
        };
        match answer {
            Answer::Json(status, body) if call.body["Action"].is_string() => Answer::Xml(status, crate::standins::bedrock::xml(&body)),
            answer => answer,
        }
    }
}

/// Knows the admin credential.
struct OneSecret;

#[async_trait]
impl Secrets for OneSecret {
    async fn read(&self, reference: &SecretRef) -> Got<Secret> {
        match reference {
            SecretRef::Env(name) if name.starts_with("ADMIN") => Ok(Secret::new(ADMIN)),
            other => Err(Failure::refused(Refusal::Gone, None, format!("{other} is not set"))),
        }
    }
}

/// An adapter and its stand-in.
pub struct Bench {
    pub vendor: Vendor,
    pub server: Server<World>,
    pub provider: Arc<dyn Provider>,
    seeded: Vec<KeyId>,
}

/// A stand-in with so many keys.
pub async fn stand_in(vendor: &Vendor, seeds: usize) -> Server<World> {
    let keys = Keys { page: vendor.page, ..Keys::default() };
    let mut world = World { keys, shape: vendor.shape, mangle: None };
    (1..=seeds).for_each(|number| (vendor.seed)(&mut world.keys, &format!("by hand {number}")));
    Server::start(world).await.expect("a port")
}

impl Bench {
    pub async fn new(vendor: Vendor) -> Self {
        let server = stand_in(&vendor, vendor.seeds).await;
        let provider = build(&vendor, &server.url());
        let seeded = server.world().keys.all.iter().map(|key| KeyId::new(&key.id)).collect();
        Self { vendor, server, provider, seeded }
    }

    pub async fn keeps_the_contract(&self) {
        suite(self).await;
    }

    /// How many keys were made under this name; where keys have none, how many were made.
    pub fn named(&self, name: &str) -> usize {
        let world = self.server.world();
        if world.keys.all.iter().all(|key| key.name.is_empty()) { world.keys.all.len() - self.seeded.len() } else { world.keys.named(name) }
    }

    pub fn spoil(&self, what: (&str, &str), nth: usize, fault: Fault) {
        self.server.inject(what.0, what.1, nth, fault);
    }
}

/// Builds a provider as `validate` and `run` do.
pub fn build(vendor: &Vendor, url: &str) -> Arc<dyn Provider> {
    built(vendor.name, &(vendor.block)(url, "env:ADMIN")).unwrap_or_else(|fault| panic!("{}: {}", vendor.name, fault.what))
}

/// The same of a block, or what is wrong with it.
pub fn built(name: &str, block: &str) -> Result<Arc<dyn Provider>, playbook::Fault> {
    let block: String = block.lines().map(|line| format!("    {line}\n")).collect();
    let source = Source { name: "test.yaml".into(), text: format!("provider:\n  {name}:\n{block}") };
    let path = vec![Seg::Key("provider".into()), Seg::Key(name.into())];
    let block = Block { kind: name.into(), path, source: Arc::new(source) };
    let ctx = Ctx { secrets: Arc::new(OneSecret), wire: Wire::new().expect("TLS") };
    let known = Registry::builtin().providers;
    let known = known.iter().find(|known| known.kind.name == name).expect("a known provider");
    (known.kind.build)(&block, &ctx)
}

#[async_trait]
impl ProviderBench for Bench {
    fn provider(&self) -> Arc<dyn Provider> {
        self.provider.clone()
    }
    fn seeded(&self) -> Vec<KeyId> {
        self.seeded.clone()
    }
    async fn mint(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        if self.provider.by_person().is_none() {
            return self.provider.create(wanted).await;
        }
        let mut world = self.server.world();
        (self.vendor.seed)(&mut world.keys, wanted.name);
        let key = world.keys.all.last().expect("just made");
        Ok(Minted { id: KeyId::new(&key.id), secret: Secret::new(&key.value), created_at: Some(key.made), expires_at: None })
    }
    async fn creates(&self) -> Option<usize> {
        self.provider.by_person().is_none().then(|| self.server.count(self.vendor.create.0, self.vendor.create.1))
    }
    async fn lose_next_create(&self) -> bool {
        if self.provider.by_person().is_some() {
            return false;
        }
        self.spoil(self.vendor.create, 1, Fault::DropAfter);
        true
    }
    async fn lose_next_delete(&self) -> bool {
        self.spoil(self.vendor.delete, 1, Fault::DropAfter);
        true
    }
    fn credential(&self, minted: &Minted) -> Credential {
        Credential { id: Some(minted.id.clone()), secret: minted.secret.duplicate() }
    }
    fn model(&self) -> &'static str {
        self.vendor.model
    }
    /// In slots a create replaces the key that is not in use, which is all but the first.
    fn lasting(&self, ids: BTreeSet<KeyId>) -> BTreeSet<KeyId> {
        if self.server.world().keys.slots { ids.into_iter().filter(|id| *id == self.seeded[0]).collect() } else { ids }
    }
    fn own_secrets(&self) -> Vec<Secret> {
        vec![Secret::new(ADMIN)]
    }
}
