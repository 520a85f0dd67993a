//! `file:/path`.

use std::{fs::Metadata, io::ErrorKind};

use tokio::{fs::File, io::AsyncReadExt};

use crate::{
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

/// Platforms put a container's secrets here, readable by all inside of it.
const MOUNTED: [&str; 2] = ["/var/run/secrets/", "/run/secrets/"];
/// No credential is longer; a device has no end.
const LONGEST: u64 = 1 << 20;

pub(super) async fn read(path: &str) -> Got<Secret> {
    let unreadable = |error: std::io::Error| {
        let why = match error.kind() {
            ErrorKind::NotFound => Refusal::Gone,
            ErrorKind::PermissionDenied => Refusal::Denied,
            _ => Refusal::Invalid,
        };
        Failure::refused(why, None, format!("file:{path} cannot be read: {}", error.kind()))
            .hint("check the path, and that the user who runs keyroll may read it")
    };
    // Looked at before it is opened: opening a pipe waits for its writer.
    fit(path, &tokio::fs::metadata(path).await.map_err(unreadable)?)?;
    let file = File::open(path).await.map_err(unreadable)?;
    fit(path, &file.metadata().await.map_err(unreadable)?)?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::refused(Refusal::Invalid, None, format!("file:{path} is longer than any secret")));
    }
    // The error of `from_utf8` would hold the bytes.
    let text = String::from_utf8(bytes).map_err(|_| Failure::refused(Refusal::Invalid, None, format!("file:{path} is not UTF-8 text")))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Secret::new(line))
}

/// Only a plain file that its owner alone can read; a file of another user's (root's, in a container) may be read by our group too.
#[cfg(unix)]
fn fit(path: &str, found: &Metadata) -> Got<()> {
    use std::os::unix::fs::MetadataExt;
    let refused = |what: &str| Failure::refused(Refusal::Invalid, None, format!("file:{path} {what}"));
    if !found.is_file() {
        return Err(refused("is no plain file").hint("write the value into a file of its own"));
    }
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    let too_many = if ours { 0o077 } else { 0o027 };
    if found.mode() & too_many != 0 && !MOUNTED.iter().any(|place| path.starts_with(place)) {
        let what = format!("can be read by others (mode {:04o})", found.mode() & 0o7777);
        return Err(refused(&what)
            .hint(format!("chmod 600 {path}; in Kubernetes `defaultMode: 0440` with `fsGroup`, or mount it below /run/secrets")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn fit(_: &str, _: &Metadata) -> Got<()> {
    Ok(())
}
