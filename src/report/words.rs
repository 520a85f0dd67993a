//! One sentence for each record.
//!
//! It is asked of the rotation *after* the record, so that the ids the record brought are already known.

pub use super::stand::{
    exit_code, formers, gate, keys, new_key, next, old_is_out, old_key, page, quoted, resume, span, step, until, waits_for_key, why,
};
use super::{
    paint::clean,
    time::{after, clock, rough},
};
use crate::{
    ids::KeyId,
    protocol::{Answer, Ask, Effect, Event, Kind, Pause, Query, Refusal, Role, Urgency},
    record::{Detail, Missing, Plan, Record},
    rotation::Rotation,
};

/// What this record says, in the past tense, without a full stop.
pub fn sentence(rotation: &Rotation, record: &Record) -> String {
    clean(&told(rotation, record))
}

fn told(rotation: &Rotation, record: &Record) -> String {
    if let Detail::Planned(plan) = &record.detail {
        return planned(plan);
    }
    let text = match &record.event {
        Event::Planned => "a rotation began".to_owned(),
        Event::Intended(effect) => intended(rotation, *effect, &record.detail),
        Event::Did(effect) => did(rotation, *effect, &record.detail),
        Event::Refused(effect, why) => {
            format!("{} refused to {}: {}", other_side(rotation, *effect), order(rotation, *effect), refusal(*why))
        }
        Event::Lost(effect) => {
            format!("no clear answer when asked to {}: it may have happened, so keyroll looks first", order(rotation, *effect))
        }
        Event::Saw(query, answer) => return saw(rotation, *query, *answer, &record.detail),
        Event::Parked(pause) => parked(*pause, &record.detail),
        Event::Waited(pause) => waited(*pause).into(),
        Event::Gated => match &record.detail {
            Detail::Waiting(waiting) => format!("does not go on yet: {}", waiting.what_for),
            _ => "does not go on yet".into(),
        },
        Event::Asked(ask) => return asked(*ask, &record.detail),
        Event::Resumed => "a new run took the rotation over; what it had proved is proved again".into(),
    };
    with_reply(text, &record.detail)
}

fn with_reply(text: String, detail: &Detail) -> String {
    match detail {
        Detail::Reply { said } if !said.is_empty() => format!("{text} ({said})"),
        _ => text,
    }
}

fn planned(plan: &Plan) -> String {
    let old =
        plan.old.as_ref().and_then(|old| old.id.as_ref()).map_or_else(|| "the key in the stores".to_owned(), |id| format!("key {id}"));
    match plan.rules.kind {
        Kind::Rotate => format!("began: {} is to get a new key at {} in place of {old}", plan.name, plan.provider),
        Kind::Install => format!("began: {} is to get its first key at {}", plan.name, plan.provider),
        Kind::Replace => format!("began: {} is to get a new key at {}; {old} is already dead", plan.name, plan.provider),
    }
}

fn intended(rotation: &Rotation, effect: Effect, detail: &Detail) -> String {
    let (name, key, base) = match detail {
        Detail::Intent { name, key, base } => (name.as_deref(), key.as_ref(), base.as_ref()),
        _ => (None, None, None),
    };
    match effect {
        Effect::Create => name.map_or_else(|| "set out to create a key".into(), |name| format!("set out to create a key named {name}")),
        Effect::Promote(_) | Effect::Restore(_) => {
            let over = base.map_or_else(|| " (empty until now)".into(), |base| format!(" (version {base} until now)"));
            format!("set out to {}{over}", order(rotation, effect))
        }
        Effect::Delete(role) => {
            let key = key.map_or_else(|| name_of(rotation, role), |key| format!("{} {key}", adjective(role)));
            let mark = if role == Role::Old { "point of no return: " } else { "" };
            format!("{mark}wrote down that {key} is dead for good and set out to delete it")
        }
        Effect::Rollout(..) | Effect::Disable | Effect::Enable => format!("set out to {}", order(rotation, effect)),
    }
}

