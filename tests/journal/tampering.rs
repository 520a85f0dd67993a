//! Whatever single row of the chains is changed, taken away, exchanged or doubled: reading the journal finds it.

use std::path::Path;

use keyroll::{
    journal::SqliteJournal,
    ports::{Journal as _, JournalError},
    record::Decree,
};
use proptest::{prelude::*, sample::Index};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqliteConnection};

use super::{begin, id, step};

/// How many ways to change a row are tried.
const CASES: u32 = 150;

/// One thing that somebody does to the rows behind keyroll's back.
#[derive(Clone, Debug)]
enum Tampering {
    /// One character of one text column becomes another one.
    Text {
        column: &'static str,
        row: Index,
        at: Index,
        to: char,
    },
    /// One number becomes another one.
    Number {
        column: &'static str,
        row: Index,
        by: i64,
    },
    /// A row is gone.
    Dropped {
        row: Index,
    },
    /// Two rows change places: their contents, but not their numbers.
    Exchanged {
        one: Index,
        other: Index,
    },
    /// A row stands once more, behind the last one of a rotation.
    Doubled {
        row: Index,
        into: Index,
    },
    /// A row moves into another rotation.
    Moved {
        row: Index,
    },
    /// What the rotation's own row says of its end.
    Head {
        row: Index,
        at: Index,
        to: char,
    },
    /// The same, of its length.
    Length {
        row: Index,
        by: i64,
    },
    /// A decree: its text, its hash, its absence, a second one.
    DecreeText {
        column: &'static str,
        row: Index,
        at: Index,
        to: char,
    },
    DecreeDropped {
        row: Index,
    },
    DecreeExchanged {
        one: Index,
        other: Index,
    },
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let (row, at) = (any::<Index>, any::<Index>);
    let to = || prop_oneof![prop::char::range('0', 'f'), any::<char>().prop_filter("a text", |c| *c != '\0')];
    let by = || prop_oneof![-3..0_i64, 1..4_i64, Just(1 << 40)];
    let text = prop::sample::select(vec!["body", "hash"]);
    let number = prop::sample::select(vec!["seq", "epoch"]);
    prop_oneof![
        4 => (text.clone(), row(), at(), to()).prop_map(|(column, row, at, to)| Tampering::Text { column, row, at, to }),
        2 => (number, row(), by()).prop_map(|(column, row, by)| Tampering::Number { column, row, by }),
        2 => row().prop_map(|row| Tampering::Dropped { row }),
        2 => (row(), row()).prop_map(|(one, other)| Tampering::Exchanged { one, other }),
        2 => (row(), row()).prop_map(|(row, into)| Tampering::Doubled { row, into }),
        1 => row().prop_map(|row| Tampering::Moved { row }),
        1 => (row(), at(), to()).prop_map(|(row, at, to)| Tampering::Head { row, at, to }),
        1 => (row(), by()).prop_map(|(row, by)| Tampering::Length { row, by }),
        2 => (text, row(), at(), to()).prop_map(|(column, row, at, to)| Tampering::DecreeText { column, row, at, to }),
        1 => row().prop_map(|row| Tampering::DecreeDropped { row }),
        1 => (row(), row()).prop_map(|(one, other)| Tampering::DecreeExchanged { one, other }),
    ]
}

type Said<T> = Result<T, sqlx::Error>;

async fn ids(rows: &mut SqliteConnection, table: &str) -> Said<Vec<i64>> {
    let found = sqlx::query(AssertSqlSafe(format!("SELECT rowid AS place FROM {table} ORDER BY rowid"))).fetch_all(rows).await?;
    Ok(found.iter().map(|row| row.get("place")).collect())
}

async fn one(rows: &mut SqliteConnection, table: &str, row: Index) -> Said<i64> {
    let all = ids(rows, table).await?;
    Ok(all[row.index(all.len())])
}

/// Puts another character into a text; whether it is another text now.
async fn retype(rows: &mut SqliteConnection, (table, column): (&str, &str), place: i64, at: Index, to: char) -> Said<bool> {
    let found = sqlx::query(AssertSqlSafe(format!("SELECT {column} AS text FROM {table} WHERE rowid = $1"))).bind(place);
    let text: String = found.fetch_one(&mut *rows).await?.get("text");
    let mut letters: Vec<char> = text.chars().collect();
    let at = at.index(letters.len());
    letters[at] = to;
    let changed: String = letters.into_iter().collect();
    let update = sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET {column} = $1 WHERE rowid = $2")));
    update.bind(&changed).bind(place).execute(rows).await?;
    Ok(changed != text)
}

/// Makes two rows of one table hold each other's contents; whether they differ.
async fn exchange(rows: &mut SqliteConnection, table: &str, one: i64, other: i64) -> Said<bool> {
    let columns = if table == "event" { "body || '|' || hash" } else { "body" };
    let of = async |rows: &mut SqliteConnection, place: i64| {
        let query = format!("SELECT body, hash, {columns} AS whole FROM {table} WHERE rowid = $1");
        let row = sqlx::query(AssertSqlSafe(query)).bind(place).fetch_one(rows).await?;
        Ok::<(String, String, String), sqlx::Error>((row.get("body"), row.get("hash"), row.get("whole")))
    };
    let (first, second) = (of(rows, one).await?, of(rows, other).await?);
    for (place, (body, hash, _)) in [(one, &second), (other, &first)] {
        let update = sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET body = $1, hash = $2 WHERE rowid = $3")));
        update.bind(body).bind(hash).bind(place).execute(&mut *rows).await?;
    }
    Ok(first.2 != second.2)
}

