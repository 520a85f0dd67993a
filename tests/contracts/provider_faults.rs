//! What goes wrong on the wire: every fault, on all HTTP providers, has one fate, and no create is ever sent twice.

use std::time::Duration;

use chrono::Utc;
use keyroll::{
    ports::{Credential, Fate, Got, Life, Minted, Wanted},
    protocol::Refusal,
    sandbox::provider::{Fault, SandboxProvider},
    secret::Secret,
};

use crate::{
    provider::{ProviderBench, clean},
    provider_bench::Bench,
};

/// What a create is told.
enum Told {
    Refused(Refusal),
    NotSent(Option<u64>),
    Unknown(Option<u64>),
}
use Told::{NotSent, Refused, Unknown};

fn status(code: u16, retry_after: Option<&str>) -> Fault {
    Fault::Status { code, retry_after: retry_after.map(Into::into) }
}

async fn create(bench: &Bench) -> Got<Minted> {
    bench.provider.create(&Wanted::named("spoiled", "token-1")).await
}

async fn benches() -> Vec<(&'static str, Bench)> {
    let replayed = |block: &str| block.replace("secret: /key }", "secret: /key, idempotency_header: Idempotency-Key }");
    vec![
        ("openai", Bench::openai().await),
        ("openai_admin", Bench::openai_admin().await),
        ("http", Bench::relay().await),
        ("http, replaying", Bench::relay_with(replayed).await),
    ]
}

