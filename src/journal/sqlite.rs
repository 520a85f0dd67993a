//! The journal on SQLite: one file for all rotations, WAL, synchronous=FULL.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Executor as _, any::AnyPoolOptions};

use super::{
    down,
    ledger::{Ledger, STANDS},
    lock::{Held, Locks, Refused},
};
use crate::{
    ids::{Identity, RotationId},
    ports::{Entry, Journal, JournalError, Lease, Note, Opening},
    protocol::Event,
    record::{Decree, Decreed, Detail, Record},
};

/// How long the making of a journal waits for another process's; twice that, a statement for another's write. Writes take milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of the lock that guards the making of a journal; no rotation can have it.
const MAKING: &str = ".making";

/// A journal in one file, with one lock file a rotation in `<file>.locks/`.
pub struct SqliteJournal {
    ledger: Ledger,
    locks: Locks,
    id: String,
    salt: Vec<u8>,
}

impl SqliteJournal {
    /// Opens the journal at `path`, and makes it (0600, its folder 0700) where there is none.
    ///
    /// # Errors
    /// [`JournalError::Down`] where it cannot be used as it is: the text says why and what to do;
    /// [`JournalError::Corrupt`] where it is damaged, or a newer keyroll made it.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        Self::connect(path, &[]).await
    }

    /// Opens the journal at `path` only if there is one: for verbs that only read.
    ///
    /// # Errors
    /// Those of [`SqliteJournal::open`].
    pub async fn open_existing(path: &Path) -> Result<Option<Self>, JournalError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Self::open(path).await.map(Some),
        }
    }

    async fn connect(path: &Path, settings: &'static [&'static str]) -> Result<Self, JournalError> {
        let path = std::path::absolute(path).map_err(|error| down::file("find", path, &error))?;
        make_file(&path)?;
        sqlx::any::install_default_drivers();
        // What sqlx and SQLite set by themselves is what is wanted (a test says so): a busy file is waited for, and synchronous is FULL.
        let mut options = AnyPoolOptions::new();
        // One connection, or two queries in a row would open a second one: the first is on its way back while the next is asked for.
        options = options.max_connections(1).acquire_timeout(PATIENCE * 2);
        options = options.test_before_acquire(false).idle_timeout(None).max_lifetime(None);
        if !settings.is_empty() {
            options = options.after_connect(move |connection, _| {
                Box::pin(async move {
                    for setting in settings {
                        connection.execute(*setting).await?;
                    }
                    Ok(())
                })
            });
        }
        let pool = options.connect_lazy(&address(&path)).map_err(|error| down::sqlite(&path, &error))?;
        let place = path.clone();
        let explain = Box::new(move |error: &sqlx::Error| down::sqlite(&place, error));
        let ledger = Ledger { pool, begin: "BEGIN IMMEDIATE", stands: STANDS, leases: None, explain };
        let locks = Locks::beside(&path);
        if tables(&ledger).await? == 0 {
            make_tables(&ledger, &locks, &path).await?;
        }
        let foreign = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'");
        if foreign.fetch_optional(&ledger.pool).await.map_err(|e| (ledger.explain)(&e))?.is_none() {
            let what = format!("{} is a database of something else: name another file", path.display());
            return Err(JournalError::Down(what));
        }
        ledger.update().await?;
        let meta = ledger.meta().await?;
        Ok(Self { ledger, locks, id: meta.id, salt: meta.salt })
    }

    fn lock(&self, rotation: &RotationId) -> Result<Held, JournalError> {
        let id = rotation.as_str();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(JournalError::Unknown(id.escape_debug().to_string()));
        }
        self.locks.take(id).map_err(|refused| match refused {
            Refused::Taken(by) => JournalError::Busy(rotation.clone(), by),
            Refused::Down(error) => error,
        })
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    fn id(&self) -> &str {
        &self.id
    }

    fn salt(&self) -> &[u8] {
        &self.salt
    }

    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError> {
        let rotation = opening.rotation.clone();
        let guard = self.lock(&rotation)?;
        let tip = self.ledger.open(opening).await?;
        Ok(Lease { rotation, epoch: 1, seq: tip.seq, head: tip.head, guard: Box::new(guard) })
    }

    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        let guard = self.lock(rotation)?;
        let (epoch, tip) = self.ledger.take(rotation).await?;
        Ok(Lease { rotation: rotation.clone(), epoch, seq: tip.seq, head: tip.head, guard: Box::new(guard) })
    }

    async fn append(
        &self,
        lease: &mut Lease,
        at: DateTime<Utc>,
        event: Event,
        detail: Detail,
        closes: bool,
    ) -> Result<Record, JournalError> {
        let (record, head) = self.ledger.append(lease, at, event, detail, closes).await?;
        lease.seq = record.seq;
        lease.head = head;
        Ok(record)
    }

    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError> {
        self.ledger.records(rotation).await
    }

    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.ledger.entries().await
    }

    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError> {
        self.ledger.holder(identity).await
    }

    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError> {
        self.ledger.leave(rotation, note).await
    }

    async fn asked(&self, lease: &Lease) -> Result<bool, JournalError> {
        self.ledger.asked(lease).await
    }
    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError> {
        self.ledger.collect(lease).await
    }

    async fn take_in(&self, name: &str, records: &[Record]) -> Result<(), JournalError> {
        self.ledger.take_in(name, records).await
    }

    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        self.ledger.decree(at, by, decree).await
    }

    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        self.ledger.decrees().await
    }

    async fn hashes(&self, rotation: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        self.ledger.hashes(rotation).await
    }

    /// The last process that closes writes the log into the file, so that the next one, perhaps in an emergency, need not read it.
    async fn close(&self) {
        self.ledger.pool.close().await;
    }
}

