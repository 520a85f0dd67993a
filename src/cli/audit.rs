//! `keyroll audit`: checks every chain of the journal, exports it, and compares it with an earlier export.

use std::{
    collections::HashMap,
    io::Write,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Local, Utc};
use serde_json::json;

use super::{App, Fail, app, report::tell, when};
use crate::{
    ids::RotationId,
    ports::{Entry, Journal, JournalError},
    record::Record,
    report::{self, Exported, Seal},
    rotation::Rotation,
};

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Check every record's hash, and say which chains are good
    Verify(Verify),
    /// Print records and decrees as JSON Lines, with their hashes
    Export(Export),
}

#[derive(clap::Args)]
pub struct Verify {
    /// Only this rotation: its id (or its beginning), or a playbook's name
    rotation: Option<String>,
    /// An earlier `audit export`: whoever wrote the journal anew is found by its hashes
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Export {
    /// Only these rotations: ids (or their beginnings), or playbooks' names [default: all, and the decrees]
    rotations: Vec<String>,
    /// Only what was written since then: a time, a date, or a length like `7d`
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
}

pub async fn run(app: &App, verb: &Verb) -> Result<u8, Fail> {
    match verb {
        Verb::Verify(args) => verify(app, args).await,
        Verb::Export(args) => export(app, args).await,
    }
}

/// One chain and what was found of it.
struct Checked {
    /// None: the decrees.
    rotation: Option<RotationId>,
    name: String,
    /// The hash before the first record, then each record's; empty where the chain is not good.
    hashes: Vec<String>,
    problem: Option<String>,
}

async fn verify(app: &App, args: &Verify) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let exported = args.against.as_deref().map(|file| read(file, journal.id())).transpose()?;
    let mut chains = Vec::new();
    for entry in chosen(journal, args.rotation.as_slice()).await? {
        chains.push(rotation(journal, &entry).await?);
    }
    if args.rotation.is_none() {
        chains.push(decrees(journal).await?);
    }
    let findings = exported.map(|lines| against(&lines, &chains, args.rotation.is_some())).unwrap_or_default();
    for (chain, what) in findings {
        let known = chains.iter_mut().find(|known| known.rotation.as_ref().map(ToString::to_string) == chain);
        match known {
            // Its own fault says more.
            Some(known) => drop(known.problem.get_or_insert(what)),
            None => {
                chains.push(Checked { rotation: chain.map(RotationId::new), name: String::new(), hashes: Vec::new(), problem: Some(what) })
            }
        }
    }
    print(app, journal.id(), &chains);
    Ok(if chains.iter().any(|chain| chain.problem.is_some()) { 5 } else { 0 })
}

/// Without folding them: a rotation that cannot be folded is what is looked for.
async fn chosen(journal: &dyn Journal, words: &[String]) -> Result<Vec<Entry>, Fail> {
    let entries = journal.entries().await?;
    if words.is_empty() {
        return Ok(entries);
    }
    let mut chosen: Vec<Entry> = Vec::new();
    for word in words {
        let lower = word.to_lowercase();
        let named = |entry: &&Entry| entry.name == *word;
        let begins =
            |entry: &&Entry| lower.len() >= 4 && (entry.rotation.as_str().starts_with(&lower) || entry.rotation.as_str().ends_with(&lower));
        let exact: Vec<_> = entries.iter().filter(named).collect();
        let fits = if exact.is_empty() { entries.iter().filter(begins).collect() } else { exact };
        if fits.is_empty() {
            return Err(Fail::usage(format!("the journal knows no rotation `{word}`")).next("keyroll history"));
        }
        chosen.extend(fits.into_iter().cloned());
    }
    Ok(chosen)
}

async fn rotation(journal: &dyn Journal, entry: &Entry) -> Result<Checked, Fail> {
    let bad = |problem: String| Checked {
        rotation: Some(entry.rotation.clone()),
        name: entry.name.clone(),
        hashes: Vec::new(),
        problem: Some(problem),
    };
    let (records, hashes) = match sealed(journal, &entry.rotation).await {
        Ok(read) => read,
        Err(JournalError::Corrupt(what)) => return Ok(bad(what)),
        Err(other) => return Err(other.into()),
    };
    let folded = match Rotation::fold(&records) {
        Ok(folded) => folded,
        Err(broken) => return Ok(bad(broken.to_string())),
    };
    // The listing stands beside the chain, so no hash covers it.
    let problem = if folded.plan.name != entry.name {
        Some(format!("the listing calls it `{}`, its first record `{}`: the listing was changed", entry.name, folded.plan.name))
    } else if folded.state.ended().is_none() != entry.open {
        Some("whether it is over is not what its records say: the listing was changed".into())
    } else {
        None
    };
    Ok(Checked { rotation: Some(entry.rotation.clone()), name: entry.name.clone(), hashes, problem })
}

/// Hashes after records: whatever is written in between only adds to their end.
async fn sealed(journal: &dyn Journal, rotation: &RotationId) -> Result<(Vec<Record>, Vec<String>), JournalError> {
    Ok((journal.records(rotation).await?, journal.hashes(Some(rotation)).await?))
}

async fn decrees(journal: &dyn Journal) -> Result<Checked, Fail> {
    let (hashes, problem) = match journal.hashes(None).await {
        Ok(hashes) => (hashes, None),
        Err(JournalError::Corrupt(what)) => (Vec::new(), Some(what)),
        Err(other) => return Err(other.into()),
    };
    Ok(Checked { rotation: None, name: String::new(), hashes, problem })
}

