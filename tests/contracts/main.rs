//! What every adapter of a port must do, written once and run against each of them.

#[path = "../common/mod.rs"]
mod common;

mod provider;
