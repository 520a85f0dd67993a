//! Cloudflare: the API tokens of a user, or those that an account owns. <https://developers.cloudflare.com/api/resources/user/subresources/tokens/>
//!
//! What a token may do stands in its policies and its condition. They are taken over as they are, and so is how long it lives. A token's value is
//! told its own id, which is the proof. Changing one writes it whole: what is read is written back, with another status.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::kit::{self, Api, Dead, Lifetime, Manner, Rest, Sent, Termed, by_hand, pages, rfc3339, said, sorted};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef},
    ports::{
        Ambiguity, Attributes, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Switch, Traits, Usage, Wanted,
    },
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The API tokens of a Cloudflare user or account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the token stands that makes and deletes tokens.
    pub admin_token: SecretRef,
    /// The id of the account that owns the tokens; without it they are those of the user whose `admin_token` is.
    pub account: Option<String>,
    /// What the very first token may, where there is none to be like: Cloudflare's own policies.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
}

/// What is allowed or denied on which resources.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// `allow` or `deny`.
    pub effect: String,
    /// The permission groups, each with its `id`.
    pub permission_groups: Vec<Group>,
    /// The resources, as Cloudflare names them.
    pub resources: Map<String, Value>,
}

/// A permission group.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its attributes, if it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Map<String, Value>>,
}

