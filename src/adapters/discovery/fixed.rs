//! Instances that the playbook lists.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{HostPort, all_instances};
use crate::{
    adapters::kind::Kind,
    playbook::Fault,
    ports::{Discovery, Found, Got},
};

/// `host:port` of every instance. Each entry is one instance, so a name must have one address.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
struct Config(Vec<HostPort>);

pub(super) const KIND: Kind<dyn Discovery> = Kind {
    name: "fixed",
    about: "a list of host:port",
    schema: |generator| Config::json_schema(generator),
    build: |block, _| {
        let Config(targets) = block.read()?;
        if targets.is_empty() {
            return Err(Fault::new("`fixed` lists no instance").instead("list at least one, for example [\"10.0.0.7:8080\"]"));
        }
        Ok(Arc::new(Fixed { targets }))
    },
};

struct Fixed {
    targets: Vec<HostPort>,
}

#[async_trait]
impl Discovery for Fixed {
    async fn instances(&self) -> Got<Found> {
        all_instances(&self.targets).await
    }
}
