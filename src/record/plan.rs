//! What preflight found and the playbook asked for, as it stands in a rotation's first record.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Kept;
use crate::{
    ids::{Fingerprint, InstanceId, KeyId, Version},
    protocol::{Bounds, Rules},
};

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
    /// What the old key was made with, for the case that it must be deleted before another one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
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
