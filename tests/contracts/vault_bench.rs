//! A place in a Vault, real or stand-in, reached by plain HTTP beside the adapter under test.
#![allow(dead_code)]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use keyroll::{
    adapters::{
        Ctx,
        secrets::Resolver,
        store::vault_kv2::{Config, VaultKv2},
        wire::Wire,
    },
    ports::Store,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::store::StoreBench;

/// A Vault, and a token that may do everything there.
pub struct World {
    pub address: String,
    pub token: String,
    folder: tempfile::TempDir,
    http: reqwest::Client,
}

pub fn ctx() -> Ctx {
    let wire = Wire::new().expect("TLS");
    Ctx { secrets: Arc::new(Resolver::new(wire.clone())), wire }
}

/// A name nobody else uses in this Vault.
pub fn name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl World {
    pub fn new(address: &str, token: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { address: address.into(), token: token.into(), folder, http: reqwest::Client::new() }
    }

    /// A `file:` reference that holds this text.
    pub fn keep(&self, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path: PathBuf = self.folder.path().join(name("secret"));
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("private");
        format!("file:{}", path.display())
    }

    /// One request as root: its status, and its body if it has one.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let form = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.address)).header("X-Vault-Token", &self.token);
        if !body.is_null() {
            request = request.header("Content-Type", form).body(body.to_string());
        }
        let reply = request.send().await.expect("an answer");
        let status = reply.status().as_u16();
        (status, serde_json::from_slice(&reply.bytes().await.expect("a body")).unwrap_or(Value::Null))
    }

    /// The same, and it must succeed.
    pub async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, reply) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
        reply
    }

    /// A token with this policy, and how long it lives (seconds).
    pub async fn limited(&self, policy: &str, seconds: u64) -> String {
        let name = name("policy");
        self.must("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": policy })).await;
        let made = self.must("POST", "auth/token/create", json!({ "policies": [name], "ttl": format!("{seconds}s") })).await;
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    pub fn store_with(&self, auth: Value, mount: &str, path: &str) -> VaultKv2 {
        let config = json!({ "address": self.address, "auth": auth, "mount": mount, "path": path });
        let config: Config = serde_json::from_value(config).expect("a config");
        VaultKv2::new(config, &ctx()).unwrap_or_else(|fault| panic!("{}", fault.what))
    }

    /// A store at this path of `secret/`, with root's token.
    pub fn store(&self, path: &str) -> VaultKv2 {
        self.store_with(json!({ "token": self.keep(&self.token) }), "secret", path)
    }

    pub fn bench(self) -> VaultBench {
        let path = format!("suite/{}", name("key"));
        let store = Arc::new(self.store(&path));
        VaultBench { world: self, path, store }
    }
}

pub struct VaultBench {
    pub world: World,
    pub path: String,
    store: Arc<VaultKv2>,
}

#[async_trait]
impl StoreBench for VaultBench {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn put(&self, value: &Map<String, Value>) {
        self.world.must("POST", &format!("secret/data/{}", self.path), json!({ "data": value })).await;
    }

    async fn get(&self) -> Option<Map<String, Value>> {
        let (status, body) = self.world.ask("GET", &format!("secret/data/{}", self.path), Value::Null).await;
        (status == 200).then(|| body["data"]["data"].as_object().cloned()).flatten()
    }

    async fn put_mark(&self, key: &str, value: &str) -> bool {
        let path = format!("secret/metadata/{}", self.path);
        self.world.must("POST", &path, json!({ "custom_metadata": { key: value } })).await;
        true
    }

    async fn get_mark(&self, key: &str) -> Option<String> {
        let body = self.world.must("GET", &format!("secret/metadata/{}", self.path), Value::Null).await;
        body["data"]["custom_metadata"][key].as_str().map(str::to_owned)
    }
}
