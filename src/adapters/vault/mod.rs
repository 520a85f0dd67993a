//! A Vault client: vaultrs' request types over our own transport. Its own client follows redirects with the token and drops
//! `Retry-After`, and its replies drop a secret's version; here every call has the three fates of [`super::wire`].

mod login;

use std::{path::PathBuf, time::Duration};

use reqwest::{Method, StatusCode, header::HeaderValue};
use rustify::{
    Endpoint,
    enums::{RequestMethod, RequestType, ResponseType},
    errors::ClientError,
};
use serde::Deserialize;
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::{
    Ctx,
    wire::{self, Reply, Wire},
};
use crate::{
    playbook::{Fault, quoted},
    ports::{Failure, Fate, Got},
    protocol::Refusal,
    secret::Secret,
};
use login::Held;
pub use login::{AppRole, Auth, Jwt, Kubernetes, LoginRef};

/// Where a Vault is and how to log in to it.
pub struct Access {
    /// Its address: `https://vault.internal:8200`.
    pub address: String,
    /// The Enterprise namespace.
    pub namespace: Option<String>,
    /// How to log in.
    pub auth: Auth,
    /// A PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// A client of one Vault; it logs in when it is first used, and again when its token ends.
pub struct Vault {
    ctx: Ctx,
    address: String,
    namespace: Option<HeaderValue>,
    auth: Auth,
    ca: Option<PathBuf>,
    wire: OnceCell<Wire>,
    held: Mutex<Option<Held>>,
}

/// The `data` of a reply.
#[derive(Deserialize)]
pub struct Data<T> {
    /// What was asked for.
    pub data: T,
}

/// A request that vaultrs has no type for, or whose type loses something.
pub struct Raw {
    /// Its method; PATCH is sent as a merge patch.
    pub method: RequestMethod,
    /// Its path after `/v1/`.
    pub path: String,
    /// Its JSON body; empty: none.
    pub body: Vec<u8>,
}

impl Raw {
    /// Without a body.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: RequestMethod::GET, path: path.into(), body: Vec::new() }
    }

    /// With a body.
    pub fn with(method: RequestMethod, path: impl Into<String>, body: &serde_json::Value) -> Self {
        Self { method, path: path.into(), body: body.to_string().into_bytes() }
    }
}

impl Endpoint for Raw {
    type Response = serde::de::IgnoredAny;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }
    fn method(&self) -> RequestMethod {
        self.method.clone()
    }
    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(Some(self.body.clone()).filter(|body| !body.is_empty()))
    }
}

/// A request with its whole address, ready to be sent; twice where the first token was too old.
struct Prepared {
    method: Method,
    url: String,
    /// Without `/v1/`, for a policy.
    path: String,
    body: Vec<u8>,
}

impl Vault {
    /// Calls nobody and reads no secret.
    ///
    /// # Errors
    /// Where the address or the namespace cannot be one.
    pub fn new(ctx: &Ctx, access: Access) -> Result<Self, Fault> {
        let url = Url::parse(&access.address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let plain = url.filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none());
        let Some(url) = plain else {
            return Err(Fault::new("the Vault address is no address").instead("address: https://vault.internal:8200"));
        };
        let namespace = match access.namespace.map(|text| HeaderValue::from_str(text.trim_matches('/'))).transpose() {
            Ok(namespace) => namespace,
            Err(_) => return Err(Fault::new("the Vault namespace cannot be sent in a header").instead("namespace: team-a/payments")),
        };
        Ok(Self {
            ctx: ctx.clone(),
            address: url.as_str().trim_end_matches('/').to_owned(),
            namespace,
            auth: access.auth,
            ca: access.ca,
            wire: OnceCell::new(),
            held: Mutex::new(None),
        })
    }

    /// `https://vault.internal:8200`, with the namespace where there is one.
    pub fn describe(&self) -> String {
        match self.namespace.as_ref().and_then(|namespace| namespace.to_str().ok()) {
            Some(namespace) => format!("{} namespace {namespace}", self.address),
            None => self.address.clone(),
        }
    }

    /// What stands before a `vault` command in a shell.
    pub fn shell(&self) -> String {
        let namespace = self.namespace.as_ref().and_then(|namespace| namespace.to_str().ok());
        let namespace = namespace.map_or_else(String::new, |name| format!(" VAULT_NAMESPACE={}", quoted(name)));
        format!("VAULT_ADDR={}{namespace}", quoted(&self.address))
    }

    /// Sends a request with our token. A token from a login that is refused is replaced once: Vault checks the token before
    /// it does anything, so a 403 changed nothing.
    ///
    /// # Errors
    /// All that [`wire::send`] gives, and 403 with a hint; other 4xx are replies.
    pub async fn call<E: Endpoint>(&self, endpoint: &E) -> Got<Reply> {
        let prepared = self.prepare(endpoint)?;
        let token = self.token().await?;
        let reply = self.send(&prepared, Some(&token.secret)).await?;
        if reply.status != StatusCode::FORBIDDEN {
            return Ok(reply);
        }
        if token.fresh {
            return Err(self.denied(&reply, &prepared));
        }
        self.forget(&token).await;
        let token = self.token().await?;
        let reply = self.send(&prepared, Some(&token.secret)).await?;
        if reply.status == StatusCode::FORBIDDEN { Err(self.denied(&reply, &prepared)) } else { Ok(reply) }
    }

