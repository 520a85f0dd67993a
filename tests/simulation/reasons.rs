//! Why a rotation is held: whether that is so, and what a person does about it.

use std::time::Duration;

use keyroll::{
    protocol::{Answer, Ask, Event, Kind, Query, Refusal, Why},
    rotation::Rotation,
};

use super::incidents::heals;
use super::world::{
    Outside,
    facts::{At, By, Fact, Origin},
    fault::{Fault, Incident, Op},
    oracle::Setting,
};

/// Whether what happened bears the reason out.
pub fn real(why: Why, rotation: &Rotation, setting: &Setting, reads_once: bool, facts: &[(At, Fact)]) -> Result<(), String> {
    let struck = |ops: &[Op], of: &dyn Fn(Fault) -> bool| {
        facts.iter().any(|(_, fact)| matches!(fact, Fact::Called { op, fault, .. } if ops.contains(op) && of(*fault)))
    };
    let any = |_: Fault| true;
    let lost = |fault: Fault| {
        !matches!(fault, Fault::Denied | Fault::NotFound | Fault::Conflict | Fault::Quota | Fault::TooMany | Fault::Unreachable)
    };
    let happened = |of: &[Incident]| facts.iter().any(|(_, fact)| matches!(fact, Fact::Happened { what } if of.contains(what)));
    let theirs = facts.iter().any(|(_, fact)| matches!(fact, Fact::Wrote { by: By::Them, key, over, .. } if key != over && over.is_some()));
    let deleted_by_hand = facts.iter().any(|(_, fact)| matches!(fact, Fact::Deleted { by: By::Them, .. }));
    let copies = happened(&[
        Incident::Restarts,
        Incident::Sticks,
        Incident::Lies,
        Incident::Flaps,
        Incident::Vanishes,
        Incident::Hangs,
        Incident::FallsIll,
        Incident::Appears,
    ]);
    let stale = setting.stale_for > Duration::ZERO;
    let good = match why {
        Why::CannotSettle => {
            facts.iter().any(|(_, fact)| matches!(fact, Fact::Made { origin: Origin::Theirs, .. }))
                || struck(&[Op::Create], &lost)
                || happened(&[Incident::WallForward, Incident::WallBack])
        }
        // Somebody else went on with a write that was intended.
        Why::CannotFence => {
            let resumed = |fact: &Fact| matches!(fact, Fact::Recorded { record, .. } if record.event == Event::Resumed);
            setting.kind == Kind::Install && (struck(&[Op::Write], &lost) || facts.iter().any(|(_, fact)| resumed(fact)))
        }
        Why::ForeignValue => {
            theirs
                || setting.kind == Kind::Install && happened(&[Incident::ForeignField])
                || struck(&[Op::Read, Op::Write], &any)
                || struck(&[Op::Append, Op::Collect], &any)
        }
        Why::NotVerified => {
            // A copy that reads only when it starts follows no rollback that nobody rolls out.
            copies
                || reads_once
                || stale
                || theirs
                || deleted_by_hand
                || happened(&[Incident::ReplicaBehind])
                || struck(&[Op::Discover, Op::Ask, Op::Roll, Op::Endpoints, Op::Read, Op::ReadAt, Op::Switch], &any)
        }
        Why::StillUsed => setting.kind == Kind::Rotate && (copies || stale || happened(&[Incident::WallForward, Incident::WallBack])),
        Why::EnabledAgain => copies || stale || theirs || struck(&[Op::Discover, Op::Ask, Op::Read, Op::ReadAt], &any) || deleted_by_hand,
        Why::NothingToReturnTo => setting.kind != Kind::Rotate,
        Why::RevokeByHand => !setting.proved,
        Why::StillAlive => {
            let saw = |fact: &Fact| matches!(fact, Fact::Recorded { record, .. } if matches!(record.event, Event::Saw(Query::Dead(_), Answer::No)));
            let until = facts.iter().rposition(|(_, fact)| saw(fact)).unwrap_or(facts.len());
            let facts = &facts[..until];
            let made = facts.iter().filter(|(_, fact)| matches!(fact, Fact::Made { .. })).count();
            let deleted = facts.iter().filter(|(_, fact)| matches!(fact, Fact::Deleted { .. })).count();
            // One key is in use; any other one that is alive may be the one that was to die.
            made > deleted + 1
                || happened(&[Incident::SlowProvider])
                || struck(&[Op::Probe, Op::List, Op::ReadAt, Op::Read], &any)
                || theirs
                || deleted_by_hand
        }
        Why::NoNewKey => {
            struck(&[Op::Create, Op::Probe, Op::Append, Op::Write], &any)
                || happened(&[Incident::SlowProvider])
                || rotation.state.emergency()
        }
        Why::Refused(Refusal::Gone) => {
            deleted_by_hand || struck(&[Op::Probe, Op::Delete, Op::Switch, Op::Write, Op::Create, Op::Roll], &any)
        }
        Why::Refused(Refusal::ValueLost) => {
            struck(&[Op::ReadAt, Op::Read, Op::Append, Op::Write], &any) || theirs || happened(&[Incident::Forgets])
        }
        Why::Refused(_) => {
            let full = rotation.state.phase == keyroll::protocol::Phase::Create;
            full || struck(&[Op::Create, Op::Delete, Op::Switch, Op::Write, Op::Roll, Op::Read, Op::ReadAt], &any)
        }
    };
    if good { Ok(()) } else { Err(format!("it is held ({why:?}), and nothing that happened bears that out")) }
}

