//! Every adapter there is, by name. Adding one touches its own file and one line here.

pub use super::kind::{Facts, Kind, Vendor};
use crate::ports::{Discovery, Notifier, Rollout, Store};

/// All adapters; a value, so that a user of the library can add their own.
pub struct Registry {
    /// Who issues keys.
    pub providers: Vec<Vendor>,
    /// Where keys live.
    pub stores: Vec<Kind<dyn Store>>,
    /// How instances are found.
    pub discoveries: Vec<Kind<dyn Discovery>>,
    /// How consumers pick a key up.
    pub rollouts: Vec<Kind<dyn Rollout>>,
    /// How people are told.
    pub notifiers: Vec<Kind<dyn Notifier>>,
}

impl Registry {
    /// What comes with keyroll.
    pub fn builtin() -> Self {
        Self {
            providers: super::provider::all(),
            stores: super::store::all(),
            discoveries: super::discovery::all(),
            rollouts: super::rollout::all(),
            notifiers: super::notify::all(),
        }
    }

    /// With one more provider.
    #[must_use]
    pub fn with_provider(mut self, vendor: impl Into<Vendor>) -> Self {
        self.providers.push(vendor.into());
        self
    }
}
