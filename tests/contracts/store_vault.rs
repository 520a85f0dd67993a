//! Vault on the stand-in: the KV v2 store, the AppRole provider, and what the client sends.

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use keyroll::{
    ports::{Fate, Store},
    protocol::Refusal,
};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::vault_bench::{VaultBench, World, a_copy_keeps_its_limits, ctx};

async fn fresh() -> VaultBench {
    World::standin().await.bench()
}

crate::store::store_suite!(fresh);

#[tokio::test]
async fn approle_keeps_the_contract_of_a_provider() {
    let bench = World::standin().await.approle_bench(json!({ "token_policies": "default" })).await;
    crate::provider::suite(&bench).await;
    a_copy_keeps_its_limits(&bench).await;
}

/// A server that answers everything alike and tells which headers it saw.
async fn echo(status: StatusCode, header: (&'static str, String)) -> (String, UnboundedReceiver<HeaderMap>) {
    let (tell, told) = unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().fallback(move |headers: HeaderMap| {
        tell.send(headers).expect("the test listens");
        let header = header.clone();
        async move { (status, [header]).into_response() }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, told)
}

fn store_at(world: &World, address: &str) -> keyroll::adapters::store::vault_kv2::VaultKv2 {
    let auth = json!({ "token": world.keep("hvs.canary\n") });
    let config = json!({ "address": address, "namespace": "team-a/", "auth": auth, "path": "ai/openai" });
    let config = serde_json::from_value(config).expect("a config");
    keyroll::adapters::store::vault_kv2::VaultKv2::new(config, &ctx()).unwrap_or_else(|fault| panic!("{}", fault.what))
}

#[tokio::test]
async fn a_redirect_takes_no_token_along() {
    let world = World::standin().await;
    let (thief, mut stolen) = echo(StatusCode::OK, ("x-thief", "yes".into())).await;
    let (address, mut seen) = echo(StatusCode::TEMPORARY_REDIRECT, ("location", format!("{thief}/v1/steal"))).await;
    let failure = store_at(&world, &address).read().await.err().expect("no answer");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
    assert!(seen.try_recv().expect("one request").contains_key("x-vault-token"));
    assert!(stolen.try_recv().is_err(), "nobody followed the redirect");
}

#[tokio::test]
async fn the_namespace_goes_along() {
    let world = World::standin().await;
    let (address, mut seen) = echo(StatusCode::NOT_FOUND, ("x-none", "yes".into())).await;
    let store = store_at(&world, &address);
    assert!(store.read().await.expect("nothing there").is_none());
    let headers = seen.try_recv().expect("one request");
    assert_eq!(headers["x-vault-namespace"], "team-a");
    assert_eq!(headers["x-vault-token"], "hvs.canary", "without the newline of its file");
    assert_eq!(store.locator(), format!("vault_kv2 {address} namespace team-a secret/ai/openai"));
}

#[tokio::test]
async fn too_many_requests_says_how_long_to_wait() {
    let world = World::standin().await;
    let (address, _seen) = echo(StatusCode::TOO_MANY_REQUESTS, ("retry-after", "7".into())).await;
    let failure = store_at(&world, &address).read().await.err().expect("no answer");
    assert_eq!(failure.retry_after(), Some(std::time::Duration::from_secs(7)));
}

#[tokio::test]
async fn a_wrong_token_is_denied_and_never_shown() {
    let world = World::standin().await;
    let failure = store_at(&world, &world.address).read().await.err().expect("denied");
    assert_eq!(failure.refusal(), Some(Refusal::Denied));
    assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains("check the token at file:")), "{failure:?}");
    assert!(!format!("{failure:?}").contains("canary"));
}

#[test]
fn a_login_needs_no_other_store_and_no_literal() {
    for literal in ["vault:secret/a#b", "aws:token", "hvs.CAESIcanary"] {
        let auth = serde_json::from_value::<keyroll::adapters::vault::Auth>(json!({ "token": literal }));
        let error = auth.err().expect("refused").to_string();
        assert!(!error.contains(literal), "{error}");
    }
}

/// Builds it as a playbook does.
fn build(yaml: &str) -> Result<String, keyroll::playbook::Fault> {
    use keyroll::{
        adapters::{registry::Registry, store},
        playbook::{Block, Seg, Source},
    };
    let source = std::sync::Arc::new(Source { name: "playbook.yaml".into(), text: yaml.into() });
    let block = Block { kind: "vault_kv2".into(), path: vec![Seg::Key("vault_kv2".into())], source };
    let known = Registry::builtin().stores.into_iter().find(|kind| kind.name == store::vault_kv2::KIND.name).expect("registered");
    (known.build)(&block, &ctx()).map(|store| store.locator())
}

#[test]
fn a_playbook_says_where_it_is() {
    let good = "vault_kv2:\n  address: https://vault:8200/\n  auth: { kubernetes: { role: keyroll } }\n  path: /ai/openai/\n";
    assert_eq!(build(good).expect("built"), "vault_kv2 https://vault:8200 secret/ai/openai");
    for (from, to, line, what) in [
        ("https://vault:8200/", "vault:8200", None, "the Vault address is no address"),
        ("/ai/openai/", "ai/../root", None, "`path` is no path in Vault"),
        ("{ kubernetes: { role: keyroll } }", "{ token: hvs.canary }", Some(3), "a secret must not stand in a playbook"),
        ("{ kubernetes: { role: keyroll } }", "{ token: \"vault:a/b#c\" }", Some(3), "use env: or file:"),
        ("path:", "paht: x\n  path:", Some(4), "did you mean `path`"),
    ] {
        let fault = build(&good.replace(from, to)).expect_err(what);
        let said = format!("{}; {}", fault.what, fault.instead.clone().unwrap_or_default());
        assert!(said.contains(what) && !said.contains("canary"), "{fault:?}");
        assert_eq!(fault.at.map(|(line, _)| line), line, "{fault:?}");
    }
}
