//! How a batch ended: one row a playbook.

use serde_json::{Value, json};

use super::{
    paint::{Ink, clean, paint},
    status::columns,
    time::{between, clock, rough},
    words,
};
use crate::{ids::RotationId, rotation::Rotation, schedule::Freeze};

/// What became of one playbook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchRow {
    /// Its name, or its file where that cannot be read.
    pub playbook: String,
    /// Its rotation, where it has one.
    pub rotation: Option<RotationId>,
    /// What happened.
    pub what: String,
    /// Its exit code.
    pub code: u8,
    /// What to type next.
    pub next: Option<String>,
}

/// A table, with what to type next under each row.
pub fn batch(rows: &[BatchRow]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let ink = match row.code {
                0 => Ink::Good,
                6 => Ink::Faint,
                3 | 4 => Ink::Warn,
                _ => Ink::Bad,
            };
            (
                [clean(&row.playbook), paint(ink, &clean(&row.what)), row.code.to_string()],
                row.next.iter().map(|next| format!("→ {}", clean(next))).collect::<Vec<_>>(),
            )
        })
        .collect();
    columns(&["PLAYBOOK", "WHAT HAPPENED", "CODE"], &rows)
}

/// The same for machines, as one object.
pub fn batch_json(rows: &[BatchRow], code: u8) -> Value {
    let rows = rows.iter().map(
        |row| json!({ "playbook": row.playbook, "rotation": row.rotation, "what": row.what, "exit_code": row.code, "next": row.next }),
    );
    json!({ "batch": rows.collect::<Vec<_>>(), "exit_code": code })
}

/// How a rotation stands, in a few words.
pub fn stands(rotation: &Rotation) -> String {
    match (rotation.state.held, words::until(rotation)) {
        (Some(why), _) => format!("held: {}", words::why(why)),
        (None, Some(until)) => format!("parked until {}", clock(until)),
        (None, None) => words::step(rotation).to_owned(),
    }
}

/// `in 3d2h (2026-11-21 09:00 UTC)`, or `now`.
pub fn moment(at: chrono::DateTime<chrono::Utc>, now: chrono::DateTime<chrono::Utc>) -> String {
    if at <= now { "now".into() } else { format!("in {} ({})", rough(between(now, at)), clock(at)) }
}

/// The freezes that are on.
pub fn freezes(all: &[Freeze], now: chrono::DateTime<chrono::Utc>) -> String {
    let row = |freeze: &Freeze| {
        let whom = if freeze.playbooks.is_empty() { "all".to_owned() } else { freeze.playbooks.join(", ") };
        let cells = [freeze.number.to_string(), clean(&whom), moment(freeze.until, now), clean(&freeze.by), clean(&freeze.reason)];
        (cells, vec![format!("→ keyroll freeze --end {} --reason '…'", freeze.number)])
    };
    columns(&["FREEZE", "PLAYBOOKS", "ENDS", "BY", "REASON"], &all.iter().map(row).collect::<Vec<_>>())
}
