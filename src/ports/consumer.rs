//! The services: how their instances are found, asked, and made to pick a key up.

use std::net::SocketAddr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Got, Problem};
use crate::ids::{InstanceId, RotationId, Version};

/// What a discovery found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// All of them, those that are leaving too.
    pub instances: Vec<Instance>,
    /// The platform's own count, where it has one (Kubernetes replicas).
    pub expected: Option<usize>,
}

/// One running copy of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// Distinct among the consumer's instances.
    pub id: InstanceId,
    /// The name in the URL and the `Host` header.
    pub host: String,
    /// Where to connect.
    pub address: SocketAddr,
    /// When its process started, where the platform tells.
    pub started: Option<DateTime<Utc>>,
    /// It is shutting down, and still counts until it is gone.
    pub leaving: bool,
}

/// Finds a consumer's instances; asked again before each pass.
#[async_trait]
pub trait Discovery: Send + Sync {
    /// All instances now.
    async fn instances(&self) -> Got<Found>;
}

/// What an instance says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its own name for itself, where the playbook asks for it: behind a balancer, addresses do not tell copies apart.
    pub id: Option<InstanceId>,
    /// Which key it uses; none: it did not say.
    pub claim: Option<Claim>,
    /// Whether it answered 2xx.
    pub healthy: bool,
    /// The status, for people.
    pub status: u16,
}

/// How an instance names its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The store's version.
    Version(String),
    /// The provider's id.
    KeyId(String),
    /// The first 8 or more hex digits of the value's SHA-256.
    Sha256(String),
}

/// Asks one instance.
#[async_trait]
pub trait Health: Send + Sync {
    /// Its report. A failure is a miss, not evidence.
    async fn ask(&self, instance: &Instance) -> Got<Report>;
}

/// What a rollout is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The consumer's name.
    pub consumer: String,
    /// The rotation.
    pub rotation: RotationId,
    /// Different for each rollout, the same when one is repeated.
    pub tag: String,
    /// Each store's current version.
    pub versions: Vec<Version>,
}

/// Makes a consumer pick up what the stores hold.
#[async_trait]
pub trait Rollout: Send + Sync {
    /// Reads only.
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
    /// Starts it, or repeats it: the tag tells.
    async fn roll(&self, order: &Order) -> Got<()>;
    /// Whether a rollout of that tag happened; none where nobody can tell.
    async fn rolled(&self, order: &Order) -> Got<Option<bool>>;
}
