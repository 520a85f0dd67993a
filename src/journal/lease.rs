//! The lease row: who drives a rotation, and until when by the server's clock. Only a database that many machines share has it.
//!
//! A rotation's row is always locked before its lease's, so that no two runners wait for each other crosswise.

use std::time::Duration;

use sqlx::{Any, AnyPool, Executor, Row as _, Transaction};

use crate::ids::RotationId;

/// One row for each rotation that somebody drives.
pub(super) const TABLE: &str =
    "CREATE TABLE lease (rotation TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch BIGINT NOT NULL, until TIMESTAMPTZ NOT NULL)";

// clock_timestamp(), not now(): that is when the transaction began, and a lock may have been waited for since.
const TAKE: &str = "INSERT INTO lease (rotation, holder, epoch, until) \
     VALUES ($1, $2, $3, clock_timestamp() + $4 * INTERVAL '1 millisecond') \
     ON CONFLICT (rotation) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch, \
     until = clock_timestamp() + $4 * INTERVAL '1 millisecond' WHERE lease.until <= clock_timestamp()";
const HOLDER: &str =
    "SELECT holder, CAST(EXTRACT(EPOCH FROM until - clock_timestamp()) * 1000 AS BIGINT) AS lasts FROM lease WHERE rotation = $1";
// A lease that lapsed is lost, even if nobody took it: whoever goes on must take it, and its evidence, again.
const RENEW: &str = "UPDATE lease SET until = clock_timestamp() + $1 * INTERVAL '1 millisecond' \
     WHERE rotation = $2 AND epoch = $3 AND until > clock_timestamp()";
const HELD: &str = "SELECT CAST(COUNT(*) AS BIGINT) AS held FROM lease WHERE rotation = $1 AND epoch = $2 AND until > clock_timestamp()";
const FREE: &str = "DELETE FROM lease WHERE rotation = $1 AND epoch = $2";

type Said<T> = Result<T, sqlx::Error>;

/// How this process takes and keeps leases.
#[derive(Clone)]
pub(super) struct Leases {
    /// Who we are, for those who find the rotation busy.
    pub holder: String,
    /// How long a lease lasts unless it is renewed.
    pub lasts: Duration,
}

impl Leases {
    /// Takes the lease, if nobody has it; the epoch is the rotation's, raised in the same transaction.
    pub async fn take(&self, tx: &mut Transaction<'static, Any>, rotation: &RotationId, epoch: i64) -> Said<bool> {
        let take = sqlx::query(TAKE).bind(rotation.as_str()).bind(self.holder.as_str()).bind(epoch).bind(self.millis());
        Ok(take.execute(&mut **tx).await?.rows_affected() == 1)
    }

    /// Who has it, and for how long.
    pub async fn holder(&self, tx: &mut Transaction<'static, Any>, rotation: &RotationId) -> Said<String> {
        let Some(row) = sqlx::query(HOLDER).bind(rotation.as_str()).fetch_optional(&mut **tx).await? else {
            return Ok("which has just let go of it".into());
        };
        let (holder, lasts): (String, i64) = (row.try_get("holder")?, row.try_get("lasts")?);
        let seconds = lasts.max(0).unsigned_abs().div_ceil(1000);
        Ok(format!("{holder}; unless it renews its lease, that lapses in {seconds} s"))
    }

    /// Holds it for another whole lease, if it is still ours.
    pub async fn renew(&self, on: impl Executor<'_, Database = Any>, rotation: &RotationId, epoch: i64) -> Said<bool> {
        let renew = sqlx::query(RENEW).bind(self.millis()).bind(rotation.as_str()).bind(epoch);
        Ok(renew.execute(on).await?.rows_affected() == 1)
    }

    /// Whether it is still ours.
    pub async fn held(&self, pool: &AnyPool, rotation: &RotationId, epoch: i64) -> Said<bool> {
        let row = sqlx::query(HELD).bind(rotation.as_str()).bind(epoch).fetch_one(pool).await?;
        Ok(row.try_get::<i64, _>("held")? == 1)
    }

    /// Gives it back, if it is still ours.
    pub async fn free(&self, on: impl Executor<'_, Database = Any>, rotation: &RotationId, epoch: i64) -> Said<()> {
        sqlx::query(FREE).bind(rotation.as_str()).bind(epoch).execute(on).await.map(drop)
    }

    fn millis(&self) -> i64 {
        i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX)
    }
}
