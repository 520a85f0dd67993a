//! Google's keys that are bound to a service account: see [`super::gemini`].

use crate::site::Vendor;

pub fn vendor() -> Vendor {
    super::gemini::bound()
}
