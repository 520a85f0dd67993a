//! OpenAI's projects and their API keys, in the shapes of openai-openapi (ProjectApiKey…, Usage…, Costs…). Beside people's keys the project has one of a
//! service account, which cannot be deleted by itself.

use axum::http::StatusCode;
use chrono::Utc;
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

/// The service account's key.
pub const ACCOUNTS_KEY: &str = "key_of_account";
pub const ACCOUNTS_VALUE: &str = "sk-svcacct-4f7d0c1be29a58603b";

pub fn vendor() -> Vendor {
    Vendor {
        name: "openai_user",
        block: |url, admin| format!("project: proj_1\nadmin_key: {admin}\nbase_url: \"{url}/v1\""),
        shape: answer,
        seed: |keys, name| {
            keys.make(format!("key_{}", random(16)), "sk-proj-", name, Value::Null);
        },
        create: ("POST", "/nowhere"),
        delete: ("DELETE", "/v1/organization/projects/proj_1/api_keys/*"),
        list: ("GET", "/v1/organization/projects/proj_1/api_keys"),
        probe: ("GET", "/v1/models"),
        // 401 means death only with its code.
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "gpt-5-mini",
        page: 2,
        seeds: 3,
    }
}

fn error(status: StatusCode, code: &str) -> Answer {
    (status, json!({ "error": { "message": "as told", "type": "invalid_request_error", "param": null, "code": code } })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let key = call.bearer();
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["v1", "models"]) if keys.call(key.reveal()) => {
            let model = json!({ "id": "gpt-5-mini", "object": "model", "created": 0, "owned_by": "openai" });
            (StatusCode::OK, json!({ "object": "list", "data": [model] })).into()
        }
        ("POST", ["v1", "chat", "completions"]) if keys.call(key.reveal()) => super::completion(call),
        (_, ["v1", "models"] | ["v1", "chat", "completions"]) => error(StatusCode::UNAUTHORIZED, "invalid_api_key"),
        _ if key.reveal() != ADMIN => error(StatusCode::UNAUTHORIZED, "invalid_api_key"),
        ("GET", ["v1", "organization", "projects", "proj_1", "api_keys"]) => listing(keys, call),
        ("DELETE", ["v1", "organization", "projects", "proj_1", "api_keys", ACCOUNTS_KEY]) => {
            error(StatusCode::BAD_REQUEST, "service_account_key")
        }
        ("DELETE", ["v1", "organization", "projects", "proj_1", "api_keys", id]) if keys.delete(id) => {
            (StatusCode::OK, json!({ "object": "organization.project.api_key.deleted", "id": id, "deleted": true })).into()
        }
        ("GET", ["v1", "organization", "projects", "proj_1", "api_keys", id]) => match keys.find(id) {
            Some(key) => (StatusCode::OK, shown(key)).into(),
            None => error(StatusCode::NOT_FOUND, "not_found"),
        },
        ("GET", ["v1", "organization", "usage", "completions"]) => report(keys, call, 60, |id| {
            json!({
                "object": "organization.usage.completions.result", "input_tokens": 12, "output_tokens": 5, "num_model_requests": 1,
                "api_key_id": id,
            })
        }),
        ("GET", ["v1", "organization", "costs"]) => report(keys, call, 86_400, |id| {
            json!({
                "object": "organization.costs.result", "amount": { "value": 0.01, "currency": "usd" }, "line_item": null, "project_id": null,
                "api_key_id": id,
            })
        }),
        _ => error(StatusCode::NOT_FOUND, "not_found"),
    }
}

fn listing(keys: &Keys, call: &Call) -> Answer {
    // Unless it is asked for any, OpenAI shows the keys of those alone who still may use the project.
    let any = call.query.get("owner_project_access").is_some_and(|access| access == "any");
    let mut all: Vec<Value> = keys.listed().into_iter().filter(|key| any || key.enabled).map(shown).collect();
    all.insert(1, of_account());
    let after = call.query.get("after").and_then(|after| all.iter().position(|key| key["id"] == after.as_str()));
    let rest = &all[after.map_or(0, |place| place + 1)..];
    let page = &rest[..rest.len().min(keys.page)];
    let id = |key: Option<&Value>| key.map_or(Value::Null, |key| key["id"].clone());
    let body = json!({
        "object": "list", "data": page, "first_id": id(page.first()), "last_id": id(page.last()), "has_more": rest.len() > page.len(),
    });
    (StatusCode::OK, body).into()
}

fn shown(key: &Key) -> Value {
    let owner = json!({ "id": "user-1", "email": "person@example.com", "name": "A Person", "created_at": 1, "role": "member" });
    json!({
        "object": "organization.project.api_key", "id": key.id, "name": key.name, "redacted_value": key.redacted(12, 4),
        "created_at": key.made.timestamp(), "last_used_at": key.used.map(|at| at.timestamp()),
        "owner_project_access": if key.enabled { "active" } else { "inactive" }, "owner": { "type": "user", "user": owner },
    })
}

fn of_account() -> Value {
    let owner = json!({ "id": "svc_acct_1", "name": "a service", "created_at": 1, "role": "member" });
    json!({
        "object": "organization.project.api_key", "id": ACCOUNTS_KEY, "name": "Secret Key", "redacted_value": "sk-svcacct-4...603b",
        "created_at": 1, "last_used_at": null, "owner_project_access": "active",
        "owner": { "type": "service_account", "service_account": owner },
    })
}

/// What each key that is asked for was used for, in the bucket of its last use.
fn report(keys: &Keys, call: &Call, width: i64, result: fn(&str) -> Value) -> Answer {
    let asked = |id: &str| call.lists.iter().any(|(name, value)| name == "api_key_ids" && value == id);
    let used = keys.all.iter().filter(|key| key.used.is_some() && asked(&key.id));
    let results: Vec<Value> = used.map(|key| result(&key.id)).collect();
    let start = Utc::now().timestamp() / width * width;
    let bucket = json!({ "object": "bucket", "start_time": start, "end_time": start + width, "results": results });
    (StatusCode::OK, json!({ "object": "page", "data": [bucket], "has_more": false, "next_page": null })).into()
}
