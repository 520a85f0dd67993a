//! Until when a lease lasts, for those who are about to do something on the strength of it.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

/// The end of a lease by this machine's clocks, moved on by each renewal. Without one it lasts as long as its process.
#[derive(Clone, Default, Debug)]
pub struct Term(Option<Arc<Mutex<End>>>);

#[derive(Clone, Copy, Debug)]
struct End {
    steady: Instant,
    /// The steady clock stands still while the machine sleeps. A jump of this one ends a lease early at worst, which loses nothing.
    wall: SystemTime,
}

/// A moment from which a lease is counted: before it was asked for, so that it ends here no later than where it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Since(End);

impl Since {
    /// Now.
    pub fn now() -> Self {
        Self(End { steady: Instant::now(), wall: SystemTime::now() })
    }
}

impl Term {
    /// A lease that lasts this long unless it is renewed.
    pub fn of(since: Since, lasts: Duration) -> Self {
        let term = Self(Some(Arc::new(Mutex::new(since.0))));
        term.renew(since, lasts);
        term
    }

    /// It was renewed.
    pub fn renew(&self, since: Since, lasts: Duration) {
        if let Some(end) = &self.0 {
            let Since(End { steady, wall }) = since;
            *end.lock().unwrap_or_else(PoisonError::into_inner) = End { steady: steady + lasts, wall: wall + lasts };
        }
    }

    fn left(end: &Mutex<End>) -> Duration {
        let End { steady, wall } = *end.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = wall.duration_since(SystemTime::now()).unwrap_or_default();
        wall.min(steady.saturating_duration_since(Instant::now()))
    }

    /// Ends when the lease does. Whoever wakes up after a stop learns it here before anything else: the clocks are read at every poll,
    /// whatever it was that woke the task.
    pub async fn over(&self) {
        let Some(end) = &self.0 else { return std::future::pending().await };
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|context| {
            loop {
                let left = Self::left(end);
                if left.is_zero() {
                    return Poll::Ready(());
                }
                sleep.as_mut().reset(tokio::time::Instant::now() + left);
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_over_once_nobody_renews_it() {
        let (since, lasts) = (Since::now(), Duration::from_millis(50));
        let term = Term::of(since, lasts);
        term.renew(since, 2 * lasts);
        term.over().await;
        assert!(since.0.steady.elapsed() >= 2 * lasts);
    }

    #[tokio::test]
    async fn one_that_is_over_comes_before_what_is_ready() {
        let term = Term::of(Since::now(), Duration::ZERO);
        let first = tokio::select! {
            biased;
            () = term.over() => "over",
            () = std::future::ready(()) => "ready",
        };
        assert_eq!(first, "over");
    }
}
