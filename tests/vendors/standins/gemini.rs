//! Google's API Keys API v2, as its discovery document has it (googleapis/google-api-python-client, apikeys.v2.json), and the Gemini API
//! (<https://ai.google.dev/api>).

use axum::http::StatusCode;
use chrono::SecondsFormat;
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "gemini",
        block: |url, admin| format!("project: prod-1\ntoken: {admin}\nbase_url: \"{url}/v2\"\ngemini_url: \"{url}/v1beta\""),
        shape: answer,
        seed: |keys, name| {
            let restrictions = json!({
                "apiTargets": [{ "service": "generativelanguage.googleapis.com", "methods": ["Get*", "GenerateContent"] }],
                "serverKeyRestrictions": { "allowedIps": ["192.0.2.0/24"] },
            });
            make(keys, json!({ "displayName": name, "restrictions": restrictions, "annotations": { "team": "search" } }));
        },
        create: ("POST", "/v2/projects/prod-1/locations/global/keys"),
        delete: ("DELETE", "/v2/projects/prod-1/locations/global/keys/*"),
        list: ("GET", "/v2/projects/prod-1/locations/global/keys"),
        probe: ("GET", "/v1beta/models"),
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "gemini-2.5-flash",
        page: 300,
        seeds: 5,
    }
}

/// The same, with keys that are bound to a service account.
pub fn bound() -> Vendor {
    Vendor {
        block: |url, admin| {
            let account = "service_account: app@prod-1.iam.gserviceaccount.com";
            format!("project: prod-1\ntoken: {admin}\n{account}\nbase_url: \"{url}/v2\"\ngemini_url: \"{url}/v1beta\"")
        },
        seed: |keys, name| {
            make(keys, json!({ "displayName": name, "serviceAccountEmail": "app@prod-1.iam.gserviceaccount.com" }));
        },
        ..vendor()
    }
}

fn make(keys: &mut Keys, mut more: Value) -> &mut Key {
    let begins = if more["serviceAccountEmail"].is_string() { "AQ.Ab8RN6" } else { "AIzaSy" };
    let name = more.as_object_mut().and_then(|more| more.remove("displayName"));
    let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
    let key = keys.make(random(12).to_lowercase(), begins, name, more);
    // How often its operation is still looked at in vain.
    key.spent = -1.0;
    key
}

