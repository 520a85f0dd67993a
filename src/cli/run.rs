//! `keyroll run`: rotates.

use std::{io::IsTerminal, path::PathBuf};

use super::{App, Fail, drive, load, load::Loaded, offboard, plan, resume::person};
use crate::{
    adapters::build,
    ids::RotationId,
    ports::{Clock, Journal, Opening},
    protocol::Event,
    record::{Begun, Detail, Plan},
    rotation::Rotation,
    sight::Sight,
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them; one after the other
    #[arg(required_unless_present = "chosen")]
    playbooks: Vec<PathBuf>,
    #[command(flatten)]
    many: offboard::Choice,
    #[command(flatten)]
    doing: offboard::Doing,
    #[command(flatten)]
    old: plan::Old,
    #[command(flatten)]
    waiting: drive::Waiting,
    /// Do not ask before beginning; without a terminal keyroll never asks
    #[arg(short, long)]
    yes: bool,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    if args.many.select.asked() {
        return offboard::run(app, &args.many, &args.doing, &args.playbooks, args.waiting.wait, args.yes).await;
    }
    let books = load::files(app, &args.playbooks)?;
    let journal = app.journal().await?;
    let mut worst = 0;
    let many = books.len() > 1;
    for loaded in books {
        match one(app, args, &loaded, &journal).await {
            Ok(code) => worst = worse(worst, code),
            Err(fail) if many => {
                // The other playbooks are other keys: one that cannot run must not keep them from rotating.
                worst = worse(worst, fail.code());
                fail.print(&app.global);
            }
            Err(fail) => return Err(fail),
        }
    }
    Ok(worst)
}

/// Of two exit codes the one that needs somebody sooner.
pub fn worse(one: u8, other: u8) -> u8 {
    const RANK: [u8; 7] = [0, 6, 4, 1, 2, 5, 3];
    let rank = |code: u8| RANK.iter().position(|known| *known == code);
    if rank(other) > rank(one) { other } else { one }
}

async fn one(app: &App, args: &Args, loaded: &Loaded, journal: &dyn Journal) -> Result<u8, Fail> {
    let plan = plan::make(app, loaded, &args.old, Some(journal)).await?;
    confirm(app, args, &plan)?;
    let mut view = drive::view(app);
    let (rotation, lease) = open(app, loaded, journal, plan, view.as_mut()).await?;
    drive::drive(app, loaded, journal, rotation, lease, view.as_mut(), args.waiting).await
}

/// Begins a rotation: its first record is its plan, with the playbook's text.
pub async fn open(
    app: &App,
    loaded: &Loaded,
    journal: &dyn Journal,
    mut plan: Plan,
    view: &mut dyn crate::sight::View,
) -> Result<(Rotation, crate::ports::Lease), Fail> {
    plan.begun.get_or_insert_with(|| Begun { by: person(), why: None });
    let id = RotationId::at(app.clock.now(), fastrand::u128(..));
    let identities = build::identities(&loaded.book, &loaded.world);
    let opening = Opening {
        rotation: id.clone(),
        name: &loaded.book.name,
        identities: &identities,
        event: Event::Planned,
        detail: Detail::Planned(Box::new(plan)),
        at: app.clock.now(),
    };
    let lease = journal.open(opening).await?;
    let records = journal.records(&id).await?;
    let rotation = Rotation::fold(&records).map_err(|broken| Fail::new(5, broken.to_string()))?;
    if let Some(first) = records.first() {
        view.see(&Sight::Recorded(&rotation, first));
    }
    Ok((rotation, lease))
}

/// On a terminal a person says yes; elsewhere nobody is asked.
pub fn agree(app: &App, yes: bool, question: &str) -> Result<(), Fail> {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if yes || !terminal || app.json() || dialoguer::Confirm::new().with_prompt(question).default(false).interact().unwrap_or(false) {
        return Ok(());
    }
    Err(Fail::usage("not confirmed; nothing was changed"))
}

/// On a terminal the plan is shown, and a person says yes.
fn confirm(app: &App, args: &Args, plan: &Plan) -> Result<(), Fail> {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !terminal || app.json() {
        return match args.old.by_hand() {
            Some(id) if !args.yes => Err(Fail::usage(format!("nothing proves that {id} is the key in use; it would be revoked"))
                .next("the same command with --yes, if you are sure")),
            _ => Ok(()),
        };
    }
    if !app.global.quiet {
        plan::print(app, plan);
    }
    let question = match args.old.by_hand() {
        Some(id) => format!("Revoke {id} at the end, on your word that it is the key in use?"),
        None => "Rotate?".to_owned(),
    };
    agree(app, args.yes, &question)
}
