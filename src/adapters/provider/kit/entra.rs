//! Logging in to Azure: <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap},
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    login::{Login, Sent, sensitive},
    proof::address,
};
use crate::{
    adapters::{
        Ctx,
        wire::{self, before_effect},
    },
    playbook::{Fault, SecretRef},
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(300);

/// How keyroll logs in to Azure.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entra {
    /// Where an access token for Azure Resource Manager stands. It is read anew at each call and lives for about an hour: have something renew it.
    Token(SecretRef),
    /// As an application with a client secret; keyroll gets its tokens itself.
    Client(Client),
}

/// An application of Microsoft Entra (a service principal).
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The directory's (tenant's) id.
    pub tenant: String,
    /// The application's (client's) id.
    pub client_id: String,
    /// Where its client secret stands.
    pub client_secret: SecretRef,
    /// Where tokens are asked for; another one in Azure's national clouds.
    #[serde(default = "authority")]
    pub authority: String,
    /// What the token is for; another one in Azure's national clouds.
    #[serde(default = "resource_manager")]
    pub scope: String,
}

fn authority() -> String {
    "https://login.microsoftonline.com".into()
}

fn resource_manager() -> String {
    "https://management.azure.com/.default".into()
}

impl Entra {
    /// Calls nobody.
    ///
    /// # Errors
    /// Where `authority` is no address, or `tenant` cannot stand in one.
    pub fn login(self) -> Result<Arc<dyn Login>, Fault> {
        match self {
            Self::Token(at) => Ok(Arc::new(Sent::bearer(at))),
            Self::Client(client) => {
                let tenant = wire::segment(&client.tenant).map_err(|_| Fault::new("`tenant` is no id").instead("the directory's id"))?;
                let url = format!("{}/{tenant}/oauth2/v2.0/token", address("authority", &client.authority)?);
                Ok(Arc::new(Application { client, url, token: Mutex::default() }))
            }
        }
    }
}

/// A token until shortly before its end.
struct Application {
    client: Client,
    url: String,
    token: Mutex<Option<(Secret, Instant)>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Without it the token is used once.
    #[serde(default)]
    expires_in: u64,
}

impl Application {
    /// What goes wrong here went wrong before the call that the token is for.
    async fn granted(&self, ctx: &Ctx) -> Got<(Secret, Duration)> {
        let secret = ctx.secrets.read(&self.client.client_secret).await?;
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client.client_id),
            ("client_secret", secret.reveal()),
            ("scope", &self.client.scope),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = ctx.wire.client().request(Method::POST, &self.url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let reply = wire::send(request.body(body)).await?;
        if !reply.status.is_success() {
            // 400 and 401: a wrong id, a wrong secret, or one that is over (AADSTS7000215, AADSTS7000222).
            let at = &self.client.client_secret;
            let hint =
                format!("Entra gives this application no token: check `tenant`, `client_id` and that the secret at `{at}` is not over");
            return Err(reply.refused(Refusal::Denied).hint(hint));
        }
        let granted: Granted = reply.json()?;
        Ok((Secret::new(granted.access_token), Duration::from_secs(granted.expires_in)))
    }
}

#[async_trait]
impl Login for Application {
    async fn headers(&self, ctx: &Ctx) -> Got<HeaderMap> {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_none_or(|(_, end)| *end < Instant::now() + EARLY) {
            let (token, lives) = self.granted(ctx).await.map_err(before_effect)?;
            *kept = Some((token, Instant::now() + lives));
        }
        let Some((token, _)) = kept.as_ref() else { return Err(Failure::not_sent("there is no token")) };
        Ok(HeaderMap::from_iter([(AUTHORIZATION, sensitive(&format!("Bearer {}", token.reveal()), &self.client.client_secret)?)]))
    }

    fn stands(&self) -> String {
        format!("`{}`", self.client.client_secret)
    }

    /// Whoever is logged in at this machine: a person is, and needs no application for it.
    fn shell(&self) -> String {
        "printf 'authorization: Bearer %s\\n' \"$(az account get-access-token --query accessToken -o tsv)\"".into()
    }
}
