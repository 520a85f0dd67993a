//! Secrets Manager.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use aws_sdk_secretsmanager::{Client, types::Tag};
use keyroll::{
    adapters::registry::Registry,
    ids::{RotationId, Version},
    ports::{Change, Fate, Got, Mark, Store},
    protocol::Refusal,
    secret::Secret,
};
use serde_json::{Map, Value};

use super::{
    block, ctx, direct,
    gateway::{Gateway, Trick},
    unique,
};
use crate::{server, store::StoreBench};

struct Bench {
    name: String,
    gateway: Gateway,
    store: Arc<dyn Store>,
    /// The test's own way to the secret.
    client: Client,
    plain: bool,
}

async fn store_of(name: &str, endpoint: &str, format: &str) -> Arc<dyn Store> {
    let kind = Registry::builtin().stores.into_iter().find(|kind| kind.name == "aws_secretsmanager").expect("registered");
    (kind.build)(&block("aws_secretsmanager", endpoint, &[("secret_id", name), ("format", format)]), &ctx().await).expect("a store")
}

async fn bench(format: &str) -> Bench {
    let client = Client::new(&direct().await);
    let gateway = Gateway::new(&server("KEYROLL_TEST_MOTO")).await;
    let name = unique("prod/app");
    client.create_secret().name(&name).send().await.unwrap_or_else(|_| panic!("no secret"));
    let store = store_of(&name, &gateway.url, format).await;
    Bench { name, gateway, store, client, plain: format == "text" }
}

impl Bench {
    async fn set(&self, base: Option<&Version>, value: &str, token: &str) -> Got<Version> {
        let fields = BTreeMap::from([("key".to_owned(), Secret::new(value))]);
        let mark = Mark { journal: "journal-1".into(), rotation: RotationId::new("01rotation") };
        self.store.write(&Change { base, fields: &fields, token, mark: &mark }).await
    }

    async fn foreign(&self, value: &str) -> Version {
        let put = self.client.put_secret_value().secret_id(&self.name).secret_string(format!("{{\"key\": \"{value}\"}}")).send().await;
        Version::new(put.unwrap_or_else(|_| panic!("not put")).version_id().expect("an id"))
    }

    async fn labels(&self) -> BTreeMap<String, Vec<String>> {
        let seen = self.client.describe_secret().secret_id(&self.name).send().await.unwrap_or_else(|_| panic!("not described"));
        seen.version_ids_to_stages().into_iter().flatten().map(|(id, labels)| (id.clone(), labels.clone())).collect()
    }
}

#[async_trait]
impl StoreBench for Bench {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
    fn plain(&self) -> bool {
        self.plain
    }
    async fn put(&self, value: &Map<String, Value>) {
        let text = match value.get("value").and_then(Value::as_str).filter(|_| self.plain) {
            Some(text) => text.to_owned(),
            None => serde_json::to_string(value).expect("JSON"),
        };
        let put = self.client.put_secret_value().secret_id(&self.name).secret_string(text).send().await;
        assert!(put.is_ok());
    }
    async fn get(&self) -> Option<Map<String, Value>> {
        let got = self.client.get_secret_value().secret_id(&self.name).version_stage("AWSCURRENT").send().await.ok()?;
        let text = got.secret_string()?;
        if self.plain { Some(Map::from_iter([("value".into(), text.into())])) } else { serde_json::from_str(text).ok() }
    }
    async fn put_mark(&self, key: &str, value: &str) -> bool {
        let tag = Tag::builder().key(key).value(value).build();
        self.client.tag_resource().secret_id(&self.name).tags(tag).send().await.is_ok()
    }
    async fn get_mark(&self, key: &str) -> Option<String> {
        let seen = self.client.describe_secret().secret_id(&self.name).send().await.ok()?;
        seen.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value()).map(str::to_owned)
    }
}

mod json {
    async fn fresh() -> super::Bench {
        super::bench("json").await
    }
    crate::store::store_suite!(fresh);
}

