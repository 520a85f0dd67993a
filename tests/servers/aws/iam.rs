//! IAM access keys.

use std::sync::Arc;

use async_trait::async_trait;
use keyroll::{
    adapters::registry::Registry,
    ids::KeyId,
    playbook::Fault,
    ports::{Credential, Fate, Life, Minted, Provider, Wanted},
    protocol::Refusal,
    secret::Secret,
};

use super::{
    admin, block, ctx, direct,
    gateway::{Gateway, Trick},
    unique,
};
use crate::{
    common::tombstone_for,
    provider::{ProviderBench, suite},
    server,
};

struct Bench {
    user: String,
    gateway: Gateway,
    provider: Arc<dyn Provider>,
    seeded: KeyId,
    own: Vec<String>,
}

async fn build(endpoint: &str, more: &[(&str, &str)]) -> Result<Arc<dyn Provider>, Fault> {
    let kind = Registry::builtin().providers.into_iter().find(|kind| kind.kind.name == "aws_iam").expect("registered");
    (kind.kind.build)(&block("aws_iam", endpoint, more), &ctx().await)
}

async fn provider_of(user: &str, endpoint: &str) -> Arc<dyn Provider> {
    build(endpoint, &[("user", user)]).await.expect("a provider")
}

async fn bench() -> Bench {
    let own = vec![admin().await.secret.clone()];
    let gateway = Gateway::new(&server("KEYROLL_TEST_MOTO")).await;
    let user = unique("app");
    let iam = aws_sdk_iam::Client::new(&direct().await);
    iam.create_user().user_name(&user).send().await.unwrap_or_else(|_| panic!("no user"));
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"}]}"#;
    let put = iam.put_user_policy().user_name(&user).policy_name("sts").policy_document(policy).send().await;
    assert!(put.is_ok());
    let key = iam.create_access_key().user_name(&user).send().await.unwrap_or_else(|_| panic!("no key"));
    let seeded = KeyId::new(key.access_key().expect("a key").access_key_id());
    let provider = provider_of(&user, &gateway.url).await;
    Bench { user, gateway, provider, seeded, own }
}

#[async_trait]
impl ProviderBench for Bench {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }
    fn seeded(&self) -> Vec<KeyId> {
        vec![self.seeded.clone()]
    }
    async fn creates(&self) -> Option<usize> {
        Some(self.gateway.count("CreateAccessKey"))
    }
    async fn lose_next_create(&self) -> bool {
        self.gateway.next("CreateAccessKey", Trick::LoseReply);
        true
    }
    async fn lose_next_delete(&self) -> bool {
        self.gateway.next("DeleteAccessKey", Trick::LoseReply);
        true
    }
    fn stranger(&self) -> Credential {
        Credential { id: Some(KeyId::new("AKIAIOSFODNN7EXAMPLE")), secret: Secret::new("never-issued") }
    }
    fn own_secrets(&self) -> Vec<Secret> {
        self.own.iter().map(Secret::new).collect()
    }
}

fn wanted() -> Wanted<'static> {
    Wanted::named("ignored", "ignored")
}

