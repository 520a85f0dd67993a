//! Whether an open rotation has anything to do now, without taking it over.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    ports::Gate,
    protocol::{Action, Stand, Why, decide, gated},
    rotation::Rotation,
};

/// How an open rotation stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stands {
    /// A person is needed.
    Held(Why),
    /// There is nothing to do before `until`.
    Waits {
        /// Its end.
        until: DateTime<Utc>,
        /// What for, in words.
        why: String,
    },
    /// It could go on, since then.
    Ready(DateTime<Utc>),
}

/// Looks at a rotation that is not over.
pub fn stands(rotation: &Rotation, gate: &dyn Gate, now: DateTime<Utc>) -> Stands {
    if let Some(why) = rotation.state.held {
        // A held emergency still pays what is due.
        return match (decide(&rotation.state), &rotation.emergency) {
            (Action::Stop, _) => Stands::Held(why),
            (Action::Wait(_), Some(emergency)) if emergency.revoke_at > now => {
                Stands::Waits { until: emergency.revoke_at, why: "the leaked key is deleted then, whatever the state".into() }
            }
            _ => Stands::Ready(rotation.last),
        };
    }
    if gated(&rotation.state) {
        let since = rotation.gated.as_ref().map_or(rotation.last, |waiting| waiting.since);
        return match gate.closed(now) {
            Some(closed) => Stands::Waits { until: closed.until, why: closed.why },
            None => Stands::Ready(since.max(rotation.last)),
        };
    }
    match (decide(&rotation.state), &rotation.waiting) {
        (Action::Wait(_), Some(waiting)) if rotation.state.stand != Stand::Idle => {
            let lasts = TimeDelta::from_std(waiting.lasts).ok();
            let until = lasts.and_then(|lasts| waiting.since.checked_add_signed(lasts)).unwrap_or(DateTime::<Utc>::MAX_UTC);
            if until > now { Stands::Waits { until, why: waiting.what_for.clone() } } else { Stands::Ready(until) }
        }
        _ => Stands::Ready(rotation.last),
    }
}
