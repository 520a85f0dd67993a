//! xAI: the API keys of a team, made with a management key. <https://docs.x.ai/developers/rest-api-reference/management/auth>
//!
//! Management and work have two addresses. A key's rights (`aclStrings`), its rates and how long it lives are taken over. `POST …/rotate` is not
//! used: it ends the old value at a time of its own, whoever still uses it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    kit::{self, Api, Dead, Lifetime, Manner, Rest, Sent, Termed, address, behind, by_hand, only, pages, rfc3339},
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
        Ambiguity, Attributes, ByHand, Credential, Enforces, Failure, Got, Life, Listed, Minted, Problem, Prompt, Provider, Question,
        Spoken, Switch, Traits, Wanted,
    },
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The API keys of an xAI team.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The team's id (console.x.ai, settings of the team).
    pub team: String,
    /// Where the management key stands.
    pub management_key: SecretRef,
    /// What the very first key may, where there is none to be like: `[api-key:model:grok-4, api-key:endpoint:chat]`.
    #[serde(default)]
    pub acls: Vec<String>,
    /// The management's address.
    #[serde(default = "management")]
    pub base_url: String,
    /// The address that services call, with its version.
    #[serde(default = "work")]
    pub work_url: String,
}

fn management() -> String {
    "https://management-api.x.ai".into()
}

