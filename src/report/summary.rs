//! What `run` prints at its end: how it ended, where both keys are, how long each step took, what remains.

use std::time::Duration;

use super::{
    paint::{Ink, capital, paint},
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
    lines.push(format!("  {}", capital(&words::old_key(rotation))));
    lines.push(format!("  {}", capital(&words::new_key(rotation))));
    let times = times(records);
    if !times.is_empty() {
        lines.push(String::new());
        let whole = rough(between(rotation.began, rotation.last));
        lines.push(paint(Ink::Strong, &format!("It took {whole}")));
        lines.extend(times.iter().map(|(step, took)| format!("{:>8}  {}", rough(*took), step.title(&rotation.plan))));
    }
    lines.extend(remains(rotation));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// One line that says how it stands.
pub fn outcome(rotation: &Rotation) -> String {
    let (name, kind) = (&rotation.plan.name, rotation.plan.rules.kind);
    if let Some(why) = rotation.state.held {
        let text = format!("! {name}: stopped for a person: {}", words::why(why));
        let said = rotation.said.as_ref().filter(|_| !matches!(why, Why::RevokeByHand | Why::NotVerified | Why::EnabledAgain));
        let said = said.map_or_else(String::new, |said| format!(" ({})", super::paint::clean(said)));
        return paint(Ink::Warn, &format!("{text}{said}"));
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
        Some(End::Aborted) => paint(Ink::Bad, &format!("✗ {name}: aborted before any store was changed for good")),
        None => match words::until(rotation) {
            Some(until) => paint(Ink::Strong, &format!("… {name}: {} until {}", words::step(rotation), super::time::clock(until))),
            None => paint(Ink::Strong, &format!("… {name}: interrupted while {}", words::step(rotation))),
        },
    }
}

/// What a person still has to do or to know.
fn remains(rotation: &Rotation) -> Vec<String> {
    let mut lines = Vec::new();
    if rotation.state.held == Some(Why::NotVerified) && !rotation.missing.is_empty() {
        lines.push(String::new());
        lines.push(paint(Ink::Strong, "No proof from"));
        lines.extend(rotation.missing.iter().take(10).map(|missing| format!("  {} ({})", words::miss(missing), missing.consumer)));
        if rotation.missing.len() > 10 {
            lines.push(format!("  and {} more: `keyroll show {}`", rotation.missing.len() - 10, rotation.id));
        }
    }
    if rotation.state.ended() != Some(End::Done)
        && rotation.state.ended().is_some()
        && let Some(said) = &rotation.said
    {
        lines.push(String::new());
        lines.push(format!("Last answer from outside: {}", super::paint::clean(said)));
    }
    let next = words::next(rotation);
    if !next.is_empty() {
        lines.push(String::new());
        lines.push(paint(Ink::Strong, "What to type next"));
        lines.extend(next.iter().map(|command| format!("  {command}")));
    }
    lines
}
