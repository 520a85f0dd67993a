//! Fireworks AI, as its API reference has it (<https://docs.fireworks.ai/api-reference/list-api-keys>). What a value that is no key is told is what clients
//! report.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "fireworks",
        block: |url, admin| {
            format!("account: acme\nuser: inference\nadmin_key: {admin}\nbase_url: \"{url}/v1\"\nwork_url: \"{url}/inference/v1\"")
        },
        shape: answer,
        seed: |keys, name| {
            make(keys, name, Some(Utc::now() + TimeDelta::hours(720)));
        },
        create: ("POST", "/v1/accounts/acme/users/inference/apiKeys"),
        delete: ("POST", "/v1/accounts/acme/users/inference/apiKeys:delete"),
        list: ("GET", "/v1/accounts/acme/users/inference/apiKeys"),
        probe: ("GET", "/inference/v1/models"),
        // 401 means death only with its code.
        unclear: &[400, 401, 402, 403, 404, 412, 429, 500, 503],
        model: "accounts/fireworks/models/llama-v3p1-8b-instruct",
        page: 100,
        seeds: 103,
    }
}

fn make<'k>(keys: &'k mut Keys, name: &str, ends: Option<DateTime<Utc>>) -> &'k mut Key {
    let key = keys.make(random(10), "fw_", name, json!({ "hours": super::hours(ends) }));
    key.expires = ends;
    key
}

/// The inference's errors; the administration's are gRPC's.
fn unauthorized() -> Answer {
    let error = json!({ "message": "The API key you provided is invalid.", "code": "UNAUTHORIZED", "type": "error" });
    (StatusCode::UNAUTHORIZED, json!({ "error": error })).into()
}

fn error(status: StatusCode, code: u32, message: &str) -> Answer {
    (status, json!({ "code": code, "message": message, "details": [] })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    let bearer = bearer.reveal();
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["inference", "v1", "models"]) if keys.call(bearer) => {
            (StatusCode::OK, json!({ "object": "list", "data": [{ "id": "accounts/fireworks/models/llama-v3p1-8b-instruct" }] })).into()
        }
        ("POST", ["inference", "v1", "chat", "completions"]) if keys.call(bearer) => super::completion(call),
        (_, ["inference", ..]) => unauthorized(),
        _ if bearer != ADMIN => error(StatusCode::UNAUTHORIZED, 16, "invalid api key"),
        (method, ["v1", "accounts", "acme", "users", "inference", what]) => match (method, *what) {
            ("GET", "apiKeys") => listing(keys, call),
            ("POST", "apiKeys") => {
                let asked = &call.body["apiKey"];
                let ends = asked["expireTime"].as_str().and_then(|text| text.parse().ok());
                let key = make(keys, asked["displayName"].as_str().unwrap_or("default"), ends);
                let mut body = shown(key);
                body["key"] = key.value.clone().into();
                (StatusCode::OK, body).into()
            }
            ("POST", "apiKeys:delete") => match keys.delete(call.body["keyId"].as_str().unwrap_or_default()) {
                true => (StatusCode::OK, json!({})).into(),
                false => error(StatusCode::NOT_FOUND, 5, "api key not found"),
            },
            _ => error(StatusCode::NOT_FOUND, 5, "Not Found"),
        },
        _ => error(StatusCode::NOT_FOUND, 5, "Not Found"),
    }
}

fn listing(keys: &Keys, call: &Call) -> Answer {
    let size = call.query.get("pageSize").and_then(|size| size.parse().ok()).unwrap_or(50).min(keys.page);
    let from = call.query.get("pageToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let listed = keys.listed();
    let next = if listed.len() > from + size { (from + size).to_string() } else { String::new() };
    let page: Vec<Value> = listed.iter().skip(from).take(size).map(|key| shown(key)).collect();
    (StatusCode::OK, json!({ "apiKeys": page, "nextPageToken": next, "totalSize": listed.len() })).into()
}

/// The value itself is told at its making alone.
fn shown(key: &Key) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({
        "keyId": key.id, "displayName": key.name, "key": "", "createTime": time(key.made), "secure": true, "email": "inference@acme.example",
        "prefix": &key.value[..12], "expireTime": key.expires.map(time), "lastUsed": key.used.map(time),
    })
}
