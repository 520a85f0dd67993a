//! Twilio, as its specification has it (github.com/twilio/twilio-oai, twilio_iam_v1.json); errors after
//! <https://www.twilio.com/docs/api/errors/20003>.

use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_STANDARD};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const PAGE: usize = 50;

pub fn vendor() -> Vendor {
    Vendor {
        name: "twilio",
        block: |url, admin| format!("account: {ACCOUNT}\nsecret: {admin}\nprobe: \"{url}/v2/Services\"\nbase_url: \"{url}/v1\""),
        shape: answer,
        seed: |keys, name| {
            make(keys, name, json!({ "allow": ["/twilio/messaging/messages/read", "/twilio/verify/services/list"] }));
        },
        create: ("POST", "/v1/Keys"),
        delete: ("DELETE", "/v1/Keys/*"),
        list: ("GET", "/v1/Keys"),
        probe: ("GET", "/v2/Services"),
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "none",
        page: PAGE,
        seeds: PAGE + 3,
    }
}

fn make<'k>(keys: &'k mut Keys, name: &str, policy: Value) -> &'k mut Key {
    let id: String = (0..32).map(|_| fastrand::digit(16)).collect();
    keys.make(format!("SK{id}"), "", name, json!({ "policy": policy }))
}

fn error(status: StatusCode, code: u32, message: &str) -> Answer {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    (status, json!({ "code": code, "message": message, "more_info": more, "status": status.as_u16() })).into()
}

/// User and password of a Basic login.
fn basic(call: &Call) -> Option<(String, String)> {
    let text = BASE64_STANDARD.decode(call.header("authorization").strip_prefix("Basic ")?).ok()?;
    let (user, password) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let Some((user, password)) = basic(call) else { return error(StatusCode::UNAUTHORIZED, 20003, "Authenticate") };
    match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["v2", "Services"]) => {
            let known = keys.all.iter().any(|key| key.id == user && key.value == password) && keys.call(&password);
            match known {
                true => (StatusCode::OK, json!({ "services": [], "meta": { "page": 0, "next_page_url": null } })).into(),
                false => error(StatusCode::UNAUTHORIZED, 20003, "Authenticate"),
            }
        }
        _ if user != ACCOUNT || password != ADMIN => error(StatusCode::UNAUTHORIZED, 20003, "Authenticate"),
        ("GET", ["v1", "Keys"]) if call.query.get("AccountSid").is_some_and(|account| account == ACCOUNT) => page(keys, call),
        ("POST", ["v1", "Keys"]) => {
            let field = |name: &str| call.body[name].as_str();
            let policy = match (field("KeyType"), field("Policy").map(serde_json::from_str)) {
                (None, None) => Value::Null,
                (Some("restricted"), Some(Ok(policy))) => policy,
                _ => return error(StatusCode::BAD_REQUEST, 70002, "Invalid policy"),
            };
            let name = field("FriendlyName").unwrap_or_default();
            if field("AccountSid") != Some(ACCOUNT) || name.chars().count() > 64 {
                return error(StatusCode::BAD_REQUEST, 20001, "Invalid parameter");
            }
            let key = make(keys, name, policy);
            let mut body = shown(key);
            body["secret"] = key.value.as_str().into();
            body["policy"] = key.more["policy"].clone();
            (StatusCode::CREATED, body).into()
        }
        ("GET", ["v1", "Keys", id]) => match keys.find(id) {
            Some(key) => {
                let mut body = shown(key);
                body["policy"] = key.more["policy"].clone();
                (StatusCode::OK, body).into()
            }
            None => missing(),
        },
        ("DELETE", ["v1", "Keys", id]) if keys.delete(id) => (StatusCode::NO_CONTENT, Value::Null).into(),
        _ => missing(),
    }
}

fn missing() -> Answer {
    error(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
}

fn page(keys: &mut Keys, call: &Call) -> Answer {
    let number = |name: &str, default| call.query.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default);
    let (size, page) = (number("PageSize", 50).min(keys.page), number("Page", 0));
    let all = keys.listed();
    let address = |page| format!("https://iam.twilio.com/v1/Keys?AccountSid={ACCOUNT}&PageSize={size}&Page={page}&PageToken=PA{page}");
    let next = (all.len() > (page + 1) * size).then(|| address(page + 1));
    let keys: Vec<Value> = all.iter().skip(page * size).take(size).map(|key| shown(key)).collect();
    let meta = json!({ "page": page, "page_size": size, "first_page_url": address(0), "previous_page_url": null,
        "url": address(page), "next_page_url": next, "key": "keys" });
    (StatusCode::OK, json!({ "keys": keys, "meta": meta })).into()
}

fn shown(key: &Key) -> Value {
    let made = key.made.to_rfc2822();
    json!({ "sid": key.id, "friendly_name": key.name, "date_created": made, "date_updated": made })
}
