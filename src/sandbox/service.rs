//! A fleet of services that read one key from a Vault-compatible store and call the provider with it. Each copy is its own
//! HTTP server; some can be told to misbehave as real ones do.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::secret::Secret;

/// How one copy behaves. Whatever it does starts with the first change of the store's value that it sees, unless it says
/// otherwise, so that a rotation finds a sound fleet at its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Behaviour {
    /// Reads the store at its interval and uses what it read.
    #[default]
    Normal,
    /// Never reads again what it read at its start.
    Stuck,
    /// Reports the new key and uses the one from its start.
    Liar,
    /// Never answers `/healthz`.
    Hangs,
    /// Answers `/healthz` after this time; from its start.
    Slow(Duration),
    /// Answers `/healthz` with a page, as a balancer in front of it would.
    Html,
    /// Is ill at every second `/healthz`.
    Flaps,
    /// Stops serving.
    Vanishes,
    /// Starts serving only when the store's value changes.
    AppearsLate,
    /// Answers `/healthz` with 500.
    Ill,
}

/// Where a fleet reads and what it calls.
#[derive(Clone)]
pub struct ServiceConfig {
    /// The store's address: `http://127.0.0.1:8200`.
    pub vault: String,
    /// A token that may read.
    pub token: Arc<Secret>,
    /// The secret's path in the mount `secret`: `ai/openai`.
    pub path: String,
    /// The field that holds the key.
    pub field: String,
    /// The name of the key in `/healthz`: `openai`.
    pub name: String,
    /// The provider's base URL, with its version: `http://127.0.0.1:9000/v1`.
    pub provider: String,
    /// How often the first copy reads the store; each further copy takes a tenth longer than the one before.
    pub every: Duration,
    /// By place; those beyond are normal.
    pub behaviours: Vec<Behaviour>,
}

/// What a copy holds of the store.
struct Held {
    version: u64,
    key: Secret,
}

struct Service {
    name: String,
    config: ServiceConfig,
    client: reqwest::Client,
    behaviour: Mutex<Behaviour>,
    /// What it calls the provider with; a call in flight keeps the one it began with.
    using: watch::Sender<Option<Arc<Held>>>,
    /// What it says it calls with.
    reported: watch::Sender<Option<Arc<Held>>>,
    /// Whether it saw the store's value change.
    changed: watch::Sender<bool>,
    asked: AtomicU64,
    /// Ends the server.
    gone: CancellationToken,
}

/// Running services. They end when this is dropped.
pub struct Fleet {
    services: Vec<Arc<Service>>,
    present: watch::Sender<Vec<SocketAddr>>,
    directory: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Starts `n` copies on 127.0.0.1, each on its own port, and waits until each holds the key and serves (but those that
    /// appear late).
    ///
    /// # Errors
    /// Where a port cannot be had, or the store did not give the key within ten seconds.
    pub async fn start(n: usize, config: ServiceConfig) -> std::io::Result<Self> {
        let other = |error: String| std::io::Error::other(error);
        let client = reqwest::Client::builder()
            // All of it is in the clear: reading the system's trust roots takes longer than a rotation here.
            .tls_certs_only([])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| other(error.without_url().to_string()))?;
        let (present, _) = watch::channel(vec![]);
        let directory = TcpListener::bind("127.0.0.1:0").await?;
        let mut fleet =
            Self { services: vec![], present, directory: directory.local_addr()?, stop: CancellationToken::new(), tasks: vec![] };
        fleet.tasks.push(tokio::spawn(serve(directory, directory_of(fleet.present.clone()), fleet.stop.clone())));
        let mut starting = JoinSet::new();
        for place in 0..n {
            let behaviour = config.behaviours.get(place).copied().unwrap_or_default();
            let service = Arc::new(Service {
                name: format!("svc-{}", place + 1),
                config: config.clone(),
                client: client.clone(),
                behaviour: Mutex::new(behaviour),
                using: watch::channel(None).0,
                reported: watch::channel(None).0,
                changed: watch::channel(false).0,
                asked: AtomicU64::new(0),
                gone: fleet.stop.child_token(),
            });
            // Bound before it serves, so that a copy that appears late has its address from the start.
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            fleet.tasks.push(tokio::spawn(service.clone().live(listener, fleet.present.clone())));
            fleet.tasks.push(tokio::spawn(service.clone().poll(config.every.mul_f64(1.0 + place as f64 / 10.0), fleet.stop.clone())));
            let mut using = service.using.subscribe();
            starting.spawn(async move { using.wait_for(Option::is_some).await.is_ok() });
            fleet.services.push(service);
        }
        let serving = fleet.services.iter().filter(|service| service.behaviour() != Behaviour::AppearsLate).count();
        let mut present = fleet.present.subscribe();
        let ready = async {
            while starting.join_next().await.is_some() {}
            let _ = present.wait_for(|addresses| addresses.len() >= serving).await;
        };
        tokio::time::timeout(Duration::from_secs(10), ready)
            .await
            .map_err(|_| other(format!("the services found no key at {} within 10s", config.vault)))?;
        Ok(fleet)
    }

    /// The addresses of the copies that serve now; a receiver, because they change.
    pub fn present(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.present.subscribe()
    }

    /// Lists the copies that serve now, in Prometheus' http_sd format.
    pub fn directory(&self) -> String {
        format!("http://{}/targets", self.directory)
    }

    /// Makes a copy behave differently from now on; a copy that is gone stays gone.
    pub fn behave(&self, place: usize, behaviour: Behaviour) {
        if let Some(service) = self.services.get(place) {
            *service.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
        }
    }