    /// Sends a request with this token, or none.
    ///
    /// # Errors
    /// All that [`wire::send`] gives; every 4xx is a reply.
    pub async fn call_as<E: Endpoint>(&self, endpoint: &E, token: Option<&Secret>) -> Got<Reply> {
        self.send(&self.prepare(endpoint)?, token).await
    }

    /// Whether our token is one. A token that may not even look at itself counts as one.
    ///
    /// # Errors
    /// The login's, or a refusal with a hint.
    pub async fn enter(&self) -> Got<()> {
        let prepared = self.prepare(&Raw::get("auth/token/lookup-self"))?;
        let token = self.token().await?;
        let reply = self.send(&prepared, Some(&token.secret)).await?;
        if reply.status == StatusCode::FORBIDDEN && invalid_token(&reply) { Err(self.denied(&reply, &prepared)) } else { Ok(()) }
    }

    fn prepare<E: Endpoint>(&self, endpoint: &E) -> Got<Prepared> {
        let broken = || Failure::refused(Refusal::Invalid, None, format!("{}: not a request that Vault takes", self.address));
        // Only the path and the query of this are used: the address may have a path of its own, before `/v1`.
        let request = endpoint.request("http://vault").map_err(|_| broken())?;
        let (parts, body) = request.into_parts();
        let tail = parts.uri.path_and_query().ok_or_else(broken)?.as_str();
        let path = parts.uri.path().trim_start_matches('/').to_owned();
        Ok(Prepared { method: parts.method, url: format!("{}/v1{tail}", self.address), path, body })
    }

    async fn send(&self, prepared: &Prepared, token: Option<&Secret>) -> Got<Reply> {
        let mut request = self.wire().await?.client().request(prepared.method.clone(), &prepared.url).header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace.clone());
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.reveal()).map_err(|_| {
                Failure::refused(Refusal::Denied, None, "the Vault token is not one line of plain text").hint(self.auth.advice())
            })?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if !prepared.body.is_empty() {
            let form = if prepared.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
            request = request.header("Content-Type", form).body(prepared.body.clone());
        }
        match wire::send(request).await {
            Err(failure) if matches!(failure.fate, Fate::Unknown { .. }) && failure.hint.is_none() && self.sealed().await => {
                Err(failure.hint("Vault is sealed: unseal it with `vault operator unseal`"))
            }
            answer => answer,
        }
    }

    /// Asked after a call failed; silence counts as no.
    async fn sealed(&self) -> bool {
        #[derive(Deserialize)]
        struct Status {
            sealed: bool,
        }
        let Ok(wire) = self.wire().await else { return false };
        let request = wire.client().get(format!("{}/v1/sys/seal-status", self.address)).timeout(Duration::from_secs(2));
        let status = wire::send(request).await.and_then(|reply| reply.json::<Status>());
        status.is_ok_and(|status| status.sealed)
    }

    async fn wire(&self) -> Got<&Wire> {
        let read = || async {
            let Some(path) = &self.ca else { return Ok(self.ctx.wire.clone()) };
            let unreadable = |error| Failure::not_sent(format!("{} cannot be read: {error}", path.display()));
            let pem = tokio::fs::read(path).await.map_err(unreadable);
            pem.and_then(|pem| Wire::trusting(&pem)).map_err(|failure| failure.hint(format!("check `ca: {}`", path.display())))
        };
        self.wire.get_or_try_init(read).await
    }

    fn denied(&self, reply: &Reply, prepared: &Prepared) -> Failure {
        let failure = reply.refused(Refusal::Denied);
        if invalid_token(reply) {
            return failure.hint(format!("permission denied: {}", self.auth.advice()));
        }
        let right = match prepared.method.as_str() {
            "GET" => r#""read""#,
            "LIST" => r#""list""#,
            "PATCH" => r#""patch""#,
            "DELETE" => r#""delete""#,
            _ => r#""create", "update""#,
        };
        failure.hint(format!("permission denied: add to its policy: {}", policy(&prepared.path, right)))
    }
}

/// The policy line that gives these rights (quoted, with commas) at a path.
pub fn policy(path: &str, rights: &str) -> String {
    format!(r#"path "{path}" {{ capabilities = [{rights}] }}"#)
}

/// Vault says so since 1.15; before, a bad token and a missing right looked alike.
fn invalid_token(reply: &Reply) -> bool {
    let says = |what: &str| errors(reply).iter().any(|error| error.contains(what));
    says("invalid token") || says("bad token")
}

/// What Vault says is wrong: to be looked at, never to be shown, since it may repeat what was sent.
pub fn errors(reply: &Reply) -> Vec<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    reply.json::<Errors>().map(|body| body.errors).unwrap_or_default()
}

/// A mount or path as Vault takes it, without slashes at its ends.
///
/// # Errors
/// Where a part of it is empty, `.` or `..`: Vault would redirect, or reach another path.
pub fn path(name: &str, text: &str) -> Result<String, Fault> {
    let text = text.trim_matches('/');
    if text.is_empty() || text.chars().any(char::is_control) || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Fault::new(format!("`{name}` is no path in Vault")).instead(format!("{name}: ai/openai/production")));
    }
    Ok(text.to_owned())
}
