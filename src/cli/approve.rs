//! `keyroll approve`: another person's word for a plan; and the part of `run` that asks for it and takes it.

use std::{io::IsTerminal, time::Duration};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{App, Fail, app, person::person};
use crate::{
    ports::{Clock, Journal},
    record::{Approval, Decree, Decreed, Matters, Plan},
    report,
    secret::hex,
};

#[derive(clap::Args)]
pub struct Args {
    /// The proposal's id, as `run` printed it and `status` shows it
    id: String,
    /// Who you are, where several people share one user of the operating system; both are recorded
    #[arg(long = "as", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Do not ask; without a terminal this is needed
    #[arg(short, long)]
    yes: bool,
}

/// A plan that was proposed, and what became of it.
pub struct Proposal<'d> {
    /// Its id.
    pub id: &'d str,
    /// The playbook's name.
    pub playbook: &'d str,
    hash: &'d str,
    /// From then on it is worth nothing.
    pub expires: DateTime<Utc>,
    matters: &'d Matters,
    plan: &'d str,
    then: &'d str,
    /// The operating system's user who proposed it.
    pub by: &'d str,
    approved: Option<Approval>,
    used: bool,
}

/// All proposals, in order.
pub fn proposals(decrees: &[Decreed]) -> Vec<Proposal<'_>> {
    let mut all: Vec<Proposal<'_>> = Vec::new();
    for decreed in decrees {
        match &decreed.decree {
            Decree::Proposed { id, playbook, hash, expires, matters, plan, then } => {
                let (approved, used, expires, by) = (None, false, *expires, decreed.by.as_str());
                all.push(Proposal { id, playbook, hash, expires, matters, plan, then, by, approved, used });
            }
            Decree::Approved { id, name } => {
                if let Some(proposal) = all.iter_mut().find(|proposal| proposal.id == id) {
                    let word = Approval { id: id.clone(), by: decreed.by.clone(), name: name.clone(), at: decreed.at };
                    proposal.approved.get_or_insert(word);
                }
            }
            Decree::Used { id } => all.iter_mut().filter(|proposal| proposal.id == id).for_each(|proposal| proposal.used = true),
            _ => {}
        }
    }
    all
}

impl Proposal<'_> {
    fn open(&self, now: DateTime<Utc>) -> bool {
        !self.used && now < self.expires
    }

    /// One line for `status`.
    pub fn line(&self) -> String {
        format!("{}: a plan by {} waits for another person's approval until {}", self.playbook, self.by, at(self.expires))
    }

    /// For programs, with the fields that every row of `status` has.
    pub fn json(&self) -> serde_json::Value {
        let command = format!("keyroll approve {}", self.id);
        serde_json::json!({
            "name": self.playbook, "proposal": self.id, "proposed_by": self.by, "expires": self.expires,
            "next": [{ "command": command, "what_for": "by another person" }], "exit_code": 6,
        })
    }
}

/// Of each playbook the newest plan, where it still waits.
pub fn waiting(decrees: &[Decreed], now: DateTime<Utc>) -> Vec<Proposal<'_>> {
    let mut newest = std::collections::BTreeMap::new();
    for proposal in proposals(decrees) {
        newest.insert(proposal.playbook, proposal);
    }
    newest.into_values().filter(|proposal| proposal.approved.is_none() && proposal.open(now)).collect()
}

fn at(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let decrees = journal.decrees().await?;
    let now = app.clock.now();
    let all = proposals(&decrees);
    let Some(proposal) = all.iter().rev().find(|proposal| proposal.id == args.id) else {
        let waiting = waiting(&decrees, now);
        let none = Fail::usage(format!("nothing was proposed as `{}` in this journal", args.id));
        return Err(match waiting.is_empty() {
            true => none.detail("no plan waits for approval").next("keyroll status"),
            false => waiting.iter().fold(none, |fail, one| fail.detail(one.line()).next(format!("keyroll approve {}", one.id))),
        });
    };
    let user = person();
    refuse(proposal, &all, args.name.as_deref().unwrap_or(&user), now)?;
    if app.json() {
        println!("{}", serde_json::json!({ "proposal": proposal.json(), "hash": proposal.hash, "matters": proposal.matters }));
    } else {
        anstream::println!("{}", proposal.plan);
        anstream::println!("Proposed by {}; the approval is good once, until {}, and for exactly this.", proposal.by, at(proposal.expires));
    }
    confirm(app, args)?;
    journal.decree(now, &user, Decree::Approved { id: proposal.id.to_owned(), name: args.name.clone() }).await?;
    if !app.json() {
        let name = args.name.as_ref().map_or_else(String::new, |name| format!(" (as {name})"));
        anstream::println!("approved by {user}{name}\nnext: {}", proposal.then);
    }
    Ok(0)
}

