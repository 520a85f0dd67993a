//! `keyroll history`: every rotation, newest first.

use super::{App, Fail};
use crate::{ports::Clock, report};

pub async fn run(app: &App) -> Result<u8, Fail> {
    let rotations = super::status::all(app).await?;
    if app.json() {
        println!("{}", report::status_json(&rotations, app.clock.now()));
    } else if rotations.is_empty() {
        anstream::println!("no rotations yet in {}\nnext: keyroll run PLAYBOOK, or keyroll demo to see one", app.place()?);
    } else {
        anstream::print!("{}", report::history(&rotations));
    }
    Ok(0)
}
