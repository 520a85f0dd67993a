//! OpenAI: an organization's admin keys, with which all other keys are made.
//!
//! The key that is rotated is the key that keyroll calls with. `admin_key` must therefore be the very place that the first store
//! writes: it is read anew at each call, so from the promote on every call is made with the new key, and the old one is deleted by
//! the new one. Shapes are those of openai-openapi, `openapi.json`. An admin key's permissions can neither be read nor given there:
//! a new key has what OpenAI gives to its maker. A lifetime can, and the new key gets the old one's.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    kit::{self, Api, Rest, by_hand, seconds},
    openai_api::{self, official},
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, Limits, SecretRef},
    ports::{Attributes, ByHand, Credential, Failure, Got, Kept, Life, Like, Listed, Minted, Problem, Provider, Traits, Usage, Wanted},
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The admin keys of an OpenAI organization.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the admin key stands: the place that the first store writes, as `vault:mount/path#field` or `aws:secret-id#field`.
    /// It is called with, and it is what is rotated; a restricted one needs `api.management.write`.
    pub admin_key: SecretRef,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
}

/// The constructor.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "openai_admin",
        about: "admin keys of an OpenAI organization, each deleted with its successor",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(OpenAiAdmin::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["the admin key that is rotated, with all of its own rights (sk-admin-…)"],
        unconfirmed: &["how long a deleted key works (15 minutes are assumed)"],
        source: "https://platform.openai.com/docs/api-reference/admin-api-keys",
        sample: include_str!("../../../playbooks/openai-admin-vault.yaml"),
    },
};

/// The admin keys of one organization: the one that `admin_key` belongs to.
pub struct OpenAiAdmin {
    ctx: Ctx,
    api: Api,
    admin_key: SecretRef,
}

/// Below the API's address.
const KEYS: &str = "/organization/admin_api_keys";

#[derive(Deserialize)]
struct AdminKey {
    id: String,
    name: Option<String>,
    redacted_value: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

#[derive(Deserialize)]
struct Created {
    id: String,
    value: String,
    created_at: i64,
    expires_at: Option<i64>,
}

/// The longest lifetime that OpenAI gives, in seconds: a year.
const LONGEST: i64 = 31_536_000;

impl OpenAiAdmin {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the address is none, or where `admin_key` cannot be a place that a store writes.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        if !matches!(config.admin_key, SecretRef::Vault { .. } | SecretRef::Aws { .. }) {
            let what = "`admin_key` does not change when the store does: the old key would be called with to delete itself";
            return Err(
                Fault::new(what).instead("the place that the first store writes: `vault:mount/path#field` or `aws:secret-id#field`")
            );
        }
        let api = openai_api::api(ctx, config.admin_key.clone(), &config.base_url)?;
        Ok(Self { ctx: ctx.clone(), api, admin_key: config.admin_key })
    }

    async fn all(&self) -> Got<Vec<AdminKey>> {
        openai_api::listing(&self.api, KEYS, "").await
    }

    /// One call with this very key.
    async fn ask_as(&self, key: &Secret, method: Method, path: &str, body: Option<Value>) -> Got<Reply> {
        let mut request = self.api.bare(method, path).bearer_auth(key.reveal());
        if let Some(body) = &body {
            request = request.json(body);
        }
        self.api.explained(wire::send(request).await?)
    }

    async fn one(&self, key: &Secret, id: &KeyId) -> Got<AdminKey> {
        let path = format!("{KEYS}/{}", wire::segment(id.as_str())?);
        let told: AdminKey = self.ask_as(key, Method::GET, &path, None).await?.json()?;
        if told.id == id.as_str() { Ok(told) } else { Err(Failure::unknown(format!("OpenAI answered with another key than {id}"))) }
    }

    /// For how many seconds a key is made that is like this one: as many as it lived itself from its creation; none: for ever.
    async fn lifetime(&self, like: Option<Like<'_>>, key: &Secret) -> Got<Option<i64>> {
        let like = match like {
            Some(Like::Key(id)) => self.one(key, id).await?,
            Some(Like::Gone(seconds)) => return kit::kept(seconds),
            None => return Ok(None),
        };
        Ok(like.expires_at.map(|end| end.saturating_sub(like.created_at).clamp(1, LONGEST)))
    }

    /// The admin key, as it is now.
    async fn key(&self) -> Got<Secret> {
        self.ctx.secrets.read(&self.admin_key).await
    }

