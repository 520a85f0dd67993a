//! `keyroll status`: each playbook's newest rotation, and what it needs.

use super::{App, Fail};
use crate::{ports::Clock, report, rotation::Rotation};

pub async fn run(app: &App) -> Result<u8, Fail> {
    let rotations = newest(all(app).await?);
    if app.json() {
        println!("{}", report::status_json(&rotations, app.clock.now()));
    } else if rotations.is_empty() {
        anstream::println!("no rotations yet in {}\nnext: keyroll run PLAYBOOK, or keyroll demo to see one", app.place()?);
    } else {
        anstream::print!("{}", report::table(&rotations, app.clock.now()));
    }
    Ok(0)
}

/// Of each playbook the open rotation, else the newest one.
fn newest(rotations: Vec<Rotation>) -> Vec<Rotation> {
    let mut names = Vec::new();
    let mut kept = Vec::new();
    for rotation in rotations {
        if rotation.state.ended().is_none() || !names.contains(&rotation.plan.name) {
            names.push(rotation.plan.name.clone());
            kept.push(rotation);
        }
    }
    kept
}

/// Every rotation of the journal, newest first.
pub async fn all(app: &App) -> Result<Vec<Rotation>, Fail> {
    let Some(journal) = app.existing_journal().await? else { return Ok(Vec::new()) };
    let mut rotations = Vec::new();
    for entry in journal.entries().await? {
        rotations.push(super::app::rotation(journal, &entry.rotation).await?);
    }
    Ok(rotations)
}
