//! Cloudflare, with the tokens that an account owns.

use crate::site::Vendor;

pub fn vendor() -> Vendor {
    super::cloudflare::of_an_account()
}
