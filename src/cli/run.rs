//! `keyroll run`: rotates.

use std::{io::IsTerminal, path::PathBuf};

use super::{App, Fail, approve, drive, due, load, load::Loaded, offboard, person::person, plan};
use crate::{
    batch,
    ports::Journal,
    record::{Begun, Plan},
    report,
    rotation::Rotation,
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them; one after the other
    #[arg(required_unless_present_any = ["due", "chosen"])]
    playbooks: Vec<PathBuf>,
    /// For timers: move every parked or interrupted rotation of the journal on, then rotate those playbooks that are due
    #[arg(long, conflicts_with_all = ["install", "replace", "old_key_id", "yes"])]
    due: bool,
    /// With --due: begin others also after one was held or went back
    #[arg(long, requires = "due")]
    keep_going: bool,
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
    /// Begin only after another person approved the plan with `keyroll approve`, as `require_approval` in a playbook says
    #[arg(long)]
    require_approval: bool,
    /// How long a plan may wait for that
    #[arg(long, value_name = "TIME", default_value = "24h")]
    approval_expires: crate::playbook::Span,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    if args.due {
        return due::run(app, &args.playbooks, args.waiting.wait, args.keep_going).await;
    }
    if args.many.select.asked() {
        return offboard::run(app, &args.many, &args.doing, &args.playbooks, args.waiting.wait, args.yes).await;
    }
    let books = load::files(app, &args.playbooks)?;
    let journal = app.journal().await?;
    if let [only] = books.as_slice() {
        return one(app, args, only, journal).await;
    }
    let mut outcomes = Vec::new();
    for loaded in books {
        // The other playbooks are other keys: one that cannot run must not keep them from rotating.
        let result = one(app, args, &loaded, journal).await;
        outcomes.push(due::outcome(journal, &loaded.book, result, &app.global).await?);
    }
    Ok(due::finish(app, &outcomes))
}

async fn one(app: &App, args: &Args, loaded: &Loaded, journal: &dyn Journal) -> Result<u8, Fail> {
    let (mut plan, seen) = plan::make(app, loaded, &args.old, Some(journal)).await?;
    if loaded.book.require_approval || args.require_approval {
        match approve::ask(app, journal, &plan, args.approval_expires.0, &again(args, loaded)).await? {
            approve::Word::Awaited => return Ok(6),
            approve::Word::Given(word) => plan.approved = Some(word),
        }
    }
    confirm(app, args, &plan)?;
    if let Some(word) = &plan.approved {
        approve::take(app, journal, word).await?;
    }
    let mut view = drive::view(app);
    let (rotation, lease) = open(app, loaded, journal, plan, seen, view.as_mut()).await?;
    drive::drive(app, loaded, journal, rotation, lease, view.as_mut(), args.waiting).await
}

/// The command that runs this one playbook as it is run now.
fn again(args: &Args, loaded: &Loaded) -> String {
    let mut command = format!("keyroll run {}{}", report::words::quoted(&loaded.book.source.name), args.old.words());
    if args.require_approval {
        command += " --require-approval";
    }
    command
}

/// Begins a rotation: its first record is its plan, with the playbook's text. `seen`: how many the journal had before it was planned.
pub async fn open(
    app: &App,
    loaded: &Loaded,
    journal: &dyn Journal,
    mut plan: Plan,
    seen: usize,
    view: &mut dyn crate::sight::View,
) -> Result<(Rotation, crate::ports::Lease), Fail> {
    plan.begun.get_or_insert_with(|| Begun { by: person(), why: None });
    Ok(batch::begin(journal, &app.clock, loaded, plan, Some(seen), None, view).await?)
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
    if args.yes {
        return Ok(());
    }
    let question = match args.old.by_hand() {
        Some(id) => format!("Revoke {id} at the end, on your word that it is the key in use?"),
        None => "Rotate?".to_owned(),
    };
    let yes = dialoguer::Confirm::new().with_prompt(question).default(false).interact().unwrap_or(false);
    if yes { Ok(()) } else { Err(Fail::usage("not confirmed; nothing was changed")) }
}
