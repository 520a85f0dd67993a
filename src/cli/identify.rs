//! `keyroll identify`: whose a leaked value is. The value comes on standard input, never on the command line.

use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};

use super::{
    App, Fail, load, status,
    typed::{read, typed},
};
use crate::{
    batch::worse,
    inspect::{
        identify::{self, Judged},
        memory::Memory,
    },
    leak::{self, Finding, Format, Leaked, Place},
    ports::Failure,
    report::{self, Identified},
    secret::Secret,
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks, or folders of them, whose stores the value is compared with; without them only the journal is asked
    playbooks: Vec<PathBuf>,
    /// A secret scanner's report instead of a value; `-`: on standard input
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Which tool wrote the report
    #[arg(long, value_enum, default_value_t = Tool::Auto, requires = "report")]
    format: Tool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tool {
    /// Told by its fields.
    Auto,
    /// gitleaks, JSON.
    Gitleaks,
    /// detect-secrets, a baseline; it holds only hashes.
    DetectSecrets,
    /// trufflehog 3, JSON lines.
    Trufflehog,
    /// GitHub secret scanning, from the API or a webhook.
    Github,
}

impl Tool {
    fn format(self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::Gitleaks => Some(Format::Gitleaks),
            Self::DetectSecrets => Some(Format::DetectSecrets),
            Self::Trufflehog => Some(Format::Trufflehog),
            Self::Github => Some(Format::Github),
        }
    }
}

/// How many playbooks are read at once.
const AT_ONCE: usize = 8;

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app.existing_journal().await?;
    if journal.is_none() && args.playbooks.is_empty() {
        let what = format!("there is nothing to compare with: no journal at {}, and no playbook was named", app.place()?);
        return Err(Fail::usage(what).next("keyroll identify PLAYBOOK"));
    }
    // One broken file among many must not keep a leak from being looked into.
    let (mut books, mut notes) = (Vec::new(), Vec::new());
    for (path, one) in if args.playbooks.is_empty() { Vec::new() } else { load::attempts(app, &args.playbooks)? } {
        match one {
            Ok(loaded) => books.push(loaded),
            Err(_) => {
                notes.push(format!("{} is no valid playbook, and its stores were not looked at: keyroll validate {0}", path.display()))
            }
        }
    }
    let broken = !notes.is_empty();
    let (source, findings) = findings(args)?;
    let rotations = status::all(app).await?;
    let decrees = match &journal {
        Some(journal) => journal.decrees().await?,
        None => Vec::new(),
    };
    let memory = Memory::of(&rotations, &decrees);
    let salt = journal.as_ref().map(|journal| journal.salt().to_vec()).unwrap_or_default();
    let readings = books.iter().map(|loaded| identify::ours(&loaded.world, &loaded.book, &rotations));
    let all: Vec<_> = stream::iter(readings).buffered(AT_ONCE).collect().await;
    let mut found = Vec::new();
    for finding in &findings {
        found.push((finding, identify::judge(finding, &salt, &memory, &all).await));
    }
    let leaked = findings.iter().filter_map(|finding| match &finding.leaked {
        Leaked::Values(values) => Some(values),
        _ => None,
    });
    let held = || all.iter().flat_map(|ours| &ours.holdings.held);
    let secrets: Vec<&Secret> = leaked.flatten().chain(held().map(|held| &held.secret)).collect();
    let gaps: Vec<&Failure> = all.iter().flat_map(|ours| &ours.holdings.gaps).collect();
    notes.extend(gaps.iter().map(|gap| format!("not compared with everything: {gap}")));
    if found.iter().any(|(_, judged)| *judged == Judged::Unknown) {
        let silent = all.iter().flat_map(|ours| &ours.holdings.silent);
        notes.extend(silent.map(|store| format!("{store} does not tell all of its older versions: those were not compared")));
    }
    let by_hash = |(finding, judged): &(&Finding, Judged)| matches!(finding.leaked, Leaked::Sha1(_)) && *judged == Judged::Unknown;
    if found.iter().any(by_hash) {
        notes.push(match held().count() {
            0 => "the report holds only hashes: name playbooks, so that they can be compared with the values that stores serve".to_owned(),
            many => format!("the report holds only hashes, compared with {many} values that stores still serve; a key that no store serves any more cannot be told by a hash"),
        });
    } else if books.is_empty() && found.iter().any(|(_, judged)| *judged == Judged::Unknown) {
        notes.push("only the journal was asked; name playbooks to compare with what their stores hold, too".into());
    }
    let live = found.iter().any(|(_, judged)| judged.live());
    // What could not be compared with anything is no all-clear.
    let blind = |(finding, judged): &(&Finding, Judged)| match finding.leaked {
        Leaked::Hidden => true,
        Leaked::Sha1(_) => *judged == Judged::Unknown && held().next().is_none(),
        Leaked::Values(_) => false,
    };
    let compared = if broken || found.iter().any(blind) { 2 } else { 0 };
    let code = worse(worse(if live { 3 } else { 0 }, compared), if gaps.is_empty() { 0 } else { 5 });
    let found = found.into_iter().map(|(finding, judged)| identify::tell(finding, judged, &secrets)).collect();
    let told = Identified { source: &source, found, notes };
    if app.json() {
        println!("{}", report::identified_json(&told, code));
    } else {
        anstream::print!("{}", report::identified(&told));
    }
    Ok(code)
}

fn findings(args: &Args) -> Result<(String, Vec<Finding>), Fail> {
    let Some(path) = &args.report else {
        let finding = Finding {
            detector: "the value".into(),
            place: Place::default(),
            leaked: Leaked::Values(typed("The leaked value", "printf %s \"$LEAKED\" | keyroll identify PLAYBOOK")?),
        };
        return Ok(("standard input".into(), vec![finding]));
    };
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let broken = |error: std::io::Error| Fail::usage(format!("{name} cannot be read: {}", error.kind()));
    let report =
        if path.as_os_str() == "-" { read(std::io::stdin(), &name)? } else { read(std::fs::File::open(path).map_err(broken)?, &name)? };
    let (format, findings) = leak::read(&report, args.format.format()).map_err(|unreadable| {
        let fail = Fail::usage(format!("{name}: {unreadable}"));
        match unreadable {
            leak::Unreadable::Empty => fail
                .detail("trufflehog writes nothing at all where it finds nothing; a scan that broke off does the same")
                .next("the same command with --format trufflehog, if it found nothing"),
            leak::Unreadable::Unknown => fail.next("the same command with --format, or with the tool's JSON report"),
            leak::Unreadable::Broken { .. } => fail.detail("nothing was taken out of it: a part of a report would look like the whole"),
        }
    })?;
    Ok((format.name().to_owned(), findings))
}
