//! Whole rotations by the built binary, on real servers, with services under load.

use crate::common::figure::figure;
use std::{process::Stdio, sync::Arc, time::Duration};

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use axum::{Json, Router, extract::State, routing::get};
use keyroll::{
    sandbox::{
        provider::SandboxProvider,
        service::{Behaviour, Fleet, ServiceConfig},
        traffic::Traffic,
    },
    secret::Secret,
};
use serde_json::{Value, json};

use crate::{aws, server, vault};

/// keyroll itself, with a journal and credentials of its own.
struct Bench {
    folder: tempfile::TempDir,
    env: Vec<(&'static str, String)>,
}

impl Bench {
    fn new(env: &[(&'static str, &str)]) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), env: env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect() }
    }

    /// Runs a verb with this playbook as its last argument; the exit code and what was said.
    async fn keyroll(&self, verb: &[&str], playbook: &str) -> (Option<i32>, String) {
        let path = self.folder.path().join("playbook.yaml");
        std::fs::write(&path, playbook).unwrap();
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"))
            .args(verb)
            .arg(&path)
            .env("KEYROLL_JOURNAL", self.folder.path().join("journal.db"))
            .envs(self.env.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }
}

fn unique(what: &str) -> String {
    format!("{what}-{}-{}", std::process::id(), chrono::Utc::now().timestamp_micros())
}

/// The fleet that the promise is made for: 20 copies, 500 requests a second and more, a real Vault.
struct Loaded {
    provider: SandboxProvider,
    fleet: Fleet,
    traffic: Traffic,
    bench: Bench,
    playbook: String,
    path: String,
}

impl Loaded {
    async fn start(behaviours: Vec<Behaviour>, verify: &str) -> Self {
        let (address, token) = vault::server();
        let provider = SandboxProvider::start().await.unwrap();
        let path = unique("openai");
        let (id, value) = provider.seed_key("first");
        put(&path, &json!({ "api_key": value.reveal(), "key_id": id.as_str(), "other": { "kept": true } })).await;
        let config = ServiceConfig {
            vault: address.clone(),
            token: Arc::new(Secret::new(token.as_str())),
            path: path.clone(),
            field: "api_key".into(),
            name: "openai".into(),
            provider: provider.base_url(),
            every: Duration::from_millis(300),
            behaviours,
        };
        let fleet = Fleet::start(20, config).await.unwrap();
        let traffic = Traffic::start(fleet.present(), 600).unwrap();
        let instances: Vec<String> = fleet.present().borrow().iter().map(|address| format!("\"{address}\"")).collect();
        let playbook = format!(
            "keyroll: 1
name: {path}
provider:
  openai: {{ project: proj_sandbox, admin_key: env:ADMIN, base_url: \"{}\" }}
stores:
  - vault_kv2: {{ address: \"{address}\", auth: {{ token: env:VAULT }}, mount: secret, path: {path} }}
    write: {{ api_key: secret, key_id: id }}
    stale_for: 1s
consumers:
  - name: canary
    instances: {{ fixed: [{}] }}
    expect: 2
    health: {{ path: /healthz, version: {{ json: /secrets/openai/version }} }}
    max_request: 1s
  - name: fleet
    instances: {{ fixed: [{}] }}
    expect: 18
    health: {{ path: /healthz, fingerprint: {{ json: /secrets/openai/fingerprint }} }}
    max_request: 1s
verify: {{ {verify} }}
revoke: {{ grace: 1s }}
",
            provider.base_url(),
            instances[..2].join(", "),
            instances[2..].join(", ")
        );
        let bench = Bench::new(&[("ADMIN", provider.admin_key().reveal()), ("VAULT", &token)]);
        Self { provider, fleet, traffic, bench, playbook, path }
    }

    /// Ends the load; nothing failed, one key is alive, and the store serves it.
    async fn assert_clean(self, said: &str) -> Value {
        let traffic = self.traffic.stop().await;
        figure("traffic, real servers", format!("{} requests, {} failed", traffic.sent, traffic.failed));
        assert_eq!(traffic.failed, 0, "{:?}: {said}", traffic.first_failure);
        let live = self.provider.live_keys();
        assert_eq!(live.len(), 1, "{said}");
        let stored = read(&self.path).await;
        assert_eq!(stored["key_id"], live[0].as_str());
        assert_eq!(stored["other"], json!({ "kept": true }), "foreign fields stay");
        self.fleet.stop().await;
        stored
    }
}

async fn put(path: &str, fields: &Value) {
    let (address, token) = vault::server();
    let request = reqwest::Client::new().post(format!("{address}/v1/secret/data/{path}"));
    let reply = request.header("X-Vault-Token", token).json(&json!({ "data": fields })).send().await.unwrap();
    assert!(reply.status().is_success());
}

async fn read(path: &str) -> Value {
    let (address, token) = vault::server();
    let request = reqwest::Client::new().get(format!("{address}/v1/secret/data/{path}"));
    let reply: Value = request.header("X-Vault-Token", token).send().await.unwrap().json().await.unwrap();
    reply["data"]["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_instances_on_a_real_vault_do_not_lose_one_request() {
    let loaded = Loaded::start(Vec::new(), "within: 30s, stable_for: 1s, every: 200ms").await;
    loaded.traffic.answered(300).await;
    let (code, said) = loaded.bench.keyroll(&["run"], &loaded.playbook).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("refused the old key"), "{said}");
    let before = loaded.traffic.so_far().sent;
    loaded.traffic.answered(before + 300).await;
    loaded.assert_clean(&said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_twenty_that_does_not_follow_rolls_all_back_without_one_failed_request() {
    let mut behaviours = vec![Behaviour::Normal; 20];
    behaviours[13] = Behaviour::Stuck;
    let loaded = Loaded::start(behaviours, "within: 4s, stable_for: 500ms, every: 200ms").await;
    let (code, said) = loaded.bench.keyroll(&["run"], &loaded.playbook).await;
    assert_eq!(code, Some(1), "{said}");
    let first = loaded.provider.keys()[0].id.clone();
    let stored = loaded.assert_clean(&said).await;
    assert_eq!(stored["key_id"], first.as_str(), "the old key is in use");
}

/// A service that reads Secrets Manager, or Vault, whenever it is asked.
async fn reader(source: Source) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/healthz", get(version)).with_state(Arc::new(source));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address.to_string()
}

enum Source {
    SecretsManager(aws_sdk_secretsmanager::Client, String),
    Vault(String),
}

async fn version(State(source): State<Arc<Source>>) -> Json<Value> {
    match &*source {
        Source::SecretsManager(client, id) => Json(json!({ "version": current(client, id).await.version_id() })),
        Source::Vault(path) => Json(json!({ "key": read(path).await["access_key_id"] })),
    }
}

/// The label is named, though it is AWS's own default: moto answers with the last version put where it is not.
async fn current(client: &aws_sdk_secretsmanager::Client, id: &str) -> GetSecretValueOutput {
    let got = client.get_secret_value().secret_id(id).version_stage("AWSCURRENT").send().await;
    got.unwrap_or_else(|_| panic!("the secret is there"))
}

/// A user with one key; its id and secret.
async fn iam_user(name: &str) -> (String, String) {
    let iam = aws_sdk_iam::Client::new(&aws::direct().await);
    iam.create_user().user_name(name).send().await.unwrap_or_else(|_| panic!("no user"));
    let made = iam.create_access_key().user_name(name).send().await.unwrap_or_else(|_| panic!("no key"));
    let key = made.access_key().unwrap();
    (key.access_key_id().into(), key.secret_access_key().into())
}

async fn iam_keys(name: &str) -> Vec<String> {
    let iam = aws_sdk_iam::Client::new(&aws::direct().await);
    let listed = iam.list_access_keys().user_name(name).send().await.unwrap_or_else(|_| panic!("no listing"));
    listed.access_key_metadata().iter().filter_map(|key| key.access_key_id().map(str::to_owned)).collect()
}

async fn aws_bench() -> Bench {
    let admin = aws::admin().await;
    let (_, token) = vault::server();
    Bench::new(&[
        ("AWS_ACCESS_KEY_ID", admin.id()),
        ("AWS_SECRET_ACCESS_KEY", admin.secret()),
        ("AWS_REGION", "us-east-1"),
        ("VAULT", &token),
    ])
}

const WAITS: &str = "probe: { times: 1 }
verify: { within: 20s, stable_for: 0s, every: 100ms }
revoke: { grace: 0s, dead_within: 5s }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iam_key_is_rotated_into_secrets_manager() {
    let moto = server("KEYROLL_TEST_MOTO");
    let user = unique("user");
    let (id, value) = iam_user(&user).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&aws::direct().await);
    let text = json!({ "id": id, "secret": value, "region": "eu-central-1" }).to_string();
    secrets.create_secret().name(&user).secret_string(text).send().await.unwrap_or_else(|_| panic!("no secret"));
    let service = reader(Source::SecretsManager(secrets.clone(), user.clone())).await;
    let playbook = format!(
        "keyroll: 1
name: {user}
provider:
  aws_iam: {{ user: {user}, region: us-east-1, endpoint: \"{moto}\" }}
stores:
  - aws_secretsmanager: {{ secret_id: {user}, region: us-east-1, endpoint: \"{moto}\" }}
    write: {{ id: id, secret: secret }}
    stale_for: 0s
consumers:
  - name: service
    instances: {{ fixed: [\"{service}\"] }}
    expect: 1
    health: {{ path: /healthz, version: {{ json: /version }} }}
    max_request: 0s
{WAITS}"
    );
    let (code, said) = aws_bench().await.keyroll(&["run"], &playbook).await;
    assert_eq!(code, Some(0), "{said}");
    let keys = iam_keys(&user).await;
    assert_eq!(keys.len(), 1);
    assert_ne!(keys[0], id);
    let stored = current(&secrets, &user).await;
    let stored: Value = serde_json::from_str(stored.secret_string().unwrap()).unwrap();
    assert_eq!((stored["id"].as_str(), stored["region"].as_str()), (Some(keys[0].as_str()), Some("eu-central-1")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iam_key_is_rotated_into_vault_and_a_full_quota_is_refused() {
    let moto = server("KEYROLL_TEST_MOTO");
    let (address, _) = vault::server();
    let user = unique("user");
    let (id, value) = iam_user(&user).await;
    put(&user, &json!({ "access_key_id": id, "secret_access_key": value })).await;
    let service = reader(Source::Vault(user.clone())).await;
    let playbook = format!(
        "keyroll: 1
name: {user}
provider:
  aws_iam: {{ user: {user}, region: us-east-1, endpoint: \"{moto}\" }}
stores:
  - vault_kv2: {{ address: \"{address}\", auth: {{ token: env:VAULT }}, mount: secret, path: {user} }}
    write: {{ access_key_id: id, secret_access_key: secret }}
    stale_for: 0s
consumers:
  - name: service
    instances: {{ fixed: [\"{service}\"] }}
    expect: 1
    health: {{ path: /healthz, key_id: {{ json: /key }} }}
    max_request: 0s
{WAITS}"
    );
    let bench = aws_bench().await;
    let (code, said) = bench.keyroll(&["run"], &playbook).await;
    assert_eq!(code, Some(0), "{said}");
    let keys = iam_keys(&user).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(read(&user).await["access_key_id"], keys[0].as_str());

    let iam = aws_sdk_iam::Client::new(&aws::direct().await);
    iam.create_access_key().user_name(&user).send().await.unwrap_or_else(|_| panic!("no second key"));
    let (code, said) = bench.keyroll(&["run"], &playbook).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("delete-access-key"), "the way out is named: {said}");
    assert_eq!(iam_keys(&user).await.len(), 2, "and nothing was touched");
}
