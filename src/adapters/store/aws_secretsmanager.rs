//! AWS Secrets Manager: the new value is put as a version with a label of our own, then `AWSCURRENT` is moved from the version we read.
//!
//! A bare `PutSecretValue` would move `AWSCURRENT` unconditionally; `UpdateSecretVersionStage` refuses if the label is no longer where
//! `RemoveFromVersionId` says. <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html>

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_secretsmanager::{
    Client,
    operation::describe_secret::DescribeSecretOutput,
    types::{StatusType, Tag},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::form::Form;
use crate::{
    adapters::{
        Ctx,
        aws::{Account, Keys, failure, in_region, region_of},
        kind::Kind,
    },
    ids::{RotationId, Version},
    playbook::{Block, Fault, SecretRef, quoted},
    ports::{Change, Failure, Got, Mark, Problem, Snapshot, Store},
    protocol::Refusal,
    secret::Secret,
};

const CURRENT: &str = "AWSCURRENT";
/// On a version that is put and not yet current; the token follows. Not AWSPENDING, which belongs to AWS's own rotation.
const PENDING: &str = "keyroll-pending-";
/// On a version that was current, so that AWS does not remove it; the time follows. A version without a label may go.
const PREVIOUS: &str = "keyroll-previous-";
/// How many old versions are kept: several playbooks may own a field each. AWS allows 20 labels a secret.
const KEPT: usize = 4;
const TAG_JOURNAL: &str = "keyroll:journal";
const TAG_ROTATION: &str = "keyroll:rotation";

/// A secret in AWS Secrets Manager.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The secret's name or full ARN.
    secret_id: String,
    /// The primary region (default: the ARN's, else this machine's). Replica regions are found by themselves.
    #[serde(default)]
    region: Option<String>,
    /// A URL instead of AWS's own, for all regions.
    #[serde(default)]
    endpoint: Option<String>,
    /// `json`: one object, whose text members are the fields. `text`: the whole text is the field `value`.
    #[serde(default)]
    format: Format,
    /// The access key that keyroll itself uses (default: this machine's credentials).
    #[serde(default)]
    credentials: Option<Keys>,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Text,
}

/// The adapter.
pub const KIND: Kind<dyn Store> =
    Kind { name: "aws_secretsmanager", about: "a secret in AWS Secrets Manager", schema: |g| Config::json_schema(g), build };

struct SecretsManager {
    id: String,
    form: Form,
    account: Account,
}

fn build(block: &Block, ctx: &Ctx) -> Result<Arc<dyn Store>, Fault> {
    let config: Config = block.read()?;
    let id = config.secret_id;
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-:!".contains(c)) {
        return Err(Fault::new("secret_id is no secret's name or ARN").instead("secret_id: prod/app/openai"));
    }
    let region = config.region.or_else(|| region_of(&id));
    let form = match config.format {
        Format::Json => Form::Json,
        Format::Text => Form::Raw,
    };
    Ok(Arc::new(SecretsManager { id, form, account: Account::new(config.credentials, region, config.endpoint, ctx) }))
}

/// A value as AWS holds it.
struct Held {
    version: Version,
    text: Secret,
}

impl SecretsManager {
    /// An action and what it is done to, as a policy names both.
    fn asked(&self, action: &str) -> String {
        format!("secretsmanager:{action} on secret {}", self.id)
    }

    async fn client(&self) -> Got<Client> {
        Ok(Client::new(&self.account.settings().await?))
    }

    async fn describe(&self, client: &Client) -> Got<DescribeSecretOutput> {
        let got = client.describe_secret().secret_id(&self.id).send().await;
        got.map_err(|error| failure(&self.asked("DescribeSecret"), &error))
    }

    /// The current value, or one version's; none: there is none.
    async fn held(&self, client: &Client, version: Option<&Version>) -> Got<Option<Held>> {
        self.held_as(&self.id, client, version).await
    }

