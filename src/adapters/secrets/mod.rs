//! Secret references, read anew at each call. Errors name the reference, never the value.

mod aws;
mod env;
mod file;
mod vault;

use async_trait::async_trait;

use super::wire::Wire;
use crate::{
    playbook::SecretRef,
    ports::{Failure, Got, Secrets},
    protocol::Refusal,
    secret::Secret,
};

/// Reads `env:`, `file:`, `vault:` and `aws:`.
pub struct Resolver {
    wire: Wire,
}

impl Resolver {
    /// `wire` reaches Vault for `vault:` references.
    pub fn new(wire: Wire) -> Self {
        Self { wire }
    }
}

#[async_trait]
impl Secrets for Resolver {
    async fn read(&self, reference: &SecretRef) -> Got<Secret> {
        let secret = match reference {
            SecretRef::Env(name) => env::read(name),
            SecretRef::File(path) => file::read(path).await,
            SecretRef::Vault { path, field } => vault::read(&self.wire, path, field).await,
            SecretRef::Aws { id, field } => aws::read(id, field.as_deref()).await,
        }?;
        filled(secret, reference)
    }
}

/// Reads `env:` and `file:` alone: what a login to another store may use.
struct Local;

#[async_trait]
impl Secrets for Local {
    async fn read(&self, reference: &SecretRef) -> Got<Secret> {
        let secret = match reference {
            SecretRef::Env(name) => env::read(name),
            SecretRef::File(path) => file::read(path).await,
            _ => Err(Failure::refused(Refusal::Invalid, None, format!("{reference} cannot be used to log in")).hint("use env: or file:")),
        }?;
        filled(secret, reference)
    }
}

/// An empty value is a mistake: sent as a credential it would be refused far from its cause.
fn filled(secret: Secret, reference: &SecretRef) -> Got<Secret> {
    if secret.reveal().trim().is_empty() {
        return Err(Failure::refused(Refusal::Invalid, None, format!("{reference} is empty")).hint("give it a value"));
    }
    Ok(secret)
}

/// What resolves every kind of reference.
pub fn resolver(wire: &Wire) -> std::sync::Arc<dyn Secrets> {
    std::sync::Arc::new(Resolver::new(wire.clone()))
}
