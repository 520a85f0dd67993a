//! How long a rotation waits: what the playbook asks for, the floor below which no deadline goes, and what lies between.
//!
//! Pure: a book and lengths in, lengths out.

use std::time::Duration;

use crate::{
    playbook::{Instances, Job, Playbook, Span},
    ports::Traits,
    record::Waits,
};

/// Joins the waits of the playbook, its stores and its consumers.
pub fn waits(book: &Playbook) -> Waits {
    let parts = Parts::of(book);
    let seconds = |span: Option<Span>| span.map(|Span(time)| time).unwrap_or_default();
    let (grace, _) = parts.grace();
    Waits {
        grace: book.revoke.grace.0.max(grace),
        watch: seconds(book.revoke.watch),
        soak: if parts.disables { seconds(book.revoke.disable_for).max(parts.job_cycle) } else { Duration::ZERO },
        stale: parts.stale.max(parts.request).max(parts.job_run),
        idle: seconds(book.revoke.idle_for),
    }
}

/// What stands in the stores' and consumers' own nature, whatever anybody wishes.
struct Parts {
    stale: Duration,
    request: Duration,
    job_run: Duration,
    job_cycle: Duration,
    disables: bool,
}

impl Parts {
    fn of(book: &Playbook) -> Self {
        let most = |spans: &mut dyn Iterator<Item = Duration>| spans.max().unwrap_or_default();
        let stale = most(&mut book.stores.iter().map(|store| store.stale_for.0));
        // A job's requests end with the job: max_run covers them.
        let running = book.consumers.iter().filter(|consumer| matches!(consumer.instances, Instances::Running { .. }));
        let request = most(&mut running.map(|consumer| consumer.max_request.0));
        Self {
            stale,
            request,
            job_run: most(&mut jobs(book).map(|job| stale + job.max_run.0)),
            job_cycle: most(&mut jobs(book).map(|job| job.runs_every.0)),
            disables: book.revoke.disable_for.is_some(),
        }
    }

    /// The shortest grace, and what makes it so.
    fn grace(&self) -> (Duration, &'static str) {
        // Without a disable the delete is the first thing that hurts: a whole cycle of each job must have read the new key.
        let cycle = if self.disables { Duration::ZERO } else { self.job_cycle };
        let parts = [
            (self.stale, "a store's stale_for"),
            (self.request, "a consumer's max_request"),
            (self.job_run, "a job's max_run after stale_for"),
            (cycle, "a job's runs_every"),
        ];
        parts.into_iter().max_by_key(|(length, _)| *length).unwrap_or_default()
    }
}

fn jobs(book: &Playbook) -> impl Iterator<Item = Job> {
    book.consumers.iter().filter_map(|consumer| match consumer.instances {
        Instances::Job(job) => Some(job),
        Instances::Running { .. } => None,
    })
}

/// The shortest waits there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Floor {
    /// The longest of `stale_for`, `max_request`, a job's `max_run`, and without a disable its `runs_every`.
    pub grace: Duration,
    /// Which of these it is, in words.
    pub because: &'static str,
    /// With a disable: a job's `runs_every`.
    pub soak: Duration,
    /// How late the provider's usage figures are, where the playbook asks for them: that much must have passed since the new key
    /// was promoted.
    pub lag: Option<Duration>,
}

/// The floor of a playbook at its provider.
pub fn floor(book: &Playbook, traits: &Traits) -> Floor {
    let parts = Parts::of(book);
    let (grace, because) = parts.grace();
    let soak = if parts.disables { parts.job_cycle } else { Duration::ZERO };
    Floor { grace, because, soak, lag: book.revoke.idle_for.map(|_| traits.usage_lag) }
}

/// How long all proofs of a rotation take together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Proving {
    /// If everybody proves the key at once: the proof must still hold for `stable_for`.
    pub least: Duration,
    /// If every consumer takes all its time, and the provider too.
    pub most: Duration,
}

/// From the playbook's `verify`, once for each consumer and once more before each step that hurts.
pub fn proving(book: &Playbook, traits: &Traits) -> Proving {
    let running = book.consumers.iter().filter(|consumer| matches!(consumer.instances, Instances::Running { .. })).count();
    let running = u32::try_from(running).unwrap_or(u32::MAX);
    let again = if running == 0 { 0 } else { 1 + u32::from(book.revoke.disable_for.is_some()) };
    let (stable, within) = (book.verify.stable_for.0, book.verify.within.0);
    let again = stable.saturating_mul(again);
    let dead = book.revoke.dead_within.map_or(traits.dead_within, |Span(time)| time);
    Proving {
        least: stable.saturating_mul(running).saturating_add(again),
        most: within.saturating_mul(running).saturating_add(again).saturating_add(traits.ready_within).saturating_add(dead),
    }
}

/// All waits together. The idle time counts from the promotion on, so that the grace is part of it.
pub fn total(waits: &Waits, floor: &Floor) -> Duration {
    let before = floor.lag.map_or(waits.grace, |lag| waits.grace.max(waits.idle.saturating_add(lag)));
    before.saturating_add(waits.watch).saturating_add(waits.soak)
}

/// Whether a deadline can be met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Also if every proof takes all its time.
    InTime,
    /// If the proofs come quickly.
    Tight,
    /// Not even then.
    TooLate,
}

/// Waits made to fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortened {
    /// As they shall be.
    pub waits: Waits,
    /// Whether they fit.
    pub verdict: Verdict,
}

/// Shortens what the playbook asks for by choice, so that everything is over within `left`: first the time before the old key is
/// touched, while it still works for everybody, then the time it is off. Never the floor, and never `watch`: that is a proof.
pub fn shorten(asked: &Waits, floor: &Floor, proving: Proving, left: Duration) -> Shortened {
    let room = left.saturating_sub(proving.most);
    let mut waits = *asked;
    if total(asked, floor) > room {
        let room = room.saturating_sub(asked.watch);
        let least =
            total(&Waits { grace: floor.grace, idle: Duration::ZERO, watch: Duration::ZERO, soak: Duration::ZERO, ..*asked }, floor);
        waits.soak = room.saturating_sub(least).clamp(floor.soak.min(asked.soak), asked.soak);
        let before = room.saturating_sub(waits.soak).max(least);
        waits.grace = asked.grace.min(before).max(floor.grace);
        waits.idle = asked.idle.min(before.saturating_sub(floor.lag.unwrap_or_default()));
    }
    let needs = total(&waits, floor);
    let verdict = match () {
        () if needs.saturating_add(proving.most) <= left => Verdict::InTime,
        () if needs.saturating_add(proving.least) <= left => Verdict::Tight,
        () => Verdict::TooLate,
    };
    Shortened { waits, verdict }
}
