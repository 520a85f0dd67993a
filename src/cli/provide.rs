//! `keyroll provide`: a person made the new key, and hands it over.

use super::{App, Fail, app, drive, load, status, typed::typed};
use crate::{
    inspect::memory::Memory,
    report::words::{page, waits_for_key},
    rotation::Rotation,
};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name [default: the only open one]
    rotation: Option<String>,
    #[command(flatten)]
    waiting: drive::Waiting,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let found = app::find(journal, args.rotation.as_deref()).await?;
    if !waits_for_key(&found) {
        return Err(not_waiting(&found));
    }
    let loaded = load::journaled(app, &found.plan.origin, &found.playbook)?;
    let how = format!("printf %s \"$NEW_KEY\" | keyroll provide {}", found.id);
    let value = typed(&format!("The new key that you made at {}", page(&found)), &how)?.into_iter().next();
    let print = value.as_ref().map(|value| value.fingerprint(journal.salt()));
    let memory = Memory::of(&status::all(app).await?, &journal.decrees().await?);
    if let Some(known) = memory.traces.iter().find(|trace| Some(&trace.fingerprint) == print.as_ref()) {
        let what = format!("that key is known: {} had it in rotation {}; make another one", known.playbook, known.rotation);
        return Err(Fail::usage(what).of(&found));
    }
    let mut view = drive::view(app);
    let (rotation, lease) = drive::take(app, journal, &found.id, view.as_mut()).await?;
    drive::drive(app, &loaded, journal, rotation, lease, view.as_mut(), drive::How { waiting: args.waiting, handed: value.as_ref() }).await
}

fn not_waiting(rotation: &Rotation) -> Fail {
    let what = match (rotation.state.ended(), rotation.plan.rules.by_person) {
        (Some(_), _) => format!("rotation {} is over", rotation.id),
        (None, false) => format!("rotation {} needs no key from a person: keyroll makes it", rotation.id),
        (None, true) => format!("rotation {} does not wait for a key", rotation.id),
    };
    Fail::usage(what).of(rotation)
}