    async fn held_as(&self, id: &str, client: &Client, version: Option<&Version>) -> Got<Option<Held>> {
        let ask = client.get_secret_value().secret_id(id);
        let ask = match version {
            Some(version) => ask.version_id(version.as_str()),
            None => ask.version_stage(CURRENT),
        };
        let got = match ask.send().await.map_err(|error| failure(&self.asked("GetSecretValue"), &error)) {
            Err(failure) if failure.refusal() == Some(Refusal::Gone) => return Ok(None),
            got => got?,
        };
        let (Some(version), Some(text)) = (got.version_id(), got.secret_string()) else {
            return Err(Failure::refused(Refusal::Invalid, None, format!("secret {} is binary", self.id))
                .hint("keyroll writes text secrets: put the value again as text"));
        };
        Ok(Some(Held { version: Version::new(version), text: Secret::new(text) }))
    }

    fn snapshot(&self, held: &Held) -> Got<Snapshot> {
        let fields = self.form.fields(held.text.reveal()).map_err(|why| self.unusable(&why))?;
        Ok(Snapshot { version: held.version.clone(), fields })
    }

    fn unusable(&self, why: &str) -> Failure {
        Failure::refused(Refusal::Invalid, None, format!("secret {}: {why}", self.id))
            .hint("put the secret right by hand, or change the store's `format`: json or text")
    }

    fn moved(&self) -> Failure {
        Failure::refused(Refusal::Conflict, None, format!("secret {} changed since it was read", self.id))
    }

    /// Moves a label; `from` and `to` as AWS's RemoveFromVersionId and MoveToVersionId.
    async fn label(&self, client: &Client, label: &str, from: Option<&Version>, to: Option<&Version>) -> Got<()> {
        let text = |version: Option<&Version>| version.map(|version| version.as_str().to_owned());
        let ask = client.update_secret_version_stage().secret_id(&self.id).version_stage(label);
        let done = ask.set_remove_from_version_id(text(from)).set_move_to_version_id(text(to)).send().await;
        done.map(|_| ()).map_err(|error| failure(&self.asked("UpdateSecretVersionStage"), &error))
    }

    /// Who does this, on the secret itself.
    async fn tag(&self, client: &Client, mark: &Mark) -> Got<()> {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let ask = client.tag_resource().secret_id(&self.id);
        let done = ask.tags(tag(TAG_JOURNAL, &mark.journal)).tags(tag(TAG_ROTATION, mark.rotation.as_str())).send().await;
        done.map(|_| ()).map_err(|error| failure(&self.asked("TagResource"), &error))
    }

    /// Gives the version that is about to be replaced a label of ours, and takes it from the oldest that has one.
    async fn keep(&self, client: &Client, seen: &DescribeSecretOutput, base: &Version) -> Got<()> {
        let mut kept = labelled(seen, PREVIOUS);
        if kept.iter().any(|(_, version)| version == base) {
            return Ok(());
        }
        kept.sort_unstable();
        let surplus = (kept.len() + 1).saturating_sub(KEPT);
        for (label, version) in kept.iter().take(surplus) {
            self.label(client, label, Some(version), None).await?;
        }
        let label = format!("{PREVIOUS}{:012}-{}", chrono::Utc::now().timestamp(), base.as_str().get(..8).unwrap_or_default());
        self.label(client, &label, None, Some(base)).await
    }

    /// Takes our labels from versions that were put and are current by now, or never will be. A label too many does no harm.
    async fn tidy(&self, client: &Client) {
        let Ok(seen) = self.describe(client).await else { return };
        for (label, version) in labelled(&seen, PENDING) {
            let _ = self.label(client, &label, Some(&version), None).await;
        }
    }
}

/// Our labels of one kind, with the versions that hold them.
fn labelled(seen: &DescribeSecretOutput, kind: &str) -> Vec<(String, Version)> {
    let versions = seen.version_ids_to_stages().into_iter().flatten();
    let labels = versions.flat_map(|(version, labels)| labels.iter().map(move |label| (label, version)));
    labels.filter(|(label, _)| label.starts_with(kind)).map(|(label, version)| (label.clone(), Version::new(version))).collect()
}

fn current(seen: &DescribeSecretOutput) -> Option<Version> {
    labelled(seen, CURRENT).pop().map(|(_, version)| version)
}

