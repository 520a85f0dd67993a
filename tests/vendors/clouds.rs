//! Cloudflare, Datadog, Fireworks, Bedrock, Mistral, Azure and Deepgram: what a key was made with goes into the next one, and nothing is
//! taken for a key, for its use or for its end that the vendor does not say.

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

fn id(bench: &Bench, nth: usize) -> KeyId {
    KeyId::new(&bench.server.world().keys.all[nth].id)
}

fn value(bench: &Bench, nth: usize) -> Credential {
    Credential { id: None, secret: Secret::new(&bench.server.world().keys.all[nth].value) }
}

/// Changes the key that was made first.
fn first(bench: &Bench, change: impl FnOnce(&mut Key)) {
    change(&mut bench.server.world().keys.all[0]);
}

fn mangle(bench: &Bench, which: (&'static str, &str), change: impl Fn(&mut Value) + Send + 'static) {
    bench.server.world().mangle = Some((which.0, which.1.to_owned(), Box::new(change)));
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

fn creates(bench: &Bench) -> usize {
    bench.server.count(bench.vendor.create.0, bench.vendor.create.1)
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

/// A key that was made some time ago has less before it than it was made for, and its successor is made for all of it.
#[tokio::test]
async fn a_lifetime_is_counted_from_the_old_keys_making() {
    for vendor in ending() {
        let bench = Bench::new(vendor).await;
        first(&bench, |key| {
            let days = |days| TimeDelta::days(days);
            (key.made, key.expires) = (key.made - days(10), key.expires.map(|end| end - days(10)));
        });
        let (attributes, old) = (bench.provider.attributes().expect("keys end here"), id(&bench, 0));
        let had = attributes.of(&old).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert!(near(end(&had), 20), "{}: {had:?}", vendor.name);
        let kept = attributes.keep(&old).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        for like in [Like::Key(&old), Like::Gone(&kept)] {
            let planned =
                attributes.planned(Some(like), &Limits::NONE).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
            assert!(near(end(&planned), 30), "{}: {planned:?}", vendor.name);
        }
        let made = create(&bench).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert!(near(made.expires_at, 30), "{}: {:?}", vendor.name, made.expires_at);
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let ends = |id: &KeyId| listed.iter().find(|key| key.id == *id).and_then(|key| key.expires_at);
        assert!(near(ends(&old), 20) && near(ends(&made.id), 30), "{}", vendor.name);
    }
}

/// A key that ends by itself, and nobody tells how long it was made for: another one must not live for ever because of that.
#[tokio::test]
async fn a_lifetime_that_cannot_be_read_makes_no_key() {
    let made = ["CreateDate", "issued_on", "created", "createTime", "created_at"];
    for (vendor, field) in ending().into_iter().zip(made) {
        let bench = Bench::new(vendor).await;
        mangle(&bench, ("*", "*"), |body| in_field(body, field, &|told| *told = Value::Null));
        let failure = create(&bench).await.err().expect("it would have another life");
        assert!(matches!(failure.fate, Fate::NotSent { .. }), "{}: {failure}", vendor.name);
        assert_eq!(creates(&bench), 0, "{}", vendor.name);
        let attributes = bench.provider.attributes().expect("keys end here");
        assert!(attributes.keep(&id(&bench, 0)).await.is_err(), "{}", vendor.name);
    }
}

/// Before a create is sent nothing can have been made, whatever happened to what is read for it.
#[tokio::test]
async fn what_fails_before_a_create_made_nothing() {
    let single = |path: &'static str| ("GET", path);
    let reads = [
        (azure_openai::vendor(), azure_openai::vendor().list),
        (bedrock::vendor(), bedrock::vendor().list),
        (cloudflare::vendor(), single("/client/v4/user/tokens/*")),
        (datadog::vendor(), single("/api/v2/api_keys/*")),
        (datadog_application::vendor(), single("/api/v2/service_accounts/sa-1/application_keys/*")),
        (deepgram::vendor(), deepgram::vendor().list),
        (fireworks::vendor(), fireworks::vendor().list),
        (mistral::vendor(), mistral::vendor().list),
    ];
    for (vendor, read) in reads {
        for fault in [status(500), Fault::DropAfter, Fault::Html] {
            let bench = Bench::new(vendor).await;
            bench.spoil(read, 1, fault.clone());
            let failure = create(&bench).await.err().expect("nothing could be read");
            assert!(matches!(failure.fate, Fate::NotSent { .. }), "{}: {fault:?}: {failure}", vendor.name);
            assert_eq!(creates(&bench), 0, "{}: {fault:?}", vendor.name);
        }
    }
}

/// Azure regenerates nothing for a delete before it is known which slot the key stands in.
#[tokio::test]
async fn what_fails_before_a_delete_regenerated_nothing() {
    for fault in [status(500), Fault::DropAfter, Fault::Html] {
        let bench = Bench::new(azure_openai::vendor()).await;
        bench.spoil(bench.vendor.list, 1, fault.clone());
        let failure = bench.provider.delete(&tombstone_for(&id(&bench, 0))).await.expect_err("nothing could be read");
        assert!(matches!(failure.fate, Fate::NotSent { .. }), "{fault:?}: {failure}");
        assert_eq!(creates(&bench), 0, "{fault:?}");
    }
}

/// `check` is what finds a credential that may not, before a rotation begins.
#[tokio::test]
async fn a_credential_that_may_not_is_a_problem() {
    for vendor in clouds() {
        for code in [401, 403, 500] {
            let bench = Bench::new(vendor).await;
            bench.spoil(vendor.list, 1, status(code));
            assert!(bench.provider.check().await.is_err_and(|problems| !problems.is_empty()), "{}: {code}", vendor.name);
            assert!(bench.provider.check().await.is_ok(), "{}: {code}", vendor.name);
        }
    }
}

/// A key that a vendor refuses to delete is there still, and so is one that nobody knows of.
#[tokio::test]
async fn a_delete_that_is_refused_or_lost_is_not_done() {
    for vendor in clouds() {
        let bench = Bench::new(vendor).await;
        let old = id(&bench, 0);
        for (code, why) in [(400, Refusal::Invalid), (401, Refusal::Denied), (403, Refusal::Denied), (409, Refusal::Conflict)] {
            bench.spoil(vendor.delete, 1, status(code));
            let failure = bench.provider.delete(&tombstone_for(&old)).await.expect_err("it was refused");
            assert_eq!(failure.refusal(), Some(why), "{}: {code}: {failure}", vendor.name);
        }
        for fault in [status(500), Fault::DropBefore] {
            bench.spoil(vendor.delete, 1, fault.clone());
            let failure = bench.provider.delete(&tombstone_for(&old)).await.expect_err("nobody knows");
            assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {fault:?}: {failure}", vendor.name);
        }
        assert!(bench.server.world().keys.all[0].live(), "{}", vendor.name);
    }
}

/// Only one segment of an address is an id, whatever stands in it: it can name no other place.
#[tokio::test]
async fn an_id_names_nothing_but_a_key() {
    for vendor in clouds().into_iter().filter(|vendor| vendor.delete.0 == "DELETE") {
        let bench = Bench::new(vendor).await;
        let before = bench.server.world().keys.listed().len();
        let failure = bench.provider.delete(&tombstone_for(&KeyId::new("x/../y?z"))).await.expect_err("no such key");
        assert_eq!(failure.refusal(), Some(Refusal::Gone), "{}: {failure}", vendor.name);
        assert_eq!(bench.server.count(vendor.delete.0, vendor.delete.1), 1, "{}", vendor.name);
        assert_eq!(bench.server.world().keys.listed().len(), before, "{}", vendor.name);
        let failure = bench.provider.delete(&tombstone_for(&KeyId::new(".."))).await.expect_err("no id");
        assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{}: {failure}", vendor.name);
    }
}

/// What is asked of a key that is gone is answered so: then what was kept of it is used.
#[tokio::test]
async fn a_key_that_is_gone_is_told_so() {
    for vendor in clouds() {
        let bench = Bench::new(vendor).await;
        let gone = KeyId::new("never-there");
        let Some(attributes) = bench.provider.attributes() else { continue };
        let of = attributes.of(&gone).await.expect_err("no such key");
        let keep = attributes.keep(&gone).await.expect_err("no such key");
        assert_eq!((of.refusal(), keep.refusal()), (Some(Refusal::Gone), Some(Refusal::Gone)), "{}: {of} {keep}", vendor.name);
        if let Some(usage) = bench.provider.usage() {
            let used = usage.last_used(&gone).await.expect_err("gone is not unused");
            assert_eq!(used.refusal(), Some(Refusal::Gone), "{}: {used}", vendor.name);
        }
    }
}

/// A key that is not among those that were listed is another principal's, or gone: its value is nobody's.
#[tokio::test]
async fn a_key_that_was_not_listed_is_nobodys() {
    for vendor in clouds() {
        let bench = Bench::new(vendor).await;
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let claimed = Credential { id: Some(id(&bench, 0)), ..value(&bench, 0) };
        let proof = bench.provider.identify(&claimed, &listed).await.expect("an answer");
        assert_eq!(proof.map(|(id, _)| id), Some(id(&bench, 0)), "{}", vendor.name);
        let others: Vec<_> = listed.into_iter().filter(|key| key.id != id(&bench, 0)).collect();
        assert_eq!(bench.provider.identify(&claimed, &others).await, Ok(None), "{}", vendor.name);
    }
}

/// Where two keys show the same of their values, neither is proved; nor is one that shows too little, or a value that is what is shown.
#[tokio::test]
async fn what_two_keys_show_proves_neither() {
    let hints: [(Vendor, &str, &str); 4] = [
        (bedrock::vendor(), "ServiceCredentialAlias", ""),
        (datadog_application::vendor(), "last4", ""),
        (fireworks::vendor(), "prefix", "fw_"),
        (mistral::vendor(), "hidden_key", "..."),
    ];
    // What each shows of a value.
    let parts: [fn(&str) -> String; 4] = [
        |value| value[.."ABSK".len()].to_owned(),
        |value| value[value.len() - 4..].to_owned(),
        |value| value[..12].to_owned(),
        |value| format!("{}{}", &value[..4], &value[value.len() - 4..]),
    ];
    for ((vendor, field, short), part) in hints.into_iter().zip(parts) {
        let bench = Bench::new(Vendor { seeds: 2, page: 100, ..vendor }).await;
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let credential = Credential { id: Some(id(&bench, 0)), ..value(&bench, 0) };
        let proof = bench.provider.identify(&credential, &listed).await.expect("an answer");
        assert_eq!(proof.map(|(id, _)| id), Some(id(&bench, 0)), "{}", vendor.name);
        let secret = Secret::new(part(credential.secret.reveal()));
        assert_eq!(bench.provider.identify(&Credential { id: None, secret }, &listed).await, Ok(None), "{}: no more", vendor.name);
        mangle(&bench, vendor.list, move |body| {
            let first = Cell::new(None::<Value>);
            in_field(body, field, &|told| {
                let same = first.take().unwrap_or_else(|| told.clone());
                *told = same.clone();
                first.set(Some(same));
            });
        });
        assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None), "{}: two of them", vendor.name);
        mangle(&bench, vendor.list, move |body| {
            let first = Cell::new(true);
            in_field(body, field, &|told| {
                if first.replace(false) {
                    *told = short.into();
                }
            });
        });
        assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None), "{}: too little", vendor.name);
    }
}

