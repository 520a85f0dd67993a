//! What the journal keeps: an event, and beside it the ids, versions, times and evidence that the protocol never reads.
//!
//! Nothing here is secret: keys appear as ids and salted fingerprints.

mod decree;
mod kept;
mod plan;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Fingerprint, InstanceId, KeyId, RotationId, Version},
    protocol::Event,
};

pub use self::{
    decree::{Decree, Decreed, Used},
    kept::Kept,
    plan::{Approval, Attributes, Begun, ConsumerPlan, Matters, OldKey, Plan, StorePlan, Waits},
};

/// The version of [`Record`]'s form. Older ones are read (what they lack has a default); a newer one is not acted upon.
pub const SCHEMA: u16 = 3;

/// One event of one rotation, as it stands in the journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`] of the keyroll that wrote it.
    pub schema: u16,
    /// The rotation.
    pub rotation: RotationId,
    /// Its place in the rotation, from 1.
    pub seq: u64,
    /// Which runner wrote it: every takeover counts one up.
    pub epoch: u64,
    /// The writer's clock.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: Event,
    /// Everything else about it.
    pub detail: Detail,
}

/// What is known about an event beyond its kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Nothing more.
    Nothing,
    /// The first record: the playbook and what preflight read.
    Planned(Box<Plan>),
    /// An intent, with what the effect needs to be repeated exactly.
    Intent {
        /// The new key's name at the provider (create).
        name: Option<String>,
        /// The exact key (delete: this is the tombstone; disable, enable).
        key: Option<KeyId>,
        /// The store's version that the write replaces; none where nothing was stored.
        base: Option<Version>,
    },
    /// The provider gave us a key.
    Created {
        /// Its id.
        id: KeyId,
        /// Its value's fingerprint.
        fingerprint: Fingerprint,
        /// When the provider says it was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<DateTime<Utc>>,
        /// When the provider says it stops working by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
    },
    /// A store took a value.
    Wrote {
        /// The version it became.
        version: Version,
    },
    /// A key that an earlier create left.
    Stray {
        /// Its id.
        id: KeyId,
    },
    /// What instances reported.
    Evidence {
        /// Who proved it.
        proved: Vec<Evidence>,
        /// Who did not, and why, in words.
        missing: Vec<Missing>,
    },
    /// A wait.
    Waiting(Waiting),
    /// The other side's answer to an effect or a reading, in our words: who, what, which status. Never a body.
    Reply {
        /// The sentence.
        said: String,
    },
    /// Who declared an emergency, and what of it.
    Emergency(Emergency),
    /// Who asked, and what else they said.
    Person {
        /// The operating system's user.
        by: String,
        /// Their reason.
        reason: Option<String>,
        /// The amended playbook's text.
        playbook: Option<String>,
        /// Whom they waive.
        waiver: Option<Waiver>,
    },
}
/// One instance's proof.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// The consumer's name.
    pub consumer: String,
    /// The instance.
    pub instance: InstanceId,
    /// What it reported.
    pub reported: String,
    /// When it was asked.
    pub at: DateTime<Utc>,
}

/// One instance's missing proof.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Missing {
    /// The consumer's name.
    pub consumer: String,
    /// The instance, or none where an expected one was not found at all.
    pub instance: Option<InstanceId>,
    /// What was wrong, in words.
    pub why: String,
}

/// A wait that outlives the process; all clocks must agree that it is over (a jump can only lengthen it).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// How long.
    pub lasts: Duration,
    /// The writer's clock when it began.
    pub since: DateTime<Utc>,
    /// A store's clock when it began, where one tells.
    pub store_since: Option<DateTime<Utc>>,
    /// The journal's clock when it began, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_since: Option<DateTime<Utc>>,
    /// What it is for, in words.
    pub what_for: String,
    /// What the two keys had spent when it began, where only that shows their use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<Readings>,
}

/// What the old and the new key had spent at a time, in the provider's own unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Readings {
    /// When, by the clock that was ahead.
    pub at: DateTime<Utc>,
    /// The old key.
    pub old: u64,
    /// The new key.
    pub new: u64,
}

/// An emergency as it was declared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Emergency {
    /// The operating system's user.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The exact ids that leaked, where known: never restored or kept.
    pub leaked: Vec<KeyId>,
    /// When what leaked is deleted whatever the state.
    pub revoke_at: DateTime<Utc>,
    /// When it leaked, where known: usage since then is of interest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}

/// Who need not prove anything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waiver {
    /// The consumer's name.
    pub consumer: String,
    /// One instance, or none for all of them.
    pub instance: Option<InstanceId>,
}
