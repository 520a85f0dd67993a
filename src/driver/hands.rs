//! Turns what the protocol asks for into calls of ports. It decides nothing about safety; it holds the only copy of a new key.

use std::time::Duration;

use super::known::Known;
use crate::{
    playbook::Playbook,
    ports::{Clock, Failure, Journal, Snapshot, World},
    protocol::Role,
    retry::{Patience, Tries},
    rotation::Rotation,
    secret::Secret,
    sight::{Sight, View},
};

/// Everything a rotation's steps need.
pub struct Hands<'a> {
    pub(super) world: &'a World,
    pub(super) book: &'a Playbook,
    pub(super) journal: &'a dyn Journal,
    pub(super) clock: &'a dyn Clock,
    pub(super) view: &'a mut dyn View,
    pub(super) patience: Patience,
    pub(super) known: Known,
    /// The new key's value, from its creation to the end of this process.
    pub(super) value: Option<Secret>,
    /// A value that a person handed over, until it is taken.
    pub(super) handed: Option<Secret>,
    /// When the wait that is on began, if it began in this process.
    pub(super) waiting: Option<Duration>,
}

/// Repeats a reading until it answers, is refused, or patience ends.
macro_rules! endure {
    ($hands:expr, $call:expr) => {{
        let mut tries = $hands.tries();
        loop {
            match $call.await {
                Ok(value) => break value,
                Err(failure) => $hands.endure(&mut tries, failure).await?,
            }
        }
    }};
}
pub(super) use endure;

impl Hands<'_> {
    pub(super) fn tries(&self) -> Tries {
        Tries::new(self.patience, self.clock.steady())
    }

    /// Waits before another try of a call that failed.
    ///
    /// # Errors
    /// The failure itself, where it was a refusal or patience is over.
    pub(super) async fn endure(&mut self, tries: &mut Tries, failure: Failure) -> Result<(), Failure> {
        if failure.refusal().is_some() {
            return Err(failure);
        }
        let Some(wait) = tries.next(self.clock.steady(), failure.retry_after(), fastrand::f64()) else { return Err(failure) };
        tracing::debug!(what = %failure, wait_ms = wait.as_millis(), "trying again");
        self.view.see(&Sight::Retrying { what: &failure.what, wait });
        self.clock.sleep(wait).await;
        Ok(())
    }

    /// The new key's value: from memory, or from a store that serves it.
    pub(super) async fn new_value(&mut self, rotation: &Rotation) -> Result<Option<Secret>, Failure> {
        if let Some(value) = &self.value {
            return Ok(Some(value.duplicate()));
        }
        for place in 0..self.world.stores.len() {
            let snapshot = endure!(self, self.world.stores[place].read());
            if let Some(value) = self.ours(place, snapshot, Role::New) {
                self.known.update(rotation);
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The newest version of a store that holds the old key and can still be read.
    pub(super) async fn old_snapshot(&mut self, rotation: &Rotation, place: usize) -> Result<Option<Snapshot>, Failure> {
        let versions = rotation.versions.get(place).cloned().unwrap_or_default();
        for (version, _) in versions.iter().rev().filter(|(_, role)| *role == Role::Old) {
            let snapshot = endure!(self, self.world.stores[place].read_at(version));
            let shown = self.book.stores.get(place).and_then(|spec| self.known.shown(spec, snapshot.as_ref()));
            if shown == Some(Role::Old) {
                return Ok(snapshot);
            }
        }
        Ok(None)
    }

    /// A snapshot's key, if it is this one.
    pub(super) fn ours(&mut self, place: usize, snapshot: Option<Snapshot>, role: Role) -> Option<Secret> {
        let spec = self.book.stores.get(place)?;
        let secret = snapshot?.fields.remove(super::known::secret_field(spec))?;
        (self.known.role(&secret) == Some(role)).then_some(secret)
    }
}
