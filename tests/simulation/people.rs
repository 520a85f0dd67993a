//! What people ask for, in the words of the journal.

use std::time::Duration;

use chrono::{DateTime, Utc};
use keyroll::{
    ids::KeyId,
    protocol::{Ask, Leak, Role, Urgency},
    record::{Detail, Emergency, Waiver},
    rotation::Rotation,
};

use super::world::fault::Incident;

/// What somebody wants of this rotation; none: nothing that makes sense now.
pub fn ask(wish: Incident, rotation: &Rotation, now: DateTime<Utc>, dice: &mut fastrand::Rng) -> Option<(Ask, Detail)> {
    use Incident::*;
    Some(match wish {
        AskRollback => (Ask::Rollback, person(None, None)),
        AskGoOn => (Ask::GoOn, person(None, None)),
        AskAmend => (Ask::Amend, person(Some(amended(&rotation.playbook)), None)),
        AskWaive => (Ask::Waive, person(None, Some(waiver(rotation, dice)?))),
        LeakOld => leak(rotation, Leak::Old, Urgency::ReplaceFast, now, dice),
        LeakNew => leak(rotation, Leak::New, Urgency::ReplaceFast, now, dice),
        LeakOldNow => leak(rotation, Leak::Old, Urgency::RevokeFirst, now, dice),
        LeakNewNow => leak(rotation, Leak::New, Urgency::RevokeFirst, now, dice),
        LeakBoth => leak(rotation, Leak::Both, Urgency::ReplaceFast, now, dice),
        _ => return None,
    })
}

/// Somebody's word, with what else they said.
pub fn person(playbook: Option<String>, waiver: Option<Waiver>) -> Detail {
    Detail::Person { by: "ann".into(), reason: Some("it is so".into()), playbook, waiver }
}

/// A playbook that says the same in other words.
fn amended(text: &str) -> String {
    if text.contains("expect: 1\n") { text.replace("expect: 1\n", "expect:  1\n") } else { text.replace("expect:  1\n", "expect: 1\n") }
}

fn waiver(rotation: &Rotation, dice: &mut fastrand::Rng) -> Option<Waiver> {
    let consumers: Vec<_> = rotation.plan.consumers.iter().filter(|consumer| !consumer.job).collect();
    let consumer = consumers.get(dice.usize(0..consumers.len().max(1)))?;
    let whole = dice.u8(0..4) == 0 || consumer.baseline.is_empty();
    let instance = (!whole).then(|| consumer.baseline[dice.usize(0..consumer.baseline.len())].clone());
    Some(Waiver { consumer: consumer.name.clone(), instance })
}

fn leak(rotation: &Rotation, leak: Leak, urgency: Urgency, now: DateTime<Utc>, dice: &mut fastrand::Rng) -> (Ask, Detail) {
    let roles: &[Role] = match leak {
        Leak::Old => &[Role::Old],
        Leak::New => &[Role::New],
        Leak::Both => &[Role::Old, Role::New],
    };
    let leaked = roles.iter().filter_map(|role| rotation.key(*role).cloned()).collect();
    (Ask::Emergency(leak, urgency), Detail::Emergency(emergency(leaked, urgency, now, dice)))
}

/// A declaration of now.
pub fn emergency(leaked: Vec<KeyId>, urgency: Urgency, now: DateTime<Utc>, dice: &mut fastrand::Rng) -> Emergency {
    let after = match urgency {
        Urgency::RevokeFirst => Duration::ZERO,
        Urgency::ReplaceFast => Duration::from_secs(dice.u64(20..=320)),
    };
    Emergency { by: "ann".into(), reason: "it leaked".into(), leaked, revoke_at: now + after, since: None }
}
