//! `keyroll validate`: reads playbooks, calls nobody.

use std::path::PathBuf;

use super::{App, Fail, load};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them
    #[arg(required = true)]
    playbooks: Vec<PathBuf>,
}

pub fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let loaded = load::files(app, &args.playbooks)?;
    if app.json() {
        let names: Vec<_> = loaded.iter().map(|one| serde_json::json!({ "name": one.book.name, "file": one.book.source.name })).collect();
        println!("{}", serde_json::json!({ "valid": names }));
    } else if !app.global.quiet {
        for one in &loaded {
            anstream::println!("{}: `{}` is valid", one.book.source.name, one.book.name);
        }
    }
    Ok(0)
}
