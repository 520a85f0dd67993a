//! Vendors whose keys only a person can make: a call that the key may make, each vendor's own refusal, and where there is one the revocation by value.

use axum::http::StatusCode;
use keyroll::sandbox::server::{Answer, Call};
use serde_json::{Value, json};

use crate::site::{Keys, Vendor, random};

/// What a vendor's page says of it.
struct Page {
    name: &'static str,
    begins: &'static str,
    probe: &'static str,
    chat: &'static str,
    revoke: &'static str,
    /// How a value is refused that is no key.
    refusal: fn() -> Value,
    /// How a key that works is answered.
    answer: fn() -> Value,
}

fn answer(page: &Page, keys: &mut Keys, call: &Call) -> Answer {
    let bearer = call.bearer();
    if call.method == "POST" && call.path == page.revoke {
        let Some(values) = call.body["credentials"].as_array() else { return (StatusCode::UNPROCESSABLE_ENTITY, json!({})).into() };
        let ids: Vec<String> =
            keys.all.iter().filter(|key| values.iter().any(|value| *value == key.value)).map(|key| key.id.clone()).collect();
        for id in ids {
            keys.delete(&id);
        }
        return (StatusCode::ACCEPTED, json!({})).into();
    }
    if call.path != page.probe && call.path != page.chat {
        return (StatusCode::NOT_FOUND, json!({ "error": "no such page" })).into();
    }
    match keys.call(bearer.reveal()) {
        false => (StatusCode::UNAUTHORIZED, (page.refusal)()).into(),
        true if call.path == page.chat => super::completion(call),
        true => (StatusCode::OK, (page.answer)()).into(),
    }
}

fn models() -> Value {
    json!({ "object": "list", "data": [{ "id": "m-1", "object": "model" }] })
}

fn openai_like() -> Value {
    json!({ "error": { "message": "Invalid API Key", "type": "invalid_request_error", "code": "invalid_api_key" } })
}

macro_rules! people {
    ($($module:ident: $page:expr;)*) => {
        $(pub mod $module {
            #[allow(clippy::wildcard_imports)]
            use super::*;

            const PAGE: &Page = &$page;

            pub fn vendor() -> Vendor {
                Vendor {
                    name: PAGE.name,
                    block: |url, _| format!("base_url: \"{url}\""),
                    shape: |keys, call| answer(PAGE, keys, call),
                    seed: |keys, name| {
                        keys.make(random(12), PAGE.begins, name, Value::Null);
                    },
                    create: ("POST", "/nowhere"),
                    delete: ("POST", PAGE.revoke),
                    list: ("GET", "/nowhere"),
                    probe: ("GET", PAGE.probe),
                    // 401 means death only with the vendor's own word.
                    unclear: &[401, 402, 403, 404, 429, 500, 503],
                    model: "m-1",
                    page: 100,
                    seeds: 1,
                }
            }
        })*

    };
}

people! {
    groq: Page {
        name: "groq", begins: "gsk_", probe: "/models", chat: "/chat/completions", revoke: "-", refusal: openai_like, answer: models,
    };
    together: Page {
        name: "together", begins: "tgp_v1_", probe: "/models", chat: "/chat/completions", revoke: "-", refusal: openai_like,
        answer: || json!([{ "id": "m-1", "object": "model" }]),
    };
    cohere: Page {
        name: "cohere", begins: "", probe: "/v1/models", chat: "/compatibility/v1/chat/completions", revoke: "-",
        refusal: || json!({ "id": "5d0b", "message": "invalid api token" }), answer: || json!({ "models": [{ "name": "m-1" }] }),
    };
    deepseek: Page {
        name: "deepseek", begins: "sk-", probe: "/models", chat: "/chat/completions", revoke: "-",
        refusal: || json!({ "error": {
            "message": "Authentication Fails, Your api key: ****1234 is invalid", "type": "authentication_error", "param": null,
            "code": "invalid_request_error",
        } }),
        answer: models,
    };
    mistral_console: Page {
        name: "mistral_console", begins: "", probe: "/models", chat: "/chat/completions", revoke: "-",
        refusal: || json!({ "detail": "Unauthorized" }), answer: models,
    };
    stripe: Page {
        name: "stripe", begins: "rk_live_", probe: "/v1/balance", chat: "-", revoke: "-",
        refusal: || json!({ "error": { "message": "Invalid API Key provided: rk_live_****1234", "type": "invalid_request_error" } }),
        answer: || json!({ "object": "balance", "available": [] }),
    };
    github_pat: Page {
        name: "github_pat", begins: "github_pat_", probe: "/rate_limit", chat: "-", revoke: "/credentials/revoke",
        refusal: || json!({ "message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401" }),
        answer: || json!({ "resources": { "core": { "limit": 5000, "remaining": 4999 } } }),
    };
    hugging_face: Page {
        name: "hugging_face", begins: "hf_", probe: "/api/whoami-v2", chat: "-", revoke: "/api/credentials/revoke",
        refusal: || json!({ "error": "Invalid user token." }), answer: || json!({ "type": "user", "name": "somebody" }),
    };
}
