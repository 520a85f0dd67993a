//! Anthropic: API keys of an organization. A person makes them in the Console, for there is no endpoint that does; the Admin API does the rest.
//! <https://platform.claude.com/docs/en/api/admin/api_keys>
//!
//! A key is switched off by `inactive` and revoked for good by `archived`. Its workspace is what it may do.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    kit::{self, Api, Dead, Manner, Sent, behind, by_a_person, in_header, only, pages, rfc3339},
    speech,
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire,
    },
    ids::{Identity, KeyId},
    playbook::{Fault, Limits, SecretRef, quoted},
    ports::{
        Ambiguity, Attributes, ByHand, ByPerson, Credential, Failure, Got, Kept, Life, Like, Listed, Minted, Problem, Prompt, Provider,
        Question, Spend, Spoken, Switch, Traits, Usage, Used, Wanted,
    },
    protocol::{Bound, Bounds},
    rotation::Tombstone,
};

/// The API keys of an Anthropic organization.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the admin key (`sk-ant-admin…`) stands.
    pub admin_key: SecretRef,
    /// The workspace whose keys these are (`wrkspc_…`); without it those of the whole organization.
    pub workspace: Option<String>,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
    /// The page where a person makes keys.
    #[serde(default = "console")]
    pub page: String,
}

fn official() -> String {
    "https://api.anthropic.com/v1".into()
}

fn console() -> String {
    "https://platform.claude.com/settings/keys".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "anthropic",
        about: "API keys of an Anthropic organization, made by a person and revoked by keyroll",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Anthropic::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["an admin key (sk-ant-admin…), which an organization's admin makes in the Console"],
        unconfirmed: &[
            "how late the usage report is (5 minutes, as its page says, beside the bucket of an hour)",
            "how long an archived key works (1 minute is assumed)",
        ],
        source: "https://platform.claude.com/docs/en/api/admin/api_keys",
        sample: include_str!("../../../playbooks/anthropic.yaml"),
    },
};

const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

const MANNER: Manner = Manner {
    who: "Anthropic",
    wants: "an admin key (sk-ant-admin…), not one for the Messages API",
    needs: "only an organization's admin can make one",
    headers: &[VERSION],
};

/// `{"type":"error","error":{"type":"authentication_error",…}}`: <https://platform.claude.com/docs/en/api/errors>
const DEAD: &[Dead] = &[Dead::saying(401, "/error/type", "authentication_error")];

/// The keys of an organization, or of one workspace of it.
pub struct Anthropic {
    api: Api,
    workspace: Option<String>,
    page: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Key>,
    has_more: bool,
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    name: String,
    partial_key_hint: Option<String>,
    status: String,
    created_at: String,
    #[serde(default)]
    expires_at: Option<String>,
    workspace_id: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    data: Vec<Bucket>,
    has_more: bool,
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    starting_at: String,
    results: Vec<Tokens>,
}

#[derive(Deserialize)]
struct Tokens {
    uncached_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: Creation,
    output_tokens: u64,
}

#[derive(Deserialize)]
struct Creation {
    ephemeral_1h_input_tokens: u64,
    ephemeral_5m_input_tokens: u64,
}

impl Tokens {
    fn input(&self) -> u64 {
        let cached = self.cache_creation.ephemeral_1h_input_tokens.saturating_add(self.cache_creation.ephemeral_5m_input_tokens);
        self.uncached_input_tokens.saturating_add(self.cache_read_input_tokens).saturating_add(cached)
    }
}

/// The most keys of a page.
const PAGE: usize = 1000;
/// How far back the last use is looked for: a report's most buckets of an hour.
const HOURS: i64 = 168;

