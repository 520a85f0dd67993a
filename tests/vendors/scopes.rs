//! SendGrid's keys are what their scopes are, and Twilio's are known by Twilio alone: nothing is made, taken or called dead by a guess.

use keyroll::{
    ids::KeyId,
    ports::{Credential, Fate, Like, Wanted},
    protocol::Refusal,
    sandbox::server::Fault,
    secret::Secret,
};
use serde_json::json;

use crate::{
    common::tombstone_for,
    site::{Bench, Vendor},
    standins::{sendgrid, twilio},
};

fn credential(bench: &Bench, nth: usize, secret: &str) -> Credential {
    Credential { id: Some(KeyId::new(&bench.server.world().keys.all[nth].id)), secret: Secret::new(secret) }
}

/// A create without scopes would make a key that may do everything.
#[tokio::test]
async fn a_key_without_scopes_is_followed_by_none() {
    let bench = Bench::new(sendgrid::vendor()).await;
    bench.server.world().keys.all[0].more["scopes"] = json!(["2fa_required"]);
    let old = KeyId::new(&bench.server.world().keys.all[0].id);
    let wanted = Wanted { like: Some(Like::Key(&old)), ..Wanted::named("new", "token-1") };
    let failure = bench.provider.create(&wanted).await.err().expect("it would have every scope");
    assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{failure}");
    assert_eq!(bench.server.count(bench.vendor.create.0, bench.vendor.create.1), 0, "refused before the effect");
}

/// SendGrid shows ten keys unless it is asked for more; a key that is left out would look gone.
#[tokio::test]
async fn all_keys_that_an_account_may_have_are_listed() {
    let bench = Bench::new(Vendor { seeds: 99, ..sendgrid::vendor() }).await;
    assert_eq!(bench.provider.list().await.map(|listed| listed.len()), Ok(99));
}

/// The whole id stands in a value, not the beginning of one.
#[tokio::test]
async fn a_value_names_its_key_whole() {
    let bench = Bench::new(sendgrid::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let id = listed[0].id.as_str();
    let cut = &id[..id.len() - 1];
    for (value, whose) in [(format!("SG.{id}.s3cret"), Some(&listed[0].id)), (format!("SG.{cut}.s3cret"), None), (format!("SG.{id}"), None)]
    {
        let proof = bench.provider.identify(&Credential { id: None, secret: Secret::new(value) }, &listed).await.expect("an answer");
        assert_eq!(proof.as_ref().map(|(id, _)| id), whose);
    }
}

/// A secret shows nothing of its SID: it is a key's only when Twilio takes both together.
#[tokio::test]
async fn a_secret_beside_another_keys_sid_is_nobodys() {
    let bench = Bench::new(twilio::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let value = bench.server.world().keys.all[0].value.clone();
    let proof = bench.provider.identify(&credential(&bench, 0, &value), &listed).await.expect("an answer");
    assert_eq!(proof.map(|(id, _)| id), Some(listed[0].id.clone()));
    for (nth, secret) in [(1, value.as_str()), (0, "never-issued-5d0b")] {
        assert_eq!(bench.provider.identify(&credential(&bench, nth, secret), &listed).await, Ok(None));
    }
    let without = Credential { id: None, secret: Secret::new(&value) };
    assert_eq!(bench.provider.identify(&without, &listed).await, Ok(None));
}

/// A page in its place, with a status of success, is no deletion.
#[tokio::test]
async fn a_delete_is_done_only_by_its_own_answer() {
    for vendor in [sendgrid::vendor(), twilio::vendor()] {
        let bench = Bench::new(vendor).await;
        let id = KeyId::new(&bench.server.world().keys.all[0].id);
        bench.spoil(vendor.delete, 1, Fault::Html);
        let failure = bench.provider.delete(&tombstone_for(&id)).await.expect_err("it is there still");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {failure}", vendor.name);
    }
}