#[tokio::test]
async fn a_create_that_goes_wrong_has_one_fate_and_is_sent_once() {
    let elsewhere = SandboxProvider::start().await.expect("a port");
    let in_a_minute = (Utc::now() + Duration::from_secs(60)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    // What happens, what the caller is told, and how many keys there are afterwards.
    let table = [
        (status(400, None), Refused(Refusal::Invalid), 0),
        (status(401, None), Refused(Refusal::Denied), 0),
        (status(403, None), Refused(Refusal::Denied), 0),
        (status(404, None), Refused(Refusal::Gone), 0),
        (status(409, None), Refused(Refusal::Conflict), 0),
        (status(429, None), NotSent(None), 0),
        (status(429, Some("7")), NotSent(Some(7)), 0),
        (status(429, Some(&in_a_minute)), NotSent(Some(60)), 0),
        (status(408, None), Unknown(None), 0),
        (status(500, None), Unknown(None), 0),
        (status(503, Some("3")), Unknown(Some(3)), 0),
        (Fault::StatusAfter(502), Unknown(None), 1),
        (Fault::DropBefore, Unknown(None), 0),
        (Fault::DropAfter, Unknown(None), 1),
        (Fault::Html, Unknown(None), 0),
        (Fault::CutBody, Unknown(None), 1),
        (Fault::Redirect(format!("{}/organization/projects/proj_sandbox/service_accounts", elsewhere.base_url())), Unknown(None), 0),
    ];
    for (fault, told, made) in &table {
        for (name, bench) in benches().await {
            let what = format!("{name}: {fault:?}");
            bench.spoil_create(fault.clone());
            let Err(failure) = create(&bench).await else { panic!("{what}: it went well") };
            match (told, failure.fate) {
                (Refused(want), Fate::Refused { why, code }) => {
                    assert_eq!(*want, why, "{what}");
                    assert!(code.is_some(), "{what}");
                }
                (NotSent(want), Fate::NotSent { retry_after }) | (Unknown(want), Fate::Unknown { retry_after }) => {
                    // A date loses its fraction of a second, and time goes by.
                    let near = |got: Duration, want: u64| got.as_secs() <= want && got.as_secs() + 10 >= want;
                    assert_eq!(retry_after.is_some(), want.is_some(), "{what}");
                    assert!(retry_after.zip(*want).is_none_or(|(got, want)| near(got, want)), "{what}: {retry_after:?}");
                }
                (_, fate) => panic!("{what}: {fate:?}"),
            }
            assert_eq!(bench.creates().await, Some(1), "{what}: sent once");
            assert_eq!(bench.named("spoiled"), *made, "{what}");
            clean(&bench, &failure, &Secret::new("sk-svcacct"));
            if matches!(failure.refusal(), Some(Refusal::Denied)) {
                assert!(failure.hint.is_some(), "{what}: says what to do");
            }
        }
    }
    assert_eq!(elsewhere.requests(), [], "nobody follows a redirect");
}

#[tokio::test]
async fn an_answer_that_never_comes_is_unknown() {
    for (name, bench) in benches().await {
        bench.spoil_create(Fault::Hang);
        let provider = bench.provider.clone();
        let call = tokio::spawn(async move { provider.create(&Wanted::named("spoiled", "token-1")).await.err() });
        while bench.named("spoiled") == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
        tokio::time::resume();
        let failure = call.await.expect("no panic").unwrap_or_else(|| panic!("{name}: it went well"));
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{name}: {failure}");
        assert_eq!(bench.creates().await, Some(1), "{name}: sent once");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_was_not_asked() {
    for (name, bench) in benches().await {
        let Bench { server, provider, .. } = bench;
        drop(server);
        let failure = loop {
            match provider.create(&Wanted::named("spoiled", "token-1")).await {
                // The listener is closed by a task of its own.
                Ok(_) => tokio::task::yield_now().await,
                Err(failure) if matches!(failure.fate, Fate::Unknown { .. }) => tokio::task::yield_now().await,
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.fate, Fate::NotSent { retry_after: None }, "{name}: {failure}");
    }
}

#[tokio::test]
async fn only_a_refusal_of_the_key_itself_is_death() {
    for (name, bench) in benches().await {
        let (id, secret) = bench.seed("probed");
        let credential = Credential { id: Some(id), secret };
        // A 401 of another kind says nothing of an OpenAI key; the relay's playbook goes by status alone.
        let other_401 = if name.starts_with("openai") { Life::Unclear } else { Life::Dead };
        for (code, life) in [(401, Some(other_401)), (403, Some(Life::Unclear)), (404, Some(Life::Unclear)), (429, None), (500, None)] {
            bench.server.inject("GET", bench.probe, 1, status(code, None));
            let got = bench.provider.probe(&credential).await;
            if let Err(failure) = &got {
                clean(&bench, failure, &credential.secret);
            }
            assert_eq!(got.ok(), life, "{name}: {code}");
        }
        assert_eq!(bench.provider.probe(&credential).await.ok(), Some(Life::Alive), "{name}");
    }
}

#[tokio::test]
async fn a_page_that_fails_is_no_shorter_listing() {
    for (name, bench) in benches().await {
        let path = if name.starts_with("openai") { bench.create } else { "/relay/keys" };
        for fault in [status(500, None), Fault::Html, Fault::CutBody, Fault::DropAfter] {
            bench.server.inject("GET", path, 2, fault.clone());
            let Err(failure) = bench.provider.list().await else { panic!("{name}: {fault:?}: a listing without its second page") };
            clean(&bench, &failure, &Secret::new("sk-svcacct"));
        }
        assert_eq!(bench.provider.list().await.map(|listed| listed.len()).ok(), Some(5), "{name}");
    }
}

#[tokio::test]
async fn check_says_what_to_do() {
    let wrong = Secret::new("sk-admin-nobody");
    for (name, bench) in benches().await {
        bench.provider.check().await.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let path = if name.starts_with("openai") { bench.create } else { "/relay/keys" };
        for (code, unreachable) in [(401, false), (403, false), (404, false), (503, true)] {
            bench.server.inject("GET", path, 1, status(code, None));
            let problems = bench.provider.check().await.expect_err("a problem");
            assert_eq!(problems.len(), 1, "{name}: {code}");
            assert_eq!(problems[0].unreachable, unreachable, "{name}: {code}");
            assert!(!problems[0].hint.is_empty() && !format!("{problems:?}").contains(wrong.reveal()), "{name}: {code}");
        }
    }
}
