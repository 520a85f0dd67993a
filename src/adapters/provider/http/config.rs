//! The block of an `http` provider, and what must hold in it before anybody is called.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::template;
use crate::{
    adapters::provider::kit::address,
    playbook::{Fault, SecretRef, Span},
};

/// Any service with a JSON interface for its keys: OpenAI-compatible relays, in-house gateways.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every path is appended to: `https://relay.internal/api`.
    pub base_url: String,
    /// Sent with every admin request, never with the probe: `Authorization: { bearer: env:RELAY_ADMIN_KEY }`.
    #[serde(default)]
    pub headers: BTreeMap<String, Header>,
    /// What every admin answer says where the service did what it was asked: for services that refuse with status 200.
    pub accepted: Option<Accepted>,
    /// What services write before a value that the service gives and shows without it: `sk-`.
    #[serde(default)]
    pub value_prefix: String,
    /// Makes a key.
    pub create: Create,
    /// Lists all keys.
    pub list: List,
    /// Deletes one key.
    pub delete: Delete,
    /// Switches one key off, reversibly; with `enable`, or not at all.
    pub disable: Option<ById>,
    /// Switches it on again.
    pub enable: Option<ById>,
    /// One cheap call with the key itself.
    pub probe: Probe,
    /// How services ask a model: what the playbook's `probe.level` `prompt` and `stream` call.
    pub prompt: Option<Speech>,
    /// What the service promises.
    #[serde(default)]
    pub timings: Timings,
    /// What two rotations would fight over: a user's or team's name, where keys share a quota.
    pub principal: Option<String>,
    /// The most keys the listing may show; preflight demands room for one more.
    pub quota: Option<usize>,
}

/// A request header's value. A secret is a reference by its type.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Header {
    /// `Bearer ` and the secret that stands there.
    Bearer(SecretRef),
    /// The secret that stands there.
    Ref(SecretRef),
    /// This text; refused for headers that carry credentials.
    Text(String),
}

/// Read by hand: serde's own messages repeat what they do not expect, and here that is likely a secret.
impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Header, E> {
                Err(E::custom(FORMS))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let header = match map.next_key::<String>()?.as_deref() {
                    Some("bearer") => Header::Bearer(map.next_value()?),
                    Some("ref") => Header::Ref(map.next_value()?),
                    Some("text") => Header::Text(map.next_value()?),
                    _ => return Err(A::Error::custom(FORMS)),
                };
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(header),
                    Some(_) => Err(A::Error::custom(FORMS)),
                }
            }
        }

        from.deserialize_any(Reader)
    }
}

/// What a header's value can be.
const FORMS: &str = "a header is `{ bearer: env:NAME }`, `{ ref: env:NAME }` or `{ text: … }`: a secret must not stand in a playbook";

/// An HTTP method.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// What an answer says of the work being done. Another answer is unknown: the work may be done all the same.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Where in an answer it stands: a JSON pointer.
    pub at: String,
    /// What stands there: `true`.
    pub is: Value,
}

/// How a key is made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The method.
    #[serde(default = "post")]
    pub method: Verb,
    /// The path; `{name}` and `{token}` are filled in, percent-encoded.
    pub path: String,
    /// The JSON body; `{name}` (the key's name) and `{token}` (the same when one create is repeated) are filled into its texts.
    pub body: Option<Value>,
    /// Where in the answer the key's id stands: a JSON pointer. Without it the key is looked for in the listing, by its name: the listing must
    /// show a new key at once.
    pub id: Option<String>,
    /// Where in the answer the key itself stands: a JSON pointer.
    pub secret: String,
    /// A second call whose answer has the key at `secret`, where the first one's has not.
    pub then: Option<Then>,
    /// Where in the answer the time of its making stands: a JSON pointer to RFC 3339 text or seconds or milliseconds since 1970.
    pub created_at: Option<String>,
    /// Where in the answer the time stands when the key stops working by itself; `null` or absent there: never.
    pub expires_at: Option<String>,
    /// The header that takes the token. Write it only if the service answers a repeated token with the same key.
    pub idempotency_header: Option<String>,
}

/// The call that gives a new key's value.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// The method.
    #[serde(default = "get")]
    pub method: Verb,
    /// The path; `{id}` is filled in, percent-encoded.
    pub path: String,
}

/// How keys are listed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The path, with what query it needs: `/keys?limit=100`.
    pub path: String,
    /// Where in the answer the list stands: a JSON pointer; empty: the answer is the list.
    pub items: String,
    /// Where in an item its id stands: a JSON pointer, as all that follow.
    pub id: String,
    /// The name given at its creation: a lost create is found by it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// When it stops working by itself; `null` or absent: never.
    pub expires_at: Option<String>,
    /// When it was last used; `null` or absent: never.
    pub last_used: Option<String>,
    /// Whether it can be used; without it every listed key can.
    pub enabled: Option<Enabled>,
    /// Its value with the middle hidden: `sk-abc...wxyz`. Proves which key a value is.
    pub redacted: Option<String>,
    /// The hex SHA-256 of its value. Proves which key a value is.
    pub sha256: Option<String>,
    /// The id is a part of the value, which proves which key a value is.
    #[serde(default)]
    pub id_in_value: bool,
    /// How the next page is asked for; without it the first page is all.
    pub next: Option<Next>,
}

