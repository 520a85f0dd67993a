//! `openai` on the stand-in.

use std::time::Duration;

use keyroll::{
    ports::{Ambiguity, Credential, Provider},
    sandbox::provider::SandboxProvider,
    secret::Secret,
};

use crate::{
    openai_spec::Witness,
    provider::suite,
    provider_bench::{Bench, build},
};

#[tokio::test]
async fn keeps_the_contract() {
    suite(&Bench::openai().await).await;
}

#[tokio::test]
async fn keeps_the_contract_where_deletes_take_time() {
    let mut bench = Bench::openai().await;
    bench.server.dies_after(Duration::from_millis(300));
    bench.at_once = false;
    suite(&bench).await;
}

/// The whole contract, what a key was used for and what a project may spend: each request and each answer as OpenAI's specification has them.
#[tokio::test]
async fn speaks_as_the_specification_says() {
    let server = SandboxProvider::start().await.expect("a port");
    server.seed_user_key("a person's");
    let witness = Witness::before(server.base_url()).await;
    let bench = Bench::openai_at(server, &witness.url);
    suite(&bench).await;

    let (id, secret) = bench.server.seed_key("used");
    complete(&bench, &secret).await;
    let spend = bench.provider.spend().expect("OpenAI tells");
    let used = spend.since(&id, chrono::Utc::now() - chrono::TimeDelta::minutes(10)).await.expect("an answer");
    assert!(used.requests == Some(1) && used.micro_usd.is_some(), "{used:?}");

    let guard = bench.provider.guard().expect("a project may have a limit");
    assert_eq!(guard.monthly().await, Ok((None, vec![])), "no limit yet");
    bench.server.limit_project(20_000, &[10_000, 16_000, 20_000]);
    assert_eq!(guard.monthly().await, Ok((Some(200.0), vec![50, 80, 100])));
    witness.all_right(|(_, path)| !path.contains("admin_api_keys") && !path.contains("{api_key_id}"));
}

#[tokio::test]
async fn a_key_whose_account_has_others_is_not_proved() {
    let bench = Bench::openai().await;
    let (account, secret) = bench.server.seed_key("shared");
    let credential = Credential { id: None, secret };
    assert_eq!(identified(&*bench.provider, &credential).await.as_deref(), Some(account.as_str()));
    let second = Credential { id: None, secret: bench.server.seed_second_key(&account) };
    assert_eq!(identified(&*bench.provider, &credential).await, None, "deleting the account would end the other key too");
    assert_eq!(identified(&*bench.provider, &second).await, None);
}

#[tokio::test]
async fn a_persons_key_is_not_ours() {
    let bench = Bench::openai().await;
    let (id, secret) = bench.server.seed_user_key("a person's");
    let listed = bench.provider.list().await.expect("a listing");
    assert!(listed.iter().all(|key| key.id != id), "only service accounts are listed");
    assert_eq!(identified(&*bench.provider, &Credential { id: Some(id), secret }).await, None, "whatever the store claims");
}

#[tokio::test]
async fn two_keys_that_look_alike_are_nobodys() {
    let bench = Bench::openai().await;
    let (_, secret) = bench.server.seed_key("shown");
    let value = secret.reveal();
    // Same beginning and end as a listed key, so that only their middle tells them apart: the listing does not show it.
    let like = format!("{}{}{}", &value[..8], "0".repeat(30), &value[value.len() - 4..]);
    assert!(identified(&*bench.provider, &Credential { id: None, secret: Secret::new(like) }).await.is_some());
    let claimed = Credential { id: Some(bench.seeded[0].clone()), secret: Secret::new("sk-svcacct-none-of-these") };
    assert_eq!(identified(&*bench.provider, &claimed).await, None, "an id beside the value is a claim, not a proof");
}

async fn identified(provider: &dyn Provider, credential: &Credential) -> Option<String> {
    let listed = provider.list().await.expect("a listing");
    provider.identify(credential, &listed).await.expect("an answer").map(|(id, _)| id.as_str().to_owned())
}

