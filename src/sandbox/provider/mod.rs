//! An OpenAI-like provider for the demo and for tests: an admin API whose keys really work and really die, the same keys behind
//! a relay's plainer API, its admin keys, and faults on demand. It listens on 127.0.0.1 and ends when it is dropped.

mod admin;
mod reply;
mod routes;
mod usage;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound, Utc};

pub use super::server::Fault;
use super::server::{Held, Server};
use crate::{ids::KeyId, secret::Secret};

/// The only project there is.
pub const PROJECT: &str = "proj_sandbox";

/// A running provider.
pub struct SandboxProvider {
    server: Server<World>,
    admin_key: Secret,
}

/// What one key went through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyView {
    /// The id that a delete takes: a service account's.
    pub id: KeyId,
    /// The name it was made with.
    pub name: String,
    /// When it was made, to the second.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the second.
    pub last_used: Option<DateTime<Utc>>,
    /// Whether a call with it works now.
    pub live: bool,
    /// Whether it is out of the listing.
    pub deleted: bool,
    /// Calls with it that worked.
    pub ok: u64,
    /// Calls with it that were refused.
    pub refused: u64,
}

/// One key. Its value is not kept: a digest finds it.
struct Key {
    /// The service account, or the user who owns it.
    id: KeyId,
    /// The key's own id.
    key_id: String,
    name: String,
    of_user: bool,
    sha256: String,
    redacted: String,
    created_at: DateTime<Utc>,
    last_used: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    enabled: bool,
    /// Deleted; calls are refused from then on.
    dies: Option<Instant>,
    ok: u64,
    refused: u64,
}

impl Key {
    fn live(&self) -> bool {
        self.enabled && self.dies.is_none_or(|dies| Instant::now() < dies) && self.expires_at.is_none_or(|end| Utc::now() < end)
    }

    /// A call with it: whether it is let in.
    fn call(&mut self) -> bool {
        let live = self.live();
        if live {
            self.ok += 1;
            self.last_used = Some(Utc::now().trunc_subsecs(0));
        } else {
            self.refused += 1;
        }
        live
    }

    fn view(&self) -> KeyView {
        KeyView {
            id: self.id.clone(),
            name: self.name.clone(),
            created_at: self.created_at,
            last_used: self.last_used,
            live: self.live(),
            deleted: self.dies.is_some(),
            ok: self.ok,
            refused: self.refused,
        }
    }
}

/// What the provider knows.
struct World {
    keys: Vec<Key>,
    /// The admin keys; the first is [`SandboxProvider::admin_key`].
    admins: Vec<Key>,
    /// Completions by minute (since 1970) and key id.
    completions: BTreeMap<(i64, String), u64>,
    /// The project's limit and its alerts, in cents of a month.
    limit: Option<(u64, Vec<u64>)>,
    /// The relay's replies by idempotency key.
    replays: HashMap<String, (KeyId, Secret)>,
    dies_after: Duration,
    page: usize,
    strangers: u64,
    made: u64,
}

