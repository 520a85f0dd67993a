//! `keyroll demo`: a whole rotation in a sandbox, through the production adapters.

use std::{path::Path, sync::Arc, time::Duration};

use clap::ValueEnum;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{
    App, Fail, app,
    drive::{self, Waiting},
    load, plan, run,
};
use crate::{
    journal::SqliteJournal,
    playbook::{Source, Span},
    report,
    rotation::Rotation,
    sandbox::demo::{Demo, Trouble},
};

#[derive(clap::Args)]
pub struct Args {
    /// What goes wrong on the way
    #[arg(long, value_enum)]
    fail: Option<Failing>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Failing {
    /// One instance never picks the new key up: keyroll rolls back
    Verify,
    /// keyroll is killed half-way: another one resumes
    Crash,
}

/// The sandbox's waits are short.
const WAITING: Waiting = Waiting { wait: Some(Span(Duration::from_secs(60))) };

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let trouble = if args.fail == Some(Failing::Verify) { Trouble::OneStuck } else { Trouble::None };
    let demo = Demo::start(trouble).await.map_err(|error| Fail::new(5, format!("the sandbox cannot start: {error}")))?;
    if !app.json() {
        anstream::println!("{}", demo.introduction());
    }
    let journal_path = demo.folder().join("journal.db");
    let code = match args.fail {
        Some(Failing::Crash) => crash(app, &demo, &journal_path).await?,
        _ => rotate(app, &demo, &journal_path).await?,
    };
    let summary = demo.finish().await;
    if app.json() {
        println!("{}", serde_json::json!({ "demo": { "requests_sent": summary.sent, "requests_failed": summary.failed } }));
    } else {
        anstream::println!("\n{summary}");
    }
    if summary.failed > 0 {
        return Err(Fail::new(1, format!("{} requests failed: this must never happen, please report it", summary.failed)));
    }
    Ok(code)
}

async fn rotate(app: &App, demo: &Demo, journal_path: &Path) -> Result<u8, Fail> {
    let journal = SqliteJournal::open(journal_path).await?;
    let source = Arc::new(Source { name: "demo.yaml".into(), text: demo.playbook().to_owned() });
    let loaded = load::text(app, &app.ctx()?, &source).map_err(|faults| Fail::usage(crate::playbook::render(&faults, &source)))?;
    let (plan, seen) = plan::make(app, &loaded, &plan::Old::proved(), Some(&journal)).await?;
    if !app.json() && !app.global.quiet {
        anstream::println!("{}", report::plan(&plan));
    }
    let mut view = drive::view(app);
    let (rotation, lease) = run::open(app, &loaded, &journal, plan, seen, view.as_mut()).await?;
    drive::drive(app, &loaded, &journal, rotation, lease, view.as_mut(), WAITING).await
}

/// Kills a real keyroll process when the store has just taken the new key, then resumes in this one.
async fn crash(app: &App, demo: &Demo, journal_path: &Path) -> Result<u8, Fail> {
    let broken = |error: std::io::Error| Fail::new(5, format!("the sandbox cannot start a second keyroll: {error}"));
    let mut child = tokio::process::Command::new(std::env::current_exe().map_err(broken)?)
        .args(["run", "--output", "json", "--yes", "--journal"])
        .arg(journal_path)
        .arg(demo.playbook_path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let Some(output) = child.stdout.take() else { return Err(Fail::new(5, "the second keyroll has no output")) };
    let mut lines = BufReader::new(output).lines();
    let mut killed = false;
    while let Some(line) = lines.next_line().await.map_err(broken)? {
        let object: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(sentence) = object["sentence"].as_str()
            && !app.json()
        {
            anstream::println!("{sentence}");
        }
        if object["event"]["did"]["promote"].is_u64() {
            child.start_kill().map_err(broken)?;
            killed = true;
            break;
        }
    }
    child.wait().await.map_err(broken)?;
    if !killed {
        return Err(Fail::new(5, "the second keyroll ended before it could be killed"));
    }
    let journal = SqliteJournal::open(journal_path).await?;
    let found: Rotation = app::find(&journal, None).await?;
    if !app.json() {
        anstream::println!(
            "\nkilled (SIGKILL), between two records. The journal says:\n  {}\n\n$ keyroll resume {}",
            report::words::keys(&found),
            found.id
        );
    }
    let loaded = load::journaled(app, &found.plan.origin, &found.playbook)?;
    let mut view = drive::view(app);
    let (rotation, lease) = drive::take(app, &journal, &found.id, view.as_mut()).await?;
    drive::drive(app, &loaded, &journal, rotation, lease, view.as_mut(), WAITING).await
}
