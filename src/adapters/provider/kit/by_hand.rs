//! Commands for a person's own hands, for a vendor whose keys are made with POST and deleted by their id.

use reqwest::Method;
use serde_json::Value;

use super::Api;
use crate::{ids::KeyId, playbook::quoted, ports::ByHand};

/// The two requests; paths are appended to the API's address.
pub struct Rest<'a> {
    /// Where a key is made with POST.
    pub create: &'a str,
    /// The body, with a name in it.
    pub body: Value,
    /// Where the value stands in the answer, for `jq`: `.api_key.value`.
    pub value: &'a str,
    /// Where the id stands there.
    pub id: &'a str,
    /// How a key is deleted.
    pub method: Method,
    /// Where; `{id}` is the key's id.
    pub delete: &'a str,
    /// With what body, where there is one; `{id}` is the key's id.
    pub with: Option<&'a str>,
}

const JSON: &str = "-H 'Content-Type: application/json'";

/// Both in `curl`, with the login on standard input.
pub fn by_hand(api: &Api, rest: &Rest<'_>, key: Option<&KeyId>) -> ByHand {
    let login = api.login().shell();
    ByHand {
        create: vec![
            format!("answer=$({login} | curl -fsS -H @- {JSON} -d {} {})", quoted(&rest.body.to_string()), url(api, rest.create, key)),
            format!(
                "export NEW_KEY=$(printf %s \"$answer\" | jq -r {}) NEW_KEY_ID=$(printf %s \"$answer\" | jq -r {})",
                quoted(rest.value),
                quoted(rest.id)
            ),
        ],
        revoke: vec![revoked_by_hand(api, &rest.method, rest.delete, rest.with, key)],
    }
}

/// The deletion alone; `{id}` is the key's id.
pub fn revoked_by_hand(api: &Api, method: &Method, path: &str, with: Option<&str>, key: Option<&KeyId>) -> String {
    let with = with.map_or_else(String::new, |body| {
        let id = key.map_or("LEAKED_KEY_ID", KeyId::as_str);
        format!(" {JSON} -d {}", quoted(&body.replace("{id}", id)))
    });
    format!("{} | curl -fsS -X {method} -H @-{with} {}", api.login().shell(), url(api, path, key))
}

fn url(api: &Api, path: &str, key: Option<&KeyId>) -> String {
    match path.split_once("{id}") {
        // What the shell shall fill in must not stand in quotes that keep it from that.
        Some((before, after)) if key.is_none() => format!("{}\"$LEAKED_KEY_ID\"{}", quoted(&format!("{}{before}", api.base)), after),
        _ => quoted(&format!("{}{}", api.base, path.replace("{id}", key.map_or("", KeyId::as_str)))),
    }
}
