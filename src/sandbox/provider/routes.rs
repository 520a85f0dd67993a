//! The two admin APIs and the calls that a key is for.

use axum::http::StatusCode;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{
    Key, PROJECT, World, admin,
    reply::{Answer, cursored, error, missing},
    usage,
};
use crate::sandbox::server::{self, Call, Standin};

/// The calls that a key is for.
const WORK: [&str; 2] = ["/v1/models", "/v1/chat/completions"];

impl Standin for World {
    fn answer(&mut self, call: &Call) -> server::Answer {
        match routed(self, call) {
            (StatusCode::OK, _) if call.path == WORK[1] && call.body["stream"] == true => server::Answer::Events(streamed()),
            answer => answer.into(),
        }
    }

    fn noted(&self, call: &Call) -> Option<Option<String>> {
        let admin = self.admins.iter().find(|key| key.sha256 == call.bearer().sha256());
        (!WORK.contains(&call.path.as_str())).then(|| admin.map(|key| key.id.to_string()))
    }
}

fn routed(world: &mut World, call: &Call) -> Answer {
    let bearer = call.bearer();
    let refused = || error(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.");
    match (call.method.as_str(), call.segments().as_slice()) {
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

/// The same in pieces.
fn streamed() -> Vec<String> {
    let piece = |delta: Value, end: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": end });
        let body =
            json!({ "id": "chatcmpl-sandbox", "object": "chat.completion.chunk", "created": 0, "model": "sandbox-1", "choices": [choice] });
        format!("data: {body}\n\n")
    };
    let begin = piece(json!({ "role": "assistant", "content": "" }), None);
    vec![begin, piece(json!({ "content": "ok" }), None), piece(json!({}), Some("stop")), "data: [DONE]\n\n".into()]
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
        ("GET", ["spend_limit"]) => match &world.limit {
            Some((cents, _)) => {
                let open = json!({ "status": "inactive" });
                (StatusCode::OK, spending("project.spend_limit", *cents, "enforcement", open))
            }
            None => missing(),
        },
        ("GET", ["spend_alerts"]) => {
            let alerts = world.limit.iter().flat_map(|(_, alerts)| alerts);
            let named: Vec<_> = alerts.map(|cents| (format!("alert_{cents}"), *cents)).collect();
            let shown = named.iter().map(|(id, cents)| {
                let mail = json!({ "type": "email", "recipients": ["person@example.com"], "subject_prefix": null });
                let mut alert = spending("project.spend_alert", *cents, "notification_channel", mail);
                alert["id"] = id.as_str().into();
                (id.as_str(), alert)
            });
            cursored(call, world.page, &shown.collect::<Vec<_>>())
        }
        _ => missing(),
    }
}

/// An amount of a month, with what comes of it.
fn spending(object: &str, cents: u64, what: &str, then: Value) -> Value {
    let mut body = json!({ "object": object, "threshold_amount": cents, "currency": "USD", "interval": "month" });
    body[what] = then;
    body
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

/// A plain JSON API such as in-house gateways have.
fn relay(world: &mut World, call: &Call, method: &str, path: &[&str]) -> Answer {
    match (method, path) {
        ("POST", []) => {
            let Some(name) = call.body.get("name").and_then(Value::as_str) else {
                return error(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "name is missing");
            };
            let token = Some(call.header("idempotency-key")).filter(|token| !token.is_empty());
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
