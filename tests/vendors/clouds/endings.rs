//! What is taken for an end: of a key, and of a call that changes one.

use super::*;

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