/// What Datadog says of a value goes before what its last characters look like.
#[tokio::test]
async fn datadogs_own_word_goes_before_a_likeness() {
    let bench = Bench::new(datadog::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    mangle(&bench, ("GET", "/api/v2/validate"), |body| in_field(body, "api_key_id", &|told| *told = "of-another-organization".into()));
    assert_eq!(bench.provider.identify(&value(&bench, 0), &listed).await, Ok(None));
    mangle(&bench, ("GET", "/api/v2/validate"), |body| *body = json!({ "valid": true }));
    let proof = bench.provider.identify(&value(&bench, 0), &listed).await.expect("an answer");
    assert_eq!(proof.map(|(id, _)| id), Some(id(&bench, 0)), "its end is all there is then");
}

/// A value that is told no id is nobody's, whatever the store says.
#[tokio::test]
async fn a_claim_is_no_word_of_deepgrams() {
    let bench = Bench::new(deepgram::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let claimed = Credential { id: Some(id(&bench, 0)), ..value(&bench, 0) };
    mangle(&bench, deepgram::vendor().probe, |body| *body = json!({ "scopes": ["usage:write"] }));
    assert_eq!(bench.provider.identify(&claimed, &listed).await, Ok(None));
}

/// Datadog refuses living keys in the same words where the caller's address is forbidden: then keyroll's own key is refused, too.
#[tokio::test]
async fn a_refusal_that_datadog_gives_everybody_is_no_death() {
    for vendor in [datadog::vendor(), datadog_application::vendor()] {
        let shape: fn(&mut Keys, &Call) -> Answer = |keys, call| match call.path.contains("validate") {
            true => (StatusCode::FORBIDDEN, json!({ "errors": ["Forbidden"] })).into(),
            false => (datadog::vendor().shape)(keys, call),
        };
        let bench = Bench::new(Vendor { shape, ..vendor }).await;
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Unclear));
    }
}

