//! Vault KV v2 on the stand-in.

use async_trait::async_trait;
use keyroll::{ports::Store, sandbox::vault::SandboxVault};

use crate::{
    store::StoreBench,
    vault_bench::{VaultBench, World},
};

/// The stand-in ends with the bench.
struct Standin(VaultBench, #[allow(dead_code)] SandboxVault);

#[async_trait]
impl StoreBench for Standin {
    fn store(&self) -> std::sync::Arc<dyn Store> {
        self.0.store()
    }
    async fn put(&self, value: &serde_json::Map<String, serde_json::Value>) {
        self.0.put(value).await;
    }
    async fn get(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        self.0.get().await
    }
    async fn put_mark(&self, key: &str, value: &str) -> bool {
        self.0.put_mark(key, value).await
    }
    async fn get_mark(&self, key: &str) -> Option<String> {
        self.0.get_mark(key).await
    }
}

async fn fresh() -> Standin {
    let vault = SandboxVault::start().await.expect("a port");
    let bench = World::new(&vault.address(), vault.token()).bench();
    Standin(bench, vault)
}

crate::store::store_suite!(fresh);
