//! A journal with boundaries around every call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Identity, RotationId},
    ports::{Entry, Journal, JournalError, Lease, Note, Opening},
    protocol::Event,
    record::{Decree, Decreed, Detail, Record},
};

use super::Fate;

pub struct Deadly {
    pub inner: Box<dyn Journal>,
    pub fate: Arc<Fate>,
}

#[async_trait]
impl Journal for Deadly {
    fn id(&self) -> &str {
        self.inner.id()
    }
    fn salt(&self) -> &[u8] {
        self.inner.salt()
    }
    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError> {
        let lease = self.fate.around("open", self.inner.open(opening)).await?;
        self.fate.written(lease.seq);
        Ok(lease)
    }
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        let lease = self.fate.around("take", self.inner.take(rotation)).await?;
        self.fate.written(lease.seq);
        Ok(lease)
    }
    async fn append(
        &self,
        lease: &mut Lease,
        at: DateTime<Utc>,
        event: Event,
        detail: Detail,
        closes: bool,
    ) -> Result<Record, JournalError> {
        let record = self.fate.around("append", self.inner.append(lease, at, event, detail, closes)).await?;
        self.fate.written(record.seq);
        Ok(record)
    }
    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError> {
        self.fate.around("records", self.inner.records(rotation)).await
    }
    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.fate.around("entries", self.inner.entries()).await
    }
    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError> {
        self.inner.holder(identity).await
    }
    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError> {
        self.inner.leave(rotation, note).await
    }
    async fn asked(&self, lease: &Lease) -> Result<bool, JournalError> {
        self.fate.around("asked", self.inner.asked(lease)).await
    }
    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError> {
        self.fate.around("collect", self.inner.collect(lease)).await
    }
    async fn take_in(&self, name: &str, records: &[Record]) -> Result<(), JournalError> {
        self.inner.take_in(name, records).await
    }
    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        self.inner.decree(at, by, decree).await
    }
    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        self.fate.around("decrees", self.inner.decrees()).await
    }
    async fn hashes(&self, rotation: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        self.inner.hashes(rotation).await
    }
    async fn clock(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        self.fate.around("journal-clock", self.inner.clock()).await
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}
