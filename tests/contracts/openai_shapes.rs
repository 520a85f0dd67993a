//! The stand-in speaks as OpenAI's specification says, so that what the adapter reads from it is what OpenAI sends.

use keyroll::sandbox::provider::{PROJECT, SandboxProvider};
use reqwest::Method;
use serde_json::{Value, json};

/// Some schemas of openai-openapi's `openapi.json` (2.3.0), descriptions left out.
const SHAPES: &str = include_str!("openai-shapes.json");

/// Whether a value has a schema's type, its required fields and no others.
fn fits(shapes: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return fits(shapes, &shapes[name], value, &format!("{at} ({name})"));
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let choice = choices.iter().find(|choice| (choice["type"] == "null") == value.is_null());
        return fits(shapes, choice.unwrap_or_else(|| panic!("{at}: no choice")), value, at);
    }
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(value), "{at}: {value} is none of {values:?}");
    }
    match schema["type"].as_str() {
        Some("string") => assert!(value.is_string(), "{at}"),
        Some("integer") => assert!(value.is_i64(), "{at}"),
        Some("boolean") => assert!(value.is_boolean(), "{at}"),
        Some("null") => assert!(value.is_null(), "{at}"),
        Some("array") => {
            let items = value.as_array().unwrap_or_else(|| panic!("{at}: a list"));
            assert!(!items.is_empty(), "{at}: something to compare");
            items.iter().for_each(|item| fits(shapes, &schema["items"], item, at));
        }
        Some("object") => {
            let fields = value.as_object().unwrap_or_else(|| panic!("{at}: an object"));
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(required.as_str().unwrap_or_default()), "{at} lacks {required}");
            }
            for (name, field) in fields {
                let known = &schema["properties"][name];
                assert!(!known.is_null(), "{at} has {name}, which the specification does not know");
                fits(shapes, known, field, &format!("{at}.{name}"));
            }
        }
        other => panic!("{at}: a schema of type {other:?}"),
    }
}

#[tokio::test]
async fn the_stand_in_fits_the_specification() {
    let shapes: Value = serde_json::from_str(SHAPES).expect("JSON");
    let server = SandboxProvider::start().await.expect("a port");
    server.seed_user_key("a person's");
    let (id, secret) = server.seed_key("by hand");
    let client = reqwest::Client::new();
    let models = client.get(format!("{}/models", server.base_url())).bearer_auth(secret.reveal()).send().await.expect("an answer");
    assert!(models.status().is_success());

    let accounts = "service_accounts".to_owned();
    for (method, path, body, schema) in [
        (Method::POST, accounts.clone(), Some(json!({ "name": "new" })), "ProjectServiceAccountCreateResponse"),
        (Method::GET, accounts.clone(), None, "ProjectServiceAccountListResponse"),
        (Method::GET, "api_keys?limit=100&owner_project_access=any".into(), None, "ProjectApiKeyListResponse"),
        (Method::DELETE, format!("{accounts}/{id}"), None, "ProjectServiceAccountDeleteResponse"),
    ] {
        let url = format!("{}/organization/projects/{PROJECT}/{path}", server.base_url());
        let mut request = client.request(method.clone(), url).bearer_auth(server.admin_key().reveal());
        if let Some(body) = body {
            fits(&shapes, &shapes["ProjectServiceAccountCreateRequest"], &body, "the request");
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200, "{method} {path}");
        fits(&shapes, &shapes[schema], &response.json().await.expect("JSON"), schema);
    }
}