impl Anthropic {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let api = Api::new(ctx, &config.base_url, Sent::header("x-api-key", config.admin_key), MANNER)?;
        Ok(Self { api, workspace: config.workspace, page: kit::address("page", &config.page)? })
    }

    /// What is archived cannot come back: it counts as deleted.
    async fn keys(&self) -> Got<Vec<Key>> {
        let workspace = self.workspace.as_deref().map(wire::segment).transpose()?.map(|id| format!("&workspace_id={id}"));
        let workspace = &workspace.unwrap_or_default();
        let page = |after: Option<String>| async move {
            let after = after.as_deref().map(wire::segment).transpose()?.map(|id| format!("&after_id={id}")).unwrap_or_default();
            let page: Page = self.api.get(&format!("/organizations/api_keys?limit={PAGE}{workspace}{after}")).await?;
            match (page.has_more, page.last_id) {
                (true, None) => Err(Failure::unknown("GET api_keys: there is another page, and no id that it follows")),
                (more, last) => Ok((page.data, last.filter(|_| more))),
            }
        };
        let keys = pages("GET api_keys of Anthropic", page).await?;
        Ok(keys.into_iter().filter(|key| key.status != "archived").collect())
    }

    async fn one(&self, key: &KeyId) -> Got<Key> {
        self.api.get(&format!("/organizations/api_keys/{}", wire::segment(key.as_str())?)).await
    }

    /// The answer must show the status that was asked for.
    async fn set_status(&self, key: &str, status: &str) -> Got<()> {
        let path = format!("/organizations/api_keys/{}", wire::segment(key)?);
        let reply = self.api.ask(Method::POST, &path, Some(json!({ "status": status }))).await?;
        match reply.json::<Key>()?.status == status {
            true => Ok(()),
            false => Err(Failure::unknown(format!("POST api_keys: the answer does not say that the key is {status}"))),
        }
    }

    /// The buckets of one key since then, all pages.
    async fn buckets(&self, key: &KeyId, from: DateTime<Utc>, width: &str, limit: i64) -> Got<Vec<Bucket>> {
        let from = from.to_rfc3339_opts(SecondsFormat::Secs, true);
        let query = format!("starting_at={from}&bucket_width={width}&limit={limit}&api_key_ids[]={}", wire::segment(key.as_str())?);
        let query = &query;
        let page = |cursor: Option<String>| async move {
            let cursor = cursor.as_deref().map(wire::segment).transpose()?.map(|page| format!("&page={page}")).unwrap_or_default();
            let report: Report = self.api.get(&format!("/organizations/usage_report/messages?{query}{cursor}")).await?;
            match (report.has_more, report.next_page) {
                (true, None) => Err(Failure::unknown("GET usage_report: there is another page, and no way to it")),
                (more, next) => Ok((report.data, next.filter(|_| more))),
            }
        };
        pages("GET usage_report of Anthropic", page).await
    }

    fn work(&self, method: Method, path: &str, credential: &Credential) -> Got<RequestBuilder> {
        let request = self.api.work(method, &format!("{}{path}", self.api.base));
        Ok(request.header(VERSION.0, VERSION.1).header("x-api-key", in_header(&credential.secret)?))
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Replayed,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            // A bucket of an hour, and five minutes until it is filled.
            usage_lag: Duration::from_secs(65 * 60),
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        let workspace = self.workspace.as_ref().map_or_else(|| "organization".into(), |id| format!("workspace {id}"));
        format!("anthropic {workspace} at {}", self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, "/organizations/api_keys?limit=1", None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            created_at: rfc3339(&key.created_at),
            expires_at: key.expires_at.as_deref().and_then(rfc3339),
            last_used: None,
            enabled: key.status == "active",
            name: Some(key.name),
            id: KeyId::new(key.id),
        };
        Ok(self.keys().await?.into_iter().map(listed).collect())
    }

    /// By the hint, where only one key has it.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.keys().await?;
        let hint = |key: &Key| key.partial_key_hint.clone().unwrap_or_default();
        let found = only(&keys, |key| behind(&hint(key), credential.secret.reveal()));
        let known = |id: &str| listed.iter().any(|known| known.id.as_str() == id);
        let proof = |key: &Key| (KeyId::new(&key.id), format!("of these keys only this one is shown as {}", hint(key)));
        Ok(found.filter(|key| known(&key.id)).map(proof))
    }

    async fn create(&self, _: &Wanted<'_>) -> Got<Minted> {
        Err(by_a_person(&self.page, "make"))
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        self.set_status(tombstone.key().as_str(), "archived").await
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let login = self.api.login().shell();
        let url = |id: &str| format!("{}/organizations/api_keys/{id}", self.api.base);
        let url = key.map_or_else(|| format!("{}\"$LEAKED_KEY_ID\"", quoted(&url(""))), |key| quoted(&url(key.as_str())));
        let headers = format!("-H '{}: {}' -H 'Content-Type: application/json'", VERSION.0, VERSION.1);
        ByHand {
            create: vec![kit::made_by_hand(&self.page)],
            revoke: vec![format!("{login} | curl -fsS -X POST -H @- {headers} -d '{{\"status\":\"archived\"}}' {url}")],
        }
    }

    /// `GET /models`: it costs nothing.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        Ok(kit::life(&wire::send(self.work(Method::GET, "/models", credential)?).await?, DEAD))
    }

    fn by_person(&self) -> Option<&dyn ByPerson> {
        Some(self)
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
}

