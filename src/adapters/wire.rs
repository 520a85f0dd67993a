//! HTTP, once for all adapters: no redirects, short errors, and the three fates of a call.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde::de::DeserializeOwned;

use crate::{
    ports::{Failure, Fate, Got},
    protocol::Refusal,
};

/// The longest answer that is read; more is an unreadable answer.
const LONGEST_BODY: usize = 16 << 20;

/// A client factory with one TLS configuration (building one takes milliseconds, sharing it microseconds).
#[derive(Clone)]
pub struct Wire {
    tls: Arc<rustls::ClientConfig>,
    client: reqwest::Client,
}

/// An answer that was read whole.
pub struct Reply {
    /// 2xx or 4xx; the others are failures.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body. Never goes into an error.
    pub body: Vec<u8>,
    /// Who was asked for what.
    asked: String,
}

impl Wire {
    /// With the system's trust roots.
    ///
    /// # Errors
    /// Where the system has none that can be read.
    pub fn new() -> Got<Self> {
        use rustls_platform_verifier::BuilderVerifierExt;
        let broken = |error: &dyn std::fmt::Display| Failure::not_sent(format!("TLS cannot be set up: {error}"));
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(|error| broken(&error))?
            .with_no_client_auth();
        let tls = Arc::new(tls);
        let client = builder(&tls).build().map_err(|error| broken(&error.without_url()))?;
        Ok(Self { tls, client })
    }

    /// The client for named hosts. Redirects are never followed: a credential would follow them.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// A client that reaches `host` at exactly this address, with a new connection each time: reqwest pools by name,
    /// and two copies of a service behind one name must not be taken for one.
    pub fn pinned(&self, host: &str, address: SocketAddr) -> Got<reqwest::Client> {
        builder(&self.tls)
            .no_proxy()
            .resolve(host, address)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| Failure::not_sent(format!("{host}: {}", error.without_url())))
    }
}

fn builder(tls: &Arc<rustls::ClientConfig>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured((**tls).clone())
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("keyroll/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
}

/// Sends a request. 2xx and 4xx are replies (but 408 and 429); all else is a [`Failure`] whose fate says whether it may have happened.
pub async fn send(request: RequestBuilder) -> Got<Reply> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| Failure::refused(Refusal::Invalid, None, format!("not a request: {}", error.without_url())))?;
    let asked = name(request.method(), request.url());
    let mut response = client.execute(request).await.map_err(|error| broken(&asked, &error))?;
    let status = response.status();
    let headers = response.headers().clone();
    let retry_after = retry_after(&headers, Utc::now());
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Failure { fate: Fate::NotSent { retry_after }, what: format!("{asked} answered 429 (too many requests)"), hint: None });
    }
    if status.is_server_error() || status.is_redirection() || status.is_informational() || status == StatusCode::REQUEST_TIMEOUT {
        let hint = status.is_redirection().then(|| "keyroll follows no redirect: write the final address in the playbook".into());
        return Err(Failure { fate: Fate::Unknown { retry_after }, what: format!("{asked} answered {}", status.as_u16()), hint });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Failure::unknown(format!("{asked}: the answer broke off")))? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Failure::unknown(format!("{asked}: the answer is longer than 16 MiB")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body, asked })
}

impl Reply {
    /// This reply if it is 2xx; else the refusal its status means.
    pub fn ok(self) -> Got<Self> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// The refusal this status means: 401 and 403 denied, 404 and 410 gone, 409 and 412 conflict, else invalid.
    pub fn refusal(&self) -> Failure {
        let why = match self.status.as_u16() {
            401 | 403 | 407 => Refusal::Denied,
            404 | 410 => Refusal::Gone,
            409 | 412 => Refusal::Conflict,
            _ => Refusal::Invalid,
        };
        self.refused(why)
    }

    /// A refusal of an adapter's own reading.
    pub fn refused(&self, why: Refusal) -> Failure {
        Failure::refused(why, Some(self.status.as_u16()), format!("{} answered {}", self.asked, self.status.as_u16()))
    }

    /// The body as `T`. Unreadable counts as unknown: the work may be done. The error never holds a part of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Got<T> {
        serde_json::from_slice(&self.body).map_err(|_| Failure::unknown(format!("{}: the answer is not the JSON we expect", self.asked)))
    }

    /// The other side's clock.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        let text = self.headers.get(reqwest::header::DATE)?.to_str().ok()?;
        DateTime::parse_from_rfc2822(text).ok().map(|date| date.with_timezone(&Utc))
    }
}

/// Method and address, without query or user, where secrets may stand.
fn name(method: &reqwest::Method, url: &url::Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{method} {}://{}{port}{}", url.scheme(), url.host_str().unwrap_or("?"), url.path())
}

/// Text as one segment of a path, or one value of a query: percent-encoded (RFC 3986 §2.3), so that an id can name nothing else.
///
/// # Errors
/// For an empty text and for `.` and `..`, which URL parsers drop: `DELETE /keys/..` would be another request.
pub fn segment(text: &str) -> Got<String> {
    if matches!(text, "" | "." | "..") {
        return Err(Failure::refused(Refusal::Invalid, None, "an id that is empty, `.` or `..` cannot stand in an address"));
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    Ok(encoded)
}

fn broken(asked: &str, error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        return Failure::not_sent(format!("{asked}: no connection ({})", cause(error)));
    }
    let why = if error.is_timeout() { "no answer in time" } else { "the connection broke" };
    Failure::unknown(format!("{asked}: {why}"))
}

/// The innermost cause, which names no URL: `Connection refused`.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), at most a day.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc) - now).to_std().unwrap_or_default(),
    };
    Some(wait.min(Duration::from_secs(86_400)))
}
