//! The journal: append-only records, one hash chain a rotation, every write conditional on (epoch, sequence, head).
//!
//! ```text
//! place    a file's path or a server's URL           opens one of the two
//!   ├─ sqlite     one file, one lock file a rotation    opens, guards, delegates
//!   │    └─ lock       who drives a rotation right now
//!   └─ postgres   one server for many machines          opens, guards, delegates
//!        ├─ address    its URL, and what may be shown of it
//!        └─ lease      the row that says who drives a rotation, and until when
//! ledger   the queries of both; the same text for every database
//!   ├─ tables   their making and their forms
//!   └─ chain    hashes, and what may stand in a chain (pure)
//! down     a database's error in plain words
//! health   what would keep a journal's file from being written
//! ```

mod address;
mod chain;
mod down;
mod health;
mod lease;
mod ledger;
mod lock;
mod place;
mod postgres;
mod sqlite;
mod tables;

use std::path::PathBuf;

use etcetera::BaseStrategy;

pub use self::{health::look, place::Place, postgres::PostgresJournal, sqlite::SqliteJournal};

use crate::{ports::JournalError, secret::hex};

/// Eight hex digits that tell one place from another.
pub fn short_hash(place: &str) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(place))[..8].to_owned()
}

/// `$XDG_STATE_HOME/keyroll/journal.db`; without the variable below `~/.local/state`.
///
/// # Errors
/// [`JournalError::Down`] where the user has no home folder.
pub fn default_path() -> Result<PathBuf, JournalError> {
    let folders = etcetera::choose_base_strategy()
        .map_err(|_| JournalError::Down("this user has no home folder: set XDG_STATE_HOME, or name the journal's file".into()))?;
    let state = folders.state_dir().unwrap_or_else(|| folders.data_dir());
    Ok(state.join("keyroll").join("journal.db"))
}

/// What a new journal is called, and what its fingerprints are salted with; both in hex.
fn new_id_and_salt() -> Result<(String, String), JournalError> {
    let (mut id, mut salt) = ([0; 8], [0; 32]);
    for bytes in [&mut id[..], &mut salt[..]] {
        getrandom::fill(bytes).map_err(|error| JournalError::Down(format!("this system gives no random bytes: {error}")))?;
    }
    Ok((hex(&id), hex(&salt)))
}

/// This process, for those who find a rotation busy.
fn this_process() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("process {} on host {host}", std::process::id())
}
