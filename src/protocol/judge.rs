//! Pure judgements over what was read: instances, listings and clocks. The driver gathers, these decide.

use std::time::Duration;

use super::words::Answer;
use crate::ids::{InstanceId, KeyId};

/// What one instance showed in one pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Showing {
    /// The key that is looked for, and it is well.
    Wanted,
    /// The key that is looked for, and it is ill.
    WantedButIll,
    /// Another key.
    Other,
    /// Nothing that can be used: no answer, no claim.
    Nothing,
}

/// How many passes in a row an instance must be ill before that counts: a process that is just starting may be ill once.
pub const ILL_PASSES: u32 = 3;

/// Judges passes over one or more consumers: everyone, for long enough, before the deadline.
#[derive(Clone, Debug)]
pub struct Jury {
    stable_for: Duration,
    within: Duration,
    since: Option<Duration>,
    ill: Vec<(InstanceId, u32)>,
}

impl Jury {
    /// Everyone must prove it for `stable_for`, and the last of that must begin before `within` is over.
    pub fn new(stable_for: Duration, within: Duration) -> Self {
        Self { stable_for, within, since: None, ill: Vec::new() }
    }

    /// Takes one pass, `now` after the first one began; says the verdict, if there is one.
    ///
    /// `short` is how many expected instances were not found at all. Instances are told apart by id: one that is listed
    /// twice counts once.
    pub fn pass(&mut self, now: Duration, showing: &[(InstanceId, Showing)], short: usize) -> Option<Answer> {
        self.count_ill(showing);
        if self.ill.iter().any(|(_, passes)| *passes >= ILL_PASSES) {
            return Some(Answer::Bad);
        }
        if short == 0 && showing.iter().all(|(_, shows)| *shows == Showing::Wanted) {
            let since = *self.since.get_or_insert(now);
            if now.saturating_sub(since) >= self.stable_for {
                return Some(Answer::Yes);
            }
        } else {
            self.since = None;
        }
        // A proof that has begun may end: stable_for is no reason to fail at the deadline.
        (now >= self.within && self.since.is_none()).then_some(Answer::No)
    }

    fn count_ill(&mut self, showing: &[(InstanceId, Showing)]) {
        let before = std::mem::take(&mut self.ill);
        for (id, _) in showing.iter().filter(|(_, shows)| *shows == Showing::WantedButIll) {
            let passes = before.iter().find(|(known, _)| known == id).map_or(0, |(_, passes)| *passes);
            self.ill.push((id.clone(), passes + 1));
        }
    }
}

/// How many of `expected` are missing among these distinct instances.
pub fn short(expected: usize, showing: &[(InstanceId, Showing)]) -> usize {
    let mut ids: Vec<_> = showing.iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    expected.saturating_sub(ids.len())
}

/// A listed key, as far as settling a lost create needs it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: &'a KeyId,
    /// Its name is exactly one that this rotation intended.
    pub named_ours: bool,
    /// It was listed before this rotation.
    pub known: bool,
    /// It was made after our first create was intended; none: the provider does not tell.
    pub made_since: Option<bool>,
    /// It was used, as far as anybody knows.
    pub used: bool,
    /// A store holds it.
    pub held: bool,
}

/// What lost creates left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leftover {
    /// Nothing.
    Nothing,
    /// This key is ours and nobody's.
    Stray(KeyId),
    /// This key appeared, and nothing shows that it is ours: never swept (I3).
    Unclear(KeyId),
}

/// Finds a key that a lost create of this rotation left. `ours` is the new key in use and all tombstones; `named` says whether
/// the provider lists names. Where it does not, a key is told by its circumstances alone, and lost creates left at most
/// `missing` more: if more keys than that fit, nobody can tell which are ours.
pub fn settle<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>, ours: &[KeyId], missing: usize, named: bool) -> Leftover {
    let mut others = candidates.into_iter().filter(|key| !ours.contains(key.id));
    if named {
        return others.find(|key| key.named_ours).map_or(Leftover::Nothing, |key| Leftover::Stray(key.id.clone()));
    }
    let appeared: Vec<_> = others.filter(|key| !key.known).collect();
    let (fitting, unclear): (Vec<&Candidate<'_>>, Vec<&Candidate<'_>>) =
        appeared.iter().partition(|key| key.made_since == Some(true) && !key.used && !key.held);
    match (fitting.first(), unclear.first()) {
        (Some(key), _) if fitting.len() <= missing => Leftover::Stray(key.id.clone()),
        (Some(key), _) | (None, Some(key)) => Leftover::Unclear(key.id.clone()),
        (None, None) => Leftover::Nothing,
    }
}

/// What is left of a wait: by the clock that says the least has passed (I9). A clock that went back counts as nothing passed.
pub fn left(lasts: Duration, elapsed: impl IntoIterator<Item = Duration>) -> Duration {
    lasts.saturating_sub(elapsed.into_iter().min().unwrap_or_default())
}
