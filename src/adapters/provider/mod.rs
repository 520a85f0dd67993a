pub mod vault_approle;

use super::registry::Kind;
use crate::ports::Provider;

/// All of them.
pub fn all() -> Vec<Kind<dyn Provider>> {
    vec![vault_approle::KIND]
}
