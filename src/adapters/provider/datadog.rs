//! Datadog: the API keys of an organization, or the application keys of the user or service account that keyroll works as.
//! <https://docs.datadoghq.com/api/latest/key-management/>, <https://docs.datadoghq.com/api/latest/service-accounts/>
//!
//! Both kinds have the same shape. An API key's category is taken over, an application key's scopes; without scopes it may do what its user may.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Method, header::HeaderMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::kit::{Api, Dead, Manner, Rest, Sent, Termed, by_hand, full_pages, in_header, life, only, rfc3339};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef},
    ports::{Ambiguity, Attributes, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Traits, Usage, Wanted},
    protocol::{Bound, Bounds},
    rotation::Tombstone,
    secret::Secret,
};

/// API keys or application keys of a Datadog organization.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the API key stands that keyroll itself calls with. It must not be the one that is rotated.
    pub api_key: SecretRef,
    /// Where the application key stands that keyroll itself calls with. It must not be the one that is rotated.
    pub application_key: SecretRef,
    /// Which keys are rotated.
    #[serde(default)]
    pub keys: Keys,
    /// The service account whose application keys are rotated; without it those of the user that keyroll works as.
    pub service_account: Option<String>,
    /// What an application key may do that is made like none other (without this, all that its user may); one that is rotated passes its own
    /// scopes on.
    pub scopes: Option<BTreeSet<String>>,
    /// The API's address, after the organization's site: `https://api.datadoghq.eu`.
    #[serde(default = "official")]
    pub base_url: String,
}

/// The two kinds of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keys {
    /// API keys: agents and applications send with them.
    #[default]
    Api,
    /// Application keys: with an API key they may read and change what their user may.
    Application,
}

