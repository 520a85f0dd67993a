//! Times and lengths as people read them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::playbook::Span;

/// The two largest units: `2d4h`, `1h30m`, `12s`, `0.4s`.
pub fn rough(length: Duration) -> String {
    if length.is_zero() {
        return "0s".into();
    }
    if length < Duration::from_secs(10) {
        let tenths = (length.as_millis() / 100).max(1);
        return if tenths.is_multiple_of(10) { format!("{}s", tenths / 10) } else { format!("{}.{}s", tenths / 10, tenths % 10) };
    }
    let whole = length.as_secs();
    let coarse = match whole {
        ..=86_399 if whole >= 3600 => whole - whole % 60,
        86_400.. => whole - whole % 3600,
        _ => whole,
    };
    Span::secs(coarse).to_string()
}

/// From one time to a later one; nothing where a clock went back.
pub fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// `2026-11-21 09:00 UTC`.
pub fn clock(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// `09:00:05`, for timelines whose day is told elsewhere.
pub fn of_day(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S").to_string()
}

/// When something that lasts so long is over.
pub fn after(at: DateTime<Utc>, lasts: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(lasts).ok().and_then(|lasts| at.checked_add_signed(lasts)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
