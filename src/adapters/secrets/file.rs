//! `file:/path`.

use crate::{
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

/// Platforms put a container's secrets here, readable by all inside of it.
const MOUNTED: [&str; 2] = ["/var/run/secrets/", "/run/secrets/"];

pub(super) async fn read(path: &str) -> Got<Secret> {
    let bytes = tokio::fs::read(path).await.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => Refusal::Gone,
            std::io::ErrorKind::PermissionDenied => Refusal::Denied,
            _ => Refusal::Invalid,
        };
        Failure::refused(why, None, format!("file:{path} cannot be read: {}", error.kind()))
            .hint("check the path, and that the user who runs keyroll may read it")
    })?;
    warn_if_open(path).await;
    // The error of `from_utf8` would hold the bytes.
    let text = String::from_utf8(bytes).map_err(|_| Failure::refused(Refusal::Invalid, None, format!("file:{path} is not UTF-8 text")))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Secret::new(line))
}

#[cfg(unix)]
async fn warn_if_open(path: &str) {
    use std::os::unix::fs::PermissionsExt;
    let mode = tokio::fs::metadata(path).await.map(|found| found.permissions().mode()).unwrap_or_default();
    if mode & 0o004 != 0 && !MOUNTED.iter().any(|place| path.starts_with(place)) {
        tracing::warn!(path, "every user of this machine can read this secret: chmod 600 it");
    }
}

#[cfg(not(unix))]
async fn warn_if_open(_: &str) {}
