//! The playbook's fields. What belongs to one adapter stays an unread [`Block`]: only the registry knows its type.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Block, SecretRef, Source, Span, Window, tree};

/// One key and all that is needed to rotate it.
#[derive(Clone, Debug)]
pub struct Playbook {
    /// The file's text and name.
    pub source: std::sync::Arc<Source>,
    /// A display name; identity is store and field.
    pub name: String,
    /// For choosing playbooks.
    pub labels: BTreeMap<String, Vec<String>>,
    /// How old a key may get.
    pub every: Option<Span>,
    /// When risky steps may begin; none: at any time.
    pub window: Option<Window>,
    /// Who issues the key.
    pub provider: Block,
    /// The new key's name: `{name}`, `{yyyy}`, `{mm}`, `{dd}`; rotation and attempt are appended.
    pub key_name: String,
    /// How a new key is tried.
    pub probe: Probe,
    /// What a key may spend and ask for.
    pub limits: Limits,
    /// Every place the key lives.
    pub stores: Vec<Store>,
    /// In order; the first is the canary.
    pub consumers: Vec<Consumer>,
    /// How long to wait for proof.
    pub verify: VerifySpec,
    /// How the old key goes.
    pub revoke: RevokeSpec,
    /// What happens first when it leaked.
    pub emergency: EmergencySpec,
    /// Who is told what became of a rotation.
    pub notify: Vec<Notify>,
    /// Whether another person must approve each plan.
    pub require_approval: bool,
}

/// One way in which people are told.
#[derive(Clone, Debug)]
pub struct Notify {
    /// Which way, and where to.
    pub block: Block,
    /// What is told.
    pub on: Vec<Occasion>,
    /// How long a rotation that is held, or a key that is overdue, stays untold before it is told again.
    pub repeat: Span,
}

/// What people are told of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A rotation began.
    Started,
    /// A rotation stopped and needs a person; repeated until `keyroll ack`.
    Held,
    /// A rotation failed: rolled back, or ended before it touched a store.
    RolledBack,
    /// A rotation is done.
    Done,
    /// A key is older than it should be, and was not rotated.
    Overdue,
}

impl Occasion {
    /// Its word in a playbook.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Held => "held",
            Self::RolledBack => "rolled_back",
            Self::Done => "done",
            Self::Overdue => "overdue",
        }
    }
}

impl Playbook {
    /// Every reference to a secret that stands in the text, each once.
    pub fn references(&self) -> Vec<SecretRef> {
        let mut found: Vec<SecretRef> = Vec::new();
        if let Ok(root) = tree::of(&self.source) {
            root.scalars(&mut |text| {
                if let Ok(reference) = text.parse()
                    && !found.contains(&reference)
                {
                    found.push(reference);
                }
            });
        }
        found
    }
}

/// How a new key is tried before any store sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// What calls are made.
    pub level: ProbeLevel,
    /// How many cheap calls must succeed in a row.
    #[schemars(range(min = 1, max = 100))]
    pub times: u8,
    /// With `prompt` and `stream`: the model that is asked, as services name it.
    pub model: Option<String>,
    /// With `prompt` and `stream`: how long the whole answer may take.
    pub within: Span,
}

impl Default for Probe {
    fn default() -> Self {
        Self { level: ProbeLevel::Auth, times: 3, model: None, within: Span::secs(30) }
    }
}

/// What a key may spend and ask for. Put on the new key where the provider can; elsewhere `plan` says so. Never more than the old key has.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most it may spend in a month, in US dollars.
    #[schemars(range(min = 0.01))]
    pub monthly: Option<f64>,
    /// When somebody is told, in percent of that: `[50, 80, 150]`.
    pub alerts: Vec<u32>,
    /// The most requests in a minute.
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u32>,
}

impl Limits {
    /// Nothing is limited.
    pub const NONE: Self = Self { monthly: None, alerts: Vec::new(), requests_per_minute: None };
}

/// What a probe calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeLevel {
    /// A cheap call that needs a valid key, and costs nothing.
    Auth,
    /// The same, then one real request for at most 16 tokens.
    Prompt,
    /// The same, then one real request whose answer is streamed to its end.
    Stream,
}

/// One place the key lives.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which store, and where.
    pub block: Block,
    /// Which fields are ours, and what goes into each.
    pub write: BTreeMap<String, WriteSource>,
    /// The longest a reader may still get the old value.
    pub stale_for: Span,
}

