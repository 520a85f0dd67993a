use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{Html, Redirect},
    routing::get,
};
use keyroll::{
    adapters::health,
    playbook::{HealthSpec, Pointer, Scheme, Span},
    ports::{Claim, Fate, Report},
};
use tokio::net::TcpListener;

use super::{ctx, instance, serve};

fn spec(path: &str, version: Pointer) -> HealthSpec {
    HealthSpec {
        path: path.into(),
        scheme: Scheme::Http,
        version: Some(version),
        key_id: None,
        fingerprint: None,
        instance: None,
        store: 0,
        timeout: Span(Duration::from_millis(400)),
    }
}

fn json(pointer: &str) -> Pointer {
    Pointer::Json(pointer.into())
}

async fn answers() -> SocketAddr {
    let json = |text: &'static str| move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    let router = Router::new()
        .route("/number", get(json(r#"{"key":{"version":7},"name":"svc-1"}"#)))
        .route("/string", get(json(r#"{"key":{"version":" 7 "}}"#)))
        .route("/null", get(json(r#"{"key":{"version":null}}"#)))
        .route("/print", get(json(r#"{"sha":"ABCDEF0123456789","short":"abcdef0","word":"not a digest"}"#)))
        .route("/header", get(|| async { [("x-key-version", "7")] }))
        .route("/text", get(|| async { "ok\nkey version=7 since today" }))
        .route("/html", get(|| async { Html("<h1>It works!</h1>") }))
        .route("/ill", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, r#"{"key":{"version":7}}"#) }))
        .route("/away", get(|| async { Redirect::temporary("http://127.0.0.1:9/number") }))
        .route("/huge", get(|| async { vec![b' '; (1 << 20) + 1] }))
        .route("/hangs", get(|| async { std::future::pending::<()>().await }))
        .route("/host", get(|headers: HeaderMap| async move { headers["host"].to_str().unwrap_or_default().to_owned() }));
    serve(router).await
}

#[tokio::test]
async fn what_an_instance_says_is_read() {
    let at = answers().await;
    let seven = Some(Claim::Version("7".into()));
    let cases = [
        ("/number", json("/key/version"), true, seven.clone()),
        ("/string", json("/key/version"), true, seven.clone()),
        ("/null", json("/key/version"), true, None),
        ("/number", json("/key"), true, None),
        ("/number", json("/nothing"), true, None),
        ("/html", json("/key/version"), true, None),
        ("/ill", json("/key/version"), false, seven.clone()),
        ("/missing", json("/key/version"), false, None),
        ("/header", Pointer::Header("X-Key-Version".into()), true, seven.clone()),
        ("/text", Pointer::Header("X-Key-Version".into()), true, None),
        ("/text", Pointer::Pattern(r"version=(\d+)".into()), true, seven.clone()),
        ("/number", Pointer::Pattern(r"version=(\d+)".into()), true, None),
        ("/host", Pointer::Pattern("^(.*)$".into()), true, Some(Claim::Version(format!("api.test:{}", at.port())))),
    ];
    for (path, pointer, healthy, claim) in cases {
        let report = health::http(&spec(path, pointer), &ctx()).expect(path).ask(&instance("API.test", at)).await.expect(path);
        assert_eq!((report.healthy, report.claim), (healthy, claim), "{path}");
    }
}

#[tokio::test]
async fn names_ids_and_prints_are_told_apart() {
    let at = answers().await;
    let mut by_name = spec("/number", json("/key/version"));
    by_name.instance = Some(json("/name"));
    let report = health::http(&by_name, &ctx()).expect("valid").ask(&instance("api.test", at)).await.expect("answered");
    assert_eq!(report.id.expect("a name").as_str(), "svc-1");
    let cases = [("/sha", Some(Claim::Sha256("abcdef0123456789".into()))), ("/short", None), ("/word", None)];
    for (pointer, claim) in cases {
        let by_print = HealthSpec { version: None, fingerprint: Some(json(pointer)), ..spec("/print", json("")) };
        let report = health::http(&by_print, &ctx()).expect("valid").ask(&instance("api.test", at)).await.expect("answered");
        assert_eq!(report.claim, claim, "{pointer}");
    }
    let by_id = HealthSpec { version: None, key_id: Some(json("/name")), ..spec("/number", json("")) };
    let report = health::http(&by_id, &ctx()).expect("valid").ask(&instance("api.test", at)).await.expect("answered");
    assert_eq!(report.claim, Some(Claim::KeyId("svc-1".into())));
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    let at = answers().await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("its address")
    };
    let cases = [
        ("/away", at, "a redirect"),
        ("/hangs", at, "no answer within 400ms"),
        ("/huge", at, "longer than 1 MiB"),
        ("/number", closed, "no connection"),
    ];
    for (path, address, part) in cases {
        let asked = health::http(&spec(path, json("/key/version")), &ctx()).expect(path).ask(&instance("api.test", address)).await;
        let failure = asked.expect_err(path);
        assert!(failure.what.contains(part), "{path}: {failure}");
        assert!(!matches!(failure.fate, Fate::Refused { .. }), "{path}: nothing was refused");
    }
}

/// A pool or a resolver between us and an instance would ask one copy twice and the other never.
#[tokio::test]
async fn two_copies_behind_one_name_are_both_asked() {
    let version = |State(version): State<&'static str>| async move { version };
    let first = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = first.local_addr().expect("its address").port();
    let second = TcpListener::bind(("127.0.0.2", port)).await.expect("the same port");
    for (listener, text) in [(first, "v=1"), (second, "v=2")] {
        let router = Router::new().route("/v", get(version)).with_state(text);
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    let health = health::http(&spec("/v", Pointer::Pattern("v=(.)".into())), &ctx()).expect("valid");
    for _ in 0..3 {
        for last in [1, 2] {
            let one = instance("api.test", SocketAddr::from(([127, 0, 0, last], port)));
            let Report { claim, .. } = health.ask(&one).await.expect("answered");
            assert_eq!(claim, Some(Claim::Version(last.to_string())));
        }
    }
}

#[test]
fn mistakes_are_found_when_it_is_built() {
    let cases = [
        (spec("healthz", json("/a")), "does not begin with"),
        (spec("/", json("a/b")), "not a JSON pointer"),
        (spec("/", json("/a~2")), "not a JSON pointer"),
        (spec("/", Pointer::Header("a b".into())), "not a header"),
        (spec("/", Pointer::Pattern("(".into())), "not a regular expression"),
        (spec("/", Pointer::Pattern("(?:a)".into())), "no group"),
        (HealthSpec { version: None, ..spec("/", json("")) }, "exactly one"),
        (HealthSpec { key_id: Some(json("")), ..spec("/", json("")) }, "exactly one"),
        (HealthSpec { instance: Some(json("x")), ..spec("/", json("")) }, "not a JSON pointer"),
    ];
    for (spec, part) in cases {
        let fault = health::http(&spec, &ctx()).err().expect("a fault");
        assert!(fault.what.contains(part), "{part}: {}", fault.what);
    }
}
