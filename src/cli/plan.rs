//! `keyroll plan`: says what would happen, and changes nothing.

use std::path::PathBuf;

use super::{App, Fail, load, load::Loaded, offboard};
use crate::{
    batch,
    driver::{Overrides, preflight},
    ids::KeyId,
    ports::{Journal, JournalError},
    record::Plan,
    report,
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them
    #[arg(required_unless_present = "chosen")]
    playbooks: Vec<PathBuf>,
    #[command(flatten)]
    many: offboard::Choice,
    #[command(flatten)]
    old: Old,
}

/// What a person knows about the key in use.
#[derive(clap::Args, Clone)]
pub struct Old {
    /// There is no key yet: create the first one
    #[arg(long, conflicts_with = "old_key_id")]
    install: bool,
    /// The key in use is already dead: put a new one in its place, with nothing to roll back to
    #[arg(long, conflicts_with = "install")]
    replace: bool,
    /// The id of the key in use, where the provider cannot prove it; it is the one that will be revoked
    #[arg(long, value_name = "ID")]
    old_key_id: Option<String>,
}

impl Old {
    /// For the preflight of this playbook, with what the journal adds.
    pub async fn overrides(&self, journal: Option<&dyn Journal>, playbook: &str) -> Result<Overrides, Fail> {
        let known = match journal {
            Some(journal) => batch::overrides(journal, playbook).await?,
            // Without a journal nothing is kept, so any salt will do.
            None => Overrides { salt: b"a plan without a journal".to_vec(), ..Overrides::default() },
        };
        let old_key_id = self.old_key_id.clone().map(KeyId::new);
        Ok(Overrides { install: self.install, replace: self.replace, old_key_id, ..known })
    }

    /// Nothing: the provider proves everything.
    pub fn proved() -> Self {
        Self { install: false, replace: false, old_key_id: None }
    }

    /// The flags again, as they were typed.
    pub fn words(&self) -> String {
        let mut words = String::new();
        for (set, flag) in [(self.install, " --install"), (self.replace, " --replace")] {
            words += if set { flag } else { "" };
        }
        if let Some(id) = &self.old_key_id {
            words += &format!(" --old-key-id {}", report::words::quoted(id));
        }
        words
    }

    /// Whether a key's id was given by hand.
    pub fn by_hand(&self) -> Option<&str> {
        self.old_key_id.as_deref()
    }
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    if args.many.select.asked() {
        return offboard::rehearse(app, &args.many, &args.playbooks).await;
    }
    let journal = app.existing_journal().await?;
    for loaded in load::files(app, &args.playbooks)? {
        let (plan, _) = make(app, &loaded, &args.old, journal).await?;
        print(app, &plan);
    }
    Ok(0)
}

/// Reads everything and makes the plan; and how many rotations of the playbook the journal had before.
pub async fn make(app: &App, loaded: &Loaded, old: &Old, journal: Option<&dyn Journal>) -> Result<(Plan, usize), Fail> {
    free(journal, loaded, None).await?;
    let seen = match journal {
        Some(journal) => batch::seen(journal, &loaded.book.name).await?,
        None => 0,
    };
    let overrides = old.overrides(journal, &loaded.book.name).await?;
    match preflight(&loaded.world, &loaded.book, &app.clock, &overrides).await {
        Ok(plan) => Ok((plan, seen)),
        Err(problems) => {
            // What was read may be another keyroll's work.
            free(journal, loaded, Some(seen)).await?;
            Err(Fail::preflight(&loaded.book.name, problems))
        }
    }
}

async fn free(journal: Option<&dyn Journal>, loaded: &Loaded, seen: Option<usize>) -> Result<(), Fail> {
    let Some(journal) = journal else { return Ok(()) };
    match batch::free(journal, loaded, seen).await {
        Err(JournalError::Open(open)) => {
            let rotation = super::app::rotation(journal, &open).await?;
            let code = report::words::exit_code(&rotation);
            Err(Fail::new(code, format!("rotation {open} of the same key is still open")).of(&rotation))
        }
        other => Ok(other?),
    }
}

/// Prints a plan.
pub fn print(app: &App, plan: &Plan) {
    if app.json() {
        println!("{}", report::plan_json(plan));
    } else {
        anstream::println!("{}", report::plan(plan));
    }
}
