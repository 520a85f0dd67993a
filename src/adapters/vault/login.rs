//! Logins, and the token they give.

use std::time::Duration;

use rustify::{Endpoint, enums::RequestMethod};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;
use vaultrs::api::auth::{approle::requests::LoginWithApproleRequest, oidc::requests::JWTLoginRequest};

use super::{Raw, Vault};
use crate::{
    adapters::wire,
    playbook::SecretRef,
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

/// How to log in to Vault.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// A token: `token: env:VAULT_TOKEN`.
    Token(LoginRef),
    /// A role's id and secret id.
    Approle(AppRole),
    /// The pod's service account.
    Kubernetes(Kubernetes),
    /// A signed token of another issuer: a CI job's, a workload identity's.
    Jwt(Jwt),
}

/// A login with a role's id and secret id.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRole {
    /// The role's id (not its name).
    pub role_id: String,
    /// Where its secret id stands.
    pub secret_id: LoginRef,
    /// Where the method is mounted.
    #[serde(default = "approle")]
    pub mount: String,
}

/// A login with the pod's service account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// The role in Vault.
    pub role: String,
    /// Where the service account's token stands.
    #[serde(default = "service_account")]
    pub jwt: LoginRef,
    /// Where the method is mounted.
    #[serde(default = "kubernetes")]
    pub mount: String,
}

/// A login with a signed token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The role in Vault.
    pub role: String,
    /// Where the token stands.
    pub jwt: LoginRef,
    /// Where the method is mounted.
    #[serde(default = "jwt")]
    pub mount: String,
}

fn approle() -> String {
    "approle".into()
}
fn kubernetes() -> String {
    "kubernetes".into()
}
fn jwt() -> String {
    "jwt".into()
}
fn service_account() -> LoginRef {
    LoginRef(SecretRef::File("/var/run/secrets/kubernetes.io/serviceaccount/token".into()))
}

/// A reference that needs no Vault to be read: `env:NAME` or `file:/path`.
#[derive(JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^(env|file):.+"))]
pub struct LoginRef(SecretRef);

impl<'de> Deserialize<'de> for LoginRef {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match SecretRef::deserialize(from)? {
            reference @ (SecretRef::Env(_) | SecretRef::File(_)) => Ok(Self(reference)),
            _ => Err(serde::de::Error::custom("a login to Vault must not need another store: use env: or file:")),
        }
    }
}

impl LoginRef {
    /// The value of an environment variable.
    pub fn env(name: &str) -> Self {
        Self(SecretRef::Env(name.into()))
    }
    /// A file's content.
    pub fn file(path: impl Into<String>) -> Self {
        Self(SecretRef::File(path.into()))
    }
}

impl Auth {
    /// What to look at when Vault does not let us in.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Token(token) => format!("check the token at {}: it is wrong, has ended or was revoked", token.0),
            Self::Approle(role) => {
                format!("check role_id and the secret id at {}: one is wrong, has ended or is used up", role.secret_id.0)
            }
            Self::Kubernetes(login) => {
                format!(
                    "check that role `{}` of auth/{} allows this service account and namespace ({})",
                    login.role, login.mount, login.jwt.0
                )
            }
            Self::Jwt(login) => {
                format!("check that role `{}` of auth/{} allows this token's issuer and claims ({})", login.role, login.mount, login.jwt.0)
            }
        }
    }

    fn about(&self) -> String {
        match self {
            Self::Token(token) => format!("the token at {}", token.0),
            Self::Approle(role) => format!("the login at auth/{}", role.mount),
            Self::Kubernetes(login) => format!("the login at auth/{}", login.mount),
            Self::Jwt(login) => format!("the login at auth/{}", login.mount),
        }
    }
}

/// A token in use.
pub(super) struct Token {
    pub secret: Secret,
    /// Read or logged in for this very call: another would be no better.
    pub fresh: bool,
}

/// A token that a login gave.
pub(super) struct Held {
    secret: Secret,
    lease: Duration,
    /// When to renew it or log in again; none: it does not end.
    until: Option<Instant>,
    renewable: bool,
}

