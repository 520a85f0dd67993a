//! Where rotations stand: one of them in full, all of them for machines, and what was.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    paint::{Ink, bare, capital, clean, paint, shorten},
    summary::{because, outcome, times},
    time::{between, clock, of_day, rough},
    words,
};
use crate::{
    protocol::{End, Kind, Role},
    record::Record,
    rotation::Rotation,
};

/// How rotations stand, for machines; ages in seconds.
pub fn status_json(rotations: &[Rotation], now: DateTime<Utc>) -> Value {
    let rows = rotations.iter().map(|rotation| {
        let s = &rotation.state;
        json!({
            "name": rotation.plan.name,
            "rotation": rotation.id,
            "kind": rotation.plan.rules.kind,
            "old_key": rotation.key(Role::Old),
            "new_key": rotation.key(Role::New),
            "key_in_use": in_use(rotation),
            "began": rotation.began,
            "age_seconds": between(rotation.began, now).as_secs(),
            "step": words::step(rotation),
            "ended": s.ended(),
            "held": s.held,
            "seen_by": rotation.seen.as_ref().map(|seen| &seen.by),
            "waiting_until": words::until(rotation),
            "keys": words::keys(rotation),
            "next": words::next(rotation).iter().map(|line| command(line)).collect::<Vec<_>>(),
            "exit_code": words::exit_code(rotation),
        })
    });
    Value::Array(rows.collect())
}

/// Everything about one rotation, for machines: its row of [`status_json`], and every record with its sentence.
pub fn show_json(rotation: &Rotation, records: &[Record], now: DateTime<Utc>) -> Value {
    let mut lines = Vec::new();
    let mut folded: Option<Rotation> = None;
    for record in records {
        let next = match folded.take() {
            None => Rotation::begin(record),
            Some(mut rotation) => rotation.add(record).map(|()| rotation),
        };
        let Ok(rotation) = next else { break };
        lines.push(super::json_line(&rotation, record));
        folded = Some(rotation);
    }
    json!({ "status": status_json(std::slice::from_ref(rotation), now)[0], "records": lines })
}

fn command(line: &str) -> Value {
    json!(super::notice::advice(line))
}

/// Which key the services are to use, as far as the records tell; none while that changes.
fn in_use(rotation: &Rotation) -> Option<&'static str> {
    let s = &rotation.state;
    match (s.ended(), s.rules.kind) {
        (Some(End::Done), _) => Some("new"),
        (Some(_), Kind::Rotate) => Some("old"),
        (None, Kind::Rotate) if s.touched == 0 => Some("old"),
        (None, _) if words::old_is_out(rotation) => Some("new"),
        _ => None,
    }
}

fn key(rotation: &Rotation, role: Role) -> String {
    rotation.key(role).map_or_else(|| "–".into(), |id| shorten(id.as_str(), 22))
}

/// A table; under each row, what belongs to it.
pub(super) fn columns<const N: usize>(heads: &[&str; N], rows: &[([String; N], Vec<String>)]) -> String {
    let wide = |text: &str| bare(text).chars().count();
    let widths: Vec<usize> =
        (0..N).map(|at| rows.iter().map(|(cells, _)| wide(&cells[at])).chain([heads[at].len()]).max().unwrap_or_default()).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(wide(cell)))));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&heads.map(|head| paint(Ink::Strong, head)));
    for (cells, under) in rows {
        text += &line(cells);
        for command in under {
            text += &format!("  {command}\n");
        }
    }
    text
}

/// Rotations that were, newest last record first, with what became of them.
pub fn history(rotations: &[Rotation]) -> String {
    if rotations.is_empty() {
        return "no rotation yet\n".into();
    }
    let mut sorted: Vec<&Rotation> = rotations.iter().collect();
    sorted.sort_by_key(|rotation| std::cmp::Reverse(rotation.began));
    let rows: Vec<_> = sorted
        .into_iter()
        .map(|rotation| {
            let (ink, end) = match (rotation.state.ended(), rotation.state.held) {
                (Some(End::Done), _) => (Ink::Good, "done"),
                (Some(End::RolledBack), _) => (Ink::Bad, "rolled back"),
                (Some(End::Aborted), _) => (Ink::Bad, "aborted"),
                (None, Some(_)) => (Ink::Warn, "held"),
                (None, None) => (Ink::Strong, "open"),
            };
            let cells = [
                clock(rotation.began),
                clean(&rotation.plan.name),
                rotation.id.to_string(),
                paint(ink, end),
                rough(between(rotation.began, rotation.last)),
                key(rotation, Role::Old),
                key(rotation, Role::New),
            ];
            (cells, Vec::new())
        })
        .collect();
    columns(&["BEGAN", "NAME", "ROTATION", "END", "TOOK", "OLD KEY", "NEW KEY"], &rows)
}

