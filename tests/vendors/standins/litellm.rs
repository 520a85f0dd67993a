//! A LiteLLM proxy, as litellm 1.109 answers (`proxy/management_endpoints/key_management_endpoints.py`, `proxy/auth/`).

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::site::{ADMIN, Key, Keys, Vendor};

/// What `/key/generate` takes of what a key is made with.
const TERMS: &[&str] = &[
    "models",
    "aliases",
    "config",
    "router_settings",
    "user_id",
    "team_id",
    "agent_id",
    "project_id",
    "organization_id",
    "permissions",
    "metadata",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "max_budget",
    "budget_duration",
    "budget_id",
    "model_max_budget",
    "budget_fallbacks",
    "allowed_cache_controls",
    "allowed_routes",
    "policies",
    "access_group_ids",
    "auto_rotate",
    "rotation_interval",
    "budget_limits",
    "object_permission",
    "key_type",
];

pub fn vendor() -> Vendor {
    Vendor {
        name: "litellm",
        block: |url, admin| format!("admin_key: {admin}\nbase_url: \"{url}\""),
        shape: answer,
        seed: |keys, name| {
            let terms = json!({
                "models": ["gpt-4o-mini", "text-embedding-3-small"], "team_id": "team-a", "user_id": "inference", "max_budget": 50.0,
                "budget_duration": "30d", "tpm_limit": 100_000, "rpm_limit": 600, "tpd_limit": 9_000_000, "max_parallel_requests": 20,
                "metadata": { "tags": ["prod"], "model_rpm_limit": { "gpt-4o-mini": 300 } }, "permissions": { "pii": false },
                "allowed_routes": ["/chat/completions"], "aliases": { "small": "gpt-4o-mini" }, "config": { "a": 1 },
                "model_max_budget": { "gpt-4o-mini": { "budget_limit": 5.0, "time_period": "30d" } }, "access_group_ids": ["group-1"],
                "router_settings": { "num_retries": 2 }, "budget_id": "tier-1", "organization_id": "org-1", "project_id": "project-1",
                "agent_id": "agent-1", "policies": ["strict"], "allowed_cache_controls": ["no-store"], "budget_fallbacks": { "gpt-4o": ["small"] },
                "budget_limits": [{ "budget_duration": "1d", "max_budget": 10.0 }], "object_permission": { "vector_stores": ["v-1"], "agents": [] },
                "auto_rotate": true, "rotation_interval": "90d",
            });
            let key = make(keys, name, &terms, Some(Utc::now() + TimeDelta::hours(720)));
            key.spent = 12.5;
            // It was made for all of the API, and narrowed afterwards.
            key.more["key_type"] = "default".into();
        },
        create: ("POST", "/key/generate"),
        delete: ("POST", "/key/delete"),
        list: ("GET", "/key/list"),
        probe: ("GET", "/v1/models"),
        // 401 also means blocked, expired, and over its budget.
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "gpt-4o-mini",
        page: 100,
        seeds: 103,
    }
}

pub fn make<'k>(keys: &'k mut Keys, name: &str, body: &Value, ends: Option<DateTime<Utc>>) -> &'k mut Key {
    let mut terms: Value = TERMS.iter().map(|term| ((*term).to_owned(), body[*term].clone())).collect();
    if terms["key_type"].is_null() {
        terms["key_type"] = "default".into();
    }
    // A key type has routes of its own, which take the place of those that were asked for.
    if terms["key_type"] == "llm_api" {
        terms["allowed_routes"] = json!(["llm_api_routes"]);
    }
    terms["hours"] = super::hours(ends);
    let key = keys.make("", "sk-", name, terms);
    key.id = Sha256::digest(key.value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    key.expires = ends;
    key.spent = body["spend"].as_f64().unwrap_or_default();
    key
}

fn error(status: StatusCode, kind: &str, message: &str, param: Option<&str>) -> Answer {
    (status, json!({ "error": { "message": message, "type": kind, "param": param, "code": status.as_u16().to_string() } })).into()
}

pub fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    let bearer = bearer.reveal();
    match (call.method.as_str(), call.segments().as_slice()) {
        (_, ["v1", work @ ..]) => worked(keys, call, work, bearer),
        _ if bearer != ADMIN => {
            error(StatusCode::UNAUTHORIZED, "token_not_found_in_db", "Authentication Error, Invalid API key provided.", Some("key"))
        }
        ("GET", ["key", "list"]) => listing(keys, call),
        ("GET", ["key", "info"]) => {
            let id = call.query.get("key").cloned().unwrap_or_default();
            match keys.all.iter().find(|key| key.id == id) {
                Some(key) => {
                    let mut info = row(key);
                    info.as_object_mut().expect("an object").remove("token");
                    info["status"] = if key.dies.is_some() {
                        "deleted"
                    } else if key.enabled {
                        "active"
                    } else {
                        "revoked"
                    }
                    .into();
                    (StatusCode::OK, json!({ "key": id, "info": info })).into()
                }
                None => error(StatusCode::NOT_FOUND, "not_found_error", "Key not found in database", Some("key")),
            }
        }
        ("GET", ["user", "daily", "activity"]) => activity(keys, call),
        ("POST", ["key", "generate"]) => generate(keys, call),
        ("POST", ["key", "delete"]) => {
            let ids: Vec<&str> = call.body["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            // As the proxy does: it names what it was told, if it found one of them.
            match ids.iter().filter(|id| keys.delete(id)).count() {
                0 => error(StatusCode::NOT_FOUND, "not_found_error", "{'error': 'No keys found'}", None),
                _ => (StatusCode::OK, json!({ "deleted_keys": ids })).into(),
            }
        }
        ("POST", ["key", change @ ("block" | "unblock" | "update")]) => {
            let id = call.body["key"].as_str().unwrap_or_default();
            let Some(key) = keys.find(id) else { return error(StatusCode::NOT_FOUND, "not_found_error", "Key not found.", Some("key")) };
            match *change {
                "update" => key.more["max_budget"] = call.body["max_budget"].clone(),
                change => key.enabled = change == "unblock",
            }
            (StatusCode::OK, row(key)).into()
        }
        _ => (StatusCode::NOT_FOUND, json!({ "detail": "Not Found" })).into(),
    }
}