fn official() -> String {
    "https://api.datadoghq.com".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "datadog",
        about: "API keys of a Datadog organization, or application keys of a user or service account",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Datadog::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &[
            "for API keys: api_keys_read, api_keys_write and api_keys_delete",
            "for application keys: user_app_keys; for a service account's: service_account_write",
        ],
        unconfirmed: &[
            "how late the last use is told (1 day is assumed), and how long a deleted key works (5 minutes are assumed)",
            "that GET /api/v2/validate tells an API key's id (Datadog calls it a preview): else the last four characters are the proof",
            "how long a name may be, and what an empty list of scopes means (Datadog says neither; it is passed on as it is)",
        ],
        source: "https://docs.datadoghq.com/api/latest/key-management/",
        sample: include_str!("../../../playbooks/datadog.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "Datadog",
    wants: "an API key and an application key of one organization",
    needs: "it needs api_keys_read, api_keys_write and api_keys_delete, or user_app_keys; and the base_url of the organization's site",
    headers: &[],
};

/// What is said of a key that is none. It is said to callers from forbidden addresses too, so another key is asked for comparison.
const REFUSED: &[Dead] = &[Dead::saying(403, "/errors/0", "Forbidden"), Dead::saying(401, "/errors/0", "Unauthorized")];

/// The most keys of a page.
const PAGE: usize = 100;

/// The keys of one organization, user or service account.
pub struct Datadog {
    api: Api,
    keys: Keys,
    scopes: Option<BTreeSet<String>>,
    /// Where they stand, below the address.
    path: String,
}

#[derive(Deserialize)]
struct Many {
    data: Vec<Key>,
}

#[derive(Deserialize)]
struct One {
    data: Key,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    attributes: Its,
}

#[derive(Deserialize)]
struct Its {
    name: String,
    last4: String,
    created_at: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Its {
    /// Each kind of key has a name of its own for it. None: it is not told; none within: never.
    fn last_used(&self) -> Option<Option<DateTime<Utc>>> {
        let told = self.more.get("date_last_used").or_else(|| self.more.get("last_used_at"))?;
        match told {
            Value::Null => Some(None),
            told => told.as_str().and_then(rfc3339).map(Some),
        }
    }
}

impl Datadog {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the address is none, or a service account stands beside API keys.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let path = match (config.keys, &config.service_account) {
            (Keys::Api, None) => "/api/v2/api_keys".to_owned(),
            (Keys::Application, None) => "/api/v2/current_user/application_keys".to_owned(),
            (Keys::Application, Some(id)) => {
                let id = wire::segment(id).map_err(|failure| Fault::new(failure.what))?;
                format!("/api/v2/service_accounts/{id}/application_keys")
            }
            (Keys::Api, Some(_)) => {
                return Err(Fault::new("a service account has no API keys").instead("keys: application, beside service_account"));
            }
        };
        let login = Sent::header("dd-api-key", config.api_key).and("dd-application-key", config.application_key);
        Ok(Self { api: Api::new(ctx, &config.base_url, login, MANNER)?, keys: config.keys, scopes: config.scopes, path })
    }

    async fn all(&self) -> Got<Vec<Key>> {
        let page = |number: usize| async move {
            Ok(self.api.get::<Many>(&format!("{}?page[size]={PAGE}&page[number]={number}", self.path)).await?.data)
        };
        full_pages("GET keys of Datadog", PAGE, page).await
    }

    async fn one(&self, key: &KeyId) -> Got<Key> {
        Ok(self.api.get::<One>(&format!("{}/{}", self.path, wire::segment(key.as_str())?)).await?.data)
    }

    /// A call that any key may make: `GET /api/v1/validate` with an API key, `GET /api/v2/validate_keys` with both. These headers are the keys.
    async fn tried(&self, keys: HeaderMap) -> Got<Reply> {
        let path = if self.keys == Keys::Api { "/api/v1/validate" } else { "/api/v2/validate_keys" };
        wire::send(self.api.work(Method::GET, &format!("{}{path}", self.api.base)).headers(keys)).await
    }

    /// Which key Datadog says that this is.
    async fn told(&self, credential: &Credential) -> Got<Option<String>> {
        if self.keys == Keys::Application {
            return Ok(None);
        }
        let request = self.api.work(Method::GET, &format!("{}/api/v2/validate", self.api.base));
        let reply = wire::send(request.header("dd-api-key", in_header(&credential.secret)?)).await?;
        let told: Option<Value> = reply.status.is_success().then(|| reply.json().ok()).flatten();
        Ok(told.and_then(|told| told.pointer("/data/attributes/api_key_id").and_then(Value::as_str).map(str::to_owned)))
    }
}

/// What a key is made with.
#[derive(Serialize, Deserialize)]
pub enum Terms {
    Api { category: Option<String>, remote_config: bool },
    Application { scopes: Option<BTreeSet<String>> },
}

impl Terms {
    fn of(keys: Keys, key: &Key) -> Got<Self> {
        let more = &key.attributes.more;
        match keys {
            Keys::Api => Ok(Self::Api {
                category: more.get("category").and_then(Value::as_str).map(str::to_owned),
                remote_config: more.get("remote_config_read_enabled") == Some(&Value::Bool(true)),
            }),
            Keys::Application => match more.get("scopes") {
                Some(Value::Null) => Ok(Self::Application { scopes: None }),
                Some(Value::Array(scopes)) => {
                    Ok(Self::Application { scopes: Some(scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect()) })
                }
                _ => Err(Failure::unknown(format!("Datadog does not tell the scopes of application key {}", key.id))),
            },
        }
    }

    fn attributes(&self, name: &str) -> Value {
        let mut attributes = json!({ "name": name });
        match self {
            Self::Api { category, remote_config } => {
                attributes["remote_config_read_enabled"] = (*remote_config).into();
                if let Some(category) = category {
                    attributes["category"] = category.as_str().into();
                }
            }
            Self::Application { scopes } => attributes["scopes"] = json!(scopes),
        }
        attributes
    }

    fn bounds(self) -> Bounds {
        match self {
            Self::Api { category, remote_config } => Bounds::from([
                ("category".into(), Bound::Is(category.unwrap_or_else(|| "none".into()))),
                ("remote_config_read_enabled".into(), Bound::Most(Some(f64::from(u8::from(remote_config))))),
            ]),
            Self::Application { scopes } => Bounds::from([("scopes".into(), Bound::Only(scopes))]),
        }
    }
}

#[async_trait]
impl Provider for Datadog {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(5 * 60),
            usage_lag: Duration::from_secs(86_400),
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("datadog {} at {}", self.path.trim_start_matches("/api/v2/"), self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, &format!("{}?page[size]=1", self.path), None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            id: KeyId::new(&key.id),
            created_at: rfc3339(&key.attributes.created_at),
            expires_at: None,
            last_used: key.attributes.last_used().flatten(),
            enabled: true,
            name: Some(key.attributes.name),
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// By Datadog's own word; else by the last four characters, where only one key has them.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let known = |id: &str| listed.iter().find(|key| key.id.as_str() == id).map(|key| key.id.clone());
        if let Some(id) = self.told(credential).await? {
            return Ok(known(&id).map(|id| (id, "Datadog says that this value has this id".to_owned())));
        }
        let keys = self.all().await?;
        let value = credential.secret.reveal();
        let ends = |key: &&Key| key.attributes.last4.len() == 4 && value.len() > 4 && value.ends_with(&key.attributes.last4);
        let key = only(&keys, ends);
        Ok(key.and_then(|key| Some((known(&key.id)?, format!("of the listed keys only this one ends in {}", key.attributes.last4)))))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        let kind = if self.keys == Keys::Api { "api_keys" } else { "application_keys" };
        let body = json!({ "data": { "type": kind, "attributes": terms.attributes(wanted.name) } });
        let reply = self.api.ask(Method::POST, &self.path, Some(body)).await?;
        let Key { id, attributes } = reply.json::<One>()?.data;
        Ok(Minted {
            id: KeyId::new(id),
            secret: Secret::new(attributes.key.ok_or_else(|| reply.unlike("no key"))?),
            created_at: rfc3339(&attributes.created_at),
            expires_at: None,
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        self.api.emptied(&format!("{}/{id}", self.path)).await
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let kind = if self.keys == Keys::Api { "api_keys" } else { "application_keys" };
        let rest = Rest {
            create: &self.path,
            body: json!({ "data": { "type": kind, "attributes": { "name": "by-hand" } } }),
            value: ".data.attributes.key",
            id: ".data.id",
            method: Method::DELETE,
            delete: &format!("{}/{{id}}", self.path),
            with: None,
        };
        by_hand(&self.api, &rest, key)
    }

    /// A refusal is death only where keyroll's own key is taken from here at the same time.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let own = self.api.headers().await?;
        let mut keys = own.clone();
        let name = if self.keys == Keys::Api { "dd-api-key" } else { "dd-application-key" };
        let Ok(value) = in_header(&credential.secret) else { return Ok(Life::Unclear) };
        keys.insert(name, value);
        let life = life(&self.tried(keys).await?, REFUSED);
        let compared = life == Life::Dead && !self.tried(own).await?.status.is_success();
        Ok(if compared { Life::Unclear } else { life })
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Usage for Datadog {
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let told = self.one(key).await?.attributes.last_used();
        told.ok_or_else(|| Failure::unknown(format!("Datadog does not tell when key {key} was last used")))
    }
}

#[async_trait]
impl Termed for Datadog {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        Ok((Terms::of(self.keys, &self.one(key).await?)?, None))
    }

    fn first(&self) -> Got<Terms> {
        Ok(match self.keys {
            Keys::Api => Terms::Api { category: None, remote_config: false },
            Keys::Application => Terms::Application { scopes: self.scopes.clone() },
        })
    }

    fn bounds(&self, terms: Terms, _: DateTime<Utc>) -> Got<Bounds> {
        Ok(terms.bounds())
    }
}
