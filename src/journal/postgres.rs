//! The journal on PostgreSQL: one server for any number of runners.
//!
//! A rotation is driven by the holder of its lease row, by the server's clock. Every record renews the lease, and so does a
//! heartbeat between records. A lease that lapsed is lost: the next record, and the look at the inbox before each effect,
//! fail for its former holder, whether somebody else took over (the epoch moved) or nobody did.

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _, Row as _, any::AnyPoolOptions};
use tokio::{runtime::Handle, task::AbortHandle, time::timeout};
use tokio_util::task::TaskTracker;

use super::{
    address::Address,
    down,
    lease::{self, Leases},
    ledger::{Ledger, small},
};
use crate::{
    ids::{Identity, RotationId},
    ports::{Entry, Journal, JournalError, Lease, Note, Opening},
    protocol::Event,
    record::{Decree, Decreed, Detail, Record},
    secret::Secret,
};

/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one call may take in all. A server that vanished without a word must not stop a runner for good.
const WHOLE_CALL: Duration = Duration::from_secs(25);

/// What every connection needs. A commit is durable when it is answered, whatever the role's settings say; nobody waits for
/// long; and a runner that was stopped in the middle of a transaction does not keep its rows locked.
const SETTINGS: &str = "SET search_path = keyroll; SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '15s'; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

// CREATE SCHEMA IF NOT EXISTS asks for a right on the database even where the schema stands.
const SCHEMA: &str = "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'keyroll') \
     THEN CREATE SCHEMA keyroll; END IF; END $$";
const MADE: &str = "SELECT COUNT(*) AS made FROM pg_catalog.pg_tables WHERE schemaname = 'keyroll' AND tablename = 'meta'";
const CLOCK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS micros";
const STANDS: &str = "SELECT epoch, seq, head, held FROM rotation WHERE id = $1 FOR UPDATE";

/// How often making the tables is tried behind others who make them too.
const MAKING_TRIES: usize = 5;

/// What another process's making of the same tables looks like: a name that stands, or a row in the catalogue.
const MADE_MEANWHILE: &[&str] = &["23505", "42P06", "42P07", "42710", "40001", "40P01"];

/// A journal in the schema `keyroll` of one database.
pub struct PostgresJournal {
    ledger: Ledger,
    leases: Leases,
    /// A connection of its own for heartbeats: nothing else keeps them waiting.
    beats: AnyPool,
    releases: TaskTracker,
    id: String,
    salt: Vec<u8>,
}

impl PostgresJournal {
    /// Opens the journal at this URL, and makes its tables where there are none. `?keyroll_lease=SECONDS` is how long this
    /// process's leases last without a renewal (30 without it).
    ///
    /// # Errors
    /// [`JournalError::Down`] where it cannot be used as it is: the text says why and what to do, and holds no password;
    /// [`JournalError::Corrupt`] where it was changed, or a newer keyroll made it.
    pub async fn open(url: &Secret) -> Result<Self, JournalError> {
        let (ledger, beats) = connect(&Address::read(url)?).await?;
        within(async {
            for _ in 0..MAKING_TRIES {
                if made(&ledger).await? {
                    break;
                }
                let (id, salt) = super::new_id_and_salt()?;
                match ledger.create(&id, &salt, &[SCHEMA], &[lease::TABLE]).await {
                    Err(error) if down::code(&error).is_some_and(|code| MADE_MEANWHILE.contains(&code.as_str())) => {}
                    done => done.map_err(|error| (ledger.explain)(&error))?,
                }
            }
            Self::of(ledger, beats).await
        })
        .await
    }

    /// Opens the journal at this URL only if it has tables: for verbs that only read.
    ///
    /// # Errors
    /// Those of [`PostgresJournal::open`].
    pub async fn open_existing(url: &Secret) -> Result<Option<Self>, JournalError> {
        let (ledger, beats) = connect(&Address::read(url)?).await?;
        within(async { if made(&ledger).await? { Self::of(ledger, beats).await.map(Some) } else { Ok(None) } }).await
    }

    async fn of(ledger: Ledger, beats: AnyPool) -> Result<Self, JournalError> {
        ledger.update().await?;
        let (meta, leases) = (ledger.meta().await?, ledger.leases.clone());
        let leases = leases.ok_or_else(|| JournalError::Down("it has no leases".into()))?;
        Ok(Self { ledger, leases, beats, releases: TaskTracker::new(), id: meta.id, salt: meta.salt })
    }

    fn guard(&self, rotation: &RotationId, epoch: u64) -> Result<Box<Hold>, JournalError> {
        let (leases, pool, mine) = (self.leases.clone(), self.beats.clone(), rotation.clone());
        let (releases, epoch) = (self.releases.clone(), small(epoch)?);
        let heart = tokio::spawn(async move { beat(&leases, &pool, &mine, epoch).await }).abort_handle();
        Ok(Box::new(Hold { heart, leases: self.leases.clone(), pool: self.beats.clone(), rotation: rotation.clone(), epoch, releases }))
    }
}

/// Renews a lease every third of its time, until it is lost or given back.
async fn beat(leases: &Leases, pool: &AnyPool, rotation: &RotationId, epoch: i64) {
    let third = leases.lasts / 3;
    let mut pause = third;
    loop {
        tokio::time::sleep(pause).await;
        pause = match timeout(third, leases.renew(pool, rotation, epoch)).await {
            Ok(Ok(true)) => third,
            Ok(Ok(false)) => {
                tracing::debug!(%rotation, "the lease is no longer ours to renew");
                return;
            }
            Ok(Err(_)) | Err(_) => third / 4,
        };
    }
}

