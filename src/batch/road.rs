//! The steps every rotation goes: begin it or take it over, and drive it with its gate watched.

use std::{convert::Infallible, future::Future, time::Duration};

use super::Item;
use crate::{
    adapters::build,
    driver::Overrides,
    ids::RotationId,
    playbook::Playbook,
    ports::{Clock, Journal, JournalError, Lease, Opening},
    protocol::{Event, apply},
    record::{Decree, Detail, Plan},
    rotation::Rotation,
    schedule::{Times, freezes},
    sight::{Sight, View},
};

/// How soon a freeze holds that is ordered while a rotation is driven.
const FRESH: Duration = Duration::from_secs(5);

/// How many rotations of a playbook the journal has. To be asked before anything that is decided on it.
///
/// # Errors
/// The journal's.
pub async fn seen(journal: &dyn Journal, name: &str) -> Result<usize, JournalError> {
    Ok(journal.entries().await?.iter().filter(|entry| entry.name == name).count())
}

/// Whether an item can still begin: none of its key's rotations is open, and none was since `seen`. To be asked again where the world
/// is not as it should be: another keyroll may be changing it.
///
/// # Errors
/// [`JournalError::Open`], [`JournalError::Overtaken`], or the journal's own.
pub async fn free(journal: &dyn Journal, item: &Item, seen: Option<usize>) -> Result<(), JournalError> {
    for identity in build::identities(&item.book, &item.world) {
        if let Some(id) = journal.holder(&identity).await? {
            return Err(JournalError::Open(id));
        }
    }
    match seen {
        Some(before) if self::seen(journal, &item.book.name).await? != before => Err(JournalError::Overtaken(item.book.name.clone())),
        _ => Ok(()),
    }
}

/// Begins a rotation: its first record is its plan, with the playbook's text; `then` is written with it, or not at all. `seen` is how
/// many the journal had when that was decided; none for one that begins in any case.
///
/// # Errors
/// The journal's; [`JournalError::Open`] where the key is being rotated already, [`JournalError::Overtaken`] where it was since `seen`.
pub async fn begin(
    journal: &dyn Journal,
    clock: &dyn Clock,
    item: &Item,
    plan: Plan,
    seen: Option<usize>,
    then: Option<(Event, Detail)>,
    view: &mut dyn View,
) -> Result<(Rotation, Lease), JournalError> {
    let id = RotationId::at(clock.now(), fastrand::u128(..));
    let identities = build::identities(&item.book, &item.world);
    let opening = Opening {
        rotation: id.clone(),
        name: &item.book.name,
        identities: &identities,
        seen,
        event: Event::Planned,
        detail: Detail::Planned(Box::new(plan)),
        then,
        at: clock.now(),
    };
    let lease = journal.open(opening).await?;
    let records = journal.records(&id).await?;
    for known in 1..=records.len() {
        let so_far = records.get(..known).unwrap_or_default();
        let rotation = fold(&id, so_far)?;
        if let Some(record) = so_far.last() {
            view.see(&Sight::Recorded(&rotation, record));
        }
    }
    Ok((fold(&id, &records)?, lease))
}

/// Takes an open rotation over. None: it ended in the meantime.
///
/// # Errors
/// The journal's; [`JournalError::Busy`] where another process drives it.
pub async fn take(
    journal: &dyn Journal,
    clock: &dyn Clock,
    id: &RotationId,
    view: &mut dyn View,
) -> Result<Option<(Rotation, Lease)>, JournalError> {
    let mut lease = journal.take(id).await?;
    let mut rotation = fold(id, &journal.records(id).await?)?;
    if apply(&rotation.state, &Event::Resumed).is_err() {
        return Ok(None);
    }
    let record = journal.append(&mut lease, clock.now(), Event::Resumed, Detail::Nothing, false).await?;
    rotation.add(&record).map_err(|broken| JournalError::Corrupt(broken.to_string()))?;
    view.see(&Sight::Recorded(&rotation, &record));
    Ok(Some((rotation, lease)))
}

fn fold(id: &RotationId, records: &[crate::record::Record]) -> Result<Rotation, JournalError> {
    Rotation::fold(records).map_err(|broken| JournalError::Corrupt(format!("rotation {id}: {broken}")))
}

/// A playbook's window, with the freezes that stand now.
///
/// # Errors
/// The journal's.
pub async fn gate(journal: &dyn Journal, book: &Playbook) -> Result<Times, JournalError> {
    Ok(Times::new(book, &freezes(&journal.decrees().await?)))
}

/// Does `work`, and meanwhile lets `times` know of every new freeze, and of the end of one.
pub async fn watched<T>(journal: &dyn Journal, clock: &dyn Clock, times: &Times, work: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = work => done,
        never = renew(journal, clock, times) => match never {},
    }
}

async fn renew(journal: &dyn Journal, clock: &dyn Clock, times: &Times) -> Infallible {
    loop {
        clock.sleep(FRESH).await;
        match journal.decrees().await {
            Ok(decrees) => times.renew(&freezes(&decrees)),
            // The driver's own next write will say it, and stop.
            Err(error) => tracing::warn!(%error, "freezes cannot be read"),
        }
    }
}

/// What the journal adds to a preflight: its salt and id, whose marks it takes for its own, and which key it left in use.
///
/// # Errors
/// The journal's.
pub async fn overrides(journal: &dyn Journal, name: &str) -> Result<Overrides, JournalError> {
    let adopted = journal.decrees().await?.into_iter().filter_map(|decreed| match decreed.decree {
        Decree::Adopted { journal, .. } | Decree::Merged { journal, .. } => Some(journal),
        _ => None,
    });
    let mut known = None;
    for entry in journal.entries().await?.into_iter().filter(|entry| !entry.open && entry.name == name) {
        known = fold(&entry.rotation, &journal.records(&entry.rotation).await?)?.in_use();
        if known.is_some() {
            break;
        }
    }
    let (salt, journal) = (journal.salt().to_vec(), Some(journal.id().to_owned()));
    Ok(Overrides { salt, journal, adopted: adopted.collect(), known, ..Overrides::default() })
}
