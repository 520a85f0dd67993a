//! A JSON object by POST, signed so that the receiver can tell that it came from us, unchanged, and when.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use sha2::Sha256;

use crate::{
    adapters::{
        Ctx,
        kind::Kind,
        wire::{self, Address},
    },
    playbook::SecretRef,
    ports::{Got, Notice, Notifier},
    secret::{Secret, hex},
};

/// Posts `{"event", "playbook", "rotation", "at", "title", "because", "keys", "next": [{"command", "what_for"}], "text"}`; any 2xx is taken as
/// delivered, and no redirect is followed. With `secret`, two headers prove the message: `Keyroll-Timestamp` is the sending time in
/// seconds since 1970, and `Keyroll-Signature` is `v1=` and the lower-case hex of HMAC-SHA256, under the secret, over the timestamp,
/// one dot, and the body's bytes exactly as they came. A receiver computes the same, compares in constant time, and refuses timestamps
/// more than five minutes from its own clock. A message may come twice.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The address, or where it stands if it holds a secret: `env:HOOK_URL`.
    #[schemars(with = "String")]
    url: Target,
    /// Where the secret stands that signs messages. Not set: they are not signed.
    #[serde(default)]
    secret: Option<SecretRef>,
    /// Headers to send, each behind a reference: `{ Authorization: env:HOOK_TOKEN }`.
    #[serde(default)]
    headers: BTreeMap<String, SecretRef>,
}

/// An address in the clear, or behind a reference.
enum Target {
    Plain(Address),
    Behind(SecretRef),
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if let Ok(reference) = text.parse() {
            return Ok(Self::Behind(reference));
        }
        let address: Address = text.parse().map_err(serde::de::Error::custom)?;
        if address.0.query().is_some() || address.0.fragment().is_some() {
            return Err(serde::de::Error::custom(
                "an address with a query may hold a secret: put it behind a reference, for example env:HOOK_URL",
            ));
        }
        Ok(Self::Plain(address))
    }
}

pub(super) const KIND: Kind<dyn Notifier> = Kind {
    name: "webhook",
    about: "a signed JSON object, by POST to any address",
    schema: |generator| Config::json_schema(generator),
    build: |block, ctx| {
        let config: Config = block.read()?;
        wire::check_header_names(config.headers.keys())?;
        Ok(Arc::new(Webhook { config, ctx: ctx.clone() }))
    },
};

struct Webhook {
    config: Config,
    ctx: Ctx,
}

fn sign(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

#[async_trait]
impl Notifier for Webhook {
    fn describe(&self) -> String {
        match &self.config.url {
            Target::Plain(address) => format!("webhook {address}"),
            Target::Behind(reference) => format!("webhook {reference}"),
        }
    }

    async fn tell(&self, notice: &Notice) -> Got<()> {
        let named = self.describe();
        let url = match &self.config.url {
            Target::Plain(address) => address.0.clone(),
            Target::Behind(reference) => super::address(&self.ctx.secrets.read(reference).await?, &named)?,
        };
        let body = super::body(notice);
        let headers = wire::headers(self.ctx.secrets.as_ref(), &self.config.headers).await?;
        let mut request = self.ctx.wire.client().post(url).headers(headers).header("content-type", "application/json");
        if let Some(reference) = &self.config.secret {
            let timestamp = Utc::now().timestamp().to_string();
            let signature = sign(&self.ctx.secrets.read(reference).await?, &timestamp, body.as_bytes());
            request = request.header("keyroll-timestamp", timestamp).header("keyroll-signature", signature);
        }
        wire::send_to(request.body(body), &named).await?.ok().map(drop)
    }
}
