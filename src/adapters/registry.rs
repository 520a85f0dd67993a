//! Every adapter there is, by name. Adding one touches its own file and one line here.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use super::Ctx;
use crate::{
    playbook::{Block, Fault},
    ports::{Discovery, Provider, Rollout, Store},
};

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

/// All adapters; a value, so that a user of the library can add their own.
pub struct Registry {
    /// Who issues keys.
    pub providers: Vec<Kind<dyn Provider>>,
    /// Where keys live.
    pub stores: Vec<Kind<dyn Store>>,
    /// How instances are found.
    pub discoveries: Vec<Kind<dyn Discovery>>,
    /// How consumers pick a key up.
    pub rollouts: Vec<Kind<dyn Rollout>>,
}

impl Registry {
    /// What comes with keyroll.
    pub fn builtin() -> Self {
        Self {
            providers: super::provider::all(),
            stores: super::store::all(),
            discoveries: super::discovery::all(),
            rollouts: super::rollout::all(),
        }
    }

    /// With one more provider.
    #[must_use]
    pub fn with_provider(mut self, kind: Kind<dyn Provider>) -> Self {
        self.providers.push(kind);
        self
    }
}
