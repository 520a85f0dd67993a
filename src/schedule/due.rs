//! When a key is due, why, and how urgent that is.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::{Freeze, Key, Past, Queued, Times};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// What a playbook asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms<'a> {
    /// Its name: what spreads a fleet over time.
    pub name: &'a str,
    /// How old its key may get.
    pub every: Option<Duration>,
    /// How long a rotation takes by its own waits: it must begin so long before the key expires.
    pub needs: Duration,
}

/// Why a key is due when it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It reaches the age that the playbook allows.
    Age,
    /// It stops working by itself.
    Expiry,
    /// Somebody wants it rotated now.
    Queued(String),
    /// The playbook sets no age, and the key does not expire: only when asked.
    NeverDue,
    /// The playbook sets an age, and nobody knows when the key was made: only when asked, once; then it is known.
    AgeUnknown,
}

/// How urgent it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// Nothing to do.
    Fine,
    /// Due within a week, or within a tenth of its time if that is less.
    Soon,
    /// Due, and not late.
    Due,
    /// It could have begun long ago, or the key is close to its expiry.
    Overdue,
}

/// When a key is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// From then on it is due; none: never by itself.
    pub at: Option<DateTime<Utc>>,
    /// The first moment from then on when it may begin: the window, the freezes, and the pause after failures.
    pub begins: Option<DateTime<Utc>>,
    /// Why.
    pub cause: Cause,
    /// Until then nothing is broken or against the playbook: its expiry, or the age it may reach.
    pub safe_until: Option<DateTime<Utc>>,
    soon: Option<DateTime<Utc>>,
    overdue: Option<DateTime<Utc>>,
}

impl Due {
    /// How urgent it is now.
    pub fn urgency(&self, now: DateTime<Utc>) -> Urgency {
        let since = |moment: Option<DateTime<Utc>>| moment.is_some_and(|moment| moment <= now);
        match () {
            () if since(self.overdue) => Urgency::Overdue,
            () if since(self.at) => Urgency::Due,
            () if since(self.soon) => Urgency::Soon,
            // Nobody can say that it is fine.
            () if self.cause == Cause::AgeUnknown => Urgency::Due,
            () => Urgency::Fine,
        }
    }
}

/// The smallest of: the age the playbook allows, the key's expiry less a margin, and a queue's word. The first two are
/// brought forward by up to 5 % of their time and at most a day, by the playbook's name: a fleet that was made on one day
/// is not rotated on one day.
///
/// After a rotation that was rolled back or aborted the next one begins an hour later, after a second one two hours later,
/// and so on up to a day.
pub fn due(terms: &Terms<'_>, key: &Key, past: &Past, queued: Option<&Queued>, times: &Times) -> Due {
    let lifetime = key.expires.zip(key.made).and_then(|(expires, made)| (expires - made).to_std().ok());
    let margin = terms.needs.saturating_add(lifetime.map_or(DAY, |lifetime| (lifetime / 4).min(7 * DAY)));
    // A key that lives shorter than a rotation takes is used for half its life all the same.
    let margin = lifetime.map_or(margin, |lifetime| margin.min(lifetime / 2));
    let aged = terms.every.zip(key.made).map(|(every, made)| (after(made, every), every));
    let expiring = key.expires.map(|expires| (before(expires, margin), lifetime.unwrap_or(margin)));
    let scheduled = [(aged, Cause::Age), (expiring, Cause::Expiry)];
    let scheduled = scheduled.into_iter().filter_map(|(when, cause)| {
        let (limit, time) = when?;
        Some((before(limit, spread(terms.name, time)), time, cause))
    });
    // A rotation that began before the word, or did not end well, is not what was asked for.
    let queued = queued.filter(|queued| past.renewed.is_none_or(|renewed| renewed < queued.at));
    let queued = queued.map(|queued| (queued.at, terms.every.unwrap_or(DAY), Cause::Queued(queued.reason.clone())));
    let first = scheduled.chain(queued).min_by_key(|(at, ..)| *at);
    let limit = aged.map(|(limit, _)| limit);
    let safe_until = [limit, key.expires].into_iter().flatten().min();
    let Some((at, time, cause)) = first else {
        let cause = if terms.every.is_some() { Cause::AgeUnknown } else { Cause::NeverDue };
        return Due { at: None, begins: None, cause, safe_until, soon: None, overdue: None };
    };
    let pause = past.failed.checked_sub(1).map_or(Duration::ZERO, |more| (HOUR * 2_u32.pow(more.min(5))).min(DAY));
    let from = past.failed_at.map_or(at, |failed| at.max(after(failed, pause)));
    let begins = times.opens(from);
    let late = after(begins.max(limit.filter(|_| cause == Cause::Age).unwrap_or(begins)), (time / 20).clamp(HOUR, DAY));
    let near = key.expires.map(|expires| before(expires, margin / 2));
    Due {
        at: Some(at),
        begins: Some(begins),
        cause,
        safe_until,
        soon: Some(before(at, (time / 10).min(7 * DAY))),
        overdue: Some(near.map_or(late, |near| near.min(late))),
    }
}

/// How much earlier: the same for the same name, between nothing and 5 % of `time`, at most a day.
fn spread(name: &str, time: Duration) -> Duration {
    let hash = Sha256::digest(name.as_bytes());
    let share = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    // Whole seconds: people read the moment that comes of it.
    Duration::from_secs((time / 20).min(DAY).as_secs() * u64::from(share) / u64::from(u32::MAX))
}

/// Whether the freeze lasts beyond the key's expiry: it would die before it may be replaced.
pub fn outlived(freeze: &Freeze, playbook: &str, key: &Key) -> bool {
    freeze.covers(playbook) && key.expires.is_some_and(|expires| expires <= freeze.until)
}

fn after(at: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(time).ok().and_then(|time| at.checked_add_signed(time)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn before(at: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(time).ok().and_then(|time| at.checked_sub_signed(time)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
