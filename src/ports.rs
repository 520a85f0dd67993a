//! What the driver needs of the outside world: traits, and the plain values that cross them. They know no YAML.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    ids::{Identity, InstanceId, KeyId, RotationId, Version},
    playbook::SecretRef,
    protocol::{Event, Refusal},
    record::{Detail, Record},
    rotation::Tombstone,
    secret::Secret,
};

/// The result of a call across a port.
pub type Got<T> = Result<T, Failure>;

/// A call that did not give what was asked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What it means for the outside world.
    pub fate: Fate,
    /// Who was asked for what, and what came back (a status, never a body): `POST https://… answered 403`.
    pub what: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// Whether a failed call may have changed something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It answered: nothing changed.
    Refused {
        /// In the protocol's words.
        why: Refusal,
        /// The HTTP status, where there is one.
        code: Option<u16>,
    },
    /// Provably no effect: the name did not resolve, the connection was refused, TLS failed, 429.
    NotSent {
        /// What the other side asked us to wait.
        retry_after: Option<Duration>,
    },
    /// It may have happened: 5xx, 408, 3xx, a reset, a timeout, an unreadable 2xx. Look before anything else.
    Unknown {
        /// What the other side asked us to wait.
        retry_after: Option<Duration>,
    },
}

impl Failure {
    /// It answered "no".
    pub fn refused(why: Refusal, code: Option<u16>, what: impl Into<String>) -> Self {
        Self { fate: Fate::Refused { why, code }, what: what.into(), hint: None }
    }
    /// It was never sent.
    pub fn not_sent(what: impl Into<String>) -> Self {
        Self { fate: Fate::NotSent { retry_after: None }, what: what.into(), hint: None }
    }
    /// It may have happened.
    pub fn unknown(what: impl Into<String>) -> Self {
        Self { fate: Fate::Unknown { retry_after: None }, what: what.into(), hint: None }
    }
    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// The protocol's word, if it was refused.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.fate {
            Fate::Refused { why, .. } => Some(why),
            _ => None,
        }
    }
    /// What the other side asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.fate {
            Fate::NotSent { retry_after } | Fate::Unknown { retry_after } => retry_after,
            Fate::Refused { .. } => None,
        }
    }
}

/// Something preflight found that must be put right before a rotation can begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// The other side could not be asked (as opposed to: it answered, and that is the problem).
    pub unreachable: bool,
}

impl Problem {
    /// A finding, with its remedy.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), unreachable: false }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let unreachable = !matches!(failure.fate, Fate::Refused { .. });
        let hint = failure.hint.unwrap_or_else(|| match failure.fate {
            Fate::Refused { why: Refusal::Denied, .. } => "check the credential and its permissions".into(),
            Fate::Refused { .. } => "check the playbook against what is really there".into(),
            _ => "check that it is reachable from here, then try again".into(),
        });
        Self { what: failure.what, hint, unreachable }
    }
}

// ---- provider

/// What a provider guarantees, for the driver and for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traits {
    /// How a lost create is settled.
    pub ambiguity: Ambiguity,
    /// How long a created key may stay out of the listing.
    pub listed_within: Duration,
    /// How long a new key may be refused before it works everywhere.
    pub ready_within: Duration,
    /// How long a deleted key may still work.
    pub dead_within: Duration,
    /// How late usage figures may be; also their granularity.
    pub usage_lag: Duration,
    /// The most keys one principal may have.
    pub quota: Option<usize>,
}

/// What a create whose reply was lost leaves behind, and how it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ambiguity {
    /// An idempotency key replays the reply.
    Replayed,
    /// The secret is shown once, but the key can be listed under the exact name we gave it.
    Listable,
    /// Shown once and unnamed: only a key that was not listed before, appeared after, and was never used can be ours.
    Unnamed,
}

/// A key as the provider lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The exact id that a delete takes.
    pub id: KeyId,
    /// The name given at its creation, where there is one.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last used; none: never, or not told.
    pub last_used: Option<DateTime<Utc>>,
    /// Whether it can be used.
    pub enabled: bool,
}

/// What a credential in a store consists of.
pub struct Credential {
    /// The id field beside the value, where the playbook writes one. A claim, not a proof.
    pub id: Option<KeyId>,
    /// The value.
    pub secret: Secret,
}

/// A key the provider has just made.
pub struct Minted {
    /// Its id.
    pub id: KeyId,
    /// Its value; the only copy there is.
    pub secret: Secret,
    /// When the provider says it was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// What to create.
pub struct Wanted<'a> {
    /// The exact name.
    pub name: &'a str,
    /// The same for each repetition of one create: an idempotency key.
    pub token: &'a str,
    /// The key whose limits, scopes and caps the new one takes; never wider.
    pub like: Option<&'a KeyId>,
}

/// What a call with a key showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It works.
    Alive,
    /// It is refused as no key at all.
    Dead,
    /// Neither: 403, 429, 5xx. Never evidence of revocation.
    Unclear,
}