    /// Told before anything is sent: the key that we call with must not be the one that goes.
    fn not_with_itself(&self, listed: &AdminKey, key: &Secret) -> Got<()> {
        let no =
            |what: &str, hint: String| Err(Failure::refused(Refusal::Invalid, None, format!("admin key {}: {what}", listed.id)).hint(hint));
        let place = &self.admin_key;
        match kit::shown(&listed.redacted_value) {
            None => no(
                "OpenAI does not show enough of it to tell it from the key that is called with, so it was not deleted",
                format!("delete it in OpenAI's console, if it is not the key at `{place}`"),
            ),
            Some(_) if kit::behind(&listed.redacted_value, key.reveal()) => no(
                &format!("it looks like the key at `{place}` with which it would be deleted, so it was not"),
                format!(
                    "another admin key must stand at `{place}` first; keyroll reads it there as a shell here would: check VAULT_ADDR or the AWS account"
                ),
            ),
            Some(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for OpenAiAdmin {
    fn traits(&self) -> Traits {
        openai_api::traits()
    }

    /// Admin keys do not share anything that two rotations could fight over.
    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("openai admin keys at {}", self.api.base)
    }

    fn rotates_own(&self) -> Option<&SecretRef> {
        Some(&self.admin_key)
    }

    /// The listing answers. That the admin key may also write shows only when it does.
    async fn check(&self) -> Result<(), Vec<Problem>> {
        let asked = self.api.ask(Method::GET, &format!("{KEYS}?limit=1"), None).await;
        asked.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = self.all().await?.into_iter().map(|key| Listed {
            id: KeyId::new(key.id),
            name: key.name,
            created_at: seconds(key.created_at),
            expires_at: key.expires_at.and_then(seconds),
            last_used: key.last_used_at.and_then(seconds),
            enabled: true,
        });
        Ok(listed.collect())
    }

    /// By the redacted value; nobody's where two keys look alike.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.all().await?;
        let alike: Vec<&AdminKey> = keys.iter().filter(|key| kit::behind(&key.redacted_value, credential.secret.reveal())).collect();
        let [key] = alike.as_slice() else { return Ok(None) };
        let proof = format!("of this organization's admin keys only {} is shown as {}", key.id, key.redacted_value);
        Ok(listed.iter().find(|known| known.id.as_str() == key.id).map(|known| (known.id.clone(), proof)))
    }

    /// OpenAI has no idempotency key here: a lost reply leaves a key that is found by its name.
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let admin = self.key().await?;
        let mut body = json!({ "name": wanted.name });
        if let Some(seconds) = self.lifetime(wanted.like, &admin).await.map_err(before_effect)? {
            body["expires_in_seconds"] = seconds.into();
        }
        let created: Created = self.ask_as(&admin, Method::POST, KEYS, Some(body)).await?.json()?;
        Ok(Minted {
            id: KeyId::new(created.id),
            secret: Secret::new(created.value),
            created_at: seconds(created.created_at),
            expires_at: created.expires_at.and_then(seconds),
        })
    }

    /// With whichever key stands in the store now, read once for both calls; never with the very key that goes.
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        let admin = self.key().await?;
        let listed = self.one(&admin, tombstone.key()).await.map_err(before_effect)?;
        self.not_with_itself(&listed, &admin)?;
        let reply = self.ask_as(&admin, Method::DELETE, &format!("{KEYS}/{id}"), None).await?;
        kit::deleted(&reply, "/deleted", &format!("admin key {id}"))
    }

    /// The revoke takes the new key and stops where there is none: a key that deletes itself leaves nobody to make another.
    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: KEYS,
            body: json!({ "name": "by-hand" }),
            value: ".value",
            id: ".id",
            method: Method::DELETE,
            delete: &format!("{KEYS}/{{id}}"),
            with: None,
        };
        let mut commands = by_hand(&self.api, &rest, key);
        let (old, new) = (self.admin_key.shell(), "${NEW_KEY:?make the new admin key first: the old one is deleted with it}");
        commands.revoke.iter_mut().for_each(|command| *command = command.replace(&old, new));
        commands
    }

    /// The listing's first item, asked for with the key itself.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        openai_api::life(&self.api, &format!("{}{KEYS}?limit=1", self.api.base), &credential.secret).await
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Attributes for OpenAiAdmin {
    async fn of(&self, key: &KeyId) -> Got<Bounds> {
        let key = self.one(&self.key().await?, key).await?;
        Ok(Bounds::from([("expires_at".into(), Bound::Until(key.expires_at))]))
    }

    async fn planned(&self, like: Option<Like<'_>>, _: &Limits) -> Got<Bounds> {
        if like.is_none() {
            return Ok(Bounds::new());
        }
        let seconds = self.lifetime(like, &self.key().await?).await?;
        let end = seconds.map(|seconds| Utc::now().timestamp().saturating_add(seconds));
        Ok(Bounds::from([("expires_at".into(), Bound::Until(end))]))
    }

    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        kit::keep(&self.lifetime(Some(Like::Key(key)), &self.key().await?).await?)
    }
}

#[async_trait]
impl Usage for OpenAiAdmin {
    /// `last_used_at`. It shows keyroll's own calls too: before the promote on the old key, from then on, the new one. So it proves
    /// that nobody uses the old key, and not that anybody else uses the new one.
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        Ok(self.one(&self.key().await?, key).await?.last_used_at.and_then(seconds))
    }
}
