//! What the driver needs of the outside world: traits, and the plain values that cross them. They know no YAML.

mod capability;
mod consumer;
mod failure;
mod journal;
mod notifier;
mod provider;
mod store;
mod term;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub use self::{
    capability::{Attributes, ByPerson, ByValue, Counter, Enforces, Guard, PROMPT_TOKENS, Prompt, Question, Spend, Spoken, Switch, Usage},
    consumer::{Claim, Discovery, Found, Health, Instance, Order, Report, Rollout},
    failure::{Failure, Fate, Got, Problem},
    journal::{Entry, Journal, JournalError, Lease, Note, Opening},
    notifier::{Advice, Notice, Notifier, Outlet},
    provider::{Ambiguity, ByHand, Credential, Life, Like, Listed, Minted, Provider, Traits, Wanted},
    store::{Change, Mark, Snapshot, Store},
    term::{Since, Term},
};
pub use crate::record::{Kept, Used};
use crate::{playbook::SecretRef, secret::Secret};

/// One consumer's adapters; a job has neither discovery nor health.
pub struct Wiring {
    /// How its instances are found.
    pub discovery: Option<Arc<dyn Discovery>>,
    /// How they are asked.
    pub health: Option<Arc<dyn Health>>,
    /// How it is made to pick the key up; none: by itself.
    pub rollout: Option<Arc<dyn Rollout>>,
}

/// Everything outside that one playbook touches, in the playbook's order.
pub struct World {
    /// Who issues the key.
    pub provider: Arc<dyn Provider>,
    /// Where it lives.
    pub stores: Vec<Arc<dyn Store>>,
    /// Who reads it.
    pub consumers: Vec<Wiring>,
    /// Who is told; the driver never asks them.
    pub outlets: Vec<Outlet>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({} stores, {} consumers)", self.stores.len(), self.consumers.len())
    }
}

/// Reads what a secret reference points to, anew at each call.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The value.
    async fn read(&self, reference: &SecretRef) -> Got<Secret>;
}

/// Time, passed in.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, by the wall.
    fn now(&self) -> DateTime<Utc>;
    /// Since some fixed moment; never jumps.
    fn steady(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, time: Duration);
}

/// When risky steps may begin: the playbook's window, and freezes.
pub trait Gate: Send + Sync {
    /// Why they may not begin now; none: they may.
    fn closed(&self, now: DateTime<Utc>) -> Option<Closed>;
}

/// A gate that is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closed {
    /// When it opens.
    pub until: DateTime<Utc>,
    /// What keeps it closed, in words.
    pub why: String,
}

/// No window, no freeze.
pub struct AlwaysOpen;

impl Gate for AlwaysOpen {
    fn closed(&self, _: DateTime<Utc>) -> Option<Closed> {
        None
    }
}
