//! What an adapter tells of itself.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use super::Ctx;
use crate::{
    playbook::{Block, Fault},
    ports::Provider,
};

/// What a person should know of a provider, beyond what its implementation shows.
#[derive(Clone, Copy)]
pub struct Facts {
    /// What the credential that keyroll calls with must be allowed to, a line each.
    pub needs: &'static [&'static str],
    /// What keyroll relies on though the vendor does not say it, or nobody has seen it: a line each.
    pub unconfirmed: &'static [&'static str],
    /// Where the vendor describes it.
    pub source: &'static str,
    /// A whole playbook that uses it.
    pub sample: &'static str,
}

impl Facts {
    /// Nothing is known.
    pub const NONE: Self = Self { needs: &[], unconfirmed: &[], source: "", sample: "" };
}

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

/// A provider, with what else a person should know of it.
pub struct Vendor {
    /// The adapter.
    pub kind: Kind<dyn Provider>,
    /// The rest.
    pub facts: Facts,
}

impl From<Kind<dyn Provider>> for Vendor {
    fn from(kind: Kind<dyn Provider>) -> Self {
        Self { kind, facts: Facts::NONE }
    }
}
