//! OpenAI's specification as somebody else reads it: [Prism](https://github.com/stoplightio/prism) stands between the adapters and the stand-in, and
//! refuses each request and each answer that the specification does not allow.

use std::{process::Stdio, time::Duration};

use chrono::{TimeDelta, Utc};
use keyroll::{
    ports::{Credential, Life, Provider, Wanted},
    sandbox::provider::SandboxProvider,
};

use crate::{common::tombstone_for, provider_bench::Bench, server};

/// Ends with its value.
struct Prism {
    _child: tokio::process::Child,
    url: String,
}

impl Prism {
    /// Before the server at this address, with its version.
    async fn before(upstream: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let (url, specification) =
            (format!("http://127.0.0.1:{port}"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contracts/openai.openapi.json"));
        let mut command = tokio::process::Command::new("node");
        command.arg(format!("{}/node_modules/.bin/prism", server("KEYROLL_TEST_PRISM")));
        command.args(["proxy", "--errors", "--host", "127.0.0.1", "--port", &port.to_string(), specification, upstream]);
        let child = command.stdout(Stdio::null()).kill_on_drop(true).spawn().expect("node runs");
        let up = async {
            while reqwest::get(format!("{url}/models")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), up).await.expect("Prism listens");
        Self { _child: child, url }
    }
}

/// A key's whole life.
async fn lives(provider: &dyn Provider, works: bool) -> Credential {
    assert_eq!(provider.check().await, Ok(()));
    let before = provider.list().await.expect("a listing");
    let minted = provider.create(&Wanted::named("prism-2026-11-one", "t1")).await.expect("a key");
    let listed = provider.list().await.expect("a listing");
    assert_eq!(listed.len(), before.len() + 1);
    let credential = Credential { id: None, secret: minted.secret };
    let (proved, _) = provider.identify(&credential, &listed).await.expect("an answer").expect("it is listed");
    assert_eq!(proved, minted.id);
    if works {
        assert_eq!(provider.probe(&credential).await, Ok(Life::Alive));
    }
    provider.delete(&tombstone_for(&minted.id)).await.expect("it is gone");
    assert_eq!(provider.list().await.map(|listed| listed.len()), Ok(before.len()));
    credential
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prism_lets_through_what_the_adapters_say_and_hear() {
    let server = SandboxProvider::start().await.expect("a port");
    server.seed_user_key("a person's");
    let prism = Prism::before(&server.base_url()).await;
    let wrong = reqwest::Client::new().post(format!("{}/organization/projects/p/service_accounts", prism.url));
    let wrong = wrong.header("authorization", "Bearer none").header("content-type", "application/json").body(r#"{"title":"new"}"#);
    assert_eq!(wrong.send().await.expect("an answer").status(), 422, "it does refuse what the specification does not allow");

    let bench = Bench::openai_at(server, &prism.url);
    let dead = lives(&*bench.provider, true).await;
    assert_eq!(bench.provider.probe(&dead).await, Ok(Life::Dead));
    let usage = bench.provider.usage().expect("OpenAI tells");
    let spend = bench.provider.spend().expect("OpenAI tells");
    assert!(usage.last_used(&bench.seeded[0]).await.is_ok());
    let used = spend.since(&bench.seeded[0], Utc::now() - TimeDelta::minutes(10)).await.expect("an answer");
    assert_eq!(used.requests, Some(0));
    bench.server.limit_project(20_000, &[10_000]);
    let guard = bench.provider.guard().expect("a project may have a limit");
    assert_eq!(guard.monthly().await, Ok((Some(200.0), vec![50])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prism_lets_through_what_is_said_of_admin_keys() {
    let server = SandboxProvider::start().await.expect("a port");
    let prism = Prism::before(&server.base_url()).await;
    let bench = Bench::openai_admin_at(server, &prism.url);
    lives(&*bench.provider, false).await;
}
