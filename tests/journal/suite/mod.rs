//! What every journal does, through its port: who may write, what is found when a row was changed, what survives a killed runner.

pub mod chain;
pub mod crash;
pub mod lease;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Identity, RotationId, Version},
    journal::Place,
    ports::{Journal, JournalError, Lease, Opening},
    protocol::{Effect, Event, Kind, OnTimeout, Rules},
    record::{ConsumerPlan, Detail, Plan, Record, StorePlan, Waits},
};

pub type Broken = Box<dyn std::error::Error>;
pub type Outcome = Result<(), Broken>;

/// Where the suite's journals are.
#[async_trait]
pub trait Server: Sized + Sync {
    /// The full name of the test that [`crash`] starts as another process.
    const CHILD: &'static str;
    /// How often a runner is killed.
    const ROUNDS: u64;
    /// A place of its own, without a journal.
    async fn start() -> Result<Self, Broken>;
    /// It, as `--journal` takes it.
    fn place(&self) -> String;
    /// It, for SQL behind keyroll's back, and what must be said there first.
    fn sql(&self) -> (String, &'static str);
    /// Makes the journal forget who drives which rotation: a lost lock file, a runner that did not renew its lease.
    async fn forget(&self) -> Result<(), Broken>;
    /// How many rotations it believes to be driven.
    async fn drivers(&self) -> Result<usize, Broken>;
}

/// A journal in a place of its own.
pub struct Desk<S> {
    pub server: S,
    pub journal: Box<dyn Journal>,
}

impl<S: Server> Desk<S> {
    pub async fn new() -> Result<Self, Broken> {
        let server = S::start().await?;
        let journal = open(&server.place()).await?;
        Ok(Self { server, journal })
    }

    /// The same journal, as another process has it.
    pub async fn again(&self) -> Result<Box<dyn Journal>, JournalError> {
        open(&self.server.place()).await
    }

    /// A rotation of five records.
    pub async fn five(&self, id: &str) -> Result<Lease, JournalError> {
        let mut lease = begin(&*self.journal, id, &["store/a", "principal/a"]).await?;
        for _ in 0..4 {
            step(&*self.journal, &mut lease).await?;
        }
        Ok(lease)
    }

    /// What somebody does to the rows behind keyroll's back.
    pub async fn tamper(&self, sql: &str) -> Result<(), sqlx::Error> {
        let (url, first) = self.server.sql();
        tamper(&url, &format!("{first}{sql}")).await
    }
}

pub async fn open(place: &str) -> Result<Box<dyn Journal>, JournalError> {
    Place::read(place.as_ref()).open().await
}

pub async fn tamper(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

/// Takes a rotation as soon as nobody has it; its last holder may have been another process.
pub async fn take_soon(journal: &dyn Journal, rotation: &RotationId) -> Result<Lease, JournalError> {
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match journal.take(rotation).await {
            Err(JournalError::Busy(..)) if tokio::time::Instant::now() < until => tokio::time::sleep(Duration::from_millis(50)).await,
            done => return done,
        }
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
        by_person: false,
        revokes: true,
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
        attributes: Default::default(),
        kept: None,
        page: None,
        approved: None,
        begun: None,
    }
}

pub async fn begin(journal: &dyn Journal, rotation: &str, identities: &[&str]) -> Result<Lease, JournalError> {
    begin_seeing(journal, rotation, identities, None).await
}

pub async fn begin_seeing(journal: &dyn Journal, rotation: &str, identities: &[&str], seen: Option<usize>) -> Result<Lease, JournalError> {
    let identities: Vec<_> = identities.iter().map(|text| Identity::new(*text)).collect();
    let detail = Detail::Planned(Box::new(plan()));
    let (rotation, event) = (id(rotation), Event::Resumed);
    journal.open(Opening { rotation, name: "example", identities: &identities, seen, event, detail, then: None, at: at() }).await
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

/// Every test of the suite, on one kind of journal.
macro_rules! contract {
    ($server:ty) => {
        contract! { $server:
            lease::records_come_back_as_they_were_written,
            lease::a_journal_keeps_its_id_and_salt,
            lease::of_many_first_openings_one_makes_the_journal,
            lease::a_second_runner_is_refused_while_the_first_lives,
            lease::a_takeover_fences_the_old_runner,
            lease::of_many_openings_on_one_identity_exactly_one_wins,
            lease::of_many_takers_exactly_one_wins,
            lease::what_was_decided_before_another_rotation_does_not_begin,
            lease::one_shared_identity_is_enough_and_closing_gives_it_back,
            lease::entries_are_newest_first,
            lease::an_unknown_rotation_is_named_and_leaves_no_trace,
            lease::asks_are_collected_once_and_in_order,
            lease::asks_left_at_once_are_all_collected,
            lease::an_ask_that_a_dead_runner_took_and_never_recorded_is_asked_again,
            lease::only_the_lease_holder_collects,
            lease::decrees_made_at_once_stand_one_behind_the_other,
            chain::every_kind_of_tampering_is_found_and_named,
            chain::a_record_of_another_rotation_is_found,
            chain::nothing_is_appended_where_the_head_was_changed_or_a_row_was_planted,
            chain::what_a_newer_keyroll_wrote_is_refused_never_skipped,
            chain::a_journal_of_the_first_form_goes_on_in_the_second,
            chain::a_changed_decree_is_found,
            chain::tables_of_another_form_are_refused,
            crash::child,
            crash::a_runner_killed_in_the_middle_leaves_a_whole_chain_and_no_lock,
        }
    };
    ($server:ty: $($part:ident::$test:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $test() -> suite::Outcome {
            suite::$part::$test::<$server>().await
        })*
    };
}
