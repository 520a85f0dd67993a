//! `keyroll reconcile`: keys that nothing explains, and what was left behind.

use std::{io::IsTerminal, path::PathBuf};

use super::{App, Fail, load, person::person, status};
use crate::{
    adapters::build,
    batch::worse,
    inspect::{
        memory::Memory,
        reconcile::{self, Oddity, Site},
    },
    ports::{Clock, Journal},
    protocol::Fate,
    record::Decree,
    report::{self, Reconciled},
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them
    #[arg(required = true)]
    playbooks: Vec<PathBuf>,
    /// Delete what is certainly ours and dead: keys with a tombstone, and those of half-done creates that no store holds
    #[arg(long, conflicts_with = "adopt")]
    fix: bool,
    /// That journal is lost for good: its marks beside these playbooks' secrets are no longer refused
    #[arg(long, value_name = "JOURNAL", requires = "reason")]
    adopt: Option<String>,
    /// Why the other journal is lost; it is recorded
    #[arg(long, requires = "adopt")]
    reason: Option<String>,
    /// Do not ask before deleting; without a terminal keyroll never asks
    #[arg(short, long, requires = "fix")]
    yes: bool,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let books = load::files(app, &args.playbooks)?;
    let changes = args.fix || args.adopt.is_some();
    let journal = if changes { Some(app.journal().await?) } else { app.existing_journal().await? };
    let rotations = status::all(app).await?;
    let decrees = match journal {
        Some(journal) => journal.decrees().await?,
        None => Vec::new(),
    };
    let memory = Memory::of(&rotations, &decrees);
    let mut all = Vec::new();
    let identities: Vec<_> = books.iter().map(|loaded| build::identities(&loaded.book, &loaded.world)).collect();
    let site = |at: usize| Site { book: &books[at].book, world: &books[at].world, identities: &identities[at] };
    for (at, loaded) in books.iter().enumerate() {
        let survey = reconcile::survey(&site(at), journal, &memory).await?;
        let (name, file) = (loaded.book.name.clone(), loaded.book.source.name.clone());
        all.push(Reconciled { name, file, provider: loaded.world.provider.describe(), survey, swept: Vec::new() });
    }
    if let (Some(journal), Some(other), Some(reason)) = (journal, &args.adopt, &args.reason) {
        return adopt(app, journal, &all, other, reason).await;
    }
    if let Some(journal) = journal.filter(|_| args.fix && confirmed(app, args, &all)) {
        for (at, one) in all.iter_mut().enumerate() {
            one.swept = reconcile::sweep(&site(at), journal, &app.clock, &person(), &mut one.survey).await?;
        }
    }
    let code = all.iter().fold(0, |code, one| worse(code, of(one)));
    if app.json() {
        println!("{}", report::reconciled_json(&all, code));
    } else {
        anstream::print!("{}", report::reconciled(&all));
    }
    Ok(code)
}

/// 5 where something could not be read, 3 where a person is needed, 6 where an open rotation comes first.
fn of(one: &Reconciled) -> u8 {
    let gaps = if one.survey.gaps.is_empty() { 0 } else { 5 };
    let open = if one.survey.open.is_some() { 6 } else { 0 };
    let unsettled = if one.unsettled() { 3 } else { 0 };
    worse(worse(gaps, open), unsettled)
}

/// On a terminal the keys are named, and a person says yes.
fn confirmed(app: &App, args: &Args, all: &[Reconciled]) -> bool {
    let doomed: Vec<_> = all
        .iter()
        .flat_map(|one| &one.survey.keys)
        .filter(|key| matches!(key.fate, Fate::Delete(_)))
        .map(|key| key.listed.id.as_str())
        .collect();
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if args.yes || doomed.is_empty() || !terminal || app.json() {
        return true;
    }
    let question = format!("Delete for good: {}?", doomed.join(", "));
    dialoguer::Confirm::new().with_prompt(question).default(false).interact().unwrap_or(false)
}

/// Only a journal whose mark is really there can be adopted: a slip must not open the door for any other.
async fn adopt(app: &App, journal: &dyn Journal, all: &[Reconciled], other: &str, reason: &str) -> Result<u8, Fail> {
    let marked =
        |one: &&Reconciled| one.survey.oddities.iter().any(|odd| matches!(odd, Oddity::ForeignMark { journal, .. } if journal == other));
    let names: Vec<&str> = all.iter().filter(marked).map(|one| one.name.as_str()).collect();
    if names.is_empty() {
        let what = format!("no store of these playbooks bears a mark of journal {other}; nothing was recorded");
        return Err(Fail::usage(what).next("keyroll reconcile PLAYBOOK    (names the journals it finds)"));
    }
    let decree = Decree::Adopted { journal: other.to_owned(), reason: reason.to_owned() };
    journal.decree(app.clock.now(), &person(), decree).await?;
    let meaning = "From now on this journal rotates keys that bear its mark. What it knew is not known here: which keys it made, which it \
                   declared dead, which rotations it left open. If that journal is still in use somewhere, two machines can now rotate one key.";
    if app.json() {
        println!("{}", serde_json::json!({ "adopted": other, "by": journal.id(), "playbooks": names, "meaning": meaning, "exit_code": 0 }));
    } else {
        anstream::println!("journal {} takes the place of journal {other} (found at {})\n{meaning}", journal.id(), names.join(", "));
        anstream::println!("next: keyroll reconcile PLAYBOOK    (keys that the lost journal left are unknown now)");
    }
    Ok(0)
}
