//! After a leak of an admin key: the keys that nothing explains, what was decided about each, and who rotates next.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    paint::{Ink, clean, paint},
    time::clock,
};
use crate::{
    inspect::{
        reconcile::Swept,
        suspects::{Calls, Lineup, Suspect},
    },
    playbook::quoted,
};

/// A playbook that was called with the leaked key.
pub struct Called {
    /// Its name.
    pub playbook: String,
    /// Its file.
    pub file: String,
    /// It rotates the admin key itself.
    pub admin: bool,
    /// How it is called.
    pub calls: Calls,
    /// It rotates with the next `run --due`.
    pub queued: bool,
}

/// What is decided about a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Nothing yet.
    Undecided,
    /// A person knows it.
    Keep,
    /// It is deleted; none: not tried yet.
    Kill(Option<Swept>),
}

/// All of it.
pub struct AdminSweep {
    /// From then on somebody may have had the admin key.
    pub since: DateTime<Utc>,
    /// Who was called with it.
    pub called: Vec<Called>,
    /// What must be known first.
    pub warnings: Vec<String>,
    /// The keys.
    pub lineup: Lineup,
    /// One for each suspect.
    pub choices: Vec<Choice>,
    /// Whether anything was done.
    pub recorded: bool,
}

impl AdminSweep {
    /// 5 where something could not be read or deleted, 3 where a person is needed, else 0.
    pub fn code(&self) -> u8 {
        let killed = |choice: &Choice| matches!(choice, Choice::Kill(Some(Swept { failure: None, .. })));
        let failed = |choice: &Choice| matches!(choice, Choice::Kill(Some(Swept { failure: Some(_), .. })));
        let open = |choice: &Choice| !(killed(choice) || failed(choice) || *choice == Choice::Keep && self.recorded);
        match () {
            () if self.choices.iter().any(open) || !self.warnings.is_empty() && self.alarm() => 3,
            () if self.choices.iter().any(failed) || !self.lineup.gaps.is_empty() => 5,
            () if self.called.iter().any(|called| matches!(called.calls, Calls::WithTheLeaked(_))) => 3,
            () => 0,
        }
    }

    /// The leaked key may still make keys.
    fn alarm(&self) -> bool {
        self.warnings.iter().any(|warning| warning.starts_with("THE LEAKED"))
    }
}

/// A key, its name, its age and its use.
pub fn suspect(suspect: &Suspect) -> String {
    let listed = &suspect.listed;
    let name = listed.name.as_ref().map_or_else(|| "without a name".to_owned(), |name| format!("named {name}"));
    let made = listed.created_at.map_or_else(|| "made nobody knows when".to_owned(), |at| format!("made {}", clock(at)));
    let used = listed.last_used.map_or_else(|| "no use is told".to_owned(), |at| format!("last used {}", clock(at)));
    let off = if listed.enabled { "" } else { ", disabled" };
    let mut text = format!("{} ({name}, {made}, {used}{off})", listed.id);
    if !suspect.unsure.is_empty() {
        text += &format!("; MAY BE IN USE: what {} serves could not be told", suspect.unsure.join(", "));
    }
    clean(&text)
}

