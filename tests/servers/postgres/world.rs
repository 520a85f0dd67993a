//! A Vault-like store and provider with many AppRoles, a service for each that reads the store at every call, and a playbook each.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use axum::{Json, Router, extract::Path, routing::get};
use keyroll::{
    journal::PostgresJournal, ports::Journal as _, protocol::End, rotation::Rotation, sandbox::vault::SandboxVault, secret::Secret,
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    Postgres,
    suite::{Broken, Server as _},
};

pub struct World {
    vault: Arc<SandboxVault>,
    http: reqwest::Client,
    first: Vec<String>,
    lease: f64,
    folder: tempfile::TempDir,
    pub server: Postgres,
    pub journal: PostgresJournal,
}

impl World {
    /// `keys` keys and playbooks; new evidence must hold for `stable_for`; leases last `lease` seconds.
    pub async fn new(keys: usize, stable_for: &str, lease: f64) -> Result<Self, Broken> {
        let vault = Arc::new(SandboxVault::start().await?);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let services = listener.local_addr()?;
        let reader = vault.clone();
        let healthz = get(move |Path(key): Path<usize>| async move {
            Json(json!({ "secrets": { "app": { "version": reader.get(&path(key)).map(|(version, _)| version) } } }))
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/healthz/{key}", healthz)).await });
        let server = Postgres::start().await?;
        let journal = PostgresJournal::open(&Secret::new(server.url(""))).await?;
        let folder = tempfile::tempdir()?;
        let mut world = Self { vault, http: reqwest::Client::new(), first: Vec::new(), lease, folder, server, journal };
        for key in 0..keys {
            world.api("POST", &role(key), json!({})).await?;
            let made = world.api("POST", &format!("{}/secret-id", role(key)), json!({})).await?;
            let accessor = &made["data"]["secret_id_accessor"];
            let fields = json!({ "secret_id": made["data"]["secret_id"], "accessor": accessor });
            world.vault.put(&path(key), fields.as_object().ok_or("an object")?);
            world.first.push(accessor.as_str().ok_or("an accessor")?.to_owned());
            let address = world.vault.address();
            let playbook = format!(
                "keyroll: 1
name: {name}
provider:
  vault_approle: {{ address: \"{address}\", auth: {{ token: env:WORLD_TOKEN }}, role: {name} }}
stores:
  - vault_kv2: {{ address: \"{address}\", auth: {{ token: env:WORLD_TOKEN }}, mount: secret, path: {path} }}
    write: {{ secret_id: secret, accessor: id }}
    stale_for: 0s
probe: {{ times: 1 }}
consumers:
  - name: app
    instances: {{ fixed: [\"{services}\"] }}
    expect: 1
    health: {{ path: /healthz/{key}, version: {{ json: /secrets/app/version }} }}
    max_request: 0s
verify: {{ within: 20s, stable_for: {stable_for}, every: 20ms }}
revoke: {{ grace: 0s, dead_within: 0s }}
",
                name = name(key),
                path = path(key),
            );
            std::fs::write(world.playbook(key), playbook)?;
        }
        Ok(world)
    }

    /// All keys are that old, and have been due since long.
    pub fn make_due(&self) -> Result<(), Broken> {
        self.vault.age_secret_ids(chrono::TimeDelta::days(200));
        for key in 0..self.first.len() {
            let playbook = std::fs::read_to_string(self.playbook(key))?;
            std::fs::write(self.playbook(key), playbook + "every: 90d\n")?;
        }
        Ok(())
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn playbook(&self, key: usize) -> PathBuf {
        self.folder.path().join(format!("{}.yaml", name(key)))
    }

    /// The built keyroll, on the shared journal.
    pub fn keyroll(&self, words: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyroll"));
        let journal = self.server.url(&format!("keyroll_lease={}", self.lease));
        command.args(words).env("KEYROLL_JOURNAL", journal).env("WORLD_TOKEN", self.vault.token());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn api(&self, method: &str, path: &str, body: Value) -> Result<Value, Broken> {
        let url = format!("{}/v1/{path}", self.vault.address());
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let reply = self.http.request(method, url).header("X-Vault-Token", self.vault.token()).json(&body).send().await?;
        Ok(serde_json::from_slice(&reply.bytes().await?).unwrap_or_default())
    }

    /// The ids of every live key of this role.
    pub async fn live(&self, key: usize) -> Result<Vec<String>, Broken> {
        let listed = self.api("LIST", &format!("{}/secret-id", role(key)), json!({})).await?;
        Ok(listed["data"]["keys"].as_array().into_iter().flatten().filter_map(|id| Some(id.as_str()?.to_owned())).collect())
    }

    /// The store's current version and the id beside it.
    pub fn stored(&self, key: usize) -> (u64, String) {
        let (version, fields) = self.vault.get(&path(key)).unwrap_or_default();
        (version, fields.get("accessor").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Whether the store serves a value that the provider accepts; a value that changes meanwhile is looked at again.
    pub async fn serves_a_live_value(&self, key: usize) -> Result<bool, Broken> {
        loop {
            let (version, fields) = self.vault.get(&path(key)).ok_or("the store is empty")?;
            let found = self.api("POST", &format!("{}/secret-id/lookup", role(key)), json!({ "secret_id": fields["secret_id"] })).await?;
            if found["data"]["secret_id_accessor"] == fields["accessor"] {
                return Ok(true);
            }
            if self.stored(key).0 == version {
                return Ok(false);
            }
        }
    }

    /// Every rotation of this key, newest first.
    pub async fn rotations(&self, key: usize) -> Result<Vec<Rotation>, Broken> {
        let mut found = Vec::new();
        for entry in self.journal.entries().await?.into_iter().filter(|entry| entry.name == name(key)) {
            found.push(Rotation::fold(&self.journal.records(&entry.rotation).await?)?);
        }
        Ok(found)
    }

    /// Rotated exactly once, one live key, which the store serves.
    pub async fn assert_rotated_once(&self, key: usize) -> Result<(), Broken> {
        let rotations = self.rotations(key).await?;
        let done = rotations.iter().filter(|rotation| rotation.state.ended() == Some(End::Done)).count();
        assert!(rotations.iter().all(|rotation| rotation.state.ended().is_some()), "key {key}: a rotation is still open");
        assert_eq!(done, 1, "key {key} was rotated {done} times");
        let (live, stored) = (self.live(key).await?, self.stored(key).1);
        assert_eq!(live, [stored.as_str()], "key {key}: the live keys, and the stored one");
        assert_ne!(stored, self.first[key], "key {key} is another one");
        assert!(self.serves_a_live_value(key).await?, "key {key}: a dead value is served");
        Ok(())
    }
}

pub fn name(key: usize) -> String {
    format!("app{key:03}")
}

fn role(key: usize) -> String {
    format!("auth/approle/role/{}", name(key))
}

fn path(key: usize) -> String {
    format!("world/{}", name(key))
}

/// Asks again and again until it holds.
pub async fn until(what: &str, holds: impl AsyncFn() -> Result<bool, Broken>) -> Result<(), Broken> {
    let late = tokio::time::Instant::now() + Duration::from_secs(60);
    while !holds().await? {
        assert!(tokio::time::Instant::now() < late, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
