//! OpenRouter, as its API reference has it (<https://openrouter.ai/docs/api/api-reference/api-keys>, openapi.yaml).

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "openrouter",
        block: |url, admin| format!("management_key: {admin}\nbase_url: \"{url}/api/v1\""),
        shape: answer,
        seed: |keys, name| {
            let terms = json!({ "limit": 50.0, "limit_reset": "monthly", "include_byok_in_limit": true, "workspace_id": "0df9e665" });
            make(keys, name, terms, None);
        },
        create: ("POST", "/api/v1/keys"),
        delete: ("DELETE", "/api/v1/keys/*"),
        list: ("GET", "/api/v1/keys"),
        probe: ("GET", "/api/v1/key"),
        // 401 means death only with its code.
        unclear: &[400, 401, 402, 403, 404, 429, 500, 503],
        model: "openai/gpt-4o-mini",
        page: 100,
        seeds: 103,
    }
}

fn make<'k>(keys: &'k mut Keys, name: &str, terms: Value, expires: Option<DateTime<Utc>>) -> &'k mut Key {
    let id = random(8);
    let key = keys.make(id, "sk-or-v1-", name, terms);
    key.id = Sha256::digest(key.value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    key.expires = expires;
    key
}

fn error(status: StatusCode, message: &str) -> Answer {
    (status, json!({ "error": { "message": message, "code": status.as_u16() } })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    let bearer = bearer.reveal();
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["api", "v1", "key"]) if keys.call(bearer) => {
            let key =
                keys.all.iter().find(|key| key.value == bearer).map(|key| json!({ "label": key.redacted(12, 3), "usage": key.spent }));
            (StatusCode::OK, json!({ "data": key })).into()
        }
        ("POST", ["api", "v1", "chat", "completions"]) if keys.call(bearer) => super::completion(call),
        (_, ["api", "v1", "key"] | ["api", "v1", "chat", "completions"]) => error(StatusCode::UNAUTHORIZED, "User not found."),
        _ if bearer != ADMIN => error(StatusCode::UNAUTHORIZED, "Invalid API key"),
        // The days of a key that is gone are told, too.
        ("GET", ["api", "v1", "activity"]) => {
            let of = |key: &&Key| call.query.get("api_key_hash").is_none_or(|hash| *hash == key.id);
            let rows = keys.all.iter().filter(of).filter_map(|key| key.more["activity"].as_array()).flatten();
            (StatusCode::OK, json!({ "data": rows.collect::<Vec<_>>() })).into()
        }
        ("GET", ["api", "v1", "keys"]) => {
            let offset = call.query.get("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
            let off = call.query.get("include_disabled").is_some_and(|flag| flag == "true");
            let within = call.query.get("workspace_id");
            let listed = keys.listed().into_iter().filter(|key| off || key.enabled);
            let listed = listed.filter(|key| within.is_none_or(|id| key.more["workspace_id"] == id.as_str()));
            (StatusCode::OK, json!({ "data": listed.skip(offset).take(keys.page).map(shown).collect::<Vec<_>>() })).into()
        }
        ("POST", ["api", "v1", "keys"]) => {
            let Some(name) = call.body["name"].as_str() else { return error(StatusCode::BAD_REQUEST, "name is required") };
            let field = |name: &str| call.body[name].clone();
            let terms = json!({
                "limit": field("limit"), "limit_reset": field("limit_reset"),
                "include_byok_in_limit": field("include_byok_in_limit"), "workspace_id": field("workspace_id"),
            });
            let expires = call.body["expires_at"].as_str().and_then(|text| text.parse().ok());
            let key = make(keys, name, terms, expires);
            (StatusCode::CREATED, json!({ "data": shown(key), "key": key.value })).into()
        }
        (method, ["api", "v1", "keys", id]) => one(keys, call, method, id),
        _ => error(StatusCode::NOT_FOUND, "Not found"),
    }
}

fn one(keys: &mut Keys, call: &Call, method: &str, id: &str) -> Answer {
    if method == "DELETE" {
        return match keys.delete(id) {
            true => (StatusCode::OK, json!({ "deleted": true })).into(),
            false => error(StatusCode::NOT_FOUND, "API key not found"),
        };
    }
    let Some(key) = keys.find(id) else { return error(StatusCode::NOT_FOUND, "API key not found") };
    if method == "PATCH" {
        if let Some(disabled) = call.body["disabled"].as_bool() {
            key.enabled = !disabled;
        }
        if let Some(limit) = call.body.get("limit") {
            key.more["limit"] = limit.clone();
        }
    }
    (StatusCode::OK, json!({ "data": shown(key) })).into()
}

fn shown(key: &Key) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "hash": key.id, "name": key.name, "label": key.redacted(12, 3), "disabled": !key.enabled,
        "limit": key.more["limit"], "limit_remaining": null, "limit_reset": key.more["limit_reset"],
        "include_byok_in_limit": key.more["include_byok_in_limit"], "workspace_id": key.more["workspace_id"],
        "usage": key.spent, "usage_daily": key.spent, "usage_weekly": key.spent, "usage_monthly": key.spent,
        "byok_usage": 0, "created_at": time(key.made), "updated_at": null, "expires_at": key.expires.map(time),
    })
}
