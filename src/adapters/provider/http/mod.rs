//! A provider described in the playbook by its requests and by where things stand in its answers.

mod by_hand;
mod config;
mod template;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use schemars::JsonSchema;
use serde_json::Value;

pub use config::{Accepted, ById, Config, Create, Delete, Enabled, Format, Header, List, Next, Probe, SentAs, Speech, Then, Timings, Verb};

use super::{kit::Dead, speech};

use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, after_effect},
    },
    ids::{Identity, KeyId},
    playbook::Fault,
    ports::{
        Ambiguity, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Prompt, Provider, Question, Spoken, Switch, Traits,
        Usage, Wanted,
    },
    protocol::Refusal,
    rotation::Tombstone,
    secret::Secret,
};

/// The constructor.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "http",
        about: "any service with a JSON interface for its keys: relays, gateways",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Http::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["what the service asks of whoever makes, lists and deletes keys"],
        unconfirmed: &["everything: the playbook describes the service, and `timings` are its word"],
        source: "docs/playbook.md#http",
        sample: include_str!("../../../../playbooks/relay-http-file.yaml"),
    },
};

/// A provider described in the playbook.
pub struct Http {
    ctx: Ctx,
    base: String,
    config: Config,
}

/// A listed key, with what proves its value.
struct Row {
    key: Listed,
    redacted: Option<String>,
    sha256: Option<String>,
}

/// A listing that does not end by then never ends.
const MOST_PAGES: usize = 1000;

/// The fewest characters of an id inside a value that tell keys apart.
const SHORTEST_ID: usize = 8;

/// Numbers beyond this are milliseconds since 1970, not seconds.
const MILLIS_FROM: i64 = 100_000_000_000;

