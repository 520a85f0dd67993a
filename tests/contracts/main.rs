//! What every adapter of a port must do, tried on each one's stand-in.

mod store;
mod store_vault;
mod vault_bench;
