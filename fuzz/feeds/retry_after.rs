//! The header `Retry-After`: never longer than a day, and whoever is asked to wait longer than their patience gives up.

use std::time::Duration;

use chrono::{DateTime, Utc};
use keyroll::{
    adapters::wire::retry_after,
    retry::{Patience, Tries},
};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

pub fn feed(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
    let now = DateTime::<Utc>::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let asked = retry_after(&headers, now);
    assert!(asked.is_none_or(|wait| wait <= Duration::from_secs(86_400)), "longer than a day");
    let patience = Patience::default();
    if let Some(wait) = Tries::new(patience, Duration::ZERO).next(Duration::ZERO, asked, 1.0) {
        assert!(wait <= patience.budget && wait >= asked.unwrap_or_default(), "a wait of {wait:?}");
    }
}
