//! Mistral: the API keys of an organization's workspaces, through the Admin API, which is in beta: <https://docs.mistral.ai/api/endpoint/beta/admin/api-keys>,
//! <https://docs.mistral.ai/admin/admin-api/authentication>. Without an admin API key a person makes the keys: `mistral_console`.
//!
//! A key belongs to a workspace, and may end on a day. Both are taken over.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    kit::{self, Api, Dead, Manner, Rest, Sent, address, behind, by_hand, keep, kept, only, present, rfc3339, said},
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

/// The API keys of a Mistral organization, made with its Admin API.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the Admin API key stands; it is made in the Backoffice (backoffice.mistral.ai), and no standard key will do.
    pub admin_key: SecretRef,
    /// The workspace of a key that is made like none other; one that is rotated passes its own on.
    pub workspace: Option<String>,
    /// The id of the user whom new keys are made for.
    pub user: Option<String>,
    /// How a key is deleted: a path below `base_url`, where `{key_id}` stands for its id. Mistral does not describe it.
    #[serde(default = "deletes")]
    pub delete: String,
    /// The address of the Admin API.
    #[serde(default = "official")]
    pub base_url: String,
    /// The address that services call, with its version.
    #[serde(default = "inference")]
    pub work_url: String,
}

fn deletes() -> String {
    "/api-keys/{key_id}".into()
}

fn official() -> String {
    "https://console.mistral.ai/api/admin".into()
}

fn inference() -> String {
    "https://api.mistral.ai/v1".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "mistral",
        about: "API keys of a Mistral organization, made with its Admin API (beta)",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Mistral::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["an Admin API key of the organization (Backoffice): it may make every key of it"],
        unconfirmed: &[
            "how a key is deleted: the reference has no such call, and DELETE of its path is assumed (`delete`); where that is refused, the rotation ends held",
            "what `hidden_key` shows: it is taken for the value's beginning and end around dots or stars; where it shows less, a value is nobody's",
            "that `expiration` is a day, as `expiration_date` is in the answer",
            "that the connector access scope of a new key is that of the old one: the API tells neither",
            "how late `last_used` is (a day is assumed), how long a deleted key works (1 minute), and that the listing's pages follow `offset`",
        ],
        source: "https://docs.mistral.ai/api/endpoint/beta/admin/api-keys",
        sample: include_str!("../../../playbooks/mistral.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "Mistral",
    wants: "an Admin API key (backoffice.mistral.ai), not one for inference",
    needs: "it must be of this very organization",
    headers: &[],
};

/// What is said of a value that is no key.
pub(super) const DEAD: &[Dead] = &[Dead::saying(401, "/detail", "Unauthorized"), Dead::saying(401, "/message", "Unauthorized")];

/// How many keys a page is asked for; it may have fewer.
const PAGE: usize = 100;
/// A listing that does not end by then never ends.
const MOST: usize = 100_000;

/// The keys of one organization.
pub struct Mistral {
    api: Api,
    config: Config,
    work: String,
}

#[derive(Deserialize)]
struct Page {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    key_id: String,
    #[serde(deserialize_with = "present")]
    name: Option<String>,
    #[serde(default)]
    hidden_key: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(deserialize_with = "present")]
    expiration_date: Option<String>,
    #[serde(default, deserialize_with = "said")]
    last_used: Option<Option<String>>,
    #[serde(default)]
    workspace_id: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    key_id: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expiration_date: Option<String>,
}

/// A day, as the first moment of it: whether a key works on its last day is not said.
fn day(text: &str) -> Option<DateTime<Utc>> {
    let day = text.get(..10)?.parse::<NaiveDate>().ok()?;
    Some(day.and_time(NaiveTime::MIN).and_utc())
}

/// What a new key is made with: as many days as the one that it is like had, in the same workspace.
#[derive(Serialize, Deserialize)]
struct Terms {
    /// None: for ever.
    days: Option<u64>,
    workspace: Option<String>,
}

impl Terms {
    /// Of a key that lives as long and is made then.
    fn end(&self, made: DateTime<Utc>) -> Got<Option<NaiveDate>> {
        let Some(days) = self.days else { return Ok(None) };
        made.date_naive().checked_add_days(Days::new(days)).map(Some).ok_or_else(unread)
    }
}

fn unread() -> Failure {
    Failure::unknown("the old key ends by itself, and how long it was made for cannot be read")
}

fn bounds(end: Option<DateTime<Utc>>, workspace: Option<String>) -> Bounds {
    let workspace = workspace.unwrap_or_else(|| "the default one".into());
    Bounds::from([("expires_at".into(), Bound::Until(end.map(|at| at.timestamp()))), ("workspace".into(), Bound::Is(workspace))])
}