fn error(status: StatusCode, grpc: &str, message: &str, reason: Option<&str>) -> Answer {
    let detail =
        |reason: &str| json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com" });
    let details: Vec<Value> = reason.into_iter().map(detail).collect();
    (status, json!({ "error": { "code": status.as_u16(), "message": message, "status": grpc, "details": details } })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    match call.segments().as_slice() {
        ["v1beta", rest @ ..] => gemini(keys, call, rest),
        _ if call.bearer().reveal() != ADMIN => {
            let what = "Request had invalid authentication credentials.";
            error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", what, Some("ACCESS_TOKEN_EXPIRED"))
        }
        ["v2", "operations", id] => operation(keys, id),
        ["v2", "projects", "prod-1", "locations", "global", "keys", rest @ ..] => administration(keys, call, rest),
        _ => error(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found", None),
    }
}

fn gemini(keys: &mut Keys, call: &Call, rest: &[&str]) -> Answer {
    let key = call.header("x-goog-api-key");
    if !keys.call(key) {
        return match key.starts_with("AQ.") {
            true => error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Request had invalid authentication credentials.", None),
            false => {
                let what = "API key not valid. Please pass a valid API key.";
                error(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", what, Some("API_KEY_INVALID"))
            }
        };
    }
    let piece = |text: &str, end: Option<&str>| {
        let mut candidate = json!({ "content": { "role": "model", "parts": [{ "text": text }] }, "index": 0 });
        if let Some(end) = end {
            candidate["finishReason"] = end.into();
        }
        json!({ "candidates": [candidate], "modelVersion": "gemini-2.5-flash" })
    };
    match (call.method.as_str(), rest) {
        ("GET", ["models"]) => (StatusCode::OK, json!({ "models": [{ "name": "models/gemini-2.5-flash" }], "nextPageToken": "t" })).into(),
        ("POST", ["models", verb]) if call.body["contents"][0]["parts"][0]["text"].is_string() => match verb.split_once(':') {
            Some((_, "generateContent")) => (StatusCode::OK, piece("ok", Some("STOP"))).into(),
            Some((_, "streamGenerateContent")) if call.query.get("alt").is_some_and(|alt| alt == "sse") => {
                Answer::Events([piece("o", None), piece("k", Some("STOP"))].map(|piece| format!("data: {piece}\r\n\r\n")).into())
            }
            _ => error(StatusCode::NOT_FOUND, "NOT_FOUND", "no such method", None),
        },
        _ => error(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "Invalid JSON payload received.", None),
    }
}

fn administration(keys: &mut Keys, call: &Call, rest: &[&str]) -> Answer {
    let missing = || error(StatusCode::NOT_FOUND, "NOT_FOUND", "Requested entity was not found.", None);
    match (call.method.as_str(), rest) {
        ("GET", []) => {
            let size = call.query.get("pageSize").and_then(|size| size.parse().ok()).unwrap_or(50).min(keys.page);
            let from = call.query.get("pageToken").and_then(|token| token.strip_prefix("from=")?.parse().ok()).unwrap_or(0);
            let deleted = call.query.get("showDeleted").is_some_and(|flag| flag == "true");
            let all: Vec<&Key> = if deleted { keys.all.iter().collect() } else { keys.listed() };
            let mut page = json!({});
            if !all.is_empty() {
                page["keys"] = all.iter().skip(from).take(size).map(|key| shown(key)).collect();
            }
            if all.len() > from + size {
                page["nextPageToken"] = format!("from={}", from + size).into();
            }
            (StatusCode::OK, page).into()
        }
        ("POST", []) => {
            if call.body["displayName"].as_str().is_none_or(|name| name.chars().count() > 63) {
                return error(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "display_name is too long", None);
            }
            let mut more = call.body.clone();
            // What is empty is not kept.
            if let Some(more) = more.as_object_mut() {
                more.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
            }
            let key = make(keys, more);
            (StatusCode::OK, json!({ "name": format!("operations/akmf.{}", key.id) })).into()
        }
        // A deleted key is shown to those who name it.
        ("GET", [id]) => keys.all.iter().find(|key| key.id == *id).map_or_else(missing, |key| (StatusCode::OK, shown(key)).into()),
        ("GET", [id, "keyString"]) => keys.find(id).map_or_else(missing, |key| (StatusCode::OK, json!({ "keyString": key.value })).into()),
        ("DELETE", [id]) => {
            let (Some(key), Some(etag)) = (keys.find(id), call.query.get("etag")) else { return missing() };
            if *etag != format!("W/\"{}=\"", key.id) {
                return error(StatusCode::CONFLICT, "ABORTED", "etag mismatch", None);
            }
            let week = chrono::Utc::now() - chrono::TimeDelta::days(7);
            if call.query.get("checkExistingUsage").is_some_and(|word| word == "CHECK") && key.used.is_some_and(|used| used > week) {
                return error(StatusCode::BAD_REQUEST, "FAILED_PRECONDITION", "The key has been used in the last 7 days.", None);
            }
            key.spent = -1.0;
            keys.delete(id);
            (StatusCode::OK, json!({ "name": format!("operations/akmf.{id}") })).into()
        }
        _ => missing(),
    }
}

/// It ends at the second look.
fn operation(keys: &mut Keys, id: &str) -> Answer {
    let key = id.strip_prefix("akmf.").and_then(|id| keys.all.iter_mut().find(|key| key.id == id));
    let Some(key) = key else { return error(StatusCode::NOT_FOUND, "NOT_FOUND", "no such operation", None) };
    let name = format!("operations/{id}");
    if key.spent < 0.0 {
        key.spent = 0.0;
        return (StatusCode::OK, json!({ "name": name })).into();
    }
    let mut response = shown(key);
    response["@type"] = "type.googleapis.com/google.api.apikeys.v2.Key".into();
    (StatusCode::OK, json!({ "name": name, "done": true, "response": response })).into()
}

fn shown(key: &Key) -> Value {
    let mut shown = key.more.clone();
    shown["name"] = format!("projects/123456/locations/global/keys/{}", key.id).into();
    shown["uid"] = key.id.as_str().into();
    shown["displayName"] = key.name.as_str().into();
    shown["createTime"] = key.made.to_rfc3339_opts(SecondsFormat::Micros, true).into();
    shown["etag"] = format!("W/\"{}=\"", key.id).into();
    if key.dies.is_some() {
        shown["deleteTime"] = key.made.to_rfc3339_opts(SecondsFormat::Micros, true).into();
    }
    shown
}
