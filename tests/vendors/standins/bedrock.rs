//! IAM's query API, as its reference has it (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceSpecificCredential.html> and its
//! neighbours), Bedrock's listing of models, and its runtime's Converse
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>). What a value that is no key is told, and what a value is made of, is what clients report.

use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{ADMIN, Key, Keys, Vendor, random};

pub fn vendor() -> Vendor {
    Vendor {
        name: "bedrock",
        block: |url, admin| {
            format!(
                "user: chat\nregion: us-east-1\nendpoint: \"{url}\"\nbedrock_url: \"{url}\"\nruntime_url: \"{url}\"\ncredentials: {{ access_key_id: {admin}, secret_access_key: {admin} }}"
            )
        },
        shape: answer,
        seed: |keys, _| {
            make(keys, Some(30));
        },
        create: ("POST", "/CreateServiceSpecificCredential"),
        delete: ("POST", "/DeleteServiceSpecificCredential"),
        list: ("POST", "/ListServiceSpecificCredentials"),
        probe: ("GET", "/foundation-models"),
        // 403 means death only with its words.
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "us.amazon.nova-micro-v1:0",
        page: 100,
        seeds: 1,
    }
}

fn make(keys: &mut Keys, days: Option<i64>) -> &mut Key {
    let alias = format!("BedrockAPIKey-{}-at-123456789012", random(4));
    let key = keys.make(format!("ACCA{}", random(16).to_uppercase()), "", "", json!({ "days": days }));
    key.value = format!("ABSK{}", BASE64_STANDARD.encode(format!("{alias}:{}", key.value)));
    key.expires = days.map(|days| Utc::now().trunc_subsecs(0) + TimeDelta::days(days));
    key
}

fn alias(key: &Key) -> String {
    let decoded = BASE64_STANDARD.decode(&key.value[4..]).expect("made here");
    String::from_utf8(decoded).expect("made here").split(':').next().unwrap_or_default().to_owned()
}

fn shown(key: &Key) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "CreateDate": time(key.made), "ExpirationDate": key.expires.map(time), "ServiceName": "bedrock.amazonaws.com", "UserName": "chat",
        "ServiceCredentialAlias": alias(key), "ServiceSpecificCredentialId": key.id, "Status": if key.enabled { "Active" } else { "Inactive" },
    })
}

fn error(status: StatusCode, code: &str) -> Answer {
    (status, json!({ "ErrorResponse": { "Error": { "Type": "Sender", "Code": code, "Message": "as told" }, "RequestId": "r-1" } })).into()
}

fn done(action: &str, result: &Value) -> Answer {
    let body = json!({ format!("{action}Result"): result, "ResponseMetadata": { "RequestId": "r-1" } });
    (StatusCode::OK, json!({ format!("{action}Response"): body })).into()
}

/// A value that is no key.
fn unknown() -> Answer {
    (StatusCode::FORBIDDEN, json!({ "Message": "Authentication failed: Please make sure your API Key is valid." })).into()
}

/// A message, whole or in frames.
fn conversation(model: &str, operation: &str, call: &Call) -> Answer {
    let asked = &call.body["messages"][0];
    if model != "us.amazon.nova-micro-v1%3A0" || asked["role"] != "user" || !asked["content"][0]["text"].is_string() {
        return (StatusCode::BAD_REQUEST, json!({ "message": "The provided model identifier is invalid." })).into();
    }
    match operation {
        "converse" => {
            let body = json!({
                "output": { "message": { "role": "assistant", "content": [{ "text": "ok" }] } }, "stopReason": "end_turn",
                "usage": { "inputTokens": 9, "outputTokens": 1, "totalTokens": 10 }, "metrics": { "latencyMs": 200 },
            });
            (StatusCode::OK, body).into()
        }
        "converse-stream" => Answer::Bytes(EVENTS, stream().concat()),
        _ => (StatusCode::NOT_FOUND, json!({ "message": "UnknownOperation" })).into(),
    }
}

/// The content type of AWS's event streams.
pub const EVENTS: &str = "application/vnd.amazon.eventstream";

