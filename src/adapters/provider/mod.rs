//! Who issues and revokes keys: one file a provider.

pub mod aws_iam;
pub mod http;
pub mod kit;
pub mod openai;
pub mod openai_admin;
mod openai_api;
mod openai_usage;
pub mod speech;
pub mod vault_approle;

use super::kind::Kind;
use crate::ports::Provider;

/// All of them.
pub fn all() -> Vec<Kind<dyn Provider>> {
    vec![openai::KIND, openai_admin::KIND, aws_iam::KIND, vault_approle::KIND, http::KIND]
}
