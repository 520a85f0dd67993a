//! Twilio SendGrid, as its specification has it (github.com/twilio/sendgrid-oai, tsg_api_keys_v3.yaml); errors after its list of 4xx answers
//! (<https://support.sendgrid.com/hc/en-us/articles/18322114821403>).

use axum::http::StatusCode;
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "sendgrid",
        block: |url, admin| format!("admin_key: {admin}\nbase_url: \"{url}/v3\""),
        shape: answer,
        seed: |keys, name| {
            make(keys, name, vec!["mail.send".into(), "mail.batch.read".into()]);
        },
        create: ("POST", "/v3/api_keys"),
        delete: ("DELETE", "/v3/api_keys/*"),
        list: ("GET", "/v3/api_keys"),
        probe: ("GET", "/v3/scopes"),
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "none",
        page: 100,
        seeds: 5,
    }
}

/// What SendGrid adds of itself.
const GIVEN: [&str; 2] = ["2fa_required", "sender_verification_eligible"];

fn make<'k>(keys: &'k mut Keys, name: &str, mut scopes: Vec<String>) -> &'k mut Key {
    scopes.sort();
    scopes.extend(GIVEN.map(str::to_owned));
    let id = random(22);
    keys.make(id.clone(), &format!("SG.{id}."), name, json!({ "scopes": scopes }))
}

fn error(status: StatusCode, message: &str) -> Answer {
    (status, json!({ "errors": [{ "field": null, "message": message }] })).into()
}

const NO_KEY: &str = "The provided authorization grant is invalid, expired, or revoked";

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    let bearer = bearer.reveal();
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["v3", "scopes"]) if keys.call(bearer) => {
            let scopes = keys.all.iter().find(|key| key.value == bearer).map(|key| key.more["scopes"].clone()).unwrap_or_default();
            // A key that may send mail alone may not ask what it may.
            match scopes.as_array().is_some_and(|scopes| scopes.contains(&"mail.batch.read".into())) {
                true => (StatusCode::OK, json!({ "scopes": scopes })).into(),
                false => error(StatusCode::FORBIDDEN, "access forbidden"),
            }
        }
        (_, ["v3", "scopes"]) => error(StatusCode::UNAUTHORIZED, NO_KEY),
        _ if bearer != ADMIN => error(StatusCode::UNAUTHORIZED, NO_KEY),
        ("GET", ["v3", "api_keys"]) => {
            let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
            let shown = |key: &Key| json!({ "api_key_id": key.id, "name": key.name });
            (StatusCode::OK, json!({ "result": keys.listed().into_iter().take(limit).map(shown).collect::<Vec<_>>() })).into()
        }
        ("POST", ["v3", "api_keys"]) => {
            let Some(name) = call.body["name"].as_str() else { return error(StatusCode::BAD_REQUEST, "missing required argument") };
            if keys.listed().len() >= 100 {
                return error(StatusCode::FORBIDDEN, "Cannot create more than 100 API Keys");
            }
            let all = || vec!["everything".to_owned()];
            let text = |scope: &Value| scope.as_str().map(str::to_owned);
            let scopes: Vec<String> = call.body["scopes"].as_array().map_or_else(all, |scopes| scopes.iter().filter_map(text).collect());
            if scopes.iter().any(|scope| GIVEN.contains(&scope.as_str())) {
                return error(StatusCode::BAD_REQUEST, "one or more of given scopes are invalid");
            }
            let key = make(keys, name, scopes);
            let body = json!({ "api_key": key.value, "api_key_id": key.id, "name": key.name, "scopes": key.more["scopes"] });
            (StatusCode::CREATED, body).into()
        }
        ("GET", ["v3", "api_keys", id]) => match keys.find(id) {
            Some(key) => {
                let shown = json!({ "api_key_id": key.id, "name": key.name, "scopes": key.more["scopes"] });
                // Both forms of the specification.
                (StatusCode::OK, if key.id.len() % 2 == 0 { shown } else { json!({ "result": [shown] }) }).into()
            }
            None => error(StatusCode::NOT_FOUND, "API Key not found"),
        },
        ("DELETE", ["v3", "api_keys", id]) => match keys.delete(id) {
            true => (StatusCode::NO_CONTENT, Value::Null).into(),
            false => error(StatusCode::NOT_FOUND, "API Key not found"),
        },
        _ => error(StatusCode::NOT_FOUND, "not found"),
    }
}