/// Why this proposal cannot be approved by this person now.
fn refuse(proposal: &Proposal<'_>, all: &[Proposal<'_>], who: &str, now: DateTime<Utc>) -> Result<(), Fail> {
    let id = proposal.id;
    let fail = |what: String| Err(Fail::usage(what).detail("nothing was changed").next(proposal.then));
    if proposal.used {
        return fail(format!("the rotation that {id} was for has begun: an approval is good once"));
    }
    if now >= proposal.expires {
        return fail(format!("proposal {id} expired at {}: plan anew", at(proposal.expires)));
    }
    if let Some(word) = &proposal.approved {
        return fail(format!("{} approved {id} already", word.by));
    }
    let newest = all.iter().rev().find(|other| other.playbook == proposal.playbook).filter(|newest| newest.id != id);
    if let Some(newest) = newest {
        let what = format!("a newer plan of `{}` was proposed since, as {}", proposal.playbook, newest.id);
        return Err(Fail::usage(what).next(format!("keyroll approve {}", newest.id)));
    }
    if proposal.by == who {
        let what = format!("{} proposed this plan, so another person must approve it", proposal.by);
        let next = format!("keyroll approve {id}    (by somebody else; --as NAME where all share one user)");
        return Err(Fail::usage(what).detail("nothing was changed").next(next));
    }
    Ok(())
}

fn confirm(app: &App, args: &Args) -> Result<(), Fail> {
    if args.yes {
        return Ok(());
    }
    if app.json() || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let what = "there is no terminal to ask on; nothing was approved";
        return Err(Fail::usage(what).next(format!("keyroll approve {} --yes    (after reading the plan)", args.id)));
    }
    let yes = dialoguer::Confirm::new().with_prompt("Approve this plan?").default(false).interact().unwrap_or(false);
    if yes { Ok(()) } else { Err(Fail::usage("not confirmed; nothing was approved")) }
}

/// What `run` makes of a plan that needs another person's word.
pub enum Word {
    /// It was given for exactly this plan.
    Given(Approval),
    /// It is awaited; people have been told what to type.
    Awaited,
}

fn hash(matters: &Matters) -> Result<String, Fail> {
    let text = serde_json::to_vec(matters).map_err(|error| Fail::new(5, format!("the plan cannot be written as JSON: {error}")))?;
    Ok(hex(&Sha256::digest(text)))
}

/// How long a timer's plan waits for approval.
pub const USUAL: Duration = Duration::from_secs(24 * 3600);

/// Looks for another person's word for exactly this plan; where there is none, proposes it. `then`: the command that goes on.
pub async fn ask(app: &App, journal: &dyn Journal, plan: &Plan, lasts: Duration, then: &str) -> Result<Word, Fail> {
    let (decrees, now) = (journal.decrees().await?, app.clock.now());
    let matters = plan.matters();
    let hash = hash(&matters)?;
    let all = proposals(&decrees);
    let mut same = all.iter().rev().filter(|proposal| proposal.hash == hash && proposal.open(now));
    if let Some(word) = same.clone().find_map(|proposal| proposal.approved.clone()) {
        return Ok(Word::Given(word));
    }
    let (id, expires, why) = match same.next() {
        Some(waits) => (waits.id.to_owned(), waits.expires, None),
        None => {
            let last = all.iter().rev().find(|proposal| proposal.playbook == plan.name).filter(|last| !last.used);
            let id = fresh(&all);
            let lasts = chrono::TimeDelta::from_std(lasts).unwrap_or(chrono::TimeDelta::MAX);
            let expires = now.checked_add_signed(lasts).unwrap_or(DateTime::<Utc>::MAX_UTC);
            let (why, text) = (last.map(|last| lapsed(last, &matters, now)), anstream::adapter::strip_str(&report::plan(plan)).to_string());
            let decree = Decree::Proposed {
                id: id.clone(),
                playbook: plan.name.clone(),
                hash,
                expires,
                matters: Box::new(matters),
                plan: text,
                then: then.to_owned(),
            };
            journal.decree(now, &person(), decree).await?;
            (id, expires, why)
        }
    };
    tell(app, plan, &id, expires, why.as_deref(), then);
    Ok(Word::Awaited)
}

