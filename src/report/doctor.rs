//! What `doctor` found, grouped by playbook.

use serde_json::{Value, json};

use super::paint::{Ink, clean, paint};
use crate::inspect::doctor::{Health, Line};

/// One playbook, or the journal, with everything that was looked at.
pub struct Patient {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What was found.
    pub lines: Vec<Line>,
}

/// Every line with its mark, and under those that are not well what to do.
pub fn doctor(patients: &[Patient]) -> String {
    let mut text = String::new();
    let wide = patients.iter().flat_map(|one| &one.lines).map(|line| line.part.chars().count()).max().unwrap_or_default();
    for one in patients {
        let file = if one.file.is_empty() { String::new() } else { format!(" {}", paint(Ink::Faint, &clean(&one.file))) };
        text += &format!("{}{file}\n", paint(Ink::Strong, &clean(&one.name)));
        for line in &one.lines {
            let (ink, mark, fix) = match &line.health {
                Health::Well => (Ink::Good, "✓", None),
                Health::Odd { fix } => (Ink::Warn, "!", Some(fix)),
                Health::Ill { fix, .. } => (Ink::Bad, "✗", Some(fix)),
            };
            text += &format!("  {} {:wide$}  {}\n", paint(ink, mark), line.part, clean(&line.what));
            for (at, line) in fix.into_iter().flat_map(|fix| fix.lines()).enumerate() {
                let arrow = if at == 0 { "→" } else { " " };
                text += format!("    {:wide$}  {arrow} {}", "", clean(line)).trim_end();
                text += "\n";
            }
        }
    }
    let ill = patients.iter().filter(|one| one.lines.iter().any(|line| matches!(line.health, Health::Ill { .. }))).count();
    text + &match ill {
        0 => paint(Ink::Good, "everything a rotation needs is there") + "\n",
        1 => paint(Ink::Bad, "a rotation could not run here as things are") + "\n",
        many => paint(Ink::Bad, &format!("{many} of {} could not rotate as things are", patients.len())) + "\n",
    }
}

/// The same for machines.
pub fn doctor_json(patients: &[Patient], code: u8) -> Value {
    let line = |line: &Line| {
        let (health, fix, unreachable) = match &line.health {
            Health::Well => ("well", None, false),
            Health::Odd { fix } => ("odd", Some(fix), false),
            Health::Ill { fix, unreachable } => ("ill", Some(fix), *unreachable),
        };
        json!({ "part": line.part, "what": line.what, "health": health, "fix": fix, "unreachable": unreachable })
    };
    let one = |one: &Patient| json!({ "name": one.name, "file": one.file, "lines": one.lines.iter().map(line).collect::<Vec<_>>() });
    json!({ "patients": patients.iter().map(one).collect::<Vec<_>>(), "exit_code": code })
}
