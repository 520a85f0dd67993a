//! What all AWS adapters share: settings that send a request once, credentials, and the three fates of a call.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_iam::{
    config::{Credentials, ProvideCredentials, SharedCredentialsProvider, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{Mutex, OnceCell};

use super::Ctx;
use crate::{
    playbook::SecretRef,
    ports::{Failure, Fate, Got},
    protocol::Refusal,
    secret::Secret,
};

/// The longest wait for one answer. Longer than IAM and Secrets Manager take, shorter than any lease.
const ATTEMPT: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(5);
/// How long before their end a role's credentials are replaced.
const EARLY: Duration = Duration::from_secs(300);

/// An access key of our own, instead of the machine's.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Reference to the access key's id.
    access_key_id: SecretRef,
    /// Reference to the secret access key.
    secret_access_key: SecretRef,
    /// Reference to the session token of temporary credentials.
    #[serde(default)]
    session_token: Option<SecretRef>,
}

/// How an adapter reaches AWS. Settings of the machine are loaded once; references are read anew at each call.
pub struct Account {
    keys: Option<Keys>,
    region: Option<String>,
    endpoint: Option<String>,
    ctx: Ctx,
    machine: OnceCell<SdkConfig>,
    /// A role's credentials until shortly before their end; others are looked up at each call.
    role: Mutex<Option<Credentials>>,
}

impl Account {
    /// Loads nothing yet. Without `keys` the machine's own credentials are used (environment, profile, role); without `region`, its
    /// region.
    pub fn new(keys: Option<Keys>, region: Option<String>, endpoint: Option<String>, ctx: &Ctx) -> Self {
        let region = region.or_else(region_of_environment).or_else(|| endpoint.as_ref().map(|_| "us-east-1".to_owned()));
        Self { keys, region, endpoint, ctx: ctx.clone(), machine: OnceCell::new(), role: Mutex::default() }
    }

    /// With a region where none is known.
    #[must_use]
    pub fn or_region(mut self, region: &str) -> Self {
        self.region.get_or_insert_with(|| region.to_owned());
        self
    }

    /// The region, if it is known without asking the machine.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Where calls go, as far as it is known without asking the machine: the endpoint, if it is not AWS's own, and the region.
    pub fn place(&self) -> String {
        let known: Vec<_> = self.endpoint.as_deref().into_iter().chain(self.region.as_deref()).collect();
        if known.is_empty() { "default region".into() } else { known.join(" ") }
    }

    /// The same for a service without regions: the endpoint, else the partition.
    pub fn partition(&self) -> &str {
        match (self.endpoint.as_deref(), self.region.as_deref().unwrap_or_default()) {
            (Some(endpoint), _) => endpoint,
            (_, region) if region.starts_with("cn-") => "aws-cn",
            (_, region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Settings for one call.
    ///
    /// # Errors
    /// A reference that cannot be read, or a machine without credentials: nothing was sent.
    pub async fn settings(&self) -> Got<SdkConfig> {
        let key = self.key().await?;
        located(signed_by(self.machine.get_or_init(|| self.load()).await, key))
    }

    /// The id of the access key that calls are signed with.
    ///
    /// # Errors
    /// As [`Account::settings`].
    pub async fn own_id(&self) -> Got<String> {
        Ok(self.key().await?.access_key_id().to_owned())
    }

    /// The credentials of one call, got before it, so that a failure to get them is known to be none of the call's own.
    async fn key(&self) -> Got<Credentials> {
        let Some(keys) = &self.keys else {
            let mut kept = self.role.lock().await;
            if let Some(key) = kept.as_ref().filter(|key| key.expiry().is_some_and(|end| end > SystemTime::now() + EARLY)) {
                return Ok(key.clone());
            }
            let key = present(self.machine.get_or_init(|| self.load()).await).await?;
            return Ok(kept.insert(key).clone());
        };
        let id = self.ctx.secrets.read(&keys.access_key_id).await?;
        let secret = self.ctx.secrets.read(&keys.secret_access_key).await?;
        let token = match &keys.session_token {
            Some(reference) => Some(self.ctx.secrets.read(reference).await?),
            None => None,
        };
        Ok(Credentials::new(id.reveal(), secret.reveal(), token.map(|token| token.reveal().to_owned()), None, "keyroll"))
    }

    /// Settings for a call that is signed with the key itself.
    pub async fn signed_with(&self, id: &str, secret: &Secret) -> SdkConfig {
        let key = Credentials::new(id, secret.reveal(), None, None, "keyroll");
        signed_by(self.machine.get_or_init(|| self.load()).await, key)
    }

    async fn load(&self) -> SdkConfig {
        load(self.region.clone(), self.endpoint.as_deref(), self.keys.is_none()).await
    }
}

/// Settings of this machine alone, for a secret reference.
///
/// # Errors
/// Where it has no credentials: nothing was sent.
pub async fn machine(region: Option<String>) -> Got<SdkConfig> {
    let settings = load(region.or_else(region_of_environment), None, true).await;
    let key = present(&settings).await?;
    located(signed_by(&settings, key))
}

/// Without a region the SDK makes no request, and says it in a way that cannot be told from a broken connection.
fn located(settings: SdkConfig) -> Got<SdkConfig> {
    let missing = || Failure::not_sent("no AWS region is known").hint("set `region` in the playbook, or AWS_REGION");
    settings.region().is_some().then_some(()).ok_or_else(missing)?;
    Ok(settings)
}

async fn load(region: Option<String>, endpoint: Option<&str>, credentials: bool) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build());
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    // Without a source of credentials nobody looks for one: on a machine that is none of AWS's that takes seconds.
    if credentials { loader.load().await } else { loader.no_credentials().load().await }
}

async fn present(base: &SdkConfig) -> Got<Credentials> {
    let hint = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, run on a machine with a role, or write `credentials` in the playbook";
    let missing = || Failure::not_sent("this machine has no AWS credentials").hint(hint);
    let provider = base.credentials_provider().ok_or_else(missing)?;
    provider.provide_credentials().await.map_err(|_| missing())
}

/// The region that the environment names.
fn region_of_environment() -> Option<String> {
    ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok().filter(|region| !region.is_empty()))
}

