//! Where services read the key.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Got, Problem};
use crate::{
    ids::{RotationId, Version},
    playbook::SecretRef,
    secret::Secret,
};

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
    /// Versions that may still be readable, the current one too, newest first where the store has an order; none where the store does not tell.
    async fn versions(&self) -> Got<Option<Vec<Version>>> {
        Ok(None)
    }
    /// Merges the fields into the current value, if that is still at `base`, and makes it current.
    async fn write(&self, change: &Change<'_>) -> Got<Version>;
    /// Every read endpoint (replica, region) by name, with the version it serves; one for a simple store.
    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>>;
    /// Who last rotated this value.
    async fn mark(&self) -> Got<Option<Mark>>;
    /// What a person types to write these fields by hand; each comes with the shell variable that holds its value.
    fn by_hand(&self, fields: &[(&str, &str)]) -> Vec<String> {
        let fields: Vec<String> = fields.iter().map(|(field, variable)| format!("{field} = ${variable}")).collect();
        vec![format!("# write to {}: {}", self.locator(), fields.join(", "))]
    }
    /// The reference that reads one of its fields, where there is one.
    fn reference(&self, _field: &str) -> Option<SecretRef> {
        None
    }
    /// The store's own clock, where it tells (an HTTP `Date`).
    async fn clock(&self) -> Got<Option<DateTime<Utc>>> {
        Ok(None)
    }
}
