//! Whose a leaked value is: compared with the journal's fingerprints, and in memory with what stores hold.

use super::{
    memory::{Memory, Standing, Trace},
    stores::{self, Held, Holdings},
};
use crate::{
    ids::{KeyId, RotationId, Version},
    leak::{Finding, Leaked, Place},
    playbook::Playbook,
    ports::{Listed, World},
    rotation::Rotation,
    secret::Secret,
};

/// One playbook, with everything that leaked values are compared with.
pub struct Ours<'a> {
    /// Its fields.
    pub book: &'a Playbook,
    /// What it touches.
    pub world: &'a World,
    /// What its stores hold.
    pub holdings: Holdings,
    /// What its provider lists; none where it did not answer.
    pub listed: Option<Vec<Listed>>,
    /// Its open rotation.
    pub open: Option<RotationId>,
}

/// A leaked value that is a key of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// The playbook's name.
    pub playbook: String,
    /// Its file, for the next command.
    pub file: String,
    /// The key's id, where it is known.
    pub key: Option<KeyId>,
    /// How it stands; none: an older version of a store holds it, and the journal does not know it.
    pub standing: Option<Standing>,
    /// Whether it works, or may still work.
    pub live: bool,
    /// Whether the provider itself said so.
    pub asked: bool,
    /// The rotation that knows it.
    pub rotation: Option<RotationId>,
    /// The store and version that hold it.
    pub held: Option<(String, Version)>,
    /// What `keyroll emergency --leaked` takes for it; none: it must be revoked by hand.
    pub leaked: Option<String>,
}

/// One finding, judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged {
    /// It is ours.
    Ours(Vec<Match>),
    /// Neither the journal nor a store knows it.
    Unknown,
    /// The report does not tell the value.
    Hidden,
}

impl Judged {
    /// Whether a key of ours that works, or may work, has leaked.
    pub fn live(&self) -> bool {
        matches!(self, Self::Ours(matches) if matches.iter().any(|found| found.live))
    }
}

/// Reads the stores and the provider of one playbook.
pub async fn ours<'a>(world: &'a World, book: &'a Playbook, rotations: &[Rotation]) -> Ours<'a> {
    // Only where the rotation's stores are this playbook's: a version means nothing in another store.
    let mine = rotations.iter().filter(|rotation| rotation.plan.name == book.name && rotation.plan.stores.len() == world.stores.len());
    let mut known: Vec<Vec<Version>> = vec![Vec::new(); world.stores.len()];
    for rotation in mine.clone() {
        for ((all, told), (plan, store)) in known.iter_mut().zip(&rotation.versions).zip(rotation.plan.stores.iter().zip(&world.stores)) {
            if plan.locator == store.locator() {
                all.extend(told.iter().map(|(version, _)| version.clone()));
            }
        }
    }
    let mut holdings = stores::read(world, book, &known).await;
    let listed = match world.provider.list().await {
        Ok(listed) => Some(listed),
        Err(failure) => {
            holdings.gaps.push(failure);
            None
        }
    };
    if let Some(listed) = &listed
        && let Err(failure) = holdings.prove(world, listed).await
    {
        holdings.gaps.push(failure);
    }
    let open = mine.clone().find(|rotation| rotation.state.ended().is_none()).map(|rotation| rotation.id.clone());
    Ours { book, world, holdings, listed, open }
}

