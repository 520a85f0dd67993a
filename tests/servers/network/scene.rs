//! One key, its store, a service and the built keyroll, with a network between them that can be made ill.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use keyroll::{
    ids::KeyId,
    journal::Place,
    protocol::{Effect, Event},
    sandbox::provider::SandboxProvider,
};
use serde_json::{Value, json};

use super::{
    tap::{Request, Tap},
    toxi::{Proxy, Toxic},
};
use crate::{
    aws, name,
    postgres::{Postgres, suite::Server as _},
    server, vault_bench,
};

/// Whose key is rotated, and where it lives.
pub enum World {
    /// A Vault AppRole's secret ids in KV v2 of the same Vault: both behind the tap, unless it speaks TLS.
    Vault(vault_bench::World),
    /// An IAM user's access keys in Secrets Manager: both behind the tap.
    Aws,
    /// The OpenAI stand-in behind the tap; its key in a real Vault.
    OpenAi(Box<SandboxProvider>, vault_bench::World),
    /// The same, but what is behind the tap is the service that starts rollouts.
    Rollout(Box<SandboxProvider>, vault_bench::World),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Vault,
    VaultTls,
    Aws,
    OpenAi,
    Rollout,
}

/// How the service behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// It follows the store.
    Follows,
    /// It stays with the first key, so the rotation goes back.
    Stays,
    /// It is ill as long as the old key is switched off.
    NeedsOld,
}

/// The service: what it says of itself.
struct Service {
    world: Arc<World>,
    name: String,
    first: Value,
    manner: Manner,
}

pub struct Scene {
    pub kind: Kind,
    pub name: String,
    pub world: Arc<World>,
    pub tap: Tap,
    /// Before the tap: what keyroll connects to.
    pub front: Proxy,
    /// Behind the tap, before the server.
    pub back: Proxy,
    /// Before the service.
    pub consumers: Proxy,
    pub journal: Option<Shared>,
    folder: tempfile::TempDir,
    patient: bool,
    /// What keyroll's references find.
    pub env: Vec<(&'static str, String)>,
}

/// A journal on PostgreSQL.
pub struct Shared {
    pub proxy: Proxy,
    /// Through the proxy.
    url: String,
    /// Past it.
    postgres: Postgres,
}

/// How one process went.
pub struct Ran {
    pub code: i32,
    pub took: Duration,
    pub said: String,
}

fn creates(request: &Request) -> bool {
    let path = request.path.split('?').next().unwrap_or_default();
    request.action == "CreateAccessKey"
        || (request.method == "POST" && (path.ends_with("/secret-id") || path.ends_with("/service_accounts")))
}

/// The request that begins this effect.
pub fn begins(kind: Kind, effect: &str) -> fn(&Request) -> bool {
    match (kind, effect) {
        (_, "create") => creates,
        (Kind::Vault | Kind::VaultTls, "promote" | "restore") => {
            |request| request.method == "POST" && request.path.contains("/secret/data/")
        }
        (Kind::Vault | Kind::VaultTls, _) => |request| request.path.ends_with("/secret-id-accessor/destroy"),
        (Kind::Aws, "put") => |request| request.action == "PutSecretValue",
        (Kind::Aws, "promote" | "restore") => |request| request.action == "UpdateSecretVersionStage" && request.body.contains("AWSCURRENT"),
        (Kind::Aws, "disable") => |request| request.action == "UpdateAccessKey" && request.body.contains("Inactive"),
        (Kind::Aws, "enable") => |request| request.action == "UpdateAccessKey" && request.body.contains("Status=Active"),
        (Kind::Aws, _) => |request| request.action == "DeleteAccessKey",
        (Kind::OpenAi, _) => |request| request.method == "DELETE",
        (Kind::Rollout, _) => |request| request.method == "POST",
    }
}

impl World {
    async fn new(kind: Kind) -> Self {
        let sandbox = async || Box::new(SandboxProvider::start().await.expect("a port"));
        match kind {
            Kind::Vault => Self::Vault(crate::vault::world()),
            Kind::VaultTls => Self::Vault(crate::vault::told("KEYROLL_TEST_VAULT_TLS")),
            Kind::Aws => Self::Aws,
            Kind::OpenAi => Self::OpenAi(sandbox().await, crate::vault::world()),
            Kind::Rollout => Self::Rollout(sandbox().await, crate::vault::world()),
        }
    }

