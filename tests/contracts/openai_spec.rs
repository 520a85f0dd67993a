//! OpenAI's own specification, between the adapters and the stand-in: every request is one that it knows, and every answer is one that it promises.
//! So neither can drift from it, nor can both drift together.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// A part of openai-openapi's `openapi.json`; where it was cut from stands in it.
const SPECIFICATION: &str = include_str!("openai.openapi.json");

/// What keys are for; the specification's part is the administration.
const WORK: &str = "/chat/completions";

/// The specification, closed: what it does not know is wrong.
pub struct Specification(Value);

/// One operation of it: `GET /organization/costs`.
type Operation = (String, String);

impl Specification {
    pub fn read() -> Self {
        let mut all: Value = serde_json::from_str(SPECIFICATION).expect("JSON");
        for schema in all["components"]["schemas"].as_object_mut().expect("schemas").values_mut() {
            close(schema, true);
        }
        close(&mut all["paths"], true);
        Self(all)
    }

    pub fn operations(&self) -> BTreeSet<Operation> {
        let paths = self.0["paths"].as_object().expect("paths");
        let methods = |(path, methods): (&String, &Value)| {
            let all = methods.as_object().expect("methods").keys();
            all.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(methods).collect()
    }

    /// The operation that a request is; `{…}` in its path stands for one segment.
    fn operation(&self, method: &str, path: &str) -> Option<Operation> {
        let fits = |pattern: &str| {
            let (want, have): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
            want.len() == have.len()
                && want.iter().zip(&have).all(|(want, have)| want == have || (want.starts_with('{') && !have.is_empty()))
        };
        self.operations().into_iter().find(|(known, pattern)| known == method && fits(pattern))
    }

    fn of(&self, operation: &Operation) -> &Value {
        &self.0["paths"][&operation.1][operation.0.to_lowercase()]
    }

    /// What is wrong with a request.
    fn request(&self, operation: &Operation, query: &str, body: &[u8]) -> Vec<String> {
        let spec = self.of(operation);
        let mut wrong = self.query(spec, query);
        let schema = &spec["requestBody"]["content"]["application/json"]["schema"];
        match (schema.is_null(), serde_json::from_slice::<Value>(body)) {
            (true, _) if body.is_empty() => {}
            (true, _) => wrong.push("a body where there is none".into()),
            (false, Ok(body)) => wrong.extend(self.fits(schema, &body)),
            (false, Err(_)) => wrong.push("no JSON".into()),
        }
        wrong
    }

    /// Parameters are known, have their type, and none that is required is missing. A list is written as OpenAI's own libraries write it, as
    /// `name[]=a&name[]=b`, or as the specification has it, without brackets.
    fn query(&self, spec: &Value, query: &str) -> Vec<String> {
        let none = Vec::new();
        let known = spec["parameters"].as_array().unwrap_or(&none).iter().filter(|parameter| parameter["in"] == "query");
        let known: Map<String, Value> = known.map(|one| (one["name"].as_str().expect("a name").to_owned(), one.clone())).collect();
        let (mut given, mut wrong) = (Map::new(), Vec::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let plain = name.strip_suffix("[]").unwrap_or(&name);
            let kind = known.get(plain).map(|known| known["schema"]["type"].as_str().unwrap_or_default());
            match kind {
                Some("array") => {
                    given.entry(plain).or_insert_with(|| json!([])).as_array_mut().expect("a list").push(value.into());
                }
                Some(kind) if plain == name => {
                    let number = (kind == "integer").then(|| value.parse::<i64>().ok()).flatten();
                    given.insert(name.into(), number.map_or_else(|| Value::from(&*value), Value::from));
                }
                _ => wrong.push(format!("no such parameter: {name}")),
            }
        }
        for (name, parameter) in &known {
            match given.get(name) {
                Some(value) => wrong.extend(self.fits(&parameter["schema"], value).into_iter().map(|what| format!("{name}: {what}"))),
                None if parameter["required"] == true => wrong.push(format!("{name} is missing")),
                None => {}
            }
        }
        wrong
    }

    /// What is wrong with an answer. Refusals that an operation does not list are errors in OpenAI's one shape.
    fn reply(&self, operation: &Operation, status: u16, body: &Value) -> Vec<String> {
        let listed = &self.of(operation)["responses"][status.to_string()]["content"]["application/json"]["schema"];
        match (listed.is_null(), status < 400) {
            (false, _) => self.fits(listed, body),
            (true, false) => self.fits(&json!({ "$ref": "#/components/schemas/ErrorResponse" }), body),
            (true, true) => vec![format!("it never answers {status}")],
        }
    }

    fn fits(&self, schema: &Value, value: &Value) -> Vec<String> {
        let whole = json!({ "allOf": [schema], "unevaluatedProperties": false, "components": self.0["components"] });
        let validator = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&whole).expect("a schema");
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

/// Each object takes no fields but its own; parts of a whole (`allOf`, and a component, which may be one) are closed where they are named.
fn close(value: &mut Value, part: bool) {
    match value {
        Value::Object(fields) => {
            let names =
                fields.get("$ref").is_some() || fields.get("properties").is_some_and(Value::is_object) || fields.contains_key("allOf");
            for (name, below) in fields.iter_mut() {
                match below.as_array_mut() {
                    Some(parts) if name == "allOf" => parts.iter_mut().for_each(|below| close(below, true)),
                    Some(items) => items.iter_mut().for_each(|below| close(below, false)),
                    // Names of fields, not of keywords.
                    None if name == "properties" => below.as_object_mut().into_iter().flatten().for_each(|(_, field)| close(field, false)),
                    None => close(below, false),
                }
            }
            if names && !part {
                fields.insert("unevaluatedProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|below| close(below, false)),
        _ => {}
    }
}

/// What went through.
#[derive(Default)]
pub struct Seen {
    pub wrong: Vec<String>,
    pub operations: BTreeSet<Operation>,
}

struct Way {
    to: String,
    specification: Specification,
    client: reqwest::Client,
    seen: Mutex<Seen>,
}

/// Stands before a server and reads everything that goes through.
pub struct Witness {
    way: Arc<Way>,
    pub url: String,
    _end: tokio_util::sync::DropGuard,
}

impl Witness {
    /// Before the server at this address, with its version.
    pub async fn before(to: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let way = Arc::new(Way { to, specification: Specification::read(), client: reqwest::Client::new(), seen: Mutex::default() });
        let app = Router::new().fallback(through).with_state(way.clone());
        let end = tokio_util::sync::CancellationToken::new();
        let serving = axum::serve(listener, app).with_graceful_shutdown(end.clone().cancelled_owned());
        tokio::spawn(async move { serving.await });
        Self { way, url, _end: end.drop_guard() }
    }

    /// Nothing was wrong, and each of these operations was called.
    #[track_caller]
    pub fn all_right(&self, called: impl Fn(&Operation) -> bool) {
        let seen = self.way.seen.lock().expect("not poisoned");
        assert!(seen.wrong.is_empty(), "{:#?}", seen.wrong);
        let all: BTreeSet<_> = self.way.specification.operations().into_iter().filter(|operation| called(operation)).collect();
        assert_eq!(seen.operations, all, "everything in the specification's part is called, and nothing else");
    }
}

async fn through(State(way): State<Arc<Way>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().strip_prefix("/v1").unwrap_or_default();
    let query = uri.query().unwrap_or_default();
    let operation = way.specification.operation(method.as_str(), path);
    let note = |what: Vec<String>| {
        let mut seen = way.seen.lock().expect("not poisoned");
        seen.operations.extend(operation.clone());
        seen.wrong.extend(what.into_iter().map(|what| format!("{method} {path}?{query}: {what}")));
    };
    match &operation {
        Some(operation) => note(way.specification.request(operation, query, &body)),
        None if path != WORK => note(vec!["no such operation".into()]),
        None => {}
    }
    let mut request = way.client.request(method.clone(), format!("{}{path}?{query}", way.to));
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let Ok(reply) = request.body(body).send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, kind) = (reply.status(), reply.headers().get("content-type").cloned());
    let Ok(body) = reply.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    if let Some(operation) = &operation {
        match serde_json::from_slice(&body) {
            Ok(body) => note(
                way.specification.reply(operation, status.as_u16(), &body).into_iter().map(|what| format!("answered {what}")).collect(),
            ),
            Err(_) => note(vec!["answered without JSON".into()]),
        }
    }
    let mut response = (status, body).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert("content-type", kind);
    }
    response
}

/// What is unknown, missing or of another type is found, in a request and in an answer, at any depth.
#[test]
fn the_specification_bites() {
    let specification = Specification::read();
    let request = |method: &str, path: &str, query: &str, body: Value| {
        let operation = specification.operation(method, path).unwrap_or_else(|| panic!("{method} {path}"));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        specification.request(&operation, query, &body)
    };
    let (accounts, keys) = ("/organization/projects/proj_1/service_accounts", "/organization/projects/proj_1/api_keys");
    let usage = "/organization/usage/completions";
    for (wrong, method, path, query, body) in [
        (false, "POST", accounts, "", json!({ "name": "new" })),
        (true, "POST", accounts, "", json!({ "title": "new" })),
        (true, "POST", accounts, "", json!({ "name": "new", "scopes": ["all"] })),
        (true, "POST", accounts, "", json!({ "name": 7 })),
        (true, "POST", accounts, "", Value::Null),
        (true, "POST", accounts, "dry_run=true", json!({ "name": "new" })),
        (false, "GET", keys, "limit=100&owner_project_access=any&after=key_1", Value::Null),
        (true, "GET", keys, "limit=many", Value::Null),
        (true, "GET", keys, "owner_project_access=all", Value::Null),
        (true, "GET", keys, "limit=100", json!({})),
        (false, "GET", usage, "start_time=1&group_by[]=api_key_id&api_key_ids[]=a&api_key_ids[]=b", Value::Null),
        (false, "GET", usage, "start_time=1&group_by=api_key_id", Value::Null),
        (true, "GET", usage, "group_by[]=api_key_id", Value::Null),
        (true, "GET", usage, "start_time=1&group_by[]=colour", Value::Null),
        (true, "GET", usage, "start_time[]=1", Value::Null),
    ] {
        let found = request(method, path, query, body.clone());
        assert_eq!(!found.is_empty(), wrong, "{method} {path}?{query} {body}: {found:?}");
    }
    assert!(specification.operation("PUT", accounts).is_none() && specification.operation("DELETE", "/organization/costs").is_none());

    let list = specification.operation("GET", accounts).expect("known");
    let good = json!({ "object": "list", "first_id": null, "last_id": null, "has_more": false, "data": [
        { "object": "organization.project.service_account", "id": "svc_1", "name": "a", "role": "member", "created_at": 1 }
    ] });
    assert_eq!(specification.reply(&list, 200, &good), Vec::<String>::new());
    assert!(!specification.reply(&list, 201, &good).is_empty(), "it never answers 201");
    for (place, value) in [("/data/0/id", json!(1)), ("/data/0/role", json!("king")), ("/has_more", json!(null))] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).expect("there") = value;
        assert!(!specification.reply(&list, 200, &bad).is_empty(), "{place}");
    }
    let mut bad = good.clone();
    bad["data"][0]["colour"] = "blue".into();
    assert!(!specification.reply(&list, 200, &bad).is_empty(), "an unknown field, deep in it");
    bad["data"][0].as_object_mut().expect("an object").retain(|name, _| name != "colour" && name != "created_at");
    assert!(!specification.reply(&list, 200, &bad).is_empty(), "a field that is missing");
    assert!(!specification.reply(&list, 404, &json!({ "message": "no" })).is_empty(), "an error of another shape");
}
