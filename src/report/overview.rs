//! `status`: every playbook with its key, when it is due, and what it needs.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    batch::moment,
    paint::{Ink, clean, paint, shorten},
    status::{columns, status_json},
    time::{between, clock, rough},
    words,
};
use crate::{
    protocol::{End, Role},
    rotation::Rotation,
    schedule::{Cause, Due, Key, Stands, Urgency},
};

/// More playbooks than these are counted, not named.
const NAMED: usize = 6;

/// One playbook, as it stands.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Its name.
    pub name: String,
    /// The key in use; nothing known where no rotation and no provider tells.
    pub key: Key,
    /// When that is due; none: its playbook cannot be read.
    pub due: Option<Due>,
    /// Its newest rotation, the open one where there is one; none: never rotated.
    pub newest: Option<Rotation>,
    /// How that stands, where it is open.
    pub stands: Option<Stands>,
    /// How urgent the whole is.
    pub urgency: Urgency,
    /// What its window or a freeze says now; none: risky steps may begin.
    pub closed: Option<(DateTime<Utc>, String)>,
    /// What its keys' names do not carry.
    pub lacks: Vec<&'static str>,
    /// Whatever else a person should know: a freeze that outlives the key, a provider that did not answer.
    pub notes: Vec<String>,
    /// What to type where there is no open rotation to go on with; the playbook's file.
    pub file: String,
}

/// A table: its colours say how urgent each one is.
pub fn overview(rows: &[Overview], now: DateTime<Utc>) -> String {
    let heads = ["PLAYBOOK", "KEY", "AGE", "DUE", "STATE", "SAFE UNTIL", "REASON"];
    let cells: Vec<_> = rows.iter().map(|row| (cells(row, now), below(row))).collect();
    columns(&heads, &cells) + &nameless(rows)
}

/// Whose keys' names do not tell what they should; said once, for it is rarely one playbook alone.
fn nameless(rows: &[Overview]) -> String {
    let mut lines = String::new();
    for (part, example) in
        [("application", "{name}-{yyyy}-{mm}"), ("environment", "{name}-prod-{yyyy}-{mm}"), ("month", "{name}-{yyyy}-{mm}")]
    {
        let names: Vec<String> = rows.iter().filter(|row| row.lacks.contains(&part)).map(|row| clean(&row.name)).collect();
        if !names.is_empty() {
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let names = names[..names.len().min(NAMED)].join(", ");
            lines += &paint(Ink::Warn, &format!("! key names carry no {part}: {names}{more}; a `key_name` that does: \"{example}\""));
            lines.push('\n');
        }
    }
    lines
}

fn cells(row: &Overview, now: DateTime<Utc>) -> [String; 7] {
    let ink = match row.urgency {
        Urgency::Fine => Ink::Good,
        Urgency::Soon => Ink::Strong,
        Urgency::Due => Ink::Warn,
        Urgency::Overdue => Ink::Bad,
    };
    let unknown = || "–".to_owned();
    let at = row.due.as_ref().and_then(|due| due.at);
    let (state, reason) = state(row, now);
    [
        clean(&row.name),
        row.key.id.as_ref().map_or_else(unknown, |id| shorten(id.as_str(), 22)),
        row.key.made.map_or_else(unknown, |made| rough(between(made, now))),
        match at {
            Some(at) if at <= now => paint(ink, &format!("since {}", rough(between(at, now)))),
            Some(at) => format!("in {}", rough(between(now, at))),
            None => unknown(),
        },
        paint(ink, &state),
        row.due.as_ref().and_then(|due| due.safe_until).map_or_else(unknown, clock),
        clean(&reason),
    ]
}

