//! A stand-in for somebody's HTTP API: it listens on 127.0.0.1, answers JSON from a world in memory, goes wrong on demand, remembers what it
//! was asked, and ends when it is dropped. What the world is and how it answers is the stand-in's own.

mod fault;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::fault::{Cut, Door, Rule};
pub use self::fault::{Fault, fits};
use crate::secret::Secret;

/// A request, read whole.
pub struct Call {
    /// `GET`.
    pub method: String,
    /// From the root. AWS's query protocol has one path for all; there it is the action: `/CreateUser`.
    pub path: String,
    /// The query; of a name that stands twice, the last.
    pub query: HashMap<String, String>,
    /// The query's lists: names that end in `[]`, with each of their values.
    pub lists: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The JSON body, or a form's fields; null where there is none.
    pub body: Value,
}

impl Call {
    /// A header's text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The bearer token; empty where there is none.
    pub fn bearer(&self) -> Secret {
        Secret::new(self.header("authorization").strip_prefix("Bearer ").unwrap_or_default())
    }

    /// The path's segments.
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }
}

/// What is answered.
pub enum Answer {
    /// JSON.
    Json(StatusCode, Value),
    /// XML.
    Xml(StatusCode, String),
    /// Server-sent events, each as one piece.
    Events(Vec<String>),
    /// Bytes of this content type.
    Bytes(&'static str, Vec<u8>),
}

impl From<(StatusCode, Value)> for Answer {
    fn from((status, body): (StatusCode, Value)) -> Self {
        Self::Json(status, body)
    }
}

/// What a stand-in knows, and how it answers.
pub trait Standin: Send + 'static {
    /// One request.
    fn answer(&mut self, call: &Call) -> Answer;
    /// Whether it is remembered, and by whom it was made: the workload's calls are many, and nobody asks for them.
    fn noted(&self, _call: &Call) -> Option<Option<String>> {
        Some(None)
    }
    /// The body of an answer that was injected.
    fn injected(&self) -> Value {
        json!({ "error": { "message": "the sandbox was told to answer so", "type": "invalid_request_error", "param": null, "code": "injected" } })
    }
}

/// A request as it is remembered.
struct Asked {
    method: String,
    path: String,
    by: Option<String>,
    body: Value,
}

struct Behind<W> {
    world: W,
    rules: Vec<Rule>,
    asked: Vec<Asked>,
}

/// A running stand-in.
pub struct Server<W> {
    at: SocketAddr,
    behind: Arc<Mutex<Behind<W>>>,
    _end: DropGuard,
}

struct App<W> {
    behind: Arc<Mutex<Behind<W>>>,
    end: CancellationToken,
}

impl<W> Clone for App<W> {
    fn clone(&self) -> Self {
        Self { behind: self.behind.clone(), end: self.end.clone() }
    }
}

/// The world, for as long as this is held.
pub struct Held<'a, W>(MutexGuard<'a, Behind<W>>);

impl<W> std::ops::Deref for Held<'_, W> {
    type Target = W;
    fn deref(&self) -> &W {
        &self.0.world
    }
}

impl<W> std::ops::DerefMut for Held<'_, W> {
    fn deref_mut(&mut self) -> &mut W {
        &mut self.0.world
    }
}

fn lock<W>(behind: &Mutex<Behind<W>>) -> MutexGuard<'_, Behind<W>> {
    behind.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Standin> Server<W> {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(world: W) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let behind = Arc::new(Mutex::new(Behind { world, rules: Vec::new(), asked: Vec::new() }));
        let end = CancellationToken::new();
        let app = Router::new().fallback(answer::<W>).with_state(App { behind: behind.clone(), end: end.clone() });
        let (service, stop) = (app.into_make_service_with_connect_info::<Cut>(), end.clone());
        tokio::spawn(async move {
            let serving = axum::serve(Door(listener), service).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::warn!(%error, "a stand-in ended");
            }
        });
        Ok(Self { at, behind, _end: end.drop_guard() })
    }

    /// `http://127.0.0.1:4711`.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What it knows.
    pub fn world(&self) -> Held<'_, W> {
        Held(lock(&self.behind))
    }

    /// Makes the `nth` (from 1) request from now on of this method and path go wrong, once. A `*` in the path stands for one segment:
    /// `/v1/organization/projects/*/service_accounts`.
    pub fn inject(&self, method: &str, path: &str, nth: usize, fault: Fault) {
        lock(&self.behind).rules.push(Rule::new(method, path, nth, fault));
    }

    /// Every remembered request so far, as method and path, whatever came of it.
    pub fn requests(&self) -> Vec<(String, String)> {
        lock(&self.behind).asked.iter().map(|asked| (asked.method.clone(), asked.path.clone())).collect()
    }

    /// By whom the requests of this method and path were made, in their order; `*` as in [`Server::inject`].
    pub fn callers(&self, method: &str, path: &str) -> Vec<Option<String>> {
        self.fitting(method, path, |asked| asked.by.clone())
    }

    /// The JSON bodies of the requests of this method and path, in their order; `*` as in [`Server::inject`].
    pub fn bodies(&self, method: &str, path: &str) -> Vec<Value> {
        self.fitting(method, path, |asked| asked.body.clone())
    }

    /// How many requests were of this method and path; `*` as in [`Server::inject`].
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.fitting(method, path, |_| ()).len()
    }

    fn fitting<T>(&self, method: &str, path: &str, what: impl Fn(&Asked) -> T) -> Vec<T> {
        let behind = lock(&self.behind);
        behind.asked.iter().filter(|asked| asked.method == method && fits(path, &asked.path)).map(what).collect()
    }
}