#[tokio::test]
async fn use_shows_in_the_listing() {
    let bench = Bench::openai().await;
    let (id, secret) = bench.server.seed_key("used");
    let usage = bench.provider.usage().expect("OpenAI tells");
    assert_eq!(usage.last_used(&id).await, Ok(None));
    bench.provider.probe(&Credential { id: None, secret }).await.expect("an answer");
    let last = usage.last_used(&id).await.expect("an answer").expect("it was used");
    assert!((chrono::Utc::now() - last).num_seconds() < 60);
    assert!(usage.last_used(&keyroll::ids::KeyId::new("svc_acct_none")).await.is_err(), "an unknown key is not an unused one");
}

#[tokio::test]
async fn what_a_key_was_used_for_is_told_even_after_its_end() {
    let bench = Bench::openai().await;
    let (id, secret) = bench.server.seed_key("leaked");
    let (_, other) = bench.server.seed_key("another");
    for secret in [&secret, &other, &secret, &secret] {
        complete(&bench, secret).await;
    }
    let spend = bench.provider.spend().expect("OpenAI tells");
    // Ten minutes ago, on pages of two buckets.
    let from = chrono::Utc::now() - chrono::TimeDelta::minutes(10);
    let asked = "/v1/organization/usage/completions";
    let used = spend.since(&id, from).await.expect("an answer");
    assert_eq!((used.requests, used.input_tokens, used.output_tokens, used.micro_usd), (Some(3), Some(3), Some(6), Some(30_000)));
    assert_eq!(used.cost_from, Some(from.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()), "costs come by the day");
    assert!(bench.server.count("GET", asked) > 4, "all pages were read");
    assert!((chrono::Utc::now() - used.as_of).num_seconds().abs() < 60);
    let later = chrono::Utc::now() + chrono::TimeDelta::minutes(10);
    assert_eq!(spend.since(&id, later).await.expect("an answer").requests, Some(0));

    bench.provider.delete(&crate::common::tombstone_for(&id)).await.unwrap_or_else(|failure| panic!("{failure}"));
    let used = spend.since(&id, from).await.expect("an answer");
    assert_eq!(used.requests, Some(3), "its API keys are remembered");
    bench.server.inject("GET", "/v1/organization/costs", 1, keyroll::sandbox::provider::Fault::Status { code: 403, retry_after: None });
    let used = spend.since(&id, from).await.expect("an answer");
    assert_eq!((used.requests, used.micro_usd), (Some(3), None), "a cost that cannot be read is not nothing");
    bench.server.inject("GET", asked, 2, keyroll::sandbox::provider::Fault::CutBody);
    assert!(spend.since(&id, from).await.is_err(), "half a listing is no sum");
    let unknown = spend.since(&keyroll::ids::KeyId::new("svc_acct_none"), from).await;
    assert_eq!(unknown.err().and_then(|failure| failure.refusal()), Some(keyroll::protocol::Refusal::Gone), "not known is not zero");
}

async fn complete(bench: &Bench, secret: &Secret) {
    let url = format!("{}/chat/completions", bench.server.base_url());
    let reply = reqwest::Client::new().post(url).bearer_auth(secret.reveal()).send().await.expect("an answer");
    assert!(reply.status().is_success());
}

#[tokio::test]
async fn what_it_promises() {
    let bench = Bench::openai().await;
    let traits = bench.provider.traits();
    assert_eq!(traits.ambiguity, Ambiguity::Listable);
    assert!(traits.dead_within >= Duration::from_secs(15 * 60), "OpenAI's keys take minutes to die");
    assert!(bench.provider.principal().is_none() && bench.provider.switch().is_none());
    assert!(bench.provider.describe().contains("proj_sandbox"));
}

#[test]
fn a_wrong_block_is_refused_without_its_secrets() {
    let admin = Secret::new("sk-admin-x");
    for (block, says) in [
        ("project: proj_1\nadmin_key: sk-admin-literal", "a secret must not stand"),
        ("project: ..\nadmin_key: env:ADMIN", "project"),
        ("project: proj_1\nadmin_key: env:ADMIN\nbase_url: api.openai.com", "base_url"),
        ("project: proj_1\nadmin_key: env:ADMIN\nbase_url: https://u:sk-admin-literal@api.openai.com/v1", "base_url"),
        ("project: proj_1\nadmin_key: env:ADMIN\nprobe_url: ftp://x", "probe_url"),
    ] {
        let Err(fault) = build("openai", block, &admin) else { panic!("{block}: built") };
        let text = format!("{fault:?}");
        assert!(text.contains(says), "{block}: {text}");
        assert!(!text.contains("sk-admin-literal"), "{text}");
    }
}
