//! What may be written: the fields of a playbook with their meaning, for editors and the reference. A test holds these
//! against what is really read.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{EmergencySpec, HealthSpec, Job, Limits, Occasion, Probe, RevokeSpec, Span, VerifySpec, WriteSource};

/// One key and all that is needed to rotate it.
#[derive(JsonSchema)]
#[schemars(rename = "playbook", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct PlaybookForm {
    /// The version of this schema; always 1.
    #[schemars(range(min = 1, max = 1))]
    keyroll: u32,
    /// A display name; a key's identity is its store and field.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// For choosing playbooks: each label has a text or a list of texts.
    #[schemars(default)]
    labels: BTreeMap<String, Label>,
    /// How old the key may get before it is due for a rotation. Not set: only rotated when asked.
    #[schemars(default)]
    every: Option<Span>,
    /// When risky steps (create, promote, rollout, disable, delete) may begin: `Mon-Thu 09:00-16:00 Europe/Berlin`. Several
    /// stand in one text with commas, or in a list. Days: `Mon-Thu,Sat`, none for all; hours may go over midnight
    /// (`22:00-04:00` begins on the named day); an IANA zone at the end, else UTC. The zone's wall clock decides: where it
    /// goes forward, a time that does not exist is in no window; where it goes back, a time that exists twice is in it twice.
    /// Enabling a key, a rollback and an emergency never wait. Not set: at any time.
    #[schemars(default)]
    window: Option<Windows>,
    /// Who issues and revokes the key: one of the providers, with its settings.
    #[schemars(schema_with = "provider")]
    provider: (),
    /// The new key's name at the provider: `{name}`, `{yyyy}`, `{mm}` and `{dd}` are filled in; the rotation's id is appended.
    #[schemars(default = "super::parse::key_name")]
    key_name: String,
    /// How a new key is tried before any store sees it.
    #[schemars(default)]
    probe: Probe,
    /// What a key may spend and ask for: put on the new key where the provider can, and never more than the old key has.
    #[schemars(default)]
    limits: Limits,
    /// Every place the key lives.
    #[schemars(schema_with = "stores")]
    stores: (),
    /// Who reads the key, in order; the first is the canary.
    #[schemars(length(min = 1))]
    consumers: Vec<ConsumerForm>,
    /// How long to wait for proof.
    #[schemars(default)]
    verify: VerifySpec,
    /// How the old key goes.
    #[schemars(default)]
    revoke: RevokeSpec,
    /// What `keyroll emergency` does first when the key leaked.
    #[schemars(default)]
    emergency: EmergencySpec,
    /// Who is told what became of a rotation. A message that cannot be delivered is reported, and never stops or fails a rotation.
    #[schemars(schema_with = "notify")]
    notify: Option<()>,
    /// Whether a rotation begins only after another person approved its plan with `keyroll approve`. Emergencies never wait for it.
    #[schemars(default)]
    require_approval: bool,
}

/// A window, or several: open where any of them is.
#[derive(JsonSchema)]
#[schemars(rename = "window", untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Windows {
    One(String),
    Several(Vec<String>),
}

/// A label's text, or several.
#[derive(JsonSchema)]
#[schemars(rename = "label", untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Label {
    One(String),
    Several(Vec<String>),
}

/// What is said of every store, beside its kind.
#[derive(JsonSchema)]
#[schemars(rename = "store")]
#[expect(dead_code, reason = "only its schema is used")]
pub struct StoreForm {
    /// Which fields are ours, and what goes into each; exactly one takes the `secret`. All other fields stay untouched.
    #[schemars(length(min = 1))]
    write: BTreeMap<String, WriteSource>,
    /// The longest a reader may still get the old value after a write: caches, replicas, agents' intervals.
    stale_for: Span,
}

/// What is said of every way to be told, beside its kind.
#[derive(JsonSchema)]
#[schemars(rename = "notification")]
#[expect(dead_code, reason = "only its schema is used")]
pub struct NotifyForm {
    /// What is told.
    #[schemars(length(min = 1), default = "super::parse::occasions")]
    on: Vec<Occasion>,
    /// `run --due` tells of a rotation that is held, or of a key that is overdue, again after this time; of a held one until `keyroll ack`.
    #[schemars(default = "super::parse::repeat")]
    repeat: Span,
}

/// A service that reads the key: `instances` and `health`, or `job`.
#[derive(JsonSchema)]
#[schemars(rename = "consumer", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct ConsumerForm {
    /// Its name; each consumer has its own.
    name: String,
    /// How its running copies are found.
    #[schemars(schema_with = "instances")]
    instances: Option<()>,
    /// At least so many copies; the count before the rotation holds if it is more.
    #[schemars(range(min = 1), default = "super::parse::one")]
    expect: u32,
    /// How a copy is asked which key it uses.
    health: Option<HealthSpec>,
    /// A reader that is not running all the time, instead of `instances` and `health`.
    job: Option<Job>,
    /// How it is made to pick the new key up; `none` where it does so by itself.
    #[schemars(schema_with = "rollout")]
    rollout: Option<()>,
    /// The longest request or stream in flight: the old key is not touched sooner.
    #[schemars(default = "super::parse::max_request")]
    max_request: Span,
}

fn provider(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "$ref": "#/$defs/providers" })
}

fn stores(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/stores" } })
}

fn notify(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "$ref": "#/$defs/notifiers" }, "default": [] })
}

fn instances(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "$ref": "#/$defs/instances" })
}

fn rollout(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "oneOf": [{ "const": "none", "description": "It picks the key up by itself." }, { "$ref": "#/$defs/rollouts" }], "default": "none" })
}