/// The longest request body.
const LONGEST: usize = 1 << 20;

async fn answer<W: Standin>(State(app): State<App<W>>, ConnectInfo(cut): ConnectInfo<Cut>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let body = read(&parts.headers, &body);
    let action = body["Action"].as_str().filter(|_| parts.uri.path() == "/");
    let call = Call {
        method: parts.method.to_string(),
        path: action.map_or_else(|| parts.uri.path().to_owned(), |action| format!("/{action}")),
        lists: url::form_urlencoded::parse(query)
            .filter_map(|(name, value)| Some((name.strip_suffix("[]")?.to_owned(), value.into_owned())))
            .collect(),
        query: url::form_urlencoded::parse(query).into_owned().collect(),
        body,
        headers: parts.headers,
    };
    let (fault, injected) = {
        let mut behind = lock(&app.behind);
        if let Some(by) = behind.world.noted(&call) {
            let (method, path, body) = (call.method.clone(), call.path.clone(), call.body.clone());
            behind.asked.push(Asked { method, path, by, body });
        }
        (fault::take(&mut behind.rules, &call.method, &call.path), behind.world.injected())
    };
    let work = || lock(&app.behind).world.answer(&call);
    let injected = |code: u16| reply(Answer::Json(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), injected));
    match fault {
        None => reply(work()),
        Some(Fault::Status { code, retry_after }) => {
            let mut response = injected(code);
            if let Some(value) = retry_after.and_then(|text| HeaderValue::try_from(text).ok()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        Some(Fault::StatusAfter(code)) => {
            work();
            injected(code)
        }
        Some(Fault::DropBefore) => dropped(&cut),
        Some(Fault::DropAfter) => {
            work();
            dropped(&cut)
        }
        Some(Fault::Hang) => {
            work();
            app.end.cancelled().await;
            dropped(&cut)
        }
        Some(Fault::Html) => axum::response::Html("<!doctype html><title>Welcome</title>").into_response(),
        Some(Fault::CutBody) => halved(work()),
        Some(Fault::Redirect(to)) => match HeaderValue::try_from(to) {
            Ok(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
            Err(_) => StatusCode::TEMPORARY_REDIRECT.into_response(),
        },
    }
}

/// JSON, or a form as an object of texts.
fn read(headers: &HeaderMap, body: &[u8]) -> Value {
    let form = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    match form {
        true => url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect(),
        false => serde_json::from_slice(body).unwrap_or(Value::Null),
    }
}

fn dropped(cut: &Cut) -> Response {
    cut.now();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn reply(answer: Answer) -> Response {
    match answer {
        Answer::Json(status, Value::Null) => status.into_response(),
        Answer::Json(status, body) => (status, axum::Json(body)).into_response(),
        Answer::Xml(status, text) => (status, [(header::CONTENT_TYPE, "text/xml")], text).into_response(),
        Answer::Events(pieces) => {
            let pieces = futures_util::stream::iter(pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(pieces)).into_response()
        }
        Answer::Bytes(kind, bytes) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
    }
}

/// The answer, broken off in its middle.
fn halved(answer: Answer) -> Response {
    let (status, kind, text) = match answer {
        Answer::Json(status, body) => (status, "application/json", body.to_string().into_bytes()),
        Answer::Xml(status, text) => (status, "text/xml", text.into_bytes()),
        Answer::Events(pieces) => (StatusCode::OK, "text/event-stream", pieces.concat().into_bytes()),
        Answer::Bytes(kind, bytes) => (StatusCode::OK, kind, bytes),
    };
    let half = Bytes::copy_from_slice(&text[..text.len() / 2]);
    let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))]);
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, text.len().to_string())];
    (status, headers, Body::from_stream(broken)).into_response()
}