/// The same settings in another region, for a replica.
pub fn in_region(base: &SdkConfig, region: &str) -> SdkConfig {
    base.to_builder().region(Region::new(region.to_owned())).build()
}

fn signed_by(base: &SdkConfig, key: Credentials) -> SdkConfig {
    base.to_builder().credentials_provider(SharedCredentialsProvider::new(key)).build()
}

/// What a failed call means. `asked` is the action and what it is done to: `iam:CreateAccessKey on user app`. The answer's text never enters it, only status and code.
pub fn failure<E: ProvideErrorMetadata>(asked: &str, error: &SdkError<E, HttpResponse>) -> Failure {
    let raw = match error {
        SdkError::ServiceError(answer) => answer.raw(),
        SdkError::ResponseError(answer) => answer.raw(),
        SdkError::ConstructionFailure(_) => return Failure::not_sent(format!("{asked}: no request could be made of the settings")),
        SdkError::DispatchFailure(broken) => {
            let unsent = broken.as_connector_error().is_some_and(|error| never_sent(error));
            return match unsent {
                true => Failure::not_sent(format!("{asked}: no connection")),
                false if broken.is_timeout() => Failure::unknown(format!("{asked}: no answer in time")),
                false => Failure::unknown(format!("{asked}: the connection broke")),
            };
        }
        _ => return Failure::unknown(format!("{asked}: no answer in time")),
    };
    let status = raw.status().as_u16();
    let retry_after = raw.headers().get("retry-after").and_then(wait);
    let code = code(error).unwrap_or_default();
    let what = if code.is_empty() { format!("{asked} answered {status}") } else { format!("{asked} answered {status} ({code})") };
    if status == 429 || matches!(code, "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException") {
        return Failure { fate: Fate::NotSent { retry_after }, what, hint: None };
    }
    if !(400..500).contains(&status) || status == 408 || matches!(error, SdkError::ResponseError(_)) {
        return Failure { fate: Fate::Unknown { retry_after }, what, hint: None };
    }
    let why = refusal(code, status);
    let failure = Failure::refused(why, Some(status), what);
    match why {
        Refusal::Denied if code.starts_with("AccessDenied") => failure.hint(format!("allow {asked} to the credentials that keyroll uses")),
        Refusal::Denied => failure.hint("check the credentials that keyroll uses, and this machine's clock"),
        _ => failure,
    }
}

/// AWS's own word for an error. Gateways and stand-ins wrap it differently, where the SDK does not find it.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    let service = error.as_service_error()?;
    let wrapped = || {
        let body = std::str::from_utf8(error.raw_response()?.body().bytes()?).ok()?;
        body.split_once("<Code>")?.1.split_once("</Code>").map(|(code, _)| code)
    };
    let code = service.code().or_else(wrapped)?;
    (code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')).then_some(code)
}

fn refusal(code: &str, status: u16) -> Refusal {
    match code {
        "NoSuchEntity" | "NoSuchEntityException" | "ResourceNotFoundException" => Refusal::Gone,
        "LimitExceeded" | "LimitExceededException" => Refusal::Quota,
        "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException" | "InvalidSignatureException" | "AuthFailure" => {
            Refusal::Denied
        }
        _ if code.starts_with("AccessDenied") || code.starts_with("ExpiredToken") || code.starts_with("MissingAuthentication") => {
            Refusal::Denied
        }
        _ => match status {
            401 | 403 | 407 => Refusal::Denied,
            404 | 410 => Refusal::Gone,
            409 | 412 => Refusal::Conflict,
            _ => Refusal::Invalid,
        },
    }
}

/// Whether a failed dispatch never had a connection: only hyper's own word counts.
fn never_sent(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        next = error.source();
    }
    false
}

/// `Retry-After` in seconds; AWS sends no dates.
fn wait(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(86_400)))
}

/// AWS's time as ours.
pub fn time(at: &aws_sdk_iam::primitives::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}

/// The region inside an ARN.
pub fn region_of(arn: &str) -> Option<String> {
    let mut parts = arn.split(':');
    let region = (parts.next() == Some("arn")).then(|| parts.nth(2)).flatten()?;
    (!region.is_empty()).then(|| region.to_owned())
}
