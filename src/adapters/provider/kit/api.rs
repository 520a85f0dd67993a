//! A vendor's administration.

use std::sync::Arc;

use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Login, proof::address};
use crate::{
    adapters::{
        Ctx,
        wire::{self, Reply},
    },
    playbook::Fault,
    ports::Got,
};

/// How a vendor is called and spoken of.
#[derive(Clone, Copy)]
pub struct Manner {
    /// The vendor's name, for messages.
    pub who: &'static str,
    /// What the credential must be, said at a 401: `an admin key (sk-admin-…)`.
    pub wants: &'static str,
    /// What it must be allowed to, said at a 403: `a restricted one needs api.management.write`.
    pub needs: &'static str,
    /// Headers that go with every call.
    pub headers: &'static [(&'static str, &'static str)],
}

/// The administration, called with the credential that may.
pub struct Api {
    ctx: Ctx,
    login: Arc<dyn Login>,
    manner: Manner,
    /// Its address, without the slash at its end.
    pub base: String,
}

impl Api {
    /// Calls nobody.
    ///
    /// # Errors
    /// Where `base_url` is no address.
    pub fn new(ctx: &Ctx, base_url: &str, login: impl Login + 'static, manner: Manner) -> Result<Self, Fault> {
        Self::with(ctx, base_url, Arc::new(login), manner)
    }

    /// The same for a login that the playbook chooses.
    ///
    /// # Errors
    /// Those of [`Api::new`].
    pub fn with(ctx: &Ctx, base_url: &str, login: Arc<dyn Login>, manner: Manner) -> Result<Self, Fault> {
        Ok(Self { ctx: ctx.clone(), login, manner, base: address("base_url", base_url)? })
    }

    /// The login, for a person's own commands.
    pub fn login(&self) -> &dyn Login {
        self.login.as_ref()
    }

    /// A request that is not sent yet, without the login; `path` is appended to the address.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.ctx.wire.client().request(method, format!("{}{path}", self.base));
        for (name, value) in self.manner.headers {
            request = request.header(*name, *value);
        }
        request
    }

    /// A request to another address of the vendor's, with a key in place of the login: what services call.
    pub fn work(&self, method: Method, url: &str) -> RequestBuilder {
        self.ctx.wire.client().request(method, url)
    }

    /// The login's headers, for a call that goes elsewhere or bears more.
    ///
    /// # Errors
    /// A login that cannot be read.
    pub async fn headers(&self) -> Got<HeaderMap> {
        self.login.headers(&self.ctx).await
    }

    /// One POST of a form (`application/x-www-form-urlencoded`) that must be answered 2xx.
    ///
    /// # Errors
    /// Those of [`Api::ask`].
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Got<Reply> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.bare(Method::POST, path).headers(self.headers().await?);
        self.explained(wire::send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)).await?)
    }

    /// One call, whatever it answers: for an adapter that reads refusals itself.
    ///
    /// # Errors
    /// What [`wire::send`] calls a failure, and a login that cannot be read.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Got<Reply> {
        let mut request = self.bare(method, path).headers(self.headers().await?);
        if let Some(body) = &body {
            request = request.json(body);
        }
        wire::send(request).await
    }

    /// One call that must be answered 2xx.
    ///
    /// # Errors
    /// Refusals, those of the credential explained.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Got<Reply> {
        self.explained(self.send(method, path, body).await?)
    }

    /// One GET, read.
    ///
    /// # Errors
    /// Those of [`Api::ask`]; an answer that is not what the vendor's page says is unknown.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Got<T> {
        self.ask(Method::GET, path, None).await?.json()
    }

    /// One DELETE that is answered 204, without a body. Another 2xx is unknown: the work may be done.
    ///
    /// # Errors
    /// Those of [`Api::ask`].
    pub async fn emptied(&self, path: &str) -> Got<()> {
        let reply = self.ask(Method::DELETE, path, None).await?;
        if reply.status == StatusCode::NO_CONTENT { Ok(()) } else { Err(reply.unlike("a body where there is none")) }
    }

    /// A 2xx, or its refusal with what to do about it.
    ///
    /// # Errors
    /// Everything but 2xx.
    pub fn explained(&self, reply: Reply) -> Got<Reply> {
        let Manner { who, wants, needs, .. } = self.manner;
        let at = self.login.stands();
        match reply.status.as_u16() {
            401 => Err(reply.refusal().hint(format!("{who} does not know the credential at {at}: it must be {wants}"))),
            403 => Err(reply.refusal().hint(format!("the credential at {at} lacks permissions: it must be {wants}; {needs}"))),
            _ => reply.ok(),
        }
    }
}