/// A lease that is kept alive; given back when dropped.
struct Hold {
    heart: AbortHandle,
    leases: Leases,
    pool: AnyPool,
    rotation: RotationId,
    epoch: i64,
    releases: TaskTracker,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.heart.abort();
        // Without a runtime nothing can be sent: the lease lapses by itself.
        if Handle::try_current().is_err() {
            return;
        }
        let (leases, pool, rotation, epoch) = (self.leases.clone(), self.pool.clone(), self.rotation.clone(), self.epoch);
        self.releases.spawn(async move {
            if !matches!(timeout(PATIENCE, leases.free(&pool, &rotation, epoch)).await, Ok(Ok(()))) {
                tracing::debug!(%rotation, "the lease could not be given back; it lapses");
            }
        });
    }
}

/// Ends a call whose answer does not come. Whether it had an effect is found out by whoever goes on.
async fn within<T>(call: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
    let late = || JournalError::Down(format!("no answer within {} s; whether it was written is not known", WHOLE_CALL.as_secs()));
    timeout(WHOLE_CALL, call).await.map_err(|_| late())?
}

async fn connect(address: &Address) -> Result<(Ledger, AnyPool), JournalError> {
    sqlx::any::install_default_drivers();
    let (place, passwords) = (address.shown.clone(), address.passwords.iter().map(Secret::duplicate).collect::<Vec<_>>());
    let explain = Box::new(move |error: &sqlx::Error| down::postgres(&place, &passwords, error));
    // A pool tries a failing connection again and again; the first one alone says what is wrong.
    let first = async {
        let mut connection = AnyConnection::connect(address.url.reveal()).await?;
        connection.execute("SELECT 1").await?;
        connection.close().await
    };
    let late = || JournalError::Down(format!("{} does not answer: see that its address and port are right", address.shown));
    timeout(PATIENCE, first).await.map_err(|_| late())?.map_err(|error| explain(&error))?;
    let pool = |connections| {
        AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SETTINGS).await.map(drop) }))
            .connect_lazy(address.url.reveal())
            .map_err(|error| explain(&error))
    };
    let (pool, beats) = (pool(4)?, pool(1)?);
    let leases = Some(Leases { holder: super::this_process(), lasts: address.lease });
    Ok((Ledger { pool, begin: "BEGIN ISOLATION LEVEL READ COMMITTED", stands: STANDS, leases, explain }, beats))
}

async fn made(ledger: &Ledger) -> Result<bool, JournalError> {
    let row = sqlx::query(MADE).fetch_one(&ledger.pool).await.map_err(|error| (ledger.explain)(&error))?;
    Ok(row.try_get::<i64, _>("made").is_ok_and(|made| made > 0))
}

#[async_trait]
impl Journal for PostgresJournal {
    fn id(&self) -> &str {
        &self.id
    }

    fn salt(&self) -> &[u8] {
        &self.salt
    }

    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError> {
        let rotation = opening.rotation.clone();
        let tip = within(self.ledger.open(opening)).await?;
        let guard = self.guard(&rotation, 1)?;
        Ok(Lease { rotation, epoch: 1, seq: tip.seq, head: tip.head, guard })
    }

    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        self.close().await;
        let (epoch, tip) = within(self.ledger.take(rotation)).await?;
        let guard = self.guard(rotation, epoch)?;
        Ok(Lease { rotation: rotation.clone(), epoch, seq: tip.seq, head: tip.head, guard })
    }

    async fn append(
        &self,
        lease: &mut Lease,
        at: DateTime<Utc>,
        event: Event,
        detail: Detail,
        closes: bool,
    ) -> Result<Record, JournalError> {
        let (record, head) = within(self.ledger.append(lease, at, event, detail, closes)).await?;
        lease.seq = record.seq;
        lease.head = head;
        Ok(record)
    }

    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError> {
        within(self.ledger.records(rotation)).await
    }

    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        within(self.ledger.entries()).await
    }

    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError> {
        within(self.ledger.holder(identity)).await
    }

    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError> {
        within(self.ledger.leave(rotation, note)).await
    }

    async fn asked(&self, lease: &Lease) -> Result<bool, JournalError> {
        within(async {
            self.ledger.held(lease).await?;
            self.ledger.asked(lease).await
        })
        .await
    }

    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError> {
        within(async {
            // The driver looks here before each step: nothing is begun on a lease that lapsed meanwhile.
            self.ledger.held(lease).await?;
            self.ledger.collect(lease).await
        })
        .await
    }

    async fn take_in(&self, name: &str, records: &[Record]) -> Result<(), JournalError> {
        within(self.ledger.take_in(name, records)).await
    }

    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        within(self.ledger.decree(at, by, decree)).await
    }

    async fn hashes(&self, rotation: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        within(self.ledger.hashes(rotation)).await
    }

    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        within(self.ledger.decrees()).await
    }

    async fn clock(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        let explain = |error| (self.ledger.explain)(&error);
        let row = within(async { sqlx::query(CLOCK).fetch_one(&self.ledger.pool).await.map_err(explain) }).await?;
        Ok(DateTime::from_timestamp_micros(row.try_get("micros").map_err(explain)?))
    }

    async fn close(&self) {
        self.releases.close();
        self.releases.wait().await;
    }
}