/// Who issues and revokes the key.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its guarantees.
    fn traits(&self) -> Traits;
    /// What must not be rotated twice at once, where keys share one (a user's quota); none where keys are independent.
    fn principal(&self) -> Option<Identity>;
    /// For people: `openai project proj_abc at https://…`.
    fn describe(&self) -> String;
    /// Reads only: the credential works, has its permissions, and there is room for another key.
    async fn check(&self) -> Result<(), Vec<Problem>>;
    /// Every key of this principal, all pages.
    async fn list(&self) -> Got<Vec<Listed>>;
    /// Which listed key this value is, with the proof in words; none where it cannot be proved.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>>;
    /// Makes a key. Sent at most once a call.
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted>;
    /// Deletes by exact id; gone counts as [`Refusal::Gone`].
    async fn delete(&self, tombstone: &Tombstone) -> Got<()>;
    /// One cheap call with the key itself.
    async fn probe(&self, credential: &Credential) -> Got<Life>;
    /// Reversible disable, where there is one. A capability is its implementation.
    fn switch(&self) -> Option<&dyn Switch> {
        None
    }
    /// Last use, where the provider tells.
    fn usage(&self) -> Option<&dyn Usage> {
        None
    }
}

/// Reversible disable.
#[async_trait]
pub trait Switch: Send + Sync {
    /// Switches a key on or off; both may be repeated.
    async fn set(&self, key: &KeyId, on: bool) -> Got<()>;
}

/// When keys were used.
#[async_trait]
pub trait Usage: Send + Sync {
    /// The last use, not newer than [`Traits::usage_lag`]; none: never.
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>>;
}

// ---- store

/// A store's value at one version. In a store that holds one plain text, its only field is `value`.
pub struct Snapshot {
    /// The version.
    pub version: Version,
    /// The text fields; others exist, are kept, and are not shown here.
    pub fields: BTreeMap<String, Secret>,
}

/// A conditional write.
pub struct Change<'a> {
    /// The version it replaces; none: nothing may be there. Anything else is [`Refusal::Conflict`].
    pub base: Option<&'a Version>,
    /// The fields to set; all others stay as they are.
    pub fields: &'a BTreeMap<String, Secret>,
    /// The same for each repetition of one write, different for any other (hash of rotation, attempt, direction, base).
    pub token: &'a str,
    /// Left beside the secret.
    pub mark: &'a Mark,
}

/// Who last rotated a store's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The journal's id.
    pub journal: String,
    /// The rotation's id.
    pub rotation: RotationId,
}

/// Where services read the key.
#[async_trait]
pub trait Store: Send + Sync {
    /// Where it is, without its fields: `vault_kv2 https://vault:8200 secret/ai/openai`. Stable, and no secret.
    fn locator(&self) -> String;
    /// Reads only: reachable, logged in, allowed to write, and its retention keeps the old version.
    async fn check(&self) -> Result<(), Vec<Problem>>;
    /// The current value; none: nothing is stored.
    async fn read(&self) -> Got<Option<Snapshot>>;
    /// An older version; none: it is no longer readable.
    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>>;
    /// Merges the fields into the current value, if that is still at `base`, and makes it current.
    async fn write(&self, change: &Change<'_>) -> Got<Version>;
    /// Every read endpoint (replica, region) by name, with the version it serves; one for a simple store.
    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>>;
    /// Who last rotated this value.
    async fn mark(&self) -> Got<Option<Mark>>;
    /// The store's own clock, where it tells (an HTTP `Date`).
    async fn clock(&self) -> Got<Option<DateTime<Utc>>> {
        Ok(None)
    }
}

// ---- consumer

/// What a discovery found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// All of them, those that are leaving too.
    pub instances: Vec<Instance>,
    /// The platform's own count, where it has one (Kubernetes replicas).
    pub expected: Option<usize>,
}

/// One running copy of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// Distinct among the consumer's instances.
    pub id: InstanceId,
    /// The name in the URL and the `Host` header.
    pub host: String,
    /// Where to connect.
    pub address: SocketAddr,
    /// When its process started, where the platform tells.
    pub started: Option<DateTime<Utc>>,
    /// It is shutting down, and still counts until it is gone.
    pub leaving: bool,
}

/// Finds a consumer's instances; asked again before each pass.
#[async_trait]
pub trait Discovery: Send + Sync {
    /// All instances now.
    async fn instances(&self) -> Got<Found>;
}

/// What an instance says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its own name for itself, where the playbook asks for it: behind a balancer, addresses do not tell copies apart.
    pub id: Option<InstanceId>,
    /// Which key it uses; none: it did not say.
    pub claim: Option<Claim>,
    /// Whether it answered 2xx.
    pub healthy: bool,
    /// The status, for people.
    pub status: u16,
}

/// How an instance names its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The store's version.
    Version(String),
    /// The provider's id.
    KeyId(String),
    /// The first 8 or more hex digits of the value's SHA-256.
    Sha256(String),
}

