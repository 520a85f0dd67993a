//! `keyroll init`: writes a commented playbook, from questions on a terminal, or from flags.

use std::{
    io::{IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use dialoguer::{Input, Select};

use super::Fail;
use crate::playbook::{Answers, PROVIDERS, STORES, template};

#[derive(clap::Args)]
pub struct Args {
    /// Where to write it
    #[arg(default_value = "playbook.yaml")]
    file: PathBuf,
    /// The playbook's name
    #[arg(long)]
    name: Option<String>,
    /// Who issues the key: openai, aws_iam, vault_approle or http
    #[arg(long)]
    provider: Option<String>,
    /// Where it lives: vault_kv2, aws_secretsmanager or file
    #[arg(long)]
    store: Option<String>,
    /// The OpenAI project, the IAM user, the AppRole, or the address of the keys
    #[arg(long)]
    scope: Option<String>,
    /// The Vault path, the AWS secret's id, or the file's path
    #[arg(long)]
    place: Option<String>,
    /// The store's field that holds the key
    #[arg(long)]
    field: Option<String>,
    /// The service that reads the key
    #[arg(long)]
    consumer: Option<String>,
    /// Its copies, host:port each
    #[arg(long, value_delimiter = ',')]
    instances: Vec<String>,
    /// Where a copy tells which version it uses
    #[arg(long)]
    health: Option<String>,
    /// How old the key may get
    #[arg(long)]
    every: Option<String>,
}

pub fn run(args: &Args) -> Result<u8, Fail> {
    let ask = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let answers = answers(args, ask)?;
    for (word, known) in [(&answers.provider, &PROVIDERS[..]), (&answers.store, &STORES[..])] {
        if !known.contains(&word.as_str()) {
            return Err(Fail::usage(format!("`{word}` is not one of {}", known.join(", "))));
        }
    }
    write(&args.file, &template(&answers))?;
    anstream::println!("wrote {}", args.file.display());
    anstream::println!("next: read it, put in what is yours, then\n  keyroll validate {0}\n  keyroll plan {0}", args.file.display());
    Ok(0)
}

/// Flags first; what they leave open is asked for on a terminal, and has a default elsewhere.
fn answers(args: &Args, ask: bool) -> Result<Answers, Fail> {
    let usual = Answers::default();
    let text = |given: &Option<String>, question: &str, usual: &str| -> Result<String, Fail> {
        match given {
            Some(given) => Ok(given.clone()),
            None if !ask => Ok(usual.to_owned()),
            None => {
                let input = Input::<String>::new().with_prompt(question).allow_empty(usual.is_empty());
                let input = if usual.is_empty() { input } else { input.default(usual.to_owned()) };
                input.interact_text().map_err(|_| stopped())
            }
        }
    };
    let choice = |given: &Option<String>, question: &str, known: &[&str], usual: &str| -> Result<String, Fail> {
        match given {
            Some(given) => Ok(given.clone()),
            None if !ask => Ok(usual.to_owned()),
            None => {
                let chosen = Select::new()
                    .with_prompt(format!("{question} (arrow keys, Enter)"))
                    .items(known)
                    .default(0)
                    .interact()
                    .map_err(|_| stopped())?;
                Ok(known.get(chosen).copied().unwrap_or(usual).to_owned())
            }
        }
    };
    let provider = choice(&args.provider, "Who issues the key", &PROVIDERS, &usual.provider)?;
    let store = choice(&args.store, "Where does it live", &STORES, &usual.store)?;
    let name = text(&args.name, "A name for this playbook", &usual.name)?;
    let scope = match provider.as_str() {
        "openai" => "The OpenAI project (proj_…)",
        "aws_iam" => "The IAM user",
        "vault_approle" => "The AppRole",
        _ => "The address of the keys (https://…)",
    };
    let place = match store.as_str() {
        "vault_kv2" => "The path in Vault, below its mount",
        "aws_secretsmanager" => "The secret's name or ARN",
        _ => "The file's path",
    };
    let instances = if args.instances.is_empty() {
        text(&None, "Its running copies, host:port, with commas", &usual.instances.join(","))?
            .split(',')
            .map(|one| one.trim().to_owned())
            .collect()
    } else {
        args.instances.clone()
    };
    Ok(Answers {
        name,
        scope: text(&args.scope, scope, &usual.scope)?,
        place: text(&args.place, place, &usual.place)?,
        field: text(&args.field, "The field that holds the key", &usual.field)?,
        consumer: text(&args.consumer, "The service that reads it", &usual.consumer)?,
        instances,
        health: text(&args.health, "Where a copy tells which version it uses", &usual.health)?,
        every: text(&args.every, "How old may the key get", &usual.every)?,
        provider,
        store,
    })
}

fn stopped() -> Fail {
    Fail::usage("no answer; nothing was written")
}

/// Never over a file that is there.
fn write(file: &Path, text: &str) -> Result<(), Fail> {
    let mut open = std::fs::OpenOptions::new();
    let written = open.write(true).create_new(true).mode(0o644).open(file).and_then(|mut open| open.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Fail::usage(format!("{} is there already; nothing was written", file.display())).next("keyroll init OTHER.yaml")
        }
        _ => Fail::usage(format!("{}: {error}", file.display())),
    })
}
