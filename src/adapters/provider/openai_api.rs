//! What OpenAI's administration has in common, whatever kind of key is rotated: calls with the admin key, listings in pages, and what
//! an answer to a key says of its life.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    adapters::{
        Ctx,
        wire::{self, Reply},
    },
    ids::KeyId,
    playbook::{Fault, SecretRef, quoted},
    ports::{Ambiguity, ByHand, Failure, Got, Life, Traits},
    secret::Secret,
};

/// OpenAI's own address.
pub(super) fn official() -> String {
    "https://api.openai.com/v1".into()
}

/// The admin API, called with the admin key.
pub(super) struct Api {
    ctx: Ctx,
    admin_key: SecretRef,
    /// Its address, without the slash at its end.
    pub base: String,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    #[serde(default)]
    last_id: Option<String>,
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
pub(super) const MOST_PAGES: usize = 1000;

impl Api {
    /// Calls nobody.
    ///
    /// # Errors
    /// Where `base_url` is no address.
    pub fn new(ctx: &Ctx, admin_key: SecretRef, base_url: &str) -> Result<Self, Fault> {
        Ok(Self { ctx: ctx.clone(), admin_key, base: super::address("base_url", base_url)? })
    }

    /// Where the admin key stands.
    pub fn reference(&self) -> &SecretRef {
        &self.admin_key
    }

    /// The admin key, as it is now.
    pub async fn key(&self) -> Got<Secret> {
        self.ctx.secrets.read(&self.admin_key).await
    }

    /// One call to the admin API, with its refusals explained.
    pub async fn ask(&self, method: Method, url: String, body: Option<serde_json::Value>) -> Got<Reply> {
        self.ask_as(&self.key().await?, method, url, body).await
    }

    /// The same with an admin key that was read before.
    pub async fn ask_as(&self, key: &Secret, method: Method, url: String, body: Option<serde_json::Value>) -> Got<Reply> {
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

    /// All pages of the listing at `url`; `more` is added to its query.
    pub async fn pages<T: DeserializeOwned>(&self, url: &str, more: &str) -> Got<Vec<T>> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let cursor = after.as_deref().map(wire::segment).transpose()?.map(|id| format!("&after={id}")).unwrap_or_default();
            let reply = self.ask(Method::GET, format!("{url}?limit=100{more}{cursor}"), None).await?;
            let page: Page<T> = reply.json()?;
            all.extend(page.data);
            match page.last_id {
                _ if !page.has_more => return Ok(all),
                Some(id) if after.as_ref() != Some(&id) => after = Some(id),
                _ => break,
            }
        }
        Err(Failure::unknown(format!("GET {url}: the listing has no end")))
    }

    /// One cheap GET with the key itself. Dead only on 401 with `invalid_api_key`: other 401s tell of the caller's address or
    /// organization, and 403 is a living key outside its scope. 429 and 5xx are failures.
    pub async fn life(&self, url: &str, key: &Secret) -> Got<Life> {
        let reply = wire::send(self.ctx.wire.client().get(url).bearer_auth(key.reveal())).await?;
        Ok(match reply.status {
            StatusCode::OK => Life::Alive,
            StatusCode::UNAUTHORIZED => match reply.json::<Refused>() {
                Ok(refused) if refused.error.code.as_deref() == Some("invalid_api_key") => Life::Dead,
                _ => Life::Unclear,
            },
            _ => Life::Unclear,
        })
    }

    /// Commands on the collection at `url`: the value stands at `value` (for `jq`) in a create's answer. `revoker` is the admin
    /// key that deletes, for a shell.
    pub fn by_hand(&self, url: &str, value: &str, key: Option<&KeyId>, revoker: &str) -> ByHand {
        let login = |key: &str| format!("printf 'Authorization: Bearer %s' \"{key}\"");
        let (url, admin) = (quoted(url), login(&self.admin_key.shell()));
        let id = key.map_or("$LEAKED_KEY_ID".to_owned(), |key| quoted(key.as_str()));
        ByHand {
            create: vec![
                format!("answer=$({admin} | curl -fsS -H @- -H 'Content-Type: application/json' -d '{{\"name\":\"by-hand\"}}' {url})"),
                format!("export NEW_KEY=$(printf %s \"$answer\" | jq -r {value}) NEW_KEY_ID=$(printf %s \"$answer\" | jq -r .id)"),
            ],
            revoke: vec![format!("{} | curl -fsS -X DELETE -H @- {url}/{id}", login(revoker))],
        }
    }
}

/// Whether the answer to a delete says that it was done.
pub(super) fn deleted(reply: &Reply, what: &str) -> Got<()> {
    match reply.json::<Deleted>()?.deleted {
        true => Ok(()),
        false => Err(Failure::unknown(format!("DELETE {what}: the answer does not say that it is deleted"))),
    }
}

/// `dead_within`: people report minutes, now and then hours; a playbook can set more. `usage_lag`: OpenAI documents none for
/// `last_used_at`; a quarter of an hour is our guess on the safe side.
pub(super) fn traits() -> Traits {
    Traits {
        ambiguity: Ambiguity::Listable,
        listed_within: Duration::from_secs(30),
        ready_within: Duration::from_secs(2 * 60),
        dead_within: Duration::from_secs(15 * 60),
        usage_lag: Duration::from_secs(15 * 60),
        quota: None,
    }
}

/// OpenAI's times are seconds since 1970.
pub(super) fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}
