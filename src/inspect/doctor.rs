//! What stands ready for a rotation and what does not, before anybody needs it. Reads only.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    driver::{self, Overrides},
    ids::KeyId,
    playbook::{Instances, Playbook, SecretRef, Span, quoted},
    ports::{Clock, Failure, Journal, Like, Problem, Secrets, World},
    protocol::widened,
    record::OldKey,
    rotation::Rotation,
};

/// How one thing stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// As it should be.
    Well,
    /// Worth knowing; a rotation could run.
    Odd {
        /// What to do about it.
        fix: String,
    },
    /// A rotation could not run.
    Ill {
        /// What to do about it.
        fix: String,
        /// It could not be asked at all.
        unreachable: bool,
    },
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// In one word: `provider`, `store`, `clock`.
    pub part: String,
    /// What was found.
    pub what: String,
    /// How it stands.
    pub health: Health,
}

impl Line {
    /// As it should be.
    pub fn well(part: impl Into<String>, what: impl Into<String>) -> Self {
        Self { part: part.into(), what: what.into(), health: Health::Well }
    }
    /// Worth knowing.
    pub fn odd(part: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { part: part.into(), what: what.into(), health: Health::Odd { fix: fix.into() } }
    }
    /// In the way of a rotation.
    pub fn ill(part: impl Into<String>, problem: Problem) -> Self {
        let health = Health::Ill { fix: problem.hint, unreachable: problem.unreachable };
        Self { part: part.into(), what: problem.what, health }
    }
}

/// Clocks this much apart are told: times on the wire are whole seconds.
const SKEW: TimeDelta = TimeDelta::seconds(5);
/// A key that stops working by itself is told this long before.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(14);

/// Looks at one playbook. `open`: a rotation of its key is under way, so its consumers may be between two keys.
pub async fn playbook(
    world: &World,
    book: &Playbook,
    secrets: &dyn Secrets,
    clock: &dyn Clock,
    overrides: &Overrides,
    open: Option<&Rotation>,
) -> Vec<Line> {
    let mut lines = references(&book.references(), secrets).await;
    lines.extend(clocks(world, clock.now()).await);
    let examined = driver::examine(world, book, clock, overrides).await;
    for (part, what, problems) in examined.parts {
        if problems.is_empty() {
            lines.push(Line::well(part, what));
        } else {
            // What the configuration was told about already is not told again by everything that needs it.
            let told: Vec<String> = lines.iter().map(|line| line.what.clone()).collect();
            lines.extend(problems.into_iter().filter(|problem| !told.contains(&problem.what)).map(|problem| Line::ill(part, problem)));
        }
    }
    if let Some(open) = open {
        let what = format!("rotation {} is open: consumers may be between two keys", open.id);
        lines.push(Line::odd("rotation", what, format!("keyroll show {}", open.id)));
    }
    if let Some(old) = &examined.old {
        lines.push(age(old, book.every, clock.now()));
        if let Some(id) = &old.id {
            lines.extend(allowed(world, book, id).await);
        }
    }
    lines.extend(guarded(world, book).await);
    if let Some(pass) = &examined.consumers {
        lines.extend(consumers(book, pass, open.is_some()));
    }
    lines
}

/// Whether the key in use may do more than the playbook says: it was made before the playbook said so, or somebody changed it.
async fn allowed(world: &World, book: &Playbook, key: &KeyId) -> Option<Line> {
    let port = world.provider.attributes()?;
    let both = async { Ok::<_, Failure>((port.of(key).await?, port.planned(Some(Like::Key(key)), &book.limits).await?)) };
    Some(match both.await {
        Ok((has, planned)) => match widened(&planned, &has) {
            more if more.is_empty() => Line::well("limits", format!("key {key} may do no more than the playbook says")),
            more => {
                let what = format!("key {key} may do more than the playbook says: {}", more.join(", "));
                Line::odd("limits", what, format!("keyroll run {}    (the new key gets the playbook's limits)", quoted(&book.source.name)))
            }
        },
        Err(failure) => Line::ill("limits", failure.into()),
    })
}

/// The playbook's monthly limit and alerts against what the account has: nobody but a person changes those.
async fn guarded(world: &World, book: &Playbook) -> Option<Line> {
    let (guard, wanted) = (world.provider.guard()?, book.limits.monthly?);
    let fix = |what: &str| format!("{what} at the provider, for {}", guard.whose());
    Some(match guard.monthly().await {
        Err(failure) => Line::ill("limits", failure.into()),
        Ok((None, _)) => Line::odd("limits", format!("{} has no monthly limit", guard.whose()), fix(&format!("set one of {wanted} USD"))),
        Ok((Some(most), _)) if most > wanted => {
            let what = format!("{} may spend {most} USD in a month, and the playbook says {wanted}", guard.whose());
            Line::odd("limits", what, fix(&format!("lower it to {wanted} USD")))
        }
        Ok((Some(most), alerts)) => match book.limits.alerts.iter().find(|percent| !alerts.contains(percent)) {
            Some(missing) => Line::odd("limits", format!("{} tells nobody at {missing} %", guard.whose()), fix("add that alert")),
            None => Line::well("limits", format!("{} may spend {most} USD in a month", guard.whose())),
        },
    })
}