/// When a listed key can be used.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enabled {
    /// Where in an item it stands: a JSON pointer.
    pub at: String,
    /// What stands there if the key can be used: `true`, `false` (for a field like `disabled`), `active`.
    pub is: Value,
}

/// How the next page is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Next {
    /// The answer names it.
    Cursor {
        /// Where in the answer the cursor stands: a JSON pointer; absent, `null` or empty: this was the last page.
        at: String,
        /// The query parameter that takes it.
        query: String,
        /// Where in the answer it says whether there are more pages (a boolean): a JSON pointer.
        more: Option<String>,
    },
    /// Pages are counted, up to an empty one.
    Page {
        /// The query parameter that takes the number.
        query: String,
        /// The first page's number.
        #[serde(default = "one")]
        first: u64,
    },
    /// Items are counted, up to an empty page.
    Offset {
        /// The query parameter that takes the number of items to leave out.
        query: String,
    },
}

/// How a key is deleted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The method.
    #[serde(default = "delete")]
    pub method: Verb,
    /// The path; `{id}` is filled in, percent-encoded.
    pub path: String,
    /// The JSON body; `{id}` is filled into its texts.
    pub body: Option<Value>,
    /// Statuses that mean "no such key", besides 404 and 410.
    #[serde(default)]
    pub gone: Vec<u16>,
}

/// A change of one key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ById {
    /// The method.
    #[serde(default = "post")]
    pub method: Verb,
    /// The path; `{id}` is filled in, percent-encoded.
    pub path: String,
    /// The JSON body; `{id}` is filled into its texts.
    pub body: Option<Value>,
}

/// How a key is tried. Exactly one of `path` and `url`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The path, appended to `base_url`.
    pub path: Option<String>,
    /// The whole address, where services call another host.
    pub url: Option<String>,
    /// The method.
    #[serde(default = "get")]
    pub method: Verb,
    /// How the key is sent.
    #[serde(default)]
    pub key: SentAs,
    /// Statuses of a key that works.
    #[serde(default = "ok")]
    pub alive: Vec<u16>,
    /// Statuses of no key at all. A 403 often means a living key without the right to this call: list it only if you know.
    #[serde(default = "unauthorized")]
    pub dead: Vec<u16>,
}

/// How services ask a model. The key is sent as in `probe`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Speech {
    /// The wire format.
    pub format: Format,
    /// The whole address that is called, for `gemini` without the model at its end: `https://relay.internal/v1/chat/completions`,
    /// `https://relay.internal/v1/messages`, `https://relay.internal/v1beta`.
    pub url: String,
}

/// A wire format that services speak.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Chat completions.
    Openai,
    /// Messages.
    Anthropic,
    /// Generated content.
    Gemini,
}

/// How a key is sent.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SentAs {
    /// `Authorization: Bearer …`.
    #[default]
    Bearer,
    /// As this header: `{ header: x-api-key }`.
    Header(String),
}

/// What the service promises. Too short a time is unsafe, too long a time only slow.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timings {
    /// How long a new key may stay out of the listing.
    pub listed_within: Span,
    /// How long a new key may be refused before it works everywhere.
    pub ready_within: Span,
    /// How long a deleted key may still work.
    pub dead_within: Span,
    /// How late the times of last use may be.
    pub usage_lag: Span,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            listed_within: Span::secs(30),
            ready_within: Span::secs(60),
            dead_within: Span::secs(15 * 60),
            usage_lag: Span::secs(15 * 60),
        }
    }
}

fn one() -> u64 {
    1
}
fn get() -> Verb {
    Verb::Get
}
fn post() -> Verb {
    Verb::Post
}
fn delete() -> Verb {
    Verb::Delete
}
fn ok() -> Vec<u16> {
    vec![200]
}
fn unauthorized() -> Vec<u16> {
    vec![401]
}

/// Headers that carry credentials.
const CREDENTIALS: [&str; 7] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "x-auth-token"];

