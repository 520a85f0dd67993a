//! Vendors whose create is more than one call or begins an operation, whose names are short, and who refuse with a success status.

use keyroll::{
    ports::{Credential, Fate, Life, Like, Wanted},
    protocol::Refusal,
    sandbox::server::Fault,
    secret::Secret,
};
use serde_json::json;

use crate::{
    road::Road,
    site::{Bench, Vendor},
    standins,
};

/// What goes wrong after the create was taken leaves it unknown, whatever it is: the key is there, and is found by its name.
#[tokio::test]
async fn nothing_after_a_create_is_a_refusal_of_it() {
    let google: fn() -> Vendor = standins::gemini::vendor;
    let after = [
        (google, ("GET", "/v2/operations/*")),
        (google, ("GET", "/v2/projects/prod-1/locations/global/keys/*/keyString")),
        (standins::new_api::vendor, ("GET", "/api/token/")),
        (standins::new_api::vendor, ("POST", "/api/token/*/key")),
    ];
    let faults = [400, 401, 403, 404, 429, 500].map(|code| Fault::Status { code, retry_after: None });
    for (vendor, path) in after {
        for fault in faults.iter().cloned().chain([Fault::DropBefore, Fault::Html]) {
            let bench = Bench::new(vendor()).await;
            bench.spoil(path, 1, fault.clone());
            let Err(failure) = bench.provider.create(&Wanted::named("begun", "token-1")).await else {
                panic!("{path:?} {fault:?}: went well")
            };
            assert!(matches!(failure.fate, Fate::Unknown { .. }), "{path:?} {fault:?}: {failure}");
            let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(listed.iter().filter(|key| key.name.as_deref() == Some("begun")).count(), 1, "{path:?} {fault:?}");
        }
    }
}

/// A relay that refuses with status 200: nothing that it says so is taken for done, and a key that it does not list is gone.
#[tokio::test]
async fn a_refusal_with_a_success_status_is_none() {
    let bench = Bench::new(standins::new_api::vendor()).await;
    let failure = bench.provider.create(&Wanted::named(&"n".repeat(51), "token-1")).await.err().expect("the name is too long");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("accepted")));
    let before = bench.server.world().keys.listed().len();
    let id = keyroll::ids::KeyId::new("7");
    bench.server.inject("DELETE", "/api/token/*", 1, Fault::Html);
    let failure = bench.provider.delete(&crate::common::tombstone_for(&id)).await.expect_err("a page is no word");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "it is there still: {failure}");
    assert_eq!(bench.server.world().keys.listed().len(), before);
    let failure = bench.provider.delete(&crate::common::tombstone_for(&keyroll::ids::KeyId::new("9999"))).await.expect_err("no such key");
    assert_eq!(failure.refusal(), Some(Refusal::Gone));
}

/// Google gives fewer keys than were asked for, and a token; without a token it is the last page.
#[tokio::test]
async fn googles_pages_are_all_read() {
    let vendor = Vendor { page: 4, seeds: 10, ..standins::gemini::vendor() };
    let bench = Bench::new(vendor).await;
    let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(listed.len(), 10);
    crate::faults::a_page_that_fails_is_no_shorter_listing(vendor).await;
}

/// Google, asked to refuse the deletion of a key that is in use.
fn checked() -> Vendor {
    Vendor {
        block: |url, admin| {
            format!("project: prod-1\ntoken: {admin}\ncheck_existing_usage: true\nbase_url: \"{url}/v2\"\ngemini_url: \"{url}/v1beta\"")
        },
        ..standins::gemini::vendor()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_key_that_google_saw_in_use_is_not_deleted_until_it_is_idle() {
    let road = Road::new(checked()).await;
    road.server.world().keys.all[0].used = Some(chrono::Utc::now());
    let said = road.ends(&road.keyroll(&["run", "book.yaml", "--yes"]).await, 3);
    assert!(said.contains("used within the last 7 days") && said.contains("keyroll resume"), "{said}");
    assert!(road.server.world().keys.all[0].live(), "{said}");

    road.server.world().keys.all[0].used = None;
    let said = road.ends(&road.keyroll(&["resume", "--reason", "nobody used it for a week"]).await, 0);
    assert_ne!(road.only(&said), road.old, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_key_is_deleted_whoever_uses_it() {
    let road = Road::new(checked()).await;
    road.server.world().keys.all[0].used = Some(chrono::Utc::now());
    let said = road.ends(&road.keyroll(&["emergency", "book.yaml", "--reason", "seen in a public repository", "--yes"]).await, 0);
    assert_ne!(road.only(&said), road.old, "{said}");
}

/// The longest name of a playbook's, with all that is added to it.
fn long() -> String {
    format!("{}-2026-11-01KAX0000000000000000000-a1", "a".repeat(60))
}

#[tokio::test]
async fn a_name_too_long_for_google_is_kept_whole() {
    let bench = Bench::new(standins::gemini::vendor()).await;
    let minted = bench.provider.create(&Wanted::named(&long(), "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{failure}"));
    let key = listed.iter().find(|key| key.id == minted.id).expect("it is listed");
    assert_eq!(key.name, Some(long()));

    // A key like it is not taken for it.
    let wanted = Wanted { like: Some(Like::Key(&minted.id)), ..Wanted::named("short", "token-2") };
    let minted = bench.provider.create(&wanted).await.unwrap_or_else(|failure| panic!("{failure}"));
    let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(listed.iter().find(|key| key.id == minted.id).and_then(|key| key.name.as_deref()), Some("short"));
}

#[tokio::test]
async fn a_name_too_long_for_twilio_is_refused_before_anything_is_sent() {
    let bench = Bench::new(standins::twilio::vendor()).await;
    let Err(failure) = bench.provider.create(&Wanted::named(&long(), "token-1")).await else { panic!("it went well") };
    assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{failure}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("key_name")));
    assert_eq!(bench.server.count("POST", "/v1/Keys"), 0);
}

/// A key of xAI works at one place before it works at others: it is not taken for alive before it has reached all that xAI names.
#[tokio::test]
async fn a_key_that_has_not_reached_every_place_does_not_count_as_working() {
    let bench = Bench::new(standins::xai::vendor()).await;
    let secret = Secret::new(&bench.server.world().keys.all[0].value);
    let credential = Credential { id: None, secret };
    let told = [
        (json!({ "icPropagation": { "us-east-1": true, "eu-west-1": false } }), Life::Unclear),
        (json!({ "us-east-1": false }), Life::Unclear),
        (json!({ "icPropagation": { "us-east-1": true, "eu-west-1": true } }), Life::Alive),
        // Nothing is told.
        (json!({ "icPropagation": {} }), Life::Alive),
        (json!({ "clusters": ["us-east-1"] }), Life::Alive),
        (json!("soon"), Life::Alive),
    ];
    for (places, life) in told {
        bench.server.world().keys.all[0].more["places"] = places.clone();
        assert_eq!(bench.provider.probe(&credential).await.expect("told"), life, "{places}");
    }
    let path = ("GET", "/auth/api-keys/*/propagation");
    for fault in [Fault::Status { code: 404, retry_after: None }, Fault::Status { code: 403, retry_after: None }, Fault::Html] {
        bench.spoil(path, 1, fault.clone());
        assert_eq!(bench.provider.probe(&credential).await.expect("told"), Life::Alive, "{fault:?}: the key's own call is all there is");
    }
}
