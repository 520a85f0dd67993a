//! The journal's queries: one text for every database (`$1`, BIGINT, TEXT; bodies never JSONB, because they are hashed).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{Any, AnyPool, Row as _, Transaction, any::AnyRow};

use super::{
    chain::{self, Row, Tip},
    lease::Leases,
};
use crate::{
    ids::{Identity, RotationId},
    ports::{Entry, JournalError, Lease, Note, Opening},
    protocol::Event,
    record::{Decree, Decreed, Detail, Record, SCHEMA},
};

const DECREES: &str = "SELECT seq, body, hash FROM decree ORDER BY seq";
const DECREE: &str = "INSERT INTO decree (seq, body, hash) VALUES ($1, $2, $3) ON CONFLICT (seq) DO NOTHING";
const CLAIM: &str = "INSERT INTO claim (identity, rotation) VALUES ($1, $2) ON CONFLICT (identity) DO NOTHING";
const BEGIN_ROTATION: &str =
    "INSERT INTO rotation (id, name, epoch, seq, head, held) VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (id) DO NOTHING";
const SEEN: &str = "SELECT COUNT(*) AS seen FROM rotation WHERE name = $1";
const TAKE_IN: &str = "INSERT INTO rotation (id, name, epoch, seq, head, held) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (id) DO NOTHING";
const INSERT: &str = "INSERT INTO event (rotation, seq, epoch, body, hash) VALUES ($1, $2, $3, $4, $5)";
const ADVANCE: &str =
    "UPDATE rotation SET seq = $1, head = $2, held = $3 WHERE id = $4 AND epoch = $5 AND seq = $6 AND head = $7 AND held = 1";
const RELEASE: &str = "DELETE FROM claim WHERE rotation = $1";
/// A rotation's own row.
pub(super) const STANDS: &str = "SELECT epoch, seq, head, held FROM rotation WHERE id = $1";
const TAKE: &str = "UPDATE rotation SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch, seq, head";
// What the last runner took and never recorded is asked again.
const ASK_AGAIN: &str = "UPDATE inbox SET taken = 0 WHERE rotation = $1 AND taken = $2";
// One statement, so that a writer cannot come between the rows and the end they must have.
const RECORDS: &str = "SELECT r.seq AS last, r.head AS head, e.seq AS seq, e.epoch AS epoch, e.body AS body, e.hash AS hash \
     FROM rotation r LEFT JOIN event e ON e.rotation = r.id WHERE r.id = $1 ORDER BY e.seq";
const ENTRIES: &str = "SELECT id, name, held FROM rotation ORDER BY id DESC";
const HOLDER: &str = "SELECT rotation FROM claim WHERE identity = $1";
const LEAVE: &str = "INSERT INTO inbox (rotation, id, body, taken) \
     SELECT $1, COALESCE(MAX(id), 0) + 1, $2, 0 FROM inbox WHERE rotation = $3";
const OLDEST: &str = "SELECT id, body FROM inbox WHERE rotation = $1 AND taken = 0 ORDER BY id LIMIT 1";
const TAKEN: &str = "UPDATE inbox SET taken = $1 WHERE rotation = $2 AND id = $3";

/// How often a decree is tried behind another writer's.
const DECREE_TRIES: usize = 20;

/// A database, and how its transactions begin and its errors read.
pub(super) struct Ledger {
    pub pool: AnyPool,
    /// Starts a transaction that will write.
    pub begin: &'static str,
    /// [`STANDS`], which also waits for whoever writes that row, and keeps others from it to the transaction's end.
    pub stands: &'static str,
    /// Where runners are known by rows; elsewhere the caller holds a lock of another kind.
    pub leases: Option<Leases>,
    pub explain: Box<dyn Fn(&sqlx::Error) -> JournalError + Send + Sync>,
}

/// A rotation's own row.
struct Stands {
    epoch: u64,
    tip: Tip,
    held: bool,
}

pub(super) type Done<T> = Result<T, JournalError>;

