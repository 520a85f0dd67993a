//! Pure judgements over what was read: instances, listings and clocks. The driver gathers, these decide.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    rule::{Rule, keeps},
    state::{Debt, Phase, State},
    words::{Answer, Effect, Role},
};
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
        let wanted = |(_, shows): &(InstanceId, Showing)| *shows == Showing::Wanted;
        if short == 0 && if keeps(Rule::EveryInstance) { showing.iter().all(wanted) } else { showing.iter().any(wanted) } {
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

/// What is known of a value that a person hands over as the new key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handed {
    /// The provider itself shows which of its keys this is.
    pub proved: bool,
    /// It is the key to be replaced, or one that this rotation already had.
    pub had: bool,
    /// It was there before the rotation began.
    pub before: bool,
    /// It works; none: the provider neither accepts nor refuses it.
    pub works: Option<bool>,
}

/// Why a value is no new key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// As it says.
    #[error("that is the key to be replaced, or one that this rotation had before: make another one")]
    Had,
    /// As it says.
    #[error("the provider refuses that value: it was copied in part, revoked, or is of another account")]
    Refused,
    /// As it says.
    #[error("the provider neither accepts nor refuses that value at the moment: try again")]
    Unclear,
    /// As it says.
    #[error("the provider does not list that key: it is of another account, organization or workspace, or not listed yet")]
    Unlisted,
    /// As it says.
    #[error("that key was there before this rotation began, and others may use it: make another one")]
    Before,
}

/// Whether a handed-over value may become the new key. A key that is in use elsewhere must not: a rollback would revoke it.
///
/// # Errors
/// [`Unfit`].
pub fn fit(handed: Handed) -> Result<(), Unfit> {
    match handed {
        Handed { had: true, .. } => Err(Unfit::Had),
        Handed { works: Some(false), .. } => Err(Unfit::Refused),
        Handed { works: None, .. } => Err(Unfit::Unclear),
        Handed { proved: false, .. } => Err(Unfit::Unlisted),
        Handed { before: true, .. } => Err(Unfit::Before),
        _ => Ok(()),
    }
}

/// Whether a real request served its purpose: by a living key, in time, and where it was to be streamed (`pieces`), in pieces and to its end.
///
/// # Errors
/// What was missing, in words.
pub fn serves(alive: bool, pieces: Option<Option<usize>>, took: Duration, within: Duration) -> Result<(), String> {
    match pieces {
        _ if !alive => Err("the provider did not serve a request with the new key".into()),
        Some(None) => Err("what was to be streamed was no stream, or broke off before its end".into()),
        Some(Some(0 | 1)) => Err("what was to be streamed came in one piece".into()),
        _ if took > within => Err(format!("the answer took {} ms, more than `probe.within` allows", took.as_millis())),
        _ => Ok(()),
    }
}

/// Whether a write may take the place of what a store shows now. Where it may not, it keeps the version it knew before, so that it fails
/// its condition and a reading says what is there.
pub fn replaces(s: &State, effect: Effect, shown: Option<Role>) -> bool {
    match (effect, shown) {
        // A fence, and a promote that is tried again, take the place of what the lost write was to replace, or of nothing: only so it is
        // known that this write was never there.
        _ if s.phase == Phase::Fence => false,
        (Effect::Promote(_), _) if s.doubt && !s.shown => false,
        (_, Some(Role::Old)) | (Effect::Restore(_), Some(Role::New)) => true,
        _ => false,
    }
}

/// What became of a write to a store, from the key that it shows and whether its version is another than the one to be replaced.
///
/// That the old value is there again shows nothing: the reading may be as old as any. Only a restore that the store confirms counts.
pub fn written(s: &State, shown: Option<Role>, moved: bool) -> Answer {
    let back = matches!(s.phase, Phase::BackRestore(_));
    match shown {
        Some(Role::New) if matches!(s.phase, Phase::Promote(_)) => Answer::Yes,
        Some(Role::New) => Answer::Late,
        Some(Role::Old) if moved && !back => Answer::Moved,
        Some(Role::Old) => Answer::No,
        _ if moved => Answer::Foreign,
        _ => Answer::No,
    }
}

/// Whether a key that the provider refuses may only be disabled: nobody's deletion of it is known. Then it must be gone from the provider's
/// list too before it counts as dead.
pub fn may_be_off(s: &State, role: Role) -> bool {
    s.debt(role) == Debt::Stuck
}

/// When a key was made, as far as clocks can tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Made {
    /// Surely before our first create.
    Before,
    /// When one of ours may have made it.
    Meanwhile,
    /// The provider does not tell, or its clock and ours may differ too much, or long after our last create.
    Unknown,
}

/// How far a provider's clock and ours may be apart before a key's age says nothing: what the signatures of AWS allow.
const SKEW: TimeDelta = TimeDelta::minutes(15);

/// Judges a key's age by the first create that was intended, and by the moment at which the last one must have landed.
pub fn made(at: Option<DateTime<Utc>>, first: Option<DateTime<Utc>>, last: DateTime<Utc>) -> Made {
    // What providers tell is in whole seconds.
    let second = TimeDelta::seconds(1);
    match at.zip(first) {
        Some((at, first)) if at < first - SKEW => Made::Before,
        Some((at, first)) if at >= first - second && at <= last + second => Made::Meanwhile,
        _ => Made::Unknown,
    }
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
    /// When it was made, beside our creates.
    pub made: Made,
    /// It was used, as far as anybody can tell.
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

/// Finds a key that a lost create of this rotation left. `ours` is the new key in use and all tombstones; `named` says whether the
/// provider lists names. Where it does not, a key is told by its circumstances alone, and lost creates left at most `missing` more: if
/// more keys than that fit, nobody can tell which are ours.
pub fn settle<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>, ours: &[KeyId], missing: usize, named: bool) -> Leftover {
    let mut others = candidates.into_iter().filter(|key| !ours.contains(key.id));
    if named {
        return others.find(|key| key.named_ours).map_or(Leftover::Nothing, |key| Leftover::Stray(key.id.clone()));
    }
    let fits = |key: &Candidate<'_>| key.made == Made::Meanwhile && !key.used && !key.held;
    let (fitting, unclear): (Vec<_>, Vec<_>) = others.filter(|key| !key.known && key.made != Made::Before).partition(fits);
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
