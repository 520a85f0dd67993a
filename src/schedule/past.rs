//! What a playbook's rotations tell of it.

use chrono::{DateTime, Utc};

use crate::{ids::KeyId, protocol::End, rotation::Rotation};

/// The key in use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Key {
    /// Its id, where it is known.
    pub id: Option<KeyId>,
    /// When it was made, where that is known.
    pub made: Option<DateTime<Utc>>,
    /// When it stops working by itself, where the provider tells.
    pub expires: Option<DateTime<Utc>>,
}

/// A playbook's rotations that are over, as far as the schedule cares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Past {
    /// The key in use; none: no rotation tells.
    pub key: Option<Key>,
    /// When the last rotation that ended done began.
    pub renewed: Option<DateTime<Utc>>,
    /// How many since then were rolled back or aborted.
    pub failed: u32,
    /// When the last of those ended.
    pub failed_at: Option<DateTime<Utc>>,
    /// The last rotation that ended done was taken in: older ones tell nothing more.
    pub complete: bool,
}

impl Past {
    /// Takes one more rotation in, newest first. Open ones are left aside.
    pub fn add(&mut self, rotation: &Rotation) {
        let Some(end) = rotation.state.ended().filter(|_| !self.complete) else { return };
        if end == End::Done {
            self.complete = true;
            self.renewed = Some(rotation.began);
            if let Some(new) = &rotation.new {
                let made = Key { id: Some(new.id.clone()), made: Some(new.created_at), expires: new.expires_at };
                match &mut self.key {
                    // A later rotation saw which key is in use; where it is ours, we know when it was made.
                    Some(key) if key.id.is_none() || key.id == made.id => {
                        key.made = key.made.or(made.made);
                        key.expires = key.expires.or(made.expires);
                    }
                    Some(_) => {}
                    None => self.key = Some(made),
                }
            }
            return;
        }
        self.failed += 1;
        self.failed_at = self.failed_at.or(Some(rotation.last));
        if let (None, Some(old)) = (&self.key, &rotation.plan.old) {
            self.key = Some(Key { id: old.id.clone(), made: old.created_at, expires: old.expires_at });
        }
    }
}