/// What a person mends before they go on, and what they ask for.
pub fn mends(why: Why, rotation: &Rotation, setting: &Setting, outside: &mut Outside) -> Option<Ask> {
    match why {
        Why::ForeignValue => {
            for store in 0..setting.stores {
                let current = outside.served(store);
                let theirs = current.is_none_or(|key| outside.issuer.keys[key].origin == Origin::Theirs);
                let before = outside.stores[store].versions.iter().rev().filter_map(|stored| stored.key());
                let ours = before
                    .into_iter()
                    .find(|key| outside.issuer.keys[*key].origin != Origin::Theirs && outside.issuer.keys[*key].deleted.is_none());
                if let (true, Some(ours)) = (theirs, ours) {
                    outside.write_by_hand(store, ours);
                }
            }
            Some(Ask::GoOn)
        }
        Why::RevokeByHand => {
            revoke(rotation, outside);
            Some(Ask::GoOn)
        }
        Why::StillUsed => Some(Ask::Rollback),
        Why::Refused(Refusal::Quota) => {
            // Somebody makes room: a key that is nobody's.
            let theirs = (0..outside.issuer.keys.len()).find(|key| {
                let found = &outside.issuer.keys[*key];
                found.deleted.is_none() && found.origin == Origin::Theirs
            });
            if let Some(theirs) = theirs {
                outside.delete(theirs, By::Them);
            }
            Some(Ask::GoOn)
        }
        Why::StillAlive if !setting.proved => {
            revoke(rotation, outside);
            Some(Ask::GoOn)
        }
        Why::NotVerified | Why::EnabledAgain => {
            heals(outside, &setting.expected);
            Some(if why == Why::NotVerified && outside.dice.u8(0..4) == 0 { Ask::Rollback } else { Ask::GoOn })
        }
        _ => Some(Ask::GoOn),
    }
}

/// Somebody deletes the key that the stores held when the rotation began.
fn revoke(rotation: &Rotation, outside: &mut Outside) {
    let base = rotation
        .plan
        .stores
        .iter()
        .enumerate()
        .find_map(|(store, plan)| Some((store, plan.base.as_ref()?.as_str().parse::<usize>().ok()?)));
    if let Some(old) = base.and_then(|(store, version)| outside.stores[store].versions[version - 1].key()) {
        outside.delete(old, By::Them);
    }
}
