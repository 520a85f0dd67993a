//! A place in a Vault, real or stand-in, reached by plain HTTP beside the adapter under test.
#![allow(dead_code)]

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use keyroll::{
    adapters::{
        Ctx,
        provider::vault_approle::{self, VaultAppRole},
        secrets::Resolver,
        store::vault_kv2::{Config, VaultKv2},
        wire::Wire,
    },
    ids::KeyId,
    ports::{Like, Provider, Store, Wanted},
    secret::Secret,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{provider::ProviderBench, store::StoreBench};

/// A Vault, and a token that may do everything there.
pub struct World {
    pub address: String,
    pub token: String,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    ca: Option<String>,
    /// What must live as long as this does: the stand-in.
    guard: Option<Box<dyn std::any::Any + Send + Sync>>,
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
        Self { address: address.into(), token: token.into(), folder, http: reqwest::Client::new(), ca: None, guard: None }
    }

    /// Behind TLS, with a certificate of this authority (a PEM file).
    pub fn trusting(mut self, ca: &str) -> Self {
        let pem = std::fs::read(ca).expect("the authority's file");
        self.http = Wire::trusting(&pem).expect("an authority").client().clone();
        self.ca = Some(ca.into());
        self
    }

    /// The stand-in, which ends with this.
    pub async fn standin() -> Self {
        let vault = keyroll::sandbox::vault::SandboxVault::start().await.expect("a port");
        let mut world = Self::new(&vault.address(), vault.token());
        world.guard = Some(Box::new(vault));
        world
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
        let config = json!({ "address": self.address, "auth": auth, "ca": self.ca, "mount": mount, "path": path });
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

/// Stands before a Vault, counts creates, and can lose a reply.
pub struct Lossy {
    address: String,
    creates: AtomicUsize,
    /// The end of the path whose next reply is lost.
    lose: Mutex<Option<&'static str>>,
}

impl Lossy {
    async fn before(vault: &str, http: reqwest::Client) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let lossy = Arc::new(Self { address, creates: AtomicUsize::new(0), lose: Mutex::new(None) });
        let (shared, vault, http) = (lossy.clone(), vault.to_owned(), http);
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (shared, vault, http) = (shared.clone(), vault.clone(), http.clone());
            async move { shared.pass(&vault, &http, request).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        lossy
    }

    async fn pass(&self, vault: &str, http: &reqwest::Client, request: axum::extract::Request) -> axum::response::Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let path = parts.uri.path().to_owned();
        let changes = parts.method == Method::POST;
        if changes && path.ends_with("/secret-id") {
            self.creates.fetch_add(1, Ordering::Relaxed);
        }
        let mut onward = http.request(parts.method, format!("{vault}{}", parts.uri)).body(body);
        for name in ["x-vault-token", "content-type"] {
            if let Some(value) = parts.headers.get(name) {
                onward = onward.header(name, value);
            }
        }
        let reply = onward.send().await.expect("Vault answers");
        let status = reply.status();
        let bytes = reply.bytes().await.expect("a body");
        let lost = changes && self.lose.lock().expect("no panic").take_if(|end| path.ends_with(*end)).is_some();
        if lost {
            return axum::response::IntoResponse::into_response(axum::http::StatusCode::BAD_GATEWAY);
        }
        axum::response::IntoResponse::into_response((status, bytes))
    }

    fn lose(&self, end: &'static str) -> bool {
        *self.lose.lock().expect("no panic") = Some(end);
        true
    }
}

/// A role with two secret ids.
pub struct AppRoleBench {
    pub world: World,
    pub role: String,
    lossy: Arc<Lossy>,
    provider: Arc<VaultAppRole>,
    seeded: Vec<KeyId>,
}

impl World {
    fn approle(&self, address: &str, role: &str, token: &str) -> VaultAppRole {
        let config = json!({ "address": address, "auth": { "token": self.keep(token) }, "ca": self.ca, "role": role });
        let config: vault_approle::Config = serde_json::from_value(config).expect("a config");
        VaultAppRole::new(config, &ctx()).unwrap_or_else(|fault| panic!("{}", fault.what))
    }

    pub async fn approle_bench(self, settings: Value) -> AppRoleBench {
        let role = name("role");
        let path = format!("auth/approle/role/{role}");
        self.must("POST", &path, settings).await;
        let mut seeded = Vec::new();
        for metadata in ["{\"team\":\"payments\"}", "{}"] {
            let made = self.must("POST", &format!("{path}/secret-id"), json!({ "metadata": metadata, "cidr_list": ["127.0.0.0/8"] })).await;
            seeded.push(KeyId::new(made["data"]["secret_id_accessor"].as_str().expect("an accessor")));
        }
        let lossy = Lossy::before(&self.address, self.http.clone()).await;
        let provider = self.approle(&lossy.address, &role, &self.token);
        AppRoleBench { world: self, role, lossy, provider: Arc::new(provider), seeded }
    }
}

#[async_trait]
impl ProviderBench for AppRoleBench {
    fn provider(&self) -> Arc<dyn Provider> {
        self.provider.clone()
    }
    fn seeded(&self) -> Vec<KeyId> {
        self.seeded.clone()
    }
    async fn creates(&self) -> Option<usize> {
        Some(self.lossy.creates.load(Ordering::Relaxed))
    }
    async fn lose_next_create(&self) -> bool {
        self.lossy.lose("/secret-id")
    }
    async fn lose_next_delete(&self) -> bool {
        self.lossy.lose("/secret-id-accessor/destroy")
    }
    fn own_secrets(&self) -> Vec<Secret> {
        vec![Secret::new(self.world.token.as_str())]
    }
}

impl AppRoleBench {
    /// The same provider, with a token that has this policy and the right to see itself.
    pub async fn with_policy(&self, policy: &str) -> VaultAppRole {
        let token = self.world.limited(policy, 60).await;
        self.world.approle(&self.world.address, &self.role, &token)
    }
}

/// A secret id keeps what its forerunner had, and is never wider.
pub async fn a_copy_keeps_its_limits(bench: &AppRoleBench) {
    let like = &bench.seeded[0];
    let wanted = Wanted { like: Some(Like::Key(like)), ..Wanted::named("copy", "copy") };
    let made = bench.provider.create(&wanted).await.expect("made");
    let path = format!("auth/approle/role/{}/secret-id-accessor/lookup", bench.role);
    let shown = bench.world.must("POST", &path, json!({ "secret_id_accessor": made.id.as_str() })).await;
    assert_eq!(shown["data"]["cidr_list"], json!(["127.0.0.0/8"]));
    assert_eq!(shown["data"]["metadata"], json!({ "team": "payments", "keyroll": "copy" }));
}