impl Http {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where the block contradicts itself, or describes a service that cannot be rotated safely.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        Ok(Self { base: config.check()?, config, ctx: ctx.clone() })
    }

    /// An admin request, with the headers' secrets read anew.
    async fn request(&self, verb: Verb, path: &str, body: Option<Value>) -> Got<RequestBuilder> {
        let mut request = self.ctx.wire.client().request(method(verb), format!("{}{path}", self.base));
        for (name, value) in &self.config.headers {
            request = match value {
                Header::Text(text) => request.header(name, text),
                Header::Ref(at) => request.header(name, sensitive(self.ctx.secrets.read(at).await?.reveal())?),
                Header::Bearer(at) => request.header(name, sensitive(&format!("Bearer {}", self.ctx.secrets.read(at).await?.reveal()))?),
            };
        }
        Ok(match &body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// A change of the key with this id.
    async fn change(&self, verb: Verb, path: &str, body: Option<&Value>, id: &KeyId) -> Got<Reply> {
        let fill = [("id", id.as_str())];
        wire::send(self.request(verb, &template::path(path, &fill)?, body.map(|body| template::body(body, &fill))).await?).await
    }

    /// A 2xx that says that it was done, where services say so.
    fn done(&self, reply: Reply) -> Got<Reply> {
        let reply = explained(reply)?;
        let hint = "the service refused it with a success status, or `accepted` in the playbook is not what it answers";
        if self.accepted(&reply) { Ok(reply) } else { Err(reply.unlike("no word that it was done").hint(hint)) }
    }

    fn accepted(&self, reply: &Reply) -> bool {
        let says = |accepted: &Accepted| reply.json::<Value>().is_ok_and(|answer| answer.pointer(&accepted.at) == Some(&accepted.is));
        self.config.accepted.as_ref().is_none_or(says)
    }

    /// The id of the key that was just made under this name.
    async fn named(&self, name: &str) -> Got<KeyId> {
        let rows = self.rows().await?;
        let found = super::kit::only(&rows, |row| row.key.name.as_deref() == Some(name));
        found.map(|row| row.key.id.clone()).ok_or_else(|| self.unlike("the key that was made is not there, or not once"))
    }

    async fn page(&self, query: Option<(&str, String)>) -> Got<Value> {
        let mut path = self.config.list.path.clone();
        if let Some((name, value)) = query {
            path.push(if path.contains('?') { '&' } else { '?' });
            path += &format!("{}={}", wire::segment(name)?, wire::segment(&value)?);
        }
        self.done(wire::send(self.request(Verb::Get, &path, None).await?).await?)?.json()
    }

    async fn rows(&self) -> Got<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut query = match &self.config.list.next {
            Some(Next::Page { query, first }) => Some((query.as_str(), first.to_string())),
            _ => None,
        };
        for number in 1..=MOST_PAGES {
            let answer = self.page(query.take()).await?;
            let items = answer.pointer(&self.config.list.items).and_then(Value::as_array);
            let items = items.ok_or_else(|| self.unlike("no list stands at `list.items`"))?;
            let known = rows.len();
            for item in items {
                let row = self.row(item)?;
                if seen.insert(row.key.id.clone()) {
                    rows.push(row);
                }
            }
            let stuck = !items.is_empty() && rows.len() == known;
            query = match &self.config.list.next {
                None => None,
                Some(Next::Cursor { at, query, more }) => {
                    let last = more.as_ref().is_some_and(|more| answer.pointer(more).and_then(Value::as_bool) == Some(false));
                    let cursor = answer.pointer(at).and_then(text).filter(|cursor| !last && !cursor.is_empty());
                    cursor.map(|cursor| (query.as_str(), cursor))
                }
                Some(_) if items.is_empty() => None,
                Some(Next::Page { query, first }) => Some((query.as_str(), first.saturating_add(number as u64).to_string())),
                Some(Next::Offset { query }) => Some((query.as_str(), rows.len().to_string())),
            };
            if query.is_none() {
                return Ok(rows);
            }
            if stuck {
                return Err(self.unlike("each page is the same: `list.next` has no effect"));
            }
        }
        Err(self.unlike("the listing has no end"))
    }

    fn row(&self, item: &Value) -> Got<Row> {
        let list = &self.config.list;
        let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| item.pointer(pointer));
        let id = item.pointer(&list.id).and_then(text).filter(|id| !id.is_empty());
        let key = Listed {
            id: KeyId::new(id.ok_or_else(|| self.unlike("an item has no id at `list.id`"))?),
            name: at(&list.name).and_then(text),
            created_at: at(&list.created_at).and_then(time),
            expires_at: at(&list.expires_at).and_then(time),
            last_used: self.moment(at(&list.last_used))?,
            enabled: list.enabled.as_ref().is_none_or(|enabled| item.pointer(&enabled.at) == Some(&enabled.is)),
        };
        Ok(Row { key, redacted: at(&list.redacted).and_then(text), sha256: at(&list.sha256).and_then(text) })
    }

    /// A last use that cannot be read must not pass for "never".
    fn moment(&self, value: Option<&Value>) -> Got<Option<DateTime<Utc>>> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(value) => time(value).map(Some).ok_or_else(|| self.unlike("what stands at `list.last_used` is no time")),
        }
    }

    /// A request that bears the key, as services send it.
    fn with_key(&self, request: RequestBuilder, credential: &Credential) -> Got<RequestBuilder> {
        let value = credential.secret.reveal();
        Ok(match &self.config.probe.key {
            SentAs::Bearer => request.header(reqwest::header::AUTHORIZATION, sensitive(&format!("Bearer {value}"))?),
            SentAs::Header(name) => request.header(name, sensitive(value)?),
        })
    }

    fn as_services_write_it(&self, secret: Secret) -> Secret {
        let prefix = &self.config.value_prefix;
        if secret.reveal().starts_with(prefix) { secret } else { Secret::new(format!("{prefix}{}", secret.reveal())) }
    }

    fn unlike(&self, what: &str) -> Failure {
        let asked = self.config.list.path.split('?').next().unwrap_or_default();
        Failure::unknown(format!("GET {}{asked}: {what}", self.base)).hint("compare `list` in the playbook with what the service answers")
    }
}

fn method(verb: Verb) -> Method {
    match verb {
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
        Verb::Patch => Method::PATCH,
        Verb::Delete => Method::DELETE,
    }
}

