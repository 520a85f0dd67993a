//! `keyroll resume`: goes on, from the journal alone.

use super::{
    App, Fail, app,
    drive::{self, append, take},
    load,
    person::person,
};
use crate::{
    protocol::{Ask, Event},
    record::Detail,
    report,
    rotation::Rotation,
};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name [default: the only open one]
    rotation: Option<String>,
    #[command(flatten)]
    waiting: drive::Waiting,
    /// Why a held rotation may go on; it is recorded
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let found = app::find(journal, args.rotation.as_deref()).await?;
    if found.state.ended().is_some() {
        return Ok(over(app, &found));
    }
    let Some(reason) = args.reason.as_ref().map_or(found.state.held.is_none().then_some(None), |reason| Some(Some(reason.clone()))) else {
        // A timer that resumes everything must not answer for a person.
        return Err(Fail::new(
            3,
            format!("rotation {} is held: {}", found.id, found.state.held.map(report::words::why).unwrap_or_default()),
        )
        .of(&found));
    };
    let loaded = load::journaled(app, &found.plan.origin, &found.playbook)?;
    let mut view = drive::view(app);
    let (mut rotation, mut lease) = match take(app, journal, &found.id, view.as_mut()).await {
        Ok(taken) => taken,
        // Another process may have ended it since it was found.
        Err(fail) => {
            let now = app::rotation(journal, &found.id).await?;
            return if now.state.ended().is_some() { Ok(over(app, &now)) } else { Err(fail) };
        }
    };
    if rotation.state.held.is_some() {
        let detail = Detail::Person { by: person(), reason, playbook: None, waiver: None };
        append(app, journal, &mut lease, &mut rotation, Event::Asked(Ask::GoOn), detail, view.as_mut()).await?;
    }
    drive::drive(app, &loaded, journal, rotation, lease, view.as_mut(), args.waiting).await
}

fn over(app: &App, rotation: &Rotation) -> u8 {
    if !app.json() {
        anstream::println!("rotation {} is over: {}", rotation.id, report::words::keys(rotation));
    }
    report::exit_code(rotation)
}
