//! `keyroll emergency --admin`: a key that makes keys leaked. Whoever had it could make others: each one that nothing explains is killed or
//! kept by a person, and every playbook that was called with it rotates next.

use std::{io::IsTerminal, path::PathBuf};

use super::Args;
use crate::{
    adapters::build,
    cli::{
        App, Fail,
        load::{self, Loaded},
        person::person,
        status,
        when::{self, Way},
    },
    ids::KeyId,
    inspect::{
        memory::Memory,
        reconcile::{self, Site, Swept},
        suspects::{Calls, Lineup, Suspect, calls, line_up, surveys},
    },
    ports::{Clock, Journal},
    protocol::End,
    record::Decree,
    report::{self, AdminSweep, Called, Choice},
    rotation::Rotation,
    schedule::queued,
};

pub(super) async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let (books, bad) = load::each(app, &paths(args))?;
    for (_, fail) in bad {
        fail.print(&app.global);
    }
    if books.is_empty() {
        return Err(Fail::usage("no playbook could be read; nothing was looked at"));
    }
    let since = match &args.since {
        Some(text) => when::parse(text, &app.clock.now().with_timezone(&chrono::Local), Way::Back).map_err(Fail::usage)?,
        None => {
            let fail = Fail::usage("say since when somebody may have had the admin key: older keys are not asked about");
            return Err(fail.next(format!("{} --since 24h", again(args))));
        }
    };
    let journal = app.journal().await?;
    let rotations = status::all(app).await?;
    let decrees = journal.decrees().await?;
    let (called, warnings) = callers(app, journal, &books, &rotations).await?;
    let identities: Vec<_> = books.iter().map(|loaded| build::identities(&loaded.book, &loaded.world)).collect();
    let site = |at: usize| Site { book: &books[at].book, world: &books[at].world, identities: &identities[at] };
    let sites: Vec<Site<'_>> = (0..books.len()).filter(|at| called[*at] != Calls::No).map(site).collect();
    let names: Vec<Called> = books
        .iter()
        .zip(&called)
        .filter(|(_, calls)| **calls != Calls::No)
        .map(|(loaded, calls)| Called {
            playbook: loaded.book.name.clone(),
            file: loaded.book.source.name.clone(),
            admin: loaded.world.provider.rotates_own().is_some(),
            calls: calls.clone(),
            queued: queued(&decrees, &loaded.book.name)
                .is_some_and(|word| word.at >= since && !renewed(&rotations, &loaded.book.name, word.at)),
        })
        .collect();
    let memory = Memory::of(&rotations, &decrees);
    let surveys = surveys(&sites, journal, &memory).await?;
    let lineup = line_up(&sites, &surveys, since);
    let mut sweep = AdminSweep { since, called: names, warnings, lineup, choices: Vec::new(), recorded: false };
    if !app.json() {
        anstream::print!("{}", report::lineup(&sweep));
    }
    sweep.choices = choose(app, args, &sweep.lineup)?;
    if may_record(app, args) {
        carry_out(app, args, journal, &sites, &mut sweep).await?;
        sweep.recorded = true;
    }
    let code = sweep.code();
    if app.json() {
        println!("{}", report::admin_sweep_json(&sweep, code));
    } else {
        anstream::print!("{}", report::admin_sweep(&sweep, &again(args)));
    }
    Ok(code)
}

fn paths(args: &Args) -> Vec<PathBuf> {
    std::iter::once(PathBuf::from(&args.playbook)).chain(args.others.iter().cloned()).collect()
}

/// The command as it was typed, without the choices.
fn again(args: &Args) -> String {
    let quoted = |path: PathBuf| crate::playbook::quoted(&path.display().to_string());
    let paths: Vec<String> = paths(args).into_iter().map(quoted).collect();
    let since = args.since.as_ref().map_or_else(String::new, |since| format!(" --since {}", crate::playbook::quoted(since)));
    format!("keyroll emergency --admin {} --reason '…'{since}", paths.join(" "))
}

fn renewed(rotations: &[Rotation], name: &str, after: chrono::DateTime<chrono::Utc>) -> bool {
    let done = |rotation: &&Rotation| rotation.plan.name == name && rotation.state.ended() == Some(End::Done);
    rotations.iter().filter(done).any(|rotation| rotation.began > after)
}