    /// The store's version that each copy really uses now.
    pub fn using(&self) -> Vec<u64> {
        self.services.iter().map(|service| service.using.borrow().as_ref().map_or(0, |held| held.version)).collect()
    }

    /// Waits until the copy at `place` reports this version or a newer one.
    pub async fn reports(&self, place: usize, version: u64) {
        if let Some(service) = self.services.get(place) {
            let mut reported = service.reported.subscribe();
            let _ = reported.wait_for(|held| held.as_ref().is_some_and(|held| held.version >= version)).await;
        }
    }

    /// Ends all copies and waits for calls in flight.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            let _ = task.await;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Service {
    fn behaviour(&self) -> Behaviour {
        *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its behaviour as it shows now.
    fn acts(&self) -> Behaviour {
        match self.behaviour() {
            slow @ Behaviour::Slow(_) => slow,
            later if *self.changed.borrow() => later,
            _ => Behaviour::Normal,
        }
    }

    /// Serves from when it should to when it should no more.
    async fn live(self: Arc<Self>, listener: TcpListener, present: watch::Sender<Vec<SocketAddr>>) {
        let Ok(address) = listener.local_addr() else { return };
        let wait = async {
            let _ = self.using.subscribe().wait_for(Option::is_some).await;
            if self.behaviour() == Behaviour::AppearsLate {
                let _ = self.changed.subscribe().wait_for(|changed| *changed).await;
            }
        };
        tokio::select! {
            () = wait => {}
            () = self.gone.cancelled() => return,
        }
        present.send_modify(|addresses| addresses.push(address));
        let router = Router::new().route("/healthz", get(health)).route("/work", get(work)).with_state(self.clone());
        let gone = self.gone.clone();
        let leave = async {
            gone.cancelled().await;
            // Out of the list first: nobody should be sent to a copy that no longer answers.
            present.send_modify(|addresses| addresses.retain(|other| *other != address));
        };
        tokio::join!(serve(listener, router, gone.clone()), leave);
    }

    /// Reads the store again and again. What it holds stays if a read fails.
    async fn poll(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let due = self.using.borrow().is_none() || self.behaviour() != Behaviour::Stuck;
            if due && let Some(held) = self.read().await {
                self.take(Arc::new(held));
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn read(&self) -> Option<Held> {
        let url = format!("{}/v1/secret/data/{}", self.config.vault, self.config.path);
        let asked = self.client.get(url).header("X-Vault-Token", self.config.token.reveal()).send().await.ok()?;
        let body: Value = asked.error_for_status().ok()?.json().await.ok()?;
        let version = body.pointer("/data/metadata/version")?.as_u64()?;
        let key = body.pointer("/data/data")?.get(&self.config.field)?.as_str()?;
        Some(Held { version, key: Secret::new(key) })
    }

    fn take(&self, held: Arc<Held>) {
        let before = self.reported.borrow().as_ref().map(|held| held.version);
        if before == Some(held.version) {
            return;
        }
        if before.is_none() || self.behaviour() != Behaviour::Liar {
            self.using.send_replace(Some(held.clone()));
        }
        if before.is_some() {
            self.changed.send_replace(true);
            if self.behaviour() == Behaviour::Vanishes {
                self.gone.cancel();
            }
        }
        // Last: who waits for it must find all the rest done.
        self.reported.send_replace(Some(held));
    }
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let _ = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
}

fn directory_of(present: watch::Sender<Vec<SocketAddr>>) -> Router {
    let list = move || async move {
        let targets: Vec<String> = present.borrow().iter().map(SocketAddr::to_string).collect();
        Json(json!([{ "targets": targets, "labels": {} }]))
    };
    Router::new().route("/targets", get(list))
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let asked = service.asked.fetch_add(1, Ordering::Relaxed);
    let (status, word) = match service.acts() {
        Behaviour::Hangs => {
            service.gone.cancelled().await;
            (StatusCode::SERVICE_UNAVAILABLE, "stopping")
        }
        Behaviour::Html => return Html("<!doctype html><title>Welcome</title><h1>It works!</h1>").into_response(),
        Behaviour::Flaps if asked % 2 == 1 => (StatusCode::SERVICE_UNAVAILABLE, "ill"),
        Behaviour::Ill => (StatusCode::INTERNAL_SERVER_ERROR, "ill"),
        Behaviour::Slow(time) => {
            tokio::time::sleep(time).await;
            (StatusCode::OK, "ok")
        }
        _ => (StatusCode::OK, "ok"),
    };
    let held = service.reported.borrow().clone();
    let key = held.map(|held| json!({ "version": held.version, "fingerprint": &held.key.sha256()[..12] }));
    let body = json!({ "status": word, "instance": service.name, "secrets": { service.config.name.clone(): key } });
    (status, Json(body)).into_response()
}

/// One call to the provider with the key held at its beginning.
async fn work(State(service): State<Arc<Service>>) -> Response {
    let Some(held) = service.using.borrow().clone() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no key yet").into_response();
    };
    let body = json!({ "model": "sandbox", "messages": [{ "role": "user", "content": "ping" }] });
    let call = service.client.post(format!("{}/chat/completions", service.config.provider)).bearer_auth(held.key.reveal()).json(&body);
    let answer = match call.send().await {
        // Read whole, so that the connection can be used again.
        Ok(answer) => (answer.status().is_success(), answer.bytes().await.is_ok()),
        Err(_) => (false, false),
    };
    match answer {
        (true, true) => StatusCode::OK.into_response(),
        (false, true) => {
            (StatusCode::BAD_GATEWAY, format!("{}: the provider refused version {}", service.name, held.version)).into_response()
        }
        (_, false) => (StatusCode::BAD_GATEWAY, format!("{}: the provider did not answer", service.name)).into_response(),
    }
}
