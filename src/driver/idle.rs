//! The idle gate: what the provider tells of the two keys' use, for the protocol to judge.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::hands::{Hands, endure};
use crate::{
    ids::KeyId,
    ports::Failure,
    protocol::{Answer, Idle, LastUse, Pause, Refusal, Role, grown, idle, unchanged},
    record::{Detail, Readings},
    rotation::Rotation,
};

/// What the provider tells of a key's use.
enum Told {
    LastUse(Option<DateTime<Utc>>),
    Spent(u64),
    Nothing,
}

impl Hands<'_> {
    /// The old key idle for long enough, and the new one used since it was promoted.
    pub(super) async fn unused(&mut self, rotation: &Rotation) -> Result<(Answer, Detail), Failure> {
        let provider = self.world.provider.clone();
        let (Some(old), Some(new)) = (rotation.key(Role::Old), rotation.key(Role::New)) else {
            return Ok((Answer::Yes, Detail::Nothing));
        };
        let lag = provider.traits().usage_lag;
        let promoted = rotation.promoted_at.unwrap_or(rotation.began);
        let after = |moment: DateTime<Utc>| (moment - promoted).to_std().unwrap_or_default();
        let old_told = match self.ask(old).await {
            Err(failure) if failure.refusal() == Some(Refusal::Gone) => {
                return Ok((Answer::Yes, Detail::Reply { said: "the old key is gone".into() }));
            }
            told => told?,
        };
        let new_told = self.ask(new).await?;
        let Some(now) = self.clocks(rotation).await.and_then(|clocks| clocks.into_iter().min()) else {
            return Ok((Answer::Later, Detail::Reply { said: "the store's clock cannot be read, and ours alone may have jumped".into() }));
        };
        let now = after(now);
        let before = || rotation.readings.iter();
        let (old_used, new_used) = match (old_told, new_told) {
            (Told::LastUse(old), Told::LastUse(new)) => {
                let old = LastUse { until: old.map(after).unwrap_or_default(), from: old.map(after) };
                (old, new.is_some_and(|used| used >= promoted))
            }
            (Told::Spent(old), Told::Spent(new)) => {
                let olds: Vec<_> = before().map(|known| (after(known.at), known.old)).chain([(now, old)]).collect();
                let news: Vec<_> = before().map(|known| (after(known.at), known.new)).chain([(now, new)]).collect();
                (unchanged(&olds, lag), grown(&news, lag))
            }
            _ => return Ok((Answer::Yes, Detail::Nothing)),
        };
        let held = rotation.held_at.map(after).unwrap_or_default();
        let (grace, idle_for) = (rotation.plan.waits.grace, rotation.plan.waits.idle);
        let (answer, said) = match idle(old_used, new_used, now, held, Idle { settled: grace + lag, idle: idle_for, lag }) {
            Ok(()) => return Ok((Answer::Yes, Detail::Nothing)),
            Err((answer, true)) => (answer, "the provider has not seen the new key in use since it was promoted".to_owned()),
            Err((answer, false)) => (answer, self.used(old_used, now, answer)),
        };
        Ok((answer, Detail::Reply { said }))
    }

    fn used(&self, old: LastUse, now: Duration, answer: Answer) -> String {
        let ago = now.saturating_sub(old.until).as_secs();
        match (self.world.provider.usage().is_some(), answer) {
            (true, Answer::No) => format!("somebody used the old key {ago}s ago"),
            (true, _) => format!("the old key was last used {ago}s ago"),
            (false, Answer::No) => "somebody uses the old key: what it has spent still grows".into(),
            (false, _) => format!("what the old key has spent has been the same for {ago}s"),
        }
    }

    async fn ask(&mut self, key: &KeyId) -> Result<Told, Failure> {
        let provider = self.world.provider.clone();
        Ok(match (provider.usage(), provider.counter()) {
            (Some(usage), _) => Told::LastUse(endure!(self, usage.last_used(key))),
            (None, Some(counter)) => Told::Spent(endure!(self, counter.reading(key))),
            (None, None) => Told::Nothing,
        })
    }

    /// What both keys have spent as a wait begins: what is read after it is compared with that. Where it cannot be read the wait begins all the
    /// same, and only the next reading counts.
    pub(super) async fn readings(&self, rotation: &Rotation, pause: Pause) -> Option<Readings> {
        let provider = &self.world.provider;
        let wanted = rotation.plan.rules.asks_use && provider.usage().is_none() && matches!(pause, Pause::Grace | Pause::Idle);
        let counter = provider.counter().filter(|_| wanted)?;
        let (old, new) = (rotation.key(Role::Old)?, rotation.key(Role::New)?);
        let (old, new) = (counter.reading(old).await.ok()?, counter.reading(new).await.ok()?);
        // By the clock that is ahead: what is measured from here on can only come out too short.
        let at = self.clocks(rotation).await?.into_iter().max()?;
        Some(Readings { at, old, new })
    }

    /// Now, by each clock since the first wait after the promote: the slowest of them lets one that jumps only lengthen the idle time.
    /// None: the store told its time then, and does not now.
    async fn clocks(&self, rotation: &Rotation) -> Option<Vec<DateTime<Utc>>> {
        let wall = self.clock.now();
        let Some(first) = &rotation.first_wait else { return Some(vec![wall]) };
        // The steady clock was read when the last wait began.
        let same = rotation.waiting.as_ref().is_some_and(|last| last.since == first.since);
        let steady = self.waiting.filter(|_| same).map_or(wall, |since| first.since + self.clock.steady().saturating_sub(since));
        let store = match first.store_since {
            // Whole seconds on the wire: one is given back.
            Some(since) => first.since + (self.store_clock().await? - since) + Duration::from_secs(1),
            None => wall,
        };
        Some(vec![wall, steady, store])
    }
}