async fn references(all: &[SecretRef], secrets: &dyn Secrets) -> Vec<Line> {
    let mut lines = Vec::new();
    for reference in all {
        if let Err(failure) = secrets.read(reference).await {
            lines.push(Line::ill("configuration", failure.into()));
        }
    }
    if lines.is_empty() {
        let what = match all.len() {
            0 => "it is valid, and refers to no secret".to_owned(),
            1 => "it is valid, and its one reference to a secret resolves".to_owned(),
            many => format!("it is valid, and its {many} references to secrets resolve"),
        };
        lines.push(Line::well("configuration", what));
    }
    lines
}

async fn clocks(world: &World, now: DateTime<Utc>) -> Vec<Line> {
    let mut lines = Vec::new();
    for store in &world.stores {
        // A store that cannot be asked is told by its own check.
        let Ok(Some(theirs)) = store.clock().await else { continue };
        let apart = (now - theirs).abs();
        let what = format!("this machine and {} are {}s apart", store.locator(), apart.num_seconds());
        lines.push(if apart > SKEW {
            Line::odd(
                "clock",
                what,
                "set this machine's clock (timedatectl set-ntp true); until then every wait is as long as the slower clock says",
            )
        } else {
            Line::well("clock", what)
        });
    }
    lines
}

fn age(old: &OldKey, every: Option<Span>, now: DateTime<Utc>) -> Line {
    let id = old.id.as_ref().map_or_else(|| "the key in use (which one is not proved)".to_owned(), |id| format!("key {id}"));
    let lived = old.created_at.map(|made| now - made);
    let made = lived.map_or_else(|| "of unknown age".to_owned(), |lived| format!("{} old", days(lived)));
    if let Some(left) = old.expires_at.map(|end| end - now) {
        if left <= TimeDelta::zero() {
            let what = format!("{id}, {made}, has expired");
            return Line::ill("key", Problem::new(what, "keyroll run --replace PLAYBOOK"));
        }
        if left < EXPIRES_SOON {
            return Line::odd("key", format!("{id}, {made}, stops working in {}", days(left)), "keyroll run PLAYBOOK");
        }
    }
    if old.id.is_none() {
        let fix = "name it with --old-key-id when you rotate, or revoke the old key by hand at the end";
        return Line::odd("key", id, fix);
    }
    match (lived, every) {
        (Some(lived), Some(every)) if lived.to_std().unwrap_or_default() > every.0 => {
            Line::odd("key", format!("{id} is {}, more than `every: {every}`", made), "keyroll run PLAYBOOK")
        }
        _ => {
            let end = old.expires_at.map_or_else(String::new, |end| format!(", works until {}", end.format("%Y-%m-%d")));
            Line::well("key", format!("{id}, {made}{end}"))
        }
    }
}

fn days(length: TimeDelta) -> String {
    let length = length.to_std().unwrap_or_default();
    let whole = if length >= Duration::from_secs(86_400) { length.as_secs() / 86_400 * 86_400 } else { length.as_secs() };
    Span::secs(whole).to_string()
}

fn consumers(book: &Playbook, pass: &driver::Counted, moving: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for spec in &book.consumers {
        if matches!(spec.instances, Instances::Job(_)) {
            lines.push(Line::well("consumer", format!("{}: a job; nothing of it has to run now", spec.name)));
            continue;
        }
        let proved = pass.proved.iter().filter(|proof| proof.consumer == spec.name).count();
        let missing: Vec<_> = pass.missing.iter().filter(|missing| missing.consumer == spec.name).collect();
        if missing.is_empty() {
            let what = format!("{}: {proved} of {proved} instances run and use the key in use", spec.name);
            lines.push(Line::well("consumer", what));
        }
        for missing in missing {
            let who = missing.instance.as_ref().map_or_else(String::new, |id| format!(" {id}:"));
            let what = format!("{}:{who} {} ({proved} use the key in use)", spec.name, missing.why);
            let fix = "check `instances` and `health` of this consumer, and that the instance runs";
            lines.push(if moving {
                Line::odd("consumer", what, "wait for the open rotation, or look at it: keyroll status")
            } else {
                Line::ill("consumer", Problem { unreachable: missing.unreachable, ..Problem::new(what, fix) })
            });
        }
    }
    lines
}

/// Reads a whole journal: every chain is computed again.
pub async fn journal(journal: &dyn Journal) -> Vec<Line> {
    let entries = match journal.entries().await {
        Ok(entries) => entries,
        Err(error) => return vec![Line::ill("journal", Problem::new(error.to_string(), "put a copy of the journal back"))],
    };
    let (mut lines, mut records) = (Vec::new(), 0);
    let fix = "keep this file as it is, put a copy back, and find out who changed it";
    for entry in &entries {
        let found = match journal.records(&entry.rotation).await {
            Ok(found) => found,
            Err(error) => {
                lines.push(Line::ill("journal", Problem::new(error.to_string(), fix)));
                continue;
            }
        };
        records += found.len();
        if let Err(broken) = Rotation::fold(&found) {
            lines.push(Line::ill("journal", Problem::new(format!("rotation {}: {broken}", entry.rotation), fix)));
        }
    }
    let decrees = match journal.decrees().await {
        Ok(decrees) => decrees.len(),
        Err(error) => {
            lines.push(Line::ill("journal", Problem::new(error.to_string(), fix)));
            0
        }
    };
    if lines.is_empty() {
        let what = format!("rotations: {}, records: {records}, decrees: {decrees}; every hash is right", entries.len());
        lines.push(Line::well("journal", what));
    }
    lines
}
