//! OpenAI: the API keys that people own in one project. A person makes them in the console, for there is no endpoint that does; the Admin API lists and
//! deletes them. <https://platform.openai.com/docs/api-reference/project-api-keys>
//!
//! Such a key ends with its owner's access to the project. What a restricted one may do is told nowhere.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    kit::{self, by_a_person, only, seconds},
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
    ports::{
        ByHand, ByPerson, Credential, Failure, Got, Guard, Life, Listed, Minted, Problem, Prompt, Provider, Spend, Traits, Usage, Used,
        Wanted,
    },
    protocol::Refusal,
    rotation::Tombstone,
};

/// The API keys that people own in one OpenAI project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The project's id: `proj_abc123`. A key that is made in another one is not taken.
    pub project: String,
    /// Where the admin key stands (`sk-admin-…`); a restricted one needs `api.management.write`.
    pub admin_key: SecretRef,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
    /// What a key is tried with, if not `models` below the API's address: services may call through a gateway.
    pub probe_url: Option<String>,
    /// The page where a person makes keys.
    #[serde(default = "console")]
    pub page: String,
}

fn console() -> String {
    "https://platform.openai.com/settings/organization/projects".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "openai_user",
        about: "API keys that people own in an OpenAI project, made by a person and deleted by keyroll",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(OpenAiUser::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["an admin key of the organization (sk-admin-…)", "a restricted one: api.management.read and api.management.write"],
        unconfirmed: &[
            "what a restricted key may do: OpenAI does not tell, so whoever makes the new one chooses its permissions anew",
            "how long a deleted key works (15 minutes are assumed)",
            "how late `last_used_at` is (15 minutes are assumed)",
        ],
        source: "https://platform.openai.com/docs/api-reference/project-api-keys",
        sample: include_str!("../../../playbooks/openai-user.yaml"),
    },
};

/// People's keys in one project.
pub struct OpenAiUser {
    project: Project,
    page: String,
}

impl OpenAiUser {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address or the project's id is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let page = kit::address("page", &config.page)?;
        let project = Project::new(ctx, config.project, config.admin_key, &config.base_url, config.probe_url.as_deref())?;
        Ok(Self { project, page })
    }

    fn path(&self, id: &str) -> String {
        format!("{}/api_keys/{id}", self.project.path)
    }
}

#[async_trait]
impl Provider for OpenAiUser {
    fn traits(&self) -> Traits {
        openai_api::traits()
    }

    /// Keys do not share anything that two rotations could fight over.
    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("people's keys in openai project {} at {}", self.project.id, self.project.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.project.answers(&["api_keys?limit=1&owner_project_access=any"]).await
    }

    /// Service accounts' keys are none of ours: they cannot be deleted by themselves.
    async fn list(&self) -> Got<Vec<Listed>> {
        let mut listed = Vec::new();
        for key in self.project.keys().await? {
            if key.of_person()? {
                listed.push(Listed {
                    enabled: key.enabled(),
                    created_at: seconds(key.created_at),
                    expires_at: None,
                    last_used: key.last_used_at.and_then(seconds),
                    name: key.name,
                    id: KeyId::new(key.id),
                });
            }
        }
        Ok(listed)
    }

    /// By the redacted value. Nobody's where two keys of the project look alike, whoever owns them, and where it is no person's.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.project.keys().await?;
        let Some(key) = only(&keys, |key| kit::behind(&key.redacted_value, credential.secret.reveal())) else { return Ok(None) };
        let proof = format!("of this project's keys only {} is shown as {}", key.id, key.redacted_value);
        let known = listed.iter().any(|known| known.id.as_str() == key.id);
        Ok((key.of_person()? && known).then(|| (KeyId::new(&key.id), proof)))
    }

    async fn create(&self, _: &Wanted<'_>) -> Got<Minted> {
        Err(by_a_person(&self.page, "make"))
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        let reply = self.project.api.ask(Method::DELETE, &self.path(&id), None).await?;
        kit::deleted(&reply, "/deleted", &format!("API key {id}"))
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let revoke = kit::revoked_by_hand(&self.project.api, &Method::DELETE, &self.path("{id}"), None, key);
        ByHand { create: vec![kit::made_by_hand(&self.page)], revoke: vec![revoke] }
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        self.project.life(&credential.secret).await
    }

    fn by_person(&self) -> Option<&dyn ByPerson> {
        Some(self)
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

impl ByPerson for OpenAiUser {
    fn page(&self) -> String {
        format!("{} (project {}, API keys)", self.page, self.project.id)
    }

    fn revokes(&self) -> bool {
        true
    }

    fn lists(&self) -> bool {
        true
    }
}

#[async_trait]
impl Usage for OpenAiUser {
    /// A key that is gone was not "never used".
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let found: ApiKey = self.project.api.get(&self.path(&wire::segment(key.as_str())?)).await?;
        match found.id == key.as_str() {
            true => Ok(found.last_used_at.and_then(seconds)),
            false => Err(Failure::refused(Refusal::Gone, None, format!("OpenAI answered with another key than {key}"))),
        }
    }
}

#[async_trait]
impl Spend for OpenAiUser {
    /// Its completions, also after its end: they are told by its id.
    async fn since(&self, key: &KeyId, from: DateTime<Utc>) -> Got<Used> {
        openai_usage::used(&self.project.api, &[key.as_str().to_owned()], from).await
    }
}