impl SandboxProvider {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let mut world = World {
            keys: Vec::new(),
            admins: Vec::new(),
            completions: BTreeMap::new(),
            limit: None,
            replays: HashMap::new(),
            dies_after: Duration::ZERO,
            page: 100,
            strangers: 0,
            made: 0,
        };
        let (_, admin_key) = world.make_admin("sandbox", None);
        Ok(Self { server: Server::start(world).await?, admin_key })
    }

    fn world(&self) -> Held<'_, World> {
        self.server.world()
    }

    /// The OpenAI-like API: `http://127.0.0.1:4711/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.server.url())
    }
    /// The relay's API over the same keys: `/keys` lies below it, and `/v1/models` beside it.
    pub fn relay_url(&self) -> String {
        format!("{}/relay", self.server.url())
    }
    /// The first credential of both admin APIs, as a bearer token.
    pub fn admin_key(&self) -> &Secret {
        &self.admin_key
    }

    /// Makes a service account with one key, as a person would have done before.
    pub fn seed_key(&self, name: &str) -> (KeyId, Secret) {
        self.world().make(name)
    }
    /// Gives a service account one more key.
    pub fn seed_second_key(&self, account: &KeyId) -> Secret {
        let mut world = self.world();
        let (made, secret) = world.make("second");
        if let Some(key) = world.keys.iter_mut().find(|key| key.id == made) {
            key.id = account.clone();
        }
        secret
    }
    /// Makes a key that belongs to a user, not to a service account.
    pub fn seed_user_key(&self, name: &str) -> (KeyId, Secret) {
        let mut world = self.world();
        let (id, secret) = world.make(name);
        if let Some(key) = world.keys.iter_mut().find(|key| key.id == id) {
            key.of_user = true;
        }
        (id, secret)
    }

    /// Makes an admin key, which ends after `lifetime` where one is given.
    pub fn seed_admin_key(&self, name: &str, lifetime: Option<Duration>) -> (KeyId, Secret) {
        self.world().make_admin(name, lifetime)
    }

    /// From now on the listing shows an admin key's value so.
    pub fn show_admin_key_as(&self, id: &KeyId, redacted: &str) {
        if let Some(key) = self.world().admins.iter_mut().find(|key| key.id == *id) {
            key.redacted = redacted.to_owned();
        }
    }

    /// From now on the project may spend so many cents a month, and says so at these.
    pub fn limit_project(&self, cents: u64, alerts: &[u64]) {
        self.world().limit = Some((cents, alerts.to_vec()));
    }

    /// From now on a deleted key works for this long.
    pub fn dies_after(&self, time: Duration) {
        self.world().dies_after = time;
    }
    /// The most items of one page, at least 1.
    pub fn page_size(&self, items: usize) {
        self.world().page = items.max(1);
    }
    /// Makes the `nth` (from 1) request from now on of this method and path go wrong, once; see [`Server::inject`].
    pub fn inject(&self, method: &str, path: &str, nth: usize, fault: Fault) {
        self.server.inject(method, path, nth, fault);
    }

    /// All keys there ever were, in the order of their making.
    pub fn keys(&self) -> Vec<KeyView> {
        self.world().keys.iter().map(Key::view).collect()
    }
    /// All admin keys there ever were, in the order of their making.
    pub fn admin_keys(&self) -> Vec<KeyView> {
        self.world().admins.iter().map(Key::view).collect()
    }
    /// The ids of those that work now.
    pub fn live_keys(&self) -> Vec<KeyId> {
        self.keys().into_iter().filter(|key| key.live).map(|key| key.id).collect()
    }
    /// Calls with values that were never issued.
    pub fn strangers(&self) -> u64 {
        self.world().strangers
    }
    /// Every admin request so far, as method and path, whatever came of it.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.server.requests()
    }
    /// The admin keys that requests of this method and path came with, in their order; `*` as in [`SandboxProvider::inject`].
    pub fn callers(&self, method: &str, path: &str) -> Vec<Option<KeyId>> {
        self.server.callers(method, path).into_iter().map(|by| by.map(KeyId::new)).collect()
    }
    /// The JSON bodies of the requests of this method and path, in their order; `*` as in [`SandboxProvider::inject`].
    pub fn bodies(&self, method: &str, path: &str) -> Vec<serde_json::Value> {
        self.server.bodies(method, path)
    }
    /// How many admin requests were of this method and path; `*` as in [`SandboxProvider::inject`].
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.server.count(method, path)
    }
}

impl World {
    fn make(&mut self, name: &str) -> (KeyId, Secret) {
        let (key, secret) = self.mint("sk-svcacct", "svc_acct", name);
        let id = key.id.clone();
        self.keys.push(key);
        (id, secret)
    }

    /// A key that is in no listing yet.
    fn mint(&mut self, begins: &str, id_begins: &str, name: &str) -> (Key, Secret) {
        self.made += 1;
        let value = format!("{begins}-{}", random(40));
        let redacted = format!("{}...{}", &value[..8], &value[value.len() - 4..]);
        let secret = Secret::new(value);
        let key = Key {
            id: KeyId::new(format!("{id_begins}_{:04}{}", self.made, random(8))),
            key_id: format!("key_{:04}{}", self.made, random(8)),
            name: name.to_owned(),
            of_user: false,
            sha256: secret.sha256(),
            redacted,
            created_at: Utc::now().trunc_subsecs(0),
            last_used: None,
            expires_at: None,
            enabled: true,
            dies: None,
            ok: 0,
            refused: 0,
        };
        (key, secret)
    }

    /// Deletes every key of this id; whether there was one.
    fn delete(&mut self, id: &str) -> bool {
        let dies = Instant::now() + self.dies_after;
        let mut found = false;
        for key in self.keys.iter_mut().filter(|key| key.id.as_str() == id && key.dies.is_none()) {
            key.dies = Some(dies);
            found = true;
        }
        found
    }

    /// A call with a key: whether it is let in.
    fn call(&mut self, secret: &Secret) -> bool {
        let digest = secret.sha256();
        let Some(key) = self.keys.iter_mut().find(|key| key.sha256 == digest) else {
            self.strangers += 1;
            return false;
        };
        key.call()
    }
}

fn random(letters: usize) -> String {
    (0..letters).map(|_| fastrand::alphanumeric()).collect()
}
