//! `keyroll show`: everything about one rotation.

use super::{App, Fail, app};
use crate::{ports::Clock, report};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name [default: the only open one]
    rotation: Option<String>,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let mut rotation = app::find(journal, args.rotation.as_deref()).await?;
    rotation.heed(&journal.decrees().await?);
    let records = journal.records(&rotation.id).await?;
    if app.json() {
        println!("{}", report::show_json(&rotation, &records, app.clock.now()));
    } else {
        anstream::print!("{}", report::show(&rotation, &records, app.clock.now()));
    }
    Ok(0)
}
