//! A command of yours that is told.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    adapters::{kind::Kind, program::Program},
    playbook::Span,
    ports::{Got, Notice, Notifier},
};

/// Runs a command with the message on its standard input: the same JSON object as `webhook` posts, on one line. Its environment holds
/// PATH, KEYROLL_EVENT, KEYROLL_PLAYBOOK and KEYROLL_ROTATION, and nothing else; its output is not kept. Exit code 0 means delivered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The program and its arguments; no shell reads them. The program is an absolute path, or a name on PATH.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// After this time it is killed with everything in its process group; keyroll waits no more than ten seconds for it anyway.
    #[serde(default = "ten_seconds")]
    timeout: Span,
    /// Names of our own environment variables to pass on: `[HOME]`.
    #[serde(default)]
    env: Vec<String>,
    /// Where it runs, an absolute path; else where keyroll runs.
    #[serde(default)]
    cwd: Option<PathBuf>,
}

fn ten_seconds() -> Span {
    Span::secs(10)
}

pub(super) const KIND: Kind<dyn Notifier> = Kind {
    name: "exec",
    about: "a command, without a shell",
    schema: |generator| Config::json_schema(generator),
    build: |block, _| {
        let Config { command, timeout, env, cwd } = block.read()?;
        Ok(Arc::new(Exec(Program { command, timeout, env, cwd }.checked()?)))
    },
};

struct Exec(Program);

#[async_trait]
impl Notifier for Exec {
    fn describe(&self) -> String {
        format!("exec {}", self.0.name())
    }

    async fn tell(&self, notice: &Notice) -> Got<()> {
        let input = format!("{}\n", super::body(notice));
        let told = [
            ("KEYROLL_EVENT", notice.occasion.word()),
            ("KEYROLL_PLAYBOOK", notice.playbook.as_str()),
            ("KEYROLL_ROTATION", notice.rotation.as_ref().map_or("", |id| id.as_str())),
        ];
        self.0.run(&told, input.as_bytes(), "the notification").await
    }
}
