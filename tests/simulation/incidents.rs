//! What happens in the world by itself.

use std::time::Duration;

use chrono::TimeDelta;
use keyroll::ports::Ambiguity;

use super::world::{
    Outside,
    facts::{By, Fact, Origin},
    fault::Incident,
    journal::Ledger,
    origin,
};

/// The clock that never jumps ahead: one of all must tell the truth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Honest {
    Wall,
    Store,
    Journal,
}

/// Up to so far a clock jumps.
const JUMP: Duration = Duration::from_secs(2 * 3600);

/// Makes it happen; whether it could.
pub fn happens(what: Incident, outside: &mut Outside, ledger: &Ledger, honest: Honest) -> bool {
    use Incident::*;
    match what {
        WallForward | WallBack => {
            if what == WallForward && honest == Honest::Wall {
                return false;
            }
            let by = jump(outside);
            let host = outside.dice.usize(0..2);
            // Whoever has to tell its key by the time at which it was made cannot be off by more.
            let most = if outside.issuer.traits.ambiguity == Ambiguity::Unnamed { TimeDelta::minutes(10) } else { TimeDelta::hours(12) };
            let wrong = outside.wrong_by[host] + if what == WallForward { by } else { -by };
            outside.wrong_by[host] = wrong.clamp(-most, most);
            true
        }
        StoreClockForward | StoreClockBack => {
            let by = jump(outside);
            let Some(wrong) = outside.store_clock.as_mut().filter(|_| what == StoreClockBack || honest != Honest::Store) else {
                return false;
            };
            *wrong += if what == StoreClockForward { by } else { -by };
            true
        }
        ThirdWriter => {
            let store = outside.dice.usize(0..outside.stores.len());
            let theirs = outside.make("theirs", Origin::Theirs, None);
            outside.write_by_hand(store, theirs);
            true
        }
        ForeignField => {
            let store = outside.dice.usize(0..outside.stores.len());
            outside.touch_by_hand(store);
            true
        }
        ForeignKey => {
            if outside.issuer.traits.quota.is_some_and(|quota| outside.alive().len() >= quota) {
                return false;
            }
            let theirs = outside.make("theirs", Origin::Theirs, None);
            let now = outside.now;
            outside.issuer.keys[theirs].uses.push((now, Some(now)));
            true
        }
        DeletedByHand => {
            outside.issuer.keys.first().is_some_and(|key| key.origin == Origin::Before) && {
                // It may be gone already.
                outside.delete(0, By::Them);
                true
            }
        }
        ReplicaBehind => {
            let most = outside.stores.iter().map(|store| store.stale_for).max().unwrap_or_default() + Duration::from_secs(30);
            let until = outside.now + outside.some(most);
            let Some(store) = outside.stores.iter_mut().find(|store| !store.replicas.is_empty()) else { return false };
            store.replicas[0] = until;
            true
        }
        SlowProvider => {
            let (ready, dead) = (outside.issuer.traits.ready_within, outside.issuer.traits.dead_within);
            (outside.issuer.lags.ready, outside.issuer.lags.dead) = (ready * 2, dead * 2);
            true
        }
        Freeze => {
            let lasts = Duration::from_secs(60) + outside.some(Duration::from_secs(600));
            ledger.freeze(outside.time(), origin() + outside.now + lasts);
            true
        }
        Forgets => {
            for store in &mut outside.stores {
                store.forgotten.extend(0..store.versions.len().saturating_sub(1));
            }
            true
        }
        Appears => {
            let Some((service, _)) = one(outside) else { return false };
            outside.appear(service);
            true
        }
        Restarts | Sticks | Lies | Flaps | Vanishes | Hangs | FallsIll => {
            let Some((service, copy)) = one(outside) else { return false };
            let found = &mut outside.services[service].copies[copy];
            match what {
                Sticks => found.stuck = true,
                Lies => {
                    found.lies = true;
                    outside.note(Fact::Lies { service, copy });
                }
                Flaps => found.flaps = true,
                Hangs => found.hangs = true,
                FallsIll => found.ill = true,
                Vanishes => outside.vanish(service, copy),
                _ => outside.restart(service, copy),
            }
            true
        }
        AskRollback | AskAmend | AskWaive | AskGoOn | LeakOld | LeakNew | LeakBoth | LeakOldNow | LeakNewNow => false,
    }
}

fn jump(outside: &mut Outside) -> TimeDelta {
    TimeDelta::from_std(outside.some(JUMP)).unwrap()
}

/// A copy that runs, of a service that is no job.
fn one(outside: &mut Outside) -> Option<(usize, usize)> {
    let running: Vec<_> = outside.running().into_iter().filter(|(service, _)| !outside.services[*service].job).collect();
    if running.is_empty() { None } else { Some(running[outside.dice.usize(0..running.len())]) }
}

/// Everything is as it should be from here on; clocks stay as wrong as they are.
pub fn heals(outside: &mut Outside, expected: &[Option<usize>]) {
    let traits = outside.issuer.traits;
    (outside.issuer.lags.ready, outside.issuer.lags.dead) =
        (outside.issuer.lags.ready.min(traits.ready_within), outside.issuer.lags.dead.min(traits.dead_within));
    for (service, expected) in expected.iter().enumerate() {
        let Some(expected) = expected else { continue };
        while outside.services[service].copies.iter().filter(|copy| copy.runs).count() < *expected {
            outside.appear(service);
        }
    }
    for (service, copy) in outside.running() {
        let found = &outside.services[service].copies[copy];
        if found.stuck || found.lies || found.flaps || found.hangs || found.ill {
            outside.restart(service, copy);
        }
        outside.take_up(service, copy, Duration::ZERO);
    }
}