fn sensitive(text: &str) -> Got<reqwest::header::HeaderValue> {
    let mut value = reqwest::header::HeaderValue::from_str(text)
        .map_err(|_| Failure::refused(Refusal::Invalid, None, "a secret has characters that cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A 2xx, or its refusal with a hint.
fn explained(reply: Reply) -> Got<Reply> {
    match reply.status.as_u16() {
        401 => Err(reply.refusal().hint("the service does not know our credential: check `headers`")),
        403 => Err(reply.refusal().hint("our credential may not do this: check its permissions")),
        404 => Err(reply.refusal().hint("check `base_url` and the path")),
        _ => reply.ok(),
    }
}

/// Text, or a number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// RFC 3339, or seconds or milliseconds since 1970.
fn time(value: &Value) -> Option<DateTime<Utc>> {
    if let Some(text) = value.as_str() {
        return DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc));
    }
    let number = value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))?;
    if number < MILLIS_FROM { DateTime::from_timestamp(number, 0) } else { DateTime::from_timestamp_millis(number) }
}

#[async_trait]
impl Provider for Http {
    fn traits(&self) -> Traits {
        let timings = self.config.timings;
        let replays = self.config.create.idempotency_header.is_some();
        Traits {
            ambiguity: if replays { Ambiguity::Replayed } else { Ambiguity::Listable },
            listed_within: timings.listed_within.0,
            ready_within: timings.ready_within.0,
            dead_within: timings.dead_within.0,
            usage_lag: timings.usage_lag.0,
            quota: self.config.quota,
        }
    }

    fn principal(&self) -> Option<Identity> {
        self.config.principal.as_ref().map(|principal| Identity::new(format!("http {} {principal}", self.base)))
    }

    fn describe(&self) -> String {
        format!("keys at {}", self.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let rows = self.rows().await.map_err(|failure| vec![failure.into()])?;
        match self.config.quota {
            Some(quota) if rows.len() >= quota => Err(vec![Problem::new(
                format!("{} lists {} keys, and `quota` allows {quota}", self.base, rows.len()),
                "delete a key that nobody uses: a rotation needs room for one more",
            )]),
            _ => Ok(()),
        }
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        Ok(self.rows().await?.into_iter().map(|row| row.key).collect())
    }

    /// By digest, by redacted value, or by the id inside the value; nobody's where more than one key fits.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let (list, value) = (&self.config.list, credential.secret.reveal());
        let value = value.strip_prefix(&self.config.value_prefix).unwrap_or(value);
        if list.sha256.is_none() && list.redacted.is_none() && !list.id_in_value {
            return Ok(None);
        }
        let (rows, digest) = (self.rows().await?, Secret::new(value).sha256());
        let only = |fits: &dyn Fn(&Row) -> bool| {
            let mut fitting = rows.iter().filter(|row| fits(row));
            fitting.next().filter(|_| fitting.next().is_none())
        };
        let by_digest = only(&|row| row.sha256.as_ref().is_some_and(|listed| listed.eq_ignore_ascii_case(&digest)));
        let by_shape = || only(&|row| row.redacted.as_ref().is_some_and(|redacted| super::kit::behind(redacted, value)));
        let by_id = || {
            let inside = |row: &Row| row.key.id.as_str().len() >= SHORTEST_ID && value.contains(row.key.id.as_str());
            only(&inside).filter(|_| list.id_in_value)
        };
        // A digest is exact: where the listing has one, a value that has none of them is not excused by its looks.
        let found = if list.sha256.is_some() {
            by_digest.map(|row| (row, "is listed with the SHA-256 of this value".to_owned()))
        } else if list.redacted.is_some() {
            by_shape().map(|row| (row, format!("is the only one shown as {}", row.redacted.as_deref().unwrap_or_default())))
        } else {
            by_id().map(|row| (row, "is the only one whose id is a part of this value".to_owned()))
        };
        Ok(found
            .filter(|(row, _)| listed.iter().any(|known| known.id == row.key.id))
            .map(|(row, proof)| (row.key.id.clone(), format!("of the keys at {} {} {proof}", self.base, row.key.id))))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let create = &self.config.create;
        let fill = [("name", wanted.name), ("token", wanted.token)];
        let body = create.body.as_ref().map(|body| template::body(body, &fill));
        let mut request = self.request(create.method, &template::path(&create.path, &fill)?, body).await?;
        if let Some(header) = &create.idempotency_header {
            request = request.header(header, wanted.token);
        }
        let reply = self.done(wire::send(request).await?)?;
        let mut answer: Value = reply.json()?;
        let unreadable = |what: &str| {
            Failure::unknown(format!("creating a key at {}: the answer has no {what} where the playbook says", self.base))
                .hint("compare `create.id` and `create.secret` in the playbook with what the service answers")
        };
        let moment = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| answer.pointer(pointer)).and_then(time);
        let (created_at, expires_at) = (moment(&create.created_at), moment(&create.expires_at));
        let id = match &create.id {
            Some(at) => answer.pointer(at).and_then(text).filter(|id| !id.is_empty()).map(KeyId::new).ok_or_else(|| unreadable("id"))?,
            None => self.named(wanted.name).await.map_err(after_effect)?,
        };
        if let Some(then) = &create.then {
            let told = self.change(then.method, &then.path, None, &id).await.and_then(|reply| self.done(reply));
            answer = told.map_err(after_effect)?.json()?;
        }
        let secret = match answer.pointer_mut(&create.secret).map(Value::take) {
            Some(Value::String(secret)) if !secret.is_empty() => Secret::new(secret),
            _ => return Err(unreadable("key")),
        };
        Ok(Minted { id, secret: self.as_services_write_it(secret), created_at, expires_at })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let delete = &self.config.delete;
        let reply = self.change(delete.method, &delete.path, delete.body.as_ref(), tombstone.key()).await?;
        if delete.gone.contains(&reply.status.as_u16()) {
            return Err(reply.refused(Refusal::Gone));
        }
        let reply = explained(reply)?;
        if self.accepted(&reply) {
            return Ok(());
        }
        // It was not done, and that may be because there is nothing to do.
        let there = self.rows().await.map_err(after_effect)?.iter().any(|row| row.key.id == *tombstone.key());
        if there { self.done(reply).map(drop) } else { Err(reply.refused(Refusal::Gone)) }
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        self.commands(key)
    }

    /// By status alone. Sent without the admin headers; 429 and 5xx are failures.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let probe = &self.config.probe;
        let url = match (&probe.url, &probe.path) {
            (Some(url), _) => url.clone(),
            (None, path) => format!("{}{}", self.base, path.as_deref().unwrap_or_default()),
        };
        let request = self.with_key(self.ctx.wire.client().request(method(probe.method), url), credential)?;
        let status = wire::send(request).await?.status.as_u16();
        Ok(match status {
            _ if probe.alive.contains(&status) => Life::Alive,
            _ if probe.dead.contains(&status) => Life::Dead,
            _ => Life::Unclear,
        })
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        self.config.prompt.as_ref().map(|_| self as &dyn Prompt)
    }

    fn switch(&self) -> Option<&dyn Switch> {
        self.config.disable.as_ref().map(|_| self as &dyn Switch)
    }

    fn usage(&self) -> Option<&dyn Usage> {
        self.config.list.last_used.as_ref().map(|_| self as &dyn Usage)
    }
}