fn generate(keys: &mut Keys, call: &Call) -> Answer {
    let alias = call.body["key_alias"].as_str().unwrap_or_default();
    if keys.listed().iter().any(|key| key.name == alias) {
        let message = format!("Key with alias '{alias}' already exists. Unique key aliases across all keys are required.");
        return error(StatusCode::BAD_REQUEST, "bad_request_error", &message, Some("key_alias"));
    }
    let seconds = call.body["duration"].as_str().and_then(|text| text.strip_suffix('s')?.parse().ok());
    let key = make(keys, alias, &call.body, seconds.map(|seconds| Utc::now() + TimeDelta::seconds(seconds)));
    let mut body = row(key);
    body["key"] = key.value.clone().into();
    body["token_id"] = key.id.clone().into();
    (StatusCode::OK, body).into()
}

/// What is called with a key.
fn worked(keys: &mut Keys, call: &Call, work: &[&str], bearer: &str) -> Answer {
    if !bearer.starts_with("sk-") {
        let message = "Authentication Error, LiteLLM Virtual Key expected. Received=stra****2e83, expected to start with 'sk-'.";
        return error(StatusCode::UNAUTHORIZED, "auth_error", message, None);
    }
    if !keys.call(bearer) {
        let blocked = keys.all.iter().any(|key| key.value == bearer && key.dies.is_none());
        return match blocked {
            true => {
                let message = "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.";
                error(StatusCode::UNAUTHORIZED, "auth_error", message, None)
            }
            false => {
                error(StatusCode::UNAUTHORIZED, "token_not_found_in_db", "Authentication Error, Invalid API key provided.", Some("key"))
            }
        };
    }
    match work {
        ["models"] => {
            (StatusCode::OK, json!({ "data": [{ "id": "gpt-4o-mini", "object": "model", "owned_by": "openai" }], "object": "list" })).into()
        }
        ["chat", "completions"] => super::completion(call),
        _ => (StatusCode::NOT_FOUND, json!({ "detail": "Not Found" })).into(),
    }
}

/// Newest first.
fn listing(keys: &Keys, call: &Call) -> Answer {
    let number = |name: &str, default: usize| call.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (page, size) = (number("page", 1), number("size", 10).min(keys.page));
    let mut listed = keys.listed();
    listed.reverse();
    let whole = call.query.get("return_full_object").is_some_and(|flag| flag == "true");
    let shown = |key: &&Key| if whole { row(key) } else { key.id.clone().into() };
    let rows: Vec<Value> = listed.iter().skip((page - 1) * size).take(size).map(shown).collect();
    (StatusCode::OK, json!({ "keys": rows, "total_count": listed.len(), "current_page": page, "total_pages": listed.len().div_ceil(size) }))
        .into()
}

/// Days of a key, also of one that is gone. A page ends where it is full, so that one day may stand on two.
fn activity(keys: &Keys, call: &Call) -> Answer {
    let asked = |name: &str| call.query.get(name).map(String::as_str).unwrap_or_default();
    let (Ok(page), first, last) = (asked("page").parse::<usize>(), asked("start_date"), asked("end_date")) else {
        return error(StatusCode::UNPROCESSABLE_ENTITY, "bad_request_error", "page", None);
    };
    let key = keys.all.iter().find(|key| key.id == asked("api_key"));
    let rows = key.and_then(|key| key.more["activity"].as_array()).into_iter().flatten();
    let within = |row: &&Value| row["date"].as_str().is_some_and(|date| first <= date && date <= last);
    let rows: Vec<&Value> = rows.filter(within).collect();
    let shown: Vec<&&Value> = rows.iter().skip((page - 1) * 2).take(2).collect();
    let pages = rows.len().div_ceil(2);
    let place = json!({ "page": page, "total_pages": pages, "has_more": page < pages });
    (StatusCode::OK, json!({ "results": shown, "metadata": place })).into()
}

/// A row of the table of keys.
fn row(key: &Key) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut row = json!({
        "token": key.id, "key_name": format!("sk-...{}", &key.value[key.value.len() - 4..]), "key_alias": key.name, "spend": key.spent,
        "expires": key.expires.map(time), "blocked": (!key.enabled).then_some(true), "created_at": time(key.made), "updated_at": time(key.made),
        "created_by": "default_user_id", "last_active": key.used.map(time), "budget_reset_at": null, "soft_budget_cooldown": false,
    });
    for term in TERMS {
        row[*term] = match &key.more[*term] {
            Value::Null if matches!(*term, "models" | "allowed_routes" | "policies" | "access_group_ids" | "allowed_cache_controls") => {
                json!([])
            }
            Value::Null if matches!(*term, "aliases" | "config" | "metadata" | "permissions" | "model_max_budget") => json!({}),
            value => value.clone(),
        };
    }
    if let Some(windows) = row["budget_limits"].as_array_mut() {
        windows.iter_mut().for_each(|window| window["reset_at"] = "2030-01-01T00:00:00+00:00".into());
    }
    if !row["object_permission"].is_null() {
        row["object_permission_id"] = "permission-1".into();
        row["object_permission"]["object_permission_id"] = "permission-1".into();
        row["object_permission"]["mcp_servers"] = Value::Null;
    }
    row
}
