//! Azure Resource Manager and an Azure OpenAI account, as their references have them:
//! <https://learn.microsoft.com/en-us/rest/api/aiservices/accountmanagement/accounts/list-keys>, …/regenerate-key,
//! <https://learn.microsoft.com/en-us/rest/api/azureopenai/models/list>, and for the login
//! <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>. What a value that is no key is told is what clients report.

use axum::http::StatusCode;
use keyroll::{
    sandbox::server::{Answer, Call},
    secret::Secret,
};
use serde_json::{Value, json};

use crate::site::{ADMIN, Keys, Vendor};

/// What Entra gives for the client secret.
pub const TOKEN: &str = "eyJ0eXAi-resource-manager-5d0c";

const ACCOUNT: &str = "/subscriptions/sub-1/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/acme";

pub fn vendor() -> Vendor {
    Vendor {
        name: "azure_openai",
        block: |url, admin| block(url, &format!("{{ token: {admin} }}"), "Key2"),
        shape: answer,
        // Whoever makes an account gets both.
        seed: |keys, _| {
            keys.slots = true;
            fill(keys, "Key1");
            fill(keys, "Key2");
        },
        create: ("POST", "/subscriptions/sub-1/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/acme/regenerateKey"),
        delete: ("POST", "/subscriptions/sub-1/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/acme/regenerateKey"),
        list: ("POST", "/subscriptions/sub-1/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/acme/listKeys"),
        probe: ("GET", "/openai/models"),
        // 401 means death only with its words.
        unclear: &[400, 401, 403, 404, 429, 500, 503],
        model: "chat-production",
        page: 2,
        seeds: 1,
    }
}

/// A block with this login, and this slot where there is no key in use.
pub fn block(url: &str, login: &str, first: &str) -> String {
    format!(
        "subscription: sub-1\nresource_group: ai\naccount: acme\nlogin: {login}\nendpoint: \"{url}\"\nspare: unused\ninstall_into: {first}\nbase_url: \"{url}\""
    )
}

/// Another value in this slot; what was there dies.
fn fill(keys: &mut Keys, slot: &str) {
    if let Some(old) = keys.all.iter().find(|key| key.id.starts_with(slot) && key.dies.is_none()).map(|key| key.id.clone()) {
        keys.delete(&old);
    }
    let key = keys.make(slot, "", "", Value::Null);
    key.id = format!("{slot}-{}", &Secret::new(&key.value).sha256()[..16]);
}

fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    (status, json!({ "error": { "code": code, "message": message } })).into()
}

fn both(keys: &Keys) -> Answer {
    let value = |slot: &str| keys.listed().into_iter().find(|key| key.id.starts_with(slot)).map(|key| key.value.clone());
    (StatusCode::OK, json!({ "key1": value("Key1"), "key2": value("Key2") })).into()
}

fn answer(keys: &mut Keys, call: &Call) -> Answer {
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/openai/models") if !call.query.contains_key("api-version") => error(StatusCode::NOT_FOUND, "404", "Resource not found"),
        ("GET", "/openai/models") if keys.call(call.header("api-key")) => {
            (StatusCode::OK, json!({ "object": "list", "data": [{ "id": "gpt-5-mini", "object": "model", "status": "succeeded" }] })).into()
        }
        ("POST", "/openai/v1/chat/completions") if keys.call(call.header("api-key")) => super::completion(call),
        (_, "/openai/models" | "/openai/v1/chat/completions") => error(
            StatusCode::UNAUTHORIZED,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
        ),
        ("POST", "/dir-1/oauth2/v2.0/token") => granted(call),
        _ if ![ADMIN, TOKEN].contains(&call.bearer().reveal()) => {
            error(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", "The access token is invalid.")
        }
        _ if call.query.get("api-version").is_none_or(|version| version != "2025-09-01") => {
            error(StatusCode::BAD_REQUEST, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required.")
        }
        ("POST", path) => match (path.strip_prefix(ACCOUNT), call.body["keyName"].as_str()) {
            (Some("/listKeys"), _) => both(keys),
            (Some("/regenerateKey"), Some(slot @ ("Key1" | "Key2"))) => {
                fill(keys, slot);
                both(keys)
            }
            (Some("/regenerateKey"), _) => error(StatusCode::BAD_REQUEST, "InvalidRequestContent", "The key name is invalid."),
            _ => error(StatusCode::NOT_FOUND, "ResourceNotFound", "The Resource was not found."),
        },
        _ => error(StatusCode::NOT_FOUND, "ResourceNotFound", "The Resource was not found."),
    }
}

fn granted(call: &Call) -> Answer {
    let field = |name: &str| call.body[name].as_str().unwrap_or_default();
    let known = field("client_id") == "app-1" && field("client_secret") == ADMIN;
    match field("grant_type") == "client_credentials" && field("scope") == "https://management.azure.com/.default" {
        true if known => {
            (StatusCode::OK, json!({ "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": TOKEN })).into()
        }
        true => {
            let error = json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.", "error_codes": [7000215] });
            (StatusCode::UNAUTHORIZED, error).into()
        }
        false => (StatusCode::BAD_REQUEST, json!({ "error": "invalid_request", "error_description": "AADSTS900144" })).into(),
    }
}