mod text {
    async fn fresh() -> super::Bench {
        super::bench("text").await
    }
    crate::store::store_suite!(fresh);
}

/// Somebody writes after our look and before the label moves: theirs stays, ours is never current.
#[tokio::test]
async fn a_foreign_write_in_between_wins() {
    for action in ["PutSecretValue", "UpdateSecretVersionStage"] {
        let bench = Arc::new(bench("json").await);
        let base = bench.foreign("old").await;
        let inner = Arc::clone(&bench);
        let theirs = Trick::After(Box::pin(async move { drop(inner.foreign("theirs").await) }));
        if action == "PutSecretValue" {
            bench.gateway.next(action, theirs);
        } else {
            // The first such call gives the old version a label; the one that moves AWSCURRENT comes after the put.
            let gateway = bench.gateway.clone();
            bench.gateway.next("PutSecretValue", Trick::After(Box::pin(async move { gateway.next(action, theirs) })));
        }
        let failure = bench.set(Some(&base), "ours", "t").await.expect_err("a conflict");
        assert_eq!(failure.refusal(), Some(Refusal::Conflict), "{action}: {failure}");
        let now = bench.store.read().await.expect("readable").expect("stored");
        assert_eq!(now.fields["key"].reveal(), "theirs", "{action}");
    }
}

/// Whichever reply is lost, the write is unknown, never doubled, and the same write again settles it.
#[tokio::test]
async fn a_lost_reply_is_settled_by_the_same_write() {
    for action in ["TagResource", "PutSecretValue", "UpdateSecretVersionStage"] {
        let bench = bench("json").await;
        let base = bench.foreign("old").await;
        bench.gateway.next(action, Trick::LoseReply);
        let failure = bench.set(Some(&base), "new", "t").await.expect_err("lost");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{action}: {failure}");
        let version = bench.set(Some(&base), "new", "t").await.unwrap_or_else(|failure| panic!("{action}: {failure}"));
        let now = bench.store.read().await.expect("readable").expect("stored");
        assert_eq!((now.version, now.fields["key"].reveal()), (version, "new"));
        assert_eq!(bench.labels().await.len(), 2, "{action}: one version a write");
    }
}

#[tokio::test]
async fn labels_do_not_pile_up_and_keep_old_versions() {
    let bench = bench("json").await;
    let mut base = bench.foreign("0").await;
    for round in 1..=8 {
        base = bench.set(Some(&base), &round.to_string(), &round.to_string()).await.expect("written");
    }
    let labels: Vec<String> = bench.labels().await.into_values().flatten().collect();
    assert_eq!(labels.iter().filter(|label| label.starts_with("keyroll-previous-")).count(), 4, "{labels:?}");
    assert!(!labels.iter().any(|label| label.starts_with("keyroll-pending-")), "{labels:?}");
}

#[tokio::test]
async fn check_names_what_makes_a_rotation_unsafe() {
    let bench = bench("json").await;
    let absent = store_of("no/such", &bench.gateway.url, "json").await;
    let problems = absent.check().await.expect_err("absent");
    assert!(problems[0].hint.contains("aws secretsmanager create-secret --name no/such"), "{:?}", problems[0]);
    assert!(absent.read().await.expect("readable").is_none());
    assert_eq!(absent.write(&change(&BTreeMap::new())).await.expect_err("absent").refusal(), Some(Refusal::Gone));

    bench.foreign("old").await;
    let deleted = bench.client.delete_secret().secret_id(&bench.name).send().await;
    assert!(deleted.is_ok());
    let problems = bench.store.check().await.expect_err("deleted");
    assert!(problems[0].hint.contains("restore-secret"), "{:?}", problems[0]);
}

fn change(fields: &BTreeMap<String, Secret>) -> Change<'_> {
    static MARK: std::sync::OnceLock<Mark> = std::sync::OnceLock::new();
    let mark = MARK.get_or_init(|| Mark { journal: "journal-1".into(), rotation: RotationId::new("01rotation") });
    Change { base: None, fields, token: "t", mark }
}

