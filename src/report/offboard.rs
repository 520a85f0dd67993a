//! An offboarding in tables: what it would do, and what became of every key that the person could read.

use chrono::{DateTime, Utc};
use maud::html;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    document::{Document, shell},
    paint::{Ink, bare, clean, paint, shorten},
    status::columns,
    time::clock,
};
use crate::ids::KeyId;

/// Who is offboarded, and until when.
#[derive(Clone, Debug, Serialize)]
pub struct Offboarding {
    /// The labels, as they were typed.
    pub labels: String,
    /// When every key must be gone.
    pub revoke_by: Option<DateTime<Utc>>,
    /// When it began.
    pub began: DateTime<Utc>,
}

/// One key before anything is done.
#[derive(Clone, Debug, Serialize)]
pub struct Prospect {
    /// The playbook's name; its file's where it cannot be read.
    pub playbook: String,
    /// The key in use.
    pub old_key: Option<KeyId>,
    /// When the provider says it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// How long it waits in all, in seconds.
    pub waits_seconds: Option<u64>,
    /// `in_time`, `tight`, `too_late`, `open` (a rotation is under way) or `cannot`.
    pub verdict: &'static str,
    /// What was shortened, what cannot be, what is wrong.
    pub notes: Vec<String>,
}

/// What became of one key.
#[derive(Clone, Debug, Serialize)]
pub struct Fate {
    /// The playbook's name; its file's where it cannot be read.
    pub playbook: String,
    /// The rotation, where one began.
    pub rotation: Option<String>,
    /// The key that the person could read.
    pub old_key: Option<KeyId>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was switched off, where it was.
    pub disabled_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether the provider was seen refusing it.
    pub proved_dead: bool,
    /// `done`, `rolled_back`, `aborted`, `held`, `open` or `not_begun`.
    pub outcome: &'static str,
    /// Whether it was gone by the time that was asked for; none where none was, or it is still there.
    pub in_time: Option<bool>,
    /// What is left, in words; empty: nothing.
    pub remains: Vec<String>,
    /// What to type for it.
    pub next: Vec<String>,
    /// What a batch or a script makes of it.
    pub exit_code: u8,
}

impl Fate {
    /// From a rotation's document; `said` is what stopped it, where something did.
    pub fn of(doc: &Document, exit_code: u8, said: Vec<String>, revoke_by: Option<DateTime<Utc>>) -> Self {
        let old = doc.old_key.as_ref();
        let revoked_at = old.and_then(|old| old.revoked_at);
        let mut remains = said;
        if doc.outcome != "done" {
            remains.push(doc.headline.clone());
            remains.extend(doc.because.clone());
            remains.extend(old.map(|old| format!("old key: {}", old.stands)));
        } else if old.is_some_and(|old| !old.proved_dead) {
            remains.push("the old key was not seen dead".into());
        }
        Self {
            playbook: doc.playbook.clone(),
            rotation: Some(doc.rotation.clone()),
            old_key: old.and_then(|old| old.id.clone()),
            created_at: old.and_then(|old| old.created_at),
            disabled_at: old.and_then(|old| old.disabled_at),
            revoked_at,
            proved_dead: old.is_some_and(|old| old.proved_dead),
            outcome: doc.outcome,
            in_time: revoked_at.zip(revoke_by).map(|(at, by)| at <= by),
            remains,
            next: doc.next.clone(),
            exit_code,
        }
    }

    /// Where nothing began: the key is as it was.
    pub fn not_begun(playbook: String, prospect: Option<&Prospect>, exit_code: u8, said: Vec<String>, next: Vec<String>) -> Self {
        Self {
            playbook,
            rotation: None,
            old_key: prospect.and_then(|prospect| prospect.old_key.clone()),
            created_at: prospect.and_then(|prospect| prospect.created_at),
            disabled_at: None,
            revoked_at: None,
            proved_dead: false,
            outcome: "not_begun",
            in_time: None,
            remains: said,
            next,
            exit_code,
        }
    }

    fn settled(&self) -> bool {
        self.proved_dead && self.remains.is_empty()
    }

    fn revoked(&self) -> String {
        let late = if self.in_time == Some(false) { " (late)" } else { "" };
        match (self.revoked_at, self.disabled_at) {
            (Some(at), _) => format!("{}{late}", clock(at)),
            (None, Some(at)) => format!("off since {}", clock(at)),
            (None, None) => "NO".into(),
        }
    }
}

fn when(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "not told".into(), clock)
}

fn id(key: Option<&KeyId>) -> String {
    key.map_or_else(|| "not known".into(), |id| clean(id.as_str()))
}

