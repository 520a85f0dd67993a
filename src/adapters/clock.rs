//! The machine's clocks.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::ports::Clock;

/// Wall clock, monotonic clock and real sleep.
pub struct System {
    start: Instant,
}

impl System {
    /// Its steady clock begins now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for System {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
    fn steady(&self) -> Duration {
        self.start.elapsed()
    }
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