/// Asks one instance.
#[async_trait]
pub trait Health: Send + Sync {
    /// Its report. A failure is a miss, not evidence.
    async fn ask(&self, instance: &Instance) -> Got<Report>;
}

/// What a rollout is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The consumer's name.
    pub consumer: String,
    /// The rotation.
    pub rotation: RotationId,
    /// Different for each rollout, the same when one is repeated.
    pub tag: String,
    /// Each store's current version.
    pub versions: Vec<Version>,
}

/// Makes a consumer pick up what the stores hold.
#[async_trait]
pub trait Rollout: Send + Sync {
    /// Reads only.
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
    /// Starts it, or repeats it: the tag tells.
    async fn roll(&self, order: &Order) -> Got<()>;
    /// Whether a rollout of that tag happened; none where nobody can tell.
    async fn rolled(&self, order: &Order) -> Got<Option<bool>>;
}

/// One consumer's adapters; a job has neither discovery nor health.
pub struct Wiring {
    /// How its instances are found.
    pub discovery: Option<Arc<dyn Discovery>>,
    /// How they are asked.
    pub health: Option<Arc<dyn Health>>,
    /// How it is made to pick the key up; none: by itself.
    pub rollout: Option<Arc<dyn Rollout>>,
}

/// Everything outside that one playbook touches, in the playbook's order.
pub struct World {
    /// Who issues the key.
    pub provider: Arc<dyn Provider>,
    /// Where it lives.
    pub stores: Vec<Arc<dyn Store>>,
    /// Who reads it.
    pub consumers: Vec<Wiring>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({} stores, {} consumers)", self.stores.len(), self.consumers.len())
    }
}

// ---- ourselves

/// Reads what a secret reference points to, anew at each call.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The value.
    async fn read(&self, reference: &SecretRef) -> Got<Secret>;
}

/// Time, passed in.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, by the wall.
    fn now(&self) -> DateTime<Utc>;
    /// Since some fixed moment; never jumps.
    fn steady(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, time: Duration);
}

/// Why the journal did not take a record, or a rotation.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another rotation is open on the same store or principal.
    #[error("rotation {0} is still open on the same key")]
    Open(RotationId),
    /// Another process drives this rotation.
    #[error("rotation {0} is being driven by another keyroll ({1})")]
    Busy(RotationId, String),
    /// Another process took this rotation over since.
    #[error("rotation {0} was taken over by another keyroll")]
    TakenOver(RotationId),
    /// No such rotation.
    #[error("the journal knows no rotation {0}")]
    Unknown(String),
    /// A record that this keyroll does not understand, or that was changed.
    #[error("the journal cannot be trusted: {0}")]
    Corrupt(String),
    /// It cannot be read or written.
    #[error("the journal cannot be used: {0}")]
    Down(String),
}

/// The right to drive one rotation; given back when dropped.
pub struct Lease {
    /// The rotation.
    pub rotation: RotationId,
    /// Counts takeovers.
    pub epoch: u64,
    /// The last record's place.
    pub seq: u64,
    /// The last record's hash.
    pub head: String,
    /// What keeps other processes out while this lives.
    pub guard: Box<dyn Send + Sync>,
}

/// A rotation to begin.
pub struct Opening<'a> {
    /// Its id.
    pub rotation: RotationId,
    /// The playbook's name, for listings.
    pub name: &'a str,
    /// What nobody else may rotate meanwhile.
    pub identities: &'a [Identity],
    /// The first record.
    pub event: Event,
    /// Its detail: the plan.
    pub detail: Detail,
    /// The writer's clock.
    pub at: DateTime<Utc>,
}

/// One line of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The rotation.
    pub rotation: RotationId,
    /// The playbook's name.
    pub name: String,
    /// Whether it still holds its identities.
    pub open: bool,
}

/// A person's ask, left for the process that drives the rotation.
#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    /// The ask.
    pub event: Event,
    /// Who, and why.
    pub detail: Detail,
}

/// Our own record. Every write is conditional on (epoch, sequence, head).
#[async_trait]
pub trait Journal: Send + Sync {
    /// The journal's id, for marks.
    fn id(&self) -> &str;
    /// The salt of its fingerprints.
    fn salt(&self) -> &[u8];
    /// Begins a rotation: claims its identities and writes its first record, all or nothing.
    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError>;
    /// Takes a rotation over, with a higher epoch.
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError>;
    /// Writes one record, durably. `closes`: the rotation is over and gives its identities back.
    async fn append(
        &self,
        lease: &mut Lease,
        at: DateTime<Utc>,
        event: Event,
        detail: Detail,
        closes: bool,
    ) -> Result<Record, JournalError>;
    /// A rotation's records, in order, their chain checked.
    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError>;
    /// All rotations, newest first.
    async fn entries(&self) -> Result<Vec<Entry>, JournalError>;
    /// The open rotation that holds this identity.
    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError>;
    /// Leaves an ask for the runner.
    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError>;
    /// Takes the oldest ask out.
    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError>;
}
