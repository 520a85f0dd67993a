//! Instances from a URL in Prometheus' http_sd format.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{all_instances, targets};
use crate::{
    adapters::{
        Ctx,
        kind::Kind,
        wire::{self, Address},
    },
    playbook::SecretRef,
    ports::{Discovery, Found, Got},
};

/// A URL that lists the instances: `[{"targets": ["host:port"], "labels": {}}]`, as Prometheus reads it
/// (<https://prometheus.io/docs/prometheus/latest/http_sd/>).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The URL; asked again at each pass.
    url: Address,
    /// Headers to send, each from a secret reference: `Authorization: env:SD_AUTH`.
    #[serde(default)]
    headers: BTreeMap<String, SecretRef>,
    /// Only groups that carry all of these labels count.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

pub(super) const KIND: Kind<dyn Discovery> = Kind {
    name: "http_sd",
    about: "a URL in Prometheus' service discovery format",
    schema: |generator| Config::json_schema(generator),
    build: |block, ctx| {
        let config: Config = block.read()?;
        wire::check_header_names(config.headers.keys())?;
        Ok(Arc::new(HttpSd { config, ctx: ctx.clone() }))
    },
};

struct HttpSd {
    config: Config,
    ctx: Ctx,
}

#[async_trait]
impl Discovery for HttpSd {
    async fn instances(&self) -> Got<Found> {
        let headers = wire::headers(&*self.ctx.secrets, &self.config.headers).await?;
        let request = self.ctx.wire.client().get(self.config.url.0.clone()).headers(headers);
        let reply = wire::send(request).await?.ok()?;
        all_instances(&targets::read(&self.config.url.to_string(), &reply.body, &self.config.labels)?).await
    }
}
