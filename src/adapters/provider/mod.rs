//! Who issues and revokes keys: one file a provider.

pub mod aws_iam;
pub mod http;
pub mod kit;
pub mod litellm;
pub mod openai;
pub mod openai_admin;
mod openai_api;
mod openai_usage;
pub mod openrouter;
pub mod speech;
pub mod vault_approle;
pub mod xai;

use super::kind::Vendor;

/// All of them.
pub fn all() -> Vec<Vendor> {
    vec![
        openai::VENDOR,
        openai_admin::VENDOR,
        openrouter::VENDOR,
        aws_iam::VENDOR,
        vault_approle::VENDOR,
        http::VENDOR,
        litellm::VENDOR,
        xai::VENDOR,
    ]
}
