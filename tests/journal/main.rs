//! The journal on SQLite: the contract of every journal, and what is said when a file cannot be used.

#[macro_use]
mod suite;
mod tampering;
mod trouble;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use keyroll::journal::SqliteJournal;
use tempfile::TempDir;

pub use suite::{Broken, Outcome, begin, id, refusal, step};

/// A folder for one file.
pub struct Sqlite {
    pub folder: TempDir,
}

#[async_trait]
impl suite::Server for Sqlite {
    const CHILD: &'static str = "child";
    const ROUNDS: u64 = 5;

    async fn start() -> Result<Self, Broken> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn place(&self) -> String {
        self.path().display().to_string()
    }

    fn sql(&self) -> (String, &'static str) {
        (format!("sqlite://{}", self.path().display()), "")
    }

    async fn forget(&self) -> Result<(), Broken> {
        Ok(std::fs::remove_dir_all(self.folder.path().join("journal.db.locks"))?)
    }

    async fn drivers(&self) -> Result<usize, Broken> {
        Ok(std::fs::read_dir(self.folder.path().join("journal.db.locks"))?.count())
    }
}

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }
}

/// A journal in a folder of its own.
pub struct Desk {
    pub folder: TempDir,
    pub journal: SqliteJournal,
}

impl Desk {
    pub async fn new() -> Result<Self, Broken> {
        let folder = tempfile::tempdir()?;
        let journal = SqliteJournal::open(&folder.path().join("journal.db")).await?;
        Ok(Self { folder, journal })
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub async fn tamper(&self, sql: &str) -> Result<(), sqlx::Error> {
        suite::tamper(&format!("sqlite://{}", self.path().display()), sql).await
    }
}

pub fn mode(path: &Path) -> Result<u32, std::io::Error> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

contract!(Sqlite);
