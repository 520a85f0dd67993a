pub mod vault_kv2;

use super::registry::Kind;
use crate::ports::Store;

/// All of them.
pub fn all() -> Vec<Kind<dyn Store>> {
    vec![vault_kv2::KIND]
}
