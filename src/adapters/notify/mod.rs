//! How people are told: one file a way.

use serde_json::json;

use super::kind::Kind;
use crate::ports::{Failure, Got, Notice, Notifier};

mod email;
mod exec;
mod slack;
mod webhook;

/// All of them.
pub fn all() -> Vec<Kind<dyn Notifier>> {
    vec![slack::KIND, webhook::KIND, email::KIND, exec::KIND]
}

/// The message for programs: all its fields, and its text.
fn body(notice: &Notice) -> String {
    json!({
        "event": notice.occasion,
        "playbook": notice.playbook,
        "rotation": notice.rotation,
        "at": notice.at,
        "title": notice.title,
        "because": notice.because,
        "keys": notice.keys,
        "next": notice.next,
        "text": notice.text(),
    })
    .to_string()
}

/// The address behind a secret reference. A hook's address is a secret: errors name the reference alone.
fn address(secret: &crate::secret::Secret, named: &str) -> Got<url::Url> {
    let parsed: Result<super::wire::Address, _> = secret.reveal().trim().parse();
    parsed.map(|address| address.0).map_err(|why| {
        Failure::refused(crate::protocol::Refusal::Invalid, None, format!("{named} holds no address that can be called: {why}"))
            .hint("store the whole address there, beginning with https://")
    })
}
