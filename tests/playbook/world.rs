//! A registry of stand-ins, so that the playbook's own rules are tested without any real adapter.

use std::sync::Arc;

use async_trait::async_trait;
use keyroll::{
    adapters::{
        Ctx,
        registry::{Kind, Registry},
        wire::Wire,
    },
    ids::{Identity, KeyId, Version},
    playbook::{Block, Fault, SecretRef},
    ports::*,
    rotation::Tombstone,
    secret::Secret,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A provider for tests.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// The project.
    project: String,
    /// Where the admin key stands.
    #[allow(dead_code)]
    admin_key: SecretRef,
    /// How many.
    #[serde(default)]
    #[allow(dead_code)]
    size: Option<u8>,
    /// Keys share one quota.
    #[serde(default)]
    shared: bool,
}

/// A store for tests.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shelf {
    /// Where it is.
    path: String,
    /// How to log in.
    #[allow(dead_code)]
    auth: Auth,
}

/// How to log in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// A token.
    #[allow(dead_code)]
    Token(SecretRef),
    /// A role.
    #[allow(dead_code)]
    Role {
        /// Its name.
        name: String,
    },
}

struct Nobody {
    project: String,
    shared: bool,
}

fn no<T>() -> Got<T> {
    Err(Failure::not_sent("a stand-in"))
}

#[async_trait]
impl Provider for Nobody {
    fn traits(&self) -> Traits {
        let none = std::time::Duration::ZERO;
        Traits { ambiguity: Ambiguity::Listable, listed_within: none, ready_within: none, dead_within: none, usage_lag: none, quota: None }
    }
    fn principal(&self) -> Option<Identity> {
        self.shared.then(|| Identity::new(format!("acme {}", self.project)))
    }
    fn describe(&self) -> String {
        "acme".into()
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
    async fn list(&self) -> Got<Vec<Listed>> {
        no()
    }
    async fn identify(&self, _: &Credential, _: &[Listed]) -> Got<Option<(KeyId, String)>> {
        no()
    }
    async fn create(&self, _: &Wanted<'_>) -> Got<Minted> {
        no()
    }
    async fn delete(&self, _: &Tombstone) -> Got<()> {
        no()
    }
    async fn probe(&self, _: &Credential) -> Got<Life> {
        no()
    }
}

struct Empty(String);

#[async_trait]
impl Store for Empty {
    fn locator(&self) -> String {
        format!("shelf {}", self.0)
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
    async fn read(&self) -> Got<Option<Snapshot>> {
        no()
    }
    async fn read_at(&self, _: &Version) -> Got<Option<Snapshot>> {
        no()
    }
    async fn write(&self, _: &Change<'_>) -> Got<Version> {
        no()
    }
    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        no()
    }
    async fn mark(&self) -> Got<Option<Mark>> {
        no()
    }
}

struct Still;

#[async_trait]
impl Discovery for Still {
    async fn instances(&self) -> Got<Found> {
        no()
    }
}

#[async_trait]
impl Rollout for Still {
    async fn roll(&self, _: &Order) -> Got<()> {
        no()
    }
    async fn rolled(&self, _: &Order) -> Got<Option<bool>> {
        no()
    }
}

#[async_trait]
impl Notifier for Still {
    fn describe(&self) -> String {
        "bell".into()
    }
    async fn tell(&self, _: &Notice) -> Got<()> {
        no()
    }
}

#[async_trait]
impl Secrets for Still {
    async fn read(&self, _: &SecretRef) -> Got<Secret> {
        no()
    }
}

fn acme(block: &Block, _: &Ctx) -> Result<Arc<dyn Provider>, Fault> {
    let config: Acme = block.read()?;
    Ok(Arc::new(Nobody { project: config.project, shared: config.shared }))
}

fn shelf(block: &Block, _: &Ctx) -> Result<Arc<dyn Store>, Fault> {
    let config: Shelf = block.read()?;
    if config.path.starts_with('/') {
        return Err(block.fault(&["path"], "the path begins with a slash").instead("write it without"));
    }
    Ok(Arc::new(Empty(config.path)))
}

/// All stand-ins.
pub fn registry() -> Registry {
    Registry {
        providers: vec![Kind { name: "acme", about: "keys for tests", schema: |g| Acme::json_schema(g), build: acme }.into()],
        stores: vec![Kind { name: "shelf", about: "a store for tests", schema: |g| Shelf::json_schema(g), build: shelf }],
        discoveries: vec![Kind {
            name: "fixed",
            about: "a list",
            schema: |g| Vec::<String>::json_schema(g),
            build: |block, _| block.read::<Vec<String>>().map(|_| Arc::new(Still) as Arc<dyn Discovery>),
        }],
        rollouts: vec![Kind {
            name: "restart",
            about: "a restart",
            schema: |g| Auth::json_schema(g),
            build: |block, _| block.read::<Auth>().map(|_| Arc::new(Still) as Arc<dyn Rollout>),
        }],
        notifiers: vec![Kind {
            name: "bell",
            about: "a bell",
            schema: |g| SecretRef::json_schema(g),
            build: |block, _| block.read::<SecretRef>().map(|_| Arc::new(Still) as Arc<dyn Notifier>),
        }],
    }
}

/// What adapters are given.
pub fn ctx() -> Ctx {
    static WIRE: std::sync::LazyLock<Wire> = std::sync::LazyLock::new(|| Wire::new().expect("a TLS configuration"));
    Ctx { secrets: Arc::new(Still), wire: WIRE.clone() }
}