impl Ledger {
    /// An ended rotation of another journal, as it was written there.
    pub async fn take_in(&self, name: &str, records: &[Record]) -> Done<()> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        let mut chain = Vec::with_capacity(records.len());
        let mut head = chain::root(&first.rotation);
        for record in records {
            let body = chain::body(record)?;
            head = chain::link(&head, &body);
            chain.push((record, body, head.clone()));
        }
        let mut tx = self.write().await?;
        let begin = sqlx::query(TAKE_IN).bind(first.rotation.as_str()).bind(name).bind(small(last.epoch)?).bind(small(last.seq)?);
        if begin.bind(&head).execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?.rows_affected() == 1 {
            for (record, body, hash) in &chain {
                self.insert(&mut tx, record, body, hash).await?;
            }
        }
        tx.commit().await.map_err(|e| (self.explain)(&e))
    }

    /// One decree behind the last one. Two writers at once: the second sees the first's and goes behind it.
    pub async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Done<Decreed> {
        for _ in 0..DECREE_TRIES {
            let mut tx = self.write().await?;
            let rows = sqlx::query(DECREES).fetch_all(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
            let (known, head) = self.decrees_from(&rows)?;
            let decreed = Decreed { schema: SCHEMA, seq: known.len() as u64 + 1, at, by: by.to_owned(), decree: decree.clone() };
            let body = chain::body(&decreed)?;
            let insert = sqlx::query(DECREE).bind(small(decreed.seq)?).bind(&body).bind(chain::link(&head, &body));
            if insert.execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?.rows_affected() == 1 {
                tx.commit().await.map_err(|e| (self.explain)(&e))?;
                return Ok(decreed);
            }
            tx.rollback().await.map_err(|e| (self.explain)(&e))?;
        }
        Err(JournalError::Down("others write decrees all the time: try again".into()))
    }

    pub async fn decrees(&self) -> Done<Vec<Decreed>> {
        let rows = sqlx::query(DECREES).fetch_all(&self.pool).await.map_err(|e| (self.explain)(&e))?;
        Ok(self.decrees_from(&rows)?.0)
    }

    /// Once a chain is verified, the hashes that stand in its rows are the computed ones.
    pub async fn hashes(&self, rotation: Option<&RotationId>) -> Done<Vec<String>> {
        let Some(rotation) = rotation else {
            let rows = sqlx::query(DECREES).fetch_all(&self.pool).await.map_err(|e| (self.explain)(&e))?;
            self.decrees_from(&rows)?;
            let hashes = rows.iter().map(|row| self.get(row, "hash"));
            return [Ok(chain::decree_root())].into_iter().chain(hashes).collect();
        };
        let (rows, tip) = self.rows(rotation).await?;
        chain::verify(rotation, &rows, &tip)?;
        Ok([chain::root(rotation)].into_iter().chain(rows.into_iter().map(|row| row.hash)).collect())
    }

    fn decrees_from(&self, rows: &[AnyRow]) -> Done<(Vec<Decreed>, String)> {
        let row = |row: &AnyRow| Ok((self.count(row, "seq")?, self.get(row, "body")?, self.get(row, "hash")?));
        chain::verify_decrees(&rows.iter().map(row).collect::<Done<Vec<_>>>()?)
    }

    /// Claims and first records, all or nothing; the answer is the last (sequence, hash).
    pub async fn open(&self, opening: Opening<'_>) -> Done<Tip> {
        let rotation = opening.rotation;
        let first = [(opening.event, opening.detail)].into_iter().chain(opening.then);
        let mut tip = Tip { seq: 0, head: chain::root(&rotation) };
        let mut records = Vec::new();
        for (event, detail) in first {
            let (rotation, seq) = (rotation.clone(), tip.seq + 1);
            let record = Record { schema: SCHEMA, rotation, seq, epoch: 1, at: opening.at, event, detail };
            let body = chain::body(&record)?;
            tip = Tip { seq, head: chain::link(&tip.head, &body) };
            records.push((record, body, tip.head.clone()));
        }
        let mut tx = self.write().await?;
        // In order, so that two openings never wait for each other's claims crosswise.
        for identity in opening.identities.iter().collect::<BTreeSet<_>>() {
            let claim = || sqlx::query(CLAIM).bind(identity.as_str()).bind(rotation.as_str());
            while claim().execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?.rows_affected() != 1 {
                // Nobody: it was given back in between.
                let row = sqlx::query(HOLDER).bind(identity.as_str()).fetch_optional(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
                if let Some(row) = row {
                    return Err(JournalError::Open(RotationId::new(self.get::<String>(&row, "rotation")?)));
                }
            }
        }
        if let Some(seen) = opening.seen {
            // Behind the claims: whoever had them before has committed all of its rotation.
            let row = sqlx::query(SEEN).bind(opening.name).fetch_one(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
            if self.count(&row, "seen")? != seen as u64 {
                return Err(JournalError::Overtaken(opening.name.to_owned()));
            }
        }
        let begin = sqlx::query(BEGIN_ROTATION).bind(rotation.as_str()).bind(opening.name).bind(1i64).bind(small(tip.seq)?).bind(&tip.head);
        if begin.execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?.rows_affected() != 1 {
            return Err(JournalError::Down(format!("it already has a rotation {rotation}: begin again, for a new id")));
        }
        for (record, body, hash) in &records {
            self.insert(&mut tx, record, body, hash).await?;
        }
        self.hold(&mut tx, &rotation, 1).await?;
        if let Err(error) = tx.commit().await {
            self.settle(&error, &rotation, 1, None, &tip).await?;
        }
        Ok(tip)
    }

    /// A higher epoch for whoever holds the lock, or takes the lease here.
    pub async fn take(&self, rotation: &RotationId) -> Done<(u64, Tip)> {
        let mut tx = self.write().await?;
        let row = sqlx::query(TAKE).bind(rotation.as_str()).fetch_optional(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
        let row = row.ok_or_else(|| JournalError::Unknown(rotation.to_string()))?;
        let (epoch, seq) = (self.count(&row, "epoch")?, self.count(&row, "seq")?);
        let again = sqlx::query(ASK_AGAIN).bind(rotation.as_str()).bind(small(seq)?);
        again.execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
        let tip = Tip { seq, head: self.get(&row, "head")? };
        self.hold(&mut tx, rotation, epoch).await?;
        // Unknown or not: a lost answer only costs a number, or a lease that lapses.
        tx.commit().await.map_err(|e| (self.explain)(&e))?;
        Ok((epoch, tip))
    }

    /// One record, if the rotation stands where the lease says.
    pub async fn append(&self, lease: &Lease, at: DateTime<Utc>, event: Event, detail: Detail, closes: bool) -> Done<(Record, String)> {
        let rotation = lease.rotation.clone();
        let record = Record { schema: SCHEMA, rotation, seq: lease.seq + 1, epoch: lease.epoch, at, event, detail };
        let body = chain::body(&record)?;
        let head = chain::link(&lease.head, &body);
        let id = lease.rotation.as_str();
        let mut tx = self.write().await?;
        let advance = sqlx::query(ADVANCE).bind(small(record.seq)?).bind(&head).bind(i64::from(!closes)).bind(id);
        let advance = advance.bind(small(lease.epoch)?).bind(small(lease.seq)?).bind(&lease.head);
        if advance.execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?.rows_affected() != 1 {
            tx.rollback().await.map_err(|e| (self.explain)(&e))?;
            return Err(self.why_not(lease).await?);
        }
        if let Some(leases) = &self.leases {
            if !leases.renew(&mut *tx, &lease.rotation, small(lease.epoch)?).await.map_err(|e| (self.explain)(&e))? {
                return Err(JournalError::Lapsed(lease.rotation.clone()));
            }
            if closes {
                leases.free(&mut *tx, &lease.rotation, small(lease.epoch)?).await.map_err(|e| (self.explain)(&e))?;
            }
        }
        self.insert(&mut tx, &record, &body, &head).await?;
        if closes {
            sqlx::query(RELEASE).bind(id).execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
        }
        if let Err(error) = tx.commit().await {
            let (before, after) = (Tip { seq: lease.seq, head: lease.head.clone() }, Tip { seq: record.seq, head: head.clone() });
            self.settle(&error, &lease.rotation, lease.epoch, Some(&before), &after).await?;
        }
        Ok((record, head))
    }

    pub async fn records(&self, rotation: &RotationId) -> Done<Vec<Record>> {
        let (rows, tip) = self.rows(rotation).await?;
        chain::verify(rotation, &rows, &tip)
    }

    async fn rows(&self, rotation: &RotationId) -> Done<(Vec<Row>, Tip)> {
        let found = sqlx::query(RECORDS).bind(rotation.as_str()).fetch_all(&self.pool).await.map_err(|e| (self.explain)(&e))?;
        let first = found.first().ok_or_else(|| JournalError::Unknown(rotation.to_string()))?;
        let tip = Tip { seq: self.count(first, "last")?, head: self.get(first, "head")? };
        // A rotation without any event still gives one row, its event columns empty.
        let rows = if found.len() == 1 && first.try_get::<Option<i64>, _>("seq").is_ok_and(|seq| seq.is_none()) { &[] } else { &found[..] };
        let row = |row: &AnyRow| {
            let (seq, epoch) = (self.count(row, "seq")?, self.count(row, "epoch")?);
            Ok(Row { seq, epoch, body: self.get(row, "body")?, hash: self.get(row, "hash")? })
        };
        Ok((rows.iter().map(row).collect::<Done<Vec<_>>>()?, tip))
    }

    pub async fn entries(&self) -> Done<Vec<Entry>> {
        let rows = sqlx::query(ENTRIES).fetch_all(&self.pool).await.map_err(|e| (self.explain)(&e))?;
        let entry = |row: &AnyRow| {
            let rotation = RotationId::new(self.get::<String>(row, "id")?);
            Ok(Entry { rotation, name: self.get(row, "name")?, open: self.get::<i64>(row, "held")? != 0 })
        };
        rows.iter().map(entry).collect()
    }

    pub async fn holder(&self, identity: &Identity) -> Done<Option<RotationId>> {
        let row = sqlx::query(HOLDER).bind(identity.as_str()).fetch_optional(&self.pool).await.map_err(|e| (self.explain)(&e))?;
        row.map(|row| self.get::<String>(&row, "rotation").map(RotationId::new)).transpose()
    }

    pub async fn leave(&self, rotation: &RotationId, note: Note) -> Done<()> {
        let body = chain::note_body(note)?;
        let mut tx = self.write().await?;
        match self.stands(&mut tx, rotation).await? {
            None => return Err(JournalError::Unknown(rotation.to_string())),
            Some(Stands { held: false, .. }) => return Err(JournalError::Unknown(format!("{rotation} that is still open"))),
            Some(_) => {}
        }
        let leave = sqlx::query(LEAVE).bind(rotation.as_str()).bind(&body).bind(rotation.as_str());
        leave.execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
        tx.commit().await.map_err(|e| (self.explain)(&e))
    }

    pub async fn asked(&self, lease: &Lease) -> Done<bool> {
        let oldest = sqlx::query(OLDEST).bind(lease.rotation.as_str());
        Ok(oldest.fetch_optional(&self.pool).await.map_err(|e| (self.explain)(&e))?.is_some())
    }

    pub async fn collect(&self, lease: &Lease) -> Done<Option<Note>> {
        let id = lease.rotation.as_str();
        // Nearly always empty, and asked for at every step: look first, without the write lock.
        if !self.asked(lease).await? {
            return Ok(None);
        }
        let mut tx = self.write().await?;
        if self.stands(&mut tx, &lease.rotation).await?.is_none_or(|row| row.epoch != lease.epoch) {
            return Err(JournalError::TakenOver(lease.rotation.clone()));
        }
        let Some(row) = sqlx::query(OLDEST).bind(id).fetch_optional(&mut *tx).await.map_err(|e| (self.explain)(&e))? else {
            return Ok(None);
        };
        let note = chain::note(&lease.rotation, &self.get::<String>(&row, "body")?)?;
        let taken = sqlx::query(TAKEN).bind(small(lease.seq)?).bind(id).bind(self.get::<i64>(&row, "id")?);
        taken.execute(&mut *tx).await.map_err(|e| (self.explain)(&e))?;
        tx.commit().await.map_err(|e| (self.explain)(&e))?;
        Ok(Some(note))
    }

    /// Takes the lease row, where there are such rows.
    async fn hold(&self, tx: &mut Transaction<'static, Any>, rotation: &RotationId, epoch: u64) -> Done<()> {
        let Some(leases) = &self.leases else { return Ok(()) };
        if leases.take(tx, rotation, small(epoch)?).await.map_err(|e| (self.explain)(&e))? {
            return Ok(());
        }
        let by = leases.holder(tx, rotation).await.map_err(|e| (self.explain)(&e))?;
        Err(JournalError::Busy(rotation.clone(), by))
    }

    /// Whether the lease's runner may still begin something.
    pub async fn held(&self, lease: &Lease) -> Done<()> {
        let Some(leases) = &self.leases else { return Ok(()) };
        if leases.held(&self.pool, &lease.rotation, small(lease.epoch)?).await.map_err(|e| (self.explain)(&e))? {
            return Ok(());
        }
        match self.now(&lease.rotation, STANDS).await? {
            Some(now) if now.epoch != lease.epoch => Err(JournalError::TakenOver(lease.rotation.clone())),
            // Its last record gave the lease back; there is nothing left to begin.
            Some(now) if !now.held => Ok(()),
            _ => Err(JournalError::Lapsed(lease.rotation.clone())),
        }
    }

    pub(super) async fn write(&self) -> Done<Transaction<'static, Any>> {
        self.pool.begin_with(self.begin).await.map_err(|e| (self.explain)(&e))
    }

    async fn insert(&self, tx: &mut Transaction<'static, Any>, record: &Record, body: &str, hash: &str) -> Done<()> {
        let insert = sqlx::query(INSERT).bind(record.rotation.as_str()).bind(small(record.seq)?).bind(small(record.epoch)?);
        match insert.bind(body).bind(hash).execute(&mut **tx).await {
            Ok(_) => Ok(()),
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                let (seq, rotation) = (record.seq, &record.rotation);
                Err(JournalError::Corrupt(format!("record {seq} of rotation {rotation} was never written by keyroll")))
            }
            Err(error) => Err((self.explain)(&error)),
        }
    }

    async fn stands(&self, tx: &mut Transaction<'static, Any>, rotation: &RotationId) -> Done<Option<Stands>> {
        let row = sqlx::query(self.stands).bind(rotation.as_str()).fetch_optional(&mut **tx).await.map_err(|e| (self.explain)(&e))?;
        row.map(|row| self.stands_from(&row)).transpose()
    }

    fn stands_from(&self, row: &AnyRow) -> Done<Stands> {
        let tip = Tip { seq: self.count(row, "seq")?, head: self.get(row, "head")? };
        Ok(Stands { epoch: self.count(row, "epoch")?, tip, held: self.get::<i64>(row, "held")? != 0 })
    }

    async fn now(&self, rotation: &RotationId, text: &'static str) -> Done<Option<Stands>> {
        let row = sqlx::query(text).bind(rotation.as_str()).fetch_optional(&self.pool).await.map_err(|e| (self.explain)(&e))?;
        row.map(|row| self.stands_from(&row)).transpose()
    }

    /// Why a rotation does not stand where its lease says.
    async fn why_not(&self, lease: &Lease) -> Done<JournalError> {
        let rotation = &lease.rotation;
        Ok(match self.now(rotation, STANDS).await? {
            None => JournalError::Unknown(rotation.to_string()),
            Some(now) if now.epoch == lease.epoch && now.tip.seq == lease.seq && now.tip.head == lease.head => {
                JournalError::Down(format!("rotation {rotation} is over and takes no more records"))
            }
            Some(now) if now.epoch == lease.epoch && now.tip.seq == lease.seq => {
                JournalError::Corrupt(format!("the head of rotation {rotation} was changed after record {}", lease.seq))
            }
            Some(_) => JournalError::TakenOver(rotation.clone()),
        })
    }

    /// A commit that failed may have happened: reads what is there now. `Ok`: it did.
    async fn settle(&self, error: &sqlx::Error, rotation: &RotationId, epoch: u64, before: Option<&Tip>, after: &Tip) -> Done<()> {
        // A connection may be lost while its commit is still under way: that is waited for.
        let now = self.now(rotation, self.stands).await.map_err(|_| {
            let (JournalError::Down(why) | JournalError::Corrupt(why)) = (self.explain)(error) else { return (self.explain)(error) };
            JournalError::Down(format!("{why}; whether record {} of rotation {rotation} was written is not known: resume it", after.seq))
        })?;
        match (now, before) {
            (Some(now), _) if now.epoch == epoch && now.tip.seq == after.seq && now.tip.head == after.head => Ok(()),
            (Some(now), Some(before)) if now.epoch == epoch && now.tip.seq == before.seq => Err((self.explain)(error)),
            (None, None) => Err((self.explain)(error)),
            _ => Err(JournalError::TakenOver(rotation.clone())),
        }
    }

    pub(super) fn get<T>(&self, row: &AnyRow, column: &str) -> Done<T>
    where
        T: for<'r> sqlx::Decode<'r, Any> + sqlx::Type<Any>,
    {
        row.try_get(column).map_err(|error| JournalError::Corrupt(format!("its column `{column}` was changed ({error})")))
    }

    fn count(&self, row: &AnyRow, column: &str) -> Done<u64> {
        let number: i64 = self.get(row, column)?;
        u64::try_from(number).map_err(|_| JournalError::Corrupt(format!("its column `{column}` holds {number}")))
    }
}

pub(super) fn small(number: u64) -> Done<i64> {
    i64::try_from(number).map_err(|_| JournalError::Corrupt(format!("{number} is no place in a rotation")))
}
