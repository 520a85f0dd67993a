//! What a virtual key of LiteLLM is made with: rights, limits, owners, and what a proxy does with its requests.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kit::{self, Lifetime};
use crate::{
    playbook::Limits,
    ports::{Failure, Got, Kept},
    protocol::{Bound, Bounds},
};

/// What goes into a create as it stands in the old key: rights, limits, owners, and what a proxy does with its requests.
const KEPT: &[&str] = &[
    "models",
    "aliases",
    "config",
    "router_settings",
    "user_id",
    "team_id",
    "agent_id",
    "project_id",
    "organization_id",
    "permissions",
    "metadata",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "max_budget",
    "budget_duration",
    "budget_id",
    "model_max_budget",
    "budget_fallbacks",
    "allowed_cache_controls",
    "allowed_routes",
    "policies",
    "access_group_ids",
    "auto_rotate",
    "rotation_interval",
];

/// What a key is made with, and how long it lives.
#[derive(Serialize, Deserialize)]
pub struct Terms {
    pub(super) body: Map<String, Value>,
    pub(super) lives: Lifetime,
}

/// Where a key may hold credentials of others, say of where its calls are logged to (<https://docs.litellm.ai/docs/proxy/team_logging>).
/// They go into a create, and nowhere else.
const PRIVATE: &[(&str, Option<&str>)] =
    &[("config", None), ("router_settings", None), ("metadata", Some("logging")), ("metadata", Some("callback_settings"))];

/// What can be shown and written down; and the names of the rest.
fn public(mut body: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let mut private = Vec::new();
    for (field, within) in PRIVATE {
        let taken = match within {
            None => body.remove(*field),
            Some(name) => body.get_mut(*field).and_then(Value::as_object_mut).and_then(|fields| fields.remove(*name)),
        };
        if taken.is_some_and(|value| !empty(&value)) {
            private.push(within.map_or_else(|| (*field).to_owned(), |name| format!("{field}.{name}")));
        }
    }
    (body, private)
}

/// LiteLLM's word for "not set", in each kind.
fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

impl Terms {
    pub(super) fn of(info: &Map<String, Value>) -> Got<Self> {
        let filled = |name: &str| info.get(name).filter(|value| !empty(value)).cloned();
        let mut body: Map<String, Value> = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), filled(name)?))).collect();
        if let Some(Value::Array(mut windows)) = filled("budget_limits") {
            windows.iter_mut().filter_map(Value::as_object_mut).for_each(|window| drop(window.remove("reset_at")));
            body.insert("budget_limits".into(), windows.into());
        }
        if let Some(Value::Object(mut objects)) = filled("object_permission") {
            objects.retain(|name, value| name != "object_permission_id" && !value.is_null());
            body.insert("object_permission".into(), objects.into());
        } else if filled("object_permission_id").is_some() {
            return Err(unread("object_permission"));
        }
        if body.contains_key("max_budget")
            && let Some(spent) = filled("spend")
        {
            body.insert("spend".into(), spent);
        }
        let time = |name: &str| info.get(name).and_then(Value::as_str);
        let end = info.get("expires").filter(|end| !end.is_null()).map(|end| end.as_str().unwrap_or_default());
        Ok(Self { body, lives: Lifetime::told(time("created_at"), end)? })
    }

    /// A monthly limit and a rate of the playbook take the place of the old key's.
    pub(super) fn limited(mut self, limits: &Limits) -> Self {
        if let Some(most) = limits.monthly {
            self.body.insert("max_budget".into(), most.into());
            self.body.insert("budget_duration".into(), "1mo".into());
        }
        if let Some(rate) = limits.requests_per_minute {
            self.body.insert("rpm_limit".into(), rate.into());
        }
        self
    }

    /// All of it that can be written down; the rest is named.
    pub(super) fn kept(self) -> Got<Kept> {
        let (body, without) = public(self.body);
        Ok(kit::keep(&Self { body, lives: self.lives })?.without(without))
    }

    /// Budgets of different windows cannot be compared: each window is an attribute of its own. LiteLLM begins 30d and 1mo on the same days.
    pub(super) fn bounds(self, made: DateTime<Utc>) -> Got<Bounds> {
        let (body, private) = public(self.body);
        let has = |name: &str| body.get(name);
        let most = |name: &str| match has(name) {
            None => Ok(Bound::Most(None)),
            Some(value) => value.as_f64().map(|most| Bound::Most(Some(most))).ok_or_else(|| unread(name)),
        };
        let only = |name: &str| match has(name) {
            None => Ok(Bound::Only(None)),
            Some(Value::Array(items)) => Ok(Bound::Only(Some(items.iter().map(text).collect::<BTreeSet<_>>()))),
            Some(_) => Err(unread(name)),
        };
        let whole = |name: &str| Bound::Only(has(name).map(|value| BTreeSet::from([kit::sorted(value).to_string()])));
        let is = |name: &str| Bound::Is(has(name).map_or_else(|| "none".into(), text));
        let window = match has("budget_duration").and_then(Value::as_str) {
            None => "in all",
            Some("30d" | "1mo") => "1mo",
            Some(other) => other,
        };
        let mut bounds =
            Bounds::from([(format!("max_budget in USD ({window})"), most("max_budget")?), ("expires_at".into(), self.lives.bound(made))]);
        for name in ["tpm_limit", "rpm_limit", "tpd_limit", "max_parallel_requests"] {
            bounds.insert(name.into(), most(name)?);
        }
        for name in ["models", "allowed_routes", "access_group_ids", "allowed_cache_controls"] {
            bounds.insert(name.into(), only(name)?);
        }
        for name in ["permissions", "object_permission", "model_max_budget", "budget_limits", "budget_id", "policies"] {
            bounds.insert(name.into(), whole(name));
        }
        for name in ["team_id", "user_id", "organization_id", "project_id", "agent_id", "metadata"] {
            bounds.insert(name.into(), is(name));
        }
        bounds.extend(private.into_iter().map(|name| (name, Bound::Is("not shown".into()))));
        Ok(bounds)
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| kit::sorted(value).to_string(), str::to_owned)
}

pub(super) fn unread(name: &str) -> Failure {
    Failure::unknown(format!("GET key/info of LiteLLM: `{name}` is not of the kind that is known"))
}
