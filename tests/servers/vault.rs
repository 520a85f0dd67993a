//! Vault itself: the contract suites, and what goes wrong with a real one.

use crate::vault_bench::World;

/// The address and the root token: `KEYROLL_TEST_VAULT` is the line that the server prints, or an address beside
/// `KEYROLL_TEST_VAULT_TOKEN`.
fn world() -> World {
    let told = crate::server("KEYROLL_TEST_VAULT");
    match serde_json::from_str::<serde_json::Value>(&told) {
        Ok(line) => {
            let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("KEYROLL_TEST_VAULT has no {name}")).to_owned();
            World::new(&text("address"), &text("root_token"))
        }
        Err(_) => World::new(&told, &crate::server("KEYROLL_TEST_VAULT_TOKEN")),
    }
}

mod store {
    async fn fresh() -> crate::vault_bench::VaultBench {
        super::world().bench()
    }

    crate::store::store_suite!(fresh);
}
