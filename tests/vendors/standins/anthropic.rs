//! Anthropic, as its Admin API's reference has it (<https://platform.claude.com/docs/en/api/admin/api_keys>).

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "anthropic",
        block: |url, admin| format!("admin_key: {admin}\nbase_url: \"{url}/v1\""),
        shape: answer,
        seed: |keys, name| {
            keys.make(format!("apikey_{}", random(24)), "sk-ant-api03-", name, json!({ "workspace_id": "wrkspc_01", "status": "active" }));
        },
        create: ("POST", "/nowhere"),
        delete: ("POST", "/v1/organizations/api_keys/*"),
        list: ("GET", "/v1/organizations/api_keys"),
        probe: ("GET", "/v1/models"),
        unclear: &[400, 401, 403, 404, 429, 500, 529],
        model: "claude-haiku-4-5",
        page: 2,
        seeds: 3,
    }
}

fn error(status: StatusCode, kind: &str) -> Answer {
    (status, json!({ "type": "error", "error": { "type": kind, "message": "…" }, "request_id": "req_1" })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let key = call.header("x-api-key").to_owned();
    if call.header("anthropic-version") != "2023-06-01" {
        return error(StatusCode::BAD_REQUEST, "invalid_request_error");
    }
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["v1", "models"]) if keys.call(&key) => {
            (StatusCode::OK, json!({ "data": [{ "id": "claude-haiku-4-5", "type": "model" }], "has_more": false })).into()
        }
        ("POST", ["v1", "messages"]) if keys.call(&key) => message(call),
        (_, ["v1", "models" | "messages"]) => error(StatusCode::UNAUTHORIZED, "authentication_error"),
        _ if key != ADMIN => error(StatusCode::UNAUTHORIZED, "authentication_error"),
        ("GET", ["v1", "organizations", "api_keys"]) => listing(keys, call),
        ("GET", ["v1", "organizations", "usage_report", "messages"]) => report(keys, call),
        (method, ["v1", "organizations", "api_keys", id]) => one(keys, call, method, id),
        _ => error(StatusCode::NOT_FOUND, "not_found_error"),
    }
}

fn listing(keys: &Keys, call: &Call) -> Answer {
    let after = call.query.get("after_id");
    let workspace = call.query.get("workspace_id");
    // Archived keys stay in the listing.
    let all = keys.all.iter().filter(|key| workspace.is_none_or(|id| key.more["workspace_id"] == id.as_str()));
    let all: Vec<&Key> = all.skip_while(|key| after.is_some_and(|id| *id != key.id)).skip(usize::from(after.is_some())).collect();
    let page: Vec<Value> = all.iter().take(keys.page).map(|key| shown(key)).collect();
    let id = |place: Option<&Value>| place.map_or(Value::Null, |key| key["id"].clone());
    let body = json!({ "data": page, "has_more": all.len() > keys.page, "first_id": id(page.first()), "last_id": id(page.last()) });
    (StatusCode::OK, body).into()
}

fn one(keys: &mut Keys, call: &Call, method: &str, id: &str) -> Answer {
    let after = keys.dies_after;
    let Some(key) = keys.all.iter_mut().find(|key| key.id == id) else { return error(StatusCode::NOT_FOUND, "not_found_error") };
    if method == "POST" {
        match call.body["status"].as_str() {
            Some("archived") => key.dies = key.dies.or_else(|| Some(std::time::Instant::now() + after)),
            Some(_) if key.dies.is_some() => return error(StatusCode::BAD_REQUEST, "invalid_request_error"),
            Some(status) => key.enabled = status == "active",
            None => {}
        }
    }
    (StatusCode::OK, shown(key)).into()
}

/// What the keys that are asked for (all of them where none is) were last used for, in the bucket of that time, between an empty bucket
/// before it and one after it. A page has one bucket.
fn report(keys: &Keys, call: &Call) -> Answer {
    let width = if call.query.get("bucket_width").is_some_and(|width| width == "1m") { 60 } else { 3600 };
    let begins = |at: DateTime<Utc>| DateTime::from_timestamp(at.timestamp() / width * width, 0).unwrap_or(at);
    let from = call.query.get("starting_at").and_then(|at| at.parse().ok()).map(begins);
    let asked = call.query.get("api_key_ids[]");
    let tokens = json!({
        "uncached_input_tokens": 12, "cache_creation": { "ephemeral_1h_input_tokens": 1, "ephemeral_5m_input_tokens": 2 },
        "cache_read_input_tokens": 3, "output_tokens": 5, "server_tool_use": { "web_search_requests": 0 }, "api_key_id": asked,
    });
    let used = keys.all.iter().filter(|key| asked.is_none_or(|id| *id == key.id)).filter_map(|key| key.used).map(begins);
    let used = used.filter(|at| from.is_none_or(|from| *at >= from)).map(|at| (at, json!([tokens])));
    let empty = |at| std::iter::once((at, json!([])));
    let now = begins(Utc::now());
    let mut buckets: Vec<_> = empty(from.unwrap_or(now)).chain(used).chain(empty(now)).collect();
    let page: usize = call.query.get("page").and_then(|page| page.strip_prefix("page_")?.parse().ok()).unwrap_or(0);
    let more = page + 1 < buckets.len();
    let next = more.then(|| format!("page_{}", page + 1));
    let (at, results) = buckets.swap_remove(page.min(buckets.len() - 1));
    let end = time(at + TimeDelta::seconds(width));
    let data = json!([{ "starting_at": time(at), "ending_at": end, "results": results }]);
    (StatusCode::OK, json!({ "data": data, "has_more": more, "next_page": next })).into()
}

fn message(call: &Call) -> Answer {
    if call.body["stream"] == true {
        let events = [
            json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant", "content": [] } }),
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "ok" } }),
            json!({ "type": "message_stop" }),
        ];
        let text = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
        return Answer::Events(events.map(text).into());
    }
    let body = json!({ "id": "msg_1", "type": "message", "role": "assistant", "content": [{ "type": "text", "text": "ok" }], "stop_reason": "end_turn" });
    (StatusCode::OK, body).into()
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn shown(key: &Key) -> Value {
    let status = match (key.dies, key.enabled) {
        (Some(_), _) => "archived",
        (None, true) => "active",
        (None, false) => "inactive",
    };
    json!({
        "id": key.id, "type": "api_key", "name": key.name, "partial_key_hint": key.redacted(16, 4), "status": status,
        "created_at": time(key.made), "expires_at": key.expires.map(time), "created_by": { "id": "user_1", "type": "user" },
        "workspace_id": key.more["workspace_id"],
    })
}