/// What goes into a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteSource {
    /// The key itself; exactly one field takes it.
    Secret,
    /// The key's id.
    Id,
    /// The key's name.
    Name,
    /// When it was made (RFC 3339).
    CreatedAt,
}

/// A service that reads the key.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// Its running copies and their proof, or a job.
    pub instances: Instances,
    /// How it is made to pick the key up.
    pub rollout: RolloutSpec,
    /// The longest request or stream in flight.
    pub max_request: Span,
}

/// Who proves it.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a playbook has a handful of them")]
pub enum Instances {
    /// Copies that are running now.
    Running {
        /// How they are found.
        found: Block,
        /// At least so many; the baseline counts if it is more.
        expect: usize,
        /// How they are asked.
        health: HealthSpec,
    },
    /// A reader that is not running now.
    Job(Job),
}

/// A reader that is not running now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// How often it starts.
    pub runs_every: Span,
    /// The longest it runs.
    pub max_run: Span,
}

/// How a consumer picks the key up.
#[derive(Clone, Debug)]
pub enum RolloutSpec {
    /// By itself.
    None,
    /// By an adapter.
    By(Block),
}

/// How an instance is asked which key it uses. Exactly one of `version`, `key_id`, `fingerprint`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthSpec {
    /// The path, from the root.
    pub path: String,
    /// `http` (the default) or `https`.
    #[serde(default)]
    pub scheme: Scheme,
    /// It reports the store's version.
    #[serde(default)]
    pub version: Option<Pointer>,
    /// It reports the provider's id.
    #[serde(default)]
    pub key_id: Option<Pointer>,
    /// It reports the first 8 or more hex digits of the key's SHA-256.
    #[serde(default)]
    pub fingerprint: Option<Pointer>,
    /// It reports its own name: behind a balancer, addresses do not tell copies apart.
    #[serde(default)]
    pub instance: Option<Pointer>,
    /// Which of the stores it reads, by place from 0.
    #[serde(default)]
    pub store: usize,
    /// How long one answer may take.
    #[serde(default = "three_seconds")]
    pub timeout: Span,
}

fn three_seconds() -> Span {
    Span::secs(3)
}

/// How instances are spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// In the clear.
    #[default]
    Http,
    /// With TLS.
    Https,
}

/// Where in an answer a value stands. Exactly one of the three.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pointer {
    /// A JSON pointer (RFC 6901).
    Json(String),
    /// A response header.
    Header(String),
    /// A regular expression; its first group is the value.
    Pattern(String),
}

/// How long to wait for proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VerifySpec {
    /// All instances must prove it within this time.
    pub within: Span,
    /// And keep proving it for this time.
    pub stable_for: Span,
    /// Time between two passes.
    pub every: Span,
    /// What follows if they do not.
    pub on_timeout: OnTimeout,
}

impl Default for VerifySpec {
    fn default() -> Self {
        Self { within: Span::secs(600), stable_for: Span::secs(30), every: Span::secs(2), on_timeout: OnTimeout::Rollback }
    }
}

/// What follows a missing proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// Put the old key back.
    Rollback,
    /// Stop and wait for a person.
    Hold,
}

/// How the old key goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RevokeSpec {
    /// Time before the old key is touched.
    pub grace: Span,
    /// The old key must have been idle for this time (where the provider tells).
    pub idle_for: Option<Span>,
    /// Disable first, delete after this time (where the provider can).
    pub disable_for: Option<Span>,
    /// How long consumers are watched after a disable.
    pub watch: Option<Span>,
    /// How long the provider must refuse the old key; its own window if not set.
    pub dead_within: Option<Span>,
}

impl Default for RevokeSpec {
    fn default() -> Self {
        Self { grace: Span::secs(3600), idle_for: None, disable_for: None, watch: None, dead_within: None }
    }
}

/// What happens first when the key leaked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmergencySpec {
    /// What comes first.
    pub mode: EmergencyMode,
    /// With `replace-fast`: the leaked key is deleted after this time, whoever is not off it yet.
    pub revoke_at: Span,
}

impl Default for EmergencySpec {
    fn default() -> Self {
        Self { mode: EmergencyMode::ReplaceFast, revoke_at: Span::secs(300) }
    }
}

/// What comes first when the key leaked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmergencyMode {
    /// Another key everywhere; the leaked one goes as soon as everybody is off it, at the latest at a set time.
    ReplaceFast,
    /// The leaked key goes at once; services are down until they have another one.
    RevokeFirst,
}
