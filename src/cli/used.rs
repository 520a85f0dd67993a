//! What a leaked key was used for, told when its emergency is over. Only to be read: whatever goes wrong is a note.

use std::time::Duration;

use super::{App, app, load::Loaded};
use crate::{
    ids::RotationId,
    ports::{Clock, Journal},
    report,
};

/// Nobody waits longer for a figure at the end of an emergency.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints a line for each leaked key, where the provider tells.
pub async fn tell(app: &App, loaded: &Loaded, journal: &dyn Journal, id: &RotationId) {
    let Some(usage) = loaded.world.provider.usage() else { return };
    let Ok(rotation) = app::rotation(journal, id).await else { return };
    let Some(emergency) = &rotation.emergency else { return };
    let from = emergency.since.unwrap_or(rotation.began);
    for key in &emergency.leaked {
        let got = tokio::select! {
            biased;
            got = usage.since(key, from) => got.map_err(|failure| failure.to_string()),
            () = app.clock.sleep(PATIENCE) => Err("no answer".to_owned()),
        };
        match got {
            Ok(None) => {}
            Ok(Some(used)) if app.json() => println!("{}", report::used_json(key, from, &used)),
            Ok(Some(used)) => anstream::println!("{}", report::used(key, from, &used)),
            Err(why) => anstream::eprintln!("note: what {key} was used for could not be read: {why}"),
        }
    }
}
