//! The contract suites and whole rotations against real servers. `.ci/run` starts them and tells their addresses.

/// An address the environment must give; without it the suite fails, for a skipped server proves nothing.
#[allow(dead_code)]
fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: start the server and set it (see .ci/run)"))
}

/// A name nobody else uses in the servers of this run.
fn name(what: &str) -> String {
    vault_bench::name(what)
}

mod aws;
#[path = "../common/mod.rs"]
mod common;
mod deaths;
mod network;
mod openai;
mod permissions;
mod postgres;
#[path = "../contracts/provider.rs"]
mod provider;
#[allow(dead_code)]
#[path = "../contracts/provider_bench.rs"]
mod provider_bench;
mod rotation;
#[path = "../contracts/store.rs"]
mod store;
mod vault;
#[path = "../contracts/vault_bench.rs"]
mod vault_bench;