/// What is not told or cannot be read is not "never": a key in use would look idle.
#[tokio::test]
async fn a_last_use_that_is_not_told_is_unknown() {
    let fields = [
        (cloudflare::vendor(), "last_used_on", "/client/v4/user/tokens/*"),
        (datadog::vendor(), "date_last_used", "/api/v2/api_keys/*"),
        (datadog_application::vendor(), "last_used_at", "/api/v2/service_accounts/sa-1/application_keys/*"),
        (mistral::vendor(), "last_used", mistral::vendor().list.1),
    ];
    for (vendor, field, path) in fields {
        let bench = Bench::new(Vendor { seeds: 1, ..vendor }).await;
        let (usage, key) = (bench.provider.usage().expect("it tells"), id(&bench, 0));
        assert_eq!(usage.last_used(&key).await, Ok(None), "{}", vendor.name);
        let then = Utc::now() - TimeDelta::days(3);
        first(&bench, |key| key.used = Some(then));
        let used = usage.last_used(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert_eq!(used.map(|used| used.timestamp()), Some(then.timestamp()), "{}", vendor.name);
        for told in [json!("last week"), json!(7), Value::Null] {
            let text = told.clone();
            // Null is told; a field of another name is not.
            mangle(&bench, ("GET", path), move |body| {
                if text.is_null() {
                    let renamed = body.to_string().replace(&format!("\"{field}\""), "\"seen\"");
                    *body = serde_json::from_str(&renamed).expect("it was JSON");
                } else {
                    in_field(body, field, &|used| *used = text.clone());
                }
            });
            let failure = usage.last_used(&key).await.expect_err("it is not told");
            assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {told}: {failure}", vendor.name);
        }
    }
}

/// A real request names the model that was asked for and the most tokens by the vendor's own field; and no other refusal of it is a death.
#[tokio::test]
async fn a_prompt_is_what_was_asked() {
    fn right(call: &Call, field: &str, model: &str) -> bool {
        call.body["model"] == model && call.body[field] == keyroll::ports::PROMPT_TOKENS
    }
    fn wrong() -> Answer {
        (StatusCode::BAD_REQUEST, json!({ "error": { "message": "another body was expected" } })).into()
    }
    let shapes: [(Vendor, &str, crate::site::Shape); 4] = [
        (azure_openai::vendor(), "/openai/v1/chat/completions", |keys, call| match call.path.ends_with("/completions") {
            true if !right(call, "max_completion_tokens", "chat-production") => wrong(),
            _ => (azure_openai::vendor().shape)(keys, call),
        }),
        (bedrock::vendor(), "/model/*/converse", |keys, call| match call.path.starts_with("/model/") {
            true if call.body["inferenceConfig"]["maxTokens"] != keyroll::ports::PROMPT_TOKENS => wrong(),
            _ => (bedrock::vendor().shape)(keys, call),
        }),
        (fireworks::vendor(), "/inference/v1/chat/completions", |keys, call| match call.path.ends_with("/completions") {
            true if !right(call, "max_tokens", "accounts/fireworks/models/llama-v3p1-8b-instruct") => wrong(),
            _ => (fireworks::vendor().shape)(keys, call),
        }),
        (mistral::vendor(), "/v1/chat/completions", |keys, call| match call.path.ends_with("/completions") {
            true if !right(call, "max_tokens", "ministral-3b-latest") => wrong(),
            _ => (mistral::vendor().shape)(keys, call),
        }),
    ];
    for (vendor, path, shape) in shapes {
        let bench = Bench::new(Vendor { shape, ..vendor }).await;
        let (prompt, credential) = (bench.provider.prompt().expect("it answers prompts"), value(&bench, 0));
        let question = Question { model: vendor.model, stream: false };
        let spoken = prompt.prompt(&credential, &question).await;
        assert_eq!(spoken.map(|spoken| spoken.life), Ok(Life::Alive), "{}", vendor.name);
        for code in [401, 403, 404] {
            bench.spoil(("POST", path), 1, status(code));
            let spoken = prompt.prompt(&credential, &question).await;
            assert_eq!(spoken.map(|spoken| spoken.life), Ok(Life::Unclear), "{}: {code}", vendor.name);
        }
    }
}

/// A switch that is refused has switched nothing, and one whose answer is no word of Cloudflare's is unknown.
#[tokio::test]
async fn a_switch_that_is_not_said_is_not_done() {
    for (vendor, path) in
        [(bedrock::vendor(), ("POST", "/UpdateServiceSpecificCredential")), (cloudflare::vendor(), ("PUT", "/client/v4/user/tokens/*"))]
    {
        let bench = Bench::new(vendor).await;
        let (switch, key) = (bench.provider.switch().expect("it switches"), id(&bench, 0));
        for (code, why) in [(400, Refusal::Invalid), (403, Refusal::Denied), (404, Refusal::Gone)] {
            bench.spoil(path, 1, status(code));
            let failure = switch.set(&key, false).await.expect_err("it was refused");
            assert_eq!(failure.refusal(), Some(why), "{}: {code}: {failure}", vendor.name);
        }
        for fault in [status(500), Fault::DropBefore] {
            bench.spoil(path, 1, fault.clone());
            let failure = switch.set(&key, false).await.expect_err("nobody knows");
            assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {fault:?}: {failure}", vendor.name);
        }
        if vendor.name == "cloudflare" {
            bench.spoil(path, 1, Fault::Html);
            let failure = switch.set(&key, false).await.expect_err("a page is no word");
            assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
        }
        assert!(bench.server.world().keys.all[0].live(), "{}", vendor.name);
    }
}

/// A change writes a token of Cloudflare whole, so what cannot be read of it first is not written.
#[tokio::test]
async fn a_token_that_cannot_be_read_is_not_written() {
    let (read, write) = (("GET", "/client/v4/user/tokens/*"), ("PUT", "/client/v4/user/tokens/*"));
    let unread: [fn(&Bench); 3] = [
        |bench| bench.spoil(("GET", "/client/v4/user/tokens/*"), 1, status(500)),
        |bench| bench.spoil(("GET", "/client/v4/user/tokens/*"), 1, Fault::CutBody),
        |bench| mangle(bench, ("GET", "/client/v4/user/tokens/*"), |body| in_field(body, "expires_on", &|end| *end = "in a month".into())),
    ];
    for spoil in unread {
        let bench = Bench::new(cloudflare::vendor()).await;
        spoil(&bench);
        let failure =
            bench.provider.switch().expect("it switches").set(&id(&bench, 0), false).await.expect_err("it cannot be written back");
        assert!(matches!(failure.fate, Fate::NotSent { .. }), "{failure}");
        assert_eq!((bench.server.count(read.0, read.1), bench.server.count(write.0, write.1)), (1, 0));
    }
}

/// What narrows a key is a bound of it: a key without it may do more.
#[tokio::test]
async fn what_narrows_a_key_is_told() {
    let policies = json!([{ "effect": "allow", "permission_groups": [{ "id": "82e64a83756745bbbb1c9c2701bf816b" }], "resources": {} }]);
    let deny = json!({ "effect": "deny", "permission_groups": [{ "id": "e199d584e69344eba202452019deafe3" }], "resources": {} });
    let condition = json!({ "condition": { "request_ip": { "in": ["10.0.0.0/8"] } } });
    let scopes = |scopes: &[&str]| json!({ "scopes": scopes });
    let remote = |on: Value| json!({ "remote_config_read_enabled": on });
    let table = [
        (cloudflare::vendor(), "condition", condition, json!({ "condition": null })),
        (cloudflare::vendor(), "policies", json!({ "policies": [policies[0], deny] }), json!({ "policies": policies })),
        (datadog::vendor(), "remote_config_read_enabled", remote(Value::Null), remote(true.into())),
        (datadog_application::vendor(), "scopes", scopes(&["a"]), scopes(&["a", "b"])),
        (datadog_application::vendor(), "scopes", scopes(&["a"]), json!({ "scopes": null })),
        (deepgram::vendor(), "scopes", scopes(&["a"]), scopes(&["a", "b"])),
    ];
    for (vendor, name, narrow, wide) in table {
        let bench = Bench::new(vendor).await;
        let (attributes, key) = (bench.provider.attributes().expect("keys have bounds"), id(&bench, 0));
        let mut bounds = Vec::new();
        for terms in [&narrow, &wide] {
            first(&bench, |key| terms.as_object().expect("terms").iter().for_each(|(term, value)| key.more[term] = value.clone()));
            bounds.push(attributes.of(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name)));
        }
        assert_eq!(widened(&bounds[0], &bounds[1]), [name], "{}", vendor.name);
    }
    for vendor in ending() {
        let bench = Bench::new(vendor).await;
        let (attributes, key) = (bench.provider.attributes().expect("keys end here"), id(&bench, 0));
        let ends = attributes.of(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        first(&bench, |key| key.expires = None);
        let endless = attributes.of(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert_eq!(widened(&ends, &endless).len(), 1, "{}", vendor.name);
    }
}

/// A permission group's attributes belong to what it allows.
#[tokio::test]
async fn a_groups_attributes_go_into_the_next_token() {
    let bench = Bench::new(cloudflare::vendor()).await;
    first(&bench, |key| key.more["policies"][0]["permission_groups"][0]["meta"] = json!({ "key": "read-only", "value": "1" }));
    let made = create(&bench).await.unwrap_or_else(|failure| panic!("{failure}"));
    let world = bench.server.world();
    let new = world.keys.all.iter().find(|key| key.id == made.id.as_str()).expect("the new token");
    assert_eq!(new.more["policies"], world.keys.all[0].more["policies"]);
}

/// A status that is not `active` is no working token, neither in the listing nor when it is tried.
#[tokio::test]
async fn a_token_that_cloudflare_calls_off_or_expired_does_not_work() {
    for word in ["disabled", "expired", "of-next-year"] {
        let bench = Bench::new(cloudflare::vendor()).await;
        mangle(&bench, ("GET", "*"), move |body| in_field(body, "status", &|status| *status = word.into()));
        let listed = bench.provider.list().await.expect("a listing");
        assert!(listed.iter().all(|key| !key.enabled), "{word}");
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Unclear), "{word}");
    }
}

