//! Datadog, as its API reference has it (<https://docs.datadoghq.com/api/latest/key-management/>): API keys, and a service account's
//! application keys.

use axum::http::StatusCode;
use chrono::SecondsFormat;
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "datadog",
        block: |url, admin| format!("api_key: {admin}\napplication_key: {admin}\nbase_url: \"{url}\""),
        shape: answer,
        seed: |keys, name| {
            make(keys, name, json!({ "category": "standard", "remote_config_read_enabled": true }));
        },
        create: ("POST", "/api/v2/api_keys"),
        delete: ("DELETE", "/api/v2/api_keys/*"),
        list: ("GET", "/api/v2/api_keys"),
        probe: ("GET", "/api/v1/validate"),
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "none",
        page: 100,
        seeds: 103,
    }
}

pub fn application() -> Vendor {
    Vendor {
        block: |url, admin| {
            format!(
                "api_key: {admin}\napplication_key: {admin}\nkeys: application\nservice_account: sa-1\nscopes: [dashboards_read]\nbase_url: \"{url}\""
            )
        },
        seed: |keys, name| {
            make(keys, name, json!({ "scopes": ["dashboards_read", "monitors_read"] }));
        },
        create: ("POST", "/api/v2/service_accounts/sa-1/application_keys"),
        delete: ("DELETE", "/api/v2/service_accounts/sa-1/application_keys/*"),
        list: ("GET", "/api/v2/service_accounts/sa-1/application_keys"),
        probe: ("GET", "/api/v2/validate_keys"),
        ..vendor()
    }
}

fn make<'k>(keys: &'k mut Keys, name: &str, more: Value) -> &'k mut Key {
    keys.make(format!("{}-{}", random(8), random(12)), "", name, more)
}

fn error(status: StatusCode, message: &str) -> Answer {
    (status, json!({ "errors": [message] })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let (api, application) = (call.header("dd-api-key"), call.header("dd-application-key"));
    let admin = api == ADMIN && application == ADMIN;
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["api", "v1", "validate"]) => match api == ADMIN || keys.call(api) {
            true => (StatusCode::OK, json!({ "valid": true })).into(),
            false => error(StatusCode::FORBIDDEN, "Forbidden"),
        },
        ("GET", ["api", "v2", "validate"]) => match keys.all.iter().find(|key| key.value == api && key.live()) {
            Some(key) => {
                let told = json!({ "api_key_id": key.id, "api_key_scopes": [], "valid": true });
                (StatusCode::OK, json!({ "data": { "attributes": told, "id": "org-1", "type": "validate_v2" } })).into()
            }
            None => error(StatusCode::FORBIDDEN, "Forbidden"),
        },
        ("GET", ["api", "v2", "validate_keys"]) => match api == ADMIN && (application == ADMIN || keys.call(application)) {
            true => (StatusCode::OK, json!({ "status": "ok" })).into(),
            false => error(StatusCode::UNAUTHORIZED, "Unauthorized"),
        },
        _ if !admin => error(StatusCode::FORBIDDEN, "Forbidden"),
        (method, ["api", "v2", "api_keys", rest @ ..]) => kept(keys, call, method, "api_keys", rest),
        (method, ["api", "v2", "service_accounts", "sa-1", "application_keys", rest @ ..]) => {
            kept(keys, call, method, "application_keys", rest)
        }
        _ => error(StatusCode::NOT_FOUND, "Not found"),
    }
}

fn kept(keys: &mut Keys, call: &Call, method: &str, kind: &str, rest: &[&str]) -> Answer {
    match (method, rest) {
        ("GET", []) => {
            let number = |name: &str, default| call.query.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default);
            let (size, page) = (number("page[size]", 10).min(keys.page), number("page[number]", 0));
            let all = keys.listed();
            let data: Vec<Value> = all.iter().skip(page * size).take(size).map(|key| shown(key, kind)).collect();
            (StatusCode::OK, json!({ "data": data, "meta": { "page": { "total_filtered_count": all.len() } } })).into()
        }
        ("POST", []) => {
            let attributes = &call.body["data"]["attributes"];
            let (Some(name), true) = (attributes["name"].as_str(), call.body["data"]["type"] == kind) else {
                return error(StatusCode::BAD_REQUEST, "Bad Request");
            };
            let more = match kind {
                "api_keys" => json!({
                    "category": attributes["category"], "remote_config_read_enabled": attributes["remote_config_read_enabled"],
                }),
                _ => json!({ "scopes": attributes["scopes"] }),
            };
            let key = make(keys, name, more);
            let mut data = shown(key, kind);
            data["attributes"]["key"] = key.value.as_str().into();
            (StatusCode::CREATED, json!({ "data": data })).into()
        }
        ("GET", [id]) => match keys.find(id) {
            Some(key) => (StatusCode::OK, json!({ "data": shown(key, kind) })).into(),
            None => error(StatusCode::NOT_FOUND, "API key not found"),
        },
        ("DELETE", [id]) if keys.delete(id) => (StatusCode::NO_CONTENT, Value::Null).into(),
        _ => error(StatusCode::NOT_FOUND, "API key not found"),
    }
}

fn shown(key: &Key, kind: &str) -> Value {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let used = if kind == "api_keys" { "date_last_used" } else { "last_used_at" };
    let mut attributes = key.more.clone();
    attributes["name"] = key.name.as_str().into();
    attributes["last4"] = key.value[key.value.len() - 4..].into();
    attributes["created_at"] = time(key.made).into();
    attributes[used] = json!(key.used.map(time));
    json!({ "id": key.id, "type": kind, "attributes": attributes })
}
