//! HTTP, once for all adapters: no redirects, short errors, and the three fates of a call.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde::de::DeserializeOwned;

use crate::{
    playbook::{Fault, SecretRef},
    ports::{Failure, Fate, Got, Secrets},
    protocol::Refusal,
};

/// How long one call may take in all, from the connection to the end of its answer. Shorter than a lease that is renewed every third
/// of its time: a call that changes something is over before anybody else can take the rotation.
const WHOLE_CALL: Duration = Duration::from_secs(20);
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
    /// With the system's trust roots; where there are none that can be read, every handshake fails and says so.
    ///
    /// # Errors
    /// Where TLS cannot be set up at all.
    pub fn new() -> Got<Self> {
        let system = super::trust::System::new(rustls::crypto::aws_lc_rs::default_provider().into());
        Self::with(protocols()?.dangerous().with_custom_certificate_verifier(Arc::new(system)))
    }

    /// That trusts the certificates in `pem` (one or more authorities) and no others.
    ///
    /// # Errors
    /// Where `pem` holds no certificate.
    pub fn trusting(pem: &[u8]) -> Got<Self> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|error| no_tls(&error))?).map_err(|error| no_tls(&error))?;
        }
        if roots.is_empty() {
            return Err(no_tls(&"the file of trusted authorities holds no PEM certificate"));
        }
        Self::with(protocols()?.with_root_certificates(roots))
    }

    fn with(trust: rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>) -> Got<Self> {
        let tls = Arc::new(trust.with_no_client_auth());
        let client = builder(&tls).build().map_err(|error| no_tls(&error.without_url()))?;
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

fn protocols() -> Got<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>> {
    rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| no_tls(&error))
}

fn no_tls(error: &dyn std::fmt::Display) -> Failure {
    Failure::not_sent(format!("TLS cannot be set up: {error}"))
}

fn builder(tls: &Arc<rustls::ClientConfig>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured((**tls).clone())
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("keyroll/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .timeout(WHOLE_CALL)
}

/// Sends a request. 2xx and 4xx are replies (but 408 and 429); all else is a [`Failure`] whose fate says whether it may have happened.
pub async fn send(request: RequestBuilder) -> Got<Reply> {
    let (client, request) = split(request)?;
    let asked = name(request.method(), request.url());
    exchange(client, request, asked).await
}

/// As [`send`], where the address itself is a secret: diagnostics and errors call it `asked`.
pub async fn send_to(request: RequestBuilder, asked: &str) -> Got<Reply> {
    let (client, request) = split(request)?;
    exchange(client, request, asked.to_owned()).await
}

fn split(request: RequestBuilder) -> Got<(reqwest::Client, reqwest::Request)> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| Failure::refused(Refusal::Invalid, None, format!("not a request: {}", error.without_url())))?;
    Ok((client, request))
}

async fn exchange(client: reqwest::Client, request: reqwest::Request, asked: String) -> Got<Reply> {
    tracing::debug!(asked, "request");
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

    /// A 2xx that is not what the other side's page says: the work may be done.
    pub fn unlike(&self, what: &str) -> Failure {
        Failure::unknown(format!("{}: the answer holds {what}", self.asked))
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

/// The same failure where it stopped us before the effect: what may have happened is not what was wanted.
pub fn before_effect(mut failure: Failure) -> Failure {
    if let Fate::Unknown { retry_after } = failure.fate {
        failure.fate = Fate::NotSent { retry_after };
    }
    failure
}

/// The same failure where it stopped us after the effect was asked for: a refusal of what came after is no refusal of it.
pub fn after_effect(mut failure: Failure) -> Failure {
    let retry_after = match failure.fate {
        Fate::Unknown { retry_after } | Fate::NotSent { retry_after } => retry_after,
        Fate::Refused { .. } => None,
    };
    failure.fate = Fate::Unknown { retry_after };
    failure
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

/// An `http` or `https` URL in a playbook, without a user in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(pub url::Url);

impl std::str::FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = url::Url::parse(text).map_err(|_| "not a URL: write for example `https://api.internal/path`")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the URL must begin with https:// or http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL must hold no user or password: use a header with a secret reference");
        }
        Ok(Self(url))
    }
}

impl std::fmt::Display for Address {
    /// Without its query, where a secret may stand.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{}://{}{port}{}", self.0.scheme(), self.0.host_str().unwrap_or("?"), self.0.path())
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "uri", "pattern": "^https?://" })
    }
}

/// Whether all of these can be header names.
///
/// # Errors
/// A [`Fault`] that does not repeat the name: it may be a misplaced secret.
pub fn check_header_names<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), Fault> {
    let bad = names.into_iter().any(|name| reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err());
    if bad { Err(Fault::new("a header's name holds a character that none may hold").instead("letters, digits and `-`")) } else { Ok(()) }
}

/// Headers whose values stand behind secret references; marked sensitive, so that nothing prints them.
///
/// # Errors
/// A reference that cannot be read, or a value that no header can hold.
pub async fn headers(secrets: &dyn Secrets, wanted: &BTreeMap<String, SecretRef>) -> Got<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, reference) in wanted {
        let secret = secrets.read(reference).await?;
        let name = reqwest::header::HeaderName::from_bytes(name.as_bytes());
        let value = reqwest::header::HeaderValue::from_str(secret.reveal());
        let (Ok(name), Ok(mut value)) = (name, value) else {
            let what = format!("the value of {reference} cannot be sent in a header");
            return Err(Failure::refused(Refusal::Invalid, None, what).hint("look for a newline at its end"));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
