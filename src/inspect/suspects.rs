//! After a leak of a key that makes keys: which keys nothing explains, and which playbooks were called with it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    memory::Memory,
    reconcile::{Site, Survey, survey},
};
use crate::{
    ids::Fingerprint,
    playbook::{Playbook, SecretRef},
    ports::{Failure, Journal, JournalError, Listed, Secrets, World},
    protocol::{Fate, suspect, together},
    rotation::Rotation,
};

/// A key that a person is asked about: kill it, or keep it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suspect {
    /// The provider, in its own description.
    pub provider: String,
    /// The first playbook of that provider, by its place: whose adapter deletes the key.
    pub site: usize,
    /// As it is listed.
    pub listed: Listed,
    /// Stores that could not be read, or whose value nobody can tell: it may be what they serve.
    pub unsure: Vec<String>,
}

impl Suspect {
    /// Whether it is sure that no store serves it: only then may it go without being named.
    pub fn sure(&self) -> bool {
        self.unsure.is_empty()
    }
}

/// Surveys each site. One that cannot be called with its own credential any more is looked at through another site of the same provider.
///
/// # Errors
/// Where the journal cannot be read.
pub async fn surveys(sites: &[Site<'_>], journal: &dyn Journal, memory: &Memory) -> Result<Vec<Survey>, JournalError> {
    let mut all = Vec::new();
    for site in sites {
        all.push(survey(site, Some(journal), memory).await?);
    }
    for at in 0..all.len() {
        if !all[at].unlisted {
            continue;
        }
        let same = |other: &usize| !all[*other].unlisted && sites[*other].world.provider.describe() == sites[at].world.provider.describe();
        let Some(other) = (0..all.len()).find(same) else { continue };
        let (provider, stores) = (sites[other].world.provider.clone(), sites[at].world.stores.clone());
        let world = World { provider, stores, consumers: Vec::new(), outlets: Vec::new() };
        let site = Site { book: sites[at].book, world: &world, identities: sites[at].identities };
        all[at] = survey(&site, Some(journal), memory).await?;
    }
    Ok(all)
}

/// What was looked at, and what of it a person must decide.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lineup {
    /// To be decided, by provider, newest first.
    pub suspects: Vec<Suspect>,
    /// Made before that time: nobody is asked.
    pub older: usize,
    /// Explained by a store, the journal or a person.
    pub explained: usize,
    /// What could not be read.
    pub gaps: Vec<String>,
}

/// Holds all surveys together: a key that any playbook explains is explained. `since`: only what was made from then on, or at a time
/// that the provider does not tell.
pub fn line_up(sites: &[Site<'_>], surveys: &[Survey], since: DateTime<Utc>) -> Lineup {
    let mut lineup = Lineup::default();
    let mut keys: BTreeMap<(String, String), (usize, Listed, Fate)> = BTreeMap::new();
    let mut unsure: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (at, (site, survey)) in sites.iter().zip(surveys).enumerate() {
        let provider = site.world.provider.describe();
        if let Some(open) = &survey.open {
            let what = format!("{}: rotation {open} is open, so what its stores hold was not looked at", site.book.name);
            unsure.entry(provider.clone()).or_default().push(site.book.name.clone());
            lineup.gaps.push(what);
        }
        let doubts = unsure.entry(provider.clone()).or_default();
        doubts.extend(survey.unproved.iter().cloned());
        if !survey.gaps.is_empty() {
            doubts.push(site.book.name.clone());
        }
        lineup.gaps.extend(survey.gaps.iter().map(|gap| format!("{}: {}", site.book.name, gap.what)));
        for key in &survey.keys {
            let place = (provider.clone(), key.listed.id.to_string());
            let known = keys.entry(place).or_insert_with(|| (at, key.listed.clone(), key.fate));
            known.2 = together(known.2, key.fate);
        }
    }
    for ((provider, _), (site, listed, fate)) in keys {
        if !suspect(fate) {
            lineup.explained += 1;
        } else if listed.created_at.is_some_and(|made| made < since) {
            lineup.older += 1;
        } else {
            let unsure = unsure.get(&provider).cloned().unwrap_or_default();
            lineup.suspects.push(Suspect { provider, site, listed, unsure });
        }
    }
    lineup.suspects.sort_by(|one, other| (&one.provider, other.listed.created_at).cmp(&(&other.provider, one.listed.created_at)));
    lineup
}

/// Whether a playbook's provider is called with the leaked key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Calls {
    /// With a reference to where the key stands: it follows the store.
    Here(SecretRef),
    /// With a copy of the leaked key, which works no longer.
    WithTheLeaked(SecretRef),
    /// With a copy of the new key.
    WithTheNew(SecretRef),
    /// Nobody can tell: no playbook rotates the key that leaked.
    Taken,
    /// This reference cannot be read, so nobody knows.
    Unread(SecretRef, Failure),
    /// Not at all.
    No,
}

/// Looks at everything in a provider's block that is a reference. `own` is where the leaked key stood, `rotation` its newest rotation.
pub async fn calls(book: &Playbook, own: &SecretRef, rotation: Option<&Rotation>, salt: &[u8], secrets: &dyn Secrets) -> Calls {
    let leaked = |print: &Fingerprint| {
        let Some(rotation) = rotation else { return false };
        rotation.plan.old.iter().any(|old| old.fingerprint == *print) || rotation.formers.iter().any(|former| former.fingerprint == *print)
    };
    let fresh = |print: &Fingerprint| rotation.is_some_and(|rotation| rotation.new.iter().any(|new| new.fingerprint == *print));
    let mut found = Calls::No;
    for reference in references(book) {
        if reference == *own {
            return Calls::Here(reference);
        }
        match secrets.read(&reference).await {
            Ok(value) if leaked(&value.fingerprint(salt)) => return Calls::WithTheLeaked(reference),
            Ok(value) if fresh(&value.fingerprint(salt)) => return Calls::WithTheNew(reference),
            Ok(_) => {}
            Err(failure) => found = Calls::Unread(reference, failure),
        }
    }
    found
}

/// Every secret reference in a playbook's provider block.
pub fn references(book: &Playbook) -> Vec<SecretRef> {
    let mut found = Vec::new();
    if let Ok(block) = book.provider.read::<serde_json::Value>() {
        gather(&block, &mut found);
    }
    found
}

fn gather(value: &serde_json::Value, found: &mut Vec<SecretRef>) {
    match value {
        serde_json::Value::String(text) => found.extend(text.parse::<SecretRef>()),
        serde_json::Value::Array(all) => all.iter().for_each(|one| gather(one, found)),
        serde_json::Value::Object(all) => all.values().for_each(|one| gather(one, found)),
        _ => {}
    }
}
