//! `keyroll freeze`: nothing risky begins for a time.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{App, Fail, app, person::person};
use crate::{
    batch::survey,
    playbook::Span,
    ports::{Clock, Journal},
    record::Decree,
    report,
    schedule::{Freeze, freezes, outlived},
};

#[derive(clap::Args)]
pub struct Args {
    /// Playbooks' names; without one, all of them
    #[arg(requires = "until")]
    playbooks: Vec<String>,
    /// Its end: `2026-12-28`, `2026-12-28T06:00:00Z`, or a length from now on: `2d`
    #[arg(long, value_name = "WHEN", requires = "reason", conflicts_with = "end")]
    until: Option<String>,
    /// End this freeze now; `keyroll freeze` shows the numbers
    #[arg(long, value_name = "NUMBER", requires = "reason")]
    end: Option<u64>,
    /// Why; it is recorded
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let reason = args.reason.clone().unwrap_or_default();
    match (&args.until, args.end) {
        (Some(until), _) => freeze(app, until, &reason, &args.playbooks).await,
        (None, Some(number)) => thaw(app, number, reason).await,
        (None, None) if args.reason.is_some() => {
            Err(Fail::usage("a reason alone freezes nothing").next("keyroll freeze --until WHEN --reason '…'"))
        }
        (None, None) => list(app).await,
    }
}

async fn freeze(app: &App, until: &str, reason: &str, playbooks: &[String]) -> Result<u8, Fail> {
    let now = app.clock.now();
    let until = moment(until, now)?;
    if until <= now {
        return Err(Fail::usage(format!("{} is over already", until.format("%Y-%m-%d %H:%M UTC"))));
    }
    let journal = app.journal().await?;
    let decree = Decree::Freeze { playbooks: playbooks.to_vec(), until, reason: reason.to_owned() };
    let decreed = journal.decree(now, &person(), decree).await?;
    let all = freezes(&journal.decrees().await?);
    let Some(freeze) = all.into_iter().find(|freeze| freeze.number == decreed.seq) else { return Ok(0) };
    let warnings = warnings(journal, &freeze).await?;
    if app.json() {
        println!("{}", json(&freeze, &warnings));
        return Ok(0);
    }
    let whom = if playbooks.is_empty() { "every playbook".to_owned() } else { playbooks.join(", ") };
    anstream::println!("freeze {}: nothing risky begins for {whom} until {}", freeze.number, freeze.until.format("%Y-%m-%d %H:%M UTC"));
    anstream::println!("rollbacks and emergencies go on; to end it: keyroll freeze --end {} --reason '…'", freeze.number);
    for warning in warnings {
        anstream::eprintln!("warning: {warning}");
    }
    Ok(0)
}

/// Playbooks that the journal does not know, and keys that expire under the freeze.
async fn warnings(journal: &dyn Journal, freeze: &Freeze) -> Result<Vec<String>, Fail> {
    let entries = journal.entries().await?;
    let mut names: Vec<&String> = entries.iter().map(|entry| &entry.name).collect();
    names.sort();
    names.dedup();
    let strangers = freeze.playbooks.iter().filter(|name| !names.contains(name));
    let mut warnings: Vec<String> =
        strangers.map(|name| format!("the journal knows no playbook `{name}` yet: check that it is spelled as in its `name`")).collect();
    for name in names.into_iter().filter(|name| freeze.covers(name)) {
        let rotations: Vec<_> =
            entries.iter().filter(|entry| entry.name == *name).map(|entry| (entry.rotation.clone(), entry.open)).collect();
        let survey = survey(journal, &rotations, None).await?;
        let open = survey.newest.filter(|rotation| rotation.state.ended().is_none());
        let Some(key) = open.map(|rotation| report::key_of(&rotation)).or(survey.past.key) else { continue };
        if let Some(expires) = key.expires.filter(|_| outlived(freeze, name, &key)) {
            let expires = expires.format("%Y-%m-%d %H:%M UTC");
            warnings
                .push(format!("the key of `{name}` stops working on {expires}, before this freeze ends: it cannot be replaced in time"));
        }
    }
    Ok(warnings)
}

async fn thaw(app: &App, number: u64, reason: String) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    if !freezes(&journal.decrees().await?).iter().any(|freeze| freeze.number == number) {
        return Err(Fail::usage(format!("there is no freeze {number}")).next("keyroll freeze"));
    }
    journal.decree(app.clock.now(), &person(), Decree::Thaw { freeze: number, reason }).await?;
    if !app.json() {
        anstream::println!("freeze {number} is over");
    }
    Ok(0)
}

async fn list(app: &App) -> Result<u8, Fail> {
    let now = app.clock.now();
    let decrees = match app.existing_journal().await? {
        Some(journal) => journal.decrees().await?,
        None => Vec::new(),
    };
    let on: Vec<Freeze> = freezes(&decrees).into_iter().filter(|freeze| freeze.is_on(now)).collect();
    if app.json() {
        println!("{}", serde_json::Value::Array(on.iter().map(|freeze| json(freeze, &[])).collect()));
    } else if on.is_empty() {
        anstream::println!("nothing is frozen\nnext: keyroll freeze --until 2d --reason '…' [PLAYBOOK-NAME…]");
    } else {
        anstream::print!("{}", report::freezes(&on, now));
    }
    Ok(0)
}

fn json(freeze: &Freeze, warnings: &[String]) -> serde_json::Value {
    serde_json::json!({
        "number": freeze.number, "playbooks": freeze.playbooks, "until": freeze.until, "reason": freeze.reason, "by": freeze.by,
        "warnings": warnings,
    })
}

/// A time, a day's beginning (UTC), or a length from now on.
fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Fail> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Some(midnight) = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(midnight.and_utc());
    }
    let length = text.parse::<Span>().ok().and_then(|span| TimeDelta::from_std(span.0).ok());
    length.and_then(|length| now.checked_add_signed(length)).ok_or_else(|| {
        Fail::usage("--until is not a time")
            .detail("write a day (`2026-12-28`: its beginning, UTC), a time (`2026-12-28T06:00:00Z`), or a length from now on (`2d`)")
    })
}