/// However few keys a page has, the listing goes on until it is whole; one that holds fewer than it counts is none.
#[tokio::test]
async fn a_listing_is_whole_or_none() {
    for (vendor, count) in [(cloudflare::vendor(), "total_count"), (fireworks::vendor(), "totalSize")] {
        let bench = Bench::new(Vendor { page: 20, seeds: 45, ..vendor }).await;
        assert_eq!(bench.provider.list().await.map(|listed| listed.len()), Ok(45), "{}", vendor.name);
        mangle(&bench, vendor.list, move |body| in_field(body, count, &|told| *told = 46.into()));
        assert!(bench.provider.list().await.is_err(), "{}: one is missing", vendor.name);
        mangle(&bench, vendor.list, |body| {
            for items in ["result", "apiKeys"] {
                in_field(body, items, &|told| *told = json!([]));
            }
            in_field(body, "nextPageToken", &|token| *token = "".into());
        });
        assert!(bench.provider.list().await.is_err(), "{}: all are missing", vendor.name);
    }
    let bench = Bench::new(Vendor { page: 20, seeds: 45, ..mistral::vendor() }).await;
    assert_eq!(bench.provider.list().await.map(|listed| listed.len()), Ok(45));
    let shape: crate::site::Shape = |keys, call| {
        let mut deaf = copied(call);
        deaf.query.remove("offset");
        (mistral::vendor().shape)(keys, &deaf)
    };
    let bench = Bench::new(Vendor { page: 20, seeds: 45, shape, ..mistral::vendor() }).await;
    assert!(bench.provider.list().await.is_err(), "the same page again is no end");
}

