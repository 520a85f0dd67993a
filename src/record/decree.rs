//! What a person or a runner decided beside any one rotation.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Matters;
use crate::ids::{KeyId, RotationId};

/// What a person or a runner decided beside any one rotation. Decrees have a hash chain of their own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decree {
    /// Nothing risky begins before `until`: gated like a closed window.
    Freeze {
        /// The playbooks' names; empty: all.
        playbooks: Vec<String>,
        /// Its end.
        until: DateTime<Utc>,
        /// Why.
        reason: String,
    },
    /// A freeze ends early.
    Thaw {
        /// The freeze's place.
        freeze: u64,
        /// Why.
        reason: String,
    },
    /// A plan waits for another person's word.
    Proposed {
        /// Its short id, for `keyroll approve`.
        id: String,
        /// The playbook's name.
        playbook: String,
        /// What was planned, hashed: the word binds to exactly this.
        hash: String,
        /// From then on the word is worth nothing.
        expires: DateTime<Utc>,
        /// What was hashed, so that it can be said what changed since.
        matters: Box<Matters>,
        /// The plan as people read it.
        plan: String,
        /// The command that goes on once it is approved.
        then: String,
    },
    /// Another person's word for a proposed plan.
    Approved {
        /// The proposal's id.
        id: String,
        /// Who they said they were, beside the operating system's user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// An approval was taken for a rotation that begins now; the first such decree has it, and it is good for no other.
    Used {
        /// The proposal's id.
        id: String,
    },
    /// A person has seen that a rotation is held; it is no longer repeated.
    Ack {
        /// The rotation.
        rotation: RotationId,
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// People were told again.
    Told {
        /// The playbook's name.
        playbook: String,
        /// The rotation; none where none began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rotation: Option<RotationId>,
        /// Of what: a word of the playbook's `on`.
        what: String,
        /// Which way: as the notifier names itself.
        to: String,
    },
    /// A playbook is due now, whatever its age.
    Queued {
        /// Its name.
        playbook: String,
        /// Why.
        reason: String,
    },
    /// A key is dead for good, decided outside of any rotation: only then may it be deleted.
    Tombstone {
        /// The playbook's name.
        playbook: String,
        /// The provider, in its own description: an id is one only there.
        provider: String,
        /// The exact id.
        key: KeyId,
        /// Why, in words.
        because: String,
    },
    /// A person was asked about a key that nothing here explains, and keeps it.
    Kept {
        /// The provider, in its own description: an id is one only there.
        provider: String,
        /// The exact id.
        key: KeyId,
        /// Why.
        reason: String,
    },
    /// What a leaked key was used for, as its provider told when its emergency was over.
    Usage {
        /// The rotation.
        rotation: RotationId,
        /// The leaked key.
        key: KeyId,
        /// Since when.
        from: DateTime<Utc>,
        /// The figures.
        used: Used,
    },
    /// Marks of another journal are no longer refused: it is lost, and this one takes its place.
    Adopted {
        /// The other journal's id.
        journal: String,
        /// Why.
        reason: String,
    },
    /// Rotations that were written elsewhere while this journal could not be written, and are now in it.
    Merged {
        /// The other journal's id.
        journal: String,
        /// The rotations.
        rotations: Vec<RotationId>,
    },
}

/// What a key was used for in some time. A figure that the provider does not tell is none.
#[derive(Default, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Used {
    /// Which calls are counted, where it is not all of them: `completions`.
    pub counted: String,
    /// Since when calls and tokens are counted, where it is another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_from: Option<DateTime<Utc>>,
    /// Calls that were served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Tokens sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// What it cost, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
    /// Since when the cost is counted, where it is another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_from: Option<DateTime<Utc>>,
    /// When the provider was asked; its figures come late.
    pub as_of: DateTime<Utc>,
}

/// A decree in its place.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decreed {
    /// [`SCHEMA`] of the keyroll that wrote it.
    pub schema: u16,
    /// Its place, from 1.
    pub seq: u64,
    /// The writer's clock.
    pub at: DateTime<Utc>,
    /// The operating system's user, or who they said they were.
    pub by: String,
    /// What was decided.
    pub decree: Decree,
}