/// How each playbook's provider is called; and what is to be said first. Without a playbook that rotates an admin key, all count.
async fn callers(app: &App, journal: &dyn Journal, books: &[Loaded], rotations: &[Rotation]) -> Result<(Vec<Calls>, Vec<String>), Fail> {
    let admins: Vec<&Loaded> = books.iter().filter(|loaded| loaded.world.provider.rotates_own().is_some()).collect();
    let mut warnings = Vec::new();
    if admins.is_empty() {
        warnings.push("no playbook here rotates an admin key: every one of them is taken to have been called with what leaked".to_owned());
    }
    let mut known = Vec::new();
    for admin in admins {
        let Some(own) = admin.world.provider.rotates_own() else { continue };
        let mine =
            |rotation: &&Rotation| rotation.plan.name == admin.book.name && rotation.plan.provider == admin.world.provider.describe();
        let newest = rotations.iter().find(mine);
        let dead = newest.is_some_and(|rotation| rotation.state.ended() == Some(End::Done) && rotation.emergency.is_some());
        if !dead {
            let file = crate::playbook::quoted(&admin.book.source.name);
            warnings.push(format!(
                "THE LEAKED ADMIN KEY MAY WORK: no emergency of {} has ended done, so whoever has it can make more keys; first: keyroll emergency {file} --reason '…'",
                admin.book.name
            ));
        }
        known.push((own.clone(), newest));
    }
    let secrets = app.ctx()?.secrets;
    let mut called = Vec::new();
    for loaded in books {
        let mut found = if known.is_empty() { Calls::Taken } else { Calls::No };
        for (own, newest) in &known {
            match calls(&loaded.book, own, *newest, journal.salt(), secrets.as_ref()).await {
                Calls::No => {}
                Calls::Unread(reference, failure) if found == Calls::No => found = Calls::Unread(reference, failure),
                Calls::Unread(..) => {}
                sure => found = sure,
            }
        }
        called.push(found);
    }
    Ok((called, warnings))
}

/// Kill or keep: as the flags say, else as a person at a terminal says; else undecided.
fn choose(app: &App, args: &Args, lineup: &Lineup) -> Result<Vec<Choice>, Fail> {
    let by_id = |list: &[String], suspect: &Suspect| list.iter().any(|word| word == suspect.listed.id.as_str());
    let all = |list: &[String]| list.iter().any(|word| word == "all");
    let ids: Vec<&str> = lineup.suspects.iter().map(|suspect| suspect.listed.id.as_str()).collect();
    if let Some(stranger) = args.kill.iter().chain(&args.keep).find(|word| *word != "all" && !ids.contains(&word.as_str())) {
        return Err(Fail::usage(format!("`{stranger}` is none of the keys in question; nothing was changed"))
            .detail("a key that something explains is never killed here: rotate it, or delete it at the provider by hand"));
    }
    let asks = !args.yes && !app.json() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut choices = Vec::new();
    for suspect in &lineup.suspects {
        choices.push(match () {
            () if by_id(&args.kill, suspect) => Choice::Kill(None),
            () if by_id(&args.keep, suspect) || all(&args.keep) => Choice::Keep,
            // What a store may serve goes only by its name.
            () if all(&args.kill) && suspect.sure() => Choice::Kill(None),
            () if asks => ask(suspect)?,
            () => Choice::Undecided,
        });
    }
    Ok(choices)
}

fn ask(suspect: &Suspect) -> Result<Choice, Fail> {
    let items = ["decide later", "keep: I know whose it is", "KILL: delete it for good"];
    let chosen = dialoguer::Select::new().with_prompt(report::suspect(suspect)).items(items).default(0).interact();
    match chosen.map_err(|_| Fail::usage("not decided; nothing was changed"))? {
        1 => Ok(Choice::Keep),
        2 => Ok(Choice::Kill(None)),
        _ => Ok(Choice::Undecided),
    }
}

/// On a terminal a person says yes to all of it; elsewhere `--yes` does.
fn may_record(app: &App, args: &Args) -> bool {
    if args.yes {
        return true;
    }
    let terminal = !app.json() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    terminal && dialoguer::Confirm::new().with_prompt("Do that, and queue these playbooks?").default(false).interact().unwrap_or(false)
}

/// First what needs only the journal, then the deletions, each under its own tombstone; then the listing says what is gone.
async fn carry_out(app: &App, args: &Args, journal: &dyn Journal, sites: &[Site<'_>], sweep: &mut AdminSweep) -> Result<(), Fail> {
    let (by, reason) = (person(), args.reason.clone().unwrap_or_default());
    for called in sweep.called.iter_mut().filter(|called| !called.admin && !called.queued) {
        let decree = Decree::Queued { playbook: called.playbook.clone(), reason: format!("its admin key leaked: {reason}") };
        journal.decree(app.clock.now(), &by, decree).await?;
        called.queued = true;
    }
    for (suspect, choice) in sweep.lineup.suspects.iter().zip(&mut sweep.choices) {
        let key: &KeyId = &suspect.listed.id;
        match choice {
            Choice::Undecided => {}
            Choice::Keep => {
                let decree = Decree::Kept { provider: suspect.provider.clone(), key: key.clone(), reason: reason.clone() };
                journal.decree(app.clock.now(), &by, decree).await?;
            }
            Choice::Kill(outcome) => {
                let because = format!("nothing explains it, and an admin key leaked ({reason}): {by} said so");
                let swept: Swept = reconcile::bury(&sites[suspect.site], journal, &app.clock, &by, key, &because).await?;
                *outcome = Some(swept);
            }
        }
    }
    Ok(())
}
