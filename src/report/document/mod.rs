//! Everything a reviewer needs of one rotation, as plain data: one fold over its records, shown as text, JSON or a page.

mod fold;
mod html;
mod text;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    ids::{Fingerprint, InstanceId, KeyId, Version},
    protocol::{Answer, End, Kind, Role, Why},
    record::{Begun, Evidence, Missing},
    report::Leaked,
};

pub use self::{
    fold::document,
    html::{command, page, shell},
    text::text,
};

/// The form of [`Document`]; a field that goes or changes its meaning counts it up.
const FORM: u16 = 1;

/// One rotation. Times are UTC, lengths are seconds; nothing in it is secret.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// The form of this object.
    pub report: u16,
    /// The keyroll that made it.
    pub made_by: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The rotation's id.
    pub rotation: String,
    /// The playbook's name.
    pub playbook: String,
    /// Where the playbook was read from.
    pub origin: String,
    /// The provider and account.
    pub provider: String,
    /// What there was to do.
    pub kind: Kind,
    /// Who began it, and why; none in journals of an older keyroll.
    pub begun: Option<Begun>,
    /// `done`, `rolled_back`, `aborted`, `held` or `open`.
    pub outcome: &'static str,
    /// How it stands, in one sentence.
    pub headline: String,
    /// What turned it back or stopped it.
    pub because: Option<String>,
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it ended; none while it is open.
    pub ended: Option<DateTime<Utc>>,
    /// From the first record to the last.
    pub lasted_seconds: f64,
    /// The key that was to go.
    pub old_key: Option<Old>,
    /// The key that was made.
    pub new_key: Option<New>,
    /// What people did, in order.
    pub people: Vec<Act>,
    /// Each store and its versions.
    pub stores: Vec<Place>,
    /// Each consumer as it was planned.
    pub consumers: Vec<Reader>,
    /// Every look at the instances that is on record, in order.
    pub verifications: Vec<Look>,
    /// Every wait: as planned, and as it was.
    pub waits: Vec<Wait>,
    /// How many creates were begun.
    pub attempts: u8,
    /// What was refused, or had no clear answer.
    pub setbacks: Vec<Moment>,
    /// How often another run took it over.
    pub takeovers: usize,
    /// Who needs no proof.
    pub waivers: Vec<Waived>,
    /// When it stood still for a person.
    pub holds: Vec<Hold>,
    /// What preflight found worth knowing.
    pub notes: Vec<String>,
    /// How the leak stands, where there was one.
    pub leak: Option<Leaked>,
    /// How long each step took.
    pub steps: Vec<Took>,
    /// Everything that happened.
    pub timeline: Vec<Moment>,
    /// What is left to do.
    pub next: Vec<String>,
    /// Where to find it in the journal, and its seal.
    pub chain: Chain,
}

/// The key in use when the rotation began.
#[derive(Clone, Debug, Serialize)]
pub struct Old {
    /// Its id at the provider.
    pub id: Option<KeyId>,
    /// Salted: it fits no other journal's.
    pub fingerprint: Fingerprint,
    /// When the provider says it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it would have expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// How it was proved to be the one in use; none: it was not.
    pub identified_by: Option<String>,
    /// When it was last switched off; none where it was not, or is on again.
    pub disabled_at: Option<DateTime<Utc>>,
    /// When the provider confirmed its deletion.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether the provider was seen refusing it.
    pub proved_dead: bool,
    /// When and how that was seen.
    pub death: Option<Moment>,
    /// Where it stands, in words.
    pub stands: String,
}

/// The key the rotation made.
#[derive(Clone, Debug, Serialize)]
pub struct New {
    /// Its id at the provider.
    pub id: KeyId,
    /// Its name there.
    pub name: Option<String>,
    /// Salted: it fits no other journal's.
    pub fingerprint: Fingerprint,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it expires by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// Where it stands, in words.
    pub stands: String,
}

/// Something a person did.
#[derive(Clone, Debug, Serialize)]
pub struct Act {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// What, in words.
    pub did: String,
    /// Why, in theirs.
    pub reason: Option<String>,
}

/// A store.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Where it is.
    pub locator: String,
    /// Its versions that this rotation knows, oldest first.
    pub versions: Vec<Kept>,
}

/// A version of a store.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    /// What the store calls it.
    pub version: Version,
    /// Which key it holds.
    pub key: Role,
    /// When the journal learned of it.
    pub at: DateTime<Utc>,
}

/// A consumer.
#[derive(Clone, Debug, Serialize)]
pub struct Reader {
    /// Its name.
    pub name: String,
    /// Whether it is a job that does not run all the time.
    pub job: bool,
    /// How many instances had to prove the new key.
    pub expected: usize,
    /// Those that proved the old key beforehand.
    pub baseline: Vec<InstanceId>,
}

/// One look at instances.
#[derive(Clone, Debug, Serialize)]
pub struct Look {
    /// Its record's place.
    pub seq: u64,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What it was for, in words.
    pub purpose: String,
    /// The only consumer that was asked; none: all of them.
    pub consumer: Option<String>,
    /// The key that was to be proved.
    pub key: Role,
    /// The verdict.
    pub answer: Answer,
    /// Whether the next step rested on it: the verdict was yes, and nothing voided it in between.
    pub counted: bool,
    /// Who proved it.
    pub proved: Vec<Evidence>,
    /// Who did not.
    pub missing: Vec<Missing>,
}

/// A wait.
#[derive(Clone, Debug, Serialize)]
pub struct Wait {
    /// What it was for.
    pub what_for: String,
    /// As planned.
    pub planned_seconds: f64,
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it was over; none: it is still on, or something else came first.
    pub ended: Option<DateTime<Utc>>,
    /// As it was.
    pub lasted_seconds: Option<f64>,
}

/// A record in words.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// The record's place.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    pub sentence: String,
    /// `good`, `bad`, `warn`, `forever` (cannot be undone) or `plain`.
    pub tone: &'static str,
}

/// A waiver.
#[derive(Clone, Debug, Serialize)]
pub struct Waived {
    /// When.
    pub at: DateTime<Utc>,
    /// Whose proof.
    pub consumer: String,
    /// Only this instance's.
    pub instance: Option<InstanceId>,
    /// Who waived it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// A time in which it stood still for a person.
#[derive(Clone, Debug, Serialize)]
pub struct Hold {
    /// Since when.
    pub from: DateTime<Utc>,
    /// Until when; none: it still does.
    pub until: Option<DateTime<Utc>>,
    /// The protocol's word for why.
    pub held: Why,
    /// Why.
    pub why: &'static str,
}

/// A step and its time.
#[derive(Clone, Debug, Serialize)]
pub struct Took {
    /// The step.
    pub step: String,
    /// Its time.
    pub seconds: f64,
}

/// The chain's seal.
#[derive(Clone, Debug, Serialize)]
pub struct Chain {
    /// The journal's id.
    pub journal: String,
    /// How many records.
    pub records: u64,
    /// The hash of the last one, which seals all before it.
    pub head: String,
}

/// The word for how a rotation stands.
pub fn outcome(rotation: &crate::rotation::Rotation) -> &'static str {
    match (rotation.state.ended(), rotation.state.held) {
        (Some(End::Done), _) => "done",
        (Some(End::RolledBack), _) => "rolled_back",
        (Some(End::Aborted), _) => "aborted",
        (None, Some(_)) => "held",
        (None, None) => "open",
    }
}
