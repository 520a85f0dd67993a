//! Twilio: the API keys of one account, by the key resource v1. <https://www.twilio.com/docs/iam/api-keys/key-resource-v1>
//!
//! A key is a SID, which is its id, and a secret; calls bear both. Standard keys have no limits, restricted ones a policy, which is taken over.
//! The secret shows nothing of its SID: Twilio's own acceptance of both is the proof.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kit::{Api, Basic, Dead, Manner, Termed, address, fitting, life, pages, rfc2822};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef, quoted},
    ports::{Ambiguity, Attributes, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Traits, Wanted},
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The API keys of a Twilio account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The account's SID: `AC…`.
    pub account: String,
    /// The SID of the main API key that keyroll itself calls with; without it the account's SID, and `secret` is the account's auth token.
    pub key: Option<String>,
    /// Where that key's secret or the auth token stands.
    pub secret: SecretRef,
    /// A GET that every key of this account may make, to try keys on; for restricted keys one that their policy allows.
    #[serde(default = "services")]
    pub probe: String,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
}

fn services() -> String {
    "https://verify.twilio.com/v2/Services".into()
}

fn official() -> String {
    "https://iam.twilio.com/v1".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "twilio",
        about: "API keys of a Twilio account",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Twilio::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["a main API key, or the account's auth token: standard and restricted keys may not manage keys"],
        unconfirmed: &[
            "that 401 with code 20003 is said of a deleted key alone: Twilio says it of a closed account too, and of a call that needs a main key",
            "how long a deleted key works (1 minute is assumed)",
            "that a main key's policy is null, as a standard one's: a main key is followed by a standard one, for none other can be made",
        ],
        source: "https://www.twilio.com/docs/iam/api-keys/key-resource-v1",
        sample: include_str!("../../../playbooks/twilio.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "Twilio",
    wants: "the secret of a main API key, or the account's auth token",
    needs: "standard and restricted keys may not manage keys",
    headers: &[],
};

/// `{"code":20003,"message":"Authenticate","status":401,…}`.
const DEAD: &[Dead] = &[Dead::saying(401, "/code", "20003")];

/// The most characters of a name.
const LONGEST: usize = 64;

/// The keys of one account.
pub struct Twilio {
    api: Api,
    account: String,
    probe: String,
}

#[derive(Deserialize)]
struct Page {
    keys: Vec<Named>,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    /// Null on the last page; where it is missing, nobody knows.
    #[serde(deserialize_with = "Option::deserialize")]
    next_page_url: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    sid: String,
    friendly_name: Option<String>,
    #[serde(default)]
    date_created: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(deserialize_with = "Option::deserialize")]
    policy: Option<Value>,
}

#[derive(Deserialize)]
struct Created {
    sid: String,
    secret: String,
    #[serde(default)]
    date_created: Option<String>,
}

impl Twilio {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address or a SID is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let sid = |text: &str, begins| text.len() == 34 && text.starts_with(begins) && text.chars().all(|c| c.is_ascii_alphanumeric());
        if !sid(&config.account, "AC") {
            return Err(Fault::new("`account` is no account's SID").instead("AC and 32 digits, as Twilio's console shows it"));
        }
        if config.key.as_ref().is_some_and(|key| !sid(key, "SK")) {
            return Err(Fault::new("`key` is no key's SID").instead("SK and 32 digits; its secret stands at `secret`"));
        }
        let login = Basic { user: config.key.unwrap_or_else(|| config.account.clone()), password: config.secret };
        let api = Api::new(ctx, &config.base_url, login, MANNER)?;
        Ok(Self { api, account: config.account, probe: address("probe", &config.probe)? })
    }

    /// The next page stands behind an address; only its query is taken from it, for the login goes nowhere else.
    async fn keys(&self) -> Got<Vec<Named>> {
        let page = |next: Option<String>| async move {
            let query = next.unwrap_or_else(|| format!("AccountSid={}&PageSize=1000", self.account));
            let reply = self.api.ask(Method::GET, &format!("/Keys?{query}"), None).await?;
            let Page { keys, meta } = reply.json()?;
            let query = |next: String| {
                let query = url::Url::parse(&next).ok().and_then(|next| next.query().map(str::to_owned));
                query.ok_or_else(|| reply.unlike("a next page that is no address"))
            };
            Ok((keys, meta.next_page_url.map(query).transpose()?))
        };
        pages("GET Keys of Twilio", page).await
    }

    /// A call with a key; none where the id is not stored beside it.
    async fn tried(&self, credential: &Credential) -> Option<Got<Reply>> {
        let id = credential.id.as_ref()?;
        Some(wire::send(self.api.work(Method::GET, &self.probe).basic_auth(id, Some(credential.secret.reveal()))).await)
    }
}

