//! Processes that die, or are stopped, at an exact point: before or after a call of a port, or a record. A test target runs itself
//! again as such a process, with the production adapters and journal inside decorators; the product knows nothing of it.
#![allow(dead_code)]

pub mod ground;
mod journal;
mod ports;

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::PathBuf,
    process::ExitStatus,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keyroll::{
    adapters::{Ctx, build, clock::System, registry::Registry, secrets, wire::Wire},
    batch::{self, Item},
    driver::{Runner, drive, preflight},
    ids::RotationId,
    journal::{PostgresJournal, SqliteJournal},
    playbook::{Playbook, Source},
    ports::{AlwaysOpen, Clock as _, Journal, JournalError, Lease},
    retry::Patience,
    rotation::Rotation,
    secret::Secret,
    sight::Blind,
};
use rustix::process::{Signal, getpid, kill_process};
use tokio_util::sync::CancellationToken;

/// A boundary of a run: after so many records, the first call of that name; before it is made, or after it was answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Point {
    pub records: u64,
    pub call: String,
    pub after: bool,
}

impl Point {
    /// Whether the call changes something outside, or is a record.
    pub fn matters(&self) -> bool {
        self.effect() || self.call == "append" || self.call == "open" || self.call == "take"
    }

    /// Whether the call changes something outside.
    pub fn effect(&self) -> bool {
        ["create", "delete", "switch", "write", "roll"].contains(&self.call.as_str())
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.records, self.call, if self.after { "after" } else { "before" })
    }
}

impl FromStr for Point {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let (records, call, side) = (words.next().ok_or(())?, words.next().ok_or(())?, words.next().ok_or(())?);
        Ok(Self { records: records.parse().map_err(drop)?, call: call.into(), after: side == "after" })
    }
}

/// What happens at the point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Stop,
}

/// What a test target gives to a process that it starts.
pub struct Child {
    /// The test that becomes the process, by its full name.
    pub test: &'static str,
    /// What keyroll needs, `KEYROLL_JOURNAL` and references of the playbook.
    pub env: Vec<(String, String)>,
    pub playbook: PathBuf,
}

const AT: &str = "KEYROLL_DEATH_AT";
const TELL: &str = "KEYROLL_DEATH_TELL";
const STOPS: &str = "KEYROLL_DEATH_STOPS";
const PLAYBOOK: &str = "KEYROLL_DEATH_PLAYBOOK";

impl Child {
    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", self.test, "--test-threads=1", "--quiet"]);
        command.envs(self.env.iter().map(|(name, value)| (name, value))).env(PLAYBOOK, &self.playbook);
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs to the end, and tells every boundary that it passed.
    pub async fn points(&self) -> Vec<Point> {
        let told = tempfile::NamedTempFile::new().unwrap();
        let status = self.command().env(AT, "").env(TELL, told.path()).status().await.unwrap();
        assert!(status.success(), "the run that tells its boundaries ends well");
        let text = std::fs::read_to_string(told.path()).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Runs until it dies at this point, or to its end.
    pub async fn dies(&self, at: &Point) -> ExitStatus {
        self.command().env(AT, at.to_string()).status().await.unwrap()
    }

    /// Runs until it is stopped at this point; whoever starts it wakes it up.
    pub fn stopped(&self, at: &Point) -> tokio::process::Child {
        self.command().env(AT, at.to_string()).env(STOPS, "yes").spawn().unwrap()
    }
}

/// Whether this very process is to be such a child.
pub fn is_wanted() -> bool {
    std::env::var_os(AT).is_some()
}

/// Where and how a process is hit. It knows how many records its rotation has.
pub struct Fate {
    at: Option<Point>,
    blow: Blow,
    tell: Option<Mutex<std::fs::File>>,
    records: AtomicU64,
    passed: Mutex<BTreeSet<Point>>,
}

impl Fate {
    fn of_this_process() -> Arc<Self> {
        let at = std::env::var(AT).unwrap();
        let tell = std::env::var_os(TELL).map(|path| Mutex::new(std::fs::OpenOptions::new().append(true).open(path).unwrap()));
        let blow = if std::env::var_os(STOPS).is_some() { Blow::Stop } else { Blow::Kill };
        Arc::new(Self { at: at.parse().ok(), blow, tell, records: AtomicU64::new(0), passed: Mutex::default() })
    }

    pub(self) fn written(&self, records: u64) {
        self.records.store(records, Ordering::SeqCst);
    }

    /// A boundary: only the first of its kind counts.
    pub(self) fn passes(&self, call: &str, after: bool) {
        let point = Point { records: self.records.load(Ordering::SeqCst), call: call.into(), after };
        if !self.passed.lock().unwrap().insert(point.clone()) {
            return;
        }
        if let Some(tell) = &self.tell {
            writeln!(tell.lock().unwrap(), "{point}").unwrap();
        }
        if self.at.as_ref() == Some(&point) {
            let signal = if self.blow == Blow::Kill { Signal::KILL } else { Signal::STOP };
            let _ = kill_process(getpid(), signal);
        }
    }

    /// A call between its two boundaries.
    pub(self) async fn around<T>(&self, call: &str, work: impl Future<Output = T>) -> T {
        self.passes(call, false);
        let done = work.await;
        self.passes(call, true);
        done
    }
}

/// The child: begins the rotation of its playbook, or goes on with the one that is open.
pub async fn run() {
    let fate = Fate::of_this_process();
    let place = std::env::var("KEYROLL_JOURNAL").unwrap();
    let inner: Box<dyn Journal> = if place.starts_with("postgres") {
        Box::new(PostgresJournal::open(&Secret::new(place)).await.unwrap())
    } else {
        Box::new(SqliteJournal::open(&PathBuf::from(place)).await.unwrap())
    };
    let journal = journal::Deadly { inner, fate: fate.clone() };
    let source = Arc::new(Source::read(&PathBuf::from(std::env::var_os(PLAYBOOK).unwrap())).unwrap());
    let wire = Wire::new().unwrap();
    let ctx = Ctx { secrets: secrets::resolver(&wire), wire };
    let book = Playbook::parse(source).unwrap();
    let world = ports::deadly(build::build(&book, &Registry::builtin(), &ctx).unwrap(), &fate);
    let clock = System::new();
    let open = journal.inner.entries().await.unwrap().into_iter().find(|entry| entry.open);
    let item = Item { book, world };
    let (mut rotation, mut lease) = match open {
        Some(open) => taken(&journal, &clock, &open.rotation).await,
        None => {
            let overrides = batch::overrides(&journal, &item.book.name).await.unwrap();
            let plan = preflight(&item.world, &item.book, &clock, &overrides).await.unwrap();
            batch::begin(&journal, &clock, &item, plan, &mut Blind).await.unwrap()
        }
    };
    let stop = CancellationToken::new();
    let runner = Runner {
        world: &item.world,
        book: &item.book,
        journal: &journal,
        clock: &clock,
        gate: &AlwaysOpen,
        stop: &stop,
        patience: Patience::default(),
        longest_wait: Duration::from_secs(60),
    };
    drive(&runner, &mut Blind, &mut rotation, &mut lease).await.unwrap();
    drop(lease);
    journal.inner.close().await;
}

/// Takes a rotation over, as soon as its last runner's lease lapsed.
async fn taken(journal: &journal::Deadly, clock: &System, id: &RotationId) -> (Rotation, Lease) {
    loop {
        match batch::take(journal, clock, id, &mut Blind).await {
            Ok(taken) => return taken.unwrap(),
            Err(JournalError::Busy(..)) => clock.sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
}
