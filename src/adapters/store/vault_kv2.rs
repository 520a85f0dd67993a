//! Vault KV v2: a version is Vault's own number, a write is conditional on it (`options.cas`).

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rustify::enums::RequestMethod;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use vaultrs::api::{
    kv2::requests::{ReadConfigurationRequest, ReadSecretMetadataRequest, ReadSecretRequest, SetSecretMetadataRequest},
    sys::requests::ReadHealthRequest,
};

use crate::{
    adapters::{
        Ctx,
        registry::Kind,
        vault::{self, Access, Auth, Data, Raw, Vault, policy},
        wire::Reply,
    },
    ids::{RotationId, Version},
    ports::{Change, Failure, Got, Mark, Problem, Snapshot, Store},
    protocol::Refusal,
    secret::Secret,
};

/// A secret in a Vault KV v2 mount.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Vault's address: `https://vault.internal:8200`.
    pub address: String,
    /// The Enterprise namespace.
    pub namespace: Option<String>,
    /// How to log in.
    pub auth: Auth,
    /// A PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Where the KV v2 engine is mounted.
    #[serde(default = "secret")]
    pub mount: String,
    /// The secret's path in the mount.
    pub path: String,
}

fn secret() -> String {
    "secret".into()
}

/// The constructor.
pub const KIND: Kind<dyn Store> = Kind {
    name: "vault_kv2",
    about: "HashiCorp Vault, KV version 2",
    schema: |generator| Config::json_schema(generator),
    build: |block, ctx| {
        let config: Config = block.read()?;
        Ok(Arc::new(VaultKv2::new(config, ctx)?))
    },
};

/// Old, new, and one of somebody else's between them.
const VERSIONS_NEEDED: u64 = 3;
/// Vault's own default (`defaultMaxVersions`).
const VERSIONS_KEPT: u64 = 10;
/// A rotation with its grace, soak and idle gate, and a person who looks at it after a weekend.
const OLD_VALUE_NEEDED: Duration = Duration::from_secs(7 * 86_400);

const JOURNAL: &str = "keyroll_journal";
const ROTATION: &str = "keyroll_rotation";

/// One secret in a KV v2 mount.
pub struct VaultKv2 {
    vault: Vault,
    mount: String,
    path: String,
}

/// Everything under the secret's fields, numbers as they were written.
type Fields = BTreeMap<String, Box<RawValue>>;

/// A version as a read shows it; `data` is none where that version is deleted.
#[derive(Deserialize)]
struct Found {
    data: Option<Fields>,
    metadata: Stamp,
}

#[derive(Deserialize)]
struct Stamp {
    version: u64,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    max_versions: u64,
    #[serde(default)]
    delete_version_after: String,
    custom_metadata: Option<HashMap<String, String>>,
}

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

#[derive(Serialize)]
struct Write<'a> {
    options: Options,
    data: &'a Fields,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

