//! A document for a terminal or a mail.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Document, Look};
use crate::{
    protocol::{Answer, Role},
    report::{
        paint::{Ink, bare, clean, paint},
        time::{of_day, rough},
        words,
    },
};

/// The whole document in lines.
pub fn text(doc: &Document) -> String {
    let ink = match doc.outcome {
        "done" => Ink::Good,
        "rolled_back" | "aborted" => Ink::Bad,
        _ => Ink::Warn,
    };
    let mut lines = vec![paint(Ink::Strong, &format!("Rotation report: {}", doc.playbook)), paint(ink, &doc.headline)];
    lines.extend(doc.because.iter().map(|cause| format!("Because: {cause}")));
    section(&mut lines, "The leak", leak(doc));
    section(&mut lines, "What and why", summary(doc));
    section(&mut lines, "Old key", old(doc));
    section(&mut lines, "New key", new(doc));
    section(&mut lines, "People", people(doc));
    section(&mut lines, "Stores", stores(doc));
    section(&mut lines, "Evidence", evidence(doc));
    section(&mut lines, "Waits", waits(doc));
    section(&mut lines, "Refused, or without a clear answer", doc.setbacks.iter().map(|one| stamped(one.at, &one.sentence)).collect());
    section(&mut lines, "Waivers", waivers(doc));
    section(&mut lines, "Held for a person", holds(doc));
    section(&mut lines, "Notes", doc.notes.clone());
    section(
        &mut lines,
        "What happened",
        doc.timeline.iter().map(|one| format!("{:>4}  {}", one.seq, stamped(one.at, &one.sentence))).collect(),
    );
    section(&mut lines, "What is left to do", doc.next.clone());
    section(&mut lines, "Seal", seal(doc));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn section(lines: &mut Vec<String>, head: &str, body: Vec<String>) {
    if body.is_empty() {
        return;
    }
    lines.extend([String::new(), paint(Ink::Strong, head)]);
    // Names come from outside: none may steer a terminal. The inks are ours.
    lines.extend(body.into_iter().map(|line| format!("  {}", if bare(&line) == line { clean(&line) } else { line })));
}

/// `2026-11-21 09:00:05 UTC`.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn stamped(at: DateTime<Utc>, what: &str) -> String {
    format!("{}  {what}", at.format("%Y-%m-%d %H:%M:%S"))
}

