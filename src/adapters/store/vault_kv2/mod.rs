//! Vault KV v2: a version is Vault's own number, a write is conditional on it (`options.cas`).

mod check;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rustify::enums::RequestMethod;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use vaultrs::api::{
    kv2::requests::{ReadSecretMetadataRequest, ReadSecretRequest, SetSecretMetadataRequest},
    sys::requests::ReadHealthRequest,
};

use crate::{
    adapters::{
        Ctx,
        kind::Kind,
        vault::{self, Access, Auth, Data, Raw, Vault},
        wire::{self, Reply},
    },
    ids::{RotationId, Version},
    playbook::{SecretRef, quoted},
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
    #[serde(default)]
    versions: HashMap<String, Kept>,
}

/// A version as the metadata tells of it.
#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
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
}

fn number(version: &Version) -> Got<u64> {
    let no = || Failure::refused(Refusal::Invalid, None, format!("`{version}` is no version of a Vault secret"));
    version.as_str().parse().ok().filter(|number| *number > 0).ok_or_else(no)
}

impl Found {
    fn snapshot(&self) -> Option<Snapshot> {
        let text = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok().map(Secret::new);
        let fields = self.data.as_ref()?.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
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

    fn reference(&self, field: &str) -> Option<SecretRef> {
        Some(SecretRef::Vault { path: format!("{}/{}", self.mount, self.path), field: field.into() })
    }

    fn by_hand(&self, fields: &[(&str, &str)]) -> Vec<String> {
        // One value may come from standard input; what else is written is no secret.
        let (mut from, mut pairs) = (String::new(), Vec::new());
        for (field, variable) in fields {
            if *variable == "NEW_KEY" {
                from = "printf %s \"$NEW_KEY\" | ".to_owned();
                pairs.push(format!("{}=-", quoted(field)));
            } else {
                pairs.push(format!("{}=\"${variable}\"", quoted(field)));
            }
        }
        let place = format!("-mount={} {}", quoted(&self.mount), quoted(&self.path));
        vec![format!("{from}{} vault kv patch {place} {}", self.vault.shell(), pairs.join(" "))]
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let problems = self.problems().await.map_err(|failure| vec![failure.into()])?;
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    async fn read(&self) -> Got<Option<Snapshot>> {
        Ok(self.find(None).await?.and_then(|found| found.snapshot()))
    }

    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        Ok(self.find(Some(number(version)?)).await?.and_then(|found| found.snapshot()))
    }

    async fn versions(&self) -> Got<Option<Vec<Version>>> {
        let versions = self.metadata().await?.map(|metadata| metadata.versions).unwrap_or_default();
        let kept = versions.into_iter().filter(|(_, kept)| kept.deletion_time.is_empty() && !kept.destroyed);
        let mut numbers: Vec<u64> = kept.filter_map(|(number, _)| number.parse().ok()).collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        Ok(Some(numbers.into_iter().map(|number| Version::new(number.to_string())).collect()))
    }

    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        let conflict = |now: &Option<Found>| {
            let now = now.as_ref().map_or_else(|| "nothing".to_owned(), |found| format!("version {}", found.metadata.version));
            let base = change.base.map_or_else(|| "nothing".to_owned(), |base| format!("version {base}"));
            Failure::refused(Refusal::Conflict, None, format!("{}: {base} was expected, and Vault holds {now}", self.locator()))
        };
        let base = change.base.map(number).transpose()?;
        let found = self.find(None).await.map_err(wire::before_effect)?;
        // A deleted current version cannot be replaced as if it were there, but `cas` must name it.
        let cas = found.as_ref().map_or(0, |found| found.metadata.version);
        if found.as_ref().filter(|found| found.data.is_some()).map(|found| found.metadata.version) != base {
            return Err(conflict(&found));
        }
        let mut data = found.and_then(|found| found.data).unwrap_or_default();
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
