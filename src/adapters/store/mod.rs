pub mod vault_kv2;
//! Where services read the key.

pub mod aws_secretsmanager;
pub mod file;
pub mod form;

use super::registry::Kind;
use crate::ports::Store;

/// All of them.
pub fn all() -> Vec<Kind<dyn Store>> {
    vec![vault_kv2::KIND, aws_secretsmanager::KIND, file::KIND]
}