fn did(rotation: &Rotation, effect: Effect, detail: &Detail) -> String {
    let version = match detail {
        Detail::Wrote { version } => format!(" (version {version})"),
        _ => String::new(),
    };
    match effect {
        Effect::Create => match detail {
            Detail::Created { id, .. } => format!("created key {id} at {}", rotation.plan.provider),
            _ => format!("created a key at {}", rotation.plan.provider),
        },
        Effect::Promote(i) => format!("{} now holds the new key{version}", store(&rotation.plan, i)),
        Effect::Restore(i) => format!("{} holds the old key again{version}", store(&rotation.plan, i)),
        Effect::Rollout(role, i) => format!("{} is set to pick up the {}", consumer(&rotation.plan, i), adjective(role)),
        Effect::Disable => format!("switched {} off; it can be switched on again", name_of(rotation, Role::Old)),
        Effect::Enable => format!("switched {} on again", name_of(rotation, Role::Old)),
        Effect::Delete(role) => format!("deleted {} at {}", name_of(rotation, role), rotation.plan.provider),
    }
}

/// An effect as an order: what was intended, refused or lost.
fn order(rotation: &Rotation, effect: Effect) -> String {
    match effect {
        Effect::Create => "create a key".into(),
        Effect::Promote(i) => format!("write the new key to {}", store(&rotation.plan, i)),
        Effect::Restore(i) => format!("write the old key back to {}", store(&rotation.plan, i)),
        Effect::Rollout(role, i) => format!("have {} pick up the {}", consumer(&rotation.plan, i), adjective(role)),
        Effect::Disable => format!("switch {} off", name_of(rotation, Role::Old)),
        Effect::Enable => format!("switch {} on again", name_of(rotation, Role::Old)),
        Effect::Delete(role) => format!("delete {}", name_of(rotation, role)),
    }
}

fn other_side(rotation: &Rotation, effect: Effect) -> String {
    match effect {
        Effect::Create | Effect::Disable | Effect::Enable | Effect::Delete(_) => rotation.plan.provider.clone(),
        Effect::Promote(i) | Effect::Restore(i) => store(&rotation.plan, i),
        Effect::Rollout(_, i) => format!("the rollout of {}", consumer(&rotation.plan, i)),
    }
}

fn refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::Gone => "it is not there any more",
        Refusal::Conflict => "it was changed by somebody else in the meantime",
        Refusal::Quota => "there is no room for another key",
        Refusal::Denied => "not allowed, or not logged in",
        Refusal::Invalid => "it does not accept the request",
        Refusal::ValueLost => "the new key's value is no longer in memory, and no store shows it",
    }
}