fn work() -> String {
    "https://api.x.ai/v1".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "xai",
        about: "API keys of an xAI team",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Xai::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["a management key of the team, with Management Keys Read + Write, of an admin: a member's shows only that member's keys"],
        unconfirmed: &[
            "what a deleted key is answered: 400 (or 401) with `Incorrect API key` is taken for death, as for a key that never was",
            "whether `GET /v1/api-key` answers a key that is switched off: if it does, its `api_key_disabled` is believed",
            "how long a deleted key works (1 minute is assumed)",
            "what `GET …/propagation` answers: true or false for each place is assumed, and a false keeps the key from use; where there is none, the key's own call decides",
            "how much `redactedApiKey` shows: where it is too little, `GET /v1/api-key` with the key tells its id",
        ],
        source: "https://docs.x.ai/developers/rest-api-reference/management/auth",
        sample: include_str!("../../../playbooks/xai.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "xAI",
    wants: "a management key (console.x.ai, settings, management keys), not an API key",
    needs: "it needs Management Keys Read + Write, for this very team",
    headers: &[],
};

/// The keys of one team.
pub struct Xai {
    api: Api,
    team: String,
    acls: Vec<String>,
    work: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    api_keys: Vec<Key>,
    #[serde(default)]
    pagination_token: Option<String>,
}

/// The reference shows `aclStrings` and once `acl_strings`, `disabled` as a boolean and once as its text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    api_key_id: String,
    redacted_api_key: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    create_time: Option<String>,
    #[serde(default)]
    expire_time: Option<String>,
    disabled: Flag,
    #[serde(alias = "acl_strings")]
    acl_strings: Vec<String>,
    #[serde(default)]
    qps: Option<i64>,
    #[serde(default)]
    qpm: Option<i64>,
    #[serde(default)]
    tpm: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Is(bool),
    Says(Said),
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Said {
    True,
    False,
}

impl Flag {
    fn set(&self) -> bool {
        matches!(self, Self::Is(true) | Self::Says(Said::True))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    api_key: String,
    api_key_id: String,
    #[serde(default)]
    create_time: Option<String>,
    #[serde(default)]
    expire_time: Option<String>,
}

#[derive(Deserialize)]
struct Switched {
    #[serde(default)]
    disabled: Option<Flag>,
}

/// What a key is told of itself.
#[derive(Deserialize)]
struct Itself {
    api_key_id: String,
    #[serde(default)]
    api_key_blocked: bool,
    #[serde(default)]
    api_key_disabled: bool,
    #[serde(default)]
    team_blocked: bool,
}

/// `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***yz. …"}`, now and then percent-encoded.
const DEAD: &[Dead] = &[
    Dead::saying(400, "/error", "Incorrect API key"),
    Dead::saying(400, "/error", "Incorrect%20API%20key"),
    Dead::saying(401, "/error", "Incorrect API key"),
];

impl Xai {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address is none, or the team's id cannot stand in one.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let api = Api::new(ctx, &config.base_url, Sent::bearer(config.management_key), MANNER)?;
        let team = wire::segment(&config.team).map_err(|_| Fault::new("`team` is no id").instead("the team's id: a UUID"))?;
        Ok(Self { api, team, acls: config.acls, work: address("work_url", &config.work_url)? })
    }

    async fn keys(&self) -> Got<Vec<Key>> {
        let page = |token: Option<String>| async move {
            let token = token.as_deref().map(wire::segment).transpose()?.map(|token| format!("&paginationToken={token}"));
            let page: Page = self.api.get(&format!("/auth/teams/{}/api-keys?pageSize=100{}", self.team, token.unwrap_or_default())).await?;
            Ok((page.api_keys, page.pagination_token.filter(|token| !token.is_empty())))
        };
        pages("GET api-keys of xAI", page).await
    }

    /// xAI shows keys only in their listing.
    async fn one(&self, key: &KeyId) -> Got<Key> {
        let found = self.keys().await?.into_iter().find(|listed| listed.api_key_id == key.as_str());
        found.ok_or_else(|| Failure::refused(Refusal::Gone, None, format!("xAI lists no key {key} in this team")))
    }

    /// `GET …/propagation`: whether a key has reached every place that is named. Where nothing is told of it, the key's own call is all there is.
    async fn everywhere(&self, id: &str) -> bool {
        let Ok(id) = wire::segment(id) else { return true };
        let told: Got<Value> = self.api.get(&format!("/auth/api-keys/{id}/propagation")).await;
        let lacks = |places: &Map<String, Value>| places.values().any(|reached| *reached == Value::Bool(false));
        !told.is_ok_and(|told| told.as_object().is_some_and(|told| lacks(told) || told.values().filter_map(Value::as_object).any(lacks)))
    }

    /// `GET /v1/api-key`: what the key is told of itself; it is free.
    async fn itself(&self, secret: &Secret) -> Got<wire::Reply> {
        wire::send(self.api.work(Method::GET, &format!("{}/api-key", self.work)).bearer_auth(secret.reveal())).await
    }
}

/// What a key is made with, and how long it lives.
#[derive(Serialize, Deserialize)]
pub struct Terms {
    acls: Vec<String>,
    qps: Option<i64>,
    qpm: Option<i64>,
    tpm: Option<String>,
    lives: Lifetime,
}

impl Terms {
    fn of(like: &Key) -> Got<Self> {
        Ok(Self {
            acls: like.acl_strings.clone(),
            qps: like.qps,
            qpm: like.qpm,
            tpm: like.tpm.clone(),
            lives: Lifetime::told(like.create_time.as_deref(), like.expire_time.as_deref())?,
        })
    }

    /// The playbook's requests a minute take the place of the old key's.
    fn limited(self, limits: &Limits) -> Self {
        Self { qpm: limits.requests_per_minute.map(i64::from).or(self.qpm), ..self }
    }

    /// Of such a key that is made then.
    fn bounds(&self, made: DateTime<Utc>) -> Got<Bounds> {
        let tpm = match &self.tpm {
            Some(text) => Some(text.parse().map_err(|_| Failure::unknown("a key of xAI has a `tpm` that is no number"))?),
            None => None,
        };
        #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^52")]
        let most = |rate: Option<i64>| Bound::Most(rate.map(|rate| rate as f64));
        Ok(Bounds::from([
            ("acls".into(), Bound::Only(Some(self.acls.iter().cloned().collect::<BTreeSet<_>>()))),
            ("qps".into(), most(self.qps)),
            ("qpm".into(), most(self.qpm)),
            ("tpm".into(), Bound::Most(tpm)),
            ("expires_at".into(), self.lives.bound(made)),
        ]))
    }
}

#[async_trait]
impl Provider for Xai {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(2 * 60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::ZERO,
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("xai team {} at {}", self.team, self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, &format!("/auth/teams/{}/api-keys?pageSize=1", self.team), None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            id: KeyId::new(key.api_key_id),
            name: key.name,
            created_at: key.create_time.as_deref().and_then(rfc3339),
            expires_at: key.expire_time.as_deref().and_then(rfc3339),
            last_used: None,
            enabled: !key.disabled.set(),
        };
        Ok(self.keys().await?.into_iter().map(listed).collect())
    }

    /// By the redacted value, where only one key has it; else by what xAI tells the key of itself.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.keys().await?;
        let proof = match only(&keys, |key| behind(&key.redacted_api_key, credential.secret.reveal())) {
            Some(key) => Some((key.api_key_id.clone(), format!("of this team's keys only this one is shown as {}", key.redacted_api_key))),
            None => {
                let reply = self.itself(&credential.secret).await?;
                let told = reply.status.is_success().then(|| reply.json::<Itself>()).transpose()?;
                told.map(|told| (told.api_key_id, "xAI tells this value that it is this key".to_owned()))
            }
        };
        Ok(proof.map(|(id, proof)| (KeyId::new(id), proof)).filter(|(id, _)| listed.iter().any(|known| known.id == *id)))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        if terms.acls.is_empty() {
            let what = "an xAI key without `acls` may do nothing, and none was made";
            return Err(
                Failure::refused(Refusal::Invalid, None, what).hint("write `acls` in the playbook: [api-key:model:*, api-key:endpoint:*]")
            );
        }
        let mut body = json!({ "name": wanted.name, "acls": terms.acls, "qps": terms.qps, "qpm": terms.qpm, "tpm": terms.tpm });
        if let Some(end) = terms.lives.end(Utc::now()) {
            body["expireTime"] = end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into();
        }
        let created: Created = self.api.ask(Method::POST, &format!("/auth/teams/{}/api-keys", self.team), Some(body)).await?.json()?;
        Ok(Minted {
            id: KeyId::new(created.api_key_id),
            secret: Secret::new(created.api_key),
            created_at: created.create_time.as_deref().and_then(rfc3339),
            expires_at: created.expire_time.as_deref().and_then(rfc3339),
        })
    }

    /// Its answer is empty: the listing and the probe tell the rest. A page in its place is none.
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        let reply = self.api.ask(Method::DELETE, &format!("/auth/api-keys/{id}"), None).await?;
        if reply.body.is_empty() { Ok(()) } else { reply.json::<Map<String, Value>>().map(drop) }
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: &format!("/auth/teams/{}/api-keys", self.team),
            body: json!({ "name": "by-hand", "acls": ["api-key:model:*", "api-key:endpoint:*"] }),
            value: ".apiKey",
            id: ".apiKeyId",
            method: Method::DELETE,
            delete: "/auth/api-keys/{id}",
            with: None,
        };
        by_hand(&self.api, &rest, key)
    }

    /// A key that is switched off or blocked does not work, whatever the status says; one that has not reached every place works here and not there.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let reply = self.itself(&credential.secret).await?;
        match kit::life(&reply, DEAD) {
            Life::Alive => {
                let told: Itself = reply.json()?;
                let works = !(told.api_key_disabled || told.api_key_blocked || told.team_blocked);
                Ok(if works && self.everywhere(&told.api_key_id).await { Life::Alive } else { Life::Unclear })
            }
            other => Ok(other),
        }
    }

    fn switch(&self) -> Option<&dyn Switch> {
        Some(self)
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }

    fn enforces(&self) -> Enforces {
        Enforces { rate: true, ..Enforces::default() }
    }
}

