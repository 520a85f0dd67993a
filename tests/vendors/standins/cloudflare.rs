//! Cloudflare's tokens, as its API reference has them (<https://developers.cloudflare.com/api/resources/user/subresources/tokens/>). What a value that is
//! no token is told is what clients report.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

/// What the first token of all may.
const FIRST: &str = r#"[{ effect: allow, permission_groups: [{ id: c8fed203ed3043cba015a93ad1616f1f }], resources: { com.cloudflare.api.account.zone.a1: "*" } }]"#;

pub fn vendor() -> Vendor {
    Vendor {
        name: "cloudflare",
        block: |url, admin| format!("admin_token: {admin}\npolicies: {FIRST}\nbase_url: \"{url}/client/v4\""),
        shape: answer,
        seed: |keys, name| {
            let resources = json!({ "com.cloudflare.api.account.9a": { "com.cloudflare.api.account.zone.*": "*" } });
            let groups = json!([{ "id": "82e64a83756745bbbb1c9c2701bf816b" }, { "id": "c8fed203ed3043cba015a93ad1616f1f" }]);
            let allow = json!({ "effect": "allow", "permission_groups": groups, "resources": resources });
            let deny = json!({ "effect": "deny", "permission_groups": [{ "id": "e199d584e69344eba202452019deafe3" }], "resources": { "com.cloudflare.api.account.zone.b2": "*" } });
            let condition = json!({ "request_ip": { "in": ["127.0.0.0/8"], "not_in": ["127.0.0.9/32"] } });
            let terms = json!({ "policies": [allow, deny], "condition": condition, "not_before": "2026-01-01T00:00:00Z" });
            make(keys, name, terms, Some(Utc::now() + TimeDelta::hours(720)));
        },
        create: ("POST", "/client/v4/user/tokens"),
        delete: ("DELETE", "/client/v4/user/tokens/*"),
        list: ("GET", "/client/v4/user/tokens"),
        probe: ("GET", "/client/v4/user/tokens/verify"),
        // 401 means death only with code 1000.
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "none",
        page: 50,
        seeds: 53,
    }
}

/// An account's own tokens live below another path.
pub fn of_an_account() -> Vendor {
    const ACCOUNT: &str = "/client/v4/accounts/023e105f4ecef8ad9ca31a8372d0c353/tokens";
    Vendor {
        block: |url, admin| {
            format!("admin_token: {admin}\naccount: 023e105f4ecef8ad9ca31a8372d0c353\npolicies: {FIRST}\nbase_url: \"{url}/client/v4\"")
        },
        create: ("POST", ACCOUNT),
        delete: ("DELETE", "/client/v4/accounts/*/tokens/*"),
        list: ("GET", ACCOUNT),
        probe: ("GET", "/client/v4/accounts/*/tokens/verify"),
        ..vendor()
    }
}

fn make<'k>(keys: &'k mut Keys, name: &str, mut terms: Value, ends: Option<DateTime<Utc>>) -> &'k mut Key {
    terms["hours"] = super::hours(ends);
    let key = keys.make(random(32).to_lowercase(), "cfut_", name, terms);
    key.expires = ends;
    key
}

fn done(result: Value) -> Answer {
    (StatusCode::OK, json!({ "success": true, "errors": [], "messages": [], "result": result })).into()
}

fn error(status: StatusCode, code: u32, message: &str) -> Answer {
    (status, json!({ "success": false, "errors": [{ "code": code, "message": message }], "messages": [], "result": null })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    let bearer = bearer.reveal();
    let segments = call.segments();
    let rest = match segments.as_slice() {
        ["client", "v4", "user", "tokens", rest @ ..] | ["client", "v4", "accounts", _, "tokens", rest @ ..] => rest,
        _ => return error(StatusCode::NOT_FOUND, 7000, "No route for that URI"),
    };
    if let ("GET", ["verify"]) = (call.method.as_str(), rest) {
        let live = keys.call(bearer);
        let known = keys.all.iter().find(|key| key.value == bearer && (live || !key.enabled && key.dies.is_none()));
        return match known {
            Some(key) => done(json!({ "id": key.id, "status": status(key), "expires_on": key.expires.map(time) })),
            None => error(StatusCode::UNAUTHORIZED, 1000, "Invalid API Token"),
        };
    }
    if bearer != ADMIN {
        return error(StatusCode::FORBIDDEN, 9109, "Unauthorized to access requested resource");
    }
    match (call.method.as_str(), rest) {
        ("GET", []) => {
            let number = |name: &str, default: usize| call.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
            let (page, size) = (number("page", 1), number("per_page", 20).min(keys.page));
            let listed = keys.listed();
            let shown: Vec<Value> = listed.iter().skip((page - 1) * size).take(size).map(|key| shown(key)).collect();
            let info = json!({ "page": page, "per_page": size, "count": shown.len(), "total_count": listed.len() });
            (StatusCode::OK, json!({ "success": true, "errors": [], "messages": [], "result": shown, "result_info": info })).into()
        }
        ("POST", []) => {
            let body = &call.body;
            if !body["name"].is_string() || body["policies"].as_array().is_none_or(Vec::is_empty) {
                return error(StatusCode::BAD_REQUEST, 1003, "Invalid request body");
            }
            let terms = json!({ "policies": body["policies"], "condition": body["condition"], "not_before": body["not_before"] });
            let ends = body["expires_on"].as_str().and_then(|text| text.parse().ok());
            let key = make(keys, body["name"].as_str().unwrap_or_default(), terms, ends);
            let mut result = shown(key);
            result["value"] = key.value.clone().into();
            done(result)
        }
        (method, [id]) => one(keys, call, method, id),
        _ => error(StatusCode::NOT_FOUND, 7000, "No route for that URI"),
    }
}

fn one(keys: &mut Keys, call: &Call, method: &str, id: &str) -> Answer {
    let gone = || error(StatusCode::NOT_FOUND, 1003, "Could not find the token");
    match method {
        "DELETE" if keys.delete(id) => done(json!({ "id": id })),
        "PUT" => {
            let Some(key) = keys.find(id) else { return gone() };
            // All of it is written: what is left out is gone.
            for term in ["policies", "condition", "not_before"] {
                key.more[term] = call.body[term].clone();
            }
            key.expires = call.body["expires_on"].as_str().and_then(|text| text.parse().ok());
            key.enabled = call.body["status"] == "active";
            done(shown(key))
        }
        "GET" => keys.find(id).map_or_else(gone, |key| done(shown(key))),
        _ => gone(),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn status(key: &Key) -> &'static str {
    match (key.enabled, key.expires.is_none_or(|end| Utc::now() < end)) {
        (false, _) => "disabled",
        (true, false) => "expired",
        (true, true) => "active",
    }
}

/// With the ids of policies and the names of groups, which a create does not take.
fn shown(key: &Key) -> Value {
    let mut policies = key.more["policies"].clone();
    for policy in policies.as_array_mut().into_iter().flatten() {
        policy["id"] = "f267e341f3dd4697bd3b9f71dd96247f".into();
        for group in policy["permission_groups"].as_array_mut().into_iter().flatten() {
            group["name"] = "DNS Write".into();
        }
    }
    let mut shown = json!({
        "id": key.id, "name": key.name, "status": status(key), "issued_on": time(key.made), "modified_on": time(key.made),
        "last_used_on": key.used.map(time), "policies": policies,
    });
    for term in ["condition", "not_before"] {
        if !key.more[term].is_null() {
            shown[term] = key.more[term].clone();
        }
    }
    if let Some(end) = key.expires {
        shown["expires_on"] = time(end).into();
    }
    shown
}
