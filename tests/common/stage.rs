//! A Vault-like store and provider, a service with three copies, and a playbook that names them.
#![allow(dead_code)]

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use keyroll::{
    sandbox::{
        service::{Fleet, ServiceConfig},
        vault::SandboxVault,
    },
    secret::Secret,
};
use serde_json::{Value, json};

pub struct Stage {
    api: Api,
    vault: SandboxVault,
    pub fleet: Fleet,
    folder: tempfile::TempDir,
}

/// Vault's own interface, beside the adapters under test.
struct Api {
    address: String,
    token: String,
    http: reqwest::Client,
}

const ROLE: &str = "auth/approle/role/app";
const PATH: &str = "stage/app";

impl Api {
    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/v1/{path}", self.address);
        let reply = self.http.post(url).header("X-Vault-Token", &self.token).json(&body).send().await.unwrap();
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap_or_default()
    }

    async fn accessors(&self) -> Vec<String> {
        let url = format!("{}/v1/{ROLE}/secret-id", self.address);
        let list = reqwest::Method::from_bytes(b"LIST").unwrap();
        let reply: Value = self.http.request(list, url).header("X-Vault-Token", &self.token).send().await.unwrap().json().await.unwrap();
        reply["data"]["keys"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap().to_owned()).collect()
    }
}

