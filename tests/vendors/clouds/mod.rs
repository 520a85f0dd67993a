//! Cloudflare, Datadog, Fireworks, Bedrock, Mistral, Azure and Deepgram: what a key was made with goes into the next one, and nothing is
//! taken for a key, for its use or for its end that the vendor does not say.

mod blocks;
mod endings;
mod listings;
mod proofs;
mod terms;

use std::cell::Cell;

use axum::http::StatusCode;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use keyroll::{
    ids::KeyId,
    playbook::Limits,
    ports::{Credential, Fate, Life, Like, Question, Wanted},
    protocol::{Bound, Bounds, Refusal, widened},
    sandbox::server::{Answer, Call, Fault},
    secret::Secret,
};
use serde_json::{Value, json};

use crate::{
    common::tombstone_for,
    hands::{creates, id, mangle, value},
    site::{Bench, Key, Keys, Vendor, built},
    standins::{azure_openai, bedrock, cloudflare, cloudflare_account, datadog, datadog_application, deepgram, fireworks, mistral},
};

/// All of them.
fn clouds() -> [Vendor; 9] {
    [
        azure_openai::vendor(),
        bedrock::vendor(),
        cloudflare::vendor(),
        cloudflare_account::vendor(),
        datadog::vendor(),
        datadog_application::vendor(),
        deepgram::vendor(),
        fireworks::vendor(),
        mistral::vendor(),
    ]
}

/// Those whose keys end by themselves.
fn ending() -> [Vendor; 5] {
    [bedrock::vendor(), cloudflare::vendor(), deepgram::vendor(), fireworks::vendor(), mistral::vendor()]
}

fn status(code: u16) -> Fault {
    Fault::Status { code, retry_after: None }
}

/// Changes the key that was made first.
fn first(bench: &Bench, change: impl FnOnce(&mut Key)) {
    change(&mut bench.server.world().keys.all[0]);
}

/// Changes what is told in each field of this name, wherever it stands.
fn in_field(value: &mut Value, name: &str, change: &dyn Fn(&mut Value)) {
    match value {
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(field, value)| if field == name { change(value) } else { in_field(value, name, change) })
        }
        Value::Array(items) => items.iter_mut().for_each(|item| in_field(item, name, change)),
        _ => {}
    }
}

/// A create like the key that was made first.
async fn create(bench: &Bench) -> keyroll::ports::Got<keyroll::ports::Minted> {
    let like = id(bench, 0);
    bench.provider.create(&Wanted { like: Some(Like::Key(&like)), ..Wanted::named("new", "token-1") }).await
}

/// When a key ends by these bounds.
fn end(bounds: &Bounds) -> Option<DateTime<Utc>> {
    let end = bounds.values().find_map(|bound| if let Bound::Until(end) = bound { Some(*end) } else { None });
    DateTime::from_timestamp(end.expect("it tells an end")?, 0)
}

/// Within a day: some ends are given by the day.
fn near(end: Option<DateTime<Utc>>, days: i64) -> bool {
    end.is_some_and(|end| (end - Utc::now() - TimeDelta::days(days)).abs() <= TimeDelta::days(1))
}

/// A vendor's adapter with another block.
async fn with(vendor: Vendor, right: &str, instead: &str) -> Bench {
    let mut bench = Bench::new(vendor).await;
    let block = (vendor.block)(&bench.server.url(), "env:ADMIN");
    assert!(block.contains(right), "{block}");
    let block = block.replace(right, &instead.replace("{url}", &bench.server.url()));
    bench.provider = built(vendor.name, &block).unwrap_or_else(|fault| panic!("{}: {}", vendor.name, fault.what));
    bench
}