impl Config {
    /// The address without its last slash, if the block makes sense.
    pub(super) fn check(&self) -> Result<String, Fault> {
        let base = address("base_url", &self.base_url)?;
        self.check_headers()?;
        for (field, path, body, places) in self.requests() {
            template::check(field, path, body, places)?;
            if !path.starts_with('/') || url::Url::parse(&format!("{base}{path}")).is_err() {
                return Err(Fault::new(format!("`{field}` needs a path that begins with `/`")));
            }
        }
        for pointer in self.pointers() {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(Fault::new("a JSON pointer begins with `/`").instead("for example `/data/id`"));
            }
        }
        let then = self.create.then.as_ref().map(|then| ("create.then", (&then.path, &None)));
        for (field, change) in [("delete", (&self.delete.path, &self.delete.body))].into_iter().chain(then).chain(self.switches()) {
            if !template::uses("{id}", change.0, change.1.as_ref()) {
                return Err(Fault::new(format!("`{field}` names no key")).instead("write `{id}` in its path or body"));
            }
        }
        if self.disable.is_some() != self.enable.is_some() {
            return Err(Fault::new("`disable` and `enable` go together: a key that is switched off must be able to come back"));
        }
        self.check_settling()?;
        self.check_probe()?;
        Ok(base)
    }

    fn check_headers(&self) -> Result<(), Fault> {
        for (name, value) in &self.headers {
            if matches!(value, Header::Text(_)) && CREDENTIALS.contains(&name.to_lowercase().as_str()) {
                return Err(Fault::new(format!("`headers.{name}` carries a credential, which must not stand in a playbook"))
                    .instead("`{ bearer: env:NAME }` or `{ ref: env:NAME }`"));
            }
        }
        let sent = match &self.probe.key {
            SentAs::Header(name) => Some(name),
            SentAs::Bearer => None,
        };
        let names = self.headers.keys().chain(&self.create.idempotency_header).chain(sent);
        match names.into_iter().find(|name| reqwest::header::HeaderName::try_from(name.as_str()).is_err()) {
            Some(_) => Err(Fault::new("not a header's name").instead("for example `Authorization`")),
            None => Ok(()),
        }
    }

    /// A create whose reply is lost must leave something to go by.
    fn check_settling(&self) -> Result<(), Fault> {
        if self.list.name.is_none() {
            return Err(Fault::new(
                "a create whose reply is lost could not be settled: the listing shows no names, and nothing replays the reply",
            )
            .instead("`list.name` (where an item's name stands), or `create.idempotency_header` if the service has one"));
        }
        if !template::uses("{name}", &self.create.path, self.create.body.as_ref()) {
            return Err(Fault::new("a create whose reply is lost could not be settled: `create` does not send the key's name")
                .instead("write `{name}` in `create.body`"));
        }
        Ok(())
    }

    fn check_probe(&self) -> Result<(), Fault> {
        match (&self.probe.path, &self.probe.url) {
            (Some(_), None) => {}
            (None, Some(url)) => drop(address("probe.url", url)?),
            _ => return Err(Fault::new("`probe` needs either `path` or `url`")),
        }
        if let Some(prompt) = &self.prompt {
            address("prompt.url", &prompt.url)?;
        }
        if self.probe.dead.is_empty() || self.probe.alive.is_empty() || self.probe.alive.iter().any(|code| self.probe.dead.contains(code)) {
            return Err(Fault::new("`probe` needs statuses of `alive` and of `dead` keys, and none may be both"));
        }
        if self.probe.dead.iter().any(|code| !(400..500).contains(code) || matches!(code, 408 | 429)) {
            return Err(Fault::new("`probe.dead` takes 4xx but 408 and 429: the others say nothing about a key"));
        }
        Ok(())
    }

    /// Each request's field, path, body and placeholders.
    fn requests(&self) -> Vec<(&'static str, &str, Option<&Value>, &'static [&'static str])> {
        let mut all: Vec<(_, _, _, &'static [&'static str])> = vec![
            ("create", self.create.path.as_str(), self.create.body.as_ref(), &["name", "token"]),
            ("list", self.list.path.as_str(), None, &[]),
            ("delete", self.delete.path.as_str(), self.delete.body.as_ref(), &["id"]),
        ];
        all.extend(self.create.then.as_ref().map(|then| ("create.then", then.path.as_str(), None, &["id"] as &[&str])));
        all.extend(self.probe.path.as_deref().map(|path| ("probe", path, None, &[] as &[&str])));
        all.extend(self.switches().map(|(field, (path, body))| (field, path.as_str(), body.as_ref(), &["id"] as &[&str])));
        all
    }

    fn switches(&self) -> impl Iterator<Item = (&'static str, (&String, &Option<Value>))> {
        let named = [("disable", &self.disable), ("enable", &self.enable)];
        named.into_iter().filter_map(|(field, change)| change.as_ref().map(|change| (field, (&change.path, &change.body))))
    }

    fn pointers(&self) -> impl Iterator<Item = &String> {
        let list = &self.list;
        let next = match &list.next {
            Some(Next::Cursor { at, more, .. }) => [Some(at), more.as_ref()],
            _ => [None, None],
        };
        let optional = [
            &self.create.id,
            &self.create.created_at,
            &self.create.expires_at,
            &list.name,
            &list.created_at,
            &list.expires_at,
            &list.last_used,
            &list.redacted,
            &list.sha256,
        ];
        [&self.create.secret, &list.items, &list.id]
            .into_iter()
            .chain(self.accepted.as_ref().map(|accepted| &accepted.at))
            .chain(optional.into_iter().flatten())
            .chain(list.enabled.as_ref().map(|enabled| &enabled.at))
            .chain(next.into_iter().flatten())
    }
}
