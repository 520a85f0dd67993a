//! A report of a secret scanner, as `identify` reads it.

use keyroll::{
    leak::{Format, read},
    secret::Secret,
};

pub fn feed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let report = Secret::new(text);
    for format in [None, Some(Format::Gitleaks), Some(Format::DetectSecrets), Some(Format::Trufflehog), Some(Format::Github)] {
        match read(&report, format) {
            Ok((_, findings)) => drop(format!("{findings:?}")),
            Err(error) => drop(format!("{error}")),
        }
    }
}
