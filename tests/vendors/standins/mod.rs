//! What vendors' APIs look like from outside, each after its own reference.

pub mod anthropic;
pub mod azure_openai;
pub mod bedrock;
pub mod by_person;
pub mod cloudflare;
pub mod cloudflare_account;
pub mod datadog;
pub mod datadog_application;
pub mod deepgram;
pub mod fireworks;
pub mod gemini;
pub mod gemini_bound;
pub mod litellm;
pub mod mistral;
pub mod new_api;
pub mod openai_user;
pub mod openrouter;
pub mod relay_litellm;
pub mod sendgrid;
pub mod twilio;
pub mod xai;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

/// How many hours a key lives that is made now; so a lifetime can be one of the terms that must be taken over.
pub fn hours(ends: Option<DateTime<Utc>>) -> Value {
    ends.map_or(Value::Null, |end| ((end - Utc::now() + chrono::TimeDelta::minutes(30)).num_hours()).into())
}

/// The provider's block of a playbook that ships, for a relay at this address.
pub fn shipped(playbook: &str, url: &str, admin: &str) -> String {
    let block = playbook.lines().skip_while(|line| !line.starts_with("  http:")).skip(1);
    let block = block.map_while(|line| line.strip_prefix("    ")).fold(String::new(), |block, line| block + line + "\n");
    assert!(block.contains("https://relay.internal") && block.contains("env:RELAY_ADMIN_KEY"), "{block}");
    block.replace("https://relay.internal", url).replace("env:RELAY_ADMIN_KEY", admin)
}

/// A chat completion as OpenAI and its like answer it, whole or in pieces.
pub fn completion(call: &Call) -> Answer {
    if call.body["messages"][0]["content"].as_str().is_none() || !call.body["model"].is_string() {
        return (StatusCode::BAD_REQUEST, json!({ "error": { "message": "no messages", "code": 400 } })).into();
    }
    let head = json!({ "id": "chatcmpl-1", "created": 0, "model": call.body["model"] });
    let with = |object: &str, choice: Value| {
        let mut body = head.clone();
        body["object"] = object.into();
        body["choices"] = json!([choice]);
        body
    };
    if call.body["stream"] == true {
        let piece = |delta: Value, end: Option<&str>| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": end });
            format!("data: {}\n\n", with("chat.completion.chunk", choice))
        };
        let pieces = [piece(json!({ "role": "assistant" }), None), piece(json!({ "content": "ok" }), None), piece(json!({}), Some("stop"))];
        return Answer::Events(pieces.into_iter().chain(["data: [DONE]\n\n".into()]).collect());
    }
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "ok" }, "finish_reason": "stop" });
    (StatusCode::OK, with("chat.completion", choice)).into()
}
