//! `keyroll ack`: a person has seen that a rotation is held.

use super::{App, Fail, app, person::person};
use crate::{ports::Clock, record::Decree, report};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name [default: the only open one]
    rotation: Option<String>,
    /// What you are doing about it; others see it in `status`
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let mut rotation = app::find(journal, args.rotation.as_deref()).await?;
    if rotation.state.held.is_none() {
        return Err(Fail::usage(format!("rotation {} is not held: there is nothing to see to", rotation.id)).of(&rotation));
    }
    let decree = Decree::Ack { rotation: rotation.id.clone(), reason: args.reason.clone() };
    let decreed = journal.decree(app.clock.now(), &person(), decree).await?;
    rotation.heed(&[decreed]);
    if app.json() {
        println!("{}", serde_json::json!({ "acked": report::status_json(std::slice::from_ref(&rotation), app.clock.now())[0] }));
        return Ok(0);
    }
    anstream::println!(
        "rotation {} is {}; nobody is reminded of it any more, and it stays held",
        rotation.id,
        report::seen(&rotation).unwrap_or_default()
    );
    for next in report::words::next(&rotation) {
        anstream::println!("next: {next}");
    }
    Ok(0)
}
