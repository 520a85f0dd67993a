//! What is taken for an end: of a key, and of a call that changes one.

use super::*;

/// An answer that does not say that this very key is deleted leaves its deletion unknown.
#[tokio::test]
async fn a_delete_is_done_only_when_it_is_said() {
    let says: [fn(&mut Value); 2] = [|body| body["deleted"] = false.into(), |body| body["deleted_keys"] = json!(["another"])];
    for (vendor, change) in [openrouter::vendor(), litellm::vendor()].into_iter().zip(says) {
        let bench = Bench::new(vendor).await;
        mangle(&bench, vendor.delete, change);
        unknown(&bench.provider.delete(&tombstone_for(&id(&bench, 0))).await.expect_err("it is not said"), vendor.name);
    }
}

/// An operation of Google's that ends in an error did not do what was asked for; only some errors say that for certain.
#[tokio::test]
async fn an_operation_of_google_that_failed_is_not_done() {
    let told = [
        (json!({ "code": 9 }), Some(Refusal::Invalid)),
        (json!({ "code": 5 }), Some(Refusal::Gone)),
        (json!({ "code": 10 }), Some(Refusal::Conflict)),
        (json!({ "code": 7 }), Some(Refusal::Denied)),
        (json!({ "code": 2 }), None),
        (json!({ "code": 4 }), None),
        (json!({ "code": 13 }), None),
        (json!({ "code": 14 }), None),
        // It ended, and says neither.
        (Value::Null, None),
    ];
    for (error, why) in told {
        let bench = Bench::new(gemini::vendor()).await;
        let what = error.to_string();
        mangle(&bench, ("GET", "/v2/operations/*"), move |body| {
            *body = json!({ "name": "operations/akmf.1", "done": true, "error": error })
        });
        let deleted = bench.provider.delete(&tombstone_for(&id(&bench, 0))).await.expect_err("it failed");
        let created = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("it failed");
        for failure in [deleted, created] {
            assert_eq!(failure.refusal(), why, "{what}: {failure}");
            assert!(why.is_some() || matches!(failure.fate, Fate::Unknown { .. }), "{what}: {failure}");
        }
    }
}

/// Google goes on showing a deleted key to those who name it: that is no key to delete, and its second deletion is not sent.
#[tokio::test]
async fn a_key_that_google_shows_as_deleted_is_gone() {
    let bench = Bench::new(gemini::vendor()).await;
    let tombstone = tombstone_for(&id(&bench, 0));
    bench.provider.delete(&tombstone).await.unwrap_or_else(|failure| panic!("{failure}"));
    let failure = bench.provider.delete(&tombstone).await.expect_err("it is gone");
    assert_eq!(failure.refusal(), Some(Refusal::Gone), "{failure}");
    assert_eq!(bench.server.count(bench.vendor.delete.0, bench.vendor.delete.1), 1);
}

/// A key that is switched off or blocked comes back: it is not dead, and it does not work.
#[tokio::test]
async fn a_key_that_is_switched_off_is_not_dead() {
    for vendor in [litellm::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        bench.provider.switch().expect("a switch").set(&id(&bench, 0), false).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Unclear), "{}", vendor.name);
        let prompt = bench.provider.prompt().expect("it can be asked");
        let spoken = prompt.prompt(&value(&bench, 0), &Question { model: vendor.model, stream: false }).await.expect("an answer");
        assert_eq!(spoken.life, Life::Unclear, "{}", vendor.name);
    }
    let bench = Bench::new(xai::vendor()).await;
    for blocked in ["api_key_blocked", "team_blocked"] {
        mangle(&bench, bench.vendor.probe, move |body| body[blocked] = true.into());
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Unclear), "{blocked}");
    }
}

/// What can be no key of the vendor's at all is as dead as one that was deleted.
#[tokio::test]
async fn a_value_that_was_never_a_key_is_dead() {
    for vendor in [gemini::vendor(), litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        assert_eq!(bench.provider.probe(&bench.stranger()).await, Ok(Life::Dead), "{}", vendor.name);
    }
}

/// "Unauthenticated" is what Google says of a bound key that is none; a standard one it calls invalid, and of that one it says nothing so.
#[tokio::test]
async fn a_key_of_google_dies_by_the_word_of_its_kind_alone() {
    let shape: crate::site::Shape = |_, _| {
        let error = json!({ "code": 401, "message": "Request had invalid authentication credentials.", "status": "UNAUTHENTICATED" });
        (axum::http::StatusCode::UNAUTHORIZED, json!({ "error": error })).into()
    };
    for (vendor, life) in [(gemini::vendor(), Life::Unclear), (gemini_bound::vendor(), Life::Dead)] {
        let bench = Bench::new(Vendor { shape, ..vendor }).await;
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(life));
    }
}

