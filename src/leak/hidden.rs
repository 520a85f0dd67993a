//! A text of a report that may be a secret: it goes from the reader straight into [`Secret`].

use serde::{Deserialize, Deserializer};

use crate::secret::Secret;

/// Read as a secret.
pub(super) struct Hidden(pub Secret);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Secret::new(text)))
    }
}

/// Those that say anything; none where the tool left the value out.
pub(super) fn values(found: impl IntoIterator<Item = Option<Hidden>>) -> Option<Vec<Secret>> {
    let values: Vec<Secret> =
        found.into_iter().flatten().map(|Hidden(value)| value).filter(|value| !value.reveal().trim().is_empty()).collect();
    Some(values).filter(|values| !values.is_empty())
}
