//! Long-term API keys of Amazon Bedrock: credentials of an IAM user that are good for Bedrock alone.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_bedrock.html>,
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceSpecificCredential.html>
//!
//! At most two a user, inactive ones included. They have no names, and nobody tells when one was used: a create whose reply is lost leaves a key that
//! a person must decide about. `ResetServiceSpecificCredential` is never called: it kills the old value at once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_iam::{
    primitives::DateTime as Time,
    types::{ServiceSpecificCredentialMetadata as Shown, StatusType},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    iam_user::{IamUser, MOST_PAGES, QUOTA},
    kit::{self, Dead, address, keep, kept, only},
    speech,
};
use crate::{
    adapters::{
        Ctx,
        aws::{Keys, failure, time},
        kind::{Facts, Kind, Vendor},
        wire::{self, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Block, Fault, Limits, quoted},
    ports::{
        Ambiguity, Attributes, ByHand, Credential, Failure, Got, Kept, Life, Like, Listed, Minted, Problem, Prompt, Provider, Question,
        Spoken, Switch, Traits, Wanted,
    },
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// An IAM user whose Bedrock API keys are rotated.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The IAM user's name, without its path.
    user: String,
    /// The account's number. With it keyroll refuses to work in another account, and users of one name in two accounts are two users.
    #[serde(default)]
    account: Option<String>,
    /// The region where services call Bedrock, and keys are tried: in a wrong one Bedrock may know no key.
    region: String,
    /// The URL for IAM and STS, instead of AWS's own.
    #[serde(default)]
    endpoint: Option<String>,
    /// Where keys are tried, instead of `https://bedrock.REGION.amazonaws.com`.
    #[serde(default)]
    bedrock_url: Option<String>,
    /// Where prompts are sent, instead of `https://bedrock-runtime.REGION.amazonaws.com`.
    #[serde(default)]
    runtime_url: Option<String>,
    /// The access key that keyroll itself uses (default: this machine's credentials).
    #[serde(default)]
    credentials: Option<Keys>,
}

/// The adapter.
pub const VENDOR: Vendor = Vendor {
    kind: Kind { name: "bedrock", about: "Amazon Bedrock API keys of an AWS IAM user", schema: |g| Config::json_schema(g), build },
    facts: Facts {
        needs: &[
            "on the user: iam:ListServiceSpecificCredentials, iam:CreateServiceSpecificCredential, iam:DeleteServiceSpecificCredential, iam:UpdateServiceSpecificCredential",
            "for the user itself: bedrock:CallWithBearerToken and bedrock:ListFoundationModels, which a key is tried with (AmazonBedrockLimitedAccess has both)",
            "for prompts, on the model: bedrock:InvokeModel, and bedrock:InvokeModelWithResponseStream for streamed ones",
        ],
        unconfirmed: &[
            "that a dead key is answered 403 with `Please make sure your API Key is valid`, which clients report of keys that are not valid and of a wrong region; no other 403 means death",
            "that a value is ABSK and the base64 of the alias, a colon and more: where it is not, a value is nobody's, and the journal's own fingerprint is the only proof",
            "how long a deleted key works, and a new one may be refused (1 minute each is assumed)",
            "nobody tells when a key was used: a lost create ends held, and a person looks at the user's keys",
            "that Converse refuses a value that is no key as the listing of models does; prompts ask any model with messages, by its id, inference profile or ARN",
        ],
        source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_bedrock.html",
        sample: include_str!("../../../playbooks/bedrock.yaml"),
    },
};

/// `{"Message":"Authentication failed: Please make sure your API Key is valid."}`.
const DEAD: &[Dead] = &[
    Dead::saying(403, "/Message", "Please make sure your API Key is valid"),
    Dead::saying(403, "/message", "Please make sure your API Key is valid"),
];

/// Whose credentials these are, in IAM's words.
const SERVICE: &str = "bedrock.amazonaws.com";
/// How every long-term key begins.
const BEGINS: &str = "ABSK";

struct Bedrock {
    user: IamUser,
    ctx: Ctx,
    probe: String,
    runtime: String,
}

fn build(block: &Block, ctx: &Ctx) -> Result<Arc<dyn Provider>, Fault> {
    let config: Config = block.read()?;
    if config.region.is_empty() || !config.region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Fault::new("region is no region").instead("as in `eu-central-1`"));
    }
    let own = format!("https://bedrock.{}.amazonaws.com", config.region);
    let probe = format!("{}/foundation-models", address("bedrock_url", config.bedrock_url.as_deref().unwrap_or(&own))?);
    let own = format!("https://bedrock-runtime.{}.amazonaws.com", config.region);
    let runtime = address("runtime_url", config.runtime_url.as_deref().unwrap_or(&own))?;
    let user = IamUser::new((config.user, config.account), (config.credentials, Some(config.region), config.endpoint), ctx)?;
    Ok(Arc::new(Bedrock { user, ctx: ctx.clone(), probe, runtime }))
}

