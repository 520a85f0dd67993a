//! The two admin APIs and the calls that a key is for.

use std::collections::HashMap;

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Asked, Key, PROJECT, Shared, World, admin,
    fault::{self, Cut, Fault},
    lock, usage,
};
use crate::secret::Secret;

#[derive(Clone)]
pub(super) struct App {
    pub world: Shared,
    pub end: CancellationToken,
}

/// A request, read whole.
pub(super) struct Call {
    method: Method,
    path: String,
    pub query: HashMap<String, String>,
    /// The query's lists: names that end in `[]`, with each of their values.
    pub lists: Vec<(String, String)>,
    headers: HeaderMap,
    pub body: Value,
}

pub(super) type Answer = (StatusCode, Value);

/// The longest request body.
const LONGEST: usize = 1 << 20;

pub(super) async fn answer(State(app): State<App>, ConnectInfo(cut): ConnectInfo<Cut>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let call = Call {
        path: parts.uri.path().to_owned(),
        lists: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .filter_map(|(name, value)| Some((name.strip_suffix("[]")?.to_owned(), value.into_owned())))
            .collect(),
        query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        method: parts.method,
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let fault = {
        let mut world = lock(&app.world);
        if !matches!(call.path.as_str(), "/v1/models" | "/v1/chat/completions") {
            let by = world.admins.iter().find(|key| key.sha256 == bearer(&call).sha256()).map(|key| key.id.clone());
            world.requests.push(Asked { method: call.method.to_string(), path: call.path.clone(), by, body: call.body.clone() });
        }
        fault::take(&mut world.rules, call.method.as_str(), &call.path)
    };
    let work = || routed(&mut lock(&app.world), &call);
    match fault {
        None => reply(work()),
        Some(Fault::Status { code, retry_after }) => {
            let mut response = reply(error(status(code), "injected", "the sandbox was told to answer so"));
            if let Some(value) = retry_after.and_then(|text| HeaderValue::try_from(text).ok()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        Some(Fault::StatusAfter(code)) => {
            work();
            reply(error(status(code), "injected", "the sandbox was told to answer so"))
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

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn dropped(cut: &Cut) -> Response {
    cut.now();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn reply((status, body): Answer) -> Response {
    (status, axum::Json(body)).into_response()
}

fn halved((status, body): Answer) -> Response {
    let text = body.to_string();
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))]);
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_LENGTH, text.len().to_string())];
    (status, headers, Body::from_stream(broken)).into_response()
}

pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    (status, json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": code } }))
}

pub(super) fn missing() -> Answer {
    error(StatusCode::NOT_FOUND, "not_found", "no such thing")
}

fn bearer(call: &Call) -> Secret {
    let bearer = call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    Secret::new(bearer.unwrap_or_default())
}

fn routed(world: &mut World, call: &Call) -> Answer {
    let bearer = bearer(call);
    let refused = || error(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.");
    let path: Vec<&str> = call.path.split('/').skip(1).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["v1", "models"]) if !world.call(&bearer) => refused(),
        ("GET", ["v1", "models"]) => {
            let model = json!({ "id": "sandbox-1", "object": "model", "created": 0, "owned_by": "sandbox" });
            (StatusCode::OK, json!({ "object": "list", "data": [model] }))
        }
        ("POST", ["v1", "chat", "completions"]) if !world.call(&bearer) => refused(),
        ("POST", ["v1", "chat", "completions"]) => {
            world.count_completion(&bearer);
            completion()
        }
        _ if !world.admits(&bearer) => refused(),
        (method, ["v1", "organization", "admin_api_keys", rest @ ..]) => admin::answer(world, call, method, rest),
        (method, ["v1", "organization", "projects", project, rest @ ..]) if *project == PROJECT => openai(world, call, method, rest),
        ("GET", ["v1", "organization", "usage", "completions"]) => usage::completions(world, call),
        ("GET", ["v1", "organization", "costs"]) => usage::costs(world, call),
        (method, ["relay", "keys", rest @ ..]) => relay(world, call, method, rest),
        _ => missing(),
    }
}

fn completion() -> Answer {
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "Hello." }, "finish_reason": "stop" });
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3 });
    let body = json!({ "id": "chatcmpl-sandbox", "object": "chat.completion", "created": 0, "model": "sandbox-1", "choices": [choice], "usage": usage });
    (StatusCode::OK, body)
}

