//! Deepgram: the API keys of one project. <https://developers.deepgram.com/reference/manage/keys/list>
//!
//! Scopes, tags and how long a key lives are taken over. Nothing in the listing shows a value, but a value is told its own id, which is the proof.
//! A key's own page has one shape in the reference and another in the SDKs, so the listing, on which they agree, is asked in its place.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::{Method, header::AUTHORIZATION};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kit::{self, Api, Dead, Lifetime, Manner, Rest, Sent, Termed, by_hand, in_header, rfc3339};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef},
    ports::{Ambiguity, Attributes, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Traits, Wanted},
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The API keys of a Deepgram project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The project's id.
    pub project: String,
    /// Where the API key stands that makes and deletes keys: an owner's of the project sees and deletes all of them.
    pub admin_key: SecretRef,
    /// What a key may do that is made like none other; a key that is rotated passes its own scopes on.
    #[serde(default = "speech_alone")]
    pub scopes: BTreeSet<String>,
    /// The API's address, with its version.
    #[serde(default = "official")]
    pub base_url: String,
}

fn speech_alone() -> BTreeSet<String> {
    BTreeSet::from(["usage:write".into()])
}

fn official() -> String {
    "https://api.deepgram.com/v1".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "deepgram",
        about: "API keys of a Deepgram project",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Deepgram::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &[
            "an API key of an owner of the project (not the key that is rotated): an admin's and a member's delete only keys that their account made",
            "in scopes: keys:read and keys:write, and members:read, admins:read and owners:read to see the keys of all accounts",
        ],
        unconfirmed: &[
            "that the listing is complete: without members:read, admins:read and owners:read Deepgram lists only the keys of the credential's own account, and does not say so; a key that another account made is then not found, and one that is not listed is taken for gone",
            "that the listing has no pages, and shows expired keys, too",
            "that GET /auth/token tells a value its `api_key_id`, whatever its scopes: no reference says so, but the tests of Deepgram's JavaScript SDK do; where it does not, a value is nobody's",
            "that 401 with INVALID_AUTH is said there of no living key: elsewhere it has been reported for bad parameters, and a lack of permissions has a code of its own",
            "that a key without `expiration_date` in the listing never ends",
            "that Deepgram gives a new key the scopes that are asked for, and no more; and whether the credential must have them itself (an owner's has all)",
            "how long a deleted key works (1 minute is assumed)",
        ],
        source: "https://developers.deepgram.com/reference/manage/keys/create",
        sample: include_str!("../../../playbooks/deepgram.yaml"),
    },
};

/// What is answered 401: <https://developers.deepgram.com/docs/errors>.
const MANNER: Manner = Manner {
    who: "Deepgram",
    wants: "an API key of this very project that has keys:read and keys:write (missing scopes are answered 401, too)",
    needs: "an owner's has all that is needed",
    headers: &[],
};

/// `{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"uuid"}`.
const DEAD: &[Dead] = &[Dead::saying(401, "/err_code", "INVALID_AUTH")];

/// How Deepgram's keys are sent: <https://developers.deepgram.com/docs/authenticating>.
const SCHEME: &str = "Token ";

/// The keys of one project.
pub struct Deepgram {
    api: Api,
    /// `/projects/{project}/keys`.
    keys: String,
    scopes: BTreeSet<String>,
}

#[derive(Deserialize)]
struct All {
    api_keys: Vec<Item>,
}

/// Beside the member whose key it is.
#[derive(Deserialize)]
struct Item {
    api_key: Key,
}

/// No tags and no end are left out: <https://developers.deepgram.com/api-reference/keys/>.
#[derive(Deserialize)]
struct Key {
    api_key_id: String,
    comment: String,
    scopes: BTreeSet<String>,
    #[serde(default)]
    tags: BTreeSet<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    expiration_date: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    api_key_id: String,
    key: String,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    expiration_date: Option<String>,
}

/// What a value is told of itself.
#[derive(Deserialize)]
struct Itself {
    #[serde(default)]
    api_key_id: Option<String>,
}

