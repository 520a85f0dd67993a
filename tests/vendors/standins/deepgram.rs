//! Deepgram's keys, as its references have them (<https://developers.deepgram.com/reference/manage/keys/list>,
//! <https://developers.deepgram.com/api-reference/keys/>); errors after <https://developers.deepgram.com/docs/errors>. What a value is told of itself is
//! what the tests of Deepgram's own SDK expect (github.com/deepgram/deepgram-js-sdk, tests/e2e/manage-get-token-details.test.ts).

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "deepgram",
        block: |url, admin| format!("project: {PROJECT}\nadmin_key: {admin}\nbase_url: \"{url}/v1\""),
        shape: answer,
        seed: |keys, name| {
            let terms = json!({ "scopes": ["usage:read", "usage:write"], "tags": ["batch", "production"] });
            make(keys, name, terms, Some(Utc::now() + TimeDelta::hours(720)));
        },
        create: ("POST", "/v1/projects/*/keys"),
        delete: ("DELETE", "/v1/projects/*/keys/*"),
        list: ("GET", "/v1/projects/*/keys"),
        probe: ("GET", "/v1/auth/token"),
        // 401 means death only with its code.
        unclear: &[400, 401, 402, 403, 404, 429, 500, 503],
        model: "none",
        page: 100,
        seeds: 5,
    }
}

const PROJECT: &str = "550e8400-e29b-41d4-a716-446655440000";

fn make<'k>(keys: &'k mut Keys, name: &str, mut terms: Value, ends: Option<DateTime<Utc>>) -> &'k mut Key {
    terms["hours"] = super::hours(ends);
    let key = keys.make(format!("{}-2d9e-4f7f-9257-{}", random(8), random(12)), "", name, terms);
    key.expires = ends;
    key
}

/// Most errors still have the old form.
fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    (status, json!({ "err_code": code, "err_msg": message, "request_id": "019f5990-aa76-7d53-a2ca-a90ec21c5919" })).into()
}

fn invalid(details: &str) -> Answer {
    let error = json!({ "category": "INVALID_JSON", "message": "Invalid JSON submitted.", "details": details, "request_id": "uuid" });
    (StatusCode::BAD_REQUEST, error).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let token = call.header("authorization").strip_prefix("Token ").unwrap_or_default();
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["v1", "auth", "token"]) if keys.call(token) => {
            let key = keys.all.iter().find(|key| key.value == token);
            let told = |key: &Key| json!({ "api_key_id": key.id, "scopes": key.more["scopes"], "created": time(key.made) });
            (StatusCode::OK, key.map(told).unwrap_or_default()).into()
        }
        _ if token != ADMIN && keys.call(token) => {
            error(StatusCode::UNAUTHORIZED, "INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions.")
        }
        _ if token != ADMIN => error(StatusCode::UNAUTHORIZED, "INVALID_AUTH", "Invalid credentials."),
        (method, ["v1", "projects", PROJECT, "keys"]) => match method {
            "GET" => (StatusCode::OK, json!({ "api_keys": keys.listed().into_iter().map(item).collect::<Vec<_>>() })).into(),
            "POST" => create(keys, &call.body),
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "Method not allowed."),
        },
        ("DELETE", ["v1", "projects", PROJECT, "keys", id]) => match keys.delete(id) {
            true => (StatusCode::OK, json!({ "message": "Successfully deleted the API key." })).into(),
            false => error(StatusCode::NOT_FOUND, "NOT_FOUND", "API key not found."),
        },
        _ => error(StatusCode::NOT_FOUND, "PROJECT_NOT_FOUND", "Project not found."),
    }
}

fn create(keys: &mut Keys, body: &Value) -> Answer {
    let (Some(comment), Some(scopes)) = (body["comment"].as_str(), body["scopes"].as_array()) else {
        return invalid("Json deserialize error: missing field `comment` or `scopes`");
    };
    if body.get("expiration_date").is_some() && body.get("time_to_live_in_seconds").is_some() {
        return invalid("expiration_date and time_to_live_in_seconds exclude one another");
    }
    let after = body["time_to_live_in_seconds"].as_i64().map(|seconds| Utc::now() + TimeDelta::seconds(seconds));
    let ends = body["expiration_date"].as_str().and_then(|text| text.parse().ok()).or(after);
    let key = make(keys, comment, json!({ "scopes": scopes, "tags": body.get("tags").unwrap_or(&json!([])) }), ends);
    let mut made = shown(key);
    made["key"] = key.value.clone().into();
    (StatusCode::OK, made).into()
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A member's name is left out where there is none.
fn item(key: &Key) -> Value {
    json!({ "member": { "member_id": "8c40cb57-9a4e-4048-bc15-687d1b05a4c2", "email": "voice@acme.example" }, "api_key": shown(key) })
}

/// No tags and no end are left out.
fn shown(key: &Key) -> Value {
    let mut shown = json!({ "api_key_id": key.id, "comment": key.name, "scopes": key.more["scopes"], "created": time(key.made) });
    if key.more["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
        shown["tags"] = key.more["tags"].clone();
    }
    if let Some(end) = key.expires {
        shown["expiration_date"] = time(end).into();
    }
    shown
}
