//! `keyroll schema`: the playbook's JSON Schema, for editors.

use super::{App, Fail};
use crate::adapters::schema::schema;

pub fn run(app: &App) -> Result<u8, Fail> {
    use std::io::Write;
    // A reader that has seen enough closes the pipe: no matter.
    let _ = writeln!(std::io::stdout(), "{:#}", schema(&app.registry));
    Ok(0)
}
