//! A world to try keyroll in: everything runs in this process, on 127.0.0.1.

pub mod demo;
pub mod provider;
pub mod server;
pub mod service;
pub mod traffic;
pub mod vault;