fn tell(app: &App, plan: &Plan, id: &str, expires: DateTime<Utc>, why: Option<&str>, then: &str) {
    if app.json() {
        let object = serde_json::json!({
            "waits_for_approval": { "proposal": id, "playbook": plan.name, "expires": expires, "because": why },
            "plan": report::plan_json(plan), "next": [format!("keyroll approve {id}"), then], "exit_code": 6,
        });
        println!("{object}");
        return;
    }
    if !app.global.quiet {
        anstream::println!("{}", report::plan(plan));
    }
    if let Some(why) = why {
        anstream::println!("{why}");
    }
    anstream::println!("{}: waits for another person's approval until {}; nothing was changed", plan.name, at(expires));
    anstream::println!("next: keyroll approve {id}    (by another person)\nnext: {then}    (then)");
}

/// What became of the proposal before this one.
fn lapsed(last: &Proposal<'_>, now_matters: &Matters, now: DateTime<Utc>) -> String {
    let what = match &last.approved {
        Some(word) => format!("{}'s approval of {}", word.by, last.id),
        None => format!("proposal {}", last.id),
    };
    let changed = changes(last.matters, now_matters);
    if changed.is_empty() || now >= last.expires {
        return format!("{what} expired at {}; the plan is proposed anew", at(last.expires));
    }
    format!("the world changed since {what}: {}; the plan is proposed anew", changed.join("; "))
}

/// What differs, in words.
fn changes(before: &Matters, after: &Matters) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |differs: bool, what: &str| {
        if differs {
            found.push(what.to_owned());
        }
    };
    note(before.playbook != after.playbook, "the playbook is another");
    note(before.provider != after.provider, "it is another provider");
    note(before.rules.kind != after.rules.kind, "it is another kind of rotation");
    note(before.old != after.old, "another key is in use, or it is proved in another way");
    note(before.waits != after.waits, "the waits are others");
    note(before.stores.len() != after.stores.len(), "the stores are others");
    for (was, is) in before.stores.iter().zip(&after.stores).filter(|(was, is)| was != is) {
        let version =
            |store: &crate::record::StorePlan| store.base.as_ref().map_or_else(|| "empty".into(), |base| format!("version {base}"));
        found.push(format!("{} was {}, and is {}", was.locator, version(was), version(is)));
    }
    if before.consumers.len() != after.consumers.len() {
        found.push("the consumers are others".into());
    }
    for ((name, was, _), (_, is, _)) in before.consumers.iter().zip(&after.consumers).filter(|(was, is)| was != is) {
        found.push(format!("of {name} {was} had to prove the key, and now {is}"));
    }
    if found.is_empty() && before != after {
        found.push("the rules of the rotation are others".into());
    }
    found
}

/// A short id that no proposal has, without letters that look alike.
fn fresh(all: &[Proposal<'_>]) -> String {
    const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
    loop {
        let id: String = (0..6).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())])).collect();
        if all.iter().all(|proposal| proposal.id != id) {
            return id;
        }
    }
}

/// Takes the approval for the rotation that begins now. Of two runs that come at once, one gets it.
pub async fn take(app: &App, journal: &dyn Journal, word: &Approval) -> Result<(), Fail> {
    let used = journal.decree(app.clock.now(), &person(), Decree::Used { id: word.id.clone() }).await?;
    let decrees = journal.decrees().await?;
    let first = decrees.iter().find(|decreed| matches!(&decreed.decree, Decree::Used { id } if *id == word.id));
    if first.is_some_and(|first| first.seq == used.seq) {
        return Ok(());
    }
    Err(Fail::new(4, format!("another keyroll has just used approval {}: it is good once", word.id)).next("keyroll status"))
}
