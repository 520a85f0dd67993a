//! `keyroll report`: what a reviewer needs of one rotation, as text, JSON or one page.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::{App, Fail, app};
use crate::{
    ports::{Clock, Journal},
    report::{self, Document},
    rotation::Rotation,
};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name
    rotation: String,
    /// Write one self-contained page instead; `-`: to standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let found = app::find(journal, Some(&args.rotation)).await?;
    let doc = document(app, journal, &found).await?;
    match &args.html {
        Some(file) => write(app, file, &report::page(&doc))?,
        None if app.json() => tell(&serde_json::json!(doc).to_string()),
        None => tell(report::text(&doc).trim_end()),
    }
    Ok(0)
}

/// The document of one rotation.
pub async fn document(app: &App, journal: &dyn Journal, rotation: &Rotation) -> Result<Document, Fail> {
    // Hashes after records: whatever is written in between only adds to their end.
    let records = journal.records(&rotation.id).await?;
    let hashes = journal.hashes(Some(&rotation.id)).await?;
    let head = hashes.get(records.len()).map_or("", String::as_str);
    report::document(&records, &journal.decrees().await?, head, journal.id(), app.clock.now())
        .map_err(|broken| Fail::new(5, format!("rotation {}: {broken}", rotation.id)))
}

/// Prints a text and ends its line. A reader that has seen enough closes the pipe: no matter.
pub fn tell(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Writes a page and says where.
pub fn write(app: &App, file: &Path, page: &str) -> Result<(), Fail> {
    if file.as_os_str() == "-" {
        let _ = std::io::stdout().write_all(page.as_bytes());
        return Ok(());
    }
    std::fs::write(file, page).map_err(|error| Fail::new(5, format!("{} cannot be written: {error}", file.display())))?;
    if app.json() {
        tell(&serde_json::json!({ "html": file }).to_string());
    } else if !app.global.quiet {
        tell(&format!("wrote {}", file.display()));
    }
    Ok(())
}
