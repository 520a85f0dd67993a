//! Fireworks AI: the API keys of one user of an account; a service account is a user, too. <https://docs.fireworks.ai/api-reference/create-api-key>
//!
//! A key has what its user may, and nothing of its own but its end, which is taken over.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    kit::{self, Api, Dead, Lifetime, Manner, Rest, Sent, address, by_hand, keep, kept, only, pages, rfc3339, said},
    speech,
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, Limits, SecretRef},
    ports::{
        Ambiguity, Attributes, ByHand, Credential, Failure, Got, Kept, Life, Like, Listed, Minted, Problem, Prompt, Provider, Question,
        Spoken, Traits, Usage, Wanted,
    },
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The API keys of a Fireworks user or service account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The account's id.
    pub account: String,
    /// The id of the user or service account whose keys these are.
    pub user: String,
    /// Where the API key stands that makes and deletes keys: an admin's, or one of the user itself.
    pub admin_key: SecretRef,
    /// The address of the administration, with its version.
    #[serde(default = "official")]
    pub base_url: String,
    /// The address that services call, with its version.
    #[serde(default = "inference")]
    pub work_url: String,
    /// What a key is tried with, if not `models` below `work_url`: that fails for accounts without deployments.
    pub probe_url: Option<String>,
}

fn official() -> String {
    "https://api.fireworks.ai/v1".into()
}

fn inference() -> String {
    "https://api.fireworks.ai/inference/v1".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "fireworks",
        about: "API keys of a Fireworks AI user or service account",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Fireworks::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["an API key of an admin of the account, or of the user whose keys are rotated (not the key that is rotated)"],
        unconfirmed: &[
            "that `prefix` is the beginning of the value: where it shows fewer than 8 characters, or two keys show the same, a value is nobody's",
            "what a deleted key is answered: 401 with code UNAUTHORIZED is taken for death, as for a key that never was",
            "how long a deleted key works (1 minute is assumed)",
            "that the listing has `lastUsed`, and how late it is (1 hour is assumed): where it is left out, a rotation with `idle_for` ends held",
            "that the listing is paged: the reference says that it will be, and `totalSize` is believed",
        ],
        source: "https://docs.fireworks.ai/api-reference/create-api-key",
        sample: include_str!("../../../playbooks/fireworks.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "Fireworks",
    wants: "an API key (fw_…) of this very account",
    needs: "it must be an admin's, or the user's whose keys these are",
    headers: &[],
};

/// `{"error":{"message":"The API key you provided is invalid.","code":"UNAUTHORIZED","type":"error"}}`.
const DEAD: &[Dead] = &[Dead::saying(401, "/error/code", "UNAUTHORIZED")];

/// The fewest characters of a value's beginning that tell keys apart.
const SHORTEST_PREFIX: usize = 8;

/// The keys of one user.
pub struct Fireworks {
    api: Api,
    /// `/accounts/{account}/users/{user}/apiKeys`.
    keys: String,
    work: String,
    probe: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    api_keys: Vec<Key>,
    #[serde(default)]
    next_page_token: Option<String>,
    #[serde(default)]
    total_size: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    key_id: String,
    display_name: String,
    #[serde(default)]
    create_time: Option<String>,
    #[serde(default)]
    expire_time: Option<String>,
    #[serde(default)]
    prefix: String,
    /// None: nothing is said of it; none within: never.
    #[serde(default, deserialize_with = "said")]
    last_used: Option<Option<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    key_id: String,
    key: String,
    #[serde(default)]
    create_time: Option<String>,
    #[serde(default)]
    expire_time: Option<String>,
}

impl Fireworks {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address is none, or an id cannot stand in one.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let api = Api::new(ctx, &config.base_url, Sent::bearer(config.admin_key), MANNER)?;
        let id =
            |field: &str, id: &str| wire::segment(id).map_err(|_| Fault::new(format!("`{field}` is no id")).instead("as in its settings"));
        let keys = format!("/accounts/{}/users/{}/apiKeys", id("account", &config.account)?, id("user", &config.user)?);
        let work = address("work_url", &config.work_url)?;
        let probe = match &config.probe_url {
            Some(url) => address("probe_url", url)?,
            None => format!("{work}/models"),
        };
        Ok(Self { api, keys, work, probe })
    }

    async fn all(&self) -> Got<Vec<Key>> {
        let page = |token: Option<String>| async move {
            let token = token.as_deref().map(wire::segment).transpose()?.map(|token| format!("&pageToken={token}"));
            let page: Page = self.api.get(&format!("{}?pageSize=100{}", self.keys, token.unwrap_or_default())).await?;
            Ok((vec![(page.total_size, page.api_keys)], page.next_page_token.filter(|token| !token.is_empty())))
        };
        let pages = pages("GET apiKeys of Fireworks", page).await?;
        // A page without keys counts them, too.
        let total = pages.first().map_or(0, |(total, _)| *total);
        let keys: Vec<Key> = pages.into_iter().flat_map(|(_, keys)| keys).collect();
        if total > keys.len() { Err(Failure::unknown("GET apiKeys of Fireworks: fewer than it counts")) } else { Ok(keys) }
    }

    /// Fireworks shows keys only in their listing.
    async fn one(&self, key: &KeyId) -> Got<Key> {
        let found = self.all().await?.into_iter().find(|listed| listed.key_id == key.as_str());
        found.ok_or_else(|| Failure::refused(Refusal::Gone, None, format!("Fireworks lists no key {key} of this user")))
    }

    /// How long a key lives that is like this one.
    async fn lives(&self, like: Option<Like<'_>>) -> Got<Lifetime> {
        let key = match like {
            Some(Like::Key(id)) => self.one(id).await?,
            Some(Like::Gone(lives)) => return kept(lives),
            None => return Ok(Lifetime::ENDLESS),
        };
        Lifetime::told(key.create_time.as_deref(), key.expire_time.as_deref())
    }
}

