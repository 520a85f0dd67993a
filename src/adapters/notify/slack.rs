//! A Slack incoming webhook, or anything that takes the same form: Mattermost, Rocket.Chat, Discord's `/slack` addresses.
//!
//! `POST {"text": …}`, answered with 200: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>. Whoever knows
//! the address can post, so it stands behind a secret reference and is never shown.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    adapters::{Ctx, kind::Kind, wire},
    playbook::SecretRef,
    ports::{Got, Notice, Notifier},
};

/// Where the hook's address stands: `env:SLACK_HOOK`. The address is a secret; messages go there as `{"text": …}`.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
struct Config(SecretRef);

pub(super) const KIND: Kind<dyn Notifier> = Kind {
    name: "slack",
    about: "a Slack incoming webhook, or one that takes the same form",
    schema: |generator| Config::json_schema(generator),
    build: |block, ctx| {
        let Config(hook) = block.read()?;
        Ok(Arc::new(Slack { hook, ctx: ctx.clone() }))
    },
};

struct Slack {
    hook: SecretRef,
    ctx: Ctx,
}

/// Slack's three control characters: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The title in bold and commands as code; what is in code is taken as it stands, but for those three characters.
fn text(notice: &Notice) -> String {
    let mut lines = vec![format!("*{}*", escaped(&notice.title))];
    lines.extend(notice.because.iter().map(|cause| format!("Because: {}", escaped(cause))));
    lines.extend(notice.keys.iter().map(|keys| format!("Keys: {}", escaped(keys))));
    lines.extend(notice.rotation.iter().map(|id| format!("Rotation: {id}")));
    lines.extend(notice.next.iter().map(|next| format!("`{}` {}", escaped(&next.command), escaped(&next.what_for)).trim_end().to_owned()));
    lines.join("\n")
}

#[async_trait]
impl Notifier for Slack {
    fn describe(&self) -> String {
        format!("slack {}", self.hook)
    }

    async fn tell(&self, notice: &Notice) -> Got<()> {
        let named = self.describe();
        let url = super::address(&self.ctx.secrets.read(&self.hook).await?, &named)?;
        let request = self.ctx.wire.client().post(url).json(&json!({ "text": text(notice) }));
        wire::send_to(request, &named).await?.ok().map(drop)
    }
}
