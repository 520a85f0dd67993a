//! How a consumer is made to pick a key up, where it does not by itself.

use super::kind::Kind;
use crate::ports::Rollout;

mod exec;
mod http;

/// All of them.
pub fn all() -> Vec<Kind<dyn Rollout>> {
    vec![http::KIND, exec::KIND]
}