/// In one word where it stands, and why.
fn state(row: &Overview, now: DateTime<Utc>) -> (String, String) {
    if let (Some(stands), Some(rotation)) = (&row.stands, &row.newest) {
        return match stands {
            Stands::Held(why) => {
                let seen = rotation.seen.as_ref().map_or_else(String::new, |seen| format!(" (seen by {})", seen.by));
                ("held".into(), format!("{}{seen}", words::why(*why)))
            }
            Stands::Waits { until, why } => ("parked".into(), format!("until {}: {why}", clock(*until))),
            Stands::Ready(since) => {
                ("open".into(), format!("{}; could go on since {}", words::step(rotation), rough(between(*since, now))))
            }
        };
    }
    let Some(due) = &row.due else { return ("unreadable".into(), "the journal's playbook is not understood".into()) };
    let state = match (row.urgency, due.at.is_some()) {
        (Urgency::Due, false) => "unknown",
        (Urgency::Fine, true) => "fine",
        (Urgency::Soon, _) => "soon",
        (Urgency::Due, _) => "due",
        (Urgency::Overdue, _) => "overdue",
        (Urgency::Fine, false) => "by hand",
    };
    let failed = row.newest.as_ref().filter(|rotation| matches!(rotation.state.ended(), Some(End::RolledBack | End::Aborted)));
    let mut reason = match (&due.cause, failed) {
        (_, Some(rotation)) => format!("the last one: {}", words::step(rotation)),
        (Cause::Age, _) => "age".into(),
        (Cause::Expiry, _) => format!("it expires {}", row.key.expires.map_or_else(String::new, |expires| moment(expires, now))),
        (Cause::Queued(why), _) => format!("queued: {why}"),
        (Cause::NeverDue, _) => "no `every`, and no expiry".into(),
        (Cause::AgeUnknown, _) => "nobody knows how old its key is".into(),
    };
    if let Some((until, why)) = row.closed.as_ref().filter(|_| row.urgency >= Urgency::Due) {
        reason = format!("{why}; may begin {}", moment(*until, now));
    }
    (state.into(), reason)
}

/// What to type next, and what else is worth knowing.
fn below(row: &Overview) -> Vec<String> {
    let next = match (&row.stands, &row.newest) {
        (Some(Stands::Ready(_)), Some(rotation)) if words::until(rotation).is_some() => vec![words::resume(rotation)],
        (Some(_), Some(rotation)) => words::next(rotation),
        _ => by_itself(row).into_iter().collect(),
    };
    let mut lines: Vec<String> = next.iter().map(|command| format!("→ {command}")).collect();
    lines.extend(row.notes.iter().map(|note| paint(Ink::Warn, &format!("! {}", clean(note)))));
    lines
}

fn by_itself(row: &Overview) -> Option<String> {
    let file = clean(&row.file);
    match row.due.as_ref()?.cause {
        Cause::AgeUnknown => Some(format!("keyroll run {file}  # once: then its age is known")),
        _ if row.urgency >= Urgency::Due && row.closed.is_none() => Some(format!("keyroll run --due {file}")),
        _ => None,
    }
}

/// The same for machines: what [`status_json`] tells of the newest rotation, and the schedule beside it.
pub fn overview_json(rows: &[Overview], now: DateTime<Utc>) -> Value {
    let row = |row: &Overview| {
        let mut object = match &row.newest {
            Some(rotation) => status_json(std::slice::from_ref(rotation), now)[0].take(),
            None => json!({ "rotation": null }),
        };
        let (state, reason) = state(row, now);
        let due = row.due.as_ref();
        let at = due.and_then(|due| due.at);
        let more = json!({
            "name": row.name,
            "file": row.file,
            "key": row.key.id,
            "key_made": row.key.made,
            "key_expires": row.key.expires,
            "key_age_seconds": row.key.made.map(|made| between(made, now).as_secs()),
            "due": at,
            "due_in_seconds": at.map(|at| (at - now).num_seconds()),
            "may_begin": due.and_then(|due| due.begins),
            "urgency": format!("{:?}", row.urgency).to_lowercase(),
            "state": state,
            "reason": reason,
            "safe_until": due.and_then(|due| due.safe_until),
            "closed": row.closed.as_ref().map(|(until, why)| json!({ "until": until, "why": why })),
            "key_name_lacks": row.lacks,
            "notes": row.notes,
        });
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
            if row.stands.is_none()
                && let Some(next) = by_itself(row)
            {
                let (command, comment) = next.rsplit_once("  # ").unwrap_or((&next, ""));
                object.insert("next".into(), json!([{ "command": command, "what_for": comment }]));
            }
        }
        object
    };
    Value::Array(rows.iter().map(row).collect())
}

/// The key in use while a rotation is open, as its records tell.
pub fn key_of(rotation: &Rotation) -> Key {
    let new = rotation.new.as_ref().filter(|_| words::old_is_out(rotation));
    match (new, &rotation.plan.old) {
        (Some(new), _) => Key { id: Some(new.id.clone()), made: Some(new.created_at), expires: new.expires_at },
        (None, Some(old)) => Key { id: rotation.key(Role::Old).cloned(), made: old.created_at, expires: old.expires_at },
        (None, None) => Key::default(),
    }
}
