//! A database's errors in plain words, each with what to do.

use std::{io, path::Path};

use crate::ports::JournalError;

/// What SQLite said. Result codes: <https://sqlite.org/rescode.html>; the low byte is the kind.
pub(super) fn sqlite(place: &Path, error: &sqlx::Error) -> JournalError {
    let place = place.display();
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
    let text = match (code.map(|code| code & 0xff), error) {
        (Some(5 | 6), _) => format!("{place} is locked by another process: let it finish, or find it with `fuser {place}`"),
        (Some(8), _) => format!("{place} cannot be written: its file or folder is read-only"),
        (Some(10), _) => format!("{place} cannot be read or written ({error}): see whether the disk is full or failing"),
        (Some(11), _) => {
            return JournalError::Corrupt(format!("{place} is damaged ({error}): put a copy back, or ask sqlite3 to recover it"));
        }
        (Some(13), _) => format!("the disk that holds {place} is full: make room, then run the same command again"),
        (Some(14), _) => format!("{place} cannot be opened: see that it and its folder can be written"),
        (Some(26), _) => format!("{place} is not a journal (it is no SQLite database): name another file"),
        (_, sqlx::Error::PoolTimedOut) => format!("{place} did not answer in time: see whether another process holds it"),
        _ => format!("{place}: {error}"),
    };
    JournalError::Down(text)
}

/// What the operating system said.
pub(super) fn file(doing: &str, place: &Path, error: &io::Error) -> JournalError {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "choose a place that this user may write",
        io::ErrorKind::NotADirectory | io::ErrorKind::NotFound => "one of the folders above it does not exist or is a file",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: make room, then run the same command again",
        _ => "see that its folder can be written",
    };
    JournalError::Down(format!("cannot {doing} {}: {error}; {advice}", place.display()))
}