/// The SDK writes 1970 where an answer has no date.
fn told(at: &Time) -> Option<DateTime<Utc>> {
    time(at).filter(|at| at.timestamp() > 0)
}

/// For how many days a key was made; none: for ever.
fn days(key: &Shown) -> Got<Option<i32>> {
    let Some(end) = key.expiration_date() else { return Ok(None) };
    let lives = told(key.create_date()).zip(told(end)).map(|(made, end)| end - made + TimeDelta::hours(12));
    let days = lives.and_then(|lives| i32::try_from(lives.num_days()).ok()).filter(|days| *days > 0);
    days.map(Some).ok_or_else(|| Failure::unknown("the old key ends by itself, and how long it was made for cannot be read"))
}

fn bounds(end: Option<DateTime<Utc>>) -> Bounds {
    Bounds::from([("expires_at".into(), Bound::Until(end.map(|at| at.timestamp())))])
}

/// What stands before the colon in a value: the public part of it, which IAM lists.
fn alias(value: &Secret) -> Option<String> {
    let lenient = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
    let decoded = lenient.decode(value.reveal().strip_prefix(BEGINS)?).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    String::from_utf8(decoded[..colon].to_vec()).ok()
}

impl Bedrock {
    async fn all(&self) -> Got<Vec<Shown>> {
        let (iam, asked) = (self.user.iam().await?, self.user.asked("ListServiceSpecificCredentials"));
        let (mut all, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = iam.list_service_specific_credentials().user_name(&self.user.name).service_name(SERVICE).set_marker(marker);
            let page = page.send().await.map_err(|error| failure(&asked, &error))?;
            let keys = page.service_specific_credentials.ok_or_else(|| Failure::unknown(format!("{asked}: no list")))?;
            // The SDK writes an empty text where an answer has none.
            if keys.iter().any(|key| key.service_specific_credential_id().is_empty()) {
                return Err(Failure::unknown(format!("{asked}: a key without an id")));
            }
            all.extend(keys);
            if !page.is_truncated {
                return Ok(all);
            }
            marker = Some(page.marker.ok_or_else(|| Failure::unknown(format!("{asked}: a page without the next one's marker")))?);
        }
        Err(Failure::unknown(format!("{asked}: the listing has no end")))
    }

    async fn one(&self, key: &KeyId) -> Got<Shown> {
        let found = self.all().await?.into_iter().find(|listed| listed.service_specific_credential_id() == key.as_str());
        found.ok_or_else(|| Failure::refused(Refusal::Gone, None, format!("user {} has no Bedrock API key {key}", self.user.name)))
    }

    /// For how many days a key is made that is like this one.
    async fn days(&self, like: Option<Like<'_>>) -> Got<Option<i32>> {
        match like {
            Some(Like::Key(id)) => days(&self.one(id).await?),
            Some(Like::Gone(days)) => kept(days),
            None => Ok(None),
        }
    }

    /// The problem of a user who has two keys, with the command that makes room.
    fn crowded(&self, listed: &[Listed]) -> Problem {
        let name = &self.user.name;
        let what = format!("IAM user {name} has {} Bedrock API keys, and AWS allows {QUOTA}: there is no room for a new one", listed.len());
        let command =
            |id: &KeyId| format!("aws iam delete-service-specific-credential --user-name {name} --service-specific-credential-id {id}");
        let hint = match listed.iter().find(|key| !key.enabled) {
            Some(key) => format!("{} is inactive; if nothing needs it: {}", key.id, command(&key.id)),
            None => {
                let ids: Vec<_> = listed.iter().map(|key| key.id.to_string()).collect();
                format!("find out who uses {}, and delete the other one", ids.join(" and "))
            }
        };
        Problem::new(what, hint)
    }
}

