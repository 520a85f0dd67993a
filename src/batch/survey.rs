//! What the journal tells of one playbook. Reads as few rotations as will do.

use crate::{
    ids::RotationId,
    ports::{Journal, JournalError},
    rotation::Rotation,
    schedule::Past,
};

/// A playbook's rotations, as far as they matter now.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Those that are over, back to the last one that ended done.
    pub past: Past,
    /// The open one, else the newest one.
    pub newest: Option<Rotation>,
}

/// Looks at a playbook's rotations, newest first, each with whether it is open. With `places`, those of another key under
/// the same name are left aside: they have none of these stores.
///
/// # Errors
/// The journal's; a rotation whose records make no sense is [`JournalError::Corrupt`].
pub async fn survey(journal: &dyn Journal, rotations: &[(RotationId, bool)], places: Option<&[String]>) -> Result<Survey, JournalError> {
    let mut survey = Survey::default();
    for (id, open) in rotations {
        if survey.past.complete && !open {
            continue;
        }
        let folded = Rotation::fold(&journal.records(id).await?);
        let rotation = folded.map_err(|broken| JournalError::Corrupt(format!("rotation {id}: {broken}")))?;
        if places.is_some_and(|places| !rotation.plan.stores.iter().any(|store| places.contains(&store.locator))) {
            continue;
        }
        survey.past.add(&rotation);
        if survey.newest.is_none() || *open {
            survey.newest = Some(rotation);
        }
    }
    Ok(survey)
}