/// The policy of a restricted key; none: a standard key.
#[derive(Serialize, Deserialize)]
pub struct Terms(Option<Value>);

impl Terms {
    /// A policy is `{"allow":["/twilio/messaging/messages/read",…]}`; whatever else stands in one is compared as it is.
    fn bounds(self) -> Bounds {
        let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
        let allowed = self.0.map(|policy| {
            let mut allowed = BTreeSet::new();
            match policy {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        match (name.as_str(), value) {
                            ("allow", Value::Array(items)) => allowed.extend(items.iter().map(text)),
                            (name, other) => drop(allowed.insert(format!("{name}: {other}"))),
                        }
                    }
                }
                other => drop(allowed.insert(other.to_string())),
            }
            allowed
        });
        Bounds::from([("policy".into(), Bound::Only(allowed))])
    }
}

#[async_trait]
impl Provider for Twilio {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::ZERO,
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("twilio account {} at {}", self.account, self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, &format!("/Keys?AccountSid={}&PageSize=1", self.account), None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Named| Listed {
            id: KeyId::new(key.sid),
            name: key.friendly_name,
            created_at: key.date_created.as_deref().and_then(rfc2822),
            expires_at: None,
            last_used: None,
            enabled: true,
        };
        Ok(self.keys().await?.into_iter().map(listed).collect())
    }

    /// A call with this SID and this secret that Twilio takes.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let Some(key) = listed.iter().find(|key| Some(&key.id) == credential.id.as_ref()) else { return Ok(None) };
        let taken = self.tried(credential).await.transpose()?.is_some_and(|reply| reply.status.is_success());
        Ok(taken.then(|| (key.id.clone(), format!("Twilio took this secret for key {}", key.id))))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let name = fitting("Twilio", wanted.name, LONGEST)?;
        let Terms(policy) = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        let policy = policy.map(|policy| policy.to_string());
        let mut fields = vec![("AccountSid", self.account.as_str()), ("FriendlyName", name)];
        if let Some(policy) = &policy {
            fields.extend([("KeyType", "restricted"), ("Policy", policy)]);
        }
        let created: Created = self.api.form("/Keys", &fields).await?.json()?;
        Ok(Minted {
            id: KeyId::new(created.sid),
            secret: Secret::new(created.secret),
            created_at: created.date_created.as_deref().and_then(rfc2822),
            expires_at: None,
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        self.api.emptied(&format!("/Keys/{}", wire::segment(tombstone.key().as_str())?)).await
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let login = self.api.login().shell();
        let keys = format!("{}/Keys", self.api.base);
        let one = match key {
            Some(key) => quoted(&format!("{keys}/{key}")),
            None => format!("{}\"$LEAKED_KEY_ID\"", quoted(&format!("{keys}/"))),
        };
        ByHand {
            create: vec![
                format!("answer=$({login} | curl -fsS -H @- -d AccountSid={} -d FriendlyName=by-hand {})", self.account, quoted(&keys)),
                "export NEW_KEY=$(printf %s \"$answer\" | jq -r .secret) NEW_KEY_ID=$(printf %s \"$answer\" | jq -r .sid)".into(),
            ],
            revoke: vec![format!("{login} | curl -fsS -X DELETE -H @- {one}")],
        }
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        match self.tried(credential).await {
            Some(reply) => Ok(life(&reply?, DEAD)),
            None => Err(Failure::refused(Refusal::Invalid, None, "a Twilio secret cannot be tried without its key's SID")
                .hint("store the SID beside it: write: { api_key: id, api_secret: secret }")),
        }
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Termed for Twilio {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        Ok((Terms(self.api.get::<Key>(&format!("/Keys/{}", wire::segment(key.as_str())?)).await?.policy), None))
    }

    fn first(&self) -> Got<Terms> {
        Ok(Terms(None))
    }

    fn bounds(&self, terms: Terms, _: DateTime<Utc>) -> Got<Bounds> {
        Ok(terms.bounds())
    }
}
