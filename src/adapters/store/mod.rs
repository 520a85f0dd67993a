//! Where services read the key.

pub mod aws_secretsmanager;
pub mod file;
pub mod form;

use super::registry::Kind;
use crate::ports::Store;

/// All of them.
pub fn all() -> Vec<Kind<dyn Store>> {
    vec![aws_secretsmanager::KIND, file::KIND]
}
