//! OpenRouter: the keys of one workspace, made with a management key. <https://openrouter.ai/docs/guides/overview/auth/management-api-keys>
//!
//! A key's id is its `hash`. Its limit, the limit's reset, its workspace and how long it lives are taken over.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    kit::{self, Api, Dead, Lifetime, Manner, Rest, Sent, Termed, behind, by_hand, day, full_pages, micro, only, present, rfc3339},
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
        Ambiguity, Attributes, ByHand, Counter, Credential, Enforces, Failure, Got, Life, Listed, Minted, Problem, Prompt, Provider,
        Question, Spend, Spoken, Switch, Traits, Used, Wanted,
    },
    protocol::{Bound, Bounds},
    rotation::Tombstone,
    secret::Secret,
};

/// The API keys of an OpenRouter workspace.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the management key stands; it makes keys, and cannot be used for anything else.
    pub management_key: SecretRef,
    /// The workspace's id; without it the default workspace.
    pub workspace: Option<String>,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
}

fn official() -> String {
    "https://openrouter.ai/api/v1".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "openrouter",
        about: "API keys of an OpenRouter workspace",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(OpenRouter::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["a management key of the account: it may make, change and delete every key of it"],
        unconfirmed: &[
            "that `hash` is the SHA-256 of the key: where it is not, the redacted `label` is the proof",
            "how long a deleted key works (1 minute is assumed), and how late `usage` is (5 minutes are assumed)",
            "that the activity of a deleted key is told by its hash; what a leaked key was used for today is told tomorrow",
        ],
        source: "https://openrouter.ai/docs/api/api-reference/api-keys",
        sample: include_str!("../../../playbooks/openrouter.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "OpenRouter",
    wants: "a management key (openrouter.ai/settings/management-keys), not one for inference",
    needs: "management keys have all rights on keys: check whose account it is",
    headers: &[],
};

/// The keys of one workspace.
pub struct OpenRouter {
    api: Api,
    workspace: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Key>,
}

#[derive(Deserialize)]
struct One {
    data: Key,
}

#[derive(Deserialize)]
struct Key {
    hash: String,
    name: String,
    label: String,
    disabled: bool,
    #[serde(deserialize_with = "present")]
    limit: Option<f64>,
    #[serde(deserialize_with = "present")]
    limit_reset: Option<String>,
    #[serde(default)]
    include_byok_in_limit: bool,
    #[serde(default)]
    workspace_id: Option<String>,
    usage: f64,
    #[serde(default)]
    byok_usage: f64,
    created_at: String,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    last_used_at: Option<String>,
}

/// OpenRouter's reference shows the key beside `data`, its cookbook within it.
#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    key: Option<String>,
    data: CreatedKey,
}

#[derive(Deserialize)]
struct CreatedKey {
    hash: String,
    #[serde(default)]
    key: Option<String>,
    created_at: String,
    #[serde(default)]
    expires_at: Option<String>,
}

/// `{"error":{"message":"User not found.","code":401}}`: there is no such key.
const DEAD: &[Dead] = &[Dead::saying(401, "/error/code", "401")];

/// How many keys a page has.
const PAGE: usize = 100;

impl OpenRouter {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let api = Api::new(ctx, &config.base_url, Sent::bearer(config.management_key), MANNER)?;
        Ok(Self { api, workspace: config.workspace })
    }

    /// Pages are asked for by how many keys came before; the last one is not full.
    async fn keys(&self) -> Got<Vec<Key>> {
        let workspace = self.workspace.as_deref().map(wire::segment).transpose()?.map(|id| format!("&workspace_id={id}"));
        let workspace = &workspace.unwrap_or_default();
        let page = |number: usize| async move {
            let before = number * PAGE;
            Ok(self.api.get::<Page>(&format!("/keys?include_disabled=true&offset={before}{workspace}")).await?.data)
        };
        full_pages("GET keys of OpenRouter", PAGE, page).await
    }

    async fn one(&self, key: &KeyId) -> Got<Key> {
        let told = self.api.get::<One>(&format!("/keys/{}", wire::segment(key.as_str())?)).await?.data;
        if told.hash == key.as_str() { Ok(told) } else { Err(Failure::unknown(format!("OpenRouter answered with another key than {key}"))) }
    }

    async fn patch(&self, key: &KeyId, change: serde_json::Value) -> Got<Key> {
        let reply = self.api.ask(Method::PATCH, &format!("/keys/{}", wire::segment(key.as_str())?), Some(change)).await?;
        Ok(reply.json::<One>()?.data)
    }
}

