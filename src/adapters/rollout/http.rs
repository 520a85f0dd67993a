//! A rollout that a service of yours starts when it is told to.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    adapters::{
        Ctx,
        kind::Kind,
        wire::{self, Address},
    },
    playbook::{Fault, SecretRef, Span},
    ports::{Failure, Got, Order, Problem, Rollout},
    protocol::Refusal,
};

/// The tag that `check` asks `status` about; no rollout ever has it.
const NO_TAG: &str = "keyroll-check";

/// Sends `{"consumer", "rotation", "tag", "versions"}` as JSON to a URL, once; 2xx means that the rollout was started.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The URL to send it to.
    url: Address,
    /// The method.
    #[serde(default)]
    method: Method,
    /// Headers to send, each from a secret reference: `Authorization: env:DEPLOY_AUTH`.
    #[serde(default)]
    headers: BTreeMap<String, SecretRef>,
    /// How long the answer may take.
    #[serde(default = "twenty_seconds")]
    timeout: Span,
    /// Where to ask whether a rollout was started, after an answer was lost. Without it, a lost rollout is repeated with the same tag.
    #[serde(default)]
    status: Option<Status>,
}

/// Asked with GET: 2xx means that the tag's rollout was started, 404 that it was not.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Status {
    /// The URL, with `{tag}` where the rollout's tag belongs.
    url: Address,
    /// Headers to send, each from a secret reference.
    #[serde(default)]
    headers: BTreeMap<String, SecretRef>,
}

/// A method that may start a rollout.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    #[default]
    Post,
    Put,
    Patch,
}

fn twenty_seconds() -> Span {
    Span::secs(20)
}

pub(super) const KIND: Kind<dyn Rollout> = Kind {
    name: "http",
    about: "a request to a URL",
    schema: |generator| Config::json_schema(generator),
    build: |block, ctx| {
        let config: Config = block.read()?;
        wire::check_header_names(config.headers.keys())?;
        if let Some(status) = &config.status {
            wire::check_header_names(status.headers.keys())?;
            if at_tag(&status.url, "a").is_none_or(|url| url == status.url.0) {
                return Err(Fault::new("the status URL does not hold `{tag}`").instead("write it where the rollout's tag belongs"));
            }
        }
        Ok(Arc::new(Http { config, ctx: ctx.clone() }))
    },
};

/// The URL with the tag in it; a URL's parser escapes braces in the path, not in the query.
fn at_tag(address: &Address, tag: &str) -> Option<url::Url> {
    let escaped: String = url::form_urlencoded::byte_serialize(tag.as_bytes()).collect::<String>().replace('+', "%20");
    let text = address.0.as_str().replace("%7Btag%7D", &escaped).replace("{tag}", &escaped);
    url::Url::parse(&text).ok().filter(|url| url.origin() == address.0.origin())
}

struct Http {
    config: Config,
    ctx: Ctx,
}

impl Http {
    async fn ask(&self, status: &Status, tag: &str) -> Got<bool> {
        let url = at_tag(&status.url, tag).ok_or_else(|| Failure::refused(Refusal::Invalid, None, "the status URL cannot hold the tag"))?;
        let headers = wire::headers(&*self.ctx.secrets, &status.headers).await?;
        let reply = wire::send(self.ctx.wire.client().get(url).headers(headers).timeout(self.config.timeout.0)).await?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(false),
            _ => reply.ok().map(|_| true),
        }
    }
}

#[async_trait]
impl Rollout for Http {
    async fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if let Err(failure) = wire::headers(&*self.ctx.secrets, &self.config.headers).await {
            problems.push(failure.into());
        }
        if let Some(status) = &self.config.status {
            match self.ask(status, NO_TAG).await {
                Ok(false) => {}
                Ok(true) => problems.push(Problem::new(
                    format!("{} says that a rollout happened that never did", status.url),
                    "it must answer 404 for a tag that it does not know",
                )),
                Err(failure) => problems.push(failure.into()),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    async fn roll(&self, order: &Order) -> Got<()> {
        let method = match self.config.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
        };
        let versions: Vec<&str> = order.versions.iter().map(|version| version.as_str()).collect();
        let body = json!({ "consumer": order.consumer, "rotation": order.rotation, "tag": order.tag, "versions": versions });
        let headers = wire::headers(&*self.ctx.secrets, &self.config.headers).await?;
        let request = self.ctx.wire.client().request(method, self.config.url.0.clone()).headers(headers);
        wire::send(request.json(&body).timeout(self.config.timeout.0)).await?.ok()?;
        Ok(())
    }

    async fn rolled(&self, order: &Order) -> Got<Option<bool>> {
        match &self.config.status {
            Some(status) => self.ask(status, &order.tag).await.map(Some),
            None => Ok(None),
        }
    }
}
