//! How long to wait before a call is tried again. The clock and the dice are passed in.

use std::time::Duration;

/// When to give up. Giving up changes nothing: the rotation stays open and `resume` goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// The first wait.
    pub first: Duration,
    /// The longest wait that we choose ourselves; a `Retry-After` may ask for more.
    pub longest: Duration,
    /// All tries of one call together.
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
    count: u32,
    spent: Duration,
}

impl Tries {
    /// None yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, count: 0, spent: Duration::ZERO }
    }

    /// The wait before the next try, or none: the budget is spent. `dice` is in 0..1: half of each wait is jitter, so
    /// that many runners do not knock at once. `asked` is the other side's `Retry-After`, which is kept in full.
    pub fn next(&mut self, asked: Option<Duration>, dice: f64) -> Option<Duration> {
        let ours = self.patience.first.saturating_mul(1 << self.count.min(16)).min(self.patience.longest);
        let ours = ours.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
        let wait = asked.map_or(ours, |asked| asked.max(ours));
        self.count += 1;
        self.spent += wait;
        (self.spent <= self.patience.budget).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_jitter_keep_retry_after_and_end() {
        let patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(4), budget: Duration::from_secs(20) };
        let mut tries = Tries::new(patience);
        let half = Duration::from_millis(500);
        assert_eq!(tries.next(None, 0.0), Some(half), "jitter takes at most half");
        assert_eq!(tries.next(None, 1.0), Some(Duration::from_secs(2)));
        assert_eq!(tries.next(None, 1.0), Some(Duration::from_secs(4)));
        assert_eq!(tries.next(None, 1.0), Some(Duration::from_secs(4)), "never longer than the longest");
        assert_eq!(tries.next(Some(Duration::from_secs(9)), 0.0), Some(Duration::from_secs(9)), "but as long as we are asked to");
        assert_eq!(tries.next(None, 1.0), None, "20 s are spent");
    }
}