fn against(lines: &[Exported], chains: &[Checked], only: bool) -> Vec<(Option<String>, String)> {
    let known: HashMap<_, _> =
        chains.iter().map(|chain| (chain.rotation.as_ref().map(ToString::to_string), chain.hashes.clone())).collect();
    let lines: Vec<_> = lines.iter().filter(|line| !only || known.contains_key(&line.rotation)).cloned().collect();
    report::compare(&lines, &known)
}

/// An earlier export; every line of it must be one.
fn read(file: &Path, journal: &str) -> Result<Vec<Exported>, Fail> {
    let place = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| Fail::usage(format!("{place} cannot be read: {error}")))?;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Exported = serde_json::from_str(line)
            .map_err(|error| Fail::usage(format!("line {} of {place} is not of `keyroll audit export`: {error}", at + 1)))?;
        if line.journal != journal {
            let what = format!("{place} was exported from journal {}, and this is journal {journal}", line.journal);
            return Err(Fail::new(5, what).next("keyroll audit verify --journal FILE --against …, with the journal it came from"));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(Fail::usage(format!("{place} holds no line of `keyroll audit export`")));
    }
    Ok(lines)
}

fn print(app: &App, journal: &str, chains: &[Checked]) {
    let good = chains.iter().filter(|chain| chain.problem.is_none()).count();
    if app.json() {
        let rows: Vec<_> = chains
            .iter()
            .map(|chain| {
                json!({
                    "rotation": chain.rotation, "playbook": chain.rotation.as_ref().map(|_| &chain.name), "good": chain.problem.is_none(),
                    "records": chain.hashes.len().saturating_sub(1), "head": chain.hashes.last(), "problem": chain.problem,
                })
            })
            .collect();
        tell(&json!({ "journal": journal, "good": good == chains.len(), "chains": rows }).to_string());
        return;
    }
    for chain in chains {
        let name = match &chain.rotation {
            Some(id) => format!("rotation {id}  {}", chain.name),
            None => "decrees".into(),
        };
        let line = match &chain.problem {
            Some(problem) => report::bad(&format!("✗ {name}: {problem}")),
            None if app.global.quiet => continue,
            None => {
                let count = chain.hashes.len().saturating_sub(1);
                let head = chain.hashes.last().map_or("", String::as_str);
                report::good(&format!(
                    "✓ {name}  {count} record{}, head {}",
                    if count == 1 { "" } else { "s" },
                    &head[..head.len().min(16)]
                ))
            }
        };
        tell(&line);
    }
    tell(&format!("{good} of {} chains are good", chains.len()));
    if good < chains.len() {
        tell("Do not act on the others: put a copy of the journal back, or ask the provider and the stores themselves.");
    }
}

async fn export(app: &App, args: &Export) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let now = crate::ports::Clock::now(&app.clock).with_timezone(&Local);
    let since = args.since.as_deref().map(|text| when::parse(text, &now, when::Way::Back)).transpose().map_err(Fail::usage)?;
    let mut out = std::io::stdout().lock();
    let mut worst = 0;
    let mut entries = chosen(journal, &args.rotations).await?;
    entries.reverse();
    for entry in &entries {
        match lines(journal, entry).await {
            Ok(lines) => {
                if !write(&mut out, &lines, since) {
                    return Ok(worst);
                }
            }
            Err(fail) => {
                // The others are good: what can be exported is.
                worst = 5;
                fail.complain();
            }
        }
    }
    if args.rotations.is_empty() {
        write(&mut out, &decree_lines(journal).await?, since);
    }
    Ok(worst)
}

/// Whether somebody still reads.
fn write(out: &mut impl Write, lines: &[report::Line], since: Option<DateTime<Utc>>) -> bool {
    lines.iter().filter(|line| since.is_none_or(|since| line.time >= since)).all(|line| writeln!(out, "{}", json!(line)).is_ok())
}

async fn lines(journal: &dyn Journal, entry: &Entry) -> Result<Vec<report::Line>, Fail> {
    let (records, hashes) = sealed(journal, &entry.rotation).await?;
    let broken = |broken: crate::rotation::Broken| Fail::new(5, format!("rotation {}: {broken}", entry.rotation));
    let mut folded: Option<Rotation> = None;
    let mut lines = Vec::new();
    for (record, pair) in records.iter().zip(hashes.windows(2)) {
        let rotation = match folded.take() {
            None => Rotation::begin(record).map_err(broken)?,
            Some(mut rotation) => {
                rotation.add(record).map_err(broken)?;
                rotation
            }
        };
        lines.push(report::record_line(&rotation, record, &Seal { journal: journal.id(), previous: &pair[0], hash: &pair[1] }));
        folded = Some(rotation);
    }
    Ok(lines)
}

async fn decree_lines(journal: &dyn Journal) -> Result<Vec<report::Line>, Fail> {
    let (decrees, hashes) = (journal.decrees().await?, journal.hashes(None).await?);
    let seal = |pair: &[String]| (pair[0].clone(), pair[1].clone());
    let pairs = hashes.windows(2).map(seal);
    Ok(decrees
        .iter()
        .zip(pairs)
        .map(|(decreed, (previous, hash))| report::decree_line(decreed, &Seal { journal: journal.id(), previous: &previous, hash: &hash }))
        .collect())
}
