//! What a leaked key was used for, told when its emergency is over. Only to be read: whatever goes wrong is a note.

use std::time::Duration;

use super::{App, app, load::Loaded, person::person};
use crate::{
    ids::RotationId,
    ports::{Clock, Journal},
    record::Decree,
    report,
};

/// Nobody waits longer for a figure at the end of an emergency.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints a line for each leaked key, where the provider tells, and leaves it in the journal for the report.
pub async fn tell(app: &App, loaded: &Loaded, journal: &dyn Journal, id: &RotationId) {
    let Some(spend) = loaded.world.provider.spend() else { return };
    let Ok(rotation) = app::rotation(journal, id).await else { return };
    let Some(emergency) = &rotation.emergency else { return };
    let from = emergency.since.unwrap_or(rotation.began);
    for key in &emergency.leaked {
        let got = tokio::select! {
            biased;
            got = spend.since(key, from) => got.map_err(|failure| failure.to_string()),
            () = app.clock.sleep(PATIENCE) => Err("no answer".to_owned()),
        };
        match got {
            Ok(used) => {
                if app.json() {
                    println!("{}", report::used_json(key, from, &used));
                } else {
                    anstream::println!("{}", report::used(key, from, &used));
                }
                let decree = Decree::Usage { rotation: id.clone(), key: key.clone(), from, used };
                if let Err(why) = journal.decree(app.clock.now(), &person(), decree).await {
                    anstream::eprintln!("note: that is not in the journal: {why}");
                }
            }
            Err(why) => anstream::eprintln!("note: what {key} was used for could not be read: {why}"),
        }
    }
}
