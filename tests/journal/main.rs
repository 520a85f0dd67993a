//! The journal through its port: who may write, what is found when a row was changed, what is said when it cannot be used.

mod chain;
mod crash;
mod lease;
mod trouble;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Identity, RotationId, Version},
    journal::SqliteJournal,
    ports::{Journal, JournalError, Lease, Opening},
    protocol::{Effect, Event, Kind, OnTimeout, Rules},
    record::{ConsumerPlan, Detail, Plan, Record, StorePlan, Waits},
};
use tempfile::TempDir;

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A journal in a folder of its own.
pub struct Desk {
    pub folder: TempDir,
    pub journal: SqliteJournal,
}

impl Desk {
    pub async fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let journal = SqliteJournal::open(&folder.path().join("journal.db")).await?;
        Ok(Self { folder, journal })
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// A rotation of five records.
    pub async fn five(&self, id: &str) -> Result<Lease, JournalError> {
        let mut lease = begin(&self.journal, id, &["store/a", "principal/a"]).await?;
        for _ in 0..4 {
            step(&self.journal, &mut lease).await?;
        }
        Ok(lease)
    }

    /// What somebody does to the file behind keyroll's back.
    pub async fn tamper(&self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", self.path().display())).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&pool).await?;
        pool.close().await;
        Ok(())
    }
}

pub fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 123_456_789).unwrap_or_default()
}

pub fn id(text: &str) -> RotationId {
    RotationId::new(text)
}

pub fn plan() -> Plan {
    let rules = Rules {
        kind: Kind::Rotate,
        proved: true,
        disables: false,
        asks_use: false,
        replays: false,
        on_timeout: OnTimeout::Rollback,
        stores: 1,
        consumers: 1,
        attempts: 3,
    };
    Plan {
        playbook: "keyroll: 1\n".into(),
        origin: "key.yaml".into(),
        name: "example".into(),
        provider: "openai proj".into(),
        rules,
        old: None,
        listed: Vec::new(),
        stores: vec![StorePlan { locator: "vault secret/a".into(), base: Some(Version::new("7")) }],
        consumers: vec![ConsumerPlan { name: "api".into(), baseline: Vec::new(), expected: 3, job: false }],
        waits: Waits::default(),
        notes: vec!["é \" \\ \n".into()],
        begun: None,
    }
}

pub async fn begin(journal: &dyn Journal, rotation: &str, identities: &[&str]) -> Result<Lease, JournalError> {
    let identities: Vec<_> = identities.iter().map(|text| Identity::new(*text)).collect();
    let detail = Detail::Planned(Box::new(plan()));
    let opening = Opening { rotation: id(rotation), name: "example", identities: &identities, event: Event::Resumed, detail, at: at() };
    journal.open(opening).await
}

pub async fn step(journal: &dyn Journal, lease: &mut Lease) -> Result<Record, JournalError> {
    let detail = Detail::Intent { name: Some(format!("key-{}", lease.seq)), key: None, base: None };
    journal.append(lease, at(), Event::Intended(Effect::Create), detail, false).await
}

pub async fn close(journal: &dyn Journal, lease: &mut Lease) -> Result<Record, JournalError> {
    journal.append(lease, at(), Event::Resumed, Detail::Nothing, true).await
}

/// The error's text; a success is a failure of the test.
#[track_caller]
pub fn refusal<T>(result: Result<T, JournalError>) -> String {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

pub fn mode(path: &Path) -> Result<u32, std::io::Error> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}