/// Judges one finding.
pub async fn judge(finding: &Finding, salt: &[u8], memory: &Memory, all: &[Ours<'_>]) -> Judged {
    let traces: Vec<&Trace> = match &finding.leaked {
        Leaked::Hidden => return Judged::Hidden,
        Leaked::Values(values) => values.iter().filter_map(|value| memory.trace(&value.fingerprint(salt))).collect(),
        Leaked::Sha1(_) => Vec::new(),
    };
    let mut matches: Vec<Match> = Vec::new();
    for ours in all {
        let mut held: Vec<&Held> = ours.holdings.held.iter().filter(|held| same(&finding.leaked, &held.secret)).collect();
        held.sort_by_key(|held| !held.current);
        let held = held.first().copied();
        let by_value = held.and_then(|held| memory.trace(&held.secret.fingerprint(salt)));
        let here = |trace: &&Trace| trace.playbook == ours.book.name && trace.provider == ours.world.provider.describe();
        let trace = by_value.or_else(|| traces.iter().copied().find(here));
        if held.is_some() || trace.is_some() {
            matches.push(matched(ours, held, trace).await);
        }
    }
    for trace in traces {
        // A rotation of a playbook that was not named.
        if !matches.iter().any(|found| found.playbook == trace.playbook) {
            matches.push(journaled(trace));
        }
    }
    if matches.is_empty() { Judged::Unknown } else { Judged::Ours(matches) }
}

/// A value as a scanner saw it may have more around it than the key.
fn same(leaked: &Leaked, ours: &Secret) -> bool {
    match leaked {
        Leaked::Values(values) => values.iter().any(|value| value.same(ours) || ours.within(value)),
        Leaked::Sha1(hash) => ours.sha1() == *hash,
        Leaked::Hidden => false,
    }
}

async fn matched(ours: &Ours<'_>, held: Option<&Held>, trace: Option<&Trace>) -> Match {
    let told = trace.map(|trace| trace.standing);
    let standing = match held {
        // The store says what is in use now; only an open rotation knows better which of its two keys that is.
        Some(held) if held.current && told != Some(Standing::New) => Some(Standing::Current),
        _ => told,
    };
    let key = held.and_then(|held| held.proved.clone()).or_else(|| trace.and_then(|trace| trace.key.clone()));
    let alive = match (&key, &ours.listed, held) {
        (Some(key), Some(listed), _) => Some(listed.iter().any(|one| one.id == *key && one.enabled)),
        // While a rotation is open nobody but its services may call with its keys: the provider's usage figures must stay theirs.
        (None, Some(_), Some(held)) if ours.open.is_none() => stores::works(ours.world, held).await,
        _ => None,
    };
    Match {
        playbook: ours.book.name.clone(),
        file: ours.book.source.name.clone(),
        leaked: leaked(standing, key.as_ref(), ours.open.is_some()),
        key,
        standing,
        live: alive.unwrap_or(standing != Some(Standing::Dead)),
        asked: alive.is_some(),
        rotation: trace.map(|trace| trace.rotation.clone()),
        held: held.map(|held| (held.store.clone(), held.version.clone())),
    }
}

fn journaled(trace: &Trace) -> Match {
    let open = matches!(trace.standing, Standing::New | Standing::Previous);
    Match {
        playbook: trace.playbook.clone(),
        file: trace.origin.clone(),
        leaked: leaked(Some(trace.standing), trace.key.as_ref(), open),
        key: trace.key.clone(),
        standing: Some(trace.standing),
        live: trace.standing != Standing::Dead,
        asked: false,
        rotation: Some(trace.rotation.clone()),
        held: None,
    }
}

/// The name of a key for the emergency. While a rotation is open an id is the only word that cannot be misread.
fn leaked(standing: Option<Standing>, key: Option<&KeyId>, open: bool) -> Option<String> {
    match (standing, key) {
        (Some(Standing::Current), None) => Some("current".into()),
        (Some(Standing::Current), _) if !open => Some("current".into()),
        (Some(Standing::New), _) => Some("new".into()),
        (_, Some(key)) => Some(key.to_string()),
        _ => None,
    }
}

/// A finding as it may be told: without its value, and without any secret in the texts around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// What the scanner calls the kind of secret.
    pub detector: String,
    /// Where it was found.
    pub place: Place,
    /// The report told a hash.
    pub by_hash: bool,
    /// Whose it is.
    pub judged: Judged,
}

/// What stands in a secret's place.
const HIDDEN: &str = "•••";
/// Shorter texts would be found in any path.
const SHORTEST: usize = 6;

/// Takes out what must not be told: `secrets` are all that are in hand, the report's and the stores'.
pub fn tell(finding: &Finding, judged: Judged, secrets: &[&Secret]) -> Told {
    let tidy = |text: &String| tidy(text, secrets);
    let place =
        Place { file: finding.place.file.as_ref().map(tidy), line: finding.place.line, commit: finding.place.commit.as_ref().map(tidy) };
    Told { detector: tidy(&finding.detector), place, by_hash: matches!(finding.leaked, Leaked::Sha1(_)), judged }
}

fn tidy(text: &str, secrets: &[&Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().map(|secret| secret.reveal().trim()).filter(|secret| secret.chars().count() >= SHORTEST) {
        text = text.replace(secret, HIDDEN);
    }
    // A repository's address may hold a login.
    if let Some((scheme, rest)) = text.split_once("://") {
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if let Some((_, host)) = host.rsplit_once('@') {
            text = format!("{scheme}://{HIDDEN}@{host}{path}");
        }
    }
    text
}
