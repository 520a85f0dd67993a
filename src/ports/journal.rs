//! Our own record. Every write is conditional.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Term;
use crate::{
    ids::{Identity, RotationId},
    protocol::Event,
    record::{Decree, Decreed, Detail, Record},
};

/// Why the journal did not take a record, or a rotation.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another rotation is open on the same store or principal.
    #[error("rotation {0} is still open on the same key")]
    Open(RotationId),
    /// A rotation of this playbook began, and ended, since somebody decided to begin another one.
    #[error("another rotation of `{0}` began and ended while this one was being planned")]
    Overtaken(String),
    /// Another process drives this rotation.
    #[error("rotation {0} is being driven by another keyroll ({1})")]
    Busy(RotationId, String),
    /// Another process took this rotation over since.
    #[error("rotation {0} was taken over by another keyroll")]
    TakenOver(RotationId),
    /// This process did not renew its lease in time; whether somebody else drives the rotation now is another matter.
    #[error("this process no longer holds rotation {0}: its lease lapsed before it was renewed")]
    Lapsed(RotationId),
    /// No such rotation.
    #[error("the journal knows no rotation {0}")]
    Unknown(String),
    /// A record that this keyroll does not understand, or that was changed.
    #[error("the journal cannot be trusted: {0}")]
    Corrupt(String),
    /// It cannot be read or written.
    #[error("the journal cannot be used: {0}")]
    Down(String),
}

/// The right to drive one rotation; given back when dropped.
pub struct Lease {
    /// The rotation.
    pub rotation: RotationId,
    /// Counts takeovers.
    pub epoch: u64,
    /// The last record's place.
    pub seq: u64,
    /// The last record's hash.
    pub head: String,
    /// Until when nobody else may drive it.
    pub term: Term,
    /// What keeps other processes out while this lives.
    pub guard: Box<dyn Send + Sync>,
}

/// A rotation to begin.
pub struct Opening<'a> {
    /// Its id.
    pub rotation: RotationId,
    /// The playbook's name, for listings.
    pub name: &'a str,
    /// What nobody else may rotate meanwhile.
    pub identities: &'a [Identity],
    /// How many rotations of that name the journal had when somebody decided to begin this one. With another number there now it does
    /// not begin: what it was decided on no longer holds, and a key that was due is not rotated twice. None: whatever there is.
    pub seen: Option<usize>,
    /// The first record.
    pub event: Event,
    /// Its detail: the plan.
    pub detail: Detail,
    /// A second record that is written with the first one, or not at all: a rotation that begins because of a leak is never there
    /// without it.
    pub then: Option<(Event, Detail)>,
    /// The writer's clock.
    pub at: DateTime<Utc>,
}

/// One line of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The rotation.
    pub rotation: RotationId,
    /// The playbook's name.
    pub name: String,
    /// Whether it still holds its identities.
    pub open: bool,
}

/// A person's ask, left for the process that drives the rotation.
#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    /// The ask.
    pub event: Event,
    /// Who, and why.
    pub detail: Detail,
}

/// Our own record. Every write is conditional on (epoch, sequence, head).
#[async_trait]
pub trait Journal: Send + Sync {
    /// The journal's id, for marks.
    fn id(&self) -> &str;
    /// The salt of its fingerprints.
    fn salt(&self) -> &[u8];
    /// Begins a rotation: claims its identities and writes its first records, all or nothing. Refused where one is open on an identity,
    /// or was since `seen`.
    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError>;
    /// Takes a rotation over, with a higher epoch.
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError>;
    /// Writes one record, durably. `closes`: the rotation is over and gives its identities back.
    async fn append(
        &self,
        lease: &mut Lease,
        at: DateTime<Utc>,
        event: Event,
        detail: Detail,
        closes: bool,
    ) -> Result<Record, JournalError>;
    /// A rotation's records, in order, their chain checked.
    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError>;
    /// All rotations, newest first.
    async fn entries(&self) -> Result<Vec<Entry>, JournalError>;
    /// The open rotation that holds this identity.
    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError>;
    /// Leaves an ask for the runner.
    async fn leave(&self, rotation: &RotationId, note: Note) -> Result<(), JournalError>;
    /// Whether an ask is waiting; takes nothing out.
    async fn asked(&self, lease: &Lease) -> Result<bool, JournalError>;
    /// Takes the oldest ask out.
    async fn collect(&self, lease: &Lease) -> Result<Option<Note>, JournalError>;
    /// Takes in an ended rotation that was written elsewhere, record by record, its chain unbroken. Known already: nothing happens.
    async fn take_in(&self, name: &str, records: &[Record]) -> Result<(), JournalError>;
    /// Writes what was decided beside any one rotation, durably; the answer has its place.
    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError>;
    /// All decrees, in order, their chain checked.
    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError>;
    /// The journal's own time, where it has a clock that is not this machine's.
    async fn clock(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        Ok(None)
    }
    /// Tidies up at a process's end: leases that were dropped are given back, and nothing can be asked of it any more. Without it they
    /// lapse.
    async fn close(&self) {}
    /// The hashes of a rotation's chain (none: of the decrees'), checked: the one before the first record, then each record's.
    /// The last is the chain's head.
    async fn hashes(&self, rotation: Option<&RotationId>) -> Result<Vec<String>, JournalError>;
}
