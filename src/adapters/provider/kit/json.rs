//! What vendors' replies must say, and in which form they are compared.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// For a field that may be null but must be there: where a limit is missing, that is not "without limit".
///
/// # Errors
/// Where it is not there, or of another kind.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

/// For a field that may be missing: null is told, too, and a field that is not there is not. None: nothing was said of it.
///
/// # Errors
/// Where it is of another kind.
pub fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// The same value with its fields in one order, so that equal values are equal texts.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}
