//! OpenAI: the service accounts of one project.
//!
//! A service account's key cannot be deleted by itself (`DELETE …/api_keys/{id}` refuses it), so keyroll rotates the whole
//! account: one account, one key, and the account's id is the key's id. Shapes are those of openai-openapi, `openapi.json`.
//! A service account carries no limits or scopes of its own; they are the project's, which a new account shares.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    kit::{self, Rest, by_hand, seconds},
    openai_api::{self, official},
    openai_project::{ApiKey, Project},
    openai_usage,
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire,
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef},
    ports::{ByHand, Credential, Failure, Got, Guard, Life, Listed, Minted, Problem, Prompt, Provider, Spend, Traits, Usage, Used, Wanted},
    protocol::Refusal,
    rotation::Tombstone,
    secret::Secret,
};

/// The service accounts of one OpenAI project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The project's id: `proj_abc123`.
    pub project: String,
    /// Where the admin key stands (`sk-admin-…`); a restricted one needs `api.management.write`.
    pub admin_key: SecretRef,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
    /// What a key is tried with, if not `models` below the API's address: services may call through a gateway.
    pub probe_url: Option<String>,
}

/// The constructor.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "openai",
        about: "service accounts of an OpenAI project",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(OpenAi::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["an admin key of the organization (sk-admin-…)", "a restricted one: api.management.read and api.management.write"],
        unconfirmed: &["how long a deleted key works (15 minutes are assumed)", "how late `last_used_at` is (15 minutes are assumed)"],
        source: "https://platform.openai.com/docs/api-reference/project-service-accounts",
        sample: include_str!("../../../playbooks/openai-vault.yaml"),
    },
};

/// The service accounts of one project.
pub struct OpenAi {
    project: Project,
    /// Which API keys each account was seen with: usage is told by those, and their listing ends with the account.
    seen: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    name: String,
    created_at: i64,
}

#[derive(Deserialize)]
struct Created {
    id: String,
    created_at: i64,
    api_key: CreatedKey,
}

#[derive(Deserialize)]
struct CreatedKey {
    value: String,
}

impl OpenAi {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address or the project's id is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let project = Project::new(ctx, config.project, config.admin_key, &config.base_url, config.probe_url.as_deref())?;
        Ok(Self { project, seen: Mutex::default() })
    }

    async fn accounts(&self) -> Got<Vec<Account>> {
        self.project.pages("service_accounts", "").await
    }

    async fn keys(&self) -> Got<Vec<ApiKey>> {
        let keys = self.project.keys().await?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &keys {
            if let Some(account) = key.account() {
                seen.entry(account.to_owned()).or_default().insert(key.id.clone());
            }
        }
        drop(seen);
        Ok(keys)
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn traits(&self) -> Traits {
        openai_api::traits()
    }

    /// Service accounts do not share anything that two rotations could fight over.
    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("openai project {} at {}", self.project.id, self.project.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.project.answers(&["service_accounts?limit=1", "api_keys?limit=1&owner_project_access=any"]).await
    }

    /// The project's service accounts; people's keys are none of ours. An account without a key counts as not enabled.
    async fn list(&self) -> Got<Vec<Listed>> {
        let (accounts, keys) = (self.accounts().await?, self.keys().await?);
        let listed = accounts.into_iter().map(|account| {
            let mut its = keys.iter().filter(|key| key.account() == Some(account.id.as_str())).peekable();
            Listed {
                enabled: its.peek().is_some(),
                last_used: its.filter_map(|key| key.last_used_at).max().and_then(seconds),
                id: KeyId::new(account.id),
                name: Some(account.name),
                created_at: seconds(account.created_at),
                expires_at: None,
            }
        });
        Ok(listed.collect())
    }

    /// By the redacted value. Nobody's where two keys look alike, where it is a person's key, and where the account has other
    /// keys: deleting it would end them too.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.keys().await?;
        let alike: Vec<&ApiKey> = keys.iter().filter(|key| kit::behind(&key.redacted_value, credential.secret.reveal())).collect();
        let [key] = alike.as_slice() else { return Ok(None) };
        let Some(account) = key.account() else { return Ok(None) };
        let others = keys.iter().filter(|other| other.account() == Some(account)).count() - 1;
        if others > 0 {
            tracing::warn!(
                account,
                others,
                "the key's service account has other keys, which its deletion would end too: not taken as proved"
            );
            return Ok(None);
        }
        let proof = format!("of this project's keys only {} of service account {account} is shown as {}", key.id, key.redacted_value);
        Ok(listed.iter().find(|known| known.id.as_str() == account).map(|known| (known.id.clone(), proof)))
    }

    /// OpenAI has no idempotency key here: a lost reply leaves an account that is found by its name.
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let body = json!({ "name": wanted.name });
        let reply = self.project.api.ask(Method::POST, &format!("{}/service_accounts", self.project.path), Some(body)).await;
        let created: Created = reply.map_err(|failure| self.project.lost(failure))?.json()?;
        Ok(Minted {
            id: KeyId::new(created.id),
            secret: Secret::new(created.api_key.value),
            created_at: seconds(created.created_at),
            expires_at: None,
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        let reply = self.project.api.ask(Method::DELETE, &format!("{}/service_accounts/{id}", self.project.path), None).await?;
        kit::deleted(&reply, "/deleted", &format!("service account {id}"))
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let accounts = format!("{}/service_accounts", self.project.path);
        let rest = Rest {
            create: &accounts,
            body: json!({ "name": "by-hand" }),
            value: ".api_key.value",
            id: ".id",
            method: Method::DELETE,
            delete: &format!("{accounts}/{{id}}"),
            with: None,
        };
        by_hand(&self.project.api, &rest, key)
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        self.project.life(&credential.secret).await
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }

    fn spend(&self) -> Option<&dyn Spend> {
        Some(self)
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        Some(&self.project)
    }

    fn guard(&self) -> Option<&dyn Guard> {
        Some(&self.project)
    }
}

#[async_trait]
impl Usage for OpenAi {
    /// The latest `last_used_at` of the account's keys. An account without a key is gone: that it was not used proves nothing.
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let keys = self.keys().await?;
        let mut its = keys.iter().filter(|listed| listed.account() == Some(key.as_str())).peekable();
        if its.peek().is_none() {
            return Err(Failure::refused(Refusal::Gone, None, format!("OpenAI lists no key of service account {key}")));
        }
        Ok(its.filter_map(|listed| listed.last_used_at).max().and_then(seconds))
    }
}

#[async_trait]
impl Spend for OpenAi {
    /// Its completions, by the API keys that the account has or had when this process last listed them.
    async fn since(&self, key: &KeyId, from: DateTime<Utc>) -> Got<Used> {
        self.keys().await?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(key.as_str()).cloned();
        let Some(keys) = seen else {
            let what = format!("OpenAI tells usage by API key, and those of service account {key} went with it");
            return Err(Failure::refused(Refusal::Gone, None, what));
        };
        openai_usage::used(&self.project.api, &Vec::from_iter(keys), from).await
    }
}
