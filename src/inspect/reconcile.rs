//! What was left behind: the provider's listing, the stores and the journal, held against each other.

use super::{
    memory::{Memory, Standing},
    stores::{self, Holdings},
};
use crate::{
    ids::{Identity, KeyId, RotationId, Version},
    playbook::Playbook,
    ports::{Clock, Failure, Got, Journal, JournalError, Listed, World},
    protocol::{Because, Fate, Refusal, Seen, Traces, fate},
    record::Decree,
    rotation::Tombstone,
};

/// One playbook under survey.
pub struct Site<'a> {
    /// Its fields.
    pub book: &'a Playbook,
    /// What it touches.
    pub world: &'a World,
    /// What nobody else may rotate meanwhile.
    pub identities: &'a [Identity],
}

/// A key that the provider lists, and what it is to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// As it is listed.
    pub listed: Listed,
    /// What may be done about it.
    pub fate: Fate,
    /// Nothing explains it but its place: it fills a slot that is never empty, beside the one in use.
    pub spare: bool,
}

/// Something about a store that a person should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Oddity {
    /// It serves a key that the journal knows to be dead.
    ServesDead {
        /// The store.
        store: String,
        /// The version.
        version: Version,
        /// The key's id, where it is known.
        key: Option<KeyId>,
    },
    /// Another journal rotated it last.
    ForeignMark {
        /// The store.
        store: String,
        /// The other journal.
        journal: String,
        /// Its rotation.
        rotation: RotationId,
        /// A person said that this journal takes its place.
        adopted: bool,
    },
    /// Its readers do not get the key that those of the first store get.
    Differs {
        /// The store.
        store: String,
    },
}

/// What a survey of one playbook found.
#[derive(Debug, Default)]
pub struct Survey {
    /// An open rotation of the same key: nothing was judged then.
    pub open: Option<RotationId>,
    /// Every listed key.
    pub keys: Vec<Key>,
    /// The stores' oddities.
    pub oddities: Vec<Oddity>,
    /// What could not be read.
    pub gaps: Vec<Failure>,
    /// Whether the provider's listing is among that.
    pub unlisted: bool,
    /// Stores that serve a value whose key nobody can tell.
    pub unproved: Vec<String>,
}

/// Reads everything and judges; changes nothing.
///
/// # Errors
/// Where the journal cannot be read.
pub async fn survey(site: &Site<'_>, journal: Option<&dyn Journal>, memory: &Memory) -> Result<Survey, JournalError> {
    let mut survey = Survey { open: holder(site, journal).await?, ..Survey::default() };
    if survey.open.is_some() {
        return Ok(survey);
    }
    let mut holdings = stores::read(site.world, site.book, &[]).await;
    let salt = journal.map(Journal::salt).unwrap_or_default();
    match site.world.provider.list().await {
        Ok(listed) => {
            let proved = holdings.prove(site.world, &listed).await;
            let unproved = proved.is_err();
            survey.gaps.extend(proved.err());
            let nameless = |held: &&stores::Held| held.current && held.proved.is_none() && held.claim.is_none();
            survey.unproved = holdings.held.iter().filter(nameless).map(|held| held.store.clone()).collect();
            let provider = site.world.provider.describe();
            let judge =
                |listed: Listed| Key { fate: fate(&traces(&listed, &provider, memory, &holdings, salt, unproved)), listed, spare: false };
            survey.keys = listed.into_iter().map(judge).collect();
            // Where no store serves one of them, it is not known which of them is the spare one.
            if site.world.provider.slots() && survey.keys.iter().any(|key| key.fate == Fate::InUse) {
                survey.keys.iter_mut().for_each(|key| key.spare = key.fate == Fate::Unknown);
            }
        }
        Err(failure) => {
            survey.unlisted = true;
            survey.gaps.push(failure);
        }
    }
    survey.oddities.extend(served(&holdings, memory, salt));
    survey.oddities.extend(marks(site, journal, memory, &mut survey.gaps).await);
    survey.gaps.append(&mut holdings.gaps);
    Ok(survey)
}

async fn holder(site: &Site<'_>, journal: Option<&dyn Journal>) -> Result<Option<RotationId>, JournalError> {
    let Some(journal) = journal else { return Ok(None) };
    for identity in site.identities {
        if let Some(open) = journal.holder(identity).await? {
            return Ok(Some(open));
        }
    }
    Ok(None)
}

