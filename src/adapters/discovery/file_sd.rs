//! Instances from a file in Prometheus' file_sd format (JSON).

use std::{collections::BTreeMap, io::ErrorKind, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{all_instances, targets};
use crate::{
    adapters::kind::Kind,
    ports::{Discovery, Failure, Found, Got},
    protocol::Refusal,
};

/// A file that lists the instances: `[{"targets": ["host:port"], "labels": {}}]`, as Prometheus reads it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The file; read again at each pass. Only JSON.
    path: PathBuf,
    /// Only groups that carry all of these labels count.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

pub(super) const KIND: Kind<dyn Discovery> = Kind {
    name: "file_sd",
    about: "a file in Prometheus' service discovery format",
    schema: |generator| Config::json_schema(generator),
    build: |block, _| Ok(Arc::new(FileSd { config: block.read()? })),
};

struct FileSd {
    config: Config,
}

#[async_trait]
impl Discovery for FileSd {
    async fn instances(&self) -> Got<Found> {
        let name = self.config.path.display().to_string();
        let body = tokio::fs::read(&self.config.path).await.map_err(|error| {
            let why = match error.kind() {
                ErrorKind::NotFound => Refusal::Gone,
                ErrorKind::PermissionDenied => Refusal::Denied,
                _ => Refusal::Invalid,
            };
            Failure::refused(why, None, format!("{name} cannot be read: {error}")).hint("check the path under `file_sd`")
        })?;
        all_instances(&targets::read(&name, &body, &self.config.labels)?).await
    }
}
