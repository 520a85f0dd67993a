//! Which playbooks are meant: by label, or all of a folder.

use std::{collections::BTreeSet, path::PathBuf};

use super::{App, Fail, load};
use crate::playbook::Playbook;

/// How playbooks are chosen out of folders.
#[derive(clap::Args, Clone, Default)]
#[group(id = "chosen", multiple = true)]
pub struct Select {
    /// Only playbooks with this label, as `access=contractor-acme`; given several times: with all of them.
    /// Without PLAYBOOKS they are looked for in $KEYROLL_PLAYBOOKS, else in `playbooks`, else here
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// All playbooks that are there
    #[arg(long, conflicts_with = "labels")]
    pub all: bool,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE, for example access=contractor-acme".into()),
    }
}

/// What was chosen.
pub struct Chosen {
    /// In the order of their files.
    pub books: Vec<load::Loaded>,
    /// Files whose labels nobody can know, with what is wrong.
    pub unreadable: Vec<(String, Fail)>,
}

impl Select {
    /// Whether anything was asked for.
    pub fn asked(&self) -> bool {
        self.all || !self.labels.is_empty()
    }

    /// As it was typed.
    pub fn words(&self) -> String {
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if labels.is_empty() { "all playbooks".into() } else { labels.join(", ") }
    }

    fn fits(&self, book: &Playbook) -> bool {
        self.labels.iter().all(|(name, value)| book.labels.get(name).is_some_and(|values| values.contains(value)))
    }

    /// Loads what fits. One that cannot be read keeps no other from being chosen.
    pub fn choose(&self, app: &App, paths: &[PathBuf]) -> Result<Chosen, Fail> {
        let paths = if paths.is_empty() { vec![folder()] } else { paths.to_vec() };
        let (all, unreadable) = load::each(app, &paths)?;
        let known: BTreeSet<String> = all
            .iter()
            .flat_map(|one| one.book.labels.iter().flat_map(|(name, values)| values.iter().map(move |value| format!("{name}={value}"))))
            .collect();
        let books: Vec<_> = all.into_iter().filter(|one| self.fits(&one.book)).collect();
        if books.is_empty() && unreadable.is_empty() {
            let places: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            let fail = Fail::usage(format!("no playbook in {} has {}; nothing was done", places.join(", "), self.words()));
            return Err(if known.is_empty() {
                fail.detail("none has any label")
            } else {
                fail.detail(format!("labels that are there: {}", known.into_iter().collect::<Vec<_>>().join(", ")))
            });
        }
        Ok(Chosen { books, unreadable })
    }
}

/// Where playbooks are when nobody says.
fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("KEYROLL_PLAYBOOKS").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    let usual = PathBuf::from("playbooks");
    if usual.is_dir() { usual } else { PathBuf::from(".") }
}