/// Sees to a file that only its owner can read.
fn make_file(path: &Path) -> Result<(), JournalError> {
    // SQLite's locks are the process's: closing any descriptor of a journal that is already in use here would drop them.
    // So an existing file is never opened, only looked at, and no two openings make one at once.
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| down::file("make the folder", folder, &error))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(down::file("make the journal", path, &error)),
    }
    let found = fs::symlink_metadata(path).map_err(|error| down::file("look at", path, &error))?;
    let place = path.display();
    let mode = found.permissions().mode() & 0o7777;
    let wrong = if found.is_symlink() {
        // Not "move it here": a journal is three files, and moving one of them loses records.
        let real = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from("(a file that is not there)"));
        format!("{place} is a symbolic link: name the file itself, {}", real.display())
    } else if !found.is_file() {
        format!("{place} is no file: name another place")
    } else if mode & 0o177 != 0 {
        format!("{place} is open to other users (mode {mode:04o}); run: chmod 600 '{place}'")
    } else {
        return Ok(());
    };
    Err(JournalError::Down(wrong))
}

/// Makes the tables once, however many processes begin at the same time.
async fn make_tables(ledger: &Ledger, locks: &Locks, path: &Path) -> Result<(), JournalError> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let _held = loop {
        match locks.take(MAKING) {
            Ok(held) => break held,
            Err(Refused::Taken(_)) if tokio::time::Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(Refused::Taken(by)) => {
                return Err(JournalError::Down(format!("{} is being made by {by}: try again", path.display())));
            }
            Err(Refused::Down(error)) => return Err(error),
        }
    };
    if tables(ledger).await? > 0 {
        return Ok(());
    }
    let wal = sqlx::query("PRAGMA journal_mode = WAL").execute(&ledger.pool).await;
    wal.map_err(|error| (ledger.explain)(&error))?;
    let (id, salt) = super::new_id_and_salt()?;
    ledger.create(&id, &salt, &[], &[]).await.map_err(|error| (ledger.explain)(&error))
}

async fn tables(ledger: &Ledger) -> Result<i64, JournalError> {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master").fetch_one(&ledger.pool).await;
    count.map_err(|error| (ledger.explain)(&error))
}

/// The file as a URL; every byte that a URL could read otherwise is escaped.
fn address(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let escape = |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    let path: String = path.as_os_str().as_encoded_bytes().iter().map(escape).collect();
    format!("sqlite://{path}?mode=rw")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Event;

    #[tokio::test]
    async fn a_record_is_on_the_disk_before_it_counts() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let journal = SqliteJournal::open(&folder.path().join("journal.db")).await?;
        let number = |pragma| sqlx::query_scalar::<_, i64>(pragma).fetch_one(&journal.ledger.pool);
        assert_eq!(number("PRAGMA synchronous").await?, 2, "FULL");
        assert_eq!(number("PRAGMA busy_timeout").await?, 5000);
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&journal.ledger.pool).await?;
        assert_eq!(mode, "wal");
        Ok(())
    }

    #[tokio::test]
    async fn a_full_disk_is_named_and_loses_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("journal.db");
        drop(SqliteJournal::open(&path).await?);
        let journal = SqliteJournal::connect(&path, &["PRAGMA max_page_count = 20"]).await?;
        let rotation = RotationId::new("r1");
        let said = "x".repeat(4000);
        let detail = || Detail::Reply { said: said.clone() };
        let opening = Opening {
            rotation: rotation.clone(),
            name: "n",
            identities: &[],
            seen: None,
            event: Event::Resumed,
            detail: detail(),
            then: None,
            at: Utc::now(),
        };
        let mut lease = Journal::open(&journal, opening).await?;
        let error = loop {
            match journal.append(&mut lease, Utc::now(), Event::Resumed, detail(), false).await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("is full: make room"), "{error}");
        assert_eq!(journal.records(&rotation).await?.len() as u64, lease.seq);
        let room = SqliteJournal::open(&path).await?;
        room.append(&mut lease, Utc::now(), Event::Resumed, detail(), true).await?;
        Ok(())
    }
}
