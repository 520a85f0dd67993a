//! A Vault for the demo and for tests: KV v2 at `secret/` and AppRole at `approle/`, with the status codes and bodies of a
//! real one (1.21). The same contract suites run on both.

mod approle;
mod kv;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

/// A running stand-in; it ends when this is dropped.
pub struct SandboxVault {
    at: SocketAddr,
    token: String,
    world: Shared,
    server: JoinHandle<()>,
}

type Shared = Arc<Mutex<World>>;

/// What it holds.
#[derive(Default)]
struct World {
    tokens: BTreeSet<String>,
    secrets: BTreeMap<String, kv::Key>,
    roles: BTreeMap<String, approle::Role>,
}

impl SandboxVault {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let token = format!("hvs.sandbox{}", random());
        let world = World { tokens: BTreeSet::from([token.clone()]), ..World::default() };
        let world = Arc::new(Mutex::new(world));
        let app = Router::new().fallback(answer).with_state(world.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::warn!(%error, "the sandbox's Vault ended");
            }
        });
        Ok(Self { at, token, world, server })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://{}", self.at)
    }

    /// The token that may do everything.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Makes this the current value of `secret/PATH`, as a new version. Returns its number.
    pub fn put(&self, path: &str, fields: &Map<String, Value>) -> u64 {
        lock(&self.world).secrets.entry(path.to_owned()).or_default().add(fields.clone())
    }

    /// All secret ids that there are were made so much earlier.
    pub fn age_secret_ids(&self, by: chrono::TimeDelta) {
        lock(&self.world).roles.values_mut().for_each(|role| role.age(by));
    }

    /// The current value of `secret/PATH`, with its version.
    pub fn get(&self, path: &str) -> Option<(u64, Map<String, Value>)> {
        lock(&self.world).secrets.get(path)?.current()
    }
}

impl Drop for SandboxVault {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// 122 random bits, written as Vault writes its ids.
fn random() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A panic elsewhere does not make what is stored wrong: each change is one assignment.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A request, taken apart.
struct Ask<'a> {
    method: &'a str,
    /// After `/v1/`.
    path: &'a str,
    query: &'a str,
    body: Value,
    token: &'a str,
}

impl Ask<'_> {
    /// A text of the body; empty where there is none.
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }
}

/// The longest request that is read.
const LONGEST: usize = 1 << 20;

async fn answer(State(world): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LONGEST).await else {
        return errors(StatusCode::PAYLOAD_TOO_LARGE, &["http: request body too large"]);
    };
    let Some(path) = parts.uri.path().strip_prefix("/v1/") else { return errors(StatusCode::NOT_FOUND, &[]) };
    let ask = Ask {
        // Vault takes both, as its own command sends PUT.
        method: if parts.method == "PUT" { "POST" } else { parts.method.as_str() },
        path,
        query: parts.uri.query().unwrap_or_default(),
        body: body_of(&bytes),
        token: parts.headers.get("x-vault-token").and_then(|value| value.to_str().ok()).unwrap_or_default(),
    };
    let mut world = lock(&world);
    open_to_all(&mut world, &ask).unwrap_or_else(|| with_token(&mut world, &ask))
}

fn body_of(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn open_to_all(world: &mut World, ask: &Ask<'_>) -> Option<Response> {
    match (ask.method, ask.path) {
        ("GET", "sys/health") => Some(bare(json!({ "initialized": true, "sealed": false, "standby": false }))),
        ("GET", "sys/seal-status") => Some(bare(json!({ "type": "shamir", "initialized": true, "sealed": false }))),
        ("POST", "auth/approle/login") => Some(approle::login(world, ask)),
        _ => None,
    }
}

fn with_token(world: &mut World, ask: &Ask<'_>) -> Response {
    if ask.token.is_empty() {
        return errors(StatusCode::FORBIDDEN, &["permission denied"]);
    }
    if !world.tokens.contains(ask.token) {
        return errors(StatusCode::FORBIDDEN, &["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]);
    }
    if let Some(rest) = ask.path.strip_prefix("secret/") {
        return kv::answer(world, ask, rest);
    }
    if let Some(rest) = ask.path.strip_prefix("auth/approle/role/") {
        return approle::answer(world, ask, rest);
    }
    match (ask.method, ask.path) {
        ("GET", "auth/token/lookup-self") => data(json!({ "policies": ["root"], "ttl": 0, "renewable": false })),
        ("POST", "auth/token/revoke-self") => {
            world.tokens.remove(ask.token);
            StatusCode::NO_CONTENT.into_response()
        }
        ("POST", "sys/capabilities-self") => {
            let paths = ask.body["paths"].as_array().into_iter().flatten().filter_map(Value::as_str);
            data(paths.map(|path| (path.to_owned(), json!(["root"]))).collect::<Map<_, _>>().into())
        }
        ("GET", path) if path.strip_prefix("sys/internal/ui/mounts/").is_some_and(|rest| rest.split('/').next() == Some("secret")) => {
            data(json!({ "type": "kv", "path": "secret/", "options": { "version": "2" } }))
        }
        ("GET", path) if path.starts_with("sys/internal/ui/mounts/") => errors(
            StatusCode::FORBIDDEN,
            &["preflight capability check returned 403, please ensure client's policies grant access to path"],
        ),
        (_, path) => errors(StatusCode::NOT_FOUND, &[&format!("no handler for route \"{path}\". route entry not found.")]),
    }
}

fn bare(body: Value) -> Response {
    Json(body).into_response()
}

fn envelope(data: Value, auth: Value) -> Value {
    json!({
        "request_id": random(), "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": data, "wrap_info": null, "warnings": null, "auth": auth,
    })
}

fn data(data: Value) -> Response {
    bare(envelope(data, Value::Null))
}

fn errors(status: StatusCode, errors: &[&str]) -> Response {
    (status, Json(json!({ "errors": errors }))).into_response()
}
