//! Text to playbook.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed};

use super::{Fault, Seg, block::Walk};

/// Reads what stands at `path` as `T`.
pub(super) fn read_at<T: DeserializeOwned>(text: &str, path: &[Seg]) -> Result<T, Fault> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |from| Walk::<T>(path, PhantomData).deserialize(from)).map_err(
        |error| {
            let fault = Fault::new(error.without_snippet().to_string());
            match error.location() {
                Some(at) => fault.at(at.line() as usize, at.column() as usize),
                None => fault,
            }
        },
    )
}