#[derive(Deserialize)]
struct Given {
    auth: Grant,
}

#[derive(Deserialize)]
struct Grant {
    client_token: String,
    lease_duration: u64,
    renewable: bool,
}

impl From<Grant> for Held {
    fn from(grant: Grant) -> Self {
        let lease = Duration::from_secs(grant.lease_duration.min(10 * 365 * 86_400));
        let margin = (lease / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
        let until = (!lease.is_zero()).then(|| Instant::now() + lease.saturating_sub(margin));
        Self { secret: Secret::new(grant.client_token), lease, until, renewable: grant.renewable }
    }
}

impl Vault {
    /// The token to use now: read, kept, renewed, or from a new login.
    pub(super) async fn token(&self) -> Got<Token> {
        if let Auth::Token(reference) = &self.auth {
            return Ok(Token { secret: self.ctx.secrets.read(&reference.0).await?, fresh: true });
        }
        let mut held = self.held.lock().await;
        if let Some(kept) = held.as_ref().filter(|kept| kept.until.is_none_or(|until| Instant::now() < until)) {
            return Ok(Token { secret: kept.secret.duplicate(), fresh: false });
        }
        let renewed = match held.take().filter(|kept| kept.renewable) {
            Some(kept) => self.renew(&kept).await,
            None => None,
        };
        let next = match renewed {
            Some(renewed) => renewed,
            None => self.login().await?,
        };
        let secret = next.secret.duplicate();
        *held = Some(next);
        Ok(Token { secret, fresh: true })
    }

    /// Drops a token that was refused, unless another call has replaced it.
    pub(super) async fn forget(&self, refused: &Token) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|kept| kept.secret.same(&refused.secret)) {
            *held = None;
        }
    }

    /// None: log in instead. Near the end of its longest life a renewal adds less and less, so half a lease counts as none.
    async fn renew(&self, kept: &Held) -> Option<Held> {
        let request = Raw { method: RequestMethod::POST, path: "auth/token/renew-self".into(), body: Vec::new() };
        let reply = self.call_as(&request, Some(&kept.secret)).await.ok()?.ok().ok()?;
        let renewed = Held::from(reply.json::<Given>().ok()?.auth);
        (renewed.lease * 2 > kept.lease).then_some(renewed)
    }

    async fn login(&self) -> Got<Held> {
        let read = async |reference: &LoginRef| self.ctx.secrets.read(&reference.0).await;
        match &self.auth {
            Auth::Token(reference) => Ok(Held { secret: read(reference).await?, lease: Duration::ZERO, until: None, renewable: false }),
            Auth::Approle(role) => {
                let secret_id = read(&role.secret_id).await?.reveal().to_owned();
                let (mount, role_id) = (role.mount.clone(), role.role_id.clone());
                self.enter_with(&LoginWithApproleRequest { mount, role_id, secret_id }).await
            }
            Auth::Kubernetes(Kubernetes { role, jwt, mount }) | Auth::Jwt(Jwt { role, jwt, mount }) => {
                let jwt = read(jwt).await?.reveal().to_owned();
                self.enter_with(&JWTLoginRequest { mount: mount.clone(), jwt, role: Some(role.clone()) }).await
            }
        }
    }

    async fn enter_with<E: Endpoint>(&self, request: &E) -> Got<Held> {
        // Vault answers 500 where the login method cannot reach its own other side (Kubernetes' review of a token).
        let failed = |failure: Failure| match failure.hint {
            Some(_) => wire::before_effect(failure),
            None => wire::before_effect(failure).hint(format!("we could not log in: {}", self.auth.advice())),
        };
        let reply = self.call_as(request, None).await.map_err(failed)?;
        if !reply.status.is_success() {
            let code = reply.status.as_u16();
            // Where no method is mounted, Vault answers 403 as well.
            let hint = format!("{}; and check `mount`", self.auth.advice());
            let what = format!("{}: {} was refused ({code})", self.describe(), self.auth.about());
            return Err(Failure::refused(Refusal::Denied, Some(code), what).hint(hint));
        }
        Ok(reply.json::<Given>()?.auth.into())
    }
}
