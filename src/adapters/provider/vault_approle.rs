//! A Vault AppRole's secret ids. The key's id is the secret id's accessor; its name stands in the secret id's metadata.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::Utc;
use rustify::enums::RequestMethod;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use vaultrs::api::auth::approle::requests::{
    DeleteSecretIDAccessorRequest, ListSecretIDRequest, LoginWithApproleRequest, ReadAppRoleRequest, ReadRoleIDRequest,
    ReadSecretIDAccessorRequest, ReadSecretIDRequest,
};

use super::{
    kit::{keep, kept},
    vault_approle_terms::{NAME, Role, SecretId, Terms},
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        vault::{self, Access, Auth, Data, Raw, Vault, policy},
        wire::{self, Reply},
    },
    ids::{Identity, KeyId},
    playbook::{Limits, quoted},
    ports::{
        Ambiguity, Attributes, ByHand, Credential, Failure, Fate, Got, Kept, Life, Like, Listed, Minted, Problem, Provider, Traits, Wanted,
    },
    protocol::{Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The secret ids of an AppRole.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Vault's address: `https://vault.internal:8200`.
    pub address: String,
    /// The Enterprise namespace.
    pub namespace: Option<String>,
    /// How to log in; not with the AppRole that is rotated.
    pub auth: Auth,
    /// A PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Where the AppRole method is mounted.
    #[serde(default = "approle")]
    pub mount: String,
    /// The role's name.
    pub role: String,
}

fn approle() -> String {
    "approle".into()
}

/// The constructor.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "vault_approle",
        about: "secret ids of a HashiCorp Vault AppRole",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| {
            let config: Config = block.read()?;
            Ok(Arc::new(VaultAppRole::new(config, ctx)?))
        },
    },
    facts: Facts {
        needs: &["read on auth/MOUNT/role/ROLE, create and list on …/secret-id, update on …/secret-id-accessor/lookup and …/destroy"],
        unconfirmed: &[],
        source: "https://developer.hashicorp.com/vault/api-docs/auth/approle",
        sample: include_str!("../../../playbooks/vault-approle.yaml"),
    },
};

/// The fewest uses of a secret id that leave enough for its readers: each probe of ours spends one.
const USES_NEEDED: u64 = 100;

/// The secret ids of one AppRole.
pub struct VaultAppRole {
    vault: Vault,
    mount: String,
    role: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct RoleId {
    role_id: String,
}

#[derive(Deserialize)]
struct Made {
    secret_id: String,
    secret_id_accessor: String,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Grant,
}

#[derive(Deserialize)]
struct Grant {
    client_token: String,
}

impl VaultAppRole {
    /// Calls nobody and reads no secret.
    ///
    /// # Errors
    /// Where the address, the mount or the role cannot be one.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, crate::playbook::Fault> {
        let Config { address, namespace, auth, ca, mount, role } = config;
        Ok(Self {
            vault: Vault::new(ctx, Access { address, namespace, auth, ca })?,
            mount: vault::path("mount", &mount)?,
            role: vault::path("role", &role)?,
        })
    }

    fn path(&self, tail: &str) -> String {
        format!("auth/{}/role/{}{tail}", self.mount, self.role)
    }

    /// By its accessor; none: there is no such secret id.
    async fn look_up(&self, accessor: &str) -> Got<Option<SecretId>> {
        let request = ReadSecretIDAccessorRequest {
            mount: self.mount.clone(),
            role_name: self.role.clone(),
            secret_id_accessor: accessor.to_owned(),
        };
        let reply = self.vault.call(&request).await?;
        // Unknown to the role: a 404 with `data`. A missing mount is a 404 too, and must not pass for a deleted key.
        if reply.status.as_u16() == 404 && reply.json::<Data<serde::de::IgnoredAny>>().is_ok() {
            return Ok(None);
        }
        Ok(Some(reply.ok()?.json::<Data<SecretId>>()?.data))
    }

    /// By its value; none: it is no secret id of this role (204; a missing mount is 404, a missing role 500).
    async fn look_up_value(&self, value: &Secret) -> Got<Option<SecretId>> {
        let request = ReadSecretIDRequest { mount: self.mount.clone(), role_name: self.role.clone(), secret_id: value.reveal().to_owned() };
        let reply = self.vault.call(&request).await?.ok()?;
        if reply.status.as_u16() == 204 { Ok(None) } else { Ok(Some(reply.json::<Data<SecretId>>()?.data)) }
    }

    async fn role(&self) -> Got<Role> {
        let request = ReadAppRoleRequest { mount: self.mount.clone(), role_name: self.role.clone() };
        let reply = self.vault.call(&request).await?;
        if reply.status.as_u16() == 404 {
            return Err(self.no_role(&reply));
        }
        Ok(reply.ok()?.json::<Data<Role>>()?.data)
    }

