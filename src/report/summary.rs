//! What `run` prints at its end: how it ended, where both keys are, how long each step took, what remains.

use std::time::Duration;

use super::{
    paint::{Ink, capital, clean, paint},
    steps::Step,
    time::{between, rough},
    words,
};
use crate::{
    protocol::{End, Kind, Why},
    record::Record,
    rotation::Rotation,
};

/// How long each step took, from the records' times; a step that was come back to counts anew.
pub fn times(records: &[Record]) -> Vec<(Step, Duration)> {
    let Some((first, rest)) = records.split_first() else { return Vec::new() };
    let Ok(mut rotation) = Rotation::begin(first) else { return Vec::new() };
    let mut times: Vec<(Step, Duration)> = Vec::new();
    for record in rest {
        let (step, took) = (Step::from(rotation.state.phase), between(rotation.last, record.at));
        match times.last_mut().filter(|(last, _)| *last == step) {
            Some((_, time)) => *time += took,
            None => times.push((step, took)),
        }
        if rotation.add(record).is_err() {
            break;
        }
    }
    times
}

/// The last words on a run.
pub fn summary(rotation: &Rotation, records: &[Record]) -> String {
    let mut lines = vec![outcome(rotation)];
    lines.extend(because(records).map(|cause| format!("  Because: {cause}")));
    lines.push(format!("  {}", capital(&words::old_key(rotation))));
    lines.push(format!("  {}", capital(&words::new_key(rotation))));
    lines.extend(words::formers(rotation).iter().map(|key| format!("  {}", capital(key))));
    let times = times(records);
    if !times.is_empty() {
        lines.push(String::new());
        let whole = rough(between(rotation.began, rotation.last));
        let open = rotation.state.ended().is_none();
        lines.push(paint(Ink::Strong, &format!("{} {whole}", if open { "So far" } else { "It took" })));
        lines.extend(times.iter().map(|(step, took)| format!("{:>8}  {}", rough(*took), step.title(&rotation.plan))));
    }
    lines.extend(super::emergency::aftermath(rotation));
    lines.extend(remains(rotation));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// One line that says how it stands.
pub fn outcome(rotation: &Rotation) -> String {
    let (name, kind) = (&rotation.plan.name, rotation.plan.rules.kind);
    if let Some(why) = rotation.state.held {
        let text = format!("! {name}: stopped for a person: {}", words::why(why));
        return paint(Ink::Warn, &text);
    }
    match rotation.state.ended() {
        Some(End::Done) => {
            let text = match kind {
                Kind::Rotate if rotation.plan.rules.proved => "the key was rotated; the old one is dead",
                Kind::Rotate => "the key was rotated; a person said that the old one was revoked",
                Kind::Install => "the first key is in use",
                Kind::Replace => "the new key is in use",
            };
            paint(Ink::Good, &format!("✓ {name}: {text}"))
        }
        Some(End::RolledBack) => paint(Ink::Bad, &format!("✗ {name}: rolled back; everything uses the old key again")),
        Some(End::Aborted) => paint(Ink::Bad, &format!("✗ {name}: aborted; every store is as it was")),
        None => match (words::gate(rotation), words::until(rotation)) {
            (Some((why, until)), _) => paint(Ink::Strong, &format!("… {name}: waits until {}: {}", super::time::clock(until), clean(why))),
            (None, Some(until)) => paint(Ink::Strong, &format!("… {name}: {} until {}", words::step(rotation), super::time::clock(until))),
            (None, None) if words::waits_for_key(rotation) => paint(Ink::Strong, &format!("… {name}: {}", words::step(rotation))),
            (None, None) => paint(Ink::Strong, &format!("… {name}: interrupted while {}", words::step(rotation))),
        },
    }
}

/// The record, in words, that turned the rotation back, ended it early or stopped it for a person; the last such one.
pub fn because(records: &[Record]) -> Option<String> {
    let (first, rest) = records.split_first()?;
    let mut rotation = Rotation::begin(first).ok()?;
    let mut cause = None;
    for record in rest {
        let before = trouble(&rotation);
        rotation.add(record).ok()?;
        let after = trouble(&rotation);
        if after.is_none() {
            cause = None;
        } else if after != before && (cause.is_none() || rotation.state.held.is_some()) {
            cause = Some(words::sentence(&rotation, record));
        }
    }
    cause
}

fn trouble(rotation: &Rotation) -> Option<(Option<Why>, bool)> {
    let s = &rotation.state;
    let early = s.going_back() || matches!(s.ended(), Some(End::RolledBack | End::Aborted));
    let held = s.held.filter(|why| *why != Why::RevokeByHand);
    (early || held.is_some()).then_some((held, early))
}

/// What a person still has to do.
fn remains(rotation: &Rotation) -> Vec<String> {
    let next = words::next(rotation);
    if next.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), paint(Ink::Strong, "What to type next")];
    lines.extend(next.iter().map(|command| format!("  {command}")));
    lines
}