impl Deepgram {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the address is none, the project's id cannot stand in one, or there are no scopes.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        if config.scopes.is_empty() {
            return Err(Fault::new("`scopes` is empty, and what a key without scopes may do is not said").instead("scopes: [usage:write]"));
        }
        let api = Api::new(ctx, &config.base_url, Sent::scheme(SCHEME, config.admin_key), MANNER)?;
        let project =
            wire::segment(&config.project).map_err(|_| Fault::new("`project` is no id").instead("as in the console's settings"))?;
        Ok(Self { api, keys: format!("/projects/{project}/keys"), scopes: config.scopes })
    }

    async fn all(&self) -> Got<Vec<Key>> {
        let all: All = self.api.get(&self.keys).await?;
        Ok(all.api_keys.into_iter().map(|item| item.api_key).collect())
    }

    async fn one(&self, key: &KeyId) -> Got<Key> {
        let found = self.all().await?.into_iter().find(|listed| listed.api_key_id == key.as_str());
        found.ok_or_else(|| Failure::refused(Refusal::Gone, None, format!("Deepgram lists no key {key} of this project")))
    }

    /// `GET /auth/token`: what a value is told of itself. It takes no parameters and needs no scope.
    async fn itself(&self, secret: &Secret) -> Got<Reply> {
        let token = in_header(&Secret::new(format!("{SCHEME}{}", secret.reveal())))?;
        let url = format!("{}/auth/token", self.api.base);
        wire::send(self.api.work(Method::GET, &url).header(AUTHORIZATION, token)).await
    }
}

/// What a key is made with, and how long it lives.
#[derive(Serialize, Deserialize)]
pub struct Terms {
    scopes: BTreeSet<String>,
    tags: BTreeSet<String>,
    lives: Lifetime,
}

impl Terms {
    fn of(like: Key) -> Got<Self> {
        let lives = Lifetime::told(like.created.as_deref(), like.expiration_date.as_deref())?;
        Ok(Self { scopes: like.scopes, tags: like.tags, lives })
    }

    fn body(&self, name: &str) -> Value {
        let mut body = json!({ "comment": name, "scopes": self.scopes });
        if !self.tags.is_empty() {
            body["tags"] = json!(self.tags);
        }
        if let Some(end) = self.lives.end(Utc::now()) {
            body["expiration_date"] = end.to_rfc3339_opts(SecondsFormat::Secs, true).into();
        }
        body
    }

    /// Tags only sort the usage: they neither widen a key nor narrow it.
    fn bounds(self, made: DateTime<Utc>) -> Bounds {
        let tags = self.tags.into_iter().collect::<Vec<_>>().join(", ");
        Bounds::from([
            ("scopes".into(), Bound::Only(Some(self.scopes))),
            ("tags".into(), Bound::Is(tags)),
            ("expiration_date".into(), self.lives.bound(made)),
        ])
    }
}

#[async_trait]
impl Provider for Deepgram {
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
        format!("deepgram {} at {}", self.keys.trim_start_matches('/').trim_end_matches("/keys"), self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.all().await.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            id: KeyId::new(key.api_key_id),
            name: Some(key.comment),
            created_at: key.created.as_deref().and_then(rfc3339),
            expires_at: key.expiration_date.as_deref().and_then(rfc3339),
            last_used: None,
            enabled: true,
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// Deepgram tells a value which key it is.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let reply = self.itself(&credential.secret).await?;
        if !reply.status.is_success() {
            return Ok(None);
        }
        let told = reply.json::<Itself>()?.api_key_id.map(KeyId::new);
        let known = told.filter(|id| listed.iter().any(|known| known.id == *id));
        Ok(known.map(|id| (id, "Deepgram tells this value that it is this key".to_owned())))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        if terms.scopes.is_empty() {
            let what = "the old key has no scopes, and what Deepgram would let one without scopes do is not said";
            return Err(Failure::refused(Refusal::Invalid, None, what).hint("make a key with scopes in the console, and rotate that one"));
        }
        let created: Created = self.api.ask(Method::POST, &self.keys, Some(terms.body(wanted.name))).await?.json()?;
        Ok(Minted {
            id: KeyId::new(created.api_key_id),
            secret: Secret::new(created.key),
            created_at: created.created.as_deref().and_then(rfc3339),
            expires_at: created.expiration_date.as_deref().and_then(rfc3339),
        })
    }

    /// Its answer is a message for people: the listing and the probe tell the rest.
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        self.api.ask(Method::DELETE, &format!("{}/{id}", self.keys), None).await.map(drop)
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: &self.keys,
            body: json!({ "comment": "by-hand", "scopes": self.scopes }),
            value: ".key",
            id: ".api_key_id",
            method: Method::DELETE,
            delete: &format!("{}/{{id}}", self.keys),
            with: None,
        };
        by_hand(&self.api, &rest, key)
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        Ok(kit::life(&self.itself(&credential.secret).await?, DEAD))
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Termed for Deepgram {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        let key = self.one(key).await?;
        let made = key.created.as_deref().and_then(rfc3339);
        Ok((Terms::of(key)?, made))
    }

    fn first(&self) -> Got<Terms> {
        Ok(Terms { scopes: self.scopes.clone(), tags: BTreeSet::new(), lives: Lifetime::ENDLESS })
    }

    fn bounds(&self, terms: Terms, made: DateTime<Utc>) -> Got<Bounds> {
        Ok(terms.bounds(made))
    }
}