/// What a key is made with, and how long it lives.
#[derive(Serialize, Deserialize)]
pub struct Terms {
    limit: Option<f64>,
    reset: Option<String>,
    byok: bool,
    workspace: Option<String>,
    lives: Lifetime,
}

impl Terms {
    fn of(like: Key) -> Got<Self> {
        Ok(Self {
            lives: Lifetime::told(Some(&like.created_at), like.expires_at.as_deref())?,
            limit: like.limit,
            reset: like.limit_reset,
            byok: like.include_byok_in_limit,
            workspace: like.workspace_id,
        })
    }

    /// A monthly limit of the playbook takes the place of the old key's; both are in US dollars.
    fn limited(self, limits: &Limits) -> Self {
        match limits.monthly {
            Some(most) => Self { limit: Some(most), reset: Some("monthly".to_owned()), ..self },
            None => self,
        }
    }

    /// Limits of different resets cannot be compared: each reset is an attribute of its own.
    fn bounds(&self, made: DateTime<Utc>) -> Bounds {
        let limit = format!("limit in USD ({})", self.reset.as_deref().unwrap_or("in all"));
        Bounds::from([
            (limit, Bound::Most(self.limit)),
            ("expires_at".into(), self.lives.bound(made)),
            ("include_byok_in_limit".into(), Bound::Is(self.byok.to_string())),
            ("workspace".into(), Bound::Is(self.workspace.clone().unwrap_or_else(|| "the default one".into()))),
        ])
    }
}

#[async_trait]
impl Provider for OpenRouter {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::from_secs(5 * 60),
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        let workspace = self.workspace.as_ref().map_or_else(|| "the default workspace".into(), |id| format!("workspace {id}"));
        format!("openrouter {workspace} at {}", self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, "/keys?offset=0", None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            created_at: rfc3339(&key.created_at),
            expires_at: key.expires_at.as_deref().and_then(rfc3339),
            last_used: key.last_used_at.as_deref().and_then(rfc3339),
            enabled: !key.disabled,
            name: Some(key.name),
            id: KeyId::new(key.hash),
        };
        Ok(self.keys().await?.into_iter().map(listed).collect())
    }

    /// By the hash, where it is the value's SHA-256; else by the redacted label, where only one key has it.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let (keys, digest) = (self.keys().await?, credential.secret.sha256());
        let by_hash = only(&keys, |key| key.hash.eq_ignore_ascii_case(&digest));
        let by_label = || only(&keys, |key| behind(&key.label, credential.secret.reveal()));
        let proof = match by_hash {
            Some(key) => Some((key, "its hash is the SHA-256 of this value".to_owned())),
            None => by_label().map(|key| (key, format!("of this workspace's keys only this one is shown as {}", key.label))),
        };
        let known = |hash: &str| listed.iter().any(|known| known.id.as_str() == hash);
        Ok(proof.filter(|(key, _)| known(&key.hash)).map(|(key, proof)| (KeyId::new(&key.hash), proof)))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        let mut body = json!({
            "name": wanted.name,
            "limit": terms.limit,
            "limit_reset": terms.reset,
            "include_byok_in_limit": terms.byok,
        });
        if let Some(workspace) = terms.workspace {
            body["workspace_id"] = workspace.into();
        }
        if let Some(end) = terms.lives.end(Utc::now()) {
            body["expires_at"] = end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into();
        }
        let reply = self.api.ask(Method::POST, "/keys", Some(body)).await?;
        let created: Created = reply.json()?;
        let secret = created.key.or(created.data.key).ok_or_else(|| reply.unlike("no key"))?;
        Ok(Minted {
            id: KeyId::new(created.data.hash),
            secret: Secret::new(secret),
            created_at: rfc3339(&created.data.created_at),
            expires_at: created.data.expires_at.as_deref().and_then(rfc3339),
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        let reply = self.api.ask(Method::DELETE, &format!("/keys/{id}"), None).await?;
        kit::deleted(&reply, "/deleted", &format!("key {id}"))
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: "/keys",
            body: json!({ "name": "by-hand" }),
            value: ".key",
            id: ".data.hash",
            method: Method::DELETE,
            delete: "/keys/{id}",
            with: None,
        };
        by_hand(&self.api, &rest, key)
    }

    /// `GET /key`: what the key is told of itself; it is free.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.api.work(Method::GET, &format!("{}/key", self.api.base)).bearer_auth(credential.secret.reveal());
        Ok(kit::life(&wire::send(request).await?, DEAD))
    }

    fn switch(&self) -> Option<&dyn Switch> {
        Some(self)
    }

    fn spend(&self) -> Option<&dyn Spend> {
        Some(self)
    }

    fn counter(&self) -> Option<&dyn Counter> {
        Some(self)
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }

    fn enforces(&self) -> Enforces {
        Enforces { monthly: true, ..Enforces::default() }
    }
}

