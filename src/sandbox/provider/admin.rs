//! The organization's admin keys, in the shapes of openai-openapi (AdminApiKey…).

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    Key, World,
    reply::{Answer, cursored, error, missing},
};
use crate::{ids::KeyId, sandbox::server::Call, secret::Secret};

impl World {
    /// A new admin key, which ends after `lifetime`.
    pub(super) fn make_admin(&mut self, name: &str, lifetime: Option<Duration>) -> (KeyId, Secret) {
        let (mut key, secret) = self.mint("sk-admin", "key", name);
        key.expires_at = lifetime.map(|lifetime| key.created_at + lifetime);
        let id = key.id.clone();
        self.admins.push(key);
        (id, secret)
    }

    /// Whether an admin call with this key is let in.
    pub(super) fn admits(&mut self, secret: &Secret) -> bool {
        let digest = secret.sha256();
        self.admins.iter_mut().find(|key| key.sha256 == digest).is_some_and(Key::call)
    }
}

pub(super) fn answer(world: &mut World, call: &Call, method: &str, path: &[&str]) -> Answer {
    match (method, path) {
        ("POST", []) => {
            let Some(name) = call.body.get("name").and_then(Value::as_str) else {
                return error(StatusCode::BAD_REQUEST, "missing_required_parameter", "name is missing");
            };
            let lifetime = call.body.get("expires_in_seconds").and_then(Value::as_u64).map(Duration::from_secs);
            let (_, secret) = world.make_admin(name, lifetime);
            let Some(key) = world.admins.last() else { return missing() };
            let mut body = shown(key);
            body["value"] = json!(secret.reveal());
            (StatusCode::OK, body)
        }
        ("GET", []) => {
            let keys: Vec<_> = world.admins.iter().filter(|key| key.dies.is_none()).map(|key| (key.id.as_str(), shown(key))).collect();
            cursored(call, world.page, &keys)
        }
        ("GET", [id]) => match world.admins.iter().find(|key| key.id.as_str() == *id && key.dies.is_none()) {
            Some(key) => (StatusCode::OK, shown(key)),
            None => missing(),
        },
        ("DELETE", [id]) => {
            let dies = Instant::now() + world.dies_after;
            let Some(key) = world.admins.iter_mut().find(|key| key.id.as_str() == *id && key.dies.is_none()) else { return missing() };
            key.dies = Some(dies);
            (StatusCode::OK, json!({ "object": "organization.admin_api_key.deleted", "id": id, "deleted": true }))
        }
        _ => missing(),
    }
}

fn shown(key: &Key) -> Value {
    json!({
        "object": "organization.admin_api_key",
        "id": key.id.as_str(),
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at.timestamp(),
        "expires_at": key.expires_at.map(|at| at.timestamp()),
        "last_used_at": key.last_used.map(|at| at.timestamp()),
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": "user_sandbox",
            "name": "Somebody",
            "created_at": key.created_at.timestamp(),
            "role": "owner",
        },
    })
}