    /// Makes the first key, and puts it into the store.
    async fn seed(&self, name: &str) {
        match self {
            Self::Vault(vault) => {
                let role = format!("auth/approle/role/{name}");
                vault.must("POST", &role, json!({})).await;
                let made = vault.must("POST", &format!("{role}/secret-id"), json!({})).await;
                let fields = json!({ "value": made["data"]["secret_id"], "id": made["data"]["secret_id_accessor"] });
                vault.must("POST", &format!("secret/data/{name}"), json!({ "data": fields })).await;
            }
            Self::Aws => {
                let settings = aws::direct().await;
                let iam = aws_sdk_iam::Client::new(&settings);
                iam.create_user().user_name(name).send().await.unwrap_or_else(|_| panic!("no user"));
                // AWS lets everybody ask who they are; moto wants a policy for it.
                let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"}]}"#;
                assert!(iam.put_user_policy().user_name(name).policy_name("sts").policy_document(policy).send().await.is_ok());
                let made = iam.create_access_key().user_name(name).send().await.unwrap_or_else(|_| panic!("no key"));
                let key = made.access_key().expect("a key");
                let text = json!({ "value": key.secret_access_key(), "id": key.access_key_id() }).to_string();
                let secrets = aws_sdk_secretsmanager::Client::new(&settings);
                secrets.create_secret().name(name).secret_string(text).send().await.unwrap_or_else(|_| panic!("no secret"));
            }
            Self::OpenAi(provider, vault) | Self::Rollout(provider, vault) => {
                let (id, value) = provider.seed_key("first");
                let fields = json!({ "value": value.reveal(), "id": id.as_str() });
                vault.must("POST", &format!("secret/data/{name}"), json!({ "data": fields })).await;
            }
        }
    }

    /// The store's version, and the fields it holds.
    pub async fn stored(&self, name: &str) -> (Value, Value) {
        match self {
            Self::Vault(vault) | Self::OpenAi(_, vault) | Self::Rollout(_, vault) => {
                let data = vault.must("GET", &format!("secret/data/{name}"), Value::Null).await["data"].clone();
                (data["metadata"]["version"].clone(), data["data"].clone())
            }
            Self::Aws => {
                let secrets = aws_sdk_secretsmanager::Client::new(&aws::direct().await);
                let got = secrets.get_secret_value().secret_id(name).version_stage("AWSCURRENT").send().await;
                let got = got.unwrap_or_else(|_| panic!("the secret is there"));
                (json!(got.version_id()), serde_json::from_str(got.secret_string().expect("text")).expect("JSON"))
            }
        }
    }

    /// The ids of the keys that there are.
    pub async fn live(&self, name: &str) -> Vec<String> {
        match self {
            Self::Vault(vault) => {
                let (_, listed) = vault.ask("LIST", &format!("auth/approle/role/{name}/secret-id"), Value::Null).await;
                listed["data"]["keys"].as_array().into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
            }
            Self::Aws => {
                let iam = aws_sdk_iam::Client::new(&aws::direct().await);
                let listed = iam.list_access_keys().user_name(name).send().await.unwrap_or_else(|_| panic!("no listing"));
                listed.access_key_metadata().iter().filter_map(|key| key.access_key_id().map(str::to_owned)).collect()
            }
            Self::OpenAi(provider, _) | Self::Rollout(provider, _) => provider.live_keys().iter().map(KeyId::to_string).collect(),
        }
    }

    /// Whether a key is switched off.
    async fn has_off(&self, name: &str) -> bool {
        let Self::Aws = self else { return false };
        let iam = aws_sdk_iam::Client::new(&aws::direct().await);
        let listed = iam.list_access_keys().user_name(name).send().await.unwrap_or_else(|_| panic!("no listing"));
        listed.access_key_metadata().iter().any(|key| key.status() == Some(&aws_sdk_iam::types::StatusType::Inactive))
    }

    /// Whether the provider takes the stored value as the key whose id stands beside it.
    async fn takes(&self, name: &str, fields: &Value) -> bool {
        let text = |field: &str| fields[field].as_str().unwrap_or_default().to_owned();
        match self {
            Self::Vault(vault) => {
                let found =
                    vault.ask("POST", &format!("auth/approle/role/{name}/secret-id/lookup"), json!({ "secret_id": text("value") })).await;
                found.1["data"]["secret_id_accessor"] == fields["id"]
            }
            Self::Aws => aws::caller(&text("id"), &text("value")).await,
            Self::OpenAi(provider, _) | Self::Rollout(provider, _) => {
                let call = reqwest::Client::new().get(format!("{}/models", provider.base_url())).bearer_auth(text("value"));
                call.send().await.is_ok_and(|reply| reply.status().is_success())
            }
        }
    }