/// Everything about one rotation.
pub fn show(rotation: &Rotation, records: &[Record], now: DateTime<Utc>) -> String {
    let plan = &rotation.plan;
    let mut lines = vec![outcome(rotation)];
    lines.extend(because(records).map(|cause| format!("  Because: {cause}")));
    lines.push(String::new());
    lines.push(format!("rotation   {}, began {} ({} ago)", rotation.id, clock(rotation.began), rough(between(rotation.began, now))));
    lines.push(format!("playbook   {} ({})", clean(&plan.origin), plan.name));
    lines.push(format!("provider   {}", clean(&plan.provider)));
    lines.push(format!("step       {}", words::step(rotation)));
    lines.extend(super::seen(rotation).map(|seen| format!("held       {seen}")));
    lines.extend(plan.approved.as_ref().map(|word| {
        let name = word.name.as_ref().map_or_else(String::new, |name| format!(" (as {name})"));
        clean(&format!("approved   by {}{name} at {}, proposal {}", word.by, clock(word.at), word.id))
    }));
    lines.push(String::new());
    lines.push(paint(Ink::Strong, "Keys"));
    lines.push(format!("  {}", words::old_key(rotation)));
    if let Some(proof) = plan.old.as_ref().and_then(|old| old.proof.as_ref()) {
        lines.push(format!("    proved: {}", clean(proof)));
    }
    lines.push(format!("  {}", words::new_key(rotation)));
    section(&mut lines, "Stores", stores(rotation));
    section(&mut lines, "Consumers", consumers(rotation));
    section(&mut lines, "Notes", plan.notes.iter().map(|note| clean(note)).collect());
    section(&mut lines, "What happened", timeline(records));
    let took = times(records).iter().map(|(step, took)| format!("{:>8}  {}", rough(*took), step.title(plan))).collect();
    section(&mut lines, "How long each step took", took);
    section(&mut lines, "What to type next", words::next(rotation));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn section(lines: &mut Vec<String>, head: &str, body: Vec<String>) {
    if body.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(paint(Ink::Strong, head));
    lines.extend(body.into_iter().map(|line| format!("  {line}")));
}

fn stores(rotation: &Rotation) -> Vec<String> {
    let known = rotation.plan.stores.iter().zip(&rotation.versions);
    known
        .map(|(store, versions)| {
            let versions: Vec<String> = versions
                .iter()
                .map(|(version, role)| format!("version {version}: {} key", if *role == Role::Old { "old" } else { "new" }))
                .collect();
            format!("{}  {}", store.locator, if versions.is_empty() { "empty".into() } else { versions.join(" → ") })
        })
        .collect()
}

fn consumers(rotation: &Rotation) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &rotation.plan.consumers {
        if one.job {
            lines.push(format!("{}: a job; its longest run is part of the wait", one.name));
            continue;
        }
        let proved: Vec<_> = rotation.proved.iter().filter(|proof| proof.consumer == one.name).collect();
        let missing: Vec<_> = rotation.missing.iter().filter(|missing| missing.consumer == one.name).collect();
        let waived = rotation.waivers.iter().filter(|waiver| waiver.consumer == one.name).count();
        let waived = if waived > 0 { format!(", {waived} waived by a person") } else { String::new() };
        lines.push(format!("{}: {} expected{waived}", one.name, words::instances(one.expected)));
        lines.extend(proved.iter().map(|proof| {
            let text = clean(&format!("{} reported {} at {}", proof.instance, proof.reported, clock(proof.at)));
            format!("  {} {text}", paint(Ink::Good, "✓"))
        }));
        lines.extend(missing.iter().map(|missing| format!("  {} {}", paint(Ink::Bad, "✗"), words::miss(missing))));
    }
    lines
}

/// Each record at its time, with the day where that changes, and what a person was told.
fn timeline(records: &[Record]) -> Vec<String> {
    let Some((first, rest)) = records.split_first() else { return Vec::new() };
    let Ok(mut rotation) = Rotation::begin(first) else { return Vec::new() };
    let mut lines = Vec::new();
    let mut day = None;
    let mut held = None;
    let mut tell = |rotation: &Rotation, record: &Record| {
        if day.replace(record.at.date_naive()) != Some(record.at.date_naive()) {
            lines.push(paint(Ink::Faint, &record.at.format("%Y-%m-%d (UTC)").to_string()));
        }
        lines.push(format!("{}  {}", of_day(record.at), words::sentence(rotation, record)));
        if rotation.state.held != held
            && let Some(why) = rotation.state.held
        {
            lines.push(paint(Ink::Warn, &format!("          {}", capital(&format!("stopped for a person: {}", words::why(why))))));
        }
        held = rotation.state.held;
    };
    tell(&rotation, first);
    for record in rest {
        if rotation.add(record).is_err() {
            break;
        }
        tell(&rotation, record);
    }
    lines
}
