//! The tables: what they are, how they are made, and how older ones are brought up.

use super::ledger::{Done, Ledger};
use crate::ports::JournalError;

/// The form of the tables. A journal with another one is not used.
const FORM: i64 = 2;

const TABLES: &[&str] = &[
    "CREATE TABLE meta (journal TEXT PRIMARY KEY, salt TEXT NOT NULL, form BIGINT NOT NULL)",
    "CREATE TABLE rotation (id TEXT PRIMARY KEY, name TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, \
     head TEXT NOT NULL, held BIGINT NOT NULL)",
    "CREATE TABLE claim (identity TEXT PRIMARY KEY, rotation TEXT NOT NULL)",
    "CREATE TABLE event (rotation TEXT NOT NULL, seq BIGINT NOT NULL, epoch BIGINT NOT NULL, body TEXT NOT NULL, \
     hash TEXT NOT NULL, PRIMARY KEY (rotation, seq))",
    // taken: the rotation's seq when its runner took the row; 0: nobody has.
    "CREATE TABLE inbox (rotation TEXT NOT NULL, id BIGINT NOT NULL, body TEXT NOT NULL, taken BIGINT NOT NULL, \
     PRIMARY KEY (rotation, id))",
    DECREE_TABLE,
];

/// What form 2 has and form 1 had not.
const DECREE_TABLE: &str = "CREATE TABLE decree (seq BIGINT PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL)";

const META: &str = "SELECT journal, salt, form FROM meta";

/// What a journal says of itself.
pub(super) struct Meta {
    pub id: String,
    pub salt: Vec<u8>,
}

impl Ledger {
    /// Makes the tables, all or nothing; `first` and `more` are what this database needs besides.
    pub async fn create(&self, id: &str, salt: &str, first: &[&'static str], more: &[&'static str]) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin_with(self.begin).await?;
        for table in first.iter().chain(TABLES).chain(more) {
            sqlx::query(*table).execute(&mut *tx).await?;
        }
        let meta = sqlx::query("INSERT INTO meta (journal, salt, form) VALUES ($1, $2, $3)").bind(id).bind(salt).bind(FORM);
        meta.execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Brings the tables of an older keyroll up to [`FORM`]. Two at once: the second waits, and finds it done.
    pub async fn update(&self) -> Done<()> {
        let row = sqlx::query(META).fetch_optional(&self.pool).await.map_err(|e| (self.explain)(&e))?;
        if !row.is_some_and(|row| self.get::<i64>(&row, "form").is_ok_and(|form| form == 1)) {
            return Ok(());
        }
        let mut tx = self.write().await?;
        let first = sqlx::query("UPDATE meta SET form = 2 WHERE form = 1").execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
        if first.rows_affected() == 1 {
            sqlx::query(DECREE_TABLE).execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
        }
        tx.commit().await.map_err(|e| (self.explain)(&e))
    }

    pub async fn meta(&self) -> Done<Meta> {
        let row = sqlx::query(META).fetch_optional(&self.pool).await.map_err(|e| (self.explain)(&e))?;
        let row = row.ok_or_else(|| JournalError::Corrupt("it has lost its id and salt: put a copy back".into()))?;
        let form: i64 = self.get(&row, "form")?;
        if form != FORM {
            let what = format!("the journal was written by a newer keyroll (tables of form {form}; this one knows {FORM}): use that one");
            return Err(JournalError::Corrupt(what));
        }
        let salt: String = self.get(&row, "salt")?;
        let salt = unhex(&salt).ok_or_else(|| JournalError::Corrupt("its salt was changed: put a copy back".into()))?;
        Ok(Meta { id: self.get(&row, "journal")?, salt })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    pairs.collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == 32)
}