/// The shapes of openai-openapi (ProjectServiceAccount…, ProjectApiKey…).
fn openai(world: &mut World, call: &Call, method: &str, path: &[&str]) -> Answer {
    match (method, path) {
        ("POST", ["service_accounts"]) => {
            let Some(name) = call.body.get("name").and_then(Value::as_str) else {
                return error(StatusCode::BAD_REQUEST, "missing_required_parameter", "name is missing");
            };
            let (id, secret) = world.make(name);
            let Some(key) = world.keys.iter().find(|key| key.id == id) else { return missing() };
            let mut body = account(key);
            body["api_key"] = json!({
                "object": "organization.project.service_account.api_key",
                "value": secret.reveal(),
                "name": "Secret Key",
                "created_at": key.created_at.timestamp(),
                "id": key.key_id,
            });
            (StatusCode::OK, body)
        }
        ("GET", ["service_accounts"]) => {
            let mut accounts: Vec<(&str, Value)> = Vec::new();
            for key in world.keys.iter().filter(|key| key.dies.is_none() && !key.of_user) {
                if !accounts.iter().any(|(id, _)| *id == key.id.as_str()) {
                    accounts.push((key.id.as_str(), account(key)));
                }
            }
            cursored(call, world.page, &accounts)
        }
        ("GET", ["api_keys"]) => {
            let keys: Vec<_> = world.keys.iter().filter(|key| key.dies.is_none()).map(|key| (key.key_id.as_str(), api_key(key))).collect();
            cursored(call, world.page, &keys)
        }
        ("DELETE", ["service_accounts", id]) => {
            if !world.delete(id) {
                return missing();
            }
            (StatusCode::OK, json!({ "object": "organization.project.service_account.deleted", "id": id, "deleted": true }))
        }
        _ => missing(),
    }
}

fn account(key: &Key) -> Value {
    json!({
        "object": "organization.project.service_account",
        "id": key.id.as_str(),
        "name": key.name,
        "role": "member",
        "created_at": key.created_at.timestamp(),
    })
}

fn api_key(key: &Key) -> Value {
    let person = json!({
        "id": key.id.as_str(),
        "name": key.name,
        "created_at": key.created_at.timestamp(),
        "role": "member",
    });
    let owner = if key.of_user {
        let mut user = person;
        user["email"] = json!("person@example.com");
        json!({ "type": "user", "user": user })
    } else {
        json!({ "type": "service_account", "service_account": person })
    };
    json!({
        "object": "organization.project.api_key",
        "redacted_value": key.redacted,
        "name": "Secret Key",
        "created_at": key.created_at.timestamp(),
        "last_used_at": key.last_used.map(|at| at.timestamp()),
        "id": key.key_id,
        "owner_project_access": "active",
        "owner": owner,
    })
}

/// A page after the item that `after` names.
pub(super) fn cursored(call: &Call, longest: usize, items: &[(&str, Value)]) -> Answer {
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).clamp(1, longest);
    let begin = match call.query.get("after") {
        None => 0,
        Some(after) => match items.iter().position(|(id, _)| id == after) {
            Some(place) => place + 1,
            None => return error(StatusCode::BAD_REQUEST, "invalid_after", "no such cursor"),
        },
    };
    let page: Vec<_> = items.iter().skip(begin).take(limit).collect();
    let body = json!({
        "object": "list",
        "data": page.iter().map(|(_, item)| item).collect::<Vec<_>>(),
        "first_id": page.first().map(|(id, _)| id),
        "last_id": page.last().map(|(id, _)| id),
        "has_more": begin + page.len() < items.len(),
    });
    (StatusCode::OK, body)
}

/// A plain JSON API such as in-house gateways have.
fn relay(world: &mut World, call: &Call, method: &str, path: &[&str]) -> Answer {
    match (method, path) {
        ("POST", []) => {
            let Some(name) = call.body.get("name").and_then(Value::as_str) else {
                return error(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "name is missing");
            };
            let token = call.headers.get("idempotency-key").and_then(|token| token.to_str().ok());
            if let Some((id, secret)) = token.and_then(|token| world.replays.get(token)) {
                return (StatusCode::OK, json!({ "id": id.as_str(), "key": secret.reveal(), "name": name }));
            }
            let (id, secret) = world.make(name);
            let body = json!({ "id": id.as_str(), "key": secret.reveal(), "name": name });
            if let Some(token) = token {
                world.replays.insert(token.to_owned(), (id, secret));
            }
            (StatusCode::CREATED, body)
        }
        ("GET", []) => {
            let page: usize = call.query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1).max(1);
            let keys = world.keys.iter().filter(|key| key.dies.is_none());
            let keys: Vec<_> = keys.skip(world.page.saturating_mul(page - 1)).take(world.page).map(relayed).collect();
            (StatusCode::OK, json!({ "keys": keys }))
        }
        ("DELETE", [id]) => match world.delete(id) {
            true => (StatusCode::OK, json!({ "deleted": true })),
            false => missing(),
        },
        ("PATCH", [id]) => {
            let Some(off) = call.body.get("disabled").and_then(Value::as_bool) else {
                return error(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "disabled is missing");
            };
            let Some(key) = world.keys.iter_mut().find(|key| key.id.as_str() == *id && key.dies.is_none()) else { return missing() };
            key.enabled = !off;
            (StatusCode::OK, relayed(key))
        }
        _ => missing(),
    }
}

fn relayed(key: &Key) -> Value {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "id": key.id.as_str(),
        "name": key.name,
        "created_at": time(key.created_at),
        "last_used": key.last_used.map(time),
        "disabled": !key.enabled,
        "redacted": key.redacted,
        "sha256": key.sha256,
    })
}