/// Does it; whether anything is different now.
async fn tamper(path: &Path, how: &Tampering) -> Said<bool> {
    let mut rows = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?;
    let rows = &mut rows;
    let update = |query: &str| sqlx::query(AssertSqlSafe(query.to_owned()));
    match how {
        Tampering::Text { column, row, at, to } => {
            let place = one(rows, "event", *row).await?;
            retype(rows, ("event", column), place, *at, *to).await
        }
        Tampering::Number { column, row, by } => {
            let place = one(rows, "event", *row).await?;
            // The primary key refuses a number that is taken.
            let done = update(&format!("UPDATE OR IGNORE event SET {column} = {column} + $1 WHERE rowid = $2")).bind(by).bind(place);
            Ok(done.execute(rows).await?.rows_affected() == 1)
        }
        Tampering::Dropped { row } => {
            let place = one(rows, "event", *row).await?;
            update("DELETE FROM event WHERE rowid = $1").bind(place).execute(rows).await?;
            Ok(true)
        }
        Tampering::Exchanged { one: first, other } => {
            let (first, other) = (one(rows, "event", *first).await?, one(rows, "event", *other).await?);
            exchange(rows, "event", first, other).await
        }
        Tampering::Doubled { row, into } => {
            let (place, into) = (one(rows, "event", *row).await?, one(rows, "event", *into).await?);
            let copy = "INSERT INTO event SELECT i.rotation, (SELECT MAX(seq) + 1 FROM event WHERE rotation = i.rotation), e.epoch, e.body, e.hash \
                        FROM event e, event i WHERE e.rowid = $1 AND i.rowid = $2";
            update(copy).bind(place).bind(into).execute(rows).await?;
            Ok(true)
        }
        Tampering::Moved { row } => {
            let place = one(rows, "event", *row).await?;
            let moved = "UPDATE OR IGNORE event SET rotation = CASE rotation WHEN 'r1' THEN 'r2' ELSE 'r1' END WHERE rowid = $1";
            Ok(update(moved).bind(place).execute(rows).await?.rows_affected() == 1)
        }
        Tampering::Head { row, at, to } => {
            let place = one(rows, "rotation", *row).await?;
            retype(rows, ("rotation", "head"), place, *at, *to).await
        }
        Tampering::Length { row, by } => {
            let place = one(rows, "rotation", *row).await?;
            update("UPDATE rotation SET seq = seq + $1 WHERE rowid = $2").bind(by).bind(place).execute(rows).await?;
            Ok(true)
        }
        Tampering::DecreeText { column, row, at, to } => {
            let place = one(rows, "decree", *row).await?;
            retype(rows, ("decree", column), place, *at, *to).await
        }
        Tampering::DecreeDropped { row } => {
            let all = ids(rows, "decree").await?;
            // The last of the decrees leaves no trace in the journal: `audit verify --against` finds that.
            let place = all[row.index(all.len() - 1)];
            update("DELETE FROM decree WHERE rowid = $1").bind(place).execute(rows).await?;
            Ok(true)
        }
        Tampering::DecreeExchanged { one: first, other } => {
            let (first, other) = (one(rows, "decree", *first).await?, one(rows, "decree", *other).await?);
            exchange(rows, "decree", first, other).await
        }
    }
}

/// Two rotations of different lengths and epochs, and a few decrees.
async fn write(path: &Path) -> Result<(), JournalError> {
    let journal = SqliteJournal::open(path).await?;
    for (name, records) in [("r1", 7), ("r2", 4)] {
        let mut lease = begin(&journal, name, &[name]).await?;
        for _ in 0..records / 2 {
            step(&journal, &mut lease).await?;
        }
        drop(lease);
        let mut lease = journal.take(&id(name)).await?;
        for _ in records / 2..records {
            step(&journal, &mut lease).await?;
        }
    }
    for by in ["ana", "ben", "eve"] {
        journal.decree(chrono::Utc::now(), by, Decree::Ack { rotation: id("r1"), reason: None }).await?;
    }
    Ok(())
}

/// Whether every chain is read as good.
async fn whole(path: &Path) -> Result<bool, JournalError> {
    let journal = SqliteJournal::open(path).await?;
    for name in ["r1", "r2"] {
        match journal.records(&id(name)).await {
            Err(JournalError::Corrupt(_)) => return Ok(false),
            read => drop(read?),
        }
    }
    match journal.decrees().await {
        Err(JournalError::Corrupt(_)) => Ok(false),
        read => read.map(|_| true),
    }
}

#[test]
fn any_tampering_with_any_row_of_a_chain_is_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    runtime.block_on(write(&path)).expect("written");
    // Everything into the one file, so that a copy of it is a copy of the journal.
    runtime
        .block_on(async {
            SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?.execute("PRAGMA wal_checkpoint(TRUNCATE)").await
        })
        .expect("one file");
    assert!(runtime.block_on(whole(&path)).expect("readable"), "untouched");
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&tampering(), |how| {
        let copy = folder.path().join("copy.db");
        for name in ["copy.db", "copy.db-wal", "copy.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        std::fs::copy(&path, &copy).expect("copied");
        let changed = runtime.block_on(tamper(&copy, &how)).expect("done");
        let whole = runtime.block_on(whole(&copy)).map_err(|error| TestCaseError::fail(format!("{how:?}: {error}")))?;
        prop_assert_eq!(whole, !changed, "{:?}", how);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