impl Mistral {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address is none, or `delete` no path with a place for the id.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        if !config.delete.starts_with('/') || !config.delete.contains("{key_id}") {
            return Err(Fault::new("`delete` is no path that holds `{key_id}`").instead(format!("`{}`", deletes())));
        }
        let api = Api::new(ctx, &config.base_url, Sent::header("x-api-key", config.admin_key.clone()), MANNER)?;
        let work = address("work_url", &config.work_url)?;
        Ok(Self { api, config, work })
    }

    /// Until a page is empty: how many a page holds at the most is not said. One that begins again is no end.
    async fn all(&self) -> Got<Vec<Key>> {
        let mut all: Vec<Key> = Vec::new();
        while all.len() < MOST {
            let page: Page = self.api.get(&format!("/api-keys?limit={PAGE}&offset={}", all.len())).await?;
            let Some(first) = page.keys.first() else { return Ok(all) };
            if all.iter().any(|known| known.key_id == first.key_id) {
                break;
            }
            all.extend(page.keys);
        }
        Err(Failure::unknown("GET api-keys of Mistral: the listing has no end"))
    }

    async fn one(&self, key: &KeyId) -> Got<Key> {
        let found = self.all().await?.into_iter().find(|listed| listed.key_id == key.as_str());
        found.ok_or_else(|| Failure::refused(Refusal::Gone, None, format!("Mistral lists no key {key}")))
    }

    async fn terms(&self, like: Option<Like<'_>>) -> Got<Terms> {
        let key = match like {
            Some(Like::Key(id)) => self.one(id).await?,
            Some(Like::Gone(terms)) => return kept(terms),
            None => return Ok(Terms { days: None, workspace: self.config.workspace.clone() }),
        };
        let days = match &key.expiration_date {
            None => None,
            Some(end) => {
                let made = key.created_at.as_deref().and_then(rfc3339);
                let days = made.zip(day(end)).and_then(|(made, end)| u64::try_from((end.date_naive() - made.date_naive()).num_days()).ok());
                Some(days.ok_or_else(unread)?)
            }
        };
        Ok(Terms { days, workspace: key.workspace_id.or_else(|| self.config.workspace.clone()) })
    }
}

#[async_trait]
impl Provider for Mistral {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::from_secs(86_400),
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("mistral organization at {}", self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, "/api-keys?limit=1&offset=0", None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            id: KeyId::new(key.key_id),
            name: key.name,
            created_at: key.created_at.as_deref().and_then(rfc3339),
            expires_at: key.expiration_date.as_deref().and_then(day),
            last_used: key.last_used.flatten().as_deref().and_then(rfc3339),
            enabled: true,
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// By what the listing shows of it, where only one key shows that.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.all().await?;
        let found = only(&keys, |key| behind(&key.hidden_key, credential.secret.reveal()));
        let found = found.filter(|key| listed.iter().any(|known| known.id.as_str() == key.key_id));
        Ok(found.map(|key| (KeyId::new(&key.key_id), format!("of this organization's keys only this one is shown as {}", key.hidden_key))))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like).await.map_err(before_effect)?;
        let mut body = json!({ "name": wanted.name });
        let end = terms.end(Utc::now()).map_err(before_effect)?.map(|end| end.to_string());
        for (field, value) in [("expiration", end), ("workspace_uuid", terms.workspace), ("user_id", self.config.user.clone())] {
            if let Some(value) = value {
                body[field] = value.into();
            }
        }
        let reply = self.api.ask(Method::POST, "/api-keys", Some(body)).await?;
        let created: Created = reply.json()?;
        let secret = created.key.ok_or_else(|| reply.unlike("no key"))?;
        Ok(Minted {
            id: KeyId::new(created.key_id),
            secret: Secret::new(secret),
            created_at: created.created_at.as_deref().and_then(rfc3339),
            expires_at: created.expiration_date.as_deref().and_then(day),
        })
    }

    /// What its answer is nobody says: the listing and the probe tell the rest.
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let path = self.config.delete.replace("{key_id}", &wire::segment(tombstone.key().as_str())?);
        self.api.ask(Method::DELETE, &path, None).await.map(drop)
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: "/api-keys",
            body: json!({ "name": "by-hand", "workspace_uuid": self.config.workspace }),
            value: ".key",
            id: ".key_id",
            method: Method::DELETE,
            delete: &self.config.delete.replace("{key_id}", "{id}"),
            with: None,
        };
        by_hand(&self.api, &rest, key)
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.api.work(Method::GET, &format!("{}/models", self.work)).bearer_auth(credential.secret.reveal());
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
impl Usage for Mistral {
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let unknown = || Failure::unknown(format!("Mistral does not tell when key {key} was last used"));
        match self.one(key).await?.last_used.ok_or_else(unknown)? {
            None => Ok(None),
            Some(text) => rfc3339(&text).map(Some).ok_or_else(unknown),
        }
    }
}

#[async_trait]
impl Prompt for Mistral {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let request = self.api.work(Method::POST, &format!("{}/chat/completions", self.work)).bearer_auth(credential.secret.reveal());
        speech::openai(request, "max_tokens", question, DEAD).await
    }
}

#[async_trait]
impl Attributes for Mistral {
    async fn of(&self, key: &KeyId) -> Got<Bounds> {
        let key = self.one(key).await?;
        Ok(bounds(key.expiration_date.as_deref().and_then(day), key.workspace_id))
    }

    async fn planned(&self, like: Option<Like<'_>>, _: &Limits) -> Got<Bounds> {
        let terms = self.terms(like).await?;
        let end = terms.end(Utc::now())?.map(|end| end.and_time(NaiveTime::MIN).and_utc());
        Ok(bounds(end, terms.workspace))
    }

    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        keep(&self.terms(Some(Like::Key(key))).await?)
    }
}
