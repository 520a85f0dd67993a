//! New API, a relay, as its source has it (github.com/QuantumNous/new-api, `controller/token.go`, `model/token.go`, `middleware/auth.go`): a create that
//! tells neither id nor value, values without their `sk-`, and refusals with status 200. It is rotated by `http`, with the shipped playbook.

use axum::http::StatusCode;
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor};

pub fn vendor() -> Vendor {
    Vendor {
        name: "http",
        block: |url, admin| super::shipped(include_str!("../../../playbooks/new-api.yaml"), url, admin),
        shape: answer,
        seed: |keys, name| {
            make(keys, name, json!({ "group": "default", "model_limits": "gpt-4o-mini", "unlimited_quota": true }));
        },
        create: ("POST", "/api/token/"),
        delete: ("DELETE", "/api/token/*"),
        list: ("GET", "/api/token/"),
        probe: ("GET", "/v1/models"),
        unclear: &[400, 403, 404, 429, 500, 503],
        model: "gpt-4o-mini",
        page: 100,
        seeds: 103,
    }
}

/// Ids are numbers.
fn make<'k>(keys: &'k mut Keys, name: &str, terms: Value) -> &'k mut Key {
    let id = keys.all.len() + 1;
    keys.make(id.to_string(), "sk-", name, terms)
}

fn told(data: Value) -> Answer {
    (StatusCode::OK, json!({ "success": true, "message": "", "data": data })).into()
}

fn done() -> Answer {
    (StatusCode::OK, json!({ "success": true, "message": "" })).into()
}

fn refused(message: &str) -> Answer {
    (StatusCode::OK, json!({ "success": false, "message": message })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    let bearer = bearer.reveal();
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["v1", "models"]) if keys.call(bearer) => {
            (StatusCode::OK, json!({ "success": true, "object": "list", "data": [{ "id": "gpt-4o-mini", "object": "model" }] })).into()
        }
        ("POST", ["v1", "chat", "completions"]) if keys.call(bearer) => super::completion(call),
        (_, ["v1", ..]) => {
            let error = json!({ "code": "", "message": "无效的令牌 (request id: 2026112507)", "type": "new_api_error" });
            (StatusCode::UNAUTHORIZED, json!({ "error": error })).into()
        }
        _ if bearer != ADMIN || call.header("new-api-user") != "1" => {
            (StatusCode::UNAUTHORIZED, json!({ "success": false, "message": "无权进行此操作，access token 无效" })).into()
        }
        (method, ["api", "token", rest @ ..]) => token(keys, call, method, rest),
        _ => (StatusCode::NOT_FOUND, json!({ "error": { "message": "Invalid URL", "type": "invalid_request_error" } })).into(),
    }
}

fn token(keys: &mut Keys, call: &Call, method: &str, rest: &[&str]) -> Answer {
    match (method, rest) {
        ("GET", [""]) => {
            let number = |name: &str, default: usize| call.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
            let (page, size) = (number("p", 1).max(1), number("page_size", 10).min(keys.page));
            let mut listed = keys.listed();
            listed.reverse();
            let items: Vec<Value> = listed.iter().skip((page - 1) * size).take(size).map(|key| masked(key)).collect();
            told(json!({ "page": page, "page_size": size, "total": listed.len(), "items": items }))
        }
        ("POST", [""]) => {
            let name = call.body["name"].as_str().unwrap_or_default();
            if name.len() > 50 {
                return refused("令牌名称过长");
            }
            let terms = ["group", "model_limits", "unlimited_quota"].map(|term| (term.to_owned(), call.body[term].clone()));
            make(keys, name, terms.into_iter().collect());
            done()
        }
        ("POST", [id, "key"]) => match keys.find(id) {
            Some(key) => told(json!({ "key": bare(key) })),
            None => refused("record not found"),
        },
        ("DELETE", [id]) => match keys.delete(id) {
            true => done(),
            false => refused("record not found"),
        },
        _ => refused("无效的参数"),
    }
}

/// As it is kept: without `sk-`.
fn bare(key: &Key) -> &str {
    key.value.strip_prefix("sk-").unwrap_or(&key.value)
}

fn masked(key: &Key) -> Value {
    let value = bare(key);
    json!({
        "id": key.id.parse::<u64>().unwrap_or_default(), "user_id": 1, "key": format!("{}**********{}", &value[..4], &value[value.len() - 4..]),
        "status": 1, "name": key.name, "created_time": key.made.timestamp(), "accessed_time": key.made.timestamp(), "expired_time": -1,
        "remain_quota": 0, "unlimited_quota": true, "model_limits_enabled": true, "model_limits": key.more["model_limits"],
        "allow_ips": "", "used_quota": 0, "group": key.more["group"], "cross_group_retry": false, "DeletedAt": null, "auto_groups": null,
    })
}
