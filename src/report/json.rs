//! One JSON object a line, for machines.

use std::io::Write;

use serde_json::{Value, json};

use super::{plain::Passes, words};
use crate::{
    record::Record,
    rotation::Rotation,
    sight::{Sight, View},
};

/// Writes one object for each record, and for each pass and retry that shows something new. What cannot be written is lost.
pub struct Json<W> {
    out: W,
    passes: Passes,
}

impl<W: Write + Send> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, passes: Passes::default() }
    }
}

/// One record with its sentence; `rotation` already contains it.
pub fn line(rotation: &Rotation, record: &Record) -> Value {
    json!({
        "schema": record.schema,
        "rotation": record.rotation,
        "seq": record.seq,
        "at": record.at,
        "event": record.event,
        "detail": record.detail,
        "sentence": words::sentence(rotation, record),
    })
}

impl<W: Write + Send> View for Json<W> {
    fn see(&mut self, sight: &Sight<'_>) {
        let value = match sight {
            Sight::Recorded(rotation, record) => {
                self.passes = Passes::default();
                line(rotation, record)
            }
            Sight::Pass { proved, missing } if self.passes.changed(proved, missing) => {
                json!({ "pass": { "proved": proved, "missing": missing } })
            }
            Sight::Retrying { what, wait } => json!({ "retry": { "what": what, "wait_seconds": wait.as_secs_f64() } }),
            Sight::Pass { .. } | Sight::Left(_) => return,
        };
        let _ = writeln!(self.out, "{value}").and_then(|()| self.out.flush());
    }
}
