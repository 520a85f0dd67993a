//! A key as a header of its own.

use reqwest::header::HeaderValue;

use crate::{
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

/// The value, kept out of what is printed of a request.
///
/// # Errors
/// Where it cannot be sent so; then nothing was.
pub fn in_header(key: &Secret) -> Got<HeaderValue> {
    let unfit = |_| Failure::refused(Refusal::Invalid, None, "the key cannot be sent in a header").hint("look for a newline in it");
    let mut value = HeaderValue::from_str(key.reveal()).map_err(unfit)?;
    value.set_sensitive(true);
    Ok(value)
}
