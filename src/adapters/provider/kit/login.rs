//! How an administration is logged in to.

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::{
    adapters::Ctx,
    playbook::{SecretRef, quoted},
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

/// A credential that goes with each call, read anew at each call.
#[async_trait]
pub trait Login: Send + Sync {
    /// The headers it is.
    async fn headers(&self, ctx: &Ctx) -> Got<HeaderMap>;
    /// Where it stands, for messages: `env:OPENAI_ADMIN_KEY`.
    fn stands(&self) -> String;
    /// A shell's command that prints these headers for `curl -H @-`, so that nobody reads them in a list of processes.
    fn shell(&self) -> String;
}

/// Secrets that are sent as headers, each with a text before it.
pub struct Sent(Vec<(&'static str, &'static str, SecretRef)>);

impl Sent {
    /// `Authorization: Bearer …`.
    pub fn bearer(at: SecretRef) -> Self {
        Self::scheme("Bearer ", at)
    }

    /// `Authorization: Token …`, with another word than `Bearer `; the space after it belongs to it.
    pub fn scheme(word: &'static str, at: SecretRef) -> Self {
        Self(vec![("authorization", word, at)])
    }

    /// As a header of its own.
    pub fn header(name: &'static str, at: SecretRef) -> Self {
        Self(vec![(name, "", at)])
    }

    /// And one more header.
    #[must_use]
    pub fn and(mut self, name: &'static str, at: SecretRef) -> Self {
        self.0.push((name, "", at));
        self
    }
}

/// The text as a header's value that nothing prints; it was made of what stands at `at`.
pub(super) fn sensitive(text: &str, at: &SecretRef) -> Got<HeaderValue> {
    let unfit = |_| {
        let what = format!("the value of {at} cannot be sent in a header");
        Failure::refused(Refusal::Invalid, None, what).hint("look for a newline at its end")
    };
    let mut value = HeaderValue::from_str(text).map_err(unfit)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Authorization: Basic …` (RFC 7617): a user's name, which is no secret, and a password.
pub struct Basic {
    /// Without a colon in it.
    pub user: String,
    /// Where the password stands.
    pub password: SecretRef,
}

#[async_trait]
impl Login for Basic {
    async fn headers(&self, ctx: &Ctx) -> Got<HeaderMap> {
        let password = ctx.secrets.read(&self.password).await?;
        let both = Secret::new(STANDARD.encode(format!("{}:{}", self.user, password.reveal())));
        Ok(HeaderMap::from_iter([(AUTHORIZATION, sensitive(&format!("Basic {}", both.reveal()), &self.password)?)]))
    }

    fn stands(&self) -> String {
        format!("`{}`", self.password)
    }

    fn shell(&self) -> String {
        let both = format!("printf '%s:%s' {} \"{}\"", quoted(&self.user), self.password.shell());
        format!("printf 'authorization: Basic %s\\n' \"$({both} | base64 | tr -d '\\n')\"")
    }
}

#[async_trait]
impl Login for Sent {
    async fn headers(&self, ctx: &Ctx) -> Got<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, before, at) in &self.0 {
            let secret = ctx.secrets.read(at).await?;
            headers.insert(HeaderName::from_static(name), sensitive(&format!("{before}{}", secret.reveal()), at)?);
        }
        Ok(headers)
    }

    fn stands(&self) -> String {
        let places: Vec<String> = self.0.iter().map(|(.., at)| format!("`{at}`")).collect();
        places.join(" and ")
    }

    fn shell(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(|(name, before, _)| format!("{name}: {before}%s\\n")).collect();
        let values: Vec<String> = self.0.iter().map(|(.., at)| format!(" \"{}\"", at.shell())).collect();
        format!("printf '{}'{}", lines.concat(), values.concat())
    }
}
