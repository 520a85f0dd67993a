//! The outside world: one file an adapter, the same shape in each folder.

use std::sync::Arc;

pub mod aws;
pub mod build;
pub mod clock;
pub mod discovery;
pub mod health;
pub mod kind;
pub mod notify;
pub mod program;
pub mod provider;
pub mod reference;
pub mod registry;
pub mod rollout;
pub mod schema;
pub mod secrets;
pub mod store;
mod trust;
pub mod vault;
pub mod wire;

/// What an adapter is given besides its block.
#[derive(Clone)]
pub struct Ctx {
    /// Reads secret references.
    pub secrets: Arc<dyn crate::ports::Secrets>,
    /// HTTP clients.
    pub wire: wire::Wire,
}