/// The id of the version that a token's write makes: AWS takes ours. So one write repeated is one version.
fn version_of(token: &str) -> Version {
    let hash = Secret::new(token).sha256();
    Version::new(format!("{}-{}-{}-{}-{}", &hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..32]))
}

#[async_trait]
impl Store for SecretsManager {
    fn locator(&self) -> String {
        format!("aws_secretsmanager {} {}", self.account.place(), self.id)
    }

    fn reference(&self, field: &str) -> Option<SecretRef> {
        let field = matches!(self.form, Form::Json).then(|| field.to_owned());
        Some(SecretRef::Aws { id: self.id.clone(), field })
    }

    fn by_hand(&self, fields: &[(&str, &str)]) -> Vec<String> {
        let id = quoted(&self.id);
        let put = format!("aws secretsmanager put-secret-value --secret-id {id} --secret-string file:///dev/stdin");
        if fields.iter().any(|(field, _)| *field == "value") {
            return vec![format!("printf %s \"$NEW_KEY\" | {put}")];
        }
        let sets: Vec<String> = fields.iter().map(|(field, variable)| format!(".[\"{field}\"] = env.{variable}")).collect();
        let get = format!("aws secretsmanager get-secret-value --secret-id {id} --query SecretString --output text");
        vec![format!("{get} | jq {} | {put}", quoted(&sets.join(" | ")))]
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let one = |failure: Failure| vec![Problem::from(failure)];
        let client = self.client().await.map_err(one)?;
        let seen = self.describe(&client).await.map_err(|failure| {
            if failure.refusal() != Some(Refusal::Gone) {
                return one(failure);
            }
            let region = self.account.region().map(|region| format!(" --region {region}")).unwrap_or_default();
            let create = format!("aws secretsmanager create-secret --name {}{region}", self.id);
            vec![Problem::new(format!("there is no secret {}", self.id), format!("check `secret_id` and `region`, or: {create}"))]
        })?;
        let mut found = unfit(&self.id, self.account.region(), &seen);
        if found.is_empty()
            && let Err(failure) = self.read().await
        {
            found.push(failure.into());
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    async fn read(&self) -> Got<Option<Snapshot>> {
        let held = self.held(&self.client().await?, None).await?;
        held.map(|held| self.snapshot(&held)).transpose()
    }

    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        let held = self.held(&self.client().await?, Some(version)).await?;
        held.map(|held| self.snapshot(&held)).transpose()
    }

    async fn versions(&self) -> Got<Option<Vec<Version>>> {
        let seen = match self.describe(&self.client().await?).await {
            Err(failure) if failure.refusal() == Some(Refusal::Gone) => return Ok(Some(Vec::new())),
            seen => seen?,
        };
        // Only a labelled version can be relied upon: AWS removes the others when it likes.
        Ok(Some(seen.version_ids_to_stages().into_iter().flatten().map(|(version, _)| Version::new(version)).collect()))
    }

    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        let client = self.client().await?;
        let next = version_of(change.token);
        let seen = self.describe(&client).await.map_err(|failure| match failure.refusal() {
            Some(Refusal::Gone) => failure.hint(format!("aws secretsmanager create-secret --name {}", self.id)),
            _ => failure,
        })?;
        let now = current(&seen);
        if now.as_ref() == Some(&next) {
            self.tidy(&client).await;
            return Ok(next);
        }
        if now.as_ref() != change.base {
            return Err(self.moved());
        }
        let old = match change.base {
            Some(base) => Some(self.held(&client, Some(base)).await?.ok_or_else(|| self.moved())?),
            None => None,
        };
        let text = self.form.with(old.as_ref().map_or("", |old| old.text.reveal()), change.fields).map_err(|why| self.unusable(&why))?;
        self.tag(&client, change.mark).await?;
        if let Some(base) = change.base {
            self.keep(&client, &seen, base).await?;
        }
        let put = client.put_secret_value().secret_id(&self.id).client_request_token(next.as_str()).secret_string(text.reveal());
        let put = put.version_stages(format!("{PENDING}{}", &next.as_str()[..8])).send().await;
        let put = put.map_err(|error| match failure(&self.asked("PutSecretValue"), &error) {
            // AWS knows this token with another value: what it was derived from is no longer what is there.
            failure if error.as_service_error().is_some_and(|error| error.is_resource_exists_exception()) => {
                Failure { fate: self.moved().fate, ..failure }
            }
            failure => failure,
        })?;
        // A secret's first version is current at once, whatever its labels; a second one is not.
        if !put.version_stages().iter().any(|label| label == CURRENT)
            && let Err(failure) = self.label(&client, CURRENT, change.base, Some(&next)).await
        {
            return self.settled(&client, change.base, &next, failure).await;
        }
        self.tidy(&client).await;
        Ok(next)
    }

    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        let settings = self.account.settings().await?;
        let client = Client::new(&settings);
        let seen = match self.describe(&client).await {
            Err(failure) if failure.refusal() == Some(Refusal::Gone) => return Ok(vec![("primary".into(), None)]),
            seen => seen?,
        };
        let primary = seen.primary_region().or(settings.region().map(AsRef::as_ref)).unwrap_or("primary").to_owned();
        let mut shown = vec![(primary, self.held(&client, None).await?.map(|held| held.version))];
        for region in seen.replication_status().iter().filter_map(|replica| replica.region()) {
            let client = Client::new(&in_region(&settings, region));
            // An ARN names one region; the name is the same in all.
            let held = self.held_as(seen.name().unwrap_or(&self.id), &client, None).await?;
            shown.push((region.to_owned(), held.map(|held| held.version)));
        }
        Ok(shown)
    }

    async fn mark(&self) -> Got<Option<Mark>> {
        let seen = match self.describe(&self.client().await?).await {
            Err(failure) if failure.refusal() == Some(Refusal::Gone) => return Ok(None),
            seen => seen?,
        };
        let tag = |key: &str| seen.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value());
        Ok(tag(TAG_JOURNAL)
            .zip(tag(TAG_ROTATION))
            .map(|(journal, rotation)| Mark { journal: journal.to_owned(), rotation: RotationId::new(rotation) }))
    }
}

