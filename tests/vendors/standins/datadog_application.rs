//! Datadog's application keys: see [`super::datadog`].

use crate::site::Vendor;

pub fn vendor() -> Vendor {
    super::datadog::application()
}
