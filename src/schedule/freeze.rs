//! What decrees say about time: freezes that stand, playbooks that are queued.

use chrono::{DateTime, Utc};

use crate::record::{Decree, Decreed};

/// A freeze that was not ended by a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Freeze {
    /// Its place among the decrees, for `keyroll freeze --end`.
    pub number: u64,
    /// The playbooks' names; empty: all.
    pub playbooks: Vec<String>,
    /// Its end.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
}

impl Freeze {
    /// Whether it holds for this playbook.
    pub fn covers(&self, playbook: &str) -> bool {
        self.playbooks.is_empty() || self.playbooks.iter().any(|name| name == playbook)
    }

    /// Whether its end is still to come. It has no beginning: a clock that went back does not lift it.
    pub fn is_on(&self, now: DateTime<Utc>) -> bool {
        now < self.until
    }
}

/// All freezes that nobody ended early, those that ran out too.
pub fn freezes(decrees: &[Decreed]) -> Vec<Freeze> {
    let thawed = |number: u64| decrees.iter().any(|one| matches!(one.decree, Decree::Thaw { freeze, .. } if freeze == number));
    let freeze = |one: &Decreed| match &one.decree {
        Decree::Freeze { playbooks, until, reason } if !thawed(one.seq) => {
            Some(Freeze { number: one.seq, playbooks: playbooks.clone(), until: *until, reason: reason.clone(), by: one.by.clone() })
        }
        _ => None,
    };
    decrees.iter().filter_map(freeze).collect()
}

/// A playbook that somebody wants rotated whatever its age.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queued {
    /// When that was decreed.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// The newest decree that queues this playbook.
pub fn queued(decrees: &[Decreed], playbook: &str) -> Option<Queued> {
    decrees.iter().rev().find_map(|one| match &one.decree {
        Decree::Queued { playbook: name, reason } if name == playbook => Some(Queued { at: one.at, reason: reason.clone() }),
        _ => None,
    })
}