impl SecretsManager {
    /// Why the label was not moved: AWS's code does not tell, a reading does.
    async fn settled(&self, client: &Client, base: Option<&Version>, next: &Version, failure: Failure) -> Got<Version> {
        if failure.refusal().is_none() {
            return Err(failure);
        }
        let now = current(&self.describe(client).await.map_err(|_| Failure::unknown(failure.what.clone()))?);
        match now.as_ref() {
            now if now == Some(next) => Ok(next.clone()),
            now if now != base => Err(self.moved()),
            _ => Err(failure),
        }
    }
}

/// What about this secret makes a rotation by keyroll impossible or unsafe.
fn unfit(id: &str, region: Option<&str>, seen: &DescribeSecretOutput) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut problem = |what: String, hint: String| found.push(Problem::new(what, hint));
    if seen.deleted_date().is_some() {
        problem(format!("secret {id} is marked as deleted"), format!("aws secretsmanager restore-secret --secret-id {id}"));
    }
    if seen.rotation_enabled() == Some(true) {
        let hint = format!("let only one of them rotate it: aws secretsmanager cancel-rotate-secret --secret-id {id}");
        problem(format!("AWS itself rotates secret {id}"), hint);
    }
    if let Some(owner) = seen.owning_service() {
        problem(format!("secret {id} belongs to the AWS service {owner}"), "name a secret of your own".into());
    }
    if let (Some(primary), Some(here)) = (seen.primary_region(), region)
        && primary != here
    {
        problem(format!("secret {id} in {here} is a replica"), format!("name its primary region: region: {primary}"));
    }
    for replica in seen.replication_status().iter().filter(|replica| replica.status() != Some(&StatusType::InSync)) {
        let region = replica.region().unwrap_or("a region");
        let hint = format!("aws secretsmanager describe-secret --secret-id {id} tells why; wait, or put it right");
        problem(format!("the replica of secret {id} in {region} is not in sync"), hint);
    }
    found
}
