//! Many playbooks over a few labels: one Vault-like server with a role, a secret and a service for each.
#![allow(dead_code)]

use std::{
    collections::BTreeMap,
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

pub struct Office {
    vault: SandboxVault,
    http: reqwest::Client,
    pub fleets: BTreeMap<String, Fleet>,
    folder: tempfile::TempDir,
}

impl Office {
    /// Keys `key-00` … with one instance each; the labels of key `n` are `access: [labels[n % labels.len()], staff]`.
    pub async fn new(count: usize, labels: &[&str]) -> Self {
        let (vault, folder) = (SandboxVault::start().await.unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("playbooks")).unwrap();
        let mut office =
            Self { vault, http: reqwest::Client::builder().tls_certs_only([]).build().unwrap(), fleets: BTreeMap::new(), folder };
        for n in 0..count {
            office.add(&format!("key-{n:02}"), labels[n % labels.len()]).await;
        }
        office
    }

    async fn add(&mut self, name: &str, label: &str) {
        self.post(&format!("auth/approle/role/{name}"), json!({})).await;
        let made = self.post(&format!("auth/approle/role/{name}/secret-id"), json!({})).await;
        let fields = json!({ "secret_id": made["data"]["secret_id"], "accessor": made["data"]["secret_id_accessor"] });
        self.vault.put(&format!("office/{name}"), fields.as_object().unwrap());
        let config = ServiceConfig {
            vault: self.vault.address(),
            token: Arc::new(Secret::new(self.vault.token())),
            path: format!("office/{name}"),
            field: "secret_id".into(),
            name: "app".into(),
            provider: self.vault.address(),
            every: Duration::from_millis(50),
            behaviours: Vec::new(),
        };
        let fleet = Fleet::start(1, config).await.unwrap();
        let instance = fleet.present().borrow()[0];
        let address = self.vault.address();
        let playbook = format!(
            "keyroll: 1
name: {name}
labels: {{ access: [{label}, staff] }}
provider:
  vault_approle: {{ address: \"{address}\", auth: {{ token: env:STAGE_TOKEN }}, role: {name} }}
stores:
  - vault_kv2: {{ address: \"{address}\", auth: {{ token: env:STAGE_TOKEN }}, mount: secret, path: office/{name} }}
    write: {{ secret_id: secret, accessor: id }}
    stale_for: 0s
probe: {{ times: 1 }}
consumers:
  - name: app
    instances: {{ fixed: [\"{instance}\"] }}
    expect: 1
    health: {{ path: /healthz, version: {{ json: /secrets/app/version }} }}
    max_request: 0s
verify: {{ within: 10s, stable_for: 0s, every: 20ms }}
revoke: {{ grace: 0s, dead_within: 0s }}
"
        );
        std::fs::write(self.playbook(name), playbook).unwrap();
        self.fleets.insert(name.to_owned(), fleet);
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/v1/{path}", self.vault.address());
        let reply = self.http.post(url).header("X-Vault-Token", self.vault.token()).json(&body).send().await.unwrap();
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap_or_default()
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("playbooks")
    }

    pub fn playbook(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.yaml"))
    }

    /// A playbook with one text in place of another.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.playbook(name)).unwrap();
        assert!(text.contains(from), "the playbook has no `{from}`");
        std::fs::write(self.playbook(name), text.replace(from, to)).unwrap();
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub fn token(&self) -> &str {
        self.vault.token()
    }

    /// The id of the key that the store serves.
    pub fn key(&self, name: &str) -> String {
        self.vault.get(&format!("office/{name}")).unwrap().1["accessor"].as_str().unwrap().to_owned()
    }

    /// The keys of a role at the provider.
    pub async fn alive(&self, name: &str) -> Vec<String> {
        let url = format!("{}/v1/auth/approle/role/{name}/secret-id", self.vault.address());
        let list = reqwest::Method::from_bytes(b"LIST").unwrap();
        let reply: Value =
            self.http.request(list, url).header("X-Vault-Token", self.vault.token()).send().await.unwrap().json().await.unwrap();
        reply["data"]["keys"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap().to_owned()).collect()
    }

    /// keyroll, where its playbooks are.
    pub async fn keyroll(&self, args: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        command.args(args).env("KEYROLL_JOURNAL", self.journal()).env("STAGE_TOKEN", self.token());
        command.env("USER", "ana").env_remove("SUDO_USER").env_remove("KEYROLL_PLAYBOOKS");
        command.current_dir(self.folder.path()).stdin(Stdio::null()).output().await.unwrap()
    }
}
