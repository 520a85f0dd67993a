//! An answer of a provider, a store or a service, as every adapter reads it, through its port. The first byte chooses the call; the
//! rest is what comes back after `HTTP/1.1 `, to each request of that call.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    adapters::{Ctx, health, registry::Registry, wire::Wire},
    ids::{InstanceId, KeyId, RotationId, Version},
    playbook::{Block, HealthSpec, Limits, SecretRef, Seg, Source},
    ports::{Change, Credential, Discovery, Got, Health, Instance, Like, Mark, Order, Provider, Rollout, Secrets, Store, Wanted},
    secret::Secret,
};
use tokio::runtime::Runtime;

/// Every reference is this.
struct Same;

#[async_trait]
impl Secrets for Same {
    async fn read(&self, _: &SecretRef) -> Got<Secret> {
        Ok(Secret::new("one-value-for-all"))
    }
}

struct Worlds {
    runtime: Runtime,
    answer: Arc<Mutex<Vec<u8>>>,
    address: SocketAddr,
    providers: Vec<Arc<dyn Provider>>,
    stores: Vec<Arc<dyn Store>>,
    discovery: Arc<dyn Discovery>,
    rollout: Arc<dyn Rollout>,
    health: Vec<Arc<dyn Health>>,
}

fn worlds() -> &'static Worlds {
    static WORLDS: OnceLock<Worlds> = OnceLock::new();
    WORLDS.get_or_init(|| Worlds::new().expect("a port and a thread"))
}

impl Worlds {
    fn new() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, answer) = (listener.local_addr()?, Arc::new(Mutex::new(Vec::new())));
        let shared = answer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &shared);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let wire = Wire::new().expect("TLS");
        let (ctx, all) = (Ctx { secrets: Arc::new(Same), wire }, Registry::builtin());
        let at = format!("http://{address}");
        let token = "auth: { token: env:TOKEN }";
        let keys = "region: us-east-1, credentials: { access_key_id: env:ID, secret_access_key: env:SECRET }";
        let providers = [
            ("openai", format!("{{ project: proj_a, admin_key: env:ADMIN, base_url: \"{at}\" }}")),
            ("openai_admin", format!("{{ admin_key: \"vault:secret/a#key\", base_url: \"{at}\" }}")),
            ("vault_approle", format!("{{ address: \"{at}\", {token}, role: app }}")),
            ("aws_iam", format!("{{ user: app, account: \"123456789012\", endpoint: \"{at}\", {keys} }}")),
            ("http", http(&at)),
        ];
        let stores = [
            ("vault_kv2", format!("{{ address: \"{at}\", {token}, path: app }}")),
            ("aws_secretsmanager", format!("{{ secret_id: app, endpoint: \"{at}\", {keys} }}")),
            ("aws_secretsmanager", format!("{{ secret_id: app, format: text, endpoint: \"{at}\", {keys} }}")),
        ];
        let of = |kind: &str, text: &str| block(kind, text);
        let provider = |(kind, text): &(&str, String)| {
            let found = all.providers.iter().find(|known| known.kind.name == *kind).expect("registered");
            (found.kind.build)(&of(kind, text), &ctx).unwrap_or_else(|fault| panic!("{kind}: {}", fault.what))
        };
        let store = |(kind, text): &(&str, String)| {
            let found = all.stores.iter().find(|known| known.name == *kind).expect("registered");
            (found.build)(&of(kind, text), &ctx).unwrap_or_else(|fault| panic!("{kind}: {}", fault.what))
        };
        let sd = all.discoveries.iter().find(|known| known.name == "http_sd").expect("registered");
        let roll = all.rollouts.iter().find(|known| known.name == "http").expect("registered");
        let roll_block = block("http", &format!("{{ url: \"{at}/roll\", status: {{ url: \"{at}/roll/{{tag}}\" }} }}"));
        let spec = |pointer: &str| -> HealthSpec {
            let text = format!(r#"{{ "path": "/", {pointer}, "instance": {{ "json": "/id" }} }}"#);
            serde_json::from_str(&text).expect("a spec")
        };
        let asked = [
            spec(r#""version": { "json": "/secrets/app/version" }"#),
            spec(r#""fingerprint": { "header": "x-key" }"#),
            spec(r#""key_id": { "pattern": "key=([a-z0-9]+)" }"#),
        ];
        Ok(Self {
            providers: providers.iter().map(provider).collect(),
            stores: stores.iter().map(store).collect(),
            discovery: (sd.build)(&block("http_sd", &format!("{{ url: \"{at}/sd\" }}")), &ctx).expect("a discovery"),
            rollout: (roll.build)(&roll_block, &ctx).expect("a rollout"),
            health: asked.iter().map(|spec| health::http(spec, &ctx).expect("a health")).collect(),
            runtime,
            answer,
            address,
        })
    }
}

fn http(at: &str) -> String {
    format!(
        "{{ base_url: \"{at}\", headers: {{ authorization: {{ bearer: env:ADMIN }} }}, \
         list: {{ path: /keys, items: /data, id: /id, name: /name, created_at: /created_at, last_used: /last_used, sha256: /sha256, \
         next: {{ cursor: {{ at: /next, query: after }} }} }}, \
         create: {{ path: /keys, body: {{ name: \"{{name}}\" }}, id: /id, secret: /key }}, \
         delete: {{ path: \"/keys/{{id}}\" }}, probe: {{ path: /models }} }}"
    )
}

fn block(kind: &str, text: &str) -> Block {
    let source = Source { name: "fuzzed".into(), text: format!("{kind}: {text}\n") };
    Block { kind: kind.into(), path: vec![Seg::Key(kind.into())], source: Arc::new(source) }
}

/// One request is read, whatever it is, and one answer given; then the connection ends.
fn serve(mut stream: TcpStream, answer: &Mutex<Vec<u8>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !whole(&request) {
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => request.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let _ = stream.write_all(b"HTTP/1.1 ").and_then(|()| stream.write_all(&answer));
}

fn whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse::<usize>().ok());
    request.len() >= end + 4 + length.unwrap_or_default()
}

pub fn feed(bytes: &[u8]) {
    let Some((call, answer)) = bytes.split_first() else { return };
    let worlds = worlds();
    *worlds.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer.to_vec();
    // No adapter waits, or asks for ever: this is far more than any call's own limit allows on loopback.
    let done = worlds.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(8), worlds.make(*call)).await });
    assert!(done.is_ok(), "a call that does not end");
}

