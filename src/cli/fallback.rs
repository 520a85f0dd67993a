//! Where an emergency is recorded while the journal cannot be written, and how it comes back.
//!
//! The fallback is a journal of its own, on this machine, as durable as any. As soon as the journal answers again, the
//! next `run` or `emergency` takes the ended rotations in and says so; verbs that only read say that they are not in it yet.

use std::{fs, path::PathBuf};

use super::{App, Fail, person::person};
use crate::{
    journal::{self, SqliteJournal},
    ports::{Clock, Journal},
    record::Decree,
};

/// One fallback for each journal, in the state folder of this user.
///
/// # Errors
/// Where this user has no home.
pub fn path(app: &App) -> Result<PathBuf, Fail> {
    let place = app.place()?.to_string();
    let state = journal::default_path()?;
    Ok(state.with_file_name(format!("emergency-{}.db", journal::short_hash(&place))))
}

/// The fallback, made if it is not there yet; `down`: why the journal cannot be used.
///
/// # Errors
/// Where this cannot be written either: then only a person's own hands are left.
pub async fn open(app: &App, down: Fail) -> Result<SqliteJournal, Fail> {
    let path = path(app)?;
    anstream::eprintln!("warning: {}", down.what());
    match SqliteJournal::open(&path).await {
        Ok(journal) => {
            anstream::eprintln!("this emergency is recorded in {} instead; it is taken in when the journal answers again", path.display());
            anstream::eprintln!("an open rotation that only the journal knows of is not seen now");
            Ok(journal)
        }
        Err(error) => Err(Fail::from(error)
            .detail("neither the journal nor its fallback can be written, and nothing is done without a record")
            .next("keyroll emergency PLAYBOOK --print    (what to type by hand)")),
    }
}

/// Says that an emergency is not in the journal yet: for verbs that only read.
///
/// # Errors
/// Where this user has no home.
pub fn remind(app: &App) -> Result<(), Fail> {
    let path = path(app)?;
    if fs::symlink_metadata(&path).is_ok() {
        anstream::eprintln!(
            "warning: an emergency is recorded in {}, and not in this journal yet; `keyroll run` takes it in",
            path.display()
        );
    }
    Ok(())
}

/// Takes in what an emergency left in the fallback, once all of it is over.
///
/// # Errors
/// The journal's; a fallback that cannot be read is only told.
pub async fn merge(app: &App, journal: &dyn Journal) -> Result<(), Fail> {
    let path = path(app)?;
    if fs::symlink_metadata(&path).is_err() {
        return Ok(());
    }
    let fallback = match SqliteJournal::open(&path).await {
        Ok(fallback) => fallback,
        Err(error) => {
            anstream::eprintln!("warning: an emergency was recorded in {}, which cannot be read: {error}", path.display());
            return Ok(());
        }
    };
    let entries = fallback.entries().await?;
    if let Some(open) = entries.iter().find(|entry| entry.open) {
        let resume = format!("keyroll --journal {} resume {}", crate::playbook::quoted(&path.display().to_string()), open.rotation);
        anstream::eprintln!("warning: an emergency is open in {}; finish it first: {resume}", path.display());
        return Ok(());
    }
    for entry in entries.iter().rev() {
        journal.take_in(&entry.name, &fallback.records(&entry.rotation).await?).await?;
    }
    let rotations: Vec<_> = entries.into_iter().map(|entry| entry.rotation).collect();
    let count = rotations.len();
    if count > 0 {
        let decree = Decree::Merged { journal: fallback.id().to_owned(), rotations };
        journal.decree(app.clock.now(), &person(), decree).await?;
    }
    fallback.close().await;
    let kept = path.with_extension(format!("merged-{}.db", app.clock.now().format("%Y%m%dT%H%M%S")));
    match fs::rename(&path, &kept) {
        // Another command was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(|error| Fail::new(5, format!("{} cannot be renamed: {error}", path.display())))?,
    }
    anstream::eprintln!(
        "{count} emergency rotation(s) of {} are now in this journal; the file is kept as {}",
        path.display(),
        kept.display()
    );
    Ok(())
}
