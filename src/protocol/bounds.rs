//! What a key may do at most, and whether another may do more.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One limit, scope or cap of a key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// An amount at the most; none: without limit.
    Most(Option<f64>),
    /// These and no others; none: everything.
    Only(Option<BTreeSet<String>>),
    /// It ends then (seconds since 1970); none: never.
    Until(Option<i64>),
    /// What has no more and no less: a team, a description.
    Is(String),
}

/// A key's attributes, by the provider's names for them.
pub type Bounds = BTreeMap<String, Bound>;

/// Whether `new` allows more than `old`. What cannot be compared is wider as soon as it differs, but for texts: they allow nothing. An end is
/// no right: a new key lives as long as the old one did at its making, so its end is always later.
pub fn wider(old: &Bound, new: &Bound) -> bool {
    match (old, new) {
        (Bound::Most(None), Bound::Most(_)) | (Bound::Only(None), Bound::Only(_)) | (Bound::Is(_), Bound::Is(_)) => false,
        (Bound::Until(old), Bound::Until(new)) => old.is_some() && new.is_none(),
        (Bound::Most(Some(old)), Bound::Most(new)) => new.is_none_or(|new| new > *old),
        (Bound::Only(Some(old)), Bound::Only(new)) => new.as_ref().is_none_or(|new| !new.is_subset(old)),
        _ => true,
    }
}

/// The names of what `new` allows more of than `old`. What the old key is not said to have is no limit of it; what the new one is not said to
/// have is none on it.
pub fn widened(old: &Bounds, new: &Bounds) -> Vec<String> {
    let wide = |(name, bound): &(&String, &Bound)| match new.get(*name) {
        Some(new) => wider(bound, new),
        None => !matches!(bound, Bound::Is(_) | Bound::Most(None) | Bound::Only(None) | Bound::Until(None)),
    };
    old.iter().filter(wide).map(|(name, _)| name.clone()).collect()
}
