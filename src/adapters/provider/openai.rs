//! OpenAI: the service accounts of one project.
//!
//! A service account's key cannot be deleted by itself (`DELETE …/api_keys/{id}` refuses it), so keyroll rotates the whole
//! account: one account, one key, and the account's id is the key's id. Shapes are those of openai-openapi, `openapi.json`.
//! A service account carries no limits or scopes of its own; they are the project's, which a new account shares.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    adapters::{
        Ctx,
        kind::Kind,
        wire::{self, Reply},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef, quoted},
    ports::{Ambiguity, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Traits, Usage, Wanted},
    protocol::Refusal,
    rotation::Tombstone,
    secret::Secret,
};

/// The service accounts of one OpenAI project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The project's id: `proj_abc123`.
    pub project: String,
    /// Where the admin key stands (`sk-admin-…`); a restricted one needs `api.management.write`.
    pub admin_key: SecretRef,
    /// The API's address, with its version.
    #[serde(default = "openai")]
    pub base_url: String,
    /// What a key is tried with, if not `models` below the API's address: services may call through a gateway.
    pub probe_url: Option<String>,
}

fn openai() -> String {
    "https://api.openai.com/v1".into()
}

/// The constructor.
pub const KIND: Kind<dyn Provider> = Kind {
    name: "openai",
    about: "service accounts of an OpenAI project",
    schema: |generator| Config::json_schema(generator),
    build: |block, ctx| Ok(Arc::new(OpenAi::new(block.read()?, ctx)?)),
};

/// The service accounts of one project.
pub struct OpenAi {
    ctx: Ctx,
    admin_key: SecretRef,
    project: String,
    base: String,
    /// `…/organization/projects/{project}`.
    admin: String,
    probe: String,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    #[serde(default)]
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    name: String,
    created_at: i64,
}

#[derive(Deserialize)]
struct ApiKey {
    id: String,
    redacted_value: String,
    last_used_at: Option<i64>,
    owner: Owner,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    service_account: Option<OwnerAccount>,
}

#[derive(Deserialize)]
struct OwnerAccount {
    id: String,
}

impl ApiKey {
    /// The service account's id; none for a person's key.
    fn account(&self) -> Option<&str> {
        self.owner.service_account.as_ref().map(|account| account.id.as_str())
    }
}

#[derive(Deserialize)]
struct Created {
    id: String,
    created_at: i64,
    api_key: CreatedKey,
}

#[derive(Deserialize)]
struct CreatedKey {
    value: String,
}

#[derive(Deserialize)]
struct Deleted {
    deleted: bool,
}

#[derive(Deserialize)]
struct Refused {
    error: Cause,
}

#[derive(Deserialize)]
struct Cause {
    code: Option<String>,
}

/// A listing that does not end by then never ends.
const MOST_PAGES: usize = 1000;

impl OpenAi {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address or the project's id is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let base = super::address("base_url", &config.base_url)?;
        let probe = match &config.probe_url {
            Some(url) => super::address("probe_url", url)?,
            None => format!("{base}/models"),
        };
        let project = wire::segment(&config.project)
            .map_err(|_| Fault::new("`project` is not a project's id").instead("the id from the project's settings: `proj_abc123`"))?;
        let admin = format!("{base}/organization/projects/{project}");
        Ok(Self { ctx: ctx.clone(), admin_key: config.admin_key, project: config.project, base, admin, probe })
    }

    /// One call to the admin API, with its refusals explained.
    async fn ask(&self, method: Method, url: String, body: Option<serde_json::Value>) -> Got<Reply> {
        let key = self.ctx.secrets.read(&self.admin_key).await?;
        let mut request = self.ctx.wire.client().request(method, url).bearer_auth(key.reveal());
        if let Some(body) = &body {
            request = request.json(body);
        }
        let reply = wire::send(request).await?;
        match reply.status.as_u16() {
            200..300 => Ok(reply),
            401 => Err(reply
                .refusal()
                .hint(format!("OpenAI does not know the key at `{}`: it must be an admin key (sk-admin-…)", self.admin_key))),
            403 => Err(reply.refusal().hint(format!(
                "the key at `{}` lacks permissions: it must be an admin key; a restricted one needs api.management.write",
                self.admin_key
            ))),
            _ => reply.ok(),
        }
    }

    /// All pages of a listing.
    async fn pages<T: DeserializeOwned>(&self, what: &str, more: &str) -> Got<Vec<T>> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let cursor = after.as_deref().map(wire::segment).transpose()?.map(|id| format!("&after={id}")).unwrap_or_default();
            let url = format!("{}/{what}?limit=100{more}{cursor}", self.admin);
            let reply = self.ask(Method::GET, url, None).await.map_err(|failure| self.lost_project(failure))?;
            let page: Page<T> = reply.json()?;
            all.extend(page.data);
            match page.last_id {
                _ if !page.has_more => return Ok(all),
                Some(id) if after.as_ref() != Some(&id) => after = Some(id),
                _ => break,
            }
        }
        Err(Failure::unknown(format!("GET {}/{what}: the listing has no end", self.admin)))
    }

    async fn accounts(&self) -> Got<Vec<Account>> {
        self.pages("service_accounts", "").await
    }

    /// Without `any`, OpenAI may leave enabled keys out.
    async fn keys(&self) -> Got<Vec<ApiKey>> {
        self.pages("api_keys", "&owner_project_access=any").await
    }

    /// Where the collection itself is not found, the project is not.
    fn lost_project(&self, failure: Failure) -> Failure {
        match failure.refusal() {
            // A hint that is there already comes from nearer to the cause: a variable that is not set.
            Some(Refusal::Gone) if failure.hint.is_none() => {
                failure.hint(format!("no project `{}` in the admin key's organization: check `project`", self.project))
            }
            _ => failure,
        }
    }
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

