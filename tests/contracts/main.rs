//! What every adapter of a port must do, written once and run against each of them.

#[path = "../common/mod.rs"]
mod common;

mod openai_spec;
mod provider;
mod provider_bench;
mod provider_faults;
mod provider_http;
mod provider_openai;
mod provider_openai_admin;
mod provider_openai_told;
mod secrets;
mod store;
mod store_file;
mod store_vault;
mod vault_bench;