/// What was found, before anything is decided.
pub fn lineup(sweep: &AdminSweep) -> String {
    let mut lines: Vec<String> = sweep.warnings.iter().map(|warning| paint(Ink::Bad, &clean(warning))).collect();
    lines.push(paint(Ink::Strong, "Called with the admin key that leaked"));
    lines.extend(sweep.called.iter().map(|called| format!("  {}  {}", clean(&called.playbook), clean(&how(called)))));
    let lineup = &sweep.lineup;
    lines.push(paint(Ink::Strong, &format!("Keys that nothing explains, made since {}", clock(sweep.since))));
    let mut provider = "";
    for one in &lineup.suspects {
        if provider != one.provider {
            provider = &one.provider;
            lines.push(format!("  at {}", clean(provider)));
        }
        lines.push(format!("    {} {}", paint(Ink::Warn, "?"), suspect(one)));
    }
    if lineup.suspects.is_empty() {
        lines.push("  none".into());
    }
    lines.push(format!("  not in question: {} explained by a store, the journal or a person, {} older", lineup.explained, lineup.older));
    lines.extend(lineup.gaps.iter().map(|gap| format!("  {} {}", paint(Ink::Bad, "✗"), clean(gap))));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn how(called: &Called) -> String {
    match &called.calls {
        Calls::Here(_) if called.admin => "rotates it".into(),
        Calls::Here(reference) => format!("reads it where it stands ({reference}), and has the new one"),
        Calls::WithTheLeaked(reference) => {
            format!("STILL HAS THE LEAKED ONE at {reference}: put the new one there, or nothing of it can be rotated")
        }
        Calls::WithTheNew(reference) => format!("has the new one at {reference}"),
        Calls::Unread(reference, failure) => {
            format!("{reference} cannot be read here ({failure}): it is taken to have been called with it")
        }
        Calls::Taken | Calls::No => "is taken to have been called with it".into(),
    }
}

/// What was done, and what to type next. `again` is the command without its choices.
pub fn admin_sweep(sweep: &AdminSweep, again: &str) -> String {
    let mut lines = vec![String::new()];
    for (one, choice) in sweep.lineup.suspects.iter().zip(&sweep.choices) {
        let id = clean(one.listed.id.as_str());
        lines.push(match choice {
            Choice::Keep if sweep.recorded => format!("{} {id}: kept; nobody is asked about it again", paint(Ink::Good, "✓")),
            Choice::Kill(Some(Swept { failure: None, .. })) => format!("{} {id}: deleted for good", paint(Ink::Good, "✓")),
            Choice::Kill(Some(Swept { failure: Some(failure), .. })) => {
                let text = format!("{id}: IS NOT DELETED, or that is not known: {failure}; its tombstone is written");
                format!("{} {}", paint(Ink::Bad, "✗"), clean(&text))
            }
            _ => format!("{} {id}: not decided, it may be somebody's who had the admin key", paint(Ink::Warn, "!")),
        });
    }
    let queued: Vec<&Called> = sweep.called.iter().filter(|called| called.queued).collect();
    if !queued.is_empty() {
        let names: Vec<String> = queued.iter().map(|called| clean(&called.playbook)).collect();
        lines.push(format!("queued: {}", names.join(", ")));
        let files: Vec<String> = queued.iter().map(|called| quoted(&called.file)).collect();
        lines.push(format!("next: keyroll run --due {}", files.join(" ")));
    }
    if !sweep.recorded {
        lines.push("nothing was changed".into());
        lines.push(format!("next: {again} --kill KEY --keep KEY --yes    # also queues the playbooks named above"));
    } else if sweep.choices.contains(&Choice::Undecided) {
        lines.push(format!("next: {again} --kill KEY --keep KEY --yes"));
    } else if sweep.choices.iter().any(|choice| matches!(choice, Choice::Kill(Some(Swept { failure: Some(_), .. })))) {
        let files: Vec<String> = sweep.called.iter().map(|called| quoted(&called.file)).collect();
        lines.push(format!("next: keyroll reconcile {} --fix    # deletes what has a tombstone", files.join(" ")));
    }
    lines.push(paint(Ink::Strong, "What remains for a person"));
    for line in [
        "look at the provider's audit log for what else was done with the admin key: users invited, projects made, limits raised, keys of projects that no playbook here names",
        "look for who else has the admin key: its old value is dead, and whatever was called with it fails now",
    ] {
        lines.push(format!("  [ ] {line}"));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The same for machines.
pub fn admin_sweep_json(sweep: &AdminSweep, code: u8) -> Value {
    let key = |(one, choice): (&Suspect, &Choice)| {
        let (choice, failure) = match choice {
            Choice::Undecided => ("undecided", None),
            Choice::Keep => ("keep", None),
            Choice::Kill(swept) => ("kill", swept.as_ref().and_then(|swept| swept.failure.as_ref().map(ToString::to_string))),
        };
        json!({
            "provider": one.provider, "key": one.listed.id, "name": one.listed.name, "created_at": one.listed.created_at,
            "last_used": one.listed.last_used, "enabled": one.listed.enabled, "may_be_served_by": one.unsure,
            "choice": choice, "failure": failure,
        })
    };
    let called = |called: &Called| json!({ "playbook": called.playbook, "file": called.file, "how": how(called), "queued": called.queued });
    json!({
        "since": sweep.since,
        "warnings": sweep.warnings,
        "called": sweep.called.iter().map(called).collect::<Vec<_>>(),
        "keys": sweep.lineup.suspects.iter().zip(&sweep.choices).map(key).collect::<Vec<_>>(),
        "explained": sweep.lineup.explained,
        "older": sweep.lineup.older,
        "not_read": sweep.lineup.gaps,
        "recorded": sweep.recorded,
        "exit_code": code,
    })
}