#[async_trait]
impl Switch for OpenRouter {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        kit::switched(self.patch(key, json!({ "disabled": !on })).await?.disabled != on, "PATCH keys of OpenRouter")
    }
}

#[async_trait]
impl Counter for OpenRouter {
    /// What it has cost at OpenRouter and, with one's own keys, at others, in billionths of a US dollar: one call costs less than a millionth.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what does not fit is the nearest number that does")]
    async fn reading(&self, key: &KeyId) -> Got<u64> {
        let key = self.one(key).await?;
        Ok(((key.usage + key.byok_usage) * 1e9).round() as u64)
    }
}

/// A day of one model at one provider.
#[derive(Deserialize)]
struct Activity {
    date: String,
    usage: f64,
    #[serde(default)]
    byok_usage_inference: f64,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct Activities {
    data: Vec<Activity>,
}

#[async_trait]
impl Spend for OpenRouter {
    /// `GET /activity`: the last 30 UTC days that are over, also of a key that is gone.
    async fn since(&self, key: &KeyId, from: DateTime<Utc>) -> Got<Used> {
        let all: Activities = self.api.get(&format!("/activity?api_key_hash={}", wire::segment(key.as_str())?)).await?;
        let first = day(from);
        let mut used = Used {
            counted: "days that are over".into(),
            counted_from: Some(first),
            cost_from: Some(first),
            as_of: Utc::now(),
            ..Used::default()
        };
        for row in all.data {
            // Some answers have a time of day, too.
            let on = row.date.get(..10).and_then(|date| date.parse::<NaiveDate>().ok());
            let on = on.ok_or_else(|| Failure::unknown("GET activity of OpenRouter: a day that is none"))?;
            if on >= first.date_naive() {
                let add = |sum: &mut Option<u64>, more: u64| *sum = Some(sum.unwrap_or_default().saturating_add(more));
                add(&mut used.requests, row.requests);
                add(&mut used.input_tokens, row.prompt_tokens);
                add(&mut used.output_tokens, row.completion_tokens);
                add(&mut used.micro_usd, micro(row.usage + row.byok_usage_inference));
            }
        }
        Ok(used)
    }
}

#[async_trait]
impl Prompt for OpenRouter {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let request = self.api.work(Method::POST, &format!("{}/chat/completions", self.api.base)).bearer_auth(credential.secret.reveal());
        speech::openai(request, "max_tokens", question, DEAD).await
    }
}

#[async_trait]
impl Termed for OpenRouter {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        let key = self.one(key).await?;
        let made = rfc3339(&key.created_at);
        let terms = Terms::of(key)?;
        Ok((Terms { workspace: terms.workspace.or_else(|| self.workspace.clone()), ..terms }, made))
    }

    fn first(&self) -> Got<Terms> {
        Ok(Terms { limit: None, reset: None, byok: false, workspace: self.workspace.clone(), lives: Lifetime::ENDLESS })
    }

    fn limited(&self, terms: Terms, limits: &Limits) -> Terms {
        terms.limited(limits)
    }

    fn bounds(&self, terms: Terms, made: DateTime<Utc>) -> Got<Bounds> {
        Ok(terms.bounds(made))
    }
}
