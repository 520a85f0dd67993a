//! Limits, scopes and caps in words.

use super::time::clock;
use crate::{protocol::Bound, record::Attributes};

/// One line an attribute of the new key, beside the old one's where it differs.
pub fn attributes(attributes: &Attributes) -> Vec<String> {
    let line = |(name, new): (&String, &Bound)| match attributes.old.get(name) {
        Some(old) if bound(old) == bound(new) => format!("{name}: {}, as the old key", bound(new)),
        Some(old) => format!("{name}: {} (the old key: {})", bound(new), bound(old)),
        None => format!("{name}: {}", bound(new)),
    };
    attributes.new.iter().map(line).collect()
}

fn bound(bound: &Bound) -> String {
    match bound {
        Bound::Most(Some(most)) => format!("at most {most}"),
        Bound::Most(None) => "no limit".into(),
        Bound::Only(Some(only)) if only.is_empty() => "nothing".into(),
        Bound::Only(Some(only)) => only.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        Bound::Only(None) => "everything".into(),
        Bound::Until(Some(at)) => {
            chrono::DateTime::from_timestamp(*at, 0).map_or_else(|| "until nobody knows when".into(), |at| format!("until {}", clock(at)))
        }
        Bound::Until(None) => "for ever".into(),
        Bound::Is(text) => text.clone(),
    }
}