#[async_trait]
impl Provider for Bedrock {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Unnamed,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::ZERO,
            quota: Some(QUOTA),
        }
    }

    fn principal(&self) -> Option<Identity> {
        Some(Identity::new(self.describe()))
    }

    fn describe(&self) -> String {
        format!("bedrock {}", self.user.place())
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        if let Some(problem) = self.user.elsewhere().await.map_err(|failure| vec![failure.into()])? {
            return Err(vec![problem]);
        }
        let listed = self.list().await.map_err(|failure| vec![self.user.unlisted(failure)])?;
        if listed.len() >= QUOTA { Err(vec![self.crowded(&listed)]) } else { Ok(()) }
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: &Shown| Listed {
            id: KeyId::new(key.service_specific_credential_id()),
            name: None,
            created_at: told(key.create_date()),
            expires_at: key.expiration_date().and_then(told),
            last_used: None,
            enabled: *key.status() == StatusType::Active,
        };
        Ok(self.all().await?.iter().map(listed).collect())
    }

    /// By the alias, which is part of the value.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let Some(alias) = alias(&credential.secret) else { return Ok(None) };
        let keys = self.all().await?;
        let found = only(&keys, |key| key.service_credential_alias() == Some(alias.as_str()));
        let found = found.filter(|key| listed.iter().any(|known| known.id.as_str() == key.service_specific_credential_id()));
        Ok(found.map(|key| {
            (KeyId::new(key.service_specific_credential_id()), format!("IAM lists only this key as {alias}, which the value holds"))
        }))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let days = self.days(wanted.like).await.map_err(before_effect)?;
        let (iam, asked) = (self.user.iam().await?, self.user.asked("CreateServiceSpecificCredential"));
        let made = iam.create_service_specific_credential().user_name(&self.user.name).service_name(SERVICE).set_credential_age_days(days);
        let made = made.send().await.map_err(|error| failure(&asked, &error))?;
        let key = made.service_specific_credential.ok_or_else(|| Failure::unknown(format!("{asked}: the answer holds no key")))?;
        let secret = key.service_credential_secret.filter(|secret| !secret.is_empty() && !key.service_specific_credential_id.is_empty());
        Ok(Minted {
            id: KeyId::new(key.service_specific_credential_id),
            secret: Secret::new(secret.ok_or_else(|| Failure::unknown(format!("{asked}: the answer lacks the key's id or value")))?),
            created_at: told(&key.create_date),
            expires_at: key.expiration_date.as_ref().and_then(told),
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let (iam, id) = (self.user.iam().await?, tombstone.key().as_str());
        let done = iam.delete_service_specific_credential().user_name(&self.user.name).service_specific_credential_id(id).send().await;
        done.map(drop).map_err(|error| failure(&self.user.asked("DeleteServiceSpecificCredential"), &error))
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let user = quoted(&self.user.name);
        let id = key.map_or("\"$LEAKED_KEY_ID\"".to_owned(), |key| quoted(key.as_str()));
        let take = |field: &str| format!("$(printf %s \"$answer\" | jq -r .ServiceSpecificCredential.{field})");
        ByHand {
            create: vec![
                format!("answer=$(aws iam create-service-specific-credential --user-name {user} --service-name {SERVICE})"),
                format!("export NEW_KEY={} NEW_KEY_ID={}", take("ServiceCredentialSecret"), take("ServiceSpecificCredentialId")),
            ],
            revoke: vec![format!("aws iam delete-service-specific-credential --user-name {user} --service-specific-credential-id {id}")],
        }
    }

    /// `ListFoundationModels`: it is free.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.ctx.wire.client().request(Method::GET, &self.probe).bearer_auth(credential.secret.reveal());
        Ok(kit::life(&wire::send(request).await?, DEAD))
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
}

#[async_trait]
impl Prompt for Bedrock {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let url = format!("{}/model/{}/{}", self.runtime, wire::segment(question.model)?, speech::operation(question));
        let request = self.ctx.wire.client().request(Method::POST, url).bearer_auth(credential.secret.reveal());
        speech::converse(request, question, DEAD).await
    }
}

#[async_trait]
impl Switch for Bedrock {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let status = if on { StatusType::Active } else { StatusType::Inactive };
        let iam = self.user.iam().await?;
        let change = iam.update_service_specific_credential().user_name(&self.user.name).service_specific_credential_id(key.as_str());
        let done = change.status(status).send().await;
        done.map(drop).map_err(|error| failure(&self.user.asked("UpdateServiceSpecificCredential"), &error))
    }
}

#[async_trait]
impl Attributes for Bedrock {
    async fn of(&self, key: &KeyId) -> Got<Bounds> {
        Ok(bounds(self.one(key).await?.expiration_date().and_then(told)))
    }

    async fn planned(&self, like: Option<Like<'_>>, _: &Limits) -> Got<Bounds> {
        Ok(bounds(self.days(like).await?.map(|days| Utc::now() + TimeDelta::days(days.into()))))
    }

    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        keep(&self.days(Some(Like::Key(key))).await?)
    }
}
