//! How long to wait before a call is tried again. The clock and the dice are passed in.

use std::time::Duration;

/// When to give up. Giving up changes nothing: the rotation stays open and `resume` goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// The first wait.
    pub first: Duration,
    /// The longest wait that we choose ourselves; a `Retry-After` may ask for more.
    pub longest: Duration,
    /// All tries of one call together, with the time that they take themselves: a call that hangs until it times out is not
    /// repeated as often as one that fails at once.
    pub budget: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), longest: Duration::from_secs(15), budget: Duration::from_secs(120) }
    }
}

/// The tries of one call.
#[derive(Clone, Copy, Debug)]
pub struct Tries {
    patience: Patience,
    began: Duration,
    count: u32,
}

impl Tries {
    /// None yet; the first begins `now`, by the steady clock.
    pub fn new(patience: Patience, now: Duration) -> Self {
        Self { patience, began: now, count: 0 }
    }

    /// The wait before the next try, or none: it would begin when the budget is spent. `dice` is in 0..1: half of each wait is
    /// jitter, so that many runners do not knock at once. `asked` is the other side's `Retry-After`, which is kept in full.
    pub fn next(&mut self, now: Duration, asked: Option<Duration>, dice: f64) -> Option<Duration> {
        let ours = self.patience.first.saturating_mul(1 << self.count.min(16)).min(self.patience.longest);
        let ours = ours.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
        let wait = asked.map_or(ours, |asked| asked.max(ours));
        self.count += 1;
        let spent = now.saturating_sub(self.began);
        (spent.saturating_add(wait) <= self.patience.budget).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_jitter_keep_retry_after_and_end() {
        let seconds = Duration::from_secs;
        let patience = Patience { first: seconds(1), longest: seconds(4), budget: seconds(20) };
        let mut tries = Tries::new(patience, seconds(100));
        let half = Duration::from_millis(500);
        assert_eq!(tries.next(seconds(100), None, 0.0), Some(half), "jitter takes at most half");
        assert_eq!(tries.next(seconds(101), None, 1.0), Some(seconds(2)));
        assert_eq!(tries.next(seconds(103), None, 1.0), Some(seconds(4)));
        assert_eq!(tries.next(seconds(107), None, 1.0), Some(seconds(4)), "never longer than the longest");
        assert_eq!(tries.next(seconds(111), Some(seconds(9)), 0.0), Some(seconds(9)), "but as long as we are asked to");
        assert_eq!(tries.next(seconds(120), None, 1.0), None, "20 s are spent");
    }

    #[test]
    fn the_time_of_the_calls_counts() {
        let seconds = Duration::from_secs;
        let patience = Patience { first: seconds(1), longest: seconds(4), budget: seconds(30) };
        let mut tries = Tries::new(patience, Duration::ZERO);
        assert_eq!(tries.next(seconds(20), None, 1.0), Some(seconds(1)), "the first call hung for 20 s");
        assert_eq!(tries.next(seconds(41), None, 1.0), None, "and so did the second");
    }
}
