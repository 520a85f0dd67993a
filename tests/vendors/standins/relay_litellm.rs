//! A relay with LiteLLM's key management, rotated by `http`, with the shipped playbook.

use crate::{
    site::{Keys, Vendor},
    standins::litellm,
};

pub fn vendor() -> Vendor {
    Vendor {
        name: "http",
        block: |url, admin| super::shipped(include_str!("../../../playbooks/relay-litellm-http.yaml"), url, admin),
        seed: |keys, name| {
            let terms = serde_json::json!({ "models": ["gpt-4o-mini"], "max_budget": 50, "budget_duration": "30d" });
            litellm::make(keys, name, &terms, None);
        },
        unclear: &[400, 403, 404, 429, 500, 503],
        shape: |keys: &mut Keys, call| litellm::answer(keys, call),
        ..litellm::vendor()
    }
}