impl Worlds {
    async fn make(&self, call: u8) {
        // Seeds are texts: the first call is `0`.
        let call = usize::from(call.wrapping_sub(b'0'));
        let ports = self.providers.len() + self.stores.len() + 1;
        match call % ports {
            at if at < self.providers.len() => self.provider(&*self.providers[at], call / ports).await,
            at if at < self.providers.len() + self.stores.len() => self.store(&*self.stores[at - self.providers.len()], call / ports).await,
            _ => self.consumer(call / ports).await,
        }
    }

    async fn provider(&self, provider: &dyn Provider, call: usize) {
        let (id, credential) =
            (KeyId::new("key-1"), || Credential { id: Some(KeyId::new("key-1")), secret: Secret::new("value-of-key-1") });
        match call % 8 {
            0 => drop(provider.check().await),
            1 => drop(provider.list().await),
            2 => drop(provider.identify(&credential(), &[]).await),
            3 => drop(provider.create(&Wanted { like: Some(Like::Key(&id)), ..Wanted::named("name", "token") }).await),
            4 => drop(provider.create(&Wanted::named("name", "token")).await),
            5 => drop(provider.delete(&super::records::tombstone(&id)).await),
            6 => drop(provider.probe(&credential()).await),
            _ => {
                if let Some(usage) = provider.usage() {
                    drop(usage.last_used(&id).await);
                }
                if let Some(spend) = provider.spend() {
                    drop(spend.since(&id, DateTime::<Utc>::UNIX_EPOCH).await);
                }
                if let Some(switch) = provider.switch() {
                    drop(switch.set(&id, false).await);
                }
                if let Some(attributes) = provider.attributes() {
                    drop(attributes.of(&id).await);
                    if let Ok(kept) = attributes.keep(&id).await {
                        drop(attributes.planned(Some(Like::Gone(&kept)), &Limits::NONE).await);
                    }
                }
            }
        }
    }

    async fn store(&self, store: &dyn Store, call: usize) {
        let version = Version::new("3");
        match call % 8 {
            0 => drop(store.check().await),
            1 => drop(store.read().await),
            2 => drop(store.read_at(&version).await),
            3 => drop(store.versions().await),
            4 => drop(store.endpoints().await),
            5 => drop(store.mark().await),
            6 => drop(store.clock().await),
            _ => {
                let fields = BTreeMap::from([("value".to_owned(), Secret::new("new"))]);
                let mark = Mark { journal: "journal".into(), rotation: RotationId::new("rotation") };
                drop(store.write(&Change { base: Some(&version), fields: &fields, token: "token", mark: &mark }).await);
            }
        }
    }

    async fn consumer(&self, call: usize) {
        let order = Order { consumer: "app".into(), rotation: RotationId::new("r"), tag: "tag".into(), versions: vec![Version::new("3")] };
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.address.port());
        let instance = Instance { id: InstanceId::new("one"), host: "127.0.0.1".into(), address, started: None, leaving: false };
        match call % 6 {
            0 => drop(self.discovery.instances().await),
            1 => drop(self.rollout.roll(&order).await),
            2 => drop(self.rollout.rolled(&order).await),
            at => drop(self.health[at - 3].ask(&instance).await),
        }
    }
}