fn official() -> String {
    "https://api.cloudflare.com/client/v4".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "cloudflare",
        about: "API tokens of a Cloudflare user or account",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Cloudflare::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &[
            "a token of the user with User, API Tokens, Edit; for an account's tokens one with Account API Tokens, Edit: it may give any right that its owner has",
        ],
        unconfirmed: &[
            "that 401 with code 1000 is said of no living token, not even of one that is called from an address that its condition forbids",
            "that the verify call answers for a token that is switched off, with its status: if it does, that is believed",
            "that a token without `condition` in the answer has none",
            "how long a deleted token works (1 minute is assumed), and how late `last_used_on` is (1 hour is assumed)",
        ],
        source: "https://developers.cloudflare.com/api/resources/user/subresources/tokens/",
        sample: include_str!("../../../playbooks/cloudflare.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "Cloudflare",
    wants: "an API token that may edit API tokens, of the user or of the account",
    needs: "User, API Tokens, Edit for a user's tokens; Account API Tokens, Edit for an account's",
    headers: &[],
};

/// `{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}`: there is no such token.
const DEAD: &[Dead] = &[Dead::saying(401, "/errors/0/code", "1000")];

/// The most tokens of a page.
const PAGE: usize = 50;

/// The tokens of one user or account.
pub struct Cloudflare {
    api: Api,
    /// `/user/tokens` or `/accounts/{id}/tokens`.
    tokens: String,
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
struct Page {
    result: Vec<Token>,
    result_info: Count,
}

#[derive(Deserialize)]
struct Count {
    total_count: usize,
}

#[derive(Deserialize)]
struct One<T> {
    result: T,
}

#[derive(Deserialize)]
struct Token {
    id: String,
    name: String,
    status: String,
    policies: Vec<Policy>,
    #[serde(default)]
    condition: Option<Value>,
    #[serde(default)]
    issued_on: Option<String>,
    #[serde(default)]
    not_before: Option<String>,
    #[serde(default)]
    expires_on: Option<String>,
    /// None: nothing was said of it.
    #[serde(default, deserialize_with = "said")]
    last_used_on: Option<Option<String>>,
}

#[derive(Deserialize)]
struct Created {
    id: String,
    value: String,
    #[serde(default)]
    issued_on: Option<String>,
    #[serde(default)]
    expires_on: Option<String>,
}

/// What a token is told of itself.
#[derive(Deserialize)]
struct Itself {
    id: String,
    status: String,
}

/// The status of a token that works.
const ACTIVE: &str = "active";

impl Cloudflare {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the address is none, or the account's id cannot stand in one.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let api = Api::new(ctx, &config.base_url, Sent::bearer(config.admin_token), MANNER)?;
        let tokens = match &config.account {
            Some(id) => {
                let id =
                    wire::segment(id).map_err(|_| Fault::new("`account` is no id").instead("the account's id: 32 letters and digits"))?;
                format!("/accounts/{id}/tokens")
            }
            None => "/user/tokens".into(),
        };
        Ok(Self { api, tokens, policies: config.policies })
    }

    /// Pages are counted from 1, until as many came as there are.
    async fn all(&self) -> Got<Vec<Token>> {
        let page = |cursor: Option<String>| async move {
            let (number, before) = cursor.as_deref().and_then(|cursor| cursor.split_once(' ')).unwrap_or(("1", "0"));
            let (number, before): (usize, usize) = (number.parse().unwrap_or(1), before.parse().unwrap_or(0));
            let page: Page = self.api.get(&format!("{}?per_page={PAGE}&page={number}", self.tokens)).await?;
            let seen = before + page.result.len();
            let more = seen < page.result_info.total_count;
            if more && page.result.is_empty() {
                return Err(Failure::unknown("GET tokens of Cloudflare: fewer than it counts"));
            }
            Ok((page.result, more.then(|| format!("{} {seen}", number + 1))))
        };
        pages("GET tokens of Cloudflare", page).await
    }

    async fn one(&self, key: &KeyId) -> Got<Token> {
        self.result(&format!("{}/{}", self.tokens, wire::segment(key.as_str())?)).await
    }

    async fn result<T: DeserializeOwned>(&self, path: &str) -> Got<T> {
        Ok(self.api.get::<One<T>>(path).await?.result)
    }

    /// `GET …/tokens/verify`: what the value is told of itself.
    async fn itself(&self, secret: &Secret) -> Got<Reply> {
        let url = format!("{}{}/verify", self.api.base, self.tokens);
        wire::send(self.api.work(Method::GET, &url).bearer_auth(secret.reveal())).await
    }
}

/// What a token is made with, and how long it lives.
#[derive(Serialize, Deserialize)]
pub struct Terms {
    policies: Vec<Policy>,
    condition: Option<Value>,
    not_before: Option<String>,
    lives: Lifetime,
}

impl Terms {
    fn of(like: &Token) -> Got<Self> {
        Ok(Self {
            policies: like.policies.clone(),
            condition: like.condition.clone(),
            not_before: like.not_before.clone(),
            lives: Lifetime::told(like.issued_on.as_deref(), like.expires_on.as_deref())?,
        })
    }

    fn body(&self, name: &str, end: Option<DateTime<Utc>>) -> Value {
        let mut body = json!({ "name": name, "policies": self.policies });
        let end = end.map(|end| end.to_rfc3339_opts(SecondsFormat::Secs, true).into());
        for (field, value) in
            [("condition", self.condition.clone()), ("not_before", self.not_before.clone().map(Value::from)), ("expires_on", end)]
        {
            if let Some(value) = value {
                body[field] = value;
            }
        }
        body
    }

    /// Each policy that allows, with all that is denied: where a denial is missing, none of them is the same. A condition narrows, and any other one
    /// cannot be compared.
    fn bounds(&self, made: DateTime<Utc>) -> Got<Bounds> {
        let text = |policy: &Policy| match serde_json::to_value(policy) {
            Ok(policy) => Ok(sorted(&policy).to_string()),
            Err(_) => Err(Failure::unknown("a token of Cloudflare has a policy that cannot be read")),
        };
        let (allowed, denied): (Vec<_>, Vec<_>) = self.policies.iter().partition(|policy| policy.effect == "allow");
        let denied = denied.into_iter().map(text).collect::<Got<BTreeSet<_>>>()?;
        let denied = if denied.is_empty() { String::new() } else { format!(" but not {denied:?}") };
        let allowed = allowed.into_iter().map(|policy| Ok(text(policy)? + &denied)).collect::<Got<BTreeSet<_>>>()?;
        let condition = self.condition.as_ref().map(|condition| BTreeSet::from([sorted(condition).to_string()]));
        Ok(Bounds::from([
            ("policies".into(), Bound::Only(Some(allowed))),
            ("condition".into(), Bound::Only(condition)),
            ("expires_on".into(), self.lives.bound(made)),
        ]))
    }
}

#[async_trait]
impl Provider for Cloudflare {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::from_secs(60 * 60),
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("cloudflare {} at {}", self.tokens.trim_start_matches('/'), self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, &format!("{}?per_page={PAGE}&page=1", self.tokens), None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |token: Token| Listed {
            id: KeyId::new(token.id),
            created_at: token.issued_on.as_deref().and_then(rfc3339),
            expires_at: token.expires_on.as_deref().and_then(rfc3339),
            last_used: token.last_used_on.flatten().as_deref().and_then(rfc3339),
            enabled: token.status == ACTIVE,
            name: Some(token.name),
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// Cloudflare tells a value which token it is.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let reply = self.itself(&credential.secret).await?;
        if !reply.status.is_success() {
            return Ok(None);
        }
        let told: One<Itself> = reply.json()?;
        let id = KeyId::new(told.result.id);
        Ok(listed.iter().any(|known| known.id == id).then(|| (id, "Cloudflare tells this value that it is this token".to_owned())))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        if terms.policies.is_empty() {
            let what = "a Cloudflare token needs policies, and none was made";
            return Err(Failure::refused(Refusal::Invalid, None, what).hint("write `policies` in the playbook for the first token"));
        }
        let reply = self.api.ask(Method::POST, &self.tokens, Some(terms.body(wanted.name, terms.lives.end(Utc::now())))).await?;
        let created = reply.json::<One<Created>>()?.result;
        Ok(Minted {
            id: KeyId::new(created.id),
            secret: Secret::new(created.value),
            created_at: created.issued_on.as_deref().and_then(rfc3339),
            expires_at: created.expires_on.as_deref().and_then(rfc3339),
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        let reply = self.api.ask(Method::DELETE, &format!("{}/{id}", self.tokens), None).await?;
        kit::deleted(&reply, "/success", &format!("token {id}"))
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: &self.tokens,
            body: json!({ "name": "by-hand", "policies": self.policies }),
            value: ".result.value",
            id: ".result.id",
            method: Method::DELETE,
            delete: &format!("{}/{{id}}", self.tokens),
            with: None,
        };
        by_hand(&self.api, &rest, key)
    }

    /// A token that is switched off or has expired does not work, whatever the status says.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let reply = self.itself(&credential.secret).await?;
        match kit::life(&reply, DEAD) {
            Life::Alive => {
                let told: One<Itself> = reply.json()?;
                Ok(if told.result.status == ACTIVE { Life::Alive } else { Life::Unclear })
            }
            other => Ok(other),
        }
    }

    fn switch(&self) -> Option<&dyn Switch> {
        Some(self)
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Switch for Cloudflare {
    /// A PUT writes the whole token: what is left out would be gone. An answer that is no word of Cloudflare's is unknown.
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let token = self.one(key).await.map_err(before_effect)?;
        let unread = || before_effect(Failure::unknown("when the token ends by itself cannot be read, and it must be written back"));
        let end = token.expires_on.as_deref().map(|end| rfc3339(end).ok_or_else(unread)).transpose()?;
        let Token { name, policies, condition, not_before, .. } = token;
        let mut body = Terms { policies, condition, not_before, lives: Lifetime::ENDLESS }.body(&name, end);
        body["status"] = if on { ACTIVE } else { "disabled" }.into();
        let reply = self.api.ask(Method::PUT, &format!("{}/{}", self.tokens, wire::segment(key.as_str())?), Some(body)).await?;
        match reply.json::<Value>()?.pointer("/success") {
            Some(Value::Bool(true)) => Ok(()),
            _ => Err(reply.unlike("no word of success")),
        }
    }
}

#[async_trait]
impl Usage for Cloudflare {
    /// `last_used_on`; where Cloudflare leaves it out, that is not "never".
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let unsaid = || Failure::unknown("Cloudflare does not say when the token was last used");
        match self.one(key).await?.last_used_on.ok_or_else(unsaid)? {
            Some(text) => rfc3339(&text).map(Some).ok_or_else(unsaid),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Termed for Cloudflare {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        let token = self.one(key).await?;
        Ok((Terms::of(&token)?, token.issued_on.as_deref().and_then(rfc3339)))
    }

    fn first(&self) -> Got<Terms> {
        Ok(Terms { policies: self.policies.clone(), condition: None, not_before: None, lives: Lifetime::ENDLESS })
    }

    fn bounds(&self, terms: Terms, made: DateTime<Utc>) -> Got<Bounds> {
        terms.bounds(made)
    }
}