fn traces(listed: &Listed, provider: &str, memory: &Memory, holdings: &Holdings, salt: &[u8], unproved: bool) -> Traces {
    // A value that the journal knows under another id is not this key.
    let explained = |held: &stores::Held| {
        memory.trace(&held.secret.fingerprint(salt)).is_some_and(|trace| trace.key.as_ref().is_some_and(|key| *key != listed.id))
    };
    let (current, older) = if unproved { (Seen::Unclear, Seen::Unclear) } else { holdings.holds(&listed.id, explained) };
    Traces {
        open: memory.busy(provider, &listed.id, listed.name.as_deref()),
        tombstoned: memory.tombstoned(provider, &listed.id),
        intended: listed.name.as_ref().is_some_and(|name| memory.intended(provider, name)),
        recorded: memory.recorded(provider, &listed.id),
        current,
        older,
        used: listed.last_used.is_some(),
        kept: memory.kept(provider, &listed.id),
    }
}

fn served(holdings: &Holdings, memory: &Memory, salt: &[u8]) -> Vec<Oddity> {
    let mut odd = Vec::new();
    let current = || holdings.held.iter().filter(|held| held.current);
    for held in current() {
        let trace = memory.trace(&held.secret.fingerprint(salt));
        if let Some(trace) = trace.filter(|trace| trace.standing == Standing::Dead) {
            let key = held.proved.clone().or_else(|| trace.key.clone());
            odd.push(Oddity::ServesDead { store: held.store.clone(), version: held.version.clone(), key });
        }
        if current().next().is_some_and(|first| !first.secret.same(&held.secret)) {
            odd.push(Oddity::Differs { store: held.store.clone() });
        }
    }
    odd
}

async fn marks(site: &Site<'_>, journal: Option<&dyn Journal>, memory: &Memory, gaps: &mut Vec<Failure>) -> Vec<Oddity> {
    let mut odd = Vec::new();
    for store in &site.world.stores {
        match store.mark().await {
            Ok(Some(mark)) if journal.is_none_or(|journal| journal.id() != mark.journal) => {
                let adopted = memory.adopted(&mark.journal);
                odd.push(Oddity::ForeignMark { store: store.locator(), journal: mark.journal, rotation: mark.rotation, adopted });
            }
            Ok(_) => {}
            Err(failure) => gaps.push(failure),
        }
    }
    odd
}

/// How one deletion went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Swept {
    /// The key.
    pub key: KeyId,
    /// None: it is gone.
    pub failure: Option<Failure>,
}

/// Deletes what may be deleted: for each key first the committed tombstone, then the delete by exact id.
///
/// # Errors
/// Where the journal cannot be written: nothing more was deleted then.
pub async fn sweep(
    site: &Site<'_>,
    journal: &dyn Journal,
    clock: &dyn Clock,
    by: &str,
    survey: &mut Survey,
) -> Result<Vec<Swept>, JournalError> {
    let mut swept = Vec::new();
    for key in &survey.keys {
        let Fate::Delete(because) = key.fate else { continue };
        // A rotation that began meanwhile looks after its own keys.
        survey.open = holder(site, Some(journal)).await?;
        if survey.open.is_some() {
            break;
        }
        swept.push(bury(site, journal, clock, by, &key.listed.id, reason(because)).await?);
    }
    Ok(swept)
}

/// Declares one exact key dead for good, and then deletes it.
///
/// # Errors
/// Where the journal cannot be written: nothing was deleted then.
pub async fn bury(
    site: &Site<'_>,
    journal: &dyn Journal,
    clock: &dyn Clock,
    by: &str,
    key: &KeyId,
    because: &str,
) -> Result<Swept, JournalError> {
    let (playbook, provider) = (site.book.name.clone(), site.world.provider.describe());
    let decree = Decree::Tombstone { playbook, provider, key: key.clone(), because: because.to_owned() };
    let decreed = journal.decree(clock.now(), by, decree).await?;
    let failure = match Tombstone::decreed(&decreed) {
        Some(tombstone) => delete(site.world, &tombstone).await.err(),
        None => None,
    };
    Ok(Swept { key: key.clone(), failure })
}

/// Why, in words.
pub fn reason(because: Because) -> &'static str {
    match because {
        Because::Tombstoned => "the journal declared it dead, and it is still there",
        Because::HalfDone => "a create of this journal made it, its answer was lost, and nobody has its value",
    }
}

/// "Gone" is believed only where the listing agrees: a wrong address answers "not found" for every key.
async fn delete(world: &World, tombstone: &Tombstone) -> Got<()> {
    match world.provider.delete(tombstone).await {
        Err(gone) if gone.refusal() == Some(Refusal::Gone) => {
            let listed = world.provider.list().await?;
            if listed.iter().any(|key| key.id == *tombstone.key()) { Err(gone) } else { Ok(()) }
        }
        deleted => deleted,
    }
}
