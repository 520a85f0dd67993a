//! Where a journal is: a file, or a PostgreSQL that many runners share.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
    sync::Arc,
};

use super::{PostgresJournal, SqliteJournal, address::Address};
use crate::{
    ports::{Journal, JournalError},
    secret::Secret,
};

/// Where a journal is. Its text for people never holds a password.
#[derive(Clone)]
pub enum Place {
    /// SQLite in this file.
    File(PathBuf),
    /// PostgreSQL at this URL, which may hold a password.
    Postgres(Arc<Secret>),
}

impl Place {
    /// A `postgres://` or `postgresql://` URL, else a file. What is wrong with a URL is told when it is opened.
    pub fn read(text: &OsStr) -> Self {
        match text.to_str() {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => Self::Postgres(Arc::new(Secret::new(url))),
            _ => Self::File(text.into()),
        }
    }

    /// Whether a password stands in one of these words, as it would for everybody who lists processes.
    pub fn shows_password(&self, mut words: impl Iterator<Item = OsString>) -> bool {
        let Self::Postgres(url) = self else { return false };
        let password = url::Url::parse(url.reveal())
            .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"));
        password && words.any(|word| word.to_string_lossy().contains(url.reveal()))
    }

    /// Opens the journal, and makes it where there is none.
    ///
    /// # Errors
    /// [`JournalError::Down`] where it cannot be used as it is: the text says why and what to do; [`JournalError::Corrupt`].
    pub async fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        Ok(match self {
            Self::File(path) => Box::new(SqliteJournal::open(path).await?),
            Self::Postgres(url) => Box::new(PostgresJournal::open(url).await?),
        })
    }

    /// Opens the journal only if there is one: for verbs that only read.
    ///
    /// # Errors
    /// Those of [`Place::open`].
    pub async fn open_existing(&self) -> Result<Option<Box<dyn Journal>>, JournalError> {
        Ok(match self {
            Self::File(path) => SqliteJournal::open_existing(path).await?.map(|journal| Box::new(journal) as Box<dyn Journal>),
            Self::Postgres(url) => PostgresJournal::open_existing(url).await?.map(|journal| Box::new(journal) as Box<dyn Journal>),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => match Address::read(url) {
                Ok(address) => f.write_str(&address.shown),
                Err(_) => f.write_str("postgres://… (a URL that cannot be read)"),
            },
        }
    }
}
