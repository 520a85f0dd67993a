//! What an adapter tells of itself.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use super::Ctx;
use crate::playbook::{Block, Fault};

/// One adapter of a port.
pub struct Kind<P: ?Sized> {
    /// Its name in a playbook.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The JSON Schema of its block.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Builds it from its block. Reads no secret and calls nobody.
    pub build: fn(&Block, &Ctx) -> Result<Arc<P>, Fault>,
}
