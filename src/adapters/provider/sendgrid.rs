//! Twilio SendGrid: the API keys of one account or subuser. <https://www.twilio.com/docs/sendgrid/api-reference/api-keys>
//!
//! A value is `SG.`, the key's id, a dot and the secret: the id stands in it. Scopes are all that a key has, and they are taken over. A create
//! without scopes makes a key that may do everything, so none is sent without.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::kit::{Api, Dead, Manner, Rest, Sent, Termed, by_hand, life, says};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef},
    ports::{Ambiguity, Attributes, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Traits, Wanted},
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The API keys of a SendGrid account or subuser.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the key stands that makes and deletes keys. It must have every scope that it gives.
    pub admin_key: SecretRef,
    /// What a key may do that is made like none other; a key that is rotated passes its own scopes on.
    #[serde(default = "mail_alone")]
    pub scopes: BTreeSet<String>,
    /// The API's address, with its version; for subusers in the EU `https://api.eu.sendgrid.com/v3`.
    #[serde(default = "official")]
    pub base_url: String,
}

fn mail_alone() -> BTreeSet<String> {
    BTreeSet::from(["mail.send".into()])
}

fn official() -> String {
    "https://api.sendgrid.com/v3".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "sendgrid",
        about: "API keys of a Twilio SendGrid account or subuser",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(SendGrid::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &[
            "api_keys.read, api_keys.create and api_keys.delete",
            "every scope of the key that is rotated: a key cannot give what it has not",
        ],
        unconfirmed: &[
            "that 403 \"access forbidden\" is said to known keys alone: a key that may only send mail is told so, and counts as working",
            "that SendGrid itself adds the scopes 2fa_required and sender_verification_*: they are not asked for",
            "how long a deleted key works (1 minute is assumed; SendGrid speaks of a small delay)",
            "how long a name may be (SendGrid does not say)",
        ],
        source: "https://www.twilio.com/docs/sendgrid/api-reference/api-keys",
        sample: include_str!("../../../playbooks/sendgrid.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "SendGrid",
    wants: "an API key of the account (SG.…) that may manage keys",
    needs: "it needs api_keys.read, api_keys.create, api_keys.delete and the scopes that it gives; or the account has its 100 keys",
    headers: &[],
};

/// The most keys an account may have.
const QUOTA: usize = 100;

/// 401 is said of a spent plan too; this text is said of no other than a key that is none.
const DEAD: &[Dead] = &[Dead::saying(401, "/errors/0/message", "invalid, expired, or revoked")];

/// The keys of one account.
pub struct SendGrid {
    api: Api,
    scopes: BTreeSet<String>,
}

#[derive(Deserialize)]
struct All {
    result: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    api_key_id: String,
    name: String,
}

#[derive(Deserialize)]
struct Key {
    scopes: BTreeSet<String>,
}

/// The reference shows one key in a list, and its schema shows it alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum One {
    Alone(Key),
    Within { result: [Key; 1] },
}

#[derive(Deserialize)]
struct Created {
    api_key: String,
    api_key_id: String,
}

impl SendGrid {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        if config.scopes.is_empty() {
            return Err(Fault::new("`scopes` is empty, and a key without scopes may do everything").instead("scopes: [mail.send]"));
        }
        let api = Api::new(ctx, &config.base_url, Sent::bearer(config.admin_key), MANNER)?;
        Ok(Self { api, scopes: config.scopes })
    }
}

/// What SendGrid adds to a key by itself, after the account's settings.
fn given(scope: &str) -> bool {
    scope.starts_with("2fa_") || scope.starts_with("sender_verification_")
}

/// The scopes that a key is made with.
#[derive(Serialize, Deserialize)]
pub struct Terms(BTreeSet<String>);

impl Terms {
    fn bounds(self) -> Bounds {
        Bounds::from([("scopes".into(), Bound::Only(Some(self.0)))])
    }
}

#[async_trait]
impl Provider for SendGrid {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::ZERO,
            quota: Some(QUOTA),
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("sendgrid account of {} at {}", self.api.login().stands(), self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let listed = self.list().await.map_err(|failure| vec![failure.into()])?;
        if listed.len() < QUOTA {
            return Ok(());
        }
        let what = format!("the SendGrid account has {} API keys, and {QUOTA} are allowed: there is no room for a new one", listed.len());
        Err(vec![Problem::new(what, "delete one that nobody uses: https://app.sendgrid.com/settings/api_keys")])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let all: All = self.api.get(&format!("/api_keys?limit={QUOTA}")).await?;
        let listed = |key: Named| Listed {
            id: KeyId::new(key.api_key_id),
            name: Some(key.name),
            created_at: None,
            expires_at: None,
            last_used: None,
            enabled: true,
        };
        Ok(all.result.into_iter().map(listed).collect())
    }

    /// The id stands in the value.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let mut parts = credential.secret.reveal().split('.');
        let (Some("SG"), Some(id), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return Ok(None) };
        let key = listed.iter().find(|key| key.id.as_str() == id);
        Ok(key.map(|key| (key.id.clone(), format!("its id {} stands in this value", key.id))))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let Terms(scopes) = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        if scopes.is_empty() {
            let what = "the old key has no scopes that can be given, and SendGrid would make one without scopes that may do everything";
            return Err(Failure::refused(Refusal::Invalid, None, what).hint("give the old key a scope, in SendGrid's settings"));
        }
        let body = json!({ "name": wanted.name, "scopes": scopes });
        let created: Created = self.api.ask(Method::POST, "/api_keys", Some(body)).await?.json()?;
        Ok(Minted { id: KeyId::new(created.api_key_id), secret: Secret::new(created.api_key), created_at: None, expires_at: None })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        self.api.emptied(&format!("/api_keys/{id}")).await
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let rest = Rest {
            create: "/api_keys",
            body: json!({ "name": "by-hand", "scopes": self.scopes }),
            value: ".api_key",
            id: ".api_key_id",
            method: Method::DELETE,
            delete: "/api_keys/{id}",
            with: None,
        };
        by_hand(&self.api, &rest, key)
    }

    /// `GET /scopes`: what this key may do. A key that may not even ask that is known all the same.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.api.work(Method::GET, &format!("{}/scopes", self.api.base)).bearer_auth(credential.secret.reveal());
        let reply = wire::send(request).await?;
        let known = says(&reply, 403, "/errors/0/message", "access forbidden");
        Ok(if known { Life::Alive } else { life(&reply, DEAD) })
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Termed for SendGrid {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        let key = match self.api.get(&format!("/api_keys/{}", wire::segment(key.as_str())?)).await? {
            One::Alone(key) | One::Within { result: [key] } => key,
        };
        Ok((Terms(key.scopes.into_iter().filter(|scope| !given(scope)).collect()), None))
    }

    fn first(&self) -> Got<Terms> {
        Ok(Terms(self.scopes.clone()))
    }

    fn bounds(&self, terms: Terms, _: DateTime<Utc>) -> Got<Bounds> {
        Ok(terms.bounds())
    }
}
