//! What the journal keeps: an event, and beside it the ids, versions, times and evidence that the protocol never reads.
//!
//! Nothing here is secret: keys appear as ids and salted fingerprints.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Fingerprint, InstanceId, KeyId, RotationId, Version},
    protocol::{Bounds, Event, Rules},
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

/// What preflight found and the playbook asked for: the plan of one rotation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The playbook's text: resume needs no file.
    pub playbook: String,
    /// Where it was read from, for messages only.
    pub origin: String,
    /// Its display name.
    pub name: String,
    /// The provider's kind and principal, for people.
    pub provider: String,
    /// What the protocol needs of both.
    pub rules: Rules,
    /// The key in use, where there is one.
    pub old: Option<OldKey>,
    /// The ids the provider listed before the create.
    pub listed: Vec<KeyId>,
    /// Each store as it was.
    pub stores: Vec<StorePlan>,
    /// Each consumer as it was.
    pub consumers: Vec<ConsumerPlan>,
    /// The waits, already joined with the stores' and consumers' own.
    pub waits: Waits,
    /// What is worth knowing and stops nothing.
    pub notes: Vec<String>,
    /// What the old key may do at the most, and what the new one will be made with.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Where a person makes the new key, in the provider's console; none: keyroll makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Another person's word for it, where one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approval>,
    /// Who began it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

/// Limits, scopes and caps: of the old key, and of the new one as planned.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Attributes {
    /// What the old key has.
    pub old: Bounds,
    /// What the new one will have; a key that has more is not used.
    pub new: Bounds,
}

impl Attributes {
    /// Keys here have none.
    pub fn is_empty(&self) -> bool {
        self.old.is_empty() && self.new.is_empty()
    }
}

/// Another person's word for a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// The proposal's id.
    pub id: String,
    /// The operating system's user.
    pub by: String,
    /// Who they said they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What an approval binds to: all of a plan that decides what will be done to which key, and nothing that changes by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Matters {
    /// The playbook's text.
    pub playbook: String,
    /// The provider's kind and principal.
    pub provider: String,
    /// What the protocol needs of both.
    pub rules: Rules,
    /// The key in use: its id, its fingerprint and how it was proved.
    pub old: Option<(Option<KeyId>, Fingerprint, Option<String>)>,
    /// Each store as it is.
    pub stores: Vec<StorePlan>,
    /// Each consumer: its name, how many must prove the new key, and whether it is a job.
    pub consumers: Vec<(String, usize, bool)>,
    /// The waits.
    pub waits: Waits,
    /// What the new key will have.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub attributes: Bounds,
}

impl Plan {
    /// What an approval of this plan binds to.
    pub fn matters(&self) -> Matters {
        Matters {
            playbook: self.playbook.clone(),
            provider: self.provider.clone(),
            rules: self.rules,
            old: self.old.as_ref().map(|old| (old.id.clone(), old.fingerprint.clone(), old.proof.clone())),
            stores: self.stores.clone(),
            consumers: self.consumers.iter().map(|one| (one.name.clone(), one.expected, one.job)).collect(),
            waits: self.waits,
            attributes: self.attributes.new.clone(),
        }
    }
}

/// Who began a rotation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// The operating system's user, or who they said they were.
    pub by: String,
    /// Their reason, where they gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The key in use when the rotation began.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OldKey {
    /// Its id at the provider, where known.
    pub id: Option<KeyId>,
    /// Its value's fingerprint.
    pub fingerprint: Fingerprint,
    /// How the id was proved to belong to the value, in words; none: it was not.
    pub proof: Option<String>,
    /// When the provider says it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When the provider says it stops working by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// One store before the rotation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StorePlan {
    /// Where it is, for people.
    pub locator: String,
    /// The version that was current; none where nothing was stored.
    pub base: Option<Version>,
}

/// One consumer before the rotation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConsumerPlan {
    /// Its name in the playbook.
    pub name: String,
    /// The instances that proved the old key.
    pub baseline: Vec<InstanceId>,
    /// How many must prove the new one; 0 for a job.
    pub expected: usize,
    /// Whether it is a job that is not running now.
    pub job: bool,
}

/// The waits of a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Waits {
    /// Before disable or delete: the longest of grace, `stale_for`, `max_request` and a job's `max_run`.
    pub grace: Duration,
    /// How long consumers are watched after a disable.
    pub watch: Duration,
    /// Between disable and delete: `disable_for`, and one whole `runs_every` of a job.
    pub soak: Duration,
    /// After a rollback.
    pub stale: Duration,
    /// How long the old key must have been idle.
    pub idle: Duration,
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
    /// Since when that is counted, where it is another time.
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