async fn minted(bench: &Bench) -> Minted {
    bench.provider.create(&wanted()).await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn the_provider_contract() {
    suite(&bench().await).await;
}

#[tokio::test]
async fn two_keys_leave_no_room_and_the_problem_says_what_to_type() {
    let bench = bench().await;
    let second = minted(&bench).await;
    bench.provider.switch().expect("can disable").set(&second.id, false).await.expect("switched");
    let problems = bench.provider.check().await.expect_err("no room");
    let command = format!("aws iam delete-access-key --user-name {} --access-key-id {}", bench.user, second.id);
    assert!(problems[0].hint.contains(&command), "{:?}", problems[0]);
    let failure = bench.provider.create(&wanted()).await.err().expect("no room");
    assert_eq!(failure.refusal(), Some(Refusal::Quota), "{failure}");
}

#[tokio::test]
async fn a_server_error_is_unknown_and_sent_once() {
    let bench = bench().await;
    bench.gateway.next("CreateAccessKey", Trick::Answer(503, String::new()));
    let failure = bench.provider.create(&wanted()).await.err().expect("unavailable");
    assert!(matches!(failure.fate, Fate::Unknown { retry_after: Some(wait) } if wait.as_secs() == 7), "{failure:?}");
    assert_eq!(bench.gateway.count("CreateAccessKey"), 1);
    bench.gateway.next("CreateAccessKey", Trick::Answer(429, String::new()));
    let failure = bench.provider.create(&wanted()).await.err().expect("too many");
    assert!(matches!(failure.fate, Fate::NotSent { retry_after: Some(_) }), "{failure:?}");
}

#[tokio::test]
async fn no_connection_is_not_sent() {
    let user = bench().await.user;
    let provider = provider_of(&user, "http://127.0.0.1:1").await;
    let failure = provider.create(&wanted()).await.err().expect("nobody there");
    assert!(matches!(failure.fate, Fate::NotSent { .. }), "{failure:?}");
    assert!(provider.check().await.expect_err("nobody there")[0].unreachable);
}

#[tokio::test]
async fn an_id_beside_the_value_is_a_claim_until_the_signature_proves_it() {
    let bench = bench().await;
    let new = minted(&bench).await;
    let listed = bench.provider.list().await.expect("listed");
    let identify = async |id: Option<&KeyId>, secret: &Secret| {
        let credential = Credential { id: id.cloned(), secret: secret.duplicate() };
        bench.provider.identify(&credential, &listed).await.expect("answered").map(|(id, _)| id)
    };
    assert_eq!(identify(Some(&new.id), &new.secret).await, Some(new.id.clone()));
    assert_eq!(identify(Some(&bench.seeded), &new.secret).await, None, "another key's id");
    assert_eq!(identify(None, &new.secret).await, None, "no id");
    let wrong = Credential { id: Some(new.id.clone()), secret: Secret::new("wrong") };
    assert_eq!(bench.provider.probe(&wrong).await, Ok(Life::Unclear), "a wrong secret says nothing of the key");
    bench.provider.delete(&tombstone_for(&new.id)).await.expect("deleted");
}

#[tokio::test]
async fn a_user_that_is_not_there_is_named() {
    bench().await;
    let problems = provider_of("nobody-of-that-name", &server("KEYROLL_TEST_MOTO")).await.check().await.expect_err("no user");
    assert!(problems[0].what.contains("nobody-of-that-name") && !problems[0].unreachable, "{:?}", problems[0]);
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let bench = bench().await;
    let xml = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>canary</Message></Error></ErrorResponse>";
    bench.gateway.next("ListAccessKeys", Trick::Answer(403, xml.into()));
    let problems = bench.provider.check().await.expect_err("denied");
    assert!(problems[0].hint.contains("iam:ListAccessKeys"), "{:?}", problems[0]);
    assert!(!format!("{problems:?}").contains("canary"), "an answer's text never enters an error");
}

#[tokio::test]
async fn keyroll_does_not_rotate_the_key_it_signs_with() {
    let bench = bench().await;
    let own = provider_of(&admin().await.user, &bench.gateway.url).await;
    let problems = own.check().await.expect_err("its own key");
    assert!(problems.iter().any(|problem| problem.what.contains("lock itself out")), "{problems:?}");
}

#[tokio::test]
async fn another_account_is_refused() {
    let bench = bench().await;
    // The account of everything in moto.
    let right = build(&bench.gateway.url, &[("user", &bench.user), ("account", "\"123456789012\"")]).await.expect("a provider");
    assert_eq!(right.check().await, Ok(()));
    let wrong = build(&bench.gateway.url, &[("user", &bench.user), ("account", "\"210987654321\"")]).await.expect("a provider");
    assert!(wrong.check().await.expect_err("elsewhere")[0].what.contains("123456789012"));
    assert_ne!(right.principal(), wrong.principal(), "users of one name in two accounts are two users");
}

#[tokio::test]
async fn a_playbook_that_cannot_work_is_a_fault() {
    for more in [("user", "arn:aws:iam::1:user/x"), ("user", "\"\""), ("users", "x")] {
        assert!(build("http://127.0.0.1:1", &[more]).await.is_err(), "{more:?}");
    }
    assert!(build("http://127.0.0.1:1", &[("user", "x"), ("account", "\"12\"")]).await.is_err());
}
