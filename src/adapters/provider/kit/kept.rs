//! What a key was made with, kept for the time when the key is gone.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ports::{Failure, Got, Kept},
    protocol::Refusal,
};

/// An adapter's terms, for the journal: they must hold nothing secret.
///
/// # Errors
/// Where they cannot be written as JSON.
pub fn keep(terms: &impl Serialize) -> Got<Kept> {
    Kept::of(terms).map_err(|_| Failure::refused(Refusal::Invalid, None, "what the key was made with cannot be written down"))
}

/// The terms that were kept.
///
/// # Errors
/// Where another version of the adapter kept them: a key is not made wider because of that.
pub fn kept<T: DeserializeOwned>(kept: &Kept) -> Got<T> {
    let unread = "what the journal keeps of the old key's limits cannot be read by this version of keyroll";
    kept.read().ok_or_else(|| Failure::refused(Refusal::Invalid, None, unread).hint("go on with the version that began the rotation"))
}