fn saw(rotation: &Rotation, query: Query, answer: Answer, detail: &Detail) -> String {
    use Answer::{Bad, Foreign, Late, Later, Moved, No, Yes};
    let plan = &rotation.plan;
    let text = match (query, answer) {
        (Query::Consumer(role, i), _) => return proof(rotation, role, Some(i), answer, detail),
        (Query::Everyone(role), _) => return proof(rotation, role, None, answer, detail),
        (Query::Dead(role), Yes) => match detail {
            Detail::Reply { said } => return said.clone(),
            _ => format!("the provider refuses the {}", adjective(role)),
        },
        (Query::Settle, Yes) => "no create of this rotation left a key behind".into(),
        (Query::Settle, No) => match &rotation.stray {
            Some(id) => format!("a create without an answer left key {id}; nobody has its value, so it will be deleted"),
            None => "a create without an answer left a key; nobody has its value, so it will be deleted".into(),
        },
        (Query::Settle, _) => "a key at the provider may be ours, and cannot be told from others".into(),
        (Query::Live, Yes) => "the provider accepts the new key".into(),
        (Query::Live, _) => "the new key did not work, and no store has seen it".into(),
        (Query::Current(i), Yes) => match rotation.versions.get(usize::from(i)).and_then(|known| known.last()) {
            Some((version, role)) => format!("{} holds the {} after all (version {version})", store(plan, i), adjective(*role)),
            None => format!("{} holds what was written to it", store(plan, i)),
        },
        (Query::Current(i), No) => format!("{} still holds what it held before", store(plan, i)),
        (Query::Current(i), Moved) => format!("{} shows the old key, and was written meanwhile", store(plan, i)),
        (Query::Current(i), Late) => format!("an earlier write to {} landed late", store(plan, i)),
        (Query::Current(i), _) => format!("{} holds a value of somebody else", store(plan, i)),
        (Query::Converged(i), Yes) => format!("every reader of {} gets the new key", store(plan, i)),
        (Query::Converged(i), Foreign) => format!("{} shows a value of somebody else", store(plan, i)),
        (Query::Converged(i), _) => format!("not every read endpoint of {} shows the new key in time", store(plan, i)),
        (Query::Rolled(role, i), Yes) => format!("{} had picked up the {} after all", consumer(plan, i), adjective(role)),
        (Query::Rolled(role, i), _) => {
            format!("nothing shows that {} was told to pick up the {}; once more", consumer(plan, i), adjective(role))
        }
        (Query::Stores(role), Yes) => format!("every store still shows the {}", adjective(role)),
        (Query::Stores(role), _) => format!("the stores no longer all show the {}", adjective(role)),
        (Query::Watched, Yes) => "nobody complained while the old key was off".into(),
        (Query::Watched, _) => return misses("somebody complained while the old key was off", detail),
        (Query::Unused, Yes) => "the provider says: the old key is idle, the new one is in use".into(),
        (Query::Unused, Later) => "the provider cannot say yet that the old key is idle".into(),
        (Query::Unused, _) => "the old key is still used by somebody".into(),
        (Query::Dead(role), Bad | No | Later | Foreign | Late | Moved) => format!("the {} is not dead at the provider", adjective(role)),
    };
    with_reply(text, detail)
}

/// Who proved which key. The new run of a rotation whose consumers are all waived or jobs has nobody to ask.
fn proof(rotation: &Rotation, role: Role, only: Option<u8>, answer: Answer, detail: &Detail) -> String {
    let plan = &rotation.plan;
    let who = only.map_or_else(|| "all consumers".into(), |i| consumer(plan, i));
    let key = adjective(role);
    let Detail::Evidence { proved, missing } = detail else {
        return with_reply(
            if answer == Answer::Yes { format!("{who} proved the {key}") } else { format!("{who} did not prove the {key}") },
            detail,
        );
    };
    let all = proved.len() + missing.len();
    if let Some(one) = only.and_then(|i| plan.consumers.get(usize::from(i)))
        && one.job
        && all == 0
    {
        return format!("{} is a job and not running now: its longest run is part of the wait before the old key is touched", one.name);
    }
    match (answer, all) {
        (Answer::Yes, 0) => format!("nobody has to prove the {key} for {who}"),
        (Answer::Yes, _) => format!("{} of {} of {who} prove the {key}", proved.len(), instances(all)),
        (Answer::Bad, _) => misses(&format!("{who} is ill on the {key}: {} of {} prove it", proved.len(), instances(all)), detail),
        _ => misses(&format!("only {} of {} of {who} proved the {key} in time", proved.len(), instances(all)), detail),
    }
}

fn misses(text: &str, detail: &Detail) -> String {
    match detail {
        Detail::Evidence { missing, .. } if !missing.is_empty() => format!("{text}; {}", some(missing, 5)),
        _ => with_reply(text.to_owned(), detail),
    }
}

/// The first few that are missing, with their reasons.
pub fn some(missing: &[Missing], most: usize) -> String {
    let mut words: Vec<String> = missing.iter().take(most).map(miss).collect();
    if missing.len() > most {
        words.push(format!("and {} more", missing.len() - most));
    }
    words.join("; ")
}

