//! The gate before risky steps: the playbook's window and the freezes that hold for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::Freeze;
use crate::{
    playbook::{Playbook, Window},
    ports::{Closed, Gate},
};

/// Freezes end and windows open in turns; more turns than this is a fleet of freezes, and is looked at again later.
const TURNS: usize = 100;

/// A playbook's window and freezes. The freezes can be renewed while it is in use.
#[derive(Debug)]
pub struct Times {
    name: String,
    window: Option<Window>,
    freezes: Mutex<Vec<Freeze>>,
}

impl Times {
    /// For one playbook; freezes of others are left aside.
    pub fn new(book: &Playbook, freezes: &[Freeze]) -> Self {
        Self::of(&book.name, book.window.clone(), freezes)
    }

    /// The same from its parts.
    pub fn of(name: &str, window: Option<Window>, freezes: &[Freeze]) -> Self {
        let times = Self { name: name.to_owned(), window, freezes: Mutex::default() };
        times.renew(freezes);
        times
    }

    /// Takes in the freezes as they are now.
    pub fn renew(&self, freezes: &[Freeze]) {
        *self.lock() = freezes.iter().filter(|freeze| freeze.covers(&self.name)).cloned().collect();
    }

    /// The first moment from `at` on when both are open.
    pub fn opens(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let freezes = self.lock();
        let mut opens = at;
        for _ in 0..TURNS {
            let thawed = freezes.iter().filter(|freeze| freeze.is_on(opens)).map(|freeze| freeze.until).max();
            let next = thawed.unwrap_or_else(|| self.window.as_ref().map_or(opens, |window| window.opens(opens).unwrap_or(far(opens))));
            if next == opens {
                break;
            }
            opens = next;
        }
        opens
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Freeze>> {
        self.freezes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A window that does not open within its two weeks is asked again then.
fn far(at: DateTime<Utc>) -> DateTime<Utc> {
    at.checked_add_signed(TimeDelta::days(14)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl Gate for Times {
    /// The words stay the same as long as the cause does: the driver writes each cause down once.
    fn closed(&self, now: DateTime<Utc>) -> Option<Closed> {
        let until = self.opens(now);
        if until == now {
            return None;
        }
        let told =
            |freeze: &Freeze| format!("freeze {} until {}: {}", freeze.number, freeze.until.format("%Y-%m-%d %H:%M UTC"), freeze.reason);
        let frozen: Vec<String> = self.lock().iter().filter(|freeze| freeze.is_on(now)).map(told).collect();
        let why = match (&self.window, frozen.is_empty()) {
            (Some(window), true) => format!("outside its window, {window}"),
            _ => frozen.join("; "),
        };
        Some(Closed { until, why })
    }
}
