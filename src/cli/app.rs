//! What verbs share: the journal, the adapters, the clock and the output.

use std::time::Duration;

use tokio::sync::OnceCell;

use super::{Fail, Global, Output};
use crate::{
    adapters::{Ctx, clock::System, registry::Registry, secrets, wire::Wire},
    journal::{self, Place},
    ports::Journal,
    rotation::Rotation,
};

/// One run of the program.
pub struct App {
    /// What every verb takes.
    pub global: Global,
    /// The clock on the wall.
    pub clock: System,
    /// All adapters.
    pub registry: Registry,
    journal: OnceCell<Box<dyn Journal>>,
}

impl App {
    /// With the adapters that come with keyroll.
    pub fn new(global: Global) -> Self {
        Self { global, clock: System::new(), registry: Registry::builtin(), journal: OnceCell::new() }
    }

    /// What adapters are built with.
    pub fn ctx(&self) -> Result<Ctx, Fail> {
        let wire = Wire::new().map_err(|failure| Fail::new(5, failure.to_string()))?;
        Ok(Ctx { secrets: secrets::resolver(&wire), wire })
    }

    /// The journal's place.
    pub fn place(&self) -> Result<Place, Fail> {
        let Some(named) = &self.global.journal else { return Ok(Place::File(journal::default_path()?)) };
        let place = Place::read(named);
        if place.shows_password(std::env::args_os()) {
            return Err(Fail::usage("a password on the command line is shown to everybody who lists processes")
                .detail("put the whole URL into KEYROLL_JOURNAL, or the password alone into PGPASSWORD or ~/.pgpass (PGPASSFILE)"));
        }
        Ok(place)
    }

    /// The journal, made if it is not there yet.
    pub async fn journal(&self) -> Result<&dyn Journal, Fail> {
        let open = async || -> Result<Box<dyn Journal>, Fail> {
            let journal = self.place()?.open().await?;
            super::fallback::merge(self, journal.as_ref()).await?;
            Ok(journal)
        };
        Ok(self.journal.get_or_try_init(open).await?.as_ref())
    }

    /// The journal for reading; none where nothing was ever rotated.
    pub async fn existing_journal(&self) -> Result<Option<&dyn Journal>, Fail> {
        if self.journal.get().is_none()
            && let Some(found) = self.place()?.open_existing().await?
        {
            super::fallback::remind(self)?;
            // Whoever was quicker opened the same one.
            let _ = self.journal.set(found);
        }
        Ok(self.journal.get().map(AsRef::as_ref))
    }

    /// Gives back what is still on its way back; a server that is gone is not waited for.
    pub async fn close(&self) {
        if let Some(journal) = self.journal.get() {
            let _ = tokio::time::timeout(Duration::from_secs(3), journal.close()).await;
        }
    }

    /// Whether standard output is for programs.
    pub fn json(&self) -> bool {
        self.global.output == Output::Json
    }
}

/// Folds a rotation from the journal.
pub async fn rotation(journal: &dyn Journal, id: &crate::ids::RotationId) -> Result<Rotation, Fail> {
    let records = journal.records(id).await?;
    Rotation::fold(&records).map_err(|broken| Fail::new(5, format!("rotation {id}: {broken}")))
}

/// Finds a rotation by its id, the beginning or end of its id (as log lines show it), or its playbook's name (the newest one); without a word, the only open one.
pub async fn find(journal: &dyn Journal, word: Option<&str>) -> Result<Rotation, Fail> {
    let entries = journal.entries().await?;
    let Some(word) = word else {
        let open: Vec<_> = entries.iter().filter(|entry| entry.open).collect();
        return match open.as_slice() {
            [one] => rotation(journal, &one.rotation).await,
            [] => Err(Fail::usage("no rotation is open").next("keyroll history")),
            many => {
                let mut fail = Fail::usage("several rotations are open: name one");
                for entry in many {
                    fail = fail.detail(format!("{}  {}", entry.rotation, entry.name));
                }
                Err(fail)
            }
        };
    };
    if let Some(named) = entries.iter().find(|entry| entry.name == word) {
        return rotation(journal, &named.rotation).await;
    }
    let lower = word.to_lowercase();
    // A few characters could be anybody's: a rotation is not rolled back by a slip.
    let fits = |id: &str| lower.len() >= 4 && (id.starts_with(&lower) || id.ends_with(&lower));
    let matching: Vec<_> = entries.iter().filter(|entry| fits(entry.rotation.as_str())).collect();
    match matching.as_slice() {
        [one] => rotation(journal, &one.rotation).await,
        [] => Err(Fail::usage(format!("the journal knows no rotation `{word}`")).next("keyroll history")),
        _ => Err(Fail::usage(format!("several rotations begin or end with `{word}`")).next("keyroll history")),
    }
}

/// The journal that must be there, for verbs about a rotation.
pub async fn required(app: &App) -> Result<&dyn Journal, Fail> {
    let place = app.place()?;
    let none = || Fail::usage(format!("there is no journal at {place}: nothing was rotated with it")).next("keyroll run PLAYBOOK");
    app.existing_journal().await?.ok_or_else(none)
}
