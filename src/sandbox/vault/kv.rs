//! KV v2: versions, check-and-set, metadata.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::{Ask, World, data, envelope, errors};

/// The versions kept where nobody says otherwise.
const KEPT: u64 = 10;

/// A secret with its versions.
#[derive(Default)]
pub(super) struct Key {
    versions: BTreeMap<u64, Version>,
    current: u64,
    max_versions: u64,
    cas_required: bool,
    marks: BTreeMap<String, String>,
    created: String,
}

struct Version {
    fields: Map<String, Value>,
    created: String,
    deleted: Option<String>,
}

impl Key {
    /// A new version; the oldest go where there are too many.
    pub(super) fn add(&mut self, fields: Map<String, Value>) -> u64 {
        if self.current == 0 {
            self.created = now();
        }
        self.current += 1;
        self.versions.insert(self.current, Version { fields, created: now(), deleted: None });
        let kept = if self.max_versions == 0 { KEPT } else { self.max_versions };
        let current = self.current;
        self.versions.retain(|number, _| number + kept > current);
        self.current
    }

    /// The current version's number and fields.
    pub(super) fn current(&self) -> Option<(u64, Map<String, Value>)> {
        let version = self.versions.get(&self.current).filter(|version| version.deleted.is_none())?;
        Some((self.current, version.fields.clone()))
    }

    fn stamp(&self, number: u64, version: &Version) -> Value {
        json!({
            "created_time": version.created, "deletion_time": version.deleted.as_deref().unwrap_or_default(),
            "destroyed": false, "version": number, "custom_metadata": self.marks(),
        })
    }

    fn marks(&self) -> Value {
        if self.marks.is_empty() { Value::Null } else { json!(self.marks) }
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn none() -> Response {
    errors(StatusCode::NOT_FOUND, &[])
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Answers `secret/REST`.
pub(super) fn answer(world: &mut World, ask: &Ask<'_>, rest: &str) -> Response {
    match (ask.method, rest.split_once('/')) {
        ("GET", None) if rest == "config" => data(json!({ "cas_required": false, "delete_version_after": "0s", "max_versions": 0 })),
        ("GET", Some(("data", path))) => read(world, path, ask.query),
        ("POST", Some(("data", path))) => write(world, path, &ask.body),
        ("DELETE", Some(("data", path))) => {
            let last = world.secrets.get_mut(path).and_then(|key| key.versions.get_mut(&key.current));
            if let Some(version) = last.filter(|version| version.deleted.is_none()) {
                version.deleted = Some(now());
            }
            done()
        }
        ("GET", Some(("metadata", path))) => world.secrets.get(path).map_or_else(none, metadata),
        ("POST", Some(("metadata", path))) => {
            let key = world.secrets.entry(path.to_owned()).or_default();
            if key.created.is_empty() {
                key.created = now();
            }
            settings(key, &ask.body);
            if let Some(marks) = ask.body["custom_metadata"].as_object() {
                key.marks = texts(marks).collect();
            }
            done()
        }
        ("PATCH", Some(("metadata", path))) => match world.secrets.get_mut(path) {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(key) => {
                settings(key, &ask.body);
                if let Some(marks) = ask.body["custom_metadata"].as_object() {
                    key.marks.retain(|name, _| marks.get(name) != Some(&Value::Null));
                    key.marks.extend(texts(marks));
                }
                done()
            }
        },
        ("DELETE", Some(("metadata", path))) => {
            world.secrets.remove(path);
            done()
        }
        _ => errors(StatusCode::METHOD_NOT_ALLOWED, &["1 error occurred:\n\t* unsupported operation\n\n"]),
    }
}

fn settings(key: &mut Key, body: &Value) {
    if let Some(kept) = body["max_versions"].as_u64() {
        key.max_versions = kept;
    }
    if let Some(required) = body["cas_required"].as_bool() {
        key.cas_required = required;
    }
}

fn texts(marks: &Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    marks.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
}

fn read(world: &World, path: &str, query: &str) -> Response {
    let Some(key) = world.secrets.get(path) else { return none() };
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "version").and_then(|(_, text)| text.parse().ok());
    let number = asked.filter(|number| *number > 0).unwrap_or(key.current);
    let Some(version) = key.versions.get(&number) else { return none() };
    let stamp = key.stamp(number, version);
    match version.deleted {
        // A deleted version is a 404 that tells what was deleted.
        Some(_) => {
            let body = envelope(json!({ "data": null, "metadata": stamp }), Value::Null);
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
        None => data(json!({ "data": version.fields, "metadata": stamp })),
    }
}

fn write(world: &mut World, path: &str, body: &Value) -> Response {
    let wrong = |what| errors(StatusCode::BAD_REQUEST, &[what]);
    let Some(fields) = body["data"].as_object() else { return wrong("no data provided") };
    let (current, required) = world.secrets.get(path).map_or((0, false), |key| (key.current, key.cas_required));
    match body["options"]["cas"].as_u64() {
        Some(cas) if cas != current => return wrong("check-and-set parameter did not match the current version"),
        None if required => return wrong("check-and-set parameter required for this call"),
        _ => {}
    }
    let key = world.secrets.entry(path.to_owned()).or_default();
    let number = key.add(fields.clone());
    key.versions.get(&number).map_or_else(none, |version| data(key.stamp(number, version)))
}

fn metadata(key: &Key) -> Response {
    let versions: Map<String, Value> = key
        .versions
        .iter()
        .map(|(number, version)| {
            let deleted = version.deleted.as_deref().unwrap_or_default();
            (number.to_string(), json!({ "created_time": version.created, "deletion_time": deleted, "destroyed": false }))
        })
        .collect();
    let last = key.versions.last_key_value().map_or(&key.created, |(_, version)| &version.created);
    data(json!({
        "cas_required": key.cas_required, "created_time": key.created, "current_version": key.current,
        "custom_metadata": key.marks(), "delete_version_after": "0s", "max_versions": key.max_versions,
        "oldest_version": key.versions.keys().next().copied().unwrap_or_default(), "updated_time": last, "versions": versions,
    }))
}
