//! `keyroll status`: each playbook's newest rotation, and what it needs.

use super::{App, Fail, approve};
use crate::{ports::Clock, report, rotation::Rotation};

pub async fn run(app: &App) -> Result<u8, Fail> {
    let rotations = newest(all(app).await?);
    let decrees = match app.existing_journal().await? {
        Some(journal) => journal.decrees().await?,
        None => Vec::new(),
    };
    let waiting = approve::waiting(&decrees, app.clock.now());
    if app.json() {
        let mut rows = report::status_json(&rotations, app.clock.now());
        if let Some(rows) = rows.as_array_mut() {
            rows.extend(waiting.iter().map(approve::Proposal::json));
        }
        println!("{rows}");
        return Ok(0);
    }
    for proposal in &waiting {
        anstream::println!("{}\n  → keyroll approve {}", proposal.line(), proposal.id);
    }
    if rotations.is_empty() && waiting.is_empty() {
        anstream::println!("no rotations yet in {}\nnext: keyroll run PLAYBOOK, or keyroll demo to see one", app.place()?);
    } else if !rotations.is_empty() {
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
    let decrees = journal.decrees().await?;
    let mut rotations = Vec::new();
    for entry in journal.entries().await? {
        let mut rotation = super::app::rotation(journal, &entry.rotation).await?;
        rotation.heed(&decrees);
        rotations.push(rotation);
    }
    Ok(rotations)
}