/// A length in the two largest units.
pub fn length(seconds: f64) -> String {
    rough(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// Label and value, for the pages.
pub fn facts(doc: &Document) -> Vec<(&'static str, String)> {
    let mut facts = vec![("playbook", format!("{} ({})", doc.playbook, doc.origin)), ("provider", doc.provider.clone())];
    let begun = doc.begun.as_ref().map_or_else(|| "nobody is on record".into(), |begun| begun.by.clone());
    facts.push(("begun by", begun));
    facts.extend(doc.begun.iter().filter_map(|begun| begun.why.clone()).map(|why| ("why", why)));
    facts.push(("began", stamp(doc.began)));
    match doc.ended {
        Some(ended) => facts.push(("ended", format!("{}, after {}", stamp(ended), length(doc.lasted_seconds)))),
        None => facts.push(("ended", format!("not yet; {} so far", length(doc.lasted_seconds)))),
    }
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    facts.push(("attempts", many(usize::from(doc.attempts), "create")));
    if doc.takeovers > 0 {
        facts.push((
            "taken over",
            format!("{} by another run", if doc.takeovers == 1 { "once".into() } else { format!("{} times", doc.takeovers) }),
        ));
    }
    facts
}

fn rows(facts: Vec<(&'static str, String)>) -> Vec<String> {
    facts.into_iter().map(|(label, value)| format!("{label:<11} {}", clean(&value))).collect()
}

fn summary(doc: &Document) -> Vec<String> {
    rows(facts(doc))
}

/// What is known of the old key.
pub fn old_facts(doc: &Document) -> Vec<(&'static str, String)> {
    let Some(old) = &doc.old_key else { return vec![("id", "there was none: this was the first key".into())] };
    let mut facts = vec![("id", old.id.as_ref().map_or_else(|| "not known".into(), ToString::to_string))];
    facts.push(("identified", old.identified_by.clone().unwrap_or_else(|| "NOT proved to be the key in use".into())));
    facts.extend(old.created_at.map(|at| ("made", stamp(at))));
    facts.extend(old.expires_at.map(|at| ("expires", stamp(at))));
    facts.extend(old.disabled_at.map(|at| ("off since", stamp(at))));
    facts.push(("revoked", old.revoked_at.map_or_else(|| "NO".into(), stamp)));
    facts.push((
        "dead",
        match &old.death {
            Some(death) => format!("proved at {}: {}", stamp(death.at), death.sentence),
            None if old.proved_dead => "before the rotation began".into(),
            None => "NOT proved".into(),
        },
    ));
    facts.push(("stands", old.stands.clone()));
    facts
}

/// What is known of the new key.
pub fn new_facts(doc: &Document) -> Vec<(&'static str, String)> {
    let Some(new) = &doc.new_key else { return vec![("id", "none was made".into())] };
    let mut facts = vec![("id", new.id.to_string())];
    facts.extend(new.name.clone().map(|name| ("name", name)));
    facts.push(("made", stamp(new.created_at)));
    facts.extend(new.expires_at.map(|at| ("expires", stamp(at))));
    facts.push(("stands", new.stands.clone()));
    facts
}

fn leak(doc: &Document) -> Vec<String> {
    let Some(leak) = &doc.leak else { return Vec::new() };
    let told = std::iter::once(&leak.headline).chain(&leak.more).chain(&leak.usage).cloned();
    told.chain(leak.remains.iter().map(|line| format!("[ ] {line}"))).collect()
}

fn old(doc: &Document) -> Vec<String> {
    rows(old_facts(doc))
}

fn new(doc: &Document) -> Vec<String> {
    rows(new_facts(doc))
}

fn people(doc: &Document) -> Vec<String> {
    let because = |reason: &Option<String>| reason.as_ref().map_or_else(String::new, |reason| format!(": \"{reason}\""));
    doc.people.iter().map(|act| stamped(act.at, &format!("{} {}{}", act.by, act.did, because(&act.reason)))).collect()
}

/// `old key`, `new key`.
pub fn which(role: Role) -> &'static str {
    match role {
        Role::Old => "old key",
        Role::New => "new key",
        Role::Stray => "leftover key",
        Role::Former => "given-up key",
    }
}

fn stores(doc: &Document) -> Vec<String> {
    let mut lines = Vec::new();
    for store in &doc.stores {
        lines.push(store.locator.clone());
        lines.extend(store.versions.iter().map(|kept| format!("  version {}: {}, seen {}", kept.version, which(kept.key), stamp(kept.at))));
    }
    lines
}

/// `inference-api, picking it up: new key proved by 3 of 3 instances`.
pub fn purpose(look: &Look) -> String {
    let who = look.consumer.clone().unwrap_or_else(|| "all consumers".into());
    let all = look.proved.len() + look.missing.len();
    let what = match all {
        0 => format!("nobody had to prove the {}", which(look.key)),
        _ => format!("{} proved by {} of {}", which(look.key), look.proved.len(), words::instances(all)),
    };
    format!("{who}, {}: {what}", look.purpose)
}

/// What a look came to, and whether it counted.
pub fn verdict(look: &Look) -> &'static str {
    match (look.answer, look.counted) {
        (Answer::Yes, true) => "counted",
        (Answer::Yes, false) => "voided before anything rested on it",
        (Answer::Bad, _) => "something is ill: did not count",
        _ => "not proved in time: did not count",
    }
}

fn evidence(doc: &Document) -> Vec<String> {
    let mut lines: Vec<String> = doc
        .consumers
        .iter()
        .map(|one| match one.job {
            true => format!("{}: a job; its longest run is part of the wait", one.name),
            false => format!("{}: {} expected", one.name, words::instances(one.expected)),
        })
        .collect();
    for look in &doc.verifications {
        lines.push(format!("record {} at {}", look.seq, stamp(look.at)));
        lines.push(format!("  {} ({})", purpose(look), verdict(look)));
        lines.extend(look.proved.iter().map(|proof| {
            let said = format!("{}/{} reported {} at {}", proof.consumer, proof.instance, proof.reported, of_day(proof.at));
            format!("    {} {}", paint(Ink::Good, "✓"), clean(&said))
        }));
        lines.extend(look.missing.iter().map(|missing| format!("    {} {}", paint(Ink::Bad, "✗"), words::miss(missing))));
    }
    lines
}

fn waits(doc: &Document) -> Vec<String> {
    let line = |wait: &super::Wait| {
        let was = wait.lasted_seconds.map_or_else(|| "not waited to its end".into(), |lasted| format!("was {}", length(lasted)));
        stamped(wait.began, &format!("planned {}, {was}: {}", length(wait.planned_seconds), wait.what_for))
    };
    doc.waits.iter().map(line).collect()
}

fn waivers(doc: &Document) -> Vec<String> {
    let line = |one: &super::Waived| {
        let whom = one.instance.as_ref().map_or_else(|| format!("all of {}", one.consumer), |id| format!("{id} of {}", one.consumer));
        stamped(one.at, &format!("{whom}, by {}: \"{}\"", one.by, one.reason.as_deref().unwrap_or("no reason")))
    };
    doc.waivers.iter().map(line).collect()
}

fn holds(doc: &Document) -> Vec<String> {
    let line = |hold: &super::Hold| {
        let until = hold.until.map_or_else(|| "still".into(), |until| format!("until {}", stamp(until)));
        stamped(hold.from, &format!("{} ({until})", hold.why))
    };
    doc.holds.iter().map(line).collect()
}

fn seal(doc: &Document) -> Vec<String> {
    rows(vec![
        ("rotation", doc.rotation.clone()),
        ("journal", doc.chain.journal.clone()),
        ("records", doc.chain.records.to_string()),
        ("head", doc.chain.head.clone()),
        ("checked", format!("every record's hash, by {} at {}", doc.made_by, stamp(doc.made_at))),
    ])
}
