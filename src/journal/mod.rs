//! The journal: append-only records, one hash chain a rotation, every write conditional on (epoch, sequence, head).
//!
//! ```text
//! sqlite   one file, one lock file a rotation       opens, guards, delegates
//!   ├─ lock    who drives a rotation right now
//!   ├─ ledger  the queries; the same text for every database
//!   │    └─ chain   hashes, and what may stand in a chain (pure)
//!   ├─ place   what would keep the file from being written
//!   └─ down    a database's error in plain words
//! ```

mod chain;
mod down;
mod ledger;
mod lock;
mod place;
mod sqlite;

use std::path::PathBuf;

use etcetera::BaseStrategy;

pub use place::look;
pub use sqlite::SqliteJournal;

use crate::ports::JournalError;

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
