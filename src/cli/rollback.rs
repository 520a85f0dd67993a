//! `keyroll rollback`: back to the old key.

use super::{
    App, Fail, app,
    drive::{self, append, take},
    load,
    person::person,
};
use crate::{
    ports::{Journal, JournalError, Note},
    protocol::{Ask, Event, allows},
    record::Detail,
};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name [default: the only open one]
    rotation: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    waiting: drive::Waiting,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let found = app::find(journal, args.rotation.as_deref()).await?;
    if !allows(&found.state, Ask::Rollback) {
        let why = match (found.state.ended(), found.state.once_off) {
            (Some(_), _) => "it is over",
            (_, true) => "the old key was disabled: a late disable would leave the stores serving a dead key",
            _ => "the deletion of the old key is committed: there is no way back",
        };
        return Err(Fail::new(3, format!("rotation {} cannot be rolled back: {why}", found.id)).of(&found));
    }
    let loaded = load::journaled(app, &found.plan.origin, &found.playbook)?;
    let detail = Detail::Person { by: person(), reason: args.reason.clone(), playbook: None, waiver: None };
    let event = Event::Asked(Ask::Rollback);
    let mut view = drive::view(app);
    match take(app, journal, &found.id, view.as_mut()).await {
        Ok((mut rotation, mut lease)) => {
            append(app, journal, &mut lease, &mut rotation, event, detail, view.as_mut()).await?;
            drive::drive(app, &loaded, journal, rotation, lease, view.as_mut(), args.waiting).await
        }
        Err(fail) if fail.code() == 4 => leave(journal, &found.id, Note { event, detail }).await,
        Err(fail) => Err(fail),
    }
}

/// Another process drives it: it hears the ask within a second.
async fn leave(journal: &dyn Journal, id: &crate::ids::RotationId, note: Note) -> Result<u8, Fail> {
    journal.leave(id, note).await.map_err(|error: JournalError| Fail::from(error))?;
    anstream::println!("rotation {id} is being driven by another keyroll: it was asked to go back");
    anstream::println!("next: keyroll show {id}");
    Ok(6)
}