#[async_trait]
impl Prompt for Http {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let Some(spec) = &self.config.prompt else {
            return Err(Failure::refused(Refusal::Invalid, None, "the playbook does not say how services ask a model"));
        };
        let (url, dead) = (spec.url.trim_end_matches('/'), self.config.probe.dead.iter().map(|status| Dead::status(*status)));
        let dead: Vec<Dead> = dead.collect();
        let post = |url: String| self.with_key(self.ctx.wire.client().post(url), credential);
        match spec.format {
            Format::Openai => speech::openai(post(url.to_owned())?, "max_tokens", question, &dead).await,
            Format::Anthropic => speech::anthropic(post(url.to_owned())?.header("anthropic-version", "2023-06-01"), question, &dead).await,
            Format::Gemini => {
                let model = wire::segment(question.model)?;
                speech::gemini(post(format!("{url}/models/{model}{}", speech::verb(question)))?, question, &dead).await
            }
        }
    }
}

#[async_trait]
impl Switch for Http {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        let change = if on { &self.config.enable } else { &self.config.disable };
        let Some(change) = change else {
            return Err(Failure::refused(Refusal::Invalid, None, "the playbook does not say how a key is switched"));
        };
        self.done(self.change(change.method, &change.path, change.body.as_ref(), key).await?).map(drop)
    }
}

#[async_trait]
impl Usage for Http {
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let row = self.rows().await?.into_iter().find(|row| row.key.id == *key);
        row.map(|row| row.key.last_used).ok_or_else(|| Failure::refused(Refusal::Gone, None, format!("{} lists no key {key}", self.base)))
    }
}
