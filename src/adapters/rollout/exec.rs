//! A rollout by a command of yours.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    adapters::{kind::Kind, program::Program},
    playbook::Span,
    ports::{Got, Order, Problem, Rollout},
};

/// Runs a command; exit code 0 means that the rollout was started. It is told what to do by KEYROLL_CONSUMER, KEYROLL_ROTATION,
/// KEYROLL_TAG and KEYROLL_VERSIONS (joined by commas), and must do the same when it is run twice with one tag. Its environment
/// holds nothing else but PATH; its output is not kept, for it may hold secrets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The program and its arguments; no shell reads them. The program is an absolute path, or a name on PATH.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// After this time it is killed with everything in its process group.
    #[serde(default = "five_minutes")]
    timeout: Span,
    /// Names of our own environment variables to pass on: `[HOME, KUBECONFIG]`.
    #[serde(default)]
    env: Vec<String>,
    /// Where it runs, an absolute path; else where keyroll runs.
    #[serde(default)]
    cwd: Option<PathBuf>,
}

fn five_minutes() -> Span {
    Span::secs(300)
}

pub(super) const KIND: Kind<dyn Rollout> = Kind {
    name: "exec",
    about: "a command, without a shell",
    schema: |generator| Config::json_schema(generator),
    build: |block, _| {
        let Config { command, timeout, env, cwd } = block.read()?;
        Ok(Arc::new(Exec(Program { command, timeout, env, cwd }.checked()?)))
    },
};

struct Exec(Program);

/// How messages name it.
const OF: &str = "the rollout";

#[async_trait]
impl Rollout for Exec {
    async fn check(&self) -> Result<(), Vec<Problem>> {
        let problems = self.0.check(OF);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    async fn roll(&self, order: &Order) -> Got<()> {
        let versions: Vec<&str> = order.versions.iter().map(|version| version.as_str()).collect();
        let told = [
            ("KEYROLL_CONSUMER", order.consumer.as_str()),
            ("KEYROLL_ROTATION", order.rotation.as_str()),
            ("KEYROLL_TAG", &order.tag),
            ("KEYROLL_VERSIONS", &versions.join(",")),
        ];
        self.0.run(&told, &[], OF).await
    }

    async fn rolled(&self, _: &Order) -> Got<Option<bool>> {
        Ok(None)
    }
}
