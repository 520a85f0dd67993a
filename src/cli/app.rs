//! What verbs share: the journal, the adapters, the clock and the output.

use std::path::PathBuf;

use super::{Fail, Global, Output};
use crate::{
    adapters::{Ctx, clock::System, registry::Registry, secrets, wire::Wire},
    journal::{self, SqliteJournal},
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
}

impl App {
    /// With the adapters that come with keyroll.
    pub fn new(global: Global) -> Self {
        Self { global, clock: System::new(), registry: Registry::builtin() }
    }

    /// What adapters are built with.
    pub fn ctx(&self) -> Result<Ctx, Fail> {
        let wire = Wire::new().map_err(|failure| Fail::new(5, failure.to_string()))?;
        Ok(Ctx { secrets: secrets::resolver(&wire), wire })
    }

    /// The journal's place.
    pub fn journal_path(&self) -> Result<PathBuf, Fail> {
        match &self.global.journal {
            Some(path) => Ok(path.clone()),
            None => journal::default_path().map_err(Fail::from),
        }
    }

    /// The journal, made if it is not there yet.
    pub async fn journal(&self) -> Result<SqliteJournal, Fail> {
        Ok(SqliteJournal::open(&self.journal_path()?).await?)
    }

    /// The journal for reading; none where nothing was ever rotated.
    pub async fn existing_journal(&self) -> Result<Option<SqliteJournal>, Fail> {
        let path = self.journal_path()?;
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(SqliteJournal::open(&path).await?))
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
pub async fn required(app: &App) -> Result<SqliteJournal, Fail> {
    let path = app.journal_path()?;
    let none =
        || Fail::usage(format!("there is no journal at {}: nothing was rotated with it", path.display())).next("keyroll run PLAYBOOK");
    app.existing_journal().await?.ok_or_else(none)
}
