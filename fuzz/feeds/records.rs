//! Rows of a journal: each line is a body. They are put into a real journal with hashes that fit (or, after an even first byte, do not),
//! read back through its port, folded, and reported in every form.

use std::sync::{Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use keyroll::{
    ids::{KeyId, RotationId},
    journal::SqliteJournal,
    ports::Journal as _,
    record::Record,
    report,
    rotation::{Rotation, Tombstone},
};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};
use tokio::runtime::Runtime;

use super::common;

/// The right to delete this key.
pub fn tombstone(key: &KeyId) -> Tombstone {
    common::tombstone_for(key)
}

struct Desk {
    runtime: Runtime,
    journal: SqliteJournal,
    /// Behind the journal's back.
    rows: Mutex<SqliteConnection>,
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = std::env::temp_dir().join(format!("keyroll-fuzz-{}", std::process::id()));
        let path = folder.join("journal.db");
        let journal = runtime.block_on(SqliteJournal::open(&path)).expect("a journal");
        let rows = runtime.block_on(async {
            let mut rows = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?;
            rows.execute("PRAGMA synchronous = OFF").await?;
            Ok::<_, sqlx::Error>(rows)
        });
        Desk { runtime, journal, rows: Mutex::new(rows.expect("its rows")) }
    })
}

/// Whose records these say they are.
fn whose(bodies: &[&str]) -> String {
    let first = bodies.first().and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok());
    first.and_then(|body| body["rotation"].as_str().map(str::to_owned)).unwrap_or_else(|| "r1".into())
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn feed(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let bodies: Vec<&str> = text.lines().take(200).collect();
    let desk = desk();
    let mut rows = desk.rows.lock().unwrap_or_else(PoisonError::into_inner);
    let (records, decrees) = desk.runtime.block_on(async {
        let id = whose(&bodies);
        put(&mut rows, &id, &bodies, first % 2 == 1).await.expect("rows");
        (desk.journal.records(&RotationId::new(id)).await, desk.journal.decrees().await)
    });
    if let Ok(records) = records {
        show(&records);
    }
    for decreed in decrees.iter().flatten() {
        drop(report::decree_sentence(decreed));
    }
}

/// One chain of events, and one of decrees, of the same bodies.
async fn put(rows: &mut SqliteConnection, id: &str, bodies: &[&str], fits: bool) -> Result<(), sqlx::Error> {
    rows.execute("BEGIN; DELETE FROM event; DELETE FROM decree; DELETE FROM rotation").await?;
    let (mut head, mut decreed) = (hash(id), hash("decrees"));
    for (body, seq) in bodies.iter().zip(1_i64..) {
        head = hash(&format!("{head}{body}"));
        decreed = hash(&format!("{decreed}{body}"));
        let epoch = serde_json::from_str::<serde_json::Value>(body).ok().and_then(|body| body["epoch"].as_i64()).unwrap_or(1);
        let event = sqlx::query(AssertSqlSafe("INSERT INTO event VALUES ($1, $2, $3, $4, $5)"));
        event.bind(id).bind(seq).bind(epoch).bind(*body).bind(&head).execute(&mut *rows).await?;
        let decree = sqlx::query(AssertSqlSafe("INSERT INTO decree VALUES ($1, $2, $3)"));
        decree.bind(seq).bind(*body).bind(&decreed).execute(&mut *rows).await?;
    }
    let end = if fits { head } else { hash(&head) };
    let rotation = sqlx::query(AssertSqlSafe("INSERT INTO rotation VALUES ($1, 'fuzzed', 1, $2, $3, 1)"));
    rotation.bind(id).bind(bodies.len() as i64).bind(end).execute(&mut *rows).await?;
    rows.execute("COMMIT").await.map(drop)
}

/// Everything that is told of a rotation.
fn show(records: &[Record]) {
    let Ok(rotation) = Rotation::fold(records) else { return };
    let now = DateTime::<Utc>::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    for record in records {
        drop(report::words::sentence(&rotation, record));
        drop(report::json_line(&rotation, record));
    }
    drop((report::summary(&rotation, records), report::times(records), report::steps(rotation.state)));
    drop((report::show(&rotation, records, now), report::show_json(&rotation, records, now)));
    drop((report::history(std::slice::from_ref(&rotation)), report::status_json(std::slice::from_ref(&rotation), now)));
    if let Ok(document) = report::document(records, &[], "head", "journal", now) {
        drop((report::text(&document), report::page(&document), serde_json::to_string(&document)));
    }
}