impl Stage {
    pub async fn new() -> Self {
        let vault = SandboxVault::start().await.unwrap();
        let api = Api {
            address: vault.address(),
            token: vault.token().to_owned(),
            http: reqwest::Client::builder().tls_certs_only([]).build().unwrap(),
        };
        api.post(ROLE, json!({})).await;
        let made = api.post(&format!("{ROLE}/secret-id"), json!({})).await;
        let fields = json!({ "secret_id": made["data"]["secret_id"], "accessor": made["data"]["secret_id_accessor"] });
        vault.put(PATH, fields.as_object().unwrap());
        let config = ServiceConfig {
            vault: vault.address(),
            token: Arc::new(Secret::new(vault.token())),
            path: PATH.into(),
            field: "secret_id".into(),
            name: "app".into(),
            provider: vault.address(),
            every: Duration::from_millis(20),
            behaviours: Vec::new(),
        };
        let fleet = Fleet::start(3, config).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let instances: Vec<String> = fleet.present().borrow().iter().map(|address| format!("\"{address}\"")).collect();
        let playbook = format!(
            "keyroll: 1
name: stage
provider:
  vault_approle: {{ address: \"{address}\", auth: {{ token: env:STAGE_TOKEN }}, role: app }}
stores:
  - vault_kv2: {{ address: \"{address}\", auth: {{ token: env:STAGE_TOKEN }}, mount: secret, path: {PATH} }}
    write: {{ secret_id: secret, accessor: id }}
    stale_for: 0s
probe: {{ times: 1 }}
consumers:
  - name: app
    instances: {{ fixed: [{instances}] }}
    expect: 3
    health: {{ path: /healthz, version: {{ json: /secrets/app/version }} }}
    max_request: 0s
verify: {{ within: 20s, stable_for: 0s, every: 20ms }}
revoke: {{ grace: 0s, dead_within: 0s }}
",
            address = vault.address(),
            instances = instances.join(", "),
        );
        std::fs::write(folder.path().join("stage.yaml"), playbook).unwrap();
        Self { api, vault, fleet, folder }
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub fn playbook(&self) -> PathBuf {
        self.folder.path().join("stage.yaml")
    }

    pub fn token(&self) -> &str {
        &self.api.token
    }

    /// Every secret there is on this stage.
    pub fn secrets(&self) -> Vec<String> {
        let (_, fields) = self.vault.get(PATH).unwrap();
        vec![self.token().to_owned(), fields["secret_id"].as_str().unwrap().to_owned()]
    }

    pub fn address(&self) -> String {
        self.vault.address()
    }

    /// A secret id beside keyroll's back, with its metadata's name where one is given: its accessor.
    pub async fn make_key(&self, value: &str, name: Option<&str>) -> String {
        let metadata = name.map_or_else(|| json!({}), |name| json!({ "keyroll": name })).to_string();
        let made = self.api.post(&format!("{ROLE}/custom-secret-id"), json!({ "secret_id": value, "metadata": metadata })).await;
        made["data"]["secret_id_accessor"].as_str().unwrap().to_owned()
    }

    /// Another secret beside the stage's own.
    pub async fn put_at(&self, path: &str, fields: Value) {
        self.api.post(&format!("secret/data/{path}"), json!({ "data": fields })).await;
    }

    /// The ids of all keys at the provider.
    pub async fn accessors(&self) -> Vec<String> {
        self.api.accessors().await
    }

    /// keyroll with something on its standard input.
    pub async fn feed(&self, args: &[&str], input: &str) -> Output {
        use tokio::io::AsyncWriteExt;
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A process that does not want it may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }

    /// keyroll in another process, its standard output piped.
    pub fn start(&self, args: &[&str]) -> tokio::process::Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
    }

    /// Reads what a `run --output json` tells until the store has the new key; the rest is read and thrown away.
    pub async fn until_promoted(&self, child: &mut tokio::process::Child) {
        use tokio::io::{AsyncBufReadExt, BufReader};
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            let object: Value = serde_json::from_str(&line).unwrap();
            if object["event"]["did"]["promote"].is_u64() {
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return;
            }
        }
        panic!("it ended before the store had the new key");
    }

    /// Changes the store behind keyroll's back.
    pub fn put(&self, fields: &Value) {
        self.vault.put(PATH, fields.as_object().unwrap());
    }

    /// Writes what the store holds once more, as a new version.
    pub fn rewrite(&self) {
        let (_, fields) = self.vault.get(PATH).unwrap();
        self.vault.put(PATH, &fields);
    }

    /// Waits until every copy of the service shows the store's version.
    pub async fn fleet_caught_up(&self) {
        let (version, _) = self.vault.get(PATH).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let addresses: Vec<_> = self.fleet.present().borrow().iter().map(ToString::to_string).collect();
        for address in addresses {
            loop {
                let url = format!("http://{address}/healthz");
                let shown: Value = self.api.http.get(url).send().await.unwrap().json().await.unwrap();
                if shown["secrets"]["app"]["version"] == json!(version) {
                    break;
                }
                assert!(std::time::Instant::now() < deadline, "{shown}, not version {version}");
                tokio::task::yield_now().await;
            }
        }
    }

    /// The playbook with one text in place of another.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.playbook()).unwrap();
        assert!(text.contains(from), "the playbook has no `{from}`");
        std::fs::write(self.playbook(), text.replace(from, to)).unwrap();
    }

    pub async fn keyroll(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// keyroll, run by this user of the operating system.
    pub async fn keyroll_by(&self, user: &str, args: &[&str]) -> Output {
        self.command(args).env_remove("SUDO_USER").env("USER", user).output().await.unwrap()
    }

    /// keyroll with this stage's journal and token.
    pub fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        command
            .args(args)
            .env("KEYROLL_JOURNAL", self.journal())
            .env("XDG_STATE_HOME", self.folder.path())
            .env("STAGE_TOKEN", self.token())
            .stdin(Stdio::null());
        command
    }

    /// Exactly one secret id is alive, and the store serves it.
    pub async fn assert_clean(&self, story: &str) {
        let accessors = self.api.accessors().await;
        assert_eq!(accessors.len(), 1, "{story}: exactly one key of ours at the provider");
        let (_, fields) = self.vault.get(PATH).unwrap();
        assert_eq!(fields["accessor"], accessors[0].as_str(), "{story}: the store names the live key");
        let looked = self.api.post(&format!("{ROLE}/secret-id/lookup"), json!({ "secret_id": fields["secret_id"] })).await;
        assert_eq!(looked["data"]["secret_id_accessor"], accessors[0].as_str(), "{story}: and serves its value");
    }
}
