//! The process that dies: the driver with the production adapters, and a journal that kills its own process.

use std::{path::PathBuf, process::ExitStatus, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    adapters::{Ctx, build, clock::System, registry::Registry, secrets, wire::Wire},
    batch,
    driver::{Overrides, Runner, drive, preflight},
    ids::{Identity, RotationId},
    journal::SqliteJournal,
    playbook::{Playbook, Source},
    ports::{Clock, Entry, Journal, JournalError, Lease, Note, Opening, World},
    protocol::Event,
    record::{Decree, Decreed, Detail, Record},
    retry::Patience,
    rotation::Rotation,
    sight::Blind,
};
use tokio_util::sync::CancellationToken;

use super::stage::Stage;

const AT: &str = "KEYROLL_CRASH_AT";

pub fn is_wanted() -> bool {
    std::env::var_os(AT).is_some()
}

/// This test binary again, as the process that dies.
pub async fn spawn(stage: &Stage, at: u64, after: bool) -> ExitStatus {
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--test-threads=1", "--quiet"])
        .env(AT, format!("{at} {after}"))
        .env("KEYROLL_CRASH_JOURNAL", stage.journal())
        .env("KEYROLL_CRASH_PLAYBOOK", stage.playbook())
        .env("STAGE_TOKEN", stage.token())
        .stdout(std::process::Stdio::null())
        .stdin(std::process::Stdio::null())
        .status()
        .await
        .unwrap()
}

pub async fn run() {
    let text = std::env::var(AT).unwrap();
    let (at, after) = text.split_once(' ').unwrap();
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let journal = SqliteJournal::open(&path("KEYROLL_CRASH_JOURNAL")).await.unwrap();
    let journal = Dying { inner: journal, at: at.parse().unwrap(), after: after == "true" };
    let source = Arc::new(Source::read(&path("KEYROLL_CRASH_PLAYBOOK")).unwrap());
    let wire = Wire::new().unwrap();
    let ctx = Ctx { secrets: secrets::resolver(&wire), wire };
    let book = Playbook::parse(source).unwrap();
    let world = build::build(&book, &Registry::builtin(), &ctx).unwrap();
    let clock = System::new();
    let (mut rotation, mut lease) = match journal.entries().await.unwrap().pop() {
        Some(entry) => match batch::take(&journal, &clock, &entry.rotation, &mut Blind).await.unwrap() {
            Some(open) => open,
            None => return,
        },
        None => begin(&world, &book, &clock, &journal).await,
    };
    let stop = CancellationToken::new();
    let patience = Patience::default();
    let longest_wait = std::time::Duration::from_secs(60);
    let runner = Runner {
        world: &world,
        book: &book,
        journal: &journal,
        clock: &clock,
        gate: &keyroll::ports::AlwaysOpen,
        stop: &stop,
        patience,
        longest_wait,
        handed: None,
    };
    drive(&runner, &mut Blind, &mut rotation, &mut lease).await.unwrap();
}

async fn begin(world: &World, book: &Playbook, clock: &System, journal: &Dying) -> (Rotation, Lease) {
    let overrides = Overrides {
        install: false,
        replace: false,
        old_key_id: None,
        salt: journal.salt().to_vec(),
        journal: Some(journal.id().to_owned()),
        adopted: Vec::new(),
        known: None,
    };
    let plan = preflight(world, book, clock, &overrides).await.unwrap();
    let id = RotationId::at(clock.now(), 7);
    let identities = build::identities(book, world);
    let detail = Detail::Planned(Box::new(plan));
    let opening = Opening {
        rotation: id.clone(),
        name: &book.name,
        identities: &identities,
        seen: None,
        event: Event::Planned,
        detail,
        then: None,
        at: clock.now(),
    };
    let lease = journal.open(opening).await.unwrap();
    let rotation = Rotation::fold(&journal.records(&id).await.unwrap()).unwrap();
    (rotation, lease)
}

/// A journal that kills its process just before or just after one record is durable.
struct Dying {
    inner: SqliteJournal,
    at: u64,
    after: bool,
}

impl Dying {
    fn around(&self, seq: u64, after: bool) {
        if seq == self.at && after == self.after {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}

#[async_trait]
impl Journal for Dying {
    fn id(&self) -> &str {
        self.inner.id()
    }
    fn salt(&self) -> &[u8] {
        self.inner.salt()
    }
    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError> {
        let lease = self.inner.open(opening).await?;
        self.around(1, true);
        Ok(lease)
    }
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        self.inner.take(rotation).await
    }
    async fn append(
        &self,
        lease: &mut Lease,
        at: DateTime<Utc>,
        event: Event,
        detail: Detail,
        closes: bool,
    ) -> Result<Record, JournalError> {
        self.around(lease.seq + 1, false);
        let record = self.inner.append(lease, at, event, detail, closes).await?;
        self.around(record.seq, true);
        Ok(record)
    }
    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError> {
        self.inner.records(rotation).await
    }
    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.inner.entries().await
    }
    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError> {
        self.inner.holder(identity).await
    }
    async fn take_in(&self, name: &str, records: &[Record]) -> Result<(), JournalError> {
        self.inner.take_in(name, records).await
    }
    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        self.inner.decree(at, by, decree).await
    }
    async fn hashes(&self, rotation: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        self.inner.hashes(rotation).await
    }
    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        self.inner.decrees().await
    }
    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError> {
        self.inner.leave(rotation, note).await
    }
    async fn asked(&self, lease: &Lease) -> Result<bool, JournalError> {
        self.inner.asked(lease).await
    }
    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError> {
        self.inner.collect(lease).await
    }
}
