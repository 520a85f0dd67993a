//! A database's errors in plain words, each with what to do.

use std::{io, path::Path};

use crate::{ports::JournalError, secret::Secret};

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

/// What PostgreSQL said. Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. `place` holds no password; where the
/// server says one back, nothing of what it says is passed on.
pub(super) fn postgres(place: &str, passwords: &[Secret], error: &sqlx::Error) -> JournalError {
    let said = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let said =
        if passwords.iter().any(|password| said.contains(password.reveal())) { "what it says holds the password".to_owned() } else { said };
    let code = code(error).unwrap_or_default();
    let text = match (code.as_str(), error) {
        // Nothing that is said before it has let us in: a password that was sent in the clear may come back.
        ("28P01", _) => format!("{place} does not accept the password: set PGPASSWORD, a .pgpass file or KEYROLL_JOURNAL"),
        ("28000", _) => format!("{place} does not let this user in: see its pg_hba.conf and `sslmode`"),
        ("3D000", _) => format!("{place}: {said}; make it: createdb"),
        ("42501", _) => format!(
            "{place}: {said}; let its owner run: CREATE SCHEMA keyroll AUTHORIZATION the_user (to read: GRANT USAGE on it, SELECT on its tables)"
        ),
        ("25006", _) => format!("{place} is read-only ({said}): name the primary, not a standby"),
        ("53300", _) => format!("{place} takes no more connections ({said}): run fewer keyrolls at once, or raise max_connections"),
        ("53100" | "53200", _) => format!("{place} has no room ({said}): make some, then run the same command again"),
        ("55P03" | "57014", _) => format!("{place} is kept waiting by another session ({said}): see pg_stat_activity and pg_locks"),
        ("57P01" | "57P02" | "57P03" | "57P05", _) => format!("{place} is starting or stopping ({said}): try again"),
        // A schema that one may not use is passed over, as if it were not there.
        ("42P01" | "3F000", _) => {
            format!("{place}: {said}; let its owner run GRANT USAGE ON SCHEMA keyroll, or put a copy of that schema back if it is lost")
        }
        ("42703", _) => return JournalError::Corrupt(format!("{place} is not as keyroll made it ({said}): put a copy back")),
        (code, _) if code.starts_with("XX") => return JournalError::Corrupt(format!("{place} is damaged ({said}): put a copy back")),
        (_, sqlx::Error::Tls(_)) => format!("{place}: no TLS as `sslmode` wants it ({said}): see `sslmode` and `sslrootcert`"),
        (_, sqlx::Error::Io(_)) => format!("{place} cannot be reached ({said}): see that it runs, and that its address and port are right"),
        (_, sqlx::Error::Protocol(_)) => format!("{place} does not answer as PostgreSQL does ({said})"),
        (_, sqlx::Error::PoolTimedOut) => format!("{place} did not answer in time: see that it runs, and whether it takes connections"),
        (_, sqlx::Error::Configuration(_)) => format!("{place} cannot be used as it is named ({said})"),
        _ => format!("{place}: {said}"),
    };
    JournalError::Down(text)
}

/// The database's own code of an error.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(std::borrow::Cow::into_owned)
}