impl VaultKv2 {
    /// Calls nobody and reads no secret.
    ///
    /// # Errors
    /// Where the address, the mount or the path cannot be one.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, crate::playbook::Fault> {
        let Config { address, namespace, auth, ca, mount, path } = config;
        Ok(Self {
            vault: Vault::new(ctx, Access { address, namespace, auth, ca })?,
            mount: vault::path("mount", &mount)?,
            path: vault::path("path", &path)?,
        })
    }

    fn data_path(&self) -> String {
        format!("{}/data/{}", self.mount, self.path)
    }

    fn metadata_path(&self) -> String {
        format!("{}/metadata/{}", self.mount, self.path)
    }

    /// The version asked for, or the current one. None: Vault has no such version.
    async fn find(&self, version: Option<u64>) -> Got<Option<Found>> {
        let reply = self.vault.call(&ReadSecretRequest { mount: self.mount.clone(), path: self.path.clone(), version }).await?;
        if reply.status.as_u16() != 404 {
            return Ok(Some(reply.ok()?.json::<Data<Found>>()?.data));
        }
        // A deleted version is a 404 that tells its number; a missing mount is one with a message.
        if let Ok(deleted) = reply.json::<Data<Found>>() {
            return Ok(Some(Found { data: None, ..deleted.data }));
        }
        if vault::errors(&reply).is_empty() { Ok(None) } else { Err(self.no_mount(&reply)) }
    }

    fn no_mount(&self, reply: &Reply) -> Failure {
        reply.refusal().hint(format!("nothing is mounted at {0}: correct `mount`, or `vault secrets enable -path={0} kv-v2`", self.mount))
    }

    async fn metadata(&self) -> Got<Option<Metadata>> {
        let reply = self.vault.call(&ReadSecretMetadataRequest { mount: self.mount.clone(), path: self.path.clone() }).await?;
        if reply.status.as_u16() == 404 {
            return Ok(None);
        }
        Ok(Some(reply.ok()?.json::<Data<Metadata>>()?.data))
    }

    /// A patch keeps others' metadata by itself; without that right it is read and written back whole.
    async fn leave_mark(&self, mark: &Mark) -> Got<()> {
        let ours = [(JOURNAL, mark.journal.as_str()), (ROTATION, mark.rotation.as_str())];
        let patch = json!({ "custom_metadata": BTreeMap::from(ours) });
        let refused = match self.vault.call(&Raw::with(RequestMethod::PATCH, self.metadata_path(), &patch)).await {
            Ok(reply) if reply.status.is_success() => return Ok(()),
            Ok(reply) => reply.refusal(),
            Err(failure) => failure,
        };
        if refused.refusal().is_none() {
            return Err(refused);
        }
        let mut all = self.metadata().await?.and_then(|metadata| metadata.custom_metadata).unwrap_or_default();
        all.extend(ours.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let whole = SetSecretMetadataRequest {
            mount: self.mount.clone(),
            path: self.path.clone(),
            custom_metadata: Some(all),
            ..Default::default()
        };
        self.vault.call(&whole).await?.ok().map(drop)
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

    async fn check_retention(&self) -> Got<Vec<Problem>> {
        let own = match self.metadata().await {
            Ok(own) => own.map(|own| Retention { max_versions: own.max_versions, delete_version_after: own.delete_version_after }),
            // Told by `check_rights` already.
            Err(failure) if failure.refusal() == Some(Refusal::Denied) => None,
            Err(failure) => return Err(failure),
        };
        let own = own.unwrap_or_default();
        // Few tokens may read the mount's configuration; then Vault's defaults are assumed.
        let mount = match self.vault.call(&ReadConfigurationRequest { mount: self.mount.clone() }).await {
            Ok(reply) if reply.status.is_success() => reply.json::<Data<Retention>>()?.data,
            Ok(_) => Retention::default(),
            Err(failure) if failure.refusal() == Some(Refusal::Denied) => Retention::default(),
            Err(failure) => return Err(failure),
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

const NEEDED_DATA: &str = r#""create", "read", "update""#;
const NEEDED_METADATA: &str = r#""read", "patch""#;

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

fn number(version: &Version) -> Got<u64> {
    let no = || Failure::refused(Refusal::Invalid, None, format!("`{version}` is no version of a Vault secret"));
    version.as_str().parse().ok().filter(|number| *number > 0).ok_or_else(no)
}

impl Found {
    fn snapshot(&self) -> Option<Snapshot> {
        let text = |(name, value): (&String, &Box<RawValue>)| {
            serde_json::from_str::<String>(value.get()).ok().map(|text| (name.clone(), Secret::new(text)))
        };
        let fields = self.data.as_ref()?.iter().filter_map(text).collect();
        Some(Snapshot { version: self.version(), fields })
    }

    fn version(&self) -> Version {
        Version::new(self.metadata.version.to_string())
    }
}

#[async_trait]
impl Store for VaultKv2 {
    fn locator(&self) -> String {
        format!("vault_kv2 {} {}/{}", self.vault.describe(), self.mount, self.path)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let one = |failure: Failure| vec![Problem::from(failure)];
        self.vault.enter().await.map_err(one)?;
        let problems = self.check_mount().await.map_err(one)?;
        if !problems.is_empty() {
            return Err(problems);
        }
        let exists = match self.find(None).await {
            Ok(found) => found.is_some(),
            Err(failure) if failure.refusal() == Some(Refusal::Denied) => true,
            Err(failure) => return Err(one(failure)),
        };
        let mut problems = self.check_rights(exists).await.map_err(one)?;
        problems.extend(self.check_retention().await.map_err(one)?);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    async fn read(&self) -> Got<Option<Snapshot>> {
        Ok(self.find(None).await?.and_then(|found| found.snapshot()))
    }

    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        Ok(self.find(Some(number(version)?)).await?.and_then(|found| found.snapshot()))
    }

    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        let conflict = |now: &Option<Found>| {
            let now = now.as_ref().map_or_else(|| "no version".to_owned(), |found| format!("version {}", found.metadata.version));
            let base = change.base.map_or_else(|| "nothing".to_owned(), |base| format!("version {base}"));
            Failure::refused(Refusal::Conflict, None, format!("{}: {base} was expected, and Vault holds {now}", self.locator()))
        };
        let found = self.find(None).await.map_err(vault::before_effect)?;
        // A deleted current version still counts for `cas`, though nothing can be read.
        let cas = found.as_ref().map_or(0, |found| found.metadata.version);
        let base = change.base.map(number).transpose()?;
        let (readable, now) = match found {
            Some(Found { data: Some(fields), metadata }) => (Some(metadata.version), Found { data: Some(fields), metadata }),
            Some(deleted) => (None, deleted),
            None => (None, Found { data: None, metadata: Stamp { version: 0 } }),
        };
        if readable != base {
            return Err(conflict(&Some(now)));
        }
        let mut data = now.data.unwrap_or_default();
        for (name, secret) in change.fields {
            let text = serde_json::value::to_raw_value(secret.reveal())
                .map_err(|_| Failure::refused(Refusal::Invalid, None, format!("field `{name}` cannot be written as JSON")))?;
            data.insert(name.clone(), text);
        }
        let body = serde_json::to_vec(&Write { options: Options { cas }, data: &data })
            .map_err(|_| Failure::refused(Refusal::Invalid, None, "the fields cannot be written as JSON"))?;
        let reply = self.vault.call(&Raw { method: RequestMethod::POST, path: self.data_path(), body }).await?;
        if reply.status.as_u16() == 400 {
            // A failed `cas` is a bare 400, as many other mistakes are: only what is there now tells.
            let now = self.find(None).await?;
            let moved = now.as_ref().map_or(0, |found| found.metadata.version) != cas;
            return Err(if moved { conflict(&now) } else { reply.refusal() });
        }
        if reply.status.as_u16() == 404 {
            return Err(self.no_mount(&reply));
        }
        let version = reply.ok()?.json::<Data<Stamp>>()?.data.version;
        if let Err(failure) = self.leave_mark(change.mark).await {
            // The value is written: to fail here would be a lie.
            tracing::warn!(store = self.locator(), %failure, "the mark beside the secret was not written");
        }
        Ok(Version::new(version.to_string()))
    }

    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        let current = self.find(None).await?.filter(|found| found.data.is_some());
        Ok(vec![(self.vault.describe(), current.map(|found| found.version()))])
    }

    async fn mark(&self) -> Got<Option<Mark>> {
        let mut marks = self.metadata().await?.and_then(|metadata| metadata.custom_metadata).unwrap_or_default();
        Ok(marks.remove(JOURNAL).and_then(|journal| Some(Mark { journal, rotation: RotationId::new(marks.remove(ROTATION)?) })))
    }

    async fn clock(&self) -> Got<Option<DateTime<Utc>>> {
        let standby_too = ReadHealthRequest { standbyok: Some(true), perfstandbyok: Some(true), ..Default::default() };
        Ok(self.vault.call_as(&standby_too, None).await?.date())
    }
}