    /// Where the tap's requests go in the end.
    fn upstream(&self, service: &str) -> String {
        let url = match self {
            Self::Vault(vault) => vault.address.clone(),
            Self::Aws => server("KEYROLL_TEST_MOTO"),
            Self::OpenAi(provider, _) => provider.base_url(),
            Self::Rollout(..) => format!("http://{service}"),
        };
        let url: url::Url = url.parse().expect("a URL");
        format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(80))
    }
}

impl Scene {
    /// `lease`: its journal is on PostgreSQL, and this is how long a lease lasts there. `patient`: it waits long for a service's answer.
    pub async fn new(kind: Kind, manner: Manner, toxic: Toxic, lease: Option<&str>, patient: bool) -> Self {
        let (world, name) = (Arc::new(World::new(kind).await), name("net"));
        world.seed(&name).await;
        let first = world.stored(&name).await.0;
        let service = Service { world: world.clone(), name: name.clone(), first, manner };
        let service = service.start().await;
        let resets = toxic == Toxic::Reset;
        let back = Proxy::before(&world.upstream(&service), resets).await;
        let tap = Tap::before(back.address, creates).await;
        let front = Proxy::before(&tap.address.to_string(), false).await;
        let consumers = Proxy::before(&service, resets).await;
        let journal = match lease {
            Some(lease) => Some(Shared::new(resets, lease).await),
            None => None,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let mut scene = Self { kind, name, world, tap, front, back, consumers, journal, folder, patient, env: Vec::new() };
        let entry = match (kind, toxic) {
            (Kind::VaultTls, _) => format!("https://{}", scene.back.address),
            (_, Toxic::Down) => format!("http://{}", scene.front.address),
            _ => format!("http://{}", scene.tap.address),
        };
        std::fs::write(scene.playbook(), scene.text(&entry, manner)).expect("written");
        scene.env = match &*scene.world {
            World::Vault(vault) => vec![("VAULT", vault.token.clone()), ("ROLE", vault.token.clone())],
            World::OpenAi(provider, vault) | World::Rollout(provider, vault) => {
                vec![("VAULT", vault.token.clone()), ("ADMIN", provider.admin_key().reveal().to_owned())]
            }
            World::Aws => {
                let admin = aws::admin().await;
                vec![
                    ("AWS_ACCESS_KEY_ID", admin.id().into()),
                    ("AWS_SECRET_ACCESS_KEY", admin.secret().into()),
                    ("AWS_REGION", "us-east-1".into()),
                ]
            }
        };
        scene
    }

    pub fn playbook(&self) -> PathBuf {
        self.folder.path().join("playbook.yaml")
    }

    fn text(&self, entry: &str, manner: Manner) -> String {
        let (name, service) = (&self.name, self.consumers.address);
        let ca = match self.kind {
            Kind::VaultTls => format!(", ca: \"{}\"", server("KEYROLL_TEST_VAULT_TLS_CA")),
            _ => String::new(),
        };
        let vault = |address: &str| {
            format!("vault_kv2: {{ address: \"{address}\", auth: {{ token: env:VAULT }}, mount: secret, path: {name}{ca} }}")
        };
        let openai = |url: &str| format!("openai: {{ project: proj_sandbox, admin_key: env:ADMIN, base_url: \"{url}/v1\" }}");
        let (provider, store) = match &*self.world {
            World::Vault(_) => {
                let role = format!("vault_approle: {{ address: \"{entry}\", auth: {{ token: env:ROLE }}, role: {name}{ca} }}");
                (role, vault(entry))
            }
            World::Aws => (
                format!("aws_iam: {{ user: {name}, region: us-east-1, endpoint: \"{entry}\" }}"),
                format!("aws_secretsmanager: {{ secret_id: {name}, region: us-east-1, endpoint: \"{entry}\" }}"),
            ),
            World::OpenAi(_, store) => (openai(entry), vault(&store.address)),
            World::Rollout(provider, store) => (openai(provider.base_url().trim_end_matches("/v1")), vault(&store.address)),
        };
        let rollout = match self.kind {
            Kind::Rollout => format!("    rollout: {{ http: {{ url: \"{entry}/roll\", timeout: 2s }} }}\n"),
            _ => String::new(),
        };
        let within = if manner == Manner::Follows { "9s" } else { "1s" };
        // Those whose connections suffer must not take all the time that there is for a proof.
        let answer = if self.patient { "4s" } else { "1s" };
        let disable = if self.kind == Kind::Aws { ", disable_for: 0s, watch: 0s" } else { "" };
        format!(
            "keyroll: 1
name: {name}
provider:
  {provider}
stores:
  - {store}
    write: {{ value: secret, id: id }}
    stale_for: 0s
probe: {{ times: 1 }}
consumers:
  - name: app
    instances: {{ fixed: [\"{service}\"] }}
    expect: 1
    health: {{ path: /healthz, version: {{ json: /version }}, timeout: {answer} }}
    max_request: 0s
{rollout}verify: {{ within: {within}, stable_for: 0s, every: 50ms }}
revoke: {{ grace: 0s, dead_within: 5s{disable} }}
"
        )
    }

    /// keyroll; none of its calls is repeated for longer than this.
    pub async fn keyroll(&self, words: &[&str]) -> Ran {
        let began = Instant::now();
        let journal = match &self.journal {
            Some(shared) => shared.url.clone(),
            None => self.folder.path().join("journal.db").display().to_string(),
        };
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        command.args(words).args(["--patience", "4s"]).env("KEYROLL_JOURNAL", journal).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.env.iter().map(|(name, value)| (*name, value.as_str()))).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.expect("it runs");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ran { code: output.status.code().unwrap_or(-1), took: began.elapsed(), said }
    }

    pub async fn run(&self) -> Ran {
        self.keyroll(&["run", &self.playbook().display().to_string()]).await
    }

    /// How many creates the journal knows of.
    async fn intended(&self) -> usize {
        let place = match &self.journal {
            Some(shared) => shared.postgres.url(""),
            None => self.folder.path().join("journal.db").display().to_string(),
        };
        let journal = Place::read(place.as_ref()).open().await.expect("the journal");
        let mut intended = 0;
        for entry in journal.entries().await.expect("readable") {
            let records = journal.records(&entry.rotation).await.expect("a whole chain");
            intended += records.iter().filter(|record| record.event == Event::Intended(Effect::Create)).count();
        }
        intended
    }

    /// One key of ours is alive and the store serves it; held: the store serves a live one. No create was sent twice.
    pub async fn assert_sound(&self, held: bool, story: &str) {
        let (_, fields) = self.world.stored(&self.name).await;
        let live = self.world.live(&self.name).await;
        assert!(self.world.takes(&self.name, &fields).await, "{story}: the store serves a key that the provider does not take");
        assert!(live.iter().any(|id| fields["id"] == id.as_str()), "{story}: the store names key {}, and {live:?} live", fields["id"]);
        assert!(held || live.len() == 1, "{story}: {live:?} live");
        let (_, creates) = self.tap.seen();
        let intended = self.intended().await;
        assert!(creates <= intended, "{story}: {creates} creates were sent for {intended} intents");
    }
}

/// A database of its own. It is a copy of another one, and the server makes one copy at a time: whoever else waits for it might wait
/// for too long.
pub async fn database() -> Postgres {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = ONE.lock().await;
    Postgres::start().await.expect("a database")
}

impl Shared {
    async fn new(resets: bool, lease: &str) -> Self {
        let postgres = database().await;
        let real = postgres.url(&format!("keyroll_lease={lease}"));
        let mut url: url::Url = real.parse().expect("a URL");
        let upstream = format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(5432));
        let proxy = Proxy::before(&upstream, resets).await;
        url.set_port(Some(proxy.address.port())).expect("a port");
        Self { proxy, url: url.into(), postgres }
    }
}

impl Service {
    async fn start(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let roll = axum::routing::post(|| std::future::ready(StatusCode::ACCEPTED));
        let app = Router::new().route("/healthz", get(health)).route("/roll", roll).with_state(Arc::new(self));
        tokio::spawn(async move { axum::serve(listener, app).await });
        address.to_string()
    }
}

async fn health(State(service): State<Arc<Service>>) -> (StatusCode, Json<Value>) {
    let version = match service.manner {
        Manner::Stays => service.first.clone(),
        Manner::Follows | Manner::NeedsOld => service.world.stored(&service.name).await.0,
    };
    let ill = service.manner == Manner::NeedsOld && service.world.has_off(&service.name).await;
    let status = if ill { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(json!({ "version": version })))
}
