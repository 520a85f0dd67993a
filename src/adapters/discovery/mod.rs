use super::registry::Kind;
use crate::ports::Discovery;

/// All of them.
pub fn all() -> Vec<Kind<dyn Discovery>> {
    vec![]
}