/// The frames of a whole answer.
pub fn stream() -> Vec<Vec<u8>> {
    [
        ("messageStart", json!({ "role": "assistant" })),
        ("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": { "text": "ok" } })),
        ("contentBlockStop", json!({ "contentBlockIndex": 0 })),
        ("messageStop", json!({ "stopReason": "end_turn" })),
        ("metadata", json!({ "usage": { "inputTokens": 9, "outputTokens": 1, "totalTokens": 10 }, "metrics": { "latencyMs": 200 } })),
    ]
    .map(|(kind, payload)| frame(&[(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], &payload))
    .into()
}

/// A frame of AWS's event stream.
pub fn frame(headers: &[(&str, &str)], payload: &Value) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).expect("short").to_be_bytes();
    let mut told = Vec::new();
    for (name, value) in headers {
        told.push(u8::try_from(name.len()).expect("short"));
        told.extend(name.bytes().chain([7]).chain(u16::try_from(value.len()).expect("short").to_be_bytes()).chain(value.bytes()));
    }
    let payload = payload.to_string().into_bytes();
    let mut frame = [length(12 + told.len() + payload.len() + 4), length(told.len())].concat();
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(told.into_iter().chain(payload));
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

/// The checksum that gzip has, too.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    let text = |field: &str| call.body[field].as_str().unwrap_or_default().to_owned();
    let action = text("Action");
    if call.path == "/foundation-models" {
        return match keys.call(call.bearer().reveal()) {
            true => (StatusCode::OK, json!({ "modelSummaries": [{ "modelId": "amazon.nova-micro-v1:0" }] })).into(),
            false => unknown(),
        };
    }
    if let [_, "model", model, operation] = call.path.split('/').collect::<Vec<_>>().as_slice() {
        return if keys.call(call.bearer().reveal()) { conversation(model, operation, call) } else { unknown() };
    }
    if !call.header("authorization").starts_with(&format!("AWS4-HMAC-SHA256 Credential={ADMIN}/")) {
        return error(StatusCode::FORBIDDEN, "InvalidClientTokenId");
    }
    if text("UserName") != "chat" {
        return error(StatusCode::NOT_FOUND, "NoSuchEntity");
    }
    let id = text("ServiceSpecificCredentialId");
    match action.as_str() {
        "ListServiceSpecificCredentials" => {
            let listed: Vec<Value> = keys.listed().into_iter().map(shown).collect();
            done(&action, &json!({ "ServiceSpecificCredentials": listed, "IsTruncated": "false" }))
        }
        "CreateServiceSpecificCredential" if text("ServiceName") != "bedrock.amazonaws.com" => {
            error(StatusCode::NOT_FOUND, "NotSupportedService")
        }
        "CreateServiceSpecificCredential" if keys.listed().len() > 1 => error(StatusCode::CONFLICT, "LimitExceeded"),
        "CreateServiceSpecificCredential" => {
            let key = make(keys, text("CredentialAgeDays").parse().ok());
            let mut told = shown(key);
            told["ServiceCredentialSecret"] = key.value.clone().into();
            done(&action, &json!({ "ServiceSpecificCredential": told }))
        }
        "UpdateServiceSpecificCredential" => match keys.find(&id) {
            Some(key) => {
                key.enabled = text("Status") == "Active";
                done(&action, &Value::Null)
            }
            None => error(StatusCode::NOT_FOUND, "NoSuchEntity"),
        },
        "DeleteServiceSpecificCredential" => match keys.delete(&id) {
            true => done(&action, &Value::Null),
            false => error(StatusCode::NOT_FOUND, "NoSuchEntity"),
        },
        _ => error(StatusCode::BAD_REQUEST, "InvalidAction"),
    }
}

/// The same as XML, as AWS's query protocol writes it: items of a list are its members, and what is null is not there.
pub fn xml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let there = fields.iter().filter(|(name, value)| !value.is_null() || name.ends_with("Result"));
            there.map(|(name, value)| format!("<{name}>{}</{name}>", xml(value))).collect()
        }
        Value::Array(items) => items.iter().map(|item| format!("<member>{}</member>", xml(item))).collect(),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        plain => plain.to_string(),
    }
}