#[async_trait]
impl Provider for OpenAi {
    /// `dead_within`: people report minutes, now and then hours; a playbook can set more. `usage_lag`: OpenAI documents none for
    /// `last_used_at`; a quarter of an hour is our guess on the safe side.
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(2 * 60),
            dead_within: Duration::from_secs(15 * 60),
            usage_lag: Duration::from_secs(15 * 60),
            quota: None,
        }
    }

    /// Service accounts do not share anything that two rotations could fight over.
    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("openai project {} at {}", self.project, self.base)
    }

    /// Both listings answer. That the admin key may also write shows only when it does.
    async fn check(&self) -> Result<(), Vec<Problem>> {
        for what in ["service_accounts?limit=1", "api_keys?limit=1&owner_project_access=any"] {
            let asked = self.ask(Method::GET, format!("{}/{what}", self.admin), None).await;
            asked.map_err(|failure| vec![self.lost_project(failure).into()])?;
        }
        Ok(())
    }

    /// The project's service accounts; people's keys are none of ours. An account without a key counts as not enabled.
    async fn list(&self) -> Got<Vec<Listed>> {
        let (accounts, keys) = (self.accounts().await?, self.keys().await?);
        let listed = accounts.into_iter().map(|account| {
            let mut its = keys.iter().filter(|key| key.account() == Some(account.id.as_str())).peekable();
            Listed {
                enabled: its.peek().is_some(),
                last_used: its.filter_map(|key| key.last_used_at).max().and_then(time),
                id: KeyId::new(account.id),
                name: Some(account.name),
                created_at: time(account.created_at),
                expires_at: None,
            }
        });
        Ok(listed.collect())
    }

    /// By the redacted value. Nobody's where two keys look alike, where it is a person's key, and where the account has other
    /// keys: deleting it would end them too.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.keys().await?;
        let alike: Vec<&ApiKey> = keys.iter().filter(|key| super::behind(&key.redacted_value, credential.secret.reveal())).collect();
        let [key] = alike.as_slice() else { return Ok(None) };
        let Some(account) = key.account() else { return Ok(None) };
        let others = keys.iter().filter(|other| other.account() == Some(account)).count() - 1;
        if others > 0 {
            tracing::warn!(
                account,
                others,
                "the key's service account has other keys, which its deletion would end too: not taken as proved"
            );
            return Ok(None);
        }
        let proof = format!("of this project's keys only {} of service account {account} is shown as {}", key.id, key.redacted_value);
        Ok(listed.iter().find(|known| known.id.as_str() == account).map(|known| (known.id.clone(), proof)))
    }

    /// OpenAI has no idempotency key here: a lost reply leaves an account that is found by its name.
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let body = json!({ "name": wanted.name });
        let reply = self.ask(Method::POST, format!("{}/service_accounts", self.admin), Some(body)).await;
        let created: Created = reply.map_err(|failure| self.lost_project(failure))?.json()?;
        Ok(Minted {
            id: KeyId::new(created.id),
            secret: Secret::new(created.api_key.value),
            created_at: time(created.created_at),
            expires_at: None,
        })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = wire::segment(tombstone.key().as_str())?;
        let reply = self.ask(Method::DELETE, format!("{}/service_accounts/{id}", self.admin), None).await?;
        match reply.json::<Deleted>()?.deleted {
            true => Ok(()),
            false => Err(Failure::unknown(format!("DELETE service account {id}: the answer does not say that it is deleted"))),
        }
    }

    /// `GET /models` with the key. Dead only on 401 with `invalid_api_key`: other 401s tell of the caller's address or
    /// organization, and 403 is a living key outside its scope. 429 and 5xx are failures.
    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let login = format!("printf 'Authorization: Bearer %s' \"{}\"", self.admin_key.shell());
        let base = quoted(&format!("{}/service_accounts", self.admin));
        let id = key.map_or("$LEAKED_KEY_ID".to_owned(), |key| quoted(key.as_str()));
        ByHand {
            create: vec![
                format!("answer=$({login} | curl -fsS -H @- -H 'Content-Type: application/json' -d '{{\"name\":\"by-hand\"}}' {base})"),
                "export NEW_KEY=$(printf %s \"$answer\" | jq -r .api_key.value) NEW_KEY_ID=$(printf %s \"$answer\" | jq -r .id)".to_owned(),
            ],
            revoke: vec![format!("{login} | curl -fsS -X DELETE -H @- {base}/{id}")],
        }
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let reply = wire::send(self.ctx.wire.client().get(&self.probe).bearer_auth(credential.secret.reveal())).await?;
        Ok(match reply.status {
            StatusCode::OK => Life::Alive,
            StatusCode::UNAUTHORIZED => match reply.json::<Refused>() {
                Ok(refused) if refused.error.code.as_deref() == Some("invalid_api_key") => Life::Dead,
                _ => Life::Unclear,
            },
            _ => Life::Unclear,
        })
    }

    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }
}

#[async_trait]
impl Usage for OpenAi {
    /// The latest `last_used_at` of the account's keys. An account without a key is gone: that it was not used proves nothing.
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let keys = self.keys().await?;
        let mut its = keys.iter().filter(|listed| listed.account() == Some(key.as_str())).peekable();
        if its.peek().is_none() {
            return Err(Failure::refused(Refusal::Gone, None, format!("OpenAI lists no key of service account {key}")));
        }
        Ok(its.filter_map(|listed| listed.last_used_at).max().and_then(time))
    }
}
