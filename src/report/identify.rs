//! Whose leaked values are, without the values.

use serde_json::{Value, json};

use super::paint::{Ink, clean, paint};
use crate::inspect::{
    identify::{Judged, Match, Told},
    memory::Standing,
};

/// Everything that was judged.
pub struct Identified<'a> {
    /// Who found it: a scanner's name, or `standard input`.
    pub source: &'a str,
    /// Each finding with its judgement.
    pub found: Vec<Told>,
    /// What keeps this from being the whole truth.
    pub notes: Vec<String>,
}

impl Identified<'_> {
    fn live(&self) -> usize {
        self.found.iter().filter(|told| told.judged.live()).count()
    }
}

fn place(told: &Told) -> Option<String> {
    let file = clean(told.place.file.as_deref()?);
    let line = told.place.line.map_or_else(String::new, |line| format!(":{line}"));
    let commit = commit(told).map_or_else(String::new, |commit| format!(" (commit {commit})"));
    Some(format!("{file}{line}{commit}"))
}

fn commit(told: &Told) -> Option<String> {
    told.place.commit.as_deref().map(|commit| clean(commit).chars().take(12).collect())
}

/// For people: what is live first.
pub fn identified(all: &Identified<'_>) -> String {
    let live = all.live();
    let many = match all.found.len() {
        0 => "nothing was found".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    };
    let silent = all.found.iter().filter(|told| told.judged == Judged::Hidden).count();
    let verdict = match (live, silent) {
        _ if all.found.is_empty() => String::new(),
        (0, 0) => ", no key of ours that is live".to_owned(),
        (0, silent) => format!(", {}", paint(Ink::Warn, &format!("{silent} without a value: nothing can be said of them"))),
        (1, _) => format!(", {}", paint(Ink::Bad, "1 is a key of ours that is live")),
        (live, _) => format!(", {}", paint(Ink::Bad, &format!("{live} are keys of ours that are live"))),
    };
    let mut text = format!("{}: {many}{verdict}\n", all.source);
    let mut order: Vec<_> = all.found.iter().collect();
    order.sort_by_key(|told| (!told.judged.live(), !matches!(told.judged, Judged::Ours(_))));
    for told in order {
        let (ink, mark) = match &told.judged {
            judged if judged.live() => (Ink::Bad, "✗"),
            Judged::Ours(_) => (Ink::Good, "✓"),
            Judged::Unknown => (Ink::Faint, "·"),
            Judged::Hidden => (Ink::Warn, "!"),
        };
        let place = place(told).map_or_else(String::new, |place| format!("{place}  "));
        text += &format!("{} {place}{}\n", paint(ink, mark), paint(Ink::Faint, &clean(&told.detector)));
        match &told.judged {
            Judged::Unknown => text += "    no key that is known here\n",
            Judged::Hidden => {
                text += "    the report does not hold the value: look at the place itself, and give the value to `keyroll identify`\n"
            }
            Judged::Ours(matches) => {
                for found in matches {
                    text += &format!("    {}\n", sentence(found));
                    text += &next(found).map_or_else(String::new, |next| format!("    → {next}\n"));
                }
            }
        }
    }
    for note in &all.notes {
        text += &format!("{} {}\n", paint(Ink::Warn, "!"), clean(note));
    }
    text
}

fn sentence(found: &Match) -> String {
    let which = match found.standing {
        Some(Standing::Current) => "the key in use",
        Some(Standing::New) => "the new key of the open rotation",
        Some(Standing::Previous) => "the replaced key, not yet revoked",
        Some(Standing::Dead) => "a revoked key",
        None => "an older key",
    };
    let id = found.key.as_ref().map_or_else(String::new, |key| format!(" {key}"));
    let held = found.held.as_ref().map_or_else(String::new, |(store, version)| format!(", version {version} of {store}"));
    let state = match (found.live, found.asked, found.standing) {
        (true, true, Some(Standing::Dead)) => "the provider still has it",
        (true, true, _) => "live",
        (true, false, _) => "live, as far as is known here",
        (false, true, _) => "the provider no longer takes it",
        (false, false, _) => "dead",
    };
    let rotation = found.rotation.as_ref().map_or_else(String::new, |id| format!(" (rotation {id})"));
    clean(&format!("{}: {which}{id}{held}: {state}{rotation}", found.playbook))
}

/// What to type.
fn next(found: &Match) -> Option<String> {
    if !found.live {
        return None;
    }
    let file = if found.file.chars().any(|c| c.is_whitespace()) { format!("'{}'", found.file) } else { found.file.clone() };
    Some(match &found.leaked {
        Some(leaked) => format!("keyroll emergency {file} --leaked {leaked} --reason '…'"),
        None => format!("revoke it at the provider by hand: its id is not known here (`keyroll plan {file}` names the provider)"),
    })
}

/// The same for machines.
pub fn identified_json(all: &Identified<'_>, code: u8) -> Value {
    let matched = |found: &Match| {
        let standing = match found.standing {
            Some(Standing::Current) => "current",
            Some(Standing::New) => "new",
            Some(Standing::Previous) => "previous",
            Some(Standing::Dead) => "dead",
            None => "older",
        };
        json!({
            "playbook": found.playbook, "file": found.file, "key": found.key, "standing": standing, "live": found.live,
            "provider_asked": found.asked, "rotation": found.rotation,
            "store": found.held.as_ref().map(|(store, _)| store), "version": found.held.as_ref().map(|(_, version)| version),
            "sentence": sentence(found), "next": next(found),
        })
    };
    let row = |told: &Told| {
        let (verdict, matches) = match &told.judged {
            Judged::Ours(matches) => ("ours", matches.iter().map(matched).collect()),
            Judged::Unknown => ("unknown", Vec::new()),
            Judged::Hidden => ("hidden", Vec::new()),
        };
        json!({
            "detector": clean(&told.detector), "file": told.place.file.as_deref().map(clean),
            "line": told.place.line, "commit": commit(told),
            "by_hash": told.by_hash,
            "verdict": verdict, "live": told.judged.live(), "matches": matches,
        })
    };
    json!({ "source": all.source, "findings": all.found.iter().map(row).collect::<Vec<_>>(), "live": all.live(), "notes": all.notes, "exit_code": code })
}
