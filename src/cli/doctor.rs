//! `keyroll doctor`: what stands ready for a rotation, all problems of all playbooks at once.

use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};

use super::{
    App, Fail, app, load,
    load::{Attempt, Loaded},
    plan,
};
use crate::{
    adapters::build,
    inspect::doctor::{self, Health, Line},
    journal::{self, Place},
    ports::{Journal, Problem},
    report::{self, Patient},
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them; without any only the journal is looked at
    playbooks: Vec<PathBuf>,
}

/// How many playbooks are looked at at once: each asks many others, and some count requests.
const AT_ONCE: usize = 8;

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let books = if args.playbooks.is_empty() { Vec::new() } else { load::attempts(app, &args.playbooks)? };
    let place = app.place()?;
    let file = match &place {
        Place::File(path) => journal::look(path),
        Place::Postgres(_) => Vec::new(),
    };
    let file = file.into_iter().map(|(part, found)| match found {
        Ok(what) => Line::well(part, what),
        Err(problem) => Line::ill(part, problem),
    });
    let mut of_journal: Vec<Line> = file.collect();
    let opened = match app.existing_journal().await {
        Ok(opened) => opened,
        Err(fail) => {
            of_journal.push(Line::ill("journal", Problem::new(fail.what(), "put right what is said of its file")));
            None
        }
    };
    let journal = opened;
    if let Some(journal) = journal {
        of_journal.extend(doctor::journal(journal).await);
    }
    let mut patients: Vec<Patient> =
        stream::iter(&books).map(|(path, loaded)| one(app, path, loaded, journal)).buffered(AT_ONCE).collect().await;
    for clash in clashes(&books) {
        if let Some(patient) = patients.iter_mut().find(|patient| patient.file == clash.second) {
            patient.lines.push(Line::ill("configuration", Problem::new(clash.to_string(), "two playbooks must never rotate one key")));
        }
    }
    patients.push(Patient { name: "journal".into(), file: place.to_string(), lines: of_journal });
    let code = code(&patients);
    if app.json() {
        println!("{}", report::doctor_json(&patients, code));
    } else {
        anstream::print!("{}", report::doctor(&patients));
    }
    Ok(code)
}

fn clashes(books: &[(PathBuf, Attempt)]) -> Vec<build::Clash> {
    let pairs: Vec<_> = books.iter().filter_map(|(_, one)| one.as_ref().ok()).map(|one| (&one.book, &one.world)).collect();
    build::clashes(&pairs)
}

async fn one(app: &App, path: &std::path::Path, loaded: &Attempt, journal: Option<&dyn Journal>) -> Patient {
    let file = path.display().to_string();
    match loaded {
        Err(text) => {
            // A rendered fault is many lines; the whole of it is the way to put it right.
            let problem = Problem::new("it is no valid playbook", text.trim_end().to_owned());
            Patient { name: file.clone(), file: String::new(), lines: vec![Line::ill("configuration", problem)] }
        }
        Ok(loaded) => match lines(app, loaded, journal).await {
            Ok(lines) => Patient { name: loaded.book.name.clone(), file, lines },
            Err(fail) => {
                let problem = Problem::new(fail.what(), "put right what is said of the journal");
                Patient { name: loaded.book.name.clone(), file, lines: vec![Line::ill("journal", problem)] }
            }
        },
    }
}

async fn lines(app: &App, loaded: &Loaded, journal: Option<&dyn Journal>) -> Result<Vec<Line>, Fail> {
    let overrides = plan::Old::proved().overrides(journal, &loaded.book.name).await?;
    let mut open = None;
    if let Some(journal) = journal {
        for identity in build::identities(&loaded.book, &loaded.world) {
            if let Some(id) = journal.holder(&identity).await? {
                open = Some(app::rotation(journal, &id).await?);
            }
        }
    }
    let secrets = app.ctx()?.secrets;
    Ok(doctor::playbook(&loaded.world, &loaded.book, secrets.as_ref(), &app.clock, &overrides, open.as_ref()).await)
}

/// 5 where something could not be reached, 2 where something must be put right, else 0.
fn code(patients: &[Patient]) -> u8 {
    let lines = patients.iter().flat_map(|patient| &patient.lines);
    lines.fold(0, |worst, line| match line.health {
        Health::Ill { unreachable: true, .. } => 5,
        Health::Ill { .. } => worst.max(2),
        _ => worst,
    })
}
