//! `keyroll status`: every playbook with its key, when it is due, and what it needs.

use std::{collections::HashMap, io::IsTerminal, path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{App, Fail, approve, load};
use crate::{
    batch::{Item, Survey, adopted, needs, survey, worse},
    ids::RotationId,
    playbook::{Playbook, Source},
    ports::{Clock, Gate},
    record::Decreed,
    report::{self, Overview},
    rotation::Rotation,
    schedule::{self, Key, Stands, Terms, Times, Urgency, freezes, outlived, queued},
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them [default: those of the journal, as they were last run]
    playbooks: Vec<PathBuf>,
    /// For monitoring: end with 3 if anything is overdue, held, or near its expiry
    #[arg(long)]
    check: bool,
    /// Show it again every few seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Between two pictures.
const TICK: Duration = Duration::from_secs(3);
/// A rotation that could go on for so long, and does not, is left alone by its timer.
const FORGOTTEN: TimeDelta = TimeDelta::hours(1);

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    if args.watch && !app.json() && !std::io::stdout().is_terminal() {
        return Err(Fail::usage("--watch draws on a terminal").detail("in a pipe, use `--output json`: one array each time"));
    }
    let (items, bad) = load::each(app, &args.playbooks)?;
    let mut code = 0;
    for (_, fail) in bad {
        code = worse(code, fail.code());
        fail.print(&app.global);
    }
    let mut look = Look { app, items, asked: HashMap::new() };
    loop {
        let rows = look.rows(!args.playbooks.is_empty()).await?;
        let decrees = match app.existing_journal().await? {
            Some(journal) => journal.decrees().await?,
            None => Vec::new(),
        };
        show(app, &rows, &approve::waiting(&decrees, app.clock.now()), args.watch)?;
        if !args.watch {
            let late = rows.iter().any(|row| row.urgency == Urgency::Overdue);
            return Ok(if args.check && late { worse(code, 3) } else { code });
        }
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => return stopped.map(|()| code).map_err(|error| Fail::new(5, error.to_string())),
            () = app.clock.sleep(TICK) => {}
        }
    }
}

fn show(app: &App, rows: &[Overview], waiting: &[approve::Proposal<'_>], again: bool) -> Result<(), Fail> {
    let now = app.clock.now();
    if app.json() {
        let mut all = report::overview_json(rows, now);
        if let Some(all) = all.as_array_mut() {
            all.extend(waiting.iter().map(approve::Proposal::json));
        }
        println!("{all}");
        return Ok(());
    }
    if again {
        anstream::print!("\x1b[2J\x1b[H{}  (Ctrl-C ends)\n\n", now.format("%Y-%m-%d %H:%M:%S UTC"));
    }
    for proposal in waiting {
        anstream::println!("{}\n  → keyroll approve {}", proposal.line(), proposal.id);
    }
    if rows.is_empty() && waiting.is_empty() {
        anstream::println!("no rotations yet in {}\nnext: keyroll run PLAYBOOK, or keyroll demo to see one", app.place()?);
    } else if !rows.is_empty() {
        anstream::print!("{}", report::overview(rows, now));
    }
    Ok(())
}

/// What is looked at, and what a provider said once.
struct Look<'a> {
    app: &'a App,
    items: Vec<Item>,
    asked: HashMap<String, Result<Key, String>>,
}

impl Look<'_> {
    async fn rows(&mut self, given: bool) -> Result<Vec<Overview>, Fail> {
        let journal = self.app.existing_journal().await?;
        let mut by_name: Vec<(String, Vec<(RotationId, bool)>)> = Vec::new();
        let mut decrees = Vec::new();
        if let Some(journal) = journal {
            decrees = journal.decrees().await?;
            for entry in journal.entries().await? {
                let rotation = (entry.rotation, entry.open);
                match by_name.iter_mut().find(|(name, _)| *name == entry.name) {
                    Some((_, rotations)) => rotations.push(rotation),
                    None => by_name.push((entry.name, vec![rotation])),
                }
            }
        }
        let now = self.app.clock.now();
        let mut rows = Vec::new();
        if !given {
            for (name, rotations) in &by_name {
                let Some(journal) = journal else { break };
                let survey = survey(journal, rotations, None).await?;
                let text = survey.newest.as_ref().map(|rotation| (rotation.plan.origin.clone(), rotation.playbook.clone()));
                let (origin, text) = text.unwrap_or_default();
                let book = Playbook::parse(Arc::new(Source { name: origin.clone(), text })).ok();
                rows.push(row(name, origin, book.as_ref(), survey, None, &decrees, now));
            }
        }
        for item in &self.items {
            let name = &item.book.name;
            let rotations = by_name.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, rotations)| rotations);
            let places: Vec<String> = item.world.stores.iter().map(|store| store.locator()).collect();
            let survey = match journal {
                Some(journal) => survey(journal, rotations, Some(&places)).await?,
                None => Survey::default(),
            };
            let mut said = None;
            if survey.newest.is_none() {
                if !self.asked.contains_key(&item.book.source.name) {
                    let answer = adopted(item).await.map_err(|failure| failure.what);
                    self.asked.insert(item.book.source.name.clone(), answer);
                }
                said = self.asked.get(&item.book.source.name).cloned();
            }
            rows.push(row(name, item.book.source.name.clone(), Some(&item.book), survey, said, &decrees, now));
        }
        Ok(rows)
    }
}

