//! Vendors that list no keys know one by its value alone: what revokes it, which words mean that it is dead, and what a playbook may say of them.

use axum::http::StatusCode;
use keyroll::{
    ports::{Credential, Fate, Life, Question},
    protocol::Refusal,
    sandbox::server::Fault,
    secret::Secret,
};
use serde_json::{Value, json};

use crate::{
    road::Road,
    site::{Bench, Vendor},
    standins::by_person::{cohere, deepseek, github_pat, groq, hugging_face, mistral_console, stripe, together},
};

fn value(bench: &Bench, nth: usize) -> Secret {
    Secret::new(&bench.server.world().keys.all[nth].value)
}

/// Nothing that was refused or lost is taken for a revocation; what was taken revokes this value and no other.
#[tokio::test]
async fn a_revocation_is_done_only_when_it_was_taken() {
    for vendor in [github_pat::vendor(), hugging_face::vendor()] {
        let bench = Bench::new(Vendor { seeds: 2, ..vendor }).await;
        let port = bench.provider.by_value().expect("it revokes by value");
        let refused = [
            (400, Refusal::Invalid),
            (401, Refusal::Denied),
            (403, Refusal::Denied),
            (404, Refusal::Invalid),
            (410, Refusal::Invalid),
            (422, Refusal::Invalid),
        ];
        for (code, why) in refused {
            bench.spoil(vendor.delete, 1, Fault::Status { code, retry_after: None });
            let failure = port.revoke(&value(&bench, 0)).await.expect_err("it was refused");
            assert_eq!(failure.refusal(), Some(why), "{}: {code}: {failure}", vendor.name);
        }
        bench.spoil(vendor.delete, 1, Fault::Status { code: 429, retry_after: None });
        let failure = port.revoke(&value(&bench, 0)).await.expect_err("too many");
        assert!(matches!(failure.fate, Fate::NotSent { .. }), "{}: {failure}", vendor.name);
        for fault in [Fault::Status { code: 500, retry_after: None }, Fault::DropBefore] {
            bench.spoil(vendor.delete, 1, fault.clone());
            let failure = port.revoke(&value(&bench, 0)).await.expect_err("nobody knows");
            assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {fault:?}: {failure}", vendor.name);
        }
        assert_eq!(bench.server.world().keys.living().len(), 2, "{}: nothing was revoked yet", vendor.name);
        for _ in 0..2 {
            port.revoke(&value(&bench, 0)).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        }
        let live: Vec<bool> = bench.server.world().keys.all.iter().map(|key| key.live()).collect();
        assert_eq!(live, [false, true], "{}", vendor.name);
    }
}

/// Stripe says of a key that was rolled, and whose time is over, something else than of one that never was.
#[tokio::test]
async fn an_expired_key_of_stripe_is_dead() {
    fn told(body: Value) -> keyroll::sandbox::server::Answer {
        (StatusCode::UNAUTHORIZED, json!({ "error": body })).into()
    }
    let shapes: [(crate::site::Shape, Life); 3] = [
        (|_, _| told(json!({ "code": "api_key_expired", "message": "Expired API Key provided: rk_live_****1234" })), Life::Dead),
        (|_, _| told(json!({ "message": "Invalid API Key provided: rk_live_****1234" })), Life::Dead),
        (|_, _| told(json!({ "message": "You did not provide an API key." })), Life::Unclear),
    ];
    for (shape, life) in shapes {
        let bench = Bench::new(Vendor { shape, ..stripe::vendor() }).await;
        let credential = Credential { id: None, secret: value(&bench, 0) };
        assert_eq!(bench.provider.probe(&credential).await, Ok(life));
    }
}

/// A restricted key may not make every call: the playbook names one that it may, and the page where a person goes.
#[tokio::test]
async fn a_key_is_tried_where_the_playbook_says() {
    let mut vendor = stripe::vendor();
    vendor.block = |url, _| format!("base_url: \"{url}\"\nprobe: /v1/charges\npage: https://dashboard.stripe.com/acct_1/apikeys");
    vendor.shape = |keys, call| match (call.path.as_str(), keys.call(call.bearer().reveal())) {
        ("/v1/charges", true) => (StatusCode::OK, json!({ "object": "list", "data": [] })).into(),
        _ => (StatusCode::FORBIDDEN, json!({ "error": { "message": "This key may not." } })).into(),
    };
    let bench = Bench::new(vendor).await;
    let credential = Credential { id: None, secret: value(&bench, 0) };
    assert_eq!(bench.provider.probe(&credential).await, Ok(Life::Alive));
    let person = bench.provider.by_person().expect("a person makes keys");
    assert_eq!(person.page(), "https://dashboard.stripe.com/acct_1/apikeys");
}

/// A real request is served by a living key, whole and streamed. One that is refused without the vendor's own word says nothing of the key.
#[tokio::test]
async fn a_prompt_is_answered_for_a_living_key_alone() {
    let chatty = [cohere::vendor(), deepseek::vendor(), groq::vendor(), mistral_console::vendor(), together::vendor()];
    let chat = |vendor: &Vendor| if vendor.name == "cohere" { "/compatibility/v1/chat/completions" } else { "/chat/completions" };
    for vendor in chatty {
        let bench = Bench::new(vendor).await;
        let prompt = bench.provider.prompt().expect("it answers prompts");
        for stream in [false, true] {
            let question = Question { model: vendor.model, stream };
            let ask = async |secret| prompt.prompt(&Credential { id: None, secret }, &question).await;
            let spoken = ask(value(&bench, 0)).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
            assert_eq!((spoken.life, spoken.pieces.is_some()), (Life::Alive, stream), "{}", vendor.name);
            let stranger = ask(Secret::new("never-issued-5d0b")).await;
            assert_eq!(stranger.map(|spoken| spoken.life), Ok(Life::Dead), "{}", vendor.name);
            for code in [401, 403] {
                bench.spoil(("POST", chat(&vendor)), 1, Fault::Status { code, retry_after: None });
                let spoken = ask(value(&bench, 0)).await;
                assert_eq!(spoken.map(|spoken| spoken.life), Ok(Life::Unclear), "{}: {code}", vendor.name);
            }
        }
    }
}

/// Where nobody knows the revocation (an older server of one's own), "not found" is said of it and not of the key: the key works, and that is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_is_not_found_revokes_nothing() {
    let mut older = github_pat::vendor();
    older.shape = |keys, call| match call.method.as_str() {
        "POST" => (StatusCode::NOT_FOUND, json!({ "message": "Not Found", "status": "404" })).into(),
        _ => (github_pat::vendor().shape)(keys, call),
    };
    let road = Road::new(older).await;
    let said = road.waits_for_a_key().await;
    let value = road.made_by_hand(&said);
    let held = road.ends(&road.keyroll_with(&["provide"], &value).await, 3);
    assert!(held.contains("after you revoked the old key"), "{held}");

    let road = Road::new(older).await;
    let leak = ["emergency", "book.yaml", "--mode", "revoke-first", "--reason", "seen in a public repository", "--yes"];
    let said = road.ends(&road.keyroll(&leak).await, 6);
    assert!(said.contains("LEAKED AND WORKS: a person must revoke it now, at https://") && said.contains("NOT CONTAINED"), "{said}");
}
