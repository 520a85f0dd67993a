//! One OpenAI project, whatever kind of key in it is rotated: its API keys with their owners, how a key is tried, and what the project may spend.

use async_trait::async_trait;
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    kit::{self, Api},
    openai_api, speech,
};
use crate::{
    adapters::{Ctx, wire},
    playbook::{Fault, SecretRef},
    ports::{Credential, Failure, Got, Guard, Life, Problem, Prompt, Question, Spoken},
    protocol::Refusal,
    secret::Secret,
};

/// A project, as the admin key sees it.
pub(super) struct Project {
    /// The administration.
    pub api: Api,
    /// `proj_abc123`.
    pub id: String,
    /// `/organization/projects/{id}`.
    pub path: String,
    probe: String,
}

/// An API key of it.
#[derive(Deserialize)]
pub(super) struct ApiKey {
    pub id: String,
    pub name: Option<String>,
    pub redacted_value: String,
    pub created_at: i64,
    pub last_used_at: Option<i64>,
    owner_project_access: Option<String>,
    owner: Owner,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    service_account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    id: String,
}

impl ApiKey {
    /// The service account's id; none for a person's key.
    pub fn account(&self) -> Option<&str> {
        self.owner.service_account.as_ref().map(|account| account.id.as_str())
    }

    /// Whether a person owns it. Where that is not told nothing is known: a key that is left out would look gone.
    pub fn of_person(&self) -> Got<bool> {
        match self.owner.kind.as_deref() {
            Some(kind) => Ok(kind == "user"),
            None => Err(Failure::unknown(format!("GET api_keys: OpenAI does not say whose key {} is", self.id))),
        }
    }

    /// Whether its owner still may use the project: the key of a person who left it works no more.
    pub fn enabled(&self) -> bool {
        self.owner_project_access.as_deref() != Some("inactive")
    }
}

impl Project {
    /// Calls nobody. Keys are tried at `probe_url`, or at `models` below the API's address.
    ///
    /// # Errors
    /// Where an address or the project's id is none.
    pub fn new(ctx: &Ctx, id: String, admin_key: SecretRef, base_url: &str, probe_url: Option<&str>) -> Result<Self, Fault> {
        let api = openai_api::api(ctx, admin_key, base_url)?;
        let probe = match probe_url {
            Some(url) => kit::address("probe_url", url)?,
            None => format!("{}/models", api.base),
        };
        let project = wire::segment(&id)
            .map_err(|_| Fault::new("`project` is not a project's id").instead("the id from the project's settings: `proj_abc123`"))?;
        Ok(Self { path: format!("/organization/projects/{project}"), api, id, probe })
    }

    /// All pages of a collection of the project's; `more` is added to its query.
    pub async fn pages<T: DeserializeOwned>(&self, what: &str, more: &str) -> Got<Vec<T>> {
        let listed = openai_api::listing(&self.api, &format!("{}/{what}", self.path), more).await;
        listed.map_err(|failure| self.lost(failure))
    }

    /// Without `any`, OpenAI may leave enabled keys out.
    pub async fn keys(&self) -> Got<Vec<ApiKey>> {
        self.pages("api_keys", "&owner_project_access=any").await
    }

    /// These collections answer. That the admin key may also write shows only when it does.
    pub async fn answers(&self, collections: &[&str]) -> Result<(), Vec<Problem>> {
        for what in collections {
            let asked = self.api.ask(Method::GET, &format!("{}/{what}", self.path), None).await;
            asked.map_err(|failure| vec![self.lost(failure).into()])?;
        }
        Ok(())
    }

    /// Where the collection itself is not found, the project is not.
    pub fn lost(&self, failure: Failure) -> Failure {
        match failure.refusal() {
            // A hint that is there already comes from nearer to the cause: a variable that is not set.
            Some(Refusal::Gone) if failure.hint.is_none() => {
                failure.hint(format!("no project `{}` in the admin key's organization: check `project`", self.id))
            }
            _ => failure,
        }
    }

    /// `GET /models`, or `probe_url`.
    pub async fn life(&self, key: &Secret) -> Got<Life> {
        openai_api::life(&self.api, &self.probe, key).await
    }
}

#[async_trait]
impl Prompt for Project {
    /// `POST /chat/completions`, beside the address that keys are tried at.
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let url = format!("{}/chat/completions", self.probe.trim_end_matches("/models"));
        let request = self.api.work(Method::POST, &url).bearer_auth(credential.secret.reveal());
        speech::openai(request, "max_completion_tokens", question, openai_api::DEAD).await
    }
}

#[derive(Deserialize)]
struct SpendLimit {
    threshold_amount: f64,
    currency: String,
    interval: String,
}

#[derive(Deserialize)]
struct Alert {
    threshold_amount: f64,
}

#[async_trait]
impl Guard for Project {
    fn whose(&self) -> String {
        format!("project {}", self.id)
    }

    /// `spend_limit` and `spend_alerts` of the project, in cents of a month. A project without a limit answers 404.
    async fn monthly(&self) -> Got<(Option<f64>, Vec<u32>)> {
        let limit = match self.api.get::<SpendLimit>(&format!("{}/spend_limit", self.path)).await {
            Ok(limit) if limit.currency.eq_ignore_ascii_case("usd") && limit.interval == "month" => limit.threshold_amount / 100.0,
            Ok(_) => return Err(Failure::unknown("the project's spend limit is not one of US dollars in a month")),
            Err(failure) if failure.refusal() == Some(Refusal::Gone) => return Ok((None, Vec::new())),
            Err(failure) => return Err(failure),
        };
        let alerts: Vec<Alert> = openai_api::listing(&self.api, &format!("{}/spend_alerts", self.path), "").await?;
        // Saturates; a part of a limit of nothing is no part.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rounded percentage")]
        let percent = |alert: &Alert| (alert.threshold_amount / limit).round() as u32;
        Ok((Some(limit), alerts.iter().map(percent).collect()))
    }
}