fn row(
    name: &str,
    file: String,
    book: Option<&Playbook>,
    mut survey: Survey,
    said: Option<Result<Key, String>>,
    decrees: &[Decreed],
    now: DateTime<Utc>,
) -> Overview {
    if let Some(rotation) = &mut survey.newest {
        rotation.heed(decrees);
    }
    let freezes = freezes(decrees);
    let times = Times::of(name, book.and_then(|book| book.window.clone()), &freezes);
    let open = survey.newest.as_ref().filter(|rotation| rotation.state.ended().is_none());
    let mut notes = Vec::new();
    let key = match (open, &survey.past.key, said) {
        (Some(rotation), past, _) => known(report::key_of(rotation), past.as_ref()),
        (None, Some(key), _) => key.clone(),
        (None, None, Some(Ok(key))) => key,
        (None, None, Some(Err(why))) => {
            notes.push(format!("its provider or store did not say how old the key is: {why}"));
            Key::default()
        }
        (None, None, None) => Key::default(),
    };
    let due = book.map(|book| {
        let terms = Terms { name, every: book.every.map(|every| every.0), needs: needs(book) };
        schedule::due(&terms, &key, &survey.past, queued(decrees, name).as_ref(), &times)
    });
    for freeze in freezes.iter().filter(|freeze| freeze.is_on(now) && outlived(freeze, name, &key)) {
        notes.push(format!(
            "freeze {} lasts until {}, and the key stops working before that",
            freeze.number,
            freeze.until.format("%Y-%m-%d")
        ));
    }
    let stands = open.map(|rotation| schedule::stands(rotation, &times, now));
    let urgency = match (&stands, &due) {
        (Some(stands), _) => pressing(stands, &key, now),
        (None, Some(due)) => due.urgency(now),
        (None, None) => Urgency::Due,
    };
    Overview {
        name: name.to_owned(),
        closed: times.closed(now).map(|closed| (closed.until, closed.why)),
        lacks: book.map(schedule::lacks).unwrap_or_default(),
        key,
        due,
        newest: survey.newest,
        stands,
        urgency,
        notes,
        file,
    }
}

/// What an open rotation tells of its key, with what an older one knew.
fn known(key: Key, past: Option<&Key>) -> Key {
    let same = past.filter(|past| past.id == key.id);
    Key { made: key.made.or(same.and_then(|past| past.made)), expires: key.expires.or(same.and_then(|past| past.expires)), id: key.id }
}

/// How urgent an open rotation is: a wait is no hurry, unless the key dies before it ends.
fn pressing(stands: &Stands, key: &Key, now: DateTime<Utc>) -> Urgency {
    let until = match stands {
        Stands::Held(_) => return Urgency::Overdue,
        Stands::Ready(since) if now - since > FORGOTTEN => return Urgency::Overdue,
        Stands::Ready(_) => now,
        Stands::Waits { until, .. } => *until,
    };
    match (key.expires, stands) {
        (Some(expires), _) if expires <= until + TimeDelta::days(1) => Urgency::Overdue,
        (_, Stands::Ready(_)) => Urgency::Due,
        _ => Urgency::Fine,
    }
}

/// Every rotation of the journal, newest first.
pub async fn all(app: &App) -> Result<Vec<Rotation>, Fail> {
    let Some(journal) = app.existing_journal().await? else { return Ok(Vec::new()) };
    let decrees = journal.decrees().await?;
    let mut rotations = Vec::new();
    for entry in journal.entries().await? {
        let mut rotation = super::app::rotation(journal, &entry.rotation).await?;
        rotation.heed(&decrees);
        rotations.push(rotation);
    }
    Ok(rotations)
}
