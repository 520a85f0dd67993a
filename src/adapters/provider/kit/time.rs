//! Times as vendors write them.

use chrono::{DateTime, Utc};

/// Seconds since 1970.
pub fn seconds(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

/// RFC 3339 text.
pub fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// RFC 2822 text: `Mon, 13 Jun 2016 22:50:08 +0000`.
pub fn rfc2822(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|time| time.with_timezone(&Utc))
}