fn copied(call: &Call) -> Call {
    Call {
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        lists: call.lists.clone(),
        headers: call.headers.clone(),
        body: call.body.clone(),
    }
}

/// IAM's listing as it comes in pages of one key, beside credentials for another service, which only a call for all services is shown.
fn in_pages(keys: &mut Keys, call: &Call) -> Answer {
    let (status, mut body) = match (bedrock::vendor().shape)(keys, call) {
        Answer::Json(status, body) if call.body["Action"] == "ListServiceSpecificCredentials" => (status, body),
        other => return other,
    };
    let result = &mut body["ListServiceSpecificCredentialsResponse"]["ListServiceSpecificCredentialsResult"];
    let all = result["ServiceSpecificCredentials"].as_array().cloned().unwrap_or_default();
    let page = call.body["Marker"].as_str().and_then(|marker| marker.parse().ok()).unwrap_or(0);
    let mut shown: Vec<Value> = all.get(page).cloned().into_iter().collect();
    if call.body["ServiceName"] != "bedrock.amazonaws.com" {
        shown.push(
            json!({ "ServiceSpecificCredentialId": "ACCACODECOMMIT", "ServiceName": "codecommit.amazonaws.com", "Status": "Active" }),
        );
    }
    result["ServiceSpecificCredentials"] = shown.into();
    if page + 1 < all.len() {
        (result["IsTruncated"], result["Marker"]) = ("true".into(), (page + 1).to_string().into());
    }
    Answer::Json(status, body)
}

/// IAM's pages are all read, and hold the keys of Bedrock alone.
#[tokio::test]
async fn iams_pages_are_all_read() {
    let bench = Bench::new(Vendor { seeds: 2, shape: in_pages, ..bedrock::vendor() }).await;
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.into_iter().map(|key| key.id).collect::<Vec<_>>(), [id(&bench, 0), id(&bench, 1)]);
    let proof = bench.provider.identify(&value(&bench, 1), &bench.provider.list().await.expect("a listing")).await.expect("an answer");
    assert_eq!(proof.map(|(key, _)| key), Some(id(&bench, 1)));
    for lost in ["Marker", "ServiceSpecificCredentialId"] {
        mangle(&bench, ("*", "*"), move |body| {
            let result = &mut body["ListServiceSpecificCredentialsResponse"]["ListServiceSpecificCredentialsResult"];
            in_field(result, lost, &|told| *told = Value::Null);
        });
        let failure = bench.provider.list().await.expect_err("it is not whole");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{lost}: {failure}");
    }
}

/// The SDK writes 1970 and an empty text where IAM's answer has nothing: neither is told.
#[tokio::test]
async fn what_iam_does_not_tell_is_not_1970() {
    let bench = Bench::new(bedrock::vendor()).await;
    mangle(&bench, ("*", "*"), |body| in_field(body, "CreateDate", &|told| *told = Value::Null));
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed[0].created_at, None);
    mangle(&bench, ("*", "*"), |body| in_field(body, "ServiceCredentialSecret", &|told| *told = Value::Null));
    let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("there is no value");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "it may be there: {failure}");
}

/// IAM's two dates may lie some seconds less than whole days apart: a key for thirty days is followed by one for thirty.
#[tokio::test]
async fn days_are_whole() {
    for (seconds, days) in [(-40, 30), (40, 30)] {
        let bench = Bench::new(bedrock::vendor()).await;
        first(&bench, |key| key.expires = key.expires.map(|end| end + TimeDelta::seconds(seconds)));
        let made = create(&bench).await.unwrap_or_else(|failure| panic!("{failure}"));
        let world = bench.server.world();
        let new = world.keys.all.iter().find(|key| key.id == made.id.as_str()).expect("the new key");
        assert_eq!(new.more["days"], days);
    }
    let bench = Bench::new(bedrock::vendor()).await;
    first(&bench, |key| key.expires = Some(key.made + TimeDelta::hours(3)));
    let failure = create(&bench).await.err().expect("IAM makes keys for whole days");
    assert!(matches!(failure.fate, Fate::NotSent { .. }) && creates(&bench) == 0, "{failure}");
}

/// A user has room for two keys: with both there is none, and the one that is switched off is named.
#[tokio::test]
async fn a_user_with_two_keys_has_no_room() {
    let bench = Bench::new(Vendor { seeds: 2, ..bedrock::vendor() }).await;
    bench.server.world().keys.all[1].enabled = false;
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.iter().map(|key| key.enabled).collect::<Vec<_>>(), [true, false]);
    let problems = bench.provider.check().await.expect_err("there is no room");
    assert!(
        problems[0].hint.contains(id(&bench, 1).as_str()) && !problems[0].hint.contains(id(&bench, 0).as_str()),
        "{}",
        problems[0].hint
    );
}

/// Users of one name in two accounts are two users.
#[tokio::test]
async fn bedrock_works_in_the_playbooks_account_alone() {
    for (number, right) in [("123456789012", true), ("210987654321", false)] {
        let block: fn(&str, &str) -> String = |url, admin| format!("account: \"123456789012\"\n{}", (bedrock::vendor().block)(url, admin));
        let shape: crate::site::Shape = |keys, call| match call.body["Action"] == "GetCallerIdentity" {
            true => {
                let told = json!({ "Arn": "arn:aws:iam::0:user/keyroll", "UserId": "AIDA1", "Account": "123456789012" });
                (StatusCode::OK, json!({ "GetCallerIdentityResponse": { "GetCallerIdentityResult": told } })).into()
            }
            false => (bedrock::vendor().shape)(keys, call),
        };
        let bench = Bench::new(Vendor { block, shape, ..bedrock::vendor() }).await;
        mangle(&bench, ("*", "*"), move |body| in_field(body, "Account", &|told| *told = number.into()));
        assert_eq!(bench.provider.check().await.is_ok(), right, "{number}");
    }
}