/// What a run would do, one row for each key.
pub fn prospects(what: &Offboarding, rows: &[Prospect]) -> String {
    let until = what.revoke_by.map_or_else(String::new, |at| format!(", every key gone by {}", clock(at)));
    let count = |verdict: &str| rows.iter().filter(|row| row.verdict == verdict).count();
    let mut text = paint(Ink::Strong, &format!("Offboarding of {}{until}: {} keys", clean(&what.labels), rows.len())) + "\n\n";
    let cells = rows.iter().map(|row| {
        let (ink, verdict) = match row.verdict {
            "in_time" => (Ink::Good, if what.revoke_by.is_some() { "in time" } else { "ready" }),
            "tight" => (Ink::Warn, "in time only if proofs come quickly"),
            "too_late" => (Ink::Bad, "CANNOT make it in time"),
            "open" => (Ink::Warn, "a rotation is under way"),
            _ => (Ink::Bad, "CANNOT be rotated"),
        };
        let waits = row.waits_seconds.map_or_else(|| "–".into(), |seconds| crate::playbook::Span::secs(seconds).to_string());
        let row_cells = [clean(&row.playbook), shorten(&id(row.old_key.as_ref()), 40), when(row.created_at), waits, paint(ink, verdict)];
        (row_cells, row.notes.iter().map(|note| clean(note)).collect())
    });
    text += &columns(&["PLAYBOOK", "KEY THE PERSON COULD READ", "MADE", "WAITS", "VERDICT"], &cells.collect::<Vec<_>>());
    for (verdict, what) in [("too_late", "cannot make it in time"), ("cannot", "cannot be rotated as things are")] {
        if count(verdict) > 0 {
            text += &paint(Ink::Bad, &format!("{} of {} {what}\n", count(verdict), rows.len()));
        }
    }
    text
}

/// The same for machines.
pub fn prospects_json(what: &Offboarding, rows: &[Prospect]) -> Value {
    json!({ "offboarding": what, "keys": rows })
}

/// What became of each key, and what is left to do.
pub fn fates(what: &Offboarding, rows: &[Fate]) -> String {
    let mut text = format!("{}\n{}\n\n", paint(Ink::Strong, &format!("Offboarding of {}", clean(&what.labels))), verdict(rows));
    let cells = rows.iter().map(|row| {
        let dead = if row.proved_dead { paint(Ink::Good, "proved dead") } else { paint(Ink::Bad, "NOT proved dead") };
        let row_cells = [clean(&row.playbook), shorten(&id(row.old_key.as_ref()), 40), when(row.created_at), row.revoked(), dead];
        let remains = row.remains.iter().chain(&row.next).map(|line| clean(line)).collect();
        (row_cells, remains)
    });
    text += &columns(&["PLAYBOOK", "KEY THE PERSON COULD READ", "MADE", "REVOKED", "DEAD"], &cells.collect::<Vec<_>>());
    text
}

fn verdict(rows: &[Fate]) -> String {
    let alive = rows.iter().filter(|row| !row.proved_dead).count();
    let left = rows.iter().filter(|row| row.proved_dead && !row.settled()).count();
    let late = rows.iter().filter(|row| row.in_time == Some(false)).count();
    let late = if late > 0 { format!("; {late} later than asked") } else { String::new() };
    if alive > 0 {
        return paint(Ink::Bad, &format!("{alive} of {} keys are NOT proved dead{late}", rows.len()));
    }
    let left = if left > 0 { format!("; {left} with something left to do") } else { String::new() };
    let ink = if late.is_empty() && left.is_empty() { Ink::Good } else { Ink::Warn };
    paint(ink, &format!("All {} keys are revoked and proved dead{late}{left}", rows.len()))
}

/// The same for machines.
pub fn fates_json(what: &Offboarding, rows: &[Fate]) -> Value {
    json!({ "offboarding": what, "all_dead": rows.iter().all(Fate::settled), "keys": rows })
}

/// The same as one page.
pub fn fates_page(what: &Offboarding, rows: &[Fate], now: DateTime<Utc>) -> String {
    let class = if rows.iter().all(Fate::settled) { "outcome done" } else { "outcome held" };
    let body = html! {
        header {
            p.kicker { "Offboarding report" }
            h1 { (clean(&what.labels)) }
            p class=(class) { (bare(&verdict(rows))) }
        }
        section {
            h2 { "Every key that could be read" }
            table { thead { tr { th { "Playbook" } th { "Key" } th { "Made" } th { "Revoked" } th { "Dead" } } } tbody {
                @for row in rows {
                    tr.missing[!row.proved_dead] {
                        td { b { (clean(&row.playbook)) } }
                        td data-label="Key" { code { (id(row.old_key.as_ref())) } }
                        td.time data-label="Made" { (when(row.created_at)) }
                        td.time data-label="Revoked" { (row.revoked()) }
                        td data-label="Dead" { @if row.proved_dead { "proved" } @else { "NOT proved" } }
                    }
                }
            } }
        }
        @if rows.iter().any(|row| !row.settled()) {
            section {
                h2 { "What is left to do" }
                @for row in rows.iter().filter(|row| !row.settled()) {
                    p { b { (clean(&row.playbook)) } }
                    ul { @for line in &row.remains { li { (clean(line)) } } }
                    ul.commands { @for line in &row.next { (super::document::command(line)) } }
                }
            }
        }
        footer {
            dl {
                div { dt { "began" } dd { (clock(what.began)) } }
                @if let Some(by) = what.revoke_by { div { dt { "revoke by" } dd { (clock(by)) } } }
                div { dt { "told" } dd { (clock(now)) } }
            }
            p { "Each rotation's own report: keyroll report ID. Times are UTC." }
        }
    };
    shell(&format!("Offboarding of {}", clean(&what.labels)), &body)
}
