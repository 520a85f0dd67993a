//! LiteLLM: the virtual keys of one's own proxy. <https://docs.litellm.ai/docs/proxy/virtual_keys>, in the shapes of litellm 1.109
//! (`proxy/management_endpoints/key_management_endpoints.py`).
//!
//! A key's id is the SHA-256 of its value. All that a key is made with is taken over, and what is spent of a budget already; `key_type` is not
//! sent, for it would put its preset in the place of `allowed_routes`. `POST /key/{key}/regenerate` is not used: it needs an enterprise licence,
//! and ends the old value at a time of its own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kit::{self, Api, Dead, Manner, Rest, Sent, Termed, by_hand, pages, present, rfc3339, said},
    litellm_spend,
    litellm_terms::{Terms, unread},
    speech,
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, after_effect, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, Limits, SecretRef},
    ports::{
        Ambiguity, Attributes, ByHand, Credential, Enforces, Failure, Got, Kept, Life, Listed, Minted, Problem, Prompt, Provider, Question,
        Spend, Spoken, Switch, Traits, Usage, Used, Wanted,
    },
    protocol::{Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The virtual keys of a LiteLLM proxy.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the master key stands, or the key of a proxy admin.
    pub admin_key: SecretRef,
    /// The proxy's address, without `/v1`.
    pub base_url: String,
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "litellm",
        about: "virtual keys of a LiteLLM proxy",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(LiteLlm::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &[
            "the master key, or the key of a proxy admin: others see and delete only their own keys",
            "LiteLLM with a database, 1.77 or newer (`last_active`, `/key/list` with whole objects)",
        ],
        unconfirmed: &[
            "how long a deleted or blocked key works where several proxies cache keys (2 minutes are assumed: twice the default of 60 s)",
            "how late `last_active` is (5 minutes are assumed); a key that was used only before LiteLLM had it is told as never used",
            "that the daily activity of a deleted key is told by its hash, and how late it is",
            "what is spent of a budget of one model or one of several windows: only the spend of the key itself is taken over",
        ],
        source: "https://docs.litellm.ai/docs/proxy/virtual_keys",
        sample: include_str!("../../../playbooks/litellm.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "LiteLLM",
    wants: "the master key or the key of a proxy admin",
    needs: "only a proxy admin may see, block and delete all keys",
    headers: &[],
};

/// The keys of one proxy.
pub struct LiteLlm {
    api: Api,
}

#[derive(Deserialize)]
struct Page {
    keys: Vec<Row>,
    total_count: usize,
    total_pages: usize,
}

#[derive(Deserialize)]
struct Row {
    token: String,
    #[serde(default)]
    key_alias: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    last_active: Option<String>,
    /// Null until it was blocked once.
    #[serde(deserialize_with = "present")]
    blocked: Option<bool>,
}

#[derive(Deserialize)]
struct Told {
    info: Map<String, Value>,
}

#[derive(Deserialize)]
struct Created {
    key: String,
    token_id: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expires: Option<String>,
}

#[derive(Deserialize)]
struct Switched {
    #[serde(default, deserialize_with = "said")]
    blocked: Option<Option<bool>>,
}

#[derive(Deserialize)]
struct Deleted {
    deleted_keys: Vec<String>,
}

/// Never issued or deleted; and what can be no key of LiteLLM at all. A blocked or expired key is told otherwise.
const DEAD: &[Dead] =
    &[Dead::saying(401, "/error/type", "token_not_found_in_db"), Dead::saying(401, "/error/message", "expected to start with 'sk-'")];

/// Without these a reply is not read: their absence must not pass for "without limit".
const NEEDED: &[&str] = &[
    "models",
    "permissions",
    "metadata",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "max_budget",
    "budget_duration",
    "model_max_budget",
    "allowed_routes",
    "spend",
    "expires",
];

impl LiteLlm {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        Ok(Self { api: Api::new(ctx, &config.base_url, Sent::bearer(config.admin_key), MANNER)? })
    }

    /// Newest first, so a key that is made meanwhile only moves others to the next page, where they come twice. One that is deleted meanwhile
    /// would hide another, and shows in the count.
    async fn rows(&self) -> Got<Vec<Row>> {
        let total = &AtomicUsize::new(0);
        let page = |number: Option<String>| async move {
            let number: usize = number.as_deref().and_then(|number| number.parse().ok()).unwrap_or(1);
            let page: Page = self.api.get(&format!("/key/list?return_full_object=true&size=100&page={number}")).await?;
            total.store(page.total_count, Ordering::Relaxed);
            Ok((page.keys, (number < page.total_pages).then(|| (number + 1).to_string())))
        };
        let rows = pages("GET key/list of LiteLLM", page).await?;
        let rows: BTreeMap<String, Row> = rows.into_iter().map(|row| (row.token.clone(), row)).collect();
        if rows.len() < total.load(Ordering::Relaxed) {
            return Err(Failure::unknown("GET key/list of LiteLLM: fewer keys than it counts; the listing changed while it was read"));
        }
        Ok(rows.into_values().collect())
    }

    /// A deleted key is told of, too: from the archive.
    async fn info(&self, key: &KeyId) -> Got<Map<String, Value>> {
        let info = self.api.get::<Told>(&format!("/key/info?key={}", wire::segment(key.as_str())?)).await?.info;
        if info.get("status").and_then(Value::as_str) == Some("deleted") {
            return Err(Failure::refused(Refusal::Gone, None, format!("LiteLLM deleted key {key}")));
        }
        match NEEDED.iter().find(|field| !info.contains_key(**field)) {
            Some(field) => Err(Failure::unknown(format!("GET key/info of LiteLLM: the answer has no `{field}`"))),
            None => Ok(info),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Got<wire::Reply> {
        self.api.ask(Method::POST, path, Some(body)).await
    }
}

#[async_trait]
impl Provider for LiteLlm {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(10),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(2 * 60),
            usage_lag: Duration::from_secs(5 * 60),
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("litellm at {}", self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, "/key/list?size=1", None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |row: Row| Listed {
            id: KeyId::new(row.token),
            name: row.key_alias,
            created_at: row.created_at.as_deref().and_then(rfc3339),
            expires_at: row.expires.as_deref().and_then(rfc3339),
            last_used: row.last_active.as_deref().and_then(rfc3339),
            enabled: row.blocked != Some(true),
        };
        Ok(self.rows().await?.into_iter().map(listed).collect())
    }

    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let digest = credential.secret.sha256();
        let found = listed.iter().find(|known| known.id.as_str().eq_ignore_ascii_case(&digest));
        Ok(found.map(|known| (known.id.clone(), "its id is the SHA-256 of this value".to_owned())))
    }

    /// LiteLLM refuses an alias that exists, so a name is one key's.
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let now = Utc::now();
        let terms = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        let mut body = terms.body;
        body.insert("key_alias".into(), wanted.name.into());
        if let Some(end) = terms.lives.end(now) {
            body.insert("duration".into(), format!("{}s", (end - now).num_seconds().max(1)).into());
        }
        let created: Created = self.post("/key/generate", body.into()).await?.json()?;
        Ok(Minted {
            id: KeyId::new(created.token_id),
            secret: Secret::new(created.key),
            created_at: created.created_at.as_deref().and_then(rfc3339),
            expires_at: created.expires.as_deref().and_then(rfc3339),
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = tombstone.key().as_str();
        let deleted: Deleted = self.post("/key/delete", json!({ "keys": [id] })).await?.json()?;
        match deleted.deleted_keys.iter().any(|deleted| deleted == id) {
            true => Ok(()),
            false => Err(Failure::unknown(format!("deleting key {id}: LiteLLM does not say that it is deleted"))),
        }
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: "/key/generate",
            body: json!({ "key_alias": "by-hand" }),
            value: ".key",
            id: ".token_id",
            method: Method::POST,
            delete: "/key/delete",
            with: Some(r#"{"keys":["{id}"]}"#),
        };
        by_hand(&self.api, &rest, key)
    }

    /// The models that the key may use.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.api.work(Method::GET, &format!("{}/v1/models", self.api.base)).bearer_auth(credential.secret.reveal());
        Ok(kit::life(&wire::send(request).await?, DEAD))
    }

    fn switch(&self) -> Option<&dyn Switch> {
        Some(self)
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }

    fn spend(&self) -> Option<&dyn Spend> {
        Some(self)
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }

    fn enforces(&self) -> Enforces {
        Enforces { monthly: true, rate: true, ..Enforces::default() }
    }
}

#[async_trait]
impl Switch for LiteLlm {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let path = if on { "/key/unblock" } else { "/key/block" };
        let changed: Option<Switched> = self.post(path, json!({ "key": key.as_str() })).await?.json()?;
        let off = match changed.and_then(|changed| changed.blocked) {
            Some(told) => told == Some(true),
            None => self.info(key).await.map_err(after_effect)?.get("blocked") == Some(&Value::Bool(true)),
        };
        kit::switched(off != on, &format!("POST {path} of LiteLLM"))
    }
}

#[async_trait]
impl Usage for LiteLlm {
    /// `last_active`. A LiteLLM that does not have it yet tells nothing.
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        match self.info(key).await?.get("last_active") {
            Some(Value::Null) => Ok(None),
            Some(Value::String(at)) => rfc3339(at).map(Some).ok_or_else(|| unread("last_active")),
            _ => Err(unread("last_active")),
        }
    }
}

#[async_trait]
impl Spend for LiteLlm {
    async fn since(&self, key: &KeyId, from: DateTime<Utc>) -> Got<Used> {
        litellm_spend::since(&self.api, key, from).await
    }
}

#[async_trait]
impl Prompt for LiteLlm {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let request =
            self.api.work(Method::POST, &format!("{}/v1/chat/completions", self.api.base)).bearer_auth(credential.secret.reveal());
        speech::openai(request, "max_tokens", question, DEAD).await
    }
}

#[async_trait]
impl Termed for LiteLlm {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        let info = self.info(key).await?;
        Ok((Terms::of(&info)?, info.get("created_at").and_then(Value::as_str).and_then(rfc3339)))
    }

    fn first(&self) -> Got<Terms> {
        Terms::of(&Map::new())
    }

    fn limited(&self, terms: Terms, limits: &Limits) -> Terms {
        terms.limited(limits)
    }

    fn kept(&self, terms: Terms) -> Got<Kept> {
        terms.kept()
    }

    fn bounds(&self, terms: Terms, made: DateTime<Utc>) -> Got<Bounds> {
        terms.bounds(made)
    }
}
