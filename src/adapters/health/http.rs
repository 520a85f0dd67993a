//! Asks an instance over HTTP, at exactly its address.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use regex::Regex;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::{
    adapters::{Ctx, wire::Wire},
    ids::InstanceId,
    playbook::{Fault, HealthSpec, Pointer, Scheme, Span},
    ports::{Claim, Failure, Got, Health, Instance, Report},
    protocol::Refusal,
};

/// A health answer is small; more is not one.
const LONGEST_BODY: usize = 1 << 20;
/// Clients kept; more than any service has copies, few enough to forget.
const MOST_CLIENTS: usize = 4096;

/// Asks as `spec` says.
///
/// # Errors
/// A path that does not begin with `/`, a pointer, header name or pattern that is none, or not exactly one of `version`,
/// `key_id` and `fingerprint`.
pub fn http(spec: &HealthSpec, ctx: &Ctx) -> Result<Arc<dyn Health>, Fault> {
    if !spec.path.starts_with('/') {
        return Err(
            Fault::new("`path` of `health` does not begin with `/`").instead("write the path from the root, for example `/healthz`")
        );
    }
    let (kind, pointer): (fn(String) -> Option<Claim>, _) = match (&spec.version, &spec.key_id, &spec.fingerprint) {
        (Some(pointer), None, None) => (|text| Some(Claim::Version(text)), pointer),
        (None, Some(pointer), None) => (|text| Some(Claim::KeyId(text)), pointer),
        (None, None, Some(pointer)) => (sha256, pointer),
        _ => return Err(Fault::new("`health` needs exactly one of `version`, `key_id` and `fingerprint`")),
    };
    Ok(Arc::new(Http {
        path: spec.path.clone(),
        scheme: spec.scheme,
        timeout: spec.timeout,
        claim: (kind, Place::new(pointer)?),
        instance: spec.instance.as_ref().map(Place::new).transpose()?,
        wire: ctx.wire.clone(),
        clients: Mutex::default(),
    }))
}

/// The first 8 to 64 hex digits of a SHA-256; anything else says nothing.
fn sha256(text: String) -> Option<Claim> {
    let text = text.to_ascii_lowercase();
    ((8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(Claim::Sha256(text))
}

/// A [`Pointer`] that was checked.
enum Place {
    Json(String),
    Header(HeaderName),
    Pattern(Regex),
}

impl Place {
    fn new(pointer: &Pointer) -> Result<Self, Fault> {
        match pointer {
            // RFC 6901 §3: `~` stands only in `~0` and `~1`.
            Pointer::Json(text) => {
                let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
                if (text.is_empty() || text.starts_with('/')) && escaped {
                    return Ok(Self::Json(text.clone()));
                }
                Err(Fault::new("not a JSON pointer").instead("write for example `/secrets/openai/version` (RFC 6901)"))
            }
            Pointer::Header(name) => HeaderName::from_bytes(name.as_bytes())
                .map(Self::Header)
                .map_err(|_| Fault::new("not a header's name").instead("write for example `X-Key-Version`")),
            Pointer::Pattern(text) => match Regex::new(text) {
                Ok(regex) if regex.captures_len() > 1 => Ok(Self::Pattern(regex)),
                Ok(_) => Err(Fault::new("the pattern has no group").instead("put the value in parentheses: `version=(\\d+)`")),
                Err(_) => Err(Fault::new("the pattern is not a regular expression").instead("see https://docs.rs/regex/#syntax")),
            },
        }
    }

    /// The text there; none: there is none. A number counts as its text.
    fn find(&self, answer: &Answer) -> Option<String> {
        let text = match self {
            Self::Json(pointer) => match answer.json.as_ref()?.pointer(pointer)? {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return None,
            },
            Self::Header(name) => answer.headers.get(name)?.to_str().ok()?.to_owned(),
            Self::Pattern(regex) => regex.captures(&answer.text)?.get(1)?.as_str().to_owned(),
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

struct Answer {
    headers: HeaderMap,
    text: String,
    json: Option<Value>,
}

struct Http {
    path: String,
    scheme: Scheme,
    timeout: Span,
    claim: (fn(String) -> Option<Claim>, Place),
    instance: Option<Place>,
    wire: Wire,
    clients: Mutex<HashMap<(String, SocketAddr), reqwest::Client>>,
}

impl Http {
    /// A client that reaches this one address and keeps no connection.
    fn client(&self, host: &str, address: SocketAddr) -> Got<reqwest::Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&(host.to_owned(), address)) {
            return Ok(client.clone());
        }
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let client = self.wire.pinned(host, address)?;
        clients.insert((host.to_owned(), address), client.clone());
        Ok(client)
    }

    fn broken(&self, asked: &str, error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            let what = format!("{asked}: no answer within {}", self.timeout);
            return Failure::unknown(what).hint("if it is only slow, raise `timeout` under `health`");
        }
        if error.is_connect() {
            return Failure::not_sent(format!("{asked}: no connection")).hint("is it running, and can it be reached from here?");
        }
        Failure::unknown(format!("{asked}: the connection broke"))
    }
}

#[async_trait]
impl Health for Http {
    async fn ask(&self, instance: &Instance) -> Got<Report> {
        // One client for all spellings of a name.
        let host = instance.host.to_ascii_lowercase();
        let literal = host.parse::<IpAddr>().ok();
        if literal.is_some_and(|ip| ip != instance.address.ip()) {
            let what = format!("{} is named by an address that is not its own", instance.id);
            return Err(Failure::refused(Refusal::Invalid, None, what));
        }
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let shown = if literal.is_some_and(|ip| ip.is_ipv6()) { format!("[{host}]") } else { host.clone() };
        let url = format!("{scheme}://{shown}:{}{}", instance.address.port(), self.path);
        let asked = format!("GET {} at {}", url.split(['?', '#']).next().unwrap_or_default(), instance.address);
        let client = self.client(&host, instance.address)?;
        let mut response = client.get(&url).timeout(self.timeout.0).send().await.map_err(|error| self.broken(&asked, &error))?;
        let status = response.status();
        if status.is_redirection() {
            let what = format!("{asked} answered {} (a redirect)", status.as_u16());
            return Err(Failure::unknown(what).hint("keyroll follows no redirect: write the final path and scheme under `health`"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&asked, &error))? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(Failure::unknown(format!("{asked}: the answer is longer than 1 MiB")));
            }
            body.extend_from_slice(&chunk);
        }
        let json = serde_json::from_slice(&body).ok();
        let answer = Answer { headers: response.headers().clone(), text: String::from_utf8_lossy(&body).into_owned(), json };
        let (kind, place) = &self.claim;
        Ok(Report {
            id: self.instance.as_ref().and_then(|place| place.find(&answer)).map(InstanceId::new),
            claim: place.find(&answer).and_then(kind),
            healthy: status.is_success(),
            status: status.as_u16(),
        })
    }
}
