//! Playbooks from files, with the world they speak of. All errors of all files at once.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{App, Fail};
use crate::{
    adapters::{Ctx, build},
    playbook::{Fault, Playbook, Source, render},
};

/// A playbook and what it touches.
pub use crate::batch::Item as Loaded;

/// A playbook, or what is wrong with it, fit to be shown.
pub type Attempt = Result<Loaded, String>;

/// Loads files and folders (their `*.yaml` and `*.yml`), and checks that no two rotate the same key.
pub fn files(app: &App, paths: &[PathBuf]) -> Result<Vec<Loaded>, Fail> {
    let mut loaded = Vec::new();
    let mut faulty = 0;
    let mut fail = Vec::new();
    for (_, one) in attempts(app, paths)? {
        match one {
            Ok(one) => loaded.push(one),
            Err(text) => {
                faulty += 1;
                fail.push(text);
            }
        }
    }
    let pairs: Vec<_> = loaded.iter().map(|one| (&one.book, &one.world)).collect();
    fail.extend(build::clashes(&pairs).iter().map(ToString::to_string));
    if fail.is_empty() {
        return Ok(loaded);
    }
    let what = match faulty {
        0 => "these playbooks cannot run together".to_owned(),
        1 => "a playbook is not valid; nothing was done".to_owned(),
        many => format!("{many} playbooks are not valid; nothing was done"),
    };
    Err(fail.into_iter().fold(Fail::usage(what), Fail::detail))
}

/// The same one by one: a file that is no playbook is told in its place, and keeps no other from being loaded.
pub fn attempts(app: &App, paths: &[PathBuf]) -> Result<Vec<(PathBuf, Attempt)>, Fail> {
    let ctx = app.ctx()?;
    Ok(expand(paths)?.into_iter().map(|path| (path.clone(), file(app, &ctx, &path))).collect())
}

/// What could be loaded; and each file that could not, with what is wrong.
pub type Each = (Vec<Loaded>, Vec<(String, Fail)>);

/// The same, but what is wrong with one file keeps no other from being loaded: those that are good, and what is wrong.
pub fn each(app: &App, paths: &[PathBuf]) -> Result<Each, Fail> {
    let ctx = app.ctx()?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for path in expand(paths)? {
        match file(app, &ctx, &path) {
            Ok(one) => good.push(one),
            Err(text) => bad.push((path.display().to_string(), Fail::usage("a playbook is not valid; it is left out").detail(text))),
        }
    }
    let pairs: Vec<_> = good.iter().map(|one| (&one.book, &one.world)).collect();
    for clash in build::clashes(&pairs) {
        let out = |one: &Loaded| one.book.source.name == clash.first || one.book.source.name == clash.second;
        for one in good.iter().filter(|one| out(one)) {
            let fail = Fail::usage("two playbooks cannot run together; both are left out").detail(clash.to_string());
            bad.push((one.book.source.name.clone(), fail));
        }
        good.retain(|one| !out(one));
    }
    Ok((good, bad))
}

fn file(app: &App, ctx: &Ctx, path: &Path) -> Result<Loaded, String> {
    let source = match Source::read(path) {
        Ok(source) => Arc::new(source),
        Err(fault) => return Err(format!("{}: {}", path.display(), sentence(&fault))),
    };
    text(app, ctx, &source).map_err(|faults| render(&faults, &source))
}

/// A playbook from text, as a rotation's first record holds it.
pub fn text(app: &App, ctx: &Ctx, source: &Arc<Source>) -> Result<Loaded, Vec<Fault>> {
    let book = Playbook::parse(source.clone())?;
    let world = build::build(&book, &app.registry, ctx)?;
    Ok(Loaded { book, world })
}

/// The playbook of an open rotation.
pub fn journaled(app: &App, origin: &str, playbook: &str) -> Result<Loaded, Fail> {
    let source = Arc::new(Source { name: format!("{origin} (as the journal has it)"), text: playbook.to_owned() });
    text(app, &app.ctx()?, &source)
        .map_err(|faults| Fail::usage("this keyroll does not understand the rotation's playbook").detail(render(&faults, &source)))
}

fn sentence(fault: &Fault) -> String {
    match &fault.instead {
        Some(instead) => format!("{}; {instead}", fault.what),
        None => fault.what.clone(),
    }
}

fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Fail> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let listing = std::fs::read_dir(path).map_err(|error| Fail::usage(format!("{}: {error}", path.display())))?;
        let mut found: Vec<_> = listing
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml"))
            .collect();
        if found.is_empty() {
            return Err(Fail::usage(format!("{} holds no playbook (*.yaml)", path.display())).next("keyroll init"));
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}
