//! What must be right before a rotation: the mount, our rights, and that Vault keeps the old value long enough.

use std::{collections::HashMap, time::Duration};

use rustify::enums::RequestMethod;
use serde::Deserialize;
use serde_json::json;
use vaultrs::api::kv2::requests::ReadConfigurationRequest;

use super::VaultKv2;
use crate::{
    adapters::vault::{Data, Raw, policy},
    ports::{Got, Problem, Store},
    protocol::Refusal,
};

/// Old, new, and one of somebody else's between them.
const VERSIONS_NEEDED: u64 = 3;
/// Vault's own default (`defaultMaxVersions`).
const VERSIONS_KEPT: u64 = 10;
/// A rotation with its grace, soak and idle gate, and a person who looks at it after a weekend.
const OLD_VALUE_NEEDED: Duration = Duration::from_secs(7 * 86_400);

const NEEDED_DATA: &str = r#""create", "read", "update""#;
const NEEDED_METADATA: &str = r#""read", "patch""#;

#[derive(Deserialize, Default)]
struct Retention {
    #[serde(default)]
    max_versions: u64,
    #[serde(default)]
    delete_version_after: String,
}

#[derive(Deserialize)]
struct Mounted {
    #[serde(rename = "type")]
    kind: String,
    options: Option<HashMap<String, String>>,
}

impl VaultKv2 {
    /// All that stands in the way of a rotation.
    pub(super) async fn problems(&self) -> Got<Vec<Problem>> {
        self.vault.enter().await?;
        let problems = self.check_mount().await?;
        if !problems.is_empty() {
            return Ok(problems);
        }
        // A missing right is told by `check_rights`, with all others.
        let metadata = unless_denied(self.metadata().await)?;
        // Vault asks for `update` as soon as there is metadata, for `create` before.
        let exists = match &metadata {
            Some(metadata) => metadata.is_some(),
            None => unless_denied(self.find(None).await)?.is_none_or(|found| found.is_some()),
        };
        let own =
            metadata.flatten().map(|own| Retention { max_versions: own.max_versions, delete_version_after: own.delete_version_after });
        let mut problems = self.check_rights(exists).await?;
        problems.extend(self.check_retention(own.unwrap_or_default()).await?);
        Ok(problems)
    }

    async fn check_mount(&self) -> Got<Vec<Problem>> {
        let asked = self.vault.call(&Raw::get(format!("sys/internal/ui/mounts/{}/{}", self.mount, self.path))).await;
        let reply = match asked {
            // Vault answers the same for no right and for no mount.
            Err(failure) if failure.refusal() == Some(Refusal::Denied) => {
                let lines = [policy(&self.data_path(), NEEDED_DATA), policy(&self.metadata_path(), NEEDED_METADATA)].join("\n");
                let hint = format!("mount it (`vault secrets enable -path={} kv-v2`), or add to our policy:\n{lines}", self.mount);
                return Ok(vec![Problem::new(format!("{}: no such mount, or no right to anything in it", self.locator()), hint)]);
            }
            reply => reply?.ok()?,
        };
        let mounted = reply.json::<Data<Mounted>>()?.data;
        let version = mounted.options.as_ref().and_then(|options| options.get("version")).map_or("1", String::as_str);
        Ok(match (mounted.kind.as_str(), version) {
            ("kv", "2") => vec![],
            ("kv" | "generic", _) => vec![Problem::new(
                format!("{}: the mount is KV version 1, which keeps no old versions", self.locator()),
                format!("vault kv enable-versioning {}", self.mount),
            )],
            (kind, _) => {
                vec![Problem::new(format!("{}: the mount is of type `{kind}`, not KV version 2", self.locator()), "correct `mount`")]
            }
        })
    }

    async fn check_rights(&self, exists: bool) -> Got<Vec<Problem>> {
        let (data, metadata) = (self.data_path(), self.metadata_path());
        let asked = Raw::with(RequestMethod::POST, "sys/capabilities-self", &json!({ "paths": [data, metadata] }));
        let mut has = self.vault.call(&asked).await?.ok()?.json::<Data<HashMap<String, serde_json::Value>>>()?.data;
        let mut rights =
            |path: &str| -> Vec<String> { has.remove(path).and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default() };
        let can = |rights: &[String], right: &str| rights.iter().any(|has| has == right || has == "root");
        let on_data = rights(&data);
        let on_metadata = rights(&metadata);
        let mut problems = Vec::new();
        if !can(&on_data, "read") || !can(&on_data, if exists { "update" } else { "create" }) {
            let what = format!("{}: our policy does not let us read and write the secret", self.locator());
            problems.push(Problem::new(what, format!("add to it: {}", policy(&data, NEEDED_DATA))));
        }
        if !can(&on_metadata, "read") || !(can(&on_metadata, "patch") || can(&on_metadata, "update")) {
            let what = format!("{}: our policy does not let us leave our mark beside the secret", self.locator());
            problems.push(Problem::new(what, format!("add to it: {}", policy(&metadata, NEEDED_METADATA))));
        }
        Ok(problems)
    }

    async fn check_retention(&self, own: Retention) -> Got<Vec<Problem>> {
        // Few tokens may read the mount's configuration; then Vault's defaults are assumed.
        let asked = self.vault.call(&ReadConfigurationRequest { mount: self.mount.clone() }).await;
        let mount = match unless_denied(asked)? {
            Some(reply) if reply.status.is_success() => reply.json::<Data<Retention>>()?.data,
            _ => Retention::default(),
        };
        let mut problems = Vec::new();
        // Vault keeps the larger of the two (`AddVersion` in vault-plugin-secrets-kv).
        let kept = Some(own.max_versions.max(mount.max_versions)).filter(|kept| *kept > 0).unwrap_or(VERSIONS_KEPT);
        if kept < VERSIONS_NEEDED {
            problems.push(Problem::new(
                format!("{}: max_versions is {kept}: the old value would be lost as soon as the new one is written", self.locator()),
                format!("vault kv metadata put -mount={} -max-versions={VERSIONS_KEPT} {}", self.mount, self.path),
            ));
        }
        // The shorter of the two counts; a negative one at the mount switches both off.
        let lives = [&own, &mount].into_iter().filter_map(|one| seconds(&one.delete_version_after)).filter(|life| *life != 0);
        let life = if mount.delete_version_after.starts_with('-') { None } else { lives.min() };
        if let Some(life) = life.filter(|life| u128::from(*life) < u128::from(OLD_VALUE_NEEDED.as_secs())) {
            problems.push(Problem::new(
                format!("{}: delete_version_after is {life} s: the value goes away while it is in use", self.locator()),
                format!("vault kv metadata put -mount={} -delete-version-after=0s {}", self.mount, self.path),
            ));
        }
        Ok(problems)
    }
}

/// None: we may not ask.
fn unless_denied<T>(got: Got<T>) -> Got<Option<T>> {
    match got {
        Err(failure) if failure.refusal() == Some(Refusal::Denied) => Ok(None),
        got => got.map(Some),
    }
}

/// Go's form of a duration, in whole seconds: `768h0m0s`, `1.5s`. Fractions are dropped.
fn seconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let whole: u64 = rest[..end].split('.').next()?.parse().ok()?;
        rest = &rest[end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..unit_end] {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => 0,
        };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        rest = &rest[unit_end..];
    }
    Some(total)
}