/// A block that would make another key than is meant, or name another place, is refused before anybody is called.
#[tokio::test]
async fn a_block_that_cannot_be_meant_is_refused() {
    let wrong: [(Vendor, &str, &str, &str); 13] = [
        (azure_openai::vendor(), "account: acme", "account: ..", "`account`"),
        (azure_openai::vendor(), "spare: unused", "spare: unused\nprobe: openai/models", "`probe`"),
        (bedrock::vendor(), "region: us-east-1", "region: us-east-1.evil.example/", "region"),
        (bedrock::vendor(), "user: chat", "user: path/chat", "user"),
        (bedrock::vendor(), "user: chat", "user: chat\naccount: \"12345\"", "account"),
        (cloudflare_account::vendor(), "account: 023e105f4ecef8ad9ca31a8372d0c353", "account: ..", "`account`"),
        (datadog::vendor(), "api_key:", "service_account: sa-1\napi_key:", "service account"),
        (datadog_application::vendor(), "service_account: sa-1", "service_account: ..", "id"),
        (deepgram::vendor(), "project:", "scopes: []\nproject:", "`scopes`"),
        (deepgram::vendor(), "project: 550e8400-e29b-41d4-a716-446655440000", "project: ..", "`project`"),
        (fireworks::vendor(), "user: inference", "user: ..", "`user`"),
        (mistral::vendor(), "admin_key:", "delete: /api-keys\nadmin_key:", "`delete`"),
        (mistral::vendor(), "admin_key:", "delete: api-keys/{key_id}\nadmin_key:", "`delete`"),
    ];
    for (vendor, right, instead, named) in wrong {
        let block = (vendor.block)("http://127.0.0.1:1", "env:ADMIN");
        assert!(block.contains(right) && built(vendor.name, &block).is_ok(), "{}", vendor.name);
        let Err(fault) = built(vendor.name, &block.replace(right, instead)) else { panic!("{}: {instead} was taken", vendor.name) };
        assert!(fault.what.contains(named), "{}: {instead}: {}", vendor.name, fault.what);
    }
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

/// A name with a slash in it stands in one segment of every address: it reaches no other account's keys.
#[tokio::test]
async fn a_slash_in_a_name_reaches_no_other_place() {
    for (vendor, right, field) in [
        (azure_openai::vendor(), "account: acme", "account"),
        (cloudflare_account::vendor(), "account: 023e105f4ecef8ad9ca31a8372d0c353", "account"),
        (datadog_application::vendor(), "service_account: sa-1", "service_account"),
        (deepgram::vendor(), "project: 550e8400-e29b-41d4-a716-446655440000", "project"),
        (fireworks::vendor(), "user: inference", "user"),
    ] {
        let bench = with(vendor, right, &format!("{field}: a/../b")).await;
        // One stand-in knows every account, and the others know only theirs.
        drop(bench.provider.list().await);
        let asked = bench.server.requests();
        assert!(!asked.is_empty() && asked.iter().all(|(_, path)| path.contains("a%2F..%2Fb")), "{}: {asked:?}", vendor.name);
    }
}

/// What the playbook says of a call is what is called: another path for a delete, another one to try a key on.
#[tokio::test]
async fn calls_go_where_the_playbook_says() {
    let bench = with(mistral::vendor(), "admin_key:", "delete: /keys/{key_id}/revoke\nadmin_key:").await;
    assert!(bench.provider.delete(&tombstone_for(&KeyId::new("a/b"))).await.is_err(), "nothing is there");
    assert_eq!(bench.server.requests(), [("DELETE".to_owned(), "/api/admin/keys/a%2Fb/revoke".to_owned())]);
    for (vendor, right, probe) in
        [(fireworks::vendor(), "work_url:", "probe_url: \"{url}/own/place\""), (azure_openai::vendor(), "spare:", "probe: /own/place")]
    {
        let bench = with(vendor, right, &format!("{probe}\n{right}")).await;
        assert_ne!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Alive), "{}: nothing is there", vendor.name);
        assert_eq!(bench.server.requests(), [("GET".to_owned(), "/own/place".to_owned())], "{}", vendor.name);
    }
}

/// A key that is made like none other is what the playbook says of it; where that is nothing, none is made.
#[tokio::test]
async fn a_first_key_is_what_the_playbook_says() {
    let shape: crate::site::Shape = |keys, call| match call.method.as_str() {
        "POST" if call.body["user_id"] != "user-7" => (StatusCode::UNPROCESSABLE_ENTITY, json!({ "detail": "for whom?" })).into(),
        _ => (mistral::vendor().shape)(keys, call),
    };
    let told = "workspace: ws-batch\nuser: user-7";
    let bench = with(Vendor { shape, ..mistral::vendor() }, "workspace: ws-default", told).await;
    let made = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let attributes = bench.provider.attributes().expect("keys have a workspace");
    assert_eq!(attributes.of(&made.id).await.expect("an answer")["workspace"], Bound::Is("ws-batch".into()));
    assert_eq!(attributes.planned(None, &Limits::NONE).await.expect("an answer")["workspace"], Bound::Is("ws-batch".into()));
    let old = id(&bench, 0);
    let planned = attributes.planned(Some(Like::Key(&old)), &Limits::NONE).await.expect("an answer");
    assert_eq!(planned["workspace"], Bound::Is("ws-prod".into()), "the old one's goes before");

    for (vendor, scopes) in [(datadog_application::vendor(), "dashboards_read"), (deepgram::vendor(), "usage:write")] {
        let bench = Bench::new(vendor).await;
        let made = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
        let bounds = bench.provider.attributes().expect("keys have scopes").of(&made.id).await.expect("an answer");
        assert_eq!(bounds["scopes"], Bound::Only(Some([scopes.to_owned()].into())), "{}", vendor.name);
    }

    let bench = Bench::new(Vendor { block: without_policies, ..cloudflare::vendor() }).await;
    let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("it has no policies");
    assert_eq!((failure.refusal(), creates(&bench)), (Some(Refusal::Invalid), 0), "{failure}");
}

