//! Access keys of one IAM user.
//!
//! At most two a user, inactive ones included. They have no names, and the secret is shown once: a create whose reply is lost leaves a key
//! that can only be told from others by having appeared. <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_iam::types::StatusType;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::iam_user::{IamUser, MOST_PAGES, QUOTA};
use crate::{
    adapters::{
        Ctx,
        aws::{Keys, code, failure, time},
        kind::{Facts, Kind, Vendor},
    },
    ids::{Identity, KeyId},
    playbook::{Block, Fault, quoted},
    ports::{Ambiguity, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Switch, Traits, Usage, Wanted},
    protocol::Refusal,
    rotation::Tombstone,
    secret::Secret,
};

/// An IAM user whose access keys are rotated.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The IAM user's name, without its path.
    user: String,
    /// The account's number. With it keyroll refuses to work in another account, and users of one name in two accounts are two users.
    #[serde(default)]
    account: Option<String>,
    /// The region that requests are signed for; IAM itself has one for each partition (default: the environment's, else us-east-1).
    #[serde(default)]
    region: Option<String>,
    /// One URL for IAM and STS, instead of AWS's own.
    #[serde(default)]
    endpoint: Option<String>,
    /// The access key that keyroll itself uses (default: this machine's credentials). It must not be the one that is rotated.
    #[serde(default)]
    credentials: Option<Keys>,
}

/// The adapter.
pub const VENDOR: Vendor = Vendor {
    kind: Kind { name: "aws_iam", about: "access keys of an AWS IAM user", schema: |g| Config::json_schema(g), build },
    facts: Facts {
        needs: &[
            "on the user: iam:ListAccessKeys, iam:CreateAccessKey, iam:DeleteAccessKey, iam:UpdateAccessKey, iam:GetAccessKeyLastUsed",
            "nothing for sts:GetCallerIdentity: every credential may",
        ],
        unconfirmed: &["how late the last use is told (4 hours are assumed)"],
        source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
        sample: include_str!("../../../playbooks/aws-iam-secretsmanager.yaml"),
    },
};

struct User(IamUser);

fn build(block: &Block, ctx: &Ctx) -> Result<Arc<dyn Provider>, Fault> {
    let config: Config = block.read()?;
    let user = IamUser::new((config.user, config.account), (config.credentials, config.region, config.endpoint), ctx)?;
    Ok(Arc::new(User(user)))
}

impl User {
    async fn last_used_by(&self, iam: &aws_sdk_iam::Client, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let answer = iam.get_access_key_last_used().access_key_id(key.as_str()).send().await;
        let answer = answer.map_err(|error| failure(&self.0.asked("GetAccessKeyLastUsed"), &error))?;
        Ok(answer.access_key_last_used().and_then(|used| used.last_used_date()).and_then(time))
    }

    /// Asks STS who this key is: the answer's ARN.
    async fn whose(&self, id: &KeyId, secret: &Secret) -> Result<String, (Option<String>, Failure)> {
        let sts = aws_sdk_sts::Client::new(&self.0.account.signed_with(id.as_str(), secret).await);
        let answer = sts.get_caller_identity().send().await.map_err(|error| {
            let why = code(&error).map(str::to_owned);
            (why, failure("sts:GetCallerIdentity", &error))
        })?;
        Ok(answer.arn().unwrap_or_default().to_owned())
    }

    /// The problem of a user who has two keys, with the command that makes room.
    fn crowded(&self, listed: &[Listed]) -> Problem {
        let what =
            format!("IAM user {} has {} access keys, and AWS allows {QUOTA}: there is no room for a new one", self.0.name, listed.len());
        let command = |key: &Listed| format!("aws iam delete-access-key --user-name {} --access-key-id {}", self.0.name, key.id);
        let idle = listed.iter().find(|key| !key.enabled).map(|key| (key, "is inactive"));
        let idle =
            idle.or_else(|| listed.iter().find(|key| key.last_used.is_none()).map(|key| (key, "was never used, as far as AWS tells")));
        let hint = match idle {
            Some((key, why)) => format!("{} {why}; if nothing needs it: {}", key.id, command(key)),
            None => {
                let used = |key: &Listed| key.last_used.map_or_else(|| "never".into(), |at| at.format("%F %R UTC").to_string());
                let keys: Vec<_> = listed.iter().map(|key| format!("{} (last used {})", key.id, used(key))).collect();
                format!("find out who uses {}, and delete one of them", keys.join(" and "))
            }
        };
        Problem::new(what, hint)
    }
}