#[tokio::test]
async fn a_replica_is_read_in_its_own_region() {
    let bench = bench("json").await;
    let base = bench.foreign("old").await;
    let region = aws_sdk_secretsmanager::types::ReplicaRegionType::builder().region("eu-west-1").build();
    let made = bench.client.replicate_secret_to_regions().secret_id(&bench.name).add_replica_regions(region).send().await;
    assert!(made.is_ok());
    let endpoints = bench.store.endpoints().await.expect("endpoints");
    assert_eq!(endpoints, [("us-east-1".to_owned(), Some(base.clone())), ("eu-west-1".to_owned(), Some(base))]);
}

#[tokio::test]
async fn what_aws_says_of_the_secret_is_judged() {
    let bench = bench("json").await;
    for (said, remedy) in [
        (r#"{"RotationEnabled": true}"#, "cancel-rotate-secret"),
        (r#"{"OwningService": "rds"}"#, "a secret of your own"),
        (r#"{"PrimaryRegion": "eu-west-1"}"#, "region: eu-west-1"),
        (r#"{"ReplicationStatus": [{"Region": "eu-west-1", "Status": "InProgress"}]}"#, "describe-secret"),
        (r#"{"ReplicationStatus": [{"Region": "eu-west-1", "Status": "Failed"}]}"#, "describe-secret"),
    ] {
        bench.gateway.next("DescribeSecret", Trick::Answer(200, said.into()));
        let problems = bench.store.check().await.expect_err(said);
        assert!(problems[0].hint.contains(remedy), "{said}: {:?}", problems[0]);
    }
    let fine = r#"{"PrimaryRegion": "us-east-1", "ReplicationStatus": [{"Region": "eu-west-1", "Status": "InSync"}]}"#;
    bench.gateway.next("DescribeSecret", Trick::Answer(200, fine.into()));
    assert_eq!(bench.store.check().await, Ok(()));
}

/// The tag and the label that keeps the old version come first: where they are not allowed, nothing has changed.
#[tokio::test]
async fn a_missing_permission_is_named_and_changes_nothing() {
    for action in ["DescribeSecret", "GetSecretValue", "TagResource", "UpdateSecretVersionStage", "PutSecretValue"] {
        let bench = bench("json").await;
        let base = bench.foreign("old").await;
        bench.gateway.next(action, Trick::Answer(400, r#"{"__type": "AccessDeniedException", "Message": "canary"}"#.into()));
        let failure = bench.set(Some(&base), "new", "t").await.expect_err("denied");
        assert_eq!(failure.refusal(), Some(Refusal::Denied), "{action}: {failure}");
        assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains(action)), "{failure:?}");
        assert!(!format!("{failure:?}").contains("canary"), "an answer's text never enters an error");
        assert_eq!(bench.store.read().await.expect("readable").expect("stored").version, base, "{action}");
    }
}

#[tokio::test]
async fn a_binary_or_broken_secret_is_refused_without_its_content() {
    let bench = bench("json").await;
    bench
        .client
        .put_secret_value()
        .secret_id(&bench.name)
        .secret_string("canary, no JSON")
        .send()
        .await
        .unwrap_or_else(|_| panic!("not put"));
    let failure = bench.store.read().await.map(|_| ()).expect_err("no JSON");
    assert!(failure.refusal() == Some(Refusal::Invalid) && !format!("{failure:?}").contains("canary"), "{failure:?}");
    let blob = aws_sdk_secretsmanager::primitives::Blob::new("canary");
    bench.client.put_secret_value().secret_id(&bench.name).secret_binary(blob).send().await.unwrap_or_else(|_| panic!("not put"));
    assert!(bench.store.read().await.map(|_| ()).expect_err("binary").what.contains("binary"));
}