fn without_policies(url: &str, admin: &str) -> String {
    let block = (cloudflare::vendor().block)(url, admin);
    block.lines().filter(|line| !line.starts_with("policies")).fold(String::new(), |block, line| block + line + "\n")
}

/// What a key without scopes may do is not said: none is made like one.
#[tokio::test]
async fn a_key_of_deepgram_without_scopes_is_followed_by_none() {
    let bench = Bench::new(deepgram::vendor()).await;
    first(&bench, |key| key.more["scopes"] = json!([]));
    let failure = create(&bench).await.err().expect("nobody knows what it may");
    assert_eq!((failure.refusal(), creates(&bench)), (Some(Refusal::Invalid), 0), "{failure}");
}

/// What an application key may do is passed on as told; where it is not told none is made, for without scopes it may what its user may.
#[tokio::test]
async fn the_scopes_of_an_application_key_are_never_guessed() {
    let path = ("GET", "/api/v2/service_accounts/sa-1/application_keys/*");
    for (scopes, told) in [(json!(["monitors_read"]), true), (json!([]), true), (Value::Null, true), (json!("all"), false)] {
        let bench = Bench::new(datadog_application::vendor()).await;
        first(&bench, |key| key.more["scopes"] = scopes.clone());
        match create(&bench).await {
            Ok(made) => {
                let world = bench.server.world();
                let new = world.keys.all.iter().find(|key| key.id == made.id.as_str()).expect("the new key");
                assert!(told && new.more["scopes"] == scopes, "{scopes}: {}", new.more);
            }
            Err(failure) => assert!(!told && matches!(failure.fate, Fate::NotSent { .. }), "{scopes}: {failure}"),
        }
    }
    let bench = Bench::new(datadog_application::vendor()).await;
    mangle(&bench, path, |body| drop(body["data"]["attributes"].as_object_mut().map(|told| told.remove("scopes"))));
    let failure = create(&bench).await.err().expect("it may everything");
    assert!(matches!(failure.fate, Fate::NotSent { .. }) && creates(&bench) == 0, "{failure}");
}

/// Datadog tells a value at its making alone: a key that is made and cannot be had is unknown, not refused. And a page is no deletion.
#[tokio::test]
async fn a_word_of_success_is_not_all_of_it() {
    for vendor in [datadog::vendor(), datadog_application::vendor(), mistral::vendor()] {
        let bench = Bench::new(vendor).await;
        mangle(&bench, vendor.create, |body| in_field(body, "key", &|value| *value = Value::Null));
        let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("there is no value");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {failure}", vendor.name);
    }
    for vendor in [cloudflare::vendor(), cloudflare_account::vendor(), datadog::vendor(), datadog_application::vendor()] {
        let bench = Bench::new(vendor).await;
        bench.spoil(vendor.delete, 1, Fault::Html);
        let failure = bench.provider.delete(&tombstone_for(&id(&bench, 0))).await.expect_err("it is there still");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {failure}", vendor.name);
    }
}

/// An empty key is none: its slot would be taken for one that holds a key.
#[tokio::test]
async fn an_empty_slot_is_not_told() {
    let bench = Bench::new(azure_openai::vendor()).await;
    let slots = azure_openai::vendor();
    mangle(&bench, slots.list, |body| body["key2"] = "".into());
    let failure = bench.provider.list().await.expect_err("it is never empty");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
    mangle(&bench, slots.create, |body| body["key2"] = "".into());
    let failure = create(&bench).await.err().expect("no value");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
}

/// What this rotation regenerated is nobody's, whatever slot the playbook names for a first key.
#[tokio::test]
async fn a_slot_of_this_rotations_own_goes_before_the_playbooks() {
    let bench = Bench::new(azure_openai::vendor()).await;
    let before = [id(&bench, 0), id(&bench, 1)];
    bench.provider.delete(&tombstone_for(&before[0])).await.unwrap_or_else(|failure| panic!("{failure}"));
    let wanted = Wanted { listed: &before, ..Wanted::named("new", "token-1") };
    let made = bench.provider.create(&wanted).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(made.id.as_str().starts_with("Key1"), "{}", made.id);
    assert!(bench.provider.list().await.expect("a listing").iter().any(|key| key.id == before[1]), "the other one is untouched");
}

/// Playbooks of one account or user must not run at once; Azure takes names in upper and in lower case for the same.
#[tokio::test]
async fn one_principal_is_one_however_it_is_written() {
    let principal = |vendor: Vendor, right: &str, instead: &str| {
        let block = (vendor.block)("http://127.0.0.1:1", "env:ADMIN").replace(right, instead);
        built(vendor.name, &block).unwrap_or_else(|fault| panic!("{}", fault.what)).principal().expect("keys share one")
    };
    let azures = |account| principal(azure_openai::vendor(), "account: acme", account);
    assert_eq!(azures("account: acme"), azures("account: ACME"));
    assert_ne!(azures("account: acme"), azures("account: other"));
    let bedrocks = |user| principal(bedrock::vendor(), "user: chat", user);
    assert_ne!(bedrocks("user: chat"), bedrocks("user: batch"));
    assert_ne!(bedrocks("user: chat\naccount: \"123456789012\""), bedrocks("user: chat\naccount: \"210987654321\""));
}

/// A person's own commands name the key that goes, and none that stays.
#[tokio::test]
async fn commands_by_hand_name_the_key_that_goes() {
    for vendor in clouds() {
        let bench = Bench::new(vendor).await;
        let old = id(&bench, 0);
        let named = if vendor.name == "azure_openai" { "Key1" } else { old.as_str() };
        let hand = bench.provider.by_hand(Some(&old));
        let (create, revoke) = (hand.create.join("\n"), hand.revoke.join("\n"));
        assert!(revoke.contains(named) && !create.contains(named), "{}: {create}\n{revoke}", vendor.name);
        assert!(create.contains("NEW_KEY=") && create.contains("NEW_KEY_ID="), "{}: {create}", vendor.name);
        let unknown = bench.provider.by_hand(None).revoke.join("\n");
        assert!(unknown.contains("LEAKED_KEY_ID") && !unknown.contains(named), "{}: {unknown}", vendor.name);
    }
}

