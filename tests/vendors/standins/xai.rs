//! xAI, as its management reference has it (<https://docs.x.ai/developers/rest-api-reference/management/auth>), and `GET /v1/api-key` of its
//! inference reference. Refusals of keys are those that clients report.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

const TEAM: &str = "c9a0c990-53e6-491e-8df7-b9f18e6983ac";

pub fn vendor() -> Vendor {
    Vendor {
        name: "xai",
        block: |url, admin| {
            format!("team: {TEAM}\nmanagement_key: {admin}\nacls: [\"api-key:model:*\"]\nbase_url: \"{url}\"\nwork_url: \"{url}/v1\"")
        },
        shape: answer,
        seed: |keys, name| {
            let terms = json!({ "acls": ["api-key:endpoint:chat", "api-key:model:grok-4"], "qps": 5, "qpm": 100, "tpm": "100000" });
            make(keys, name, terms, Some(Utc::now() + TimeDelta::hours(720)));
        },
        create: ("POST", "/auth/teams/*/api-keys"),
        delete: ("DELETE", "/auth/api-keys/*"),
        list: ("GET", "/auth/teams/*/api-keys"),
        probe: ("GET", "/v1/api-key"),
        // 400 and 401 mean death only with xAI's own words.
        unclear: &[400, 401, 402, 403, 404, 429, 500, 503],
        model: "grok-4",
        page: 100,
        seeds: 103,
    }
}

fn make<'k>(keys: &'k mut Keys, name: &str, mut terms: Value, ends: Option<DateTime<Utc>>) -> &'k mut Key {
    terms["hours"] = super::hours(ends);
    let key = keys.make(format!("fe15b799-32e1-4d02-{}", random(12)), "xai-", name, terms);
    key.expires = ends;
    key
}

fn error(status: StatusCode, code: &str, error: &str) -> Answer {
    (status, json!({ "code": code, "error": error })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    let bearer = bearer.reveal();
    let segments = call.segments();
    if let ["v1", work @ ..] = segments.as_slice() {
        return worked(keys, call, work, bearer);
    }
    if bearer != ADMIN {
        return error(StatusCode::UNAUTHORIZED, "The request does not have valid authentication credentials", "Invalid management key");
    }
    match (call.method.as_str(), segments.as_slice()) {
        (_, ["auth", "teams", team, ..]) if *team != TEAM => error(StatusCode::FORBIDDEN, "The caller has no permission", "Not your team"),
        ("GET", ["auth", "teams", _, "api-keys"]) => listing(keys, call),
        ("POST", ["auth", "teams", _, "api-keys"]) => {
            let Some(name) = call.body["name"].as_str().filter(|name| !name.is_empty()) else {
                return error(StatusCode::BAD_REQUEST, "Client specified an invalid argument", "name must not be empty");
            };
            let field = |name: &str| call.body[name].clone();
            let terms = json!({ "acls": field("acls"), "qps": field("qps"), "qpm": field("qpm"), "tpm": field("tpm") });
            let ends = call.body["expireTime"].as_str().and_then(|text| text.parse().ok());
            let key = make(keys, name, terms, ends);
            let mut body = shown(key);
            body["apiKey"] = key.value.clone().into();
            (StatusCode::OK, body).into()
        }
        (method, ["auth", "api-keys", id]) => one(keys, call, method, id),
        ("GET", ["auth", "api-keys", id, "propagation"]) => match keys.find(id).map(|key| key.more["places"].clone()) {
            Some(Value::Null) => (StatusCode::OK, json!({ "icPropagation": { "us-east-1": true, "eu-west-1": true } })).into(),
            Some(told) => (StatusCode::OK, told).into(),
            None => error(StatusCode::NOT_FOUND, "Some requested entity was not found", "API key not found"),
        },
        _ => error(StatusCode::NOT_FOUND, "Some requested entity was not found", "Not found"),
    }
}

/// What is called with a key. `/v1/api-key` answers for a key that is switched off, too.
fn worked(keys: &mut Keys, call: &Call, work: &[&str], bearer: &str) -> Answer {
    let live = keys.call(bearer);
    let Some(key) = keys.all.iter().find(|key| key.value == bearer && (live || !key.enabled && key.dies.is_none())) else {
        let masked = format!("{}***{}", &bearer[..bearer.len().min(2)], &bearer[bearer.len().saturating_sub(2)..]);
        let said = format!("Incorrect API key provided: {masked}. You can obtain an API key from https://console.x.ai.");
        return error(StatusCode::BAD_REQUEST, "Client specified an invalid argument", &said);
    };
    match work {
        ["api-key"] => {
            let told = json!({
                "redacted_api_key": key.redacted(4, 4), "user_id": "6ad994df", "name": key.name, "create_time": key.made.to_rfc3339(),
                "modify_time": key.made.to_rfc3339(), "modified_by": "6ad994df", "team_id": TEAM, "acls": key.more["acls"],
                "api_key_id": key.id, "team_blocked": false, "api_key_blocked": false, "api_key_disabled": !key.enabled,
            });
            (StatusCode::OK, told).into()
        }
        ["chat", "completions"] if live => super::completion(call),
        _ => error(StatusCode::FORBIDDEN, "The caller does not have permission to execute the specified operation", "API key is disabled"),
    }
}

fn listing(keys: &Keys, call: &Call) -> Answer {
    let size = call.query.get("pageSize").and_then(|size| size.parse().ok()).unwrap_or(usize::MAX).min(keys.page);
    let from = call.query.get("paginationToken").and_then(|token| token.strip_prefix("after=")?.parse().ok()).unwrap_or(0);
    let listed = keys.listed();
    let mut body = json!({ "apiKeys": listed.iter().skip(from).take(size).map(|key| shown(key)).collect::<Vec<_>>() });
    if listed.len() > from + size {
        body["paginationToken"] = format!("after={}", from + size).into();
    }
    (StatusCode::OK, body).into()
}

fn one(keys: &mut Keys, call: &Call, method: &str, id: &str) -> Answer {
    let gone = || error(StatusCode::NOT_FOUND, "Some requested entity was not found", "API key not found");
    match method {
        "DELETE" if keys.delete(id) => (StatusCode::OK, json!({})).into(),
        "PUT" => {
            let Some(key) = keys.find(id) else { return gone() };
            // Only what the mask names is changed.
            for field in call.body["fieldMask"].as_str().unwrap_or_default().split(',') {
                match (field, &call.body["apiKey"][field]) {
                    ("disabled", Value::Bool(off)) => key.enabled = !off,
                    (field @ ("qps" | "qpm" | "tpm"), value) => key.more[field] = value.clone(),
                    _ => {}
                }
            }
            (StatusCode::OK, shown(key)).into()
        }
        _ => gone(),
    }
}

/// As in the reference's two examples: one has `disabled` and the rights in another form.
fn shown(key: &Key) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut shown = json!({
        "redactedApiKey": key.redacted(4, 4), "userId": "6ad994df-7963-45e0-96c8-96b1ba849d9b", "name": key.name, "createTime": time(key.made),
        "modifyTime": time(key.made), "teamId": TEAM, "apiKeyId": key.id,
    });
    let odd = key.name.ends_with('2');
    shown["disabled"] = if odd { (!key.enabled).to_string().into() } else { (!key.enabled).into() };
    shown[if odd { "acl_strings" } else { "aclStrings" }] = key.more["acls"].clone();
    for rate in ["qps", "qpm", "tpm"] {
        if !key.more[rate].is_null() {
            shown[rate] = key.more[rate].clone();
        }
    }
    if let Some(end) = key.expires {
        shown["expireTime"] = time(end).into();
    }
    shown
}