#[async_trait]
impl Provider for User {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Unnamed,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(30),
            usage_lag: Duration::from_secs(4 * 3600),
            quota: Some(QUOTA),
        }
    }

    fn principal(&self) -> Option<Identity> {
        Some(Identity::new(self.describe()))
    }

    fn describe(&self) -> String {
        format!("aws_iam {}", self.0.place())
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        if let Some(problem) = self.0.elsewhere().await.map_err(|failure| vec![failure.into()])? {
            return Err(vec![problem]);
        }
        let listed = self.list().await.map_err(|failure| vec![self.0.unlisted(failure)])?;
        let mut found = Vec::new();
        if listed.len() >= QUOTA {
            found.push(self.crowded(&listed));
        }
        let own = self.0.account.own_id().await.map_err(|failure| vec![failure.into()])?;
        if listed.iter().any(|key| key.id.as_str() == own) {
            let what =
                format!("keyroll itself uses {own}, a key of the user {} that it is to rotate: it would lock itself out", self.0.name);
            found.push(Problem::new(what, "give keyroll a key or a role of its own: `credentials`, or this machine's"));
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let iam = self.0.iam().await?;
        let (mut listed, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = iam.list_access_keys().user_name(&self.0.name).set_marker(marker).send().await;
            let page = page.map_err(|error| failure(&self.0.asked("ListAccessKeys"), &error))?;
            for key in page.access_key_metadata() {
                let id = key.access_key_id().ok_or_else(|| Failure::unknown("iam:ListAccessKeys: a key without an id"))?;
                let id = KeyId::new(id);
                let last_used = match self.last_used_by(&iam, &id).await {
                    // A key of this moment is listed before it can be asked about, and it was not used.
                    Err(failure) if failure.refusal() == Some(Refusal::Gone) => None,
                    got => got?,
                };
                let enabled = key.status() == Some(&StatusType::Active);
                listed.push(Listed { id, name: None, created_at: key.create_date().and_then(time), expires_at: None, last_used, enabled });
            }
            marker = page.marker().map(str::to_owned).filter(|_| page.is_truncated());
            if marker.is_none() {
                return Ok(listed);
            }
        }
        Err(Failure::unknown("iam:ListAccessKeys: the listing has no end"))
    }

    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let Some(id) = credential.id.as_ref().filter(|id| listed.iter().any(|key| key.id == **id)) else { return Ok(None) };
        match self.whose(id, &credential.secret).await {
            Ok(arn) if arn.rsplit('/').next() == Some(self.0.name.as_str()) => {
                Ok(Some((id.clone(), format!("STS took a signature made with this secret for key {id} of {arn}"))))
            }
            Ok(_) => Ok(None),
            Err((_, failure)) if failure.refusal().is_some() => Ok(None),
            Err((_, failure)) => Err(failure),
        }
    }

    async fn create(&self, _: &Wanted<'_>) -> Got<Minted> {
        let made = self.0.iam().await?.create_access_key().user_name(&self.0.name).send().await;
        let made = made.map_err(|error| failure(&self.0.asked("CreateAccessKey"), &error))?;
        let key = made.access_key().ok_or_else(|| Failure::unknown("iam:CreateAccessKey: the answer holds no key"))?;
        Ok(Minted {
            id: KeyId::new(key.access_key_id()),
            secret: Secret::new(key.secret_access_key()),
            created_at: key.create_date().and_then(time),
            expires_at: None,
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let key = tombstone.key().as_str();
        let done = self.0.iam().await?.delete_access_key().user_name(&self.0.name).access_key_id(key).send().await;
        done.map(|_| ()).map_err(|error| failure(&self.0.asked("DeleteAccessKey"), &error))
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let user = quoted(&self.0.name);
        let id = key.map_or("\"$LEAKED_KEY_ID\"".to_owned(), |key| quoted(key.as_str()));
        ByHand {
            create: vec![
                format!("answer=$(aws iam create-access-key --user-name {user})"),
                "export NEW_KEY=$(printf %s \"$answer\" | jq -r .AccessKey.SecretAccessKey) NEW_KEY_ID=$(printf %s \"$answer\" | jq -r .AccessKey.AccessKeyId)"
                    .to_owned(),
            ],
            revoke: vec![format!("aws iam delete-access-key --user-name {user} --access-key-id {id}")],
        }
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let Some(id) = &credential.id else {
            return Err(Failure::refused(Refusal::Invalid, None, "an AWS secret access key cannot be tried without its access key id")
                .hint("store the id beside it: write: { aws_access_key_id: id, aws_secret_access_key: secret }"));
        };
        match self.whose(id, &credential.secret).await {
            Ok(_) => Ok(Life::Alive),
            Err((Some(code), _)) if code == "InvalidClientTokenId" => Ok(Life::Dead),
            Err((_, failure)) if failure.refusal().is_some() => Ok(Life::Unclear),
            Err((_, failure)) => Err(failure),
        }
    }

    fn switch(&self) -> Option<&dyn Switch> {
        Some(self)
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }
}

#[async_trait]
impl Switch for User {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let status = if on { StatusType::Active } else { StatusType::Inactive };
        let iam = self.0.iam().await?;
        let done = iam.update_access_key().user_name(&self.0.name).access_key_id(key.as_str()).status(status).send().await;
        done.map(|_| ()).map_err(|error| failure(&self.0.asked("UpdateAccessKey"), &error))
    }
}

#[async_trait]
impl Usage for User {
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        self.last_used_by(&self.0.iam().await?, key).await
    }
}