fn bounds(end: Option<DateTime<Utc>>) -> Bounds {
    Bounds::from([("expires_at".into(), Bound::Until(end.map(|at| at.timestamp())))])
}

#[async_trait]
impl Provider for Fireworks {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::from_secs(3600),
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("fireworks {} at {}", self.keys.trim_start_matches('/').trim_end_matches("/apiKeys"), self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, &format!("{}?pageSize=1", self.keys), None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            id: KeyId::new(key.key_id),
            name: Some(key.display_name),
            created_at: key.create_time.as_deref().and_then(rfc3339),
            expires_at: key.expire_time.as_deref().and_then(rfc3339),
            last_used: key.last_used.flatten().as_deref().and_then(rfc3339),
            enabled: true,
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// By its beginning, where only one key has it.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let (keys, value) = (self.all().await?, credential.secret.reveal());
        let begins = |key: &&Key| key.prefix.len() >= SHORTEST_PREFIX && value.len() > key.prefix.len() && value.starts_with(&key.prefix);
        let found = only(&keys, begins).filter(|key| listed.iter().any(|known| known.id.as_str() == key.key_id));
        Ok(found.map(|key| (KeyId::new(&key.key_id), format!("of this user's keys only this one begins with {}", key.prefix))))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let lives = self.lives(wanted.like).await.map_err(before_effect)?;
        let mut key = json!({ "displayName": wanted.name });
        if let Some(end) = lives.end(Utc::now()) {
            key["expireTime"] = end.to_rfc3339_opts(SecondsFormat::Secs, true).into();
        }
        let created: Created = self.api.ask(Method::POST, &self.keys, Some(json!({ "apiKey": key }))).await?.json()?;
        Ok(Minted {
            id: KeyId::new(created.key_id),
            secret: Secret::new(created.key),
            created_at: created.create_time.as_deref().and_then(rfc3339),
            expires_at: created.expire_time.as_deref().and_then(rfc3339),
        })
    }

    /// Its answer is empty: the listing and the probe tell the rest.
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let body = json!({ "keyId": tombstone.key().as_str() });
        self.api.ask(Method::POST, &format!("{}:delete", self.keys), Some(body)).await.map(drop)
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: &self.keys,
            body: json!({ "apiKey": { "displayName": "by-hand" } }),
            value: ".key",
            id: ".keyId",
            method: Method::POST,
            delete: &format!("{}:delete", self.keys),
            with: Some(r#"{"keyId":"{id}"}"#),
        };
        by_hand(&self.api, &rest, key)
    }

    /// `GET /models`, or `probe_url`.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.api.work(Method::GET, &self.probe).bearer_auth(credential.secret.reveal());
        Ok(kit::life(&wire::send(request).await?, DEAD))
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Usage for Fireworks {
    /// `lastUsed`; where Fireworks leaves it out, that is not "never".
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let unsaid = || Failure::unknown(format!("Fireworks does not say when key {key} was last used"));
        match self.one(key).await?.last_used.ok_or_else(unsaid)? {
            Some(text) => rfc3339(&text).map(Some).ok_or_else(unsaid),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Prompt for Fireworks {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let request = self.api.work(Method::POST, &format!("{}/chat/completions", self.work)).bearer_auth(credential.secret.reveal());
        speech::openai(request, "max_tokens", question, DEAD).await
    }
}

#[async_trait]
impl Attributes for Fireworks {
    async fn of(&self, key: &KeyId) -> Got<Bounds> {
        Ok(bounds(self.one(key).await?.expire_time.as_deref().and_then(rfc3339)))
    }

    async fn planned(&self, like: Option<Like<'_>>, _: &Limits) -> Got<Bounds> {
        Ok(bounds(self.lives(like).await?.end(Utc::now())))
    }

    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        keep(&self.lives(Some(Like::Key(key))).await?)
    }
}
