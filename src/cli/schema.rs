//! `keyroll schema`: the playbook's JSON Schema, for editors.

use super::{App, Fail};
use crate::adapters::schema::schema;

pub fn run(app: &App) -> Result<u8, Fail> {
    println!("{:#}", schema(&app.registry));
    Ok(0)
}