    async fn role_id(&self) -> Got<String> {
        let request = ReadRoleIDRequest { mount: self.mount.clone(), role_name: self.role.clone() };
        let reply = self.vault.call(&request).await?;
        if reply.status.as_u16() == 404 {
            return Err(self.no_role(&reply));
        }
        Ok(reply.ok()?.json::<Data<RoleId>>()?.data.role_id)
    }

    fn no_role(&self, reply: &Reply) -> Failure {
        reply.refusal().hint(format!("there is no role `{}` at auth/{}: correct `role` or `mount`", self.role, self.mount))
    }

    /// One that must be there.
    async fn one(&self, id: &KeyId) -> Got<SecretId> {
        let gone = || Failure::refused(Refusal::Gone, None, format!("{}: the secret id to copy, {id}, is gone", self.describe()));
        self.look_up(id.as_str()).await?.ok_or_else(gone)
    }

    async fn terms(&self, like: Option<Like<'_>>) -> Got<Terms> {
        let like = match like {
            Some(Like::Key(id)) => self.one(id).await?,
            Some(Like::Gone(secret_id)) => kept(secret_id)?,
            None => return Ok(Terms::default()),
        };
        Ok(Terms::of(like, &self.role().await?))
    }

    async fn check_rights(&self) -> Got<Vec<Problem>> {
        let needed = [
            ("", r#""read""#),
            ("/role-id", r#""read""#),
            ("/secret-id", r#""list", "create", "update""#),
            ("/secret-id/lookup", r#""create", "update""#),
            ("/secret-id-accessor/lookup", r#""create", "update""#),
            ("/secret-id-accessor/destroy", r#""create", "update""#),
        ];
        let paths: Vec<String> = needed.iter().map(|(tail, _)| self.path(tail)).collect();
        let asked = Raw::with(RequestMethod::POST, "sys/capabilities-self", &json!({ "paths": paths }));
        let has = self.vault.call(&asked).await?.ok()?.json::<Data<HashMap<String, serde_json::Value>>>()?.data;
        let can = |path: &str, right: &str| {
            let rights: Option<Vec<String>> = has.get(path).and_then(|list| serde_json::from_value(list.clone()).ok());
            rights.is_some_and(|rights| rights.iter().any(|has| has == right || has == "root"))
        };
        let lacks = |path: &str, rights: &str| {
            // Vault asks for `create` or `update` by whether the path "exists", which differs by version: one of them will do.
            let writes = !rights.contains("update") || can(path, "update") || can(path, "create");
            let looks = ["read", "list"].iter().all(|right| !rights.contains(right) || can(path, right));
            !(writes && looks)
        };
        let missing: Vec<String> = needed
            .iter()
            .zip(&paths)
            .filter(|((_, rights), path)| lacks(path, rights))
            .map(|((_, rights), path)| policy(path, rights))
            .collect();
        if missing.is_empty() {
            return Ok(vec![]);
        }
        let what = format!("{}: our policy lacks {} of {} rights", self.describe(), missing.len(), needed.len());
        Ok(vec![Problem::new(what, format!("add to it:\n{}", missing.join("\n")))])
    }
}

#[async_trait]
impl Provider for VaultAppRole {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(5),
            ready_within: Duration::from_secs(5),
            dead_within: Duration::from_secs(5),
            usage_lag: Duration::ZERO,
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("vault_approle {} auth/{} role {}", self.vault.describe(), self.mount, self.role)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let one = |failure: Failure| vec![Problem::from(failure)];
        self.vault.enter().await.map_err(one)?;
        let mut problems = self.check_rights().await.map_err(one)?;
        match self.role().await {
            Ok(role) if !role.bind_secret_id => problems.push(Problem::new(
                format!("{}: the role takes no secret id (bind_secret_id is false)", self.describe()),
                format!("vault write {} bind_secret_id=true", self.path("")),
            )),
            Ok(role) if (1..USES_NEEDED).contains(&role.secret_id_num_uses) => problems.push(Problem::new(
                format!("{}: a secret id may be used {} times, and each test of it uses one", self.describe(), role.secret_id_num_uses),
                format!("vault write {} secret_id_num_uses=0, or any number from {USES_NEEDED}", self.path("")),
            )),
            Ok(_) => {}
            // Told with its policy line already.
            Err(failure) if failure.refusal() == Some(Refusal::Denied) && !problems.is_empty() => {}
            Err(failure) => problems.push(failure.into()),
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let reply = self.vault.call(&ListSecretIDRequest { mount: self.mount.clone(), role_name: self.role.clone() }).await?;
        if reply.status.as_u16() == 404 {
            // A role without secret ids and a role that is not there look alike.
            self.role_id().await?;
            return Ok(vec![]);
        }
        let mut listed = Vec::new();
        for accessor in reply.ok()?.json::<Data<Keys>>()?.data.keys {
            // One that went away since is no longer listed.
            let Some(secret_id) = self.look_up(&accessor).await? else { continue };
            listed.push(Listed {
                id: KeyId::new(accessor),
                enabled: !secret_id.ended(Utc::now()),
                created_at: secret_id.creation_time,
                expires_at: secret_id.expiration_time.filter(|end| end.timestamp() > 0),
                last_used: None,
                name: secret_id.metadata.and_then(|mut all| all.remove(NAME)),
            });
        }
        Ok(listed)
    }

    async fn identify(&self, credential: &Credential, _listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let found = self.look_up_value(&credential.secret).await?;
        let proof = |id: SecretId| {
            let proof = format!("Vault looked the stored secret id up and answered accessor {}", id.secret_id_accessor);
            (KeyId::new(id.secret_id_accessor), proof)
        };
        Ok(found.map(proof))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like).await.map_err(wire::before_effect)?;
        if terms.uses_are_left && (1..USES_NEEDED).contains(&terms.uses) {
            let left = terms.uses;
            let what = format!("{}: the secret id to copy may be used {left} more times only, fewer than its tests", self.describe());
            let hint = format!("make one with more uses: vault write -f {} num_uses={USES_NEEDED}", self.path("/secret-id"));
            return Err(Failure::refused(Refusal::Invalid, None, what).hint(hint));
        }
        let reply = self.vault.call(&Raw::with(RequestMethod::POST, self.path("/secret-id"), &terms.body(wanted.name))).await?;
        if reply.status.as_u16() == 404 {
            return Err(self.no_role(&reply));
        }
        let made = reply.ok()?.json::<Data<Made>>()?.data;
        Ok(Minted { id: KeyId::new(made.secret_id_accessor), secret: Secret::new(made.secret_id), created_at: None, expires_at: None })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let accessor = tombstone.key().as_str();
        // Vault answers 500 where it is gone already, which would look like a delete that may have happened.
        if self.look_up(accessor).await.map_err(wire::before_effect)?.is_none() {
            return Err(Failure::refused(Refusal::Gone, Some(404), format!("{}: secret id {accessor} is gone", self.describe())));
        }
        let request = DeleteSecretIDAccessorRequest {
            mount: self.mount.clone(),
            role_name: self.role.clone(),
            secret_id_accessor: accessor.to_owned(),
        };
        self.vault.call(&request).await?.ok().map(drop)
    }

    /// Looked up first, and tried only if it is there: five failed logins in 15 minutes lock the whole role out for 15 more
    /// (Vault's user lockout, on by default since 1.13), and with it every service that uses it.
    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let (vault, role) = (self.vault.shell(), quoted(&format!("auth/{}/role/{}/secret-id", self.mount, self.role)));
        let id = key.map_or("\"$LEAKED_KEY_ID\"".to_owned(), |key| quoted(key.as_str()));
        ByHand {
            create: vec![
                format!("answer=$({vault} vault write -f -format=json {role})"),
                "export NEW_KEY=$(printf %s \"$answer\" | jq -r .data.secret_id) NEW_KEY_ID=$(printf %s \"$answer\" | jq -r .data.secret_id_accessor)"
                    .to_owned(),
            ],
            revoke: vec![format!("{vault} vault write {role}-accessor/destroy secret_id_accessor={id}")],
        }
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let Some(secret_id) = self.look_up_value(&credential.secret).await? else { return Ok(Life::Dead) };
        if secret_id.ended(Utc::now()) {
            return Ok(Life::Dead);
        }
        let request = LoginWithApproleRequest {
            mount: self.mount.clone(),
            role_id: self.role_id().await?,
            secret_id: credential.secret.reveal().to_owned(),
        };
        let reply = match self.vault.call_as(&request, None).await {
            Ok(reply) if reply.status.is_success() => reply,
            // It is a secret id of the role and was refused for another reason: our network address, a lockout.
            Ok(_) => return Ok(Life::Unclear),
            Err(failure) if matches!(failure.fate, Fate::NotSent { .. }) => return Err(failure),
            Err(_) => return Ok(Life::Unclear),
        };
        let token = Secret::new(reply.json::<LoggedIn>()?.auth.client_token);
        let revoke = Raw { method: RequestMethod::POST, path: "auth/token/revoke-self".into(), body: Vec::new() };
        if let Err(failure) = self.vault.call_as(&revoke, Some(&token)).await.and_then(Reply::ok) {
            tracing::debug!(%failure, "the probe's token was not revoked; it ends by itself");
        }
        Ok(Life::Alive)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Attributes for VaultAppRole {
    async fn of(&self, key: &KeyId) -> Got<Bounds> {
        Ok(self.terms(Some(Like::Key(key))).await?.bounds())
    }

    async fn planned(&self, like: Option<Like<'_>>, _: &Limits) -> Got<Bounds> {
        Ok(self.terms(like).await?.bounds())
    }

    /// One call, for it comes before a deletion; the role is there afterwards, too.
    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        keep(&self.one(key).await?)
    }
}