/// One that is missing, with the reason.
pub fn miss(missing: &Missing) -> String {
    clean(&match &missing.instance {
        Some(instance) => format!("{instance}: {}", missing.why),
        None => format!("{}: {}", missing.consumer, missing.why),
    })
}

/// `1 instance`, `5 instances`.
pub fn instances(count: usize) -> String {
    format!("{count} instance{}", if count == 1 { "" } else { "s" })
}

fn parked(pause: Pause, detail: &Detail) -> String {
    let what = match pause {
        Pause::Grace => "before the old key is touched",
        Pause::Idle => "for the old key to be idle",
        Pause::Soak => "before the old key is deleted",
        Pause::Stale => "before the new key is deleted",
        Pause::Revoke => "before the leaked key is deleted",
    };
    match detail {
        Detail::Waiting(waiting) => {
            let until = clock(after(waiting.since, waiting.lasts));
            format!("began to wait {what}: {}, until {until} ({})", rough(waiting.lasts), waiting.what_for)
        }
        _ => format!("began to wait {what}"),
    }
}

fn waited(pause: Pause) -> &'static str {
    match pause {
        Pause::Grace => "the wait before the old key is touched is over",
        Pause::Idle => "the wait for the old key to be idle is over",
        Pause::Soak => "the wait before the old key is deleted is over",
        Pause::Stale => "the wait before the new key is deleted is over",
        Pause::Revoke => "the time has come at which the leaked key is deleted, whatever the state",
    }
}

fn asked(ask: Ask, detail: &Detail) -> String {
    if let (Ask::Emergency(_, urgency), Detail::Emergency(emergency)) = (ask, detail) {
        let keys: Vec<&str> = emergency.leaked.iter().map(KeyId::as_str).collect();
        let when = match urgency {
            Urgency::RevokeFirst => "it is deleted before anything else".to_owned(),
            Urgency::ReplaceFast => {
                format!("it is deleted as soon as everybody is off it, at the latest at {}", clock(emergency.revoke_at))
            }
        };
        let keys = if keys.is_empty() { "a key".to_owned() } else { keys.join(", ") };
        return format!("{} declared an emergency: {keys} leaked (\"{}\"); {when}", emergency.by, emergency.reason);
    }
    let Detail::Person { by, reason, waiver, .. } = detail else {
        return format!("a person asked to {}", wish(ask));
    };
    let whom = waiver.as_ref().map_or_else(String::new, |waiver| match &waiver.instance {
        Some(instance) => format!(" for {instance} of {}", waiver.consumer),
        None => format!(" for all of {}", waiver.consumer),
    });
    let because = reason.as_ref().map_or_else(String::new, |reason| format!(": \"{reason}\""));
    format!("{by} asked to {}{whom}{because}", wish(ask))
}

fn wish(ask: Ask) -> &'static str {
    match ask {
        Ask::Rollback => "go back to the old key",
        Ask::GoOn => "go on",
        Ask::Amend => "change the playbook of this rotation; everything is proved again",
        Ask::Waive => "do without proof",
        Ask::Emergency(..) => "get rid of a leaked key",
    }
}

/// A store by its place.
pub fn store(plan: &Plan, place: u8) -> String {
    plan.stores.get(usize::from(place)).map_or_else(|| format!("store {}", place + 1), |store| store.locator.clone())
}

/// A consumer by its place.
pub fn consumer(plan: &Plan, place: u8) -> String {
    plan.consumers.get(usize::from(place)).map_or_else(|| format!("consumer {}", place + 1), |consumer| consumer.name.clone())
}

fn adjective(role: Role) -> &'static str {
    match role {
        Role::Old => "old key",
        Role::New => "new key",
        Role::Stray => "leftover key",
        Role::Former => "given-up key",
    }
}

/// A key by its id, where that is known.
pub fn name_of(rotation: &Rotation, role: Role) -> String {
    rotation.key(role).map_or_else(|| format!("the {}", adjective(role)), |id| format!("{} {id}", adjective(role)))
}
