//! Where services read the key.

pub mod file;
pub mod form;

use super::registry::Kind;
use crate::ports::Store;

/// All of them.
pub fn all() -> Vec<Kind<dyn Store>> {
    vec![file::KIND]
}
