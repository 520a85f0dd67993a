//! Telling people what became of a rotation.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Got;
use crate::{
    ids::RotationId,
    playbook::{Occasion, Span},
};

/// What is told. Plain text without colours, and never a secret: ids, states and commands only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// What it is about.
    pub occasion: Occasion,
    /// The playbook's name.
    pub playbook: String,
    /// The rotation; none where none began.
    pub rotation: Option<RotationId>,
    /// By keyroll's clock.
    pub at: DateTime<Utc>,
    /// What happened, in one line.
    pub title: String,
    /// What caused it, where that is known.
    pub because: Option<String>,
    /// Where both keys stand.
    pub keys: Option<String>,
    /// Commands to type next, with what each is for.
    pub next: Vec<Advice>,
}

/// A command to type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Advice {
    /// The command.
    pub command: String,
    /// What it is for; may be empty.
    pub what_for: String,
}

impl Notice {
    /// All of it as lines of text, the title first.
    pub fn text(&self) -> String {
        let mut lines = vec![self.title.clone()];
        lines.extend(self.because.iter().map(|cause| format!("Because: {cause}")));
        lines.extend(self.keys.iter().map(|keys| format!("Keys: {keys}")));
        lines.extend(self.rotation.iter().map(|id| format!("Rotation: {id}")));
        for Advice { command, what_for } in &self.next {
            lines.push(if what_for.is_empty() { format!("Next: {command}") } else { format!("Next: {command}   ({what_for})") });
        }
        lines.join("\n")
    }
}

/// One way to tell people.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Which way and where to, without any secret: `slack env:SLACK_HOOK`.
    fn describe(&self) -> String;
    /// Tells once. The caller bounds its time and may drop it at any moment.
    async fn tell(&self, notice: &Notice) -> Got<()>;
}

/// A notifier, with what the playbook wants told through it.
#[derive(Clone)]
pub struct Outlet {
    /// The way.
    pub notifier: std::sync::Arc<dyn Notifier>,
    /// What is told.
    pub on: Vec<Occasion>,
    /// How long before the same is told again.
    pub repeat: Span,
}