#[async_trait]
impl Switch for Xai {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let change: Value = json!({ "apiKey": { "disabled": !on }, "fieldMask": "disabled" });
        let reply = self.api.ask(Method::PUT, &format!("/auth/api-keys/{}", wire::segment(key.as_str())?), Some(change)).await?;
        let off = match reply.json::<Switched>()?.disabled {
            Some(told) => told.set(),
            None => self.one(key).await.map_err(after_effect)?.disabled.set(),
        };
        kit::switched(off != on, "PUT api-keys of xAI")
    }
}

#[async_trait]
impl Prompt for Xai {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let request = self.api.work(Method::POST, &format!("{}/chat/completions", self.work)).bearer_auth(credential.secret.reveal());
        speech::openai(request, "max_completion_tokens", question, DEAD).await
    }
}

#[async_trait]
impl Termed for Xai {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        let key = self.one(key).await?;
        Ok((Terms::of(&key)?, key.create_time.as_deref().and_then(rfc3339)))
    }

    fn first(&self) -> Got<Terms> {
        Ok(Terms { acls: self.acls.clone(), qps: None, qpm: None, tpm: None, lives: Lifetime::ENDLESS })
    }

    fn limited(&self, terms: Terms, limits: &Limits) -> Terms {
        terms.limited(limits)
    }

    fn bounds(&self, terms: Terms, made: DateTime<Utc>) -> Got<Bounds> {
        terms.bounds(made)
    }
}
