//! keyroll replaces a provider's API key while everything that uses it keeps serving.
//!
//! The playbook goes down one road:
//!
//! ```text
//! YAML → playbook → protocol (decide) → driver → adapters → journal → report
//! ```
//!
//! Modules in the order of the arrows: each may use only those above it.

pub mod ids;
pub mod secret;

pub mod playbook;
pub mod protocol;
pub mod record;
pub mod rotation;
pub mod sight;

pub mod leak;
pub mod ports;

pub mod schedule;

pub mod journal;

pub mod driver;
pub mod retry;

pub mod inspect;

pub mod adapters;

pub mod report;

pub mod batch;
pub mod notify;

pub mod sandbox;

pub mod cli;
