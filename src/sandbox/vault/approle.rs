//! AppRole: roles, secret ids, logins.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Ask, World, bare, data, envelope, errors, random};

/// A role and its secret ids.
pub(super) struct Role {
    id: String,
    secret_ids: Vec<SecretId>,
}

struct SecretId {
    value: String,
    accessor: String,
    metadata: BTreeMap<String, String>,
    cidr_list: Value,
    created: String,
}

impl SecretId {
    fn show(&self) -> Value {
        json!({
            "secret_id_accessor": self.accessor, "metadata": self.metadata, "cidr_list": self.cidr_list, "token_bound_cidrs": [],
            "creation_time": self.created, "last_updated_time": self.created, "expiration_time": "0001-01-01T00:00:00Z",
            "secret_id_num_uses": 0, "secret_id_ttl": 0,
        })
    }
}

impl Role {
    /// Its secret ids were made so much earlier.
    pub(super) fn age(&mut self, by: TimeDelta) {
        for one in &mut self.secret_ids {
            one.created = (Utc::now() - by).to_rfc3339_opts(SecondsFormat::Nanos, true);
        }
    }
}

/// A new token for a role's id and one of its secret ids.
pub(super) fn login(world: &mut World, ask: &Ask<'_>) -> Response {
    let role = world.roles.values().find(|role| role.id == ask.text("role_id"));
    if !role.is_some_and(|role| role.secret_ids.iter().any(|one| one.value == ask.text("secret_id"))) {
        return errors(StatusCode::BAD_REQUEST, &["invalid role or secret ID"]);
    }
    let token = format!("hvs.{}", random());
    world.tokens.insert(token.clone());
    let auth = json!({
        "client_token": token, "accessor": random(), "policies": ["default"], "token_policies": ["default"], "metadata": {},
        "lease_duration": 2_764_800, "renewable": true, "entity_id": "", "token_type": "service", "orphan": true,
    });
    bare(envelope(Value::Null, auth))
}

/// Answers `auth/approle/role/REST`.
pub(super) fn answer(world: &mut World, ask: &Ask<'_>, rest: &str) -> Response {
    let (name, tail) = rest.split_once('/').unwrap_or((rest, ""));
    if (ask.method, tail) == ("POST", "") {
        world.roles.entry(name.to_owned()).or_insert_with(|| Role { id: random(), secret_ids: Vec::new() });
        return StatusCode::NO_CONTENT.into_response();
    }
    let Some(role) = world.roles.get_mut(name) else { return no_role(ask.method, name, tail) };
    let accessor = ask.text("secret_id_accessor");
    match (ask.method, tail) {
        ("GET", "") => data(json!({ "bind_secret_id": true, "secret_id_num_uses": 0, "secret_id_ttl": 0, "token_policies": ["default"] })),
        ("GET", "role-id") => data(json!({ "role_id": role.id })),
        ("LIST", "secret-id") if role.secret_ids.is_empty() => errors(StatusCode::NOT_FOUND, &[]),
        ("LIST", "secret-id") => data(json!({ "keys": role.secret_ids.iter().map(|one| &one.accessor).collect::<Vec<_>>() })),
        ("POST", "secret-id") => create(role, ask, random()),
        // Vault lets an operator bring a secret id of their own.
        ("POST", "custom-secret-id") => create(role, ask, ask.text("secret_id").to_owned()),
        ("POST", "secret-id/lookup") => {
            let found = role.secret_ids.iter().find(|one| one.value == ask.text("secret_id"));
            found.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |one| data(one.show()))
        }
        ("POST", "secret-id-accessor/lookup") => match role.secret_ids.iter().find(|one| one.accessor == accessor) {
            Some(one) => data(one.show()),
            None => (StatusCode::NOT_FOUND, Json(envelope(json!({ "error": unknown(accessor) }), Value::Null))).into_response(),
        },
        ("POST", "secret-id-accessor/destroy") => match role.secret_ids.iter().position(|one| one.accessor == accessor) {
            Some(place) => {
                role.secret_ids.remove(place);
                StatusCode::NO_CONTENT.into_response()
            }
            // As Vault does: not 404.
            None => errors(StatusCode::INTERNAL_SERVER_ERROR, &[&format!("1 error occurred:\n\t* {}\n\n", unknown(accessor))]),
        },
        _ => errors(StatusCode::METHOD_NOT_ALLOWED, &["1 error occurred:\n\t* unsupported operation\n\n"]),
    }
}

fn unknown(accessor: &str) -> String {
    format!("failed to find accessor entry for secret_id_accessor: {accessor:?}")
}

/// Vault tells a missing role in a different way at almost each path.
fn no_role(method: &str, name: &str, tail: &str) -> Response {
    let what = format!("role {name:?} does not exist");
    match (method, tail) {
        ("GET", _) => errors(StatusCode::NOT_FOUND, &[]),
        ("LIST", _) => errors(StatusCode::BAD_REQUEST, &[&what]),
        (_, "secret-id") => errors(StatusCode::NOT_FOUND, &[&what]),
        _ => errors(StatusCode::INTERNAL_SERVER_ERROR, &[&format!("1 error occurred:\n\t* {what}\n\n")]),
    }
}

fn create(role: &mut Role, ask: &Ask<'_>, value: String) -> Response {
    let metadata = match ask.text("metadata") {
        "" => BTreeMap::new(),
        text => match serde_json::from_str(text) {
            Ok(metadata) => metadata,
            Err(_) => return errors(StatusCode::BAD_REQUEST, &["failed to parse metadata"]),
        },
    };
    let made = SecretId {
        value,
        accessor: random(),
        metadata,
        cidr_list: ask.body.get("cidr_list").cloned().unwrap_or_else(|| json!([])),
        created: Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true),
    };
    let reply = json!({ "secret_id": made.value, "secret_id_accessor": made.accessor, "secret_id_num_uses": 0, "secret_id_ttl": 0 });
    role.secret_ids.push(made);
    data(reply)
}