/// What a vendor says of a living key that may not, or that calls from where it must not, is no death.
#[tokio::test]
async fn a_refusal_of_what_a_key_may_is_no_death() {
    fn cloudflares(status: StatusCode, code: u32) -> Answer {
        (status, json!({ "success": false, "errors": [{ "code": code, "message": "refused" }], "messages": [], "result": null })).into()
    }
    let shapes: [(Vendor, crate::site::Shape); 6] = [
        (azure_openai::vendor(), |_, _| {
            let told = "Public access is disabled. Please configure private endpoint.";
            (StatusCode::FORBIDDEN, json!({ "error": { "code": "403", "message": told } })).into()
        }),
        (bedrock::vendor(), |_, _| {
            (StatusCode::FORBIDDEN, json!({ "Message": "User is not authorized to perform: bedrock:ListFoundationModels" })).into()
        }),
        (cloudflare::vendor(), |_, _| cloudflares(StatusCode::FORBIDDEN, 9109)),
        (cloudflare::vendor(), |_, _| cloudflares(StatusCode::UNAUTHORIZED, 10000)),
        (cloudflare::vendor(), |_, _| cloudflares(StatusCode::BAD_REQUEST, 1000)),
        (deepgram::vendor(), |_, _| {
            let told = json!({ "err_code": "INSUFFICIENT_PERMISSIONS", "err_msg": "User does not have sufficient permissions." });
            (StatusCode::UNAUTHORIZED, told).into()
        }),
    ];
    for (vendor, shape) in shapes {
        let bench = Bench::new(Vendor { shape, ..vendor }).await;
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Unclear), "{}", vendor.name);
    }
}

/// Each key is listed as it is: its name, its times, and its use where that is told.
#[tokio::test]
async fn a_key_is_listed_as_it_is() {
    for vendor in clouds().into_iter().filter(|vendor| vendor.name != "azure_openai") {
        let bench = Bench::new(vendor).await;
        first(&bench, |key| (key.made, key.used) = (key.made - TimeDelta::days(10), Some(key.made - TimeDelta::days(3))));
        let key = bench.server.world().keys.all[0].clone();
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let seconds = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp());
        let used = bench.provider.usage().and(key.used);
        let told = [listed[0].created_at, listed[0].expires_at, listed[0].last_used];
        assert_eq!(told.map(seconds), [Some(key.made), key.expires, used].map(seconds), "{}", vendor.name);
        assert_eq!(listed[0].name.clone().unwrap_or_default(), key.name, "{}", vendor.name);
        assert!(listed[0].enabled, "{}", vendor.name);
    }
}

/// Where keyroll's own key cannot be asked at the same moment, a refusal shows nothing.
#[tokio::test]
async fn a_death_at_datadog_needs_keyrolls_own_key_beside_it() {
    for vendor in [datadog::vendor(), datadog_application::vendor()] {
        let bench = Bench::new(vendor).await;
        let stranger = Credential { id: None, secret: Secret::new("never-issued-5d0b") };
        assert_eq!(bench.provider.probe(&stranger).await, Ok(Life::Dead));
        for fault in [status(500), Fault::DropBefore, status(429)] {
            bench.spoil(vendor.probe, 2, fault.clone());
            let life = bench.provider.probe(&stranger).await;
            assert!(!matches!(life, Ok(Life::Dead)), "{fault:?}: {life:?}");
        }
    }
}

/// An alias is public: a value is a key's only where more than the alias stands in it.
#[tokio::test]
async fn an_alias_alone_is_no_value() {
    let bench = Bench::new(bedrock::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let value = bench.server.world().keys.all[0].value.clone();
    let whole = String::from_utf8(BASE64_STANDARD.decode(&value["ABSK".len()..]).expect("base64")).expect("text");
    let (alias, rest) = whole.split_once(':').expect("a colon");
    for (begins, text, whose) in [
        ("ABSK", format!("{alias}:{rest}"), Some(&listed[0].id)),
        ("ABSK", alias.to_owned(), None),
        ("ABSK", format!("{alias}-2:{rest}"), None),
        ("", format!("{alias}:{rest}"), None),
    ] {
        let secret = Secret::new(format!("{begins}{}", BASE64_STANDARD.encode(text)));
        let proof = bench.provider.identify(&Credential { id: None, secret }, &listed).await.expect("an answer");
        assert_eq!(proof.as_ref().map(|(id, _)| id), whose);
    }
}

/// A token of Entra is used no longer than it is said to live; one of which nothing is said is used once.
#[tokio::test]
async fn a_token_is_not_used_past_its_end() {
    for (lives, asked) in [(json!(3599), 1), (json!(299), 2), (Value::Null, 2)] {
        let client = "login: { client: { tenant: dir-1, client_id: app-1, client_secret: env:ADMIN, authority: \"{url}\" } }";
        let bench = with(azure_openai::vendor(), "login: { token: env:ADMIN }", client).await;
        let told = lives.clone();
        mangle(&bench, ("POST", "/dir-1/oauth2/v2.0/token"), move |body| match told.is_null() {
            true => drop(body.as_object_mut().map(|token| token.remove("expires_in"))),
            false => body["expires_in"] = told.clone(),
        });
        for _ in 0..2 {
            bench.provider.list().await.unwrap_or_else(|failure| panic!("{failure}"));
        }
        assert_eq!(bench.server.count("POST", "/dir-1/oauth2/v2.0/token"), asked, "{lives}");
    }
}

/// A create whose answer cannot be read has a new key's value in it, and no part of it is shown.
#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_shown() {
    let ids = ["key1", "ServiceSpecificCredentialId", "id", "id", "id", "id", "api_key_id", "keyId", "key_id"];
    for (vendor, field) in clouds().into_iter().zip(ids) {
        let bench = Bench::new(vendor).await;
        mangle(&bench, ("*", vendor.create.1), move |body| in_field(body, field, &|told| *told = Value::Null));
        let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("it cannot be read");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {failure}", vendor.name);
        let (text, world) = (format!("{failure} {failure:?}"), bench.server.world());
        assert!(world.keys.all.iter().all(|key| !text.contains(&key.value)), "{}: a value was shown", vendor.name);
    }
}
