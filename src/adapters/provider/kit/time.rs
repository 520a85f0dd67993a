//! Times as vendors write them.

use chrono::{DateTime, Utc};

use crate::ports::{Failure, Got};

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

/// When a key ends that is made now and lives as long as another one, from its making to its end; none: never.
///
/// # Errors
/// Where the other one ends, and it cannot be told how long it lives: a new key must not live for ever because of that.
pub fn renewed(made: Option<&str>, end: Option<&str>, now: DateTime<Utc>) -> Got<Option<DateTime<Utc>>> {
    let Some(end) = end else { return Ok(None) };
    let lives = made.and_then(rfc3339).zip(rfc3339(end)).map(|(made, end)| end - made);
    let renewed = lives.and_then(|lives| now.checked_add_signed(lives));
    let unread = || Failure::unknown("the old key ends by itself, and how long it was made for cannot be read");
    renewed.map(Some).ok_or_else(unread)
}
