//! One line for each thing that happened: for pipes and log files.

use std::io::Write;

use super::words;
use crate::{
    record::{Evidence, Missing},
    sight::{Sight, View},
};

/// Writes lines. What cannot be written is lost: a closed pipe must not stop a rotation.
pub struct Plain<W> {
    out: W,
    prefix: String,
    passes: Passes,
    retry: String,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, prefix: String::new(), passes: Passes::default(), retry: String::new() }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}{text}", self.prefix).and_then(|()| self.out.flush());
    }
}

impl<W: Write + Send> View for Plain<W> {
    fn see(&mut self, sight: &Sight<'_>) {
        match sight {
            Sight::Recorded(rotation, record) => {
                self.passes = Passes::default();
                self.retry.clear();
                // The end of a ULID is its random part: it tells the rotations of one batch apart.
                let id = rotation.id.as_str();
                self.prefix = format!("{} ", &id[id.char_indices().rev().nth(5).map_or(0, |(at, _)| at)..]);
                let text = words::sentence(rotation, record);
                self.line(&text);
                if let Some(why) = rotation.state.held {
                    self.line(&format!("held for a person: {}", words::why(why)));
                }
                if rotation.state.ended().is_some() {
                    self.line(words::step(rotation));
                }
            }
            Sight::Pass { proved, missing } => {
                if self.passes.changed(proved, missing) {
                    self.line(&pass(proved, missing));
                }
            }
            Sight::Retrying { what, wait } => {
                let text = super::paint::clean(what);
                if text != self.retry {
                    self.line(&format!("{text}; again in {}", super::time::rough(*wait)));
                    self.retry = text;
                }
            }
            Sight::Left(_) => {}
        }
    }
}

/// `17 of 20 prove it; waiting for a: …; b: …`.
pub fn pass(proved: &[Evidence], missing: &[Missing]) -> String {
    let all = proved.len() + missing.len();
    if all == 0 {
        return "nobody has to prove it".to_owned();
    }
    if missing.is_empty() {
        return format!("all {} prove it; seeing that it stays so", words::instances(all));
    }
    format!("{} of {} prove it; waiting for {}", proved.len(), words::instances(all), words::some(missing, 3))
}

/// The last pass, without its times.
#[derive(Default)]
pub struct Passes(Option<Vec<(String, String)>>);

impl Passes {
    /// Whether this pass shows another picture than the last one.
    pub fn changed(&mut self, proved: &[Evidence], missing: &[Missing]) -> bool {
        let mut now: Vec<(String, String)> =
            proved.iter().map(|one| (format!("{}/{}", one.consumer, one.instance), String::new())).collect();
        now.extend(missing.iter().map(|one| {
            let instance = one.instance.as_ref().map_or("", |instance| instance.as_str());
            (format!("{}/{instance}", one.consumer), one.why.clone())
        }));
        now.sort();
        let changed = self.0.as_ref() != Some(&now);
        self.0 = Some(now);
        changed
    }
}
