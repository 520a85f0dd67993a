//! Times as vendors write them.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ports::{Failure, Got},
    protocol::Bound,
};

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

/// The beginning of its day, in UTC.
pub fn day(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// How long a key lives, from its making to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetime {
    /// None: for ever.
    milliseconds: Option<i64>,
}

impl Lifetime {
    /// It does not end by itself.
    pub const ENDLESS: Self = Self { milliseconds: None };

    /// Of a key that was made then and ends then, both in RFC 3339; no end: for ever.
    ///
    /// # Errors
    /// Where it ends, and how long it lives cannot be told: another key must not live for ever because of that.
    pub fn told(made: Option<&str>, end: Option<&str>) -> Got<Self> {
        let Some(end) = end else { return Ok(Self::ENDLESS) };
        let lives = made.and_then(rfc3339).zip(rfc3339(end)).map(|(made, end)| (end - made).num_milliseconds());
        let unread = || Failure::unknown("the old key ends by itself, and how long it was made for cannot be read");
        Ok(Self { milliseconds: Some(lives.ok_or_else(unread)?) })
    }

    /// When a key ends that is made then; none: never.
    pub fn end(self, made: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let lives = TimeDelta::milliseconds(self.milliseconds?);
        Some(made.checked_add_signed(lives).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// The same, as a bound.
    pub fn bound(self, made: DateTime<Utc>) -> Bound {
        Bound::Until(self.end(made).map(|end| end.timestamp()))
    }
}
