use super::registry::Kind;
use crate::ports::Rollout;

/// All of them.
pub fn all() -> Vec<Kind<dyn Rollout>> {
    vec![]
}
