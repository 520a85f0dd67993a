//! Mistral's Admin API, as its reference has it (<https://docs.mistral.ai/api/endpoint/beta/admin/api-keys>); a delete is what keyroll assumes. What a value
//! that is no key is told is what clients report.

use axum::http::StatusCode;
use chrono::{DateTime, Days, NaiveTime, SecondsFormat, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "mistral",
        block: |url, admin| format!("admin_key: {admin}\nworkspace: ws-default\nbase_url: \"{url}/api/admin\"\nwork_url: \"{url}/v1\""),
        shape: answer,
        seed: |keys, name| {
            let end = Utc::now().date_naive().checked_add_days(Days::new(30)).map(|day| day.and_time(NaiveTime::MIN).and_utc());
            make(keys, name, "ws-prod", end);
        },
        create: ("POST", "/api/admin/api-keys"),
        delete: ("DELETE", "/api/admin/api-keys/*"),
        list: ("GET", "/api/admin/api-keys"),
        probe: ("GET", "/v1/models"),
        // 401 means death only with its words.
        unclear: &[400, 401, 402, 403, 404, 422, 429, 500, 503],
        model: "ministral-3b-latest",
        page: 50,
        seeds: 103,
    }
}

/// Keys end on days: how many of them is what must be taken over.
fn make<'k>(keys: &'k mut Keys, name: &str, workspace: &str, end: Option<DateTime<Utc>>) -> &'k mut Key {
    let days = end.map(|end| (end.date_naive() - Utc::now().date_naive()).num_days());
    let key = keys.make(random(12), "", name, json!({ "workspace": workspace, "days": days }));
    key.expires = end;
    key
}

fn shown(key: &Key) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({
        "actions": {}, "can_delete": true, "created_at": time(key.made), "created_by": null, "hidden_key": key.redacted(4, 4), "key": null,
        "expiration_date": key.expires.map(|end| end.date_naive().to_string()), "key_id": key.id, "last_used": key.used.map(time),
        "name": key.name, "product": "API", "workspace_id": key.more["workspace"], "workspace_name": "Production",
    })
}

fn detail(status: StatusCode, text: &str) -> Answer {
    (status, json!({ "detail": text })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["v1", "models"]) if keys.call(bearer.reveal()) => {
            (StatusCode::OK, json!({ "object": "list", "data": [{ "id": "ministral-3b-latest", "object": "model" }] })).into()
        }
        ("POST", ["v1", "chat", "completions"]) if keys.call(bearer.reveal()) => super::completion(call),
        (_, ["v1", ..]) => detail(StatusCode::UNAUTHORIZED, "Unauthorized"),
        _ if call.header("x-api-key") != ADMIN => detail(StatusCode::UNAUTHORIZED, "Unauthorized"),
        ("GET", ["api", "admin", "api-keys"]) => {
            let number = |name: &str| call.query.get(name).and_then(|number| number.parse::<usize>().ok());
            let (size, from) = (number("limit").unwrap_or(20).min(keys.page), number("offset").unwrap_or(0));
            let page: Vec<Value> = keys.listed().into_iter().skip(from).take(size).map(shown).collect();
            (StatusCode::OK, json!({ "keys": page })).into()
        }
        ("POST", ["api", "admin", "api-keys"]) => {
            let text = |field: &str| call.body[field].as_str();
            let end = text("expiration").and_then(|day| day.parse::<chrono::NaiveDate>().ok());
            let end = end.map(|day| day.and_time(NaiveTime::MIN).and_utc());
            let key = make(keys, text("name").unwrap_or_default(), text("workspace_uuid").unwrap_or("ws-default"), end);
            let mut body = shown(key);
            for hidden in ["can_delete", "created_by", "last_used", "product", "workspace_id", "workspace_name"] {
                body.as_object_mut().map(|fields| fields.remove(hidden));
            }
            body["key"] = key.value.clone().into();
            (StatusCode::OK, body).into()
        }
        ("DELETE", ["api", "admin", "api-keys", id]) => match keys.delete(id) {
            true => (StatusCode::OK, json!({})).into(),
            false => detail(StatusCode::NOT_FOUND, "Not Found"),
        },
        _ => detail(StatusCode::NOT_FOUND, "Not Found"),
    }
}
