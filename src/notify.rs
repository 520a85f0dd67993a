//! Tells people what became of rotations, beside the work and never in its way.
//!
//! A message may be lost when the process is killed, and may come twice; a rotation never waits for one, and never fails by one.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::{
    ids::Identity,
    playbook::{Occasion, Playbook},
    ports::{Journal, JournalError, Notice, Notifier, Outlet},
    protocol::End,
    record::{Decree, Decreed},
    report,
    rotation::Rotation,
};

/// How long one message may take.
const DELIVERY: Duration = Duration::from_secs(10);

/// Delivers messages while other work goes on. What is under way when it is dropped is given up.
pub struct Courier {
    outlets: Vec<Outlet>,
    under_way: JoinSet<Result<(), String>>,
}

impl Courier {
    /// For these outlets.
    pub fn new(outlets: &[Outlet]) -> Self {
        Self { outlets: outlets.to_vec(), under_way: JoinSet::new() }
    }

    /// Begins to tell all who want to know of this; inside a tokio runtime.
    pub fn tell(&mut self, notice: Notice) {
        let notice = Arc::new(notice);
        for outlet in self.outlets.iter().filter(|outlet| outlet.on.contains(&notice.occasion)) {
            let (notifier, notice) = (outlet.notifier.clone(), notice.clone());
            self.under_way.spawn(async move { deliver(notifier.as_ref(), &notice).await });
        }
    }

    /// Waits until each message was delivered or given up, which takes ten seconds at most; why some were not delivered.
    pub async fn settle(&mut self) -> Vec<String> {
        let mut failed = Vec::new();
        while let Some(ended) = self.under_way.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(why)) => failed.push(why),
                Err(error) => failed.push(format!("a message was lost: {error}")),
            }
        }
        failed
    }
}

async fn deliver(notifier: &dyn Notifier, notice: &Notice) -> Result<(), String> {
    match tokio::time::timeout(DELIVERY, notifier.tell(notice)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => Err(match failure.hint {
            Some(hint) => format!("{}; {hint}", failure.what),
            None => failure.what,
        }),
        Err(_) => Err(format!("{}: not delivered within {} seconds", notifier.describe(), DELIVERY.as_secs())),
    }
}

/// What there is to tell after a run; `before`: whether it was held when the run began.
pub fn occasion(rotation: &Rotation, before: bool) -> Option<Occasion> {
    match (rotation.state.ended(), rotation.state.held) {
        (Some(End::Done), _) => Some(Occasion::Done),
        (Some(End::RolledBack | End::Aborted), _) => Some(Occasion::RolledBack),
        (None, Some(_)) if !before => Some(Occasion::Held),
        _ => None,
    }
}

/// A playbook that a batch looks after.
pub struct Watched<'a> {
    /// The playbook.
    pub playbook: &'a Playbook,
    /// Its outlets.
    pub outlets: &'a [Outlet],
    /// What it would rotate: an open rotation is found by these.
    pub identities: Vec<Identity>,
    /// Why its key counts as overdue, in words: since when, and what stands in the way. None: it is not.
    pub overdue: Option<String>,
}

/// For a batch to call at its end: tells again of each rotation that is held and that nobody has seen (`keyroll ack`), and of each
/// overdue key, through every outlet whose `repeat` has passed. What was told is a decree, so that the next batch knows.
/// The answer: why messages were not delivered; those are tried again by the next batch.
///
/// # Errors
/// Where the journal cannot be read or written; nobody was told then, or may be told twice.
pub async fn remind(journal: &dyn Journal, now: DateTime<Utc>, watched: &[Watched<'_>]) -> Result<Vec<String>, JournalError> {
    let decrees = journal.decrees().await?;
    let mut due: Vec<(Notice, &Outlet)> = Vec::new();
    for one in watched {
        let Some((notice, since)) = news(journal, now, one, &decrees).await? else { continue };
        for outlet in one.outlets.iter().filter(|outlet| outlet.on.contains(&notice.occasion)) {
            let last = told(&decrees, &notice, outlet).max(since);
            // A clock that went back tells once more rather than never.
            if last.is_none_or(|last| (now - last).to_std().is_ok_and(|past| past >= outlet.repeat.0) || last > now) {
                due.push((notice.clone(), outlet));
            }
        }
    }
    let ended = join_all(due.iter().map(|(notice, outlet)| deliver(outlet.notifier.as_ref(), notice))).await;
    let mut failed = Vec::new();
    for ((notice, outlet), result) in due.iter().zip(ended) {
        match result {
            Ok(()) => {
                let decree = Decree::Told {
                    playbook: notice.playbook.clone(),
                    rotation: notice.rotation.clone(),
                    what: notice.occasion.word().to_owned(),
                    to: outlet.notifier.describe(),
                };
                journal.decree(now, "keyroll", decree).await?;
            }
            Err(why) => failed.push(why),
        }
    }
    Ok(failed)
}

/// What there is to tell again, and since when the first telling counts: a hold was told by the run that met it.
async fn news(
    journal: &dyn Journal,
    now: DateTime<Utc>,
    watched: &Watched<'_>,
    decrees: &[Decreed],
) -> Result<Option<(Notice, Option<DateTime<Utc>>)>, JournalError> {
    for identity in &watched.identities {
        let Some(id) = journal.holder(identity).await? else { continue };
        let records = journal.records(&id).await?;
        let mut rotation = Rotation::fold(&records).map_err(|broken| JournalError::Corrupt(format!("rotation {id}: {broken}")))?;
        rotation.heed(decrees);
        if rotation.state.held.is_some() {
            let notice = report::notice(&rotation, &records, Occasion::Held, now);
            return Ok(rotation.seen.is_none().then_some((notice, rotation.held_at)));
        }
    }
    let overdue = watched.overdue.as_ref();
    Ok(overdue.map(|why| (report::overdue(&watched.playbook.name, &watched.playbook.source.name, why, now), None)))
}

/// When this was last told through this outlet.
fn told(decrees: &[Decreed], notice: &Notice, outlet: &Outlet) -> Option<DateTime<Utc>> {
    let told = decrees.iter().rev().find(|decreed| match &decreed.decree {
        Decree::Told { playbook, rotation, what, to } => {
            (playbook, rotation) == (&notice.playbook, &notice.rotation)
                && what == notice.occasion.word()
                && *to == outlet.notifier.describe()
        }
        _ => false,
    });
    told.map(|decreed| decreed.at)
}
