//! OpenAI's keys have owners: what is a person's is ours, and what is a service account's is not.

use std::sync::{Arc, Mutex};

use chrono::{TimeDelta, Utc};
use keyroll::{
    ids::KeyId,
    ports::{Credential, Fate, Wanted},
    protocol::Refusal,
    secret::Secret,
};
use serde_json::Value;

use crate::{
    common::tombstone_for,
    openai_spec::Witness,
    provider::ProviderBench as _,
    site::{Bench, build},
    standins::openai_user::{ACCOUNTS_KEY, ACCOUNTS_VALUE, vendor},
};

/// The whole contract, a key's last use and what it was used for: each request and each answer as OpenAI's specification has them.
#[tokio::test]
async fn openai_user_speaks_as_the_specification_says() {
    let mut bench = Bench::new(vendor()).await;
    let witness = Witness::before(format!("{}/v1", bench.server.url())).await;
    bench.provider = build(&vendor(), witness.url.trim_end_matches("/v1"));
    bench.keeps_the_contract().await;

    let usage = bench.provider.usage().expect("OpenAI tells");
    let spend = bench.provider.spend().expect("OpenAI tells");
    let (used, unused) = (bench.mint(&Wanted::named("used", "t")).await.expect("a key"), bench.seeded()[0].clone());
    bench.provider.probe(&bench.credential(&used)).await.expect("an answer");
    assert!(usage.last_used(&used.id).await.expect("an answer").is_some());
    assert_eq!(usage.last_used(&unused).await, Ok(None));
    let from = Utc::now() - TimeDelta::minutes(10);
    let told = spend.since(&used.id, from).await.expect("an answer");
    assert_eq!((told.requests, told.input_tokens, told.micro_usd), (Some(1), Some(12), Some(10_000)));
    bench.provider.delete(&tombstone_for(&used.id)).await.expect("it is gone");
    assert_eq!(spend.since(&used.id, from).await.expect("an answer").requests, Some(1), "also after its end");
    assert_eq!(usage.last_used(&used.id).await.map_err(|failure| failure.refusal()), Err(Some(Refusal::Gone)), "gone is not unused");
    witness.all_right(|(_, path)| path.contains("/api_keys") || path.contains("usage") || path.ends_with("costs") || path == "/models");
}

#[tokio::test]
async fn a_service_accounts_key_is_no_persons() {
    let bench = Bench::new(vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.len(), vendor().seeds);
    let credential = Credential { id: Some(KeyId::new(ACCOUNTS_KEY)), secret: Secret::new(ACCOUNTS_VALUE) };
    assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None), "its value fits, and it is not ours");
}

/// It looks like a person's key whose beginning and end are the same: then neither is proved.
#[tokio::test]
async fn a_key_that_looks_like_another_is_nobodys() {
    let bench = Bench::new(vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let value = bench.server.world().keys.all[0].value.clone();
    bench.server.world().keys.all[1].value = format!("{}-other-{}", &value[..12], &value[value.len() - 4..]);
    let credential = Credential { id: None, secret: Secret::new(value) };
    assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None));
}

#[tokio::test]
async fn the_key_of_a_person_who_left_the_project_is_not_enabled() {
    let bench = Bench::new(vendor()).await;
    bench.server.world().keys.all[1].enabled = false;
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.iter().map(|key| key.enabled).collect::<Vec<_>>(), [true, false, true]);
}

/// Left out of the listing it would look gone.
#[tokio::test]
async fn an_owner_that_is_not_told_is_unknown() {
    let bench = Bench::new(vendor()).await;
    let seen = Arc::new(Mutex::new(0));
    let count = seen.clone();
    let hide = move |body: &mut Value| {
        body["data"][0]["owner"].as_object_mut().into_iter().for_each(|owner| drop(owner.remove("type")));
        *count.lock().expect("not poisoned") += 1;
    };
    bench.server.world().mangle = Some((vendor().list.0, vendor().list.1.into(), Box::new(hide)));
    let failure = bench.provider.list().await.expect_err("whose is it?");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
    assert!(*seen.lock().expect("not poisoned") > 0);
}

/// Nothing is deleted that the answer does not call so.
#[tokio::test]
async fn a_delete_is_done_only_when_it_is_said() {
    let bench = Bench::new(vendor()).await;
    bench.server.world().mangle = Some((vendor().delete.0, vendor().delete.1.into(), Box::new(|body| body["deleted"] = false.into())));
    let failure = bench.provider.delete(&tombstone_for(&bench.seeded()[0])).await.expect_err("it is not said");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
}

/// The use of another key would let one look idle that is not, or busy one that is.
#[tokio::test]
async fn what_is_told_of_another_key_is_not_this_keys() {
    let bench = Bench::new(vendor()).await;
    let id = bench.seeded()[0].clone();
    let secret = Secret::new(&bench.server.world().keys.all[0].value);
    bench.provider.probe(&Credential { id: None, secret }).await.expect("an answer");
    let usage = bench.provider.usage().expect("OpenAI tells");
    let spend = bench.provider.spend().expect("OpenAI tells");
    let path = format!("{}/*", vendor().list.1);
    bench.server.world().mangle = Some(("GET", path, Box::new(|body| body["id"] = "key_of_another".into())));
    assert!(usage.last_used(&id).await.is_err(), "the answer is another key's");

    let beside = |body: &mut Value| {
        let mut other = body["data"][0]["results"][0].clone();
        other["api_key_id"] = "key_of_another".into();
        body["data"][0]["results"].as_array_mut().expect("results").push(other);
    };
    bench.server.world().mangle = Some(("GET", "/v1/organization/usage/completions".into(), Box::new(beside)));
    let told = spend.since(&id, Utc::now() - TimeDelta::minutes(10)).await.expect("an answer");
    assert_eq!((told.requests, told.input_tokens, told.output_tokens), (Some(1), Some(12), Some(5)));
}
