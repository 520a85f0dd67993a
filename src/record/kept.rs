//! What stays known of a key that is gone.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What a key was made with: its limits, scopes and restrictions, in the form of the adapter that read them and that makes another key like
/// it. Nothing in it is secret.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Kept {
    terms: Value,
    /// The names of what was left out, because it may be secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl Kept {
    /// From an adapter's own type.
    ///
    /// # Errors
    /// Where that cannot be written as JSON.
    pub fn of(terms: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { terms: serde_json::to_value(terms)?, without: Vec::new() })
    }

    /// The same, with the names of what was left out.
    #[must_use]
    pub fn without(self, names: Vec<String>) -> Self {
        Self { without: names, ..self }
    }

    /// As the adapter's own type; none: it was written by one that had another.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.terms.clone()).ok()
    }
}
