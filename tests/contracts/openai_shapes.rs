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
    if let Some([only]) = schema["oneOf"].as_array().map(Vec::as_slice) {
        return fits(shapes, only, value, at);
    }
    if schema["allOf"].is_array() {
        return fits(shapes, &merged(shapes, schema), value, at);
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

/// Schemas that hold all at once, as one.
fn merged(shapes: &Value, schema: &Value) -> Value {
    let mut whole = json!({ "type": "object", "properties": {}, "required": [] });
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = part["$ref"].as_str().map_or(part, |name| &shapes[name.rsplit('/').next().unwrap_or_default()]);
        for (name, field) in part["properties"].as_object().into_iter().flatten() {
            whole["properties"][name] = field.clone();
        }
        let required = part["required"].as_array().into_iter().flatten().cloned();
        whole["required"].as_array_mut().expect("a list").extend(required);
    }
    whole
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

#[tokio::test]
async fn its_admin_keys_fit_the_specification() {
    let shapes: Value = serde_json::from_str(SHAPES).expect("JSON");
    let server = SandboxProvider::start().await.expect("a port");
    let (id, _) = server.seed_admin_key("by hand", Some(std::time::Duration::from_secs(3600)));
    let one = format!("/{id}");
    for (method, path, body, schema) in [
        (Method::POST, "", Some(json!({ "name": "new", "expires_in_seconds": 3600 })), "AdminApiKeyCreateResponse"),
        (Method::POST, "", Some(json!({ "name": "new" })), "AdminApiKeyCreateResponse"),
        (Method::GET, "", None, "ApiKeyList"),
        (Method::GET, one.as_str(), None, "AdminApiKey"),
        (Method::DELETE, one.as_str(), None, "admin-api-keys-delete"),
    ] {
        let url = format!("{}/organization/admin_api_keys{path}", server.base_url());
        let mut request = reqwest::Client::new().request(method.clone(), url).bearer_auth(server.admin_key().reveal());
        if let Some(body) = body {
            fits(&shapes, &shapes["admin-api-keys-create"], &body, "the request");
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200, "{method} {path}");
        fits(&shapes, &shapes[schema], &response.json().await.expect("JSON"), schema);
    }
}

#[tokio::test]
async fn its_usage_fits_the_specification() {
    let shapes: Value = serde_json::from_str(SHAPES).expect("JSON");
    let server = SandboxProvider::start().await.expect("a port");
    let (_, secret) = server.seed_key("used");
    let start = chrono::Utc::now().timestamp();
    let call = reqwest::Client::new().post(format!("{}/chat/completions", server.base_url())).bearer_auth(secret.reveal());
    assert!(call.send().await.expect("an answer").status().is_success());
    let url = format!("{}/organization/usage/completions?start_time={start}&bucket_width=1m&group_by[]=api_key_id", server.base_url());
    let response = reqwest::Client::new().get(url).bearer_auth(server.admin_key().reveal()).send().await.expect("an answer");
    let mut page: Value = response.json().await.expect("JSON");
    // The minute may have ended in between.
    page["data"].as_array_mut().expect("a list").retain(|bucket| bucket["results"].as_array().is_some_and(|all| !all.is_empty()));
    fits(&shapes, &shapes["UsageResponse"], &page, "UsageResponse");
}

/// Nothing more than the specification takes, and the lifetime of the key that it is like.
#[tokio::test]
async fn a_create_is_sent_as_the_specification_says() {
    use keyroll::ports::Wanted;
    let shapes: Value = serde_json::from_str(SHAPES).expect("JSON");
    let bench = crate::provider_bench::Bench::openai_admin().await;
    let (like, _) = bench.server.seed_admin_key("ends", Some(std::time::Duration::from_secs(7 * 86_400)));
    for like in [None, Some(&like)] {
        let made = bench.provider.create(&Wanted { like, ..Wanted::named("new", "t") }).await;
        made.unwrap_or_else(|failure| panic!("{failure}"));
    }
    let bodies = bench.server.bodies("POST", bench.create);
    assert_eq!(bodies, [json!({ "name": "new" }), json!({ "name": "new", "expires_in_seconds": 7 * 86_400 })]);
    bodies.iter().for_each(|body| fits(&shapes, &shapes["admin-api-keys-create"], body, "the request"));
}
