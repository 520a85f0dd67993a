//! Where services read the key.

pub mod aws_secretsmanager;
pub mod file;
pub mod form;
pub mod vault_kv2;

use super::kind::Kind;
use crate::ports::Store;

/// All of them.
pub fn all() -> Vec<Kind<dyn Store>> {
    vec![vault_kv2::KIND, aws_secretsmanager::KIND, file::KIND]
}