impl ByPerson for Anthropic {
    fn page(&self) -> String {
        let workspace = self.workspace.as_ref().map_or_else(String::new, |id| format!(" (workspace {id})"));
        format!("{}{workspace}", self.page)
    }

    fn revokes(&self) -> bool {
        true
    }

    fn lists(&self) -> bool {
        true
    }
}

#[async_trait]
impl Switch for Anthropic {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        self.set_status(key.as_str(), if on { "active" } else { "inactive" }).await
    }
}

#[async_trait]
impl Usage for Anthropic {
    /// The beginning of the last hour with tokens, of the last seven days; the lag counts that hour in.
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        // A key that is gone has no use: it must not look idle.
        self.one(key).await?;
        let buckets = self.buckets(key, Utc::now() - TimeDelta::hours(HOURS), "1h", HOURS).await?;
        let used = buckets.iter().filter(|bucket| bucket.results.iter().any(|tokens| tokens.input() + tokens.output_tokens > 0));
        Ok(used.filter_map(|bucket| rfc3339(&bucket.starting_at)).max())
    }
}

#[async_trait]
impl Spend for Anthropic {
    /// Tokens. Requests are not told, and the cost report knows no keys.
    async fn since(&self, key: &KeyId, from: DateTime<Utc>) -> Got<Used> {
        let buckets = self.buckets(key, from, "1m", 1440).await?;
        let tokens = || buckets.iter().flat_map(|bucket| &bucket.results);
        Ok(Used {
            counted: "messages".into(),
            input_tokens: Some(tokens().fold(0, |sum, tokens| tokens.input().saturating_add(sum))),
            output_tokens: Some(tokens().fold(0, |sum, tokens| tokens.output_tokens.saturating_add(sum))),
            as_of: Utc::now(),
            ..Used::default()
        })
    }
}

#[async_trait]
impl Prompt for Anthropic {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        speech::anthropic(self.work(Method::POST, "/messages", credential)?, question, DEAD).await
    }
}

/// A person chooses the new key's workspace: one made in another is not taken into use.
fn bounds(workspace: Option<&String>) -> Bounds {
    let workspace = workspace.map_or("default", String::as_str);
    Bounds::from([("workspace".into(), Bound::Only(Some(BTreeSet::from([workspace.to_owned()]))))])
}

#[async_trait]
impl Attributes for Anthropic {
    async fn of(&self, key: &KeyId) -> Got<Bounds> {
        Ok(bounds(self.one(key).await?.workspace_id.as_ref()))
    }

    async fn planned(&self, like: Option<Like<'_>>, _: &Limits) -> Got<Bounds> {
        match like {
            Some(Like::Key(id)) => self.of(id).await,
            Some(Like::Gone(workspace)) => Ok(bounds(kit::kept::<Option<String>>(workspace)?.as_ref())),
            None => Ok(bounds(self.workspace.as_ref())),
        }
    }

    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        kit::keep(&self.one(key).await?.workspace_id)
    }
}
