//! What some providers can, and others cannot. A capability is its implementation: it cannot be declared and be missing.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Credential, Got, Kept, Life, Like, Used};
use crate::{ids::KeyId, playbook::Limits, protocol::Bounds, secret::Secret};

/// Reversible disable.
#[async_trait]
pub trait Switch: Send + Sync {
    /// Switches a key on or off; both may be repeated.
    async fn set(&self, key: &KeyId, on: bool) -> Got<()>;
}

/// Keys that a person makes in the provider's console and hands over.
pub trait ByPerson: Send + Sync {
    /// Where that is: an address, and what to choose there.
    fn page(&self) -> String;
    /// Whether keyroll can revoke a key; else a person does that too, and keyroll sees to it that the key is dead.
    fn revokes(&self) -> bool {
        false
    }
    /// Whether the provider lists its keys. Where it does not, a key's id is a digest of its value, and only the provider's
    /// refusal shows that it is gone.
    fn lists(&self) -> bool {
        false
    }
}

/// Revocation by value.
#[async_trait]
pub trait ByValue: Send + Sync {
    /// Revokes the key of this value; may be repeated.
    async fn revoke(&self, value: &Secret) -> Got<()>;
}

/// When keys were used.
#[async_trait]
pub trait Usage: Send + Sync {
    /// The last use, not newer than [`Traits::usage_lag`]; none: never.
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>>;
}

/// What a key was used for in some time: for one that leaked.
#[async_trait]
pub trait Spend: Send + Sync {
    /// Since then, as far as the provider knows yet; also of a key that is gone.
    async fn since(&self, key: &KeyId, from: DateTime<Utc>) -> Got<Used>;
}

/// A real call of the workload's kind with the key itself, over the wire format that services speak.
#[async_trait]
pub trait Prompt: Send + Sync {
    /// Asks for a word; streamed, to the stream's end, where the question says so. Sent once.
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken>;
}

/// The most tokens that one prompt asks for.
pub const PROMPT_TOKENS: u32 = 16;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The model, as services name it.
    pub model: &'a str,
    /// Whether the answer is to come in pieces.
    pub stream: bool,
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spoken {
    /// What it says of the key.
    pub life: Life,
    /// The pieces of a streamed answer that came to its end; none: it was not streamed, or broke off.
    pub pieces: Option<usize>,
    /// What the answer's headers tell of rate limits: name and number.
    pub room: Vec<(String, String)>,
}

/// Limits, scopes and caps of a key.
#[async_trait]
pub trait Attributes: Send + Sync {
    /// What a key has.
    async fn of(&self, key: &KeyId) -> Got<Bounds>;
    /// What a create would give a new key: what the one it is like has, and the playbook's limits.
    async fn planned(&self, like: Option<Like<'_>>, limits: &Limits) -> Got<Bounds>;
    /// What a key was made with, so that another one like it can be made when it is gone. It is journaled: nothing in it may be secret.
    async fn keep(&self, key: &KeyId) -> Got<Kept>;
}

/// Which of a playbook's limits a provider puts on a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Enforces {
    /// A monthly cap of what it may spend.
    pub monthly: bool,
    /// Alerts at parts of that.
    pub alerts: bool,
    /// Requests a minute.
    pub rate: bool,
}

/// Limits of an account or project that hold for all of its keys: `doctor` looks at them, and nobody changes them.
#[async_trait]
pub trait Guard: Send + Sync {
    /// Whose they are: `project proj_abc`.
    fn whose(&self) -> String;
    /// The monthly cap in US dollars, and the alerts in percent of it. None: there is none.
    async fn monthly(&self) -> Got<(Option<f64>, Vec<u32>)>;
}

/// What a key has spent so far, where the provider does not tell when it was used: two readings apart show use.
#[async_trait]
pub trait Counter: Send + Sync {
    /// Only ever grows, no later than [`Traits::usage_lag`](super::Traits::usage_lag) after a call. In the provider's own unit, as whole numbers: two readings of the
    /// same are equal, also once they were written down.
    async fn reading(&self, key: &KeyId) -> Got<u64>;
}
