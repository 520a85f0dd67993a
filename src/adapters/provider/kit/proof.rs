//! Proofs that a value is a listed key, by what the listing shows of it; and addresses.

use crate::{
    playbook::Fault,
    ports::{Failure, Got},
    protocol::Refusal,
};

/// An `http` or `https` address without the slash at its end; one that holds a user or password is refused, for it would be shown.
///
/// # Errors
/// Everything else.
pub fn address(field: &str, text: &str) -> Result<String, Fault> {
    let plain = "a plain address: `https://api.example.com/v1`";
    match url::Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(Fault::new(format!("`{field}` holds a user or password: a secret must not stand in a playbook")).instead(plain))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(Fault::new(format!("`{field}` is not an address")).instead(plain)),
    }
}

/// The fewest visible characters at a redacted value's end that tell keys apart.
const FEWEST_VISIBLE: usize = 3;

/// What a redacted value like `sk-abc...wxyz` shows: its beginning and its end. None where that does not tell keys apart. Dots, stars
/// and the ellipsis hide.
pub fn shown(redacted: &str) -> Option<(&str, &str)> {
    let hidden = ["...", "…", "**"].iter().filter_map(|mark| redacted.find(mark)).min()?;
    let (head, rest) = redacted.split_at(hidden);
    let tail = rest.trim_start_matches(['.', '…', '*']);
    (tail.chars().count() >= FEWEST_VISIBLE).then_some((head, tail))
}

/// Whether a value can be the one behind `sk-abc...wxyz`.
pub fn behind(redacted: &str, value: &str) -> bool {
    shown(redacted).is_some_and(|(head, tail)| value.len() > head.len() + tail.len() && value.starts_with(head) && value.ends_with(tail))
}

/// The only one that fits; none where two do: then it proves nothing.
pub fn only<T>(all: impl IntoIterator<Item = T>, fits: impl Fn(&T) -> bool) -> Option<T> {
    let mut fitting = all.into_iter().filter(|one| fits(one));
    fitting.next().filter(|_| fitting.next().is_none())
}

/// A key's name, where the vendor takes one of this length. A name that is cut off could not be found again, so none is sent.
///
/// # Errors
/// Where it is longer.
pub fn fitting<'n>(who: &str, name: &'n str, most: usize) -> Got<&'n str> {
    if name.chars().count() <= most {
        return Ok(name);
    }
    let what = format!("the new key's name has {} characters, and {who} takes {most}", name.chars().count());
    Err(Failure::refused(Refusal::Invalid, None, what).hint("give the playbook a shorter `name` or `key_name`"))
}