/// LiteLLM tells of deleted keys from its archive: a key that is only there has no limits, no use and no successor.
#[tokio::test]
async fn a_key_in_litellms_archive_is_gone() {
    let bench = Bench::new(litellm::vendor()).await;
    let gone = id(&bench, 0);
    assert!(bench.server.world().keys.delete(gone.as_str()));
    let port = attributes(&bench);
    let of = port.of(&gone).await.map(drop);
    let keep = port.keep(&gone).await.map(drop);
    let used = bench.provider.usage().expect("it tells use").last_used(&gone).await.map(drop);
    let made = bench.provider.create(&Wanted { like: Some(Like::Key(&gone)), ..Wanted::named("new", "token-1") }).await.map(drop);
    for told in [of, keep, used, made] {
        assert_eq!(told.map_err(|failure| failure.refusal()), Err(Some(Refusal::Gone)));
    }
    assert_eq!(creates(&bench), 0);
}

/// xAI shows keys in their listing alone: one that is not there is gone, and not only unknown.
#[tokio::test]
async fn a_key_that_xai_does_not_list_is_gone() {
    let bench = Bench::new(xai::vendor()).await;
    let gone = KeyId::new("fe15b799-32e1-4d02-none");
    assert_eq!(attributes(&bench).of(&gone).await.map_err(|failure| failure.refusal()), Err(Some(Refusal::Gone)));
}

/// A switch is set only when the vendor's answer says so; what it says else, or a page in its place, leaves it unknown.
#[tokio::test]
async fn a_switch_is_set_only_when_it_is_said() {
    let table: [(Vendor, (&'static str, &str), &str); 3] = [
        (litellm::vendor(), ("POST", "/key/block"), "/blocked"),
        (openrouter::vendor(), ("PATCH", "/api/v1/keys/*"), "/data/disabled"),
        (xai::vendor(), ("PUT", "/auth/api-keys/*"), "/disabled"),
    ];
    for (vendor, which, place) in table {
        let bench = Bench::new(vendor).await;
        let (switch, old) = (bench.provider.switch().expect("a switch"), id(&bench, 0));
        bench.spoil(which, 1, Fault::Html);
        unknown(&switch.set(&old, false).await.expect_err("a page is no word"), vendor.name);
        assert!(key(&bench, &old).enabled, "{}", vendor.name);
        let place = place.to_owned();
        mangle(&bench, which, move |body| *body.pointer_mut(&place).expect("it was there") = false.into());
        unknown(&switch.set(&old, false).await.expect_err("it says that the key is on"), vendor.name);
    }
}

/// Where the answer says nothing of the switch, what the vendor shows of the key decides.
#[tokio::test]
async fn a_switch_whose_answer_says_nothing_is_looked_at() {
    let switches: [(Vendor, [(&'static str, &str); 2]); 2] = [
        (litellm::vendor(), [("POST", "/key/block"), ("POST", "/key/unblock")]),
        (xai::vendor(), [("PUT", "/auth/api-keys/*"), ("PUT", "/auth/api-keys/*")]),
    ];
    for (vendor, calls) in switches {
        let bench = Bench::new(vendor).await;
        let (switch, old) = (bench.provider.switch().expect("a switch"), id(&bench, 0));
        for (call, on) in calls.into_iter().zip([false, true]) {
            mangle(&bench, call, |body| *body = json!({}));
            switch.set(&old, on).await.unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(key(&bench, &old).enabled, on, "{}", bench.vendor.name);
        }
    }
}

/// A page in the place of xAI's empty answer is no deletion.
#[tokio::test]
async fn a_page_of_xai_is_no_deletion() {
    let bench = Bench::new(xai::vendor()).await;
    let old = id(&bench, 0);
    bench.spoil(bench.vendor.delete, 1, Fault::Html);
    unknown(&bench.provider.delete(&tombstone_for(&old)).await.expect_err("it is there still"), "delete");
    assert!(key(&bench, &old).live());
}

/// xAI writes `disabled` as a boolean and as its text: a key is off in the listing either way, and is switched either way.
#[tokio::test]
async fn a_switch_of_xai_is_read_in_both_forms() {
    let bench = Bench::new(Vendor { seeds: 2, ..xai::vendor() }).await;
    let switch = bench.provider.switch().expect("a switch");
    for nth in [0, 1] {
        for on in [false, true] {
            switch.set(&id(&bench, nth), on).await.unwrap_or_else(|failure| panic!("{failure}"));
            let listed = bench.provider.list().await.expect("a listing");
            assert_eq!(listed[nth].enabled, on, "{}", key(&bench, &listed[nth].id).name);
        }
    }
}
