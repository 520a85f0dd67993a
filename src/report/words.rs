//! A rotation in words: one sentence for each record, where both keys stand, and what to type next.
//!
//! Everything here is asked of the rotation *after* the record, so that the ids the record brought are already known.

use super::{
    paint::{clean, shorten},
    time::{after, clock, rough},
};
use crate::{
    playbook::Span,
    protocol::{Answer, Ask, Effect, End, Event, Kind, Pause, Phase, Query, Refusal, Role, Stand, Why, allows},
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
    use Answer::{Bad, Foreign, Late, Later, No, Yes};
    let plan = &rotation.plan;
    let text = match (query, answer) {
        (Query::Consumer(role, i), _) => return proof(rotation, role, Some(i), answer, detail),
        (Query::Everyone(role), _) => return proof(rotation, role, None, answer, detail),
        (Query::Dead, Yes) => match detail {
            Detail::Reply { said } => return said.clone(),
            _ => "the provider refuses the old key".into(),
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
        (Query::Dead, Bad | No | Later | Foreign | Late) => "the old key is not dead at the provider".into(),
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
    }
}

fn asked(ask: Ask, detail: &Detail) -> String {
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
    }
}

/// A key by its id, where that is known.
fn name_of(rotation: &Rotation, role: Role) -> String {
    rotation.key(role).map_or_else(|| format!("the {}", adjective(role)), |id| format!("{} {id}", adjective(role)))
}

/// The running step in a few words.
pub fn step(rotation: &Rotation) -> &'static str {
    match rotation.state.phase {
        Phase::Create if rotation.state.stand == Stand::Unsure => "finding out whether a lost create left a key",
        Phase::Create => "creating the new key",
        Phase::Stray(_) => "deleting a key that a lost create left",
        Phase::Discard => "deleting the new key, which no store ever served",
        Phase::Probe => "trying the new key",
        Phase::Promote(_) => "writing the new key to the stores",
        Phase::Fence => "making sure that a lost write cannot land late",
        Phase::Converge(_) => "seeing that every reader of the store gets the new key",
        Phase::Rollout(_) => "having services pick up the new key",
        Phase::Verify(_) => "having every instance prove the new key",
        Phase::Grace => "waiting before the old key is touched",
        Phase::ByHand => "waiting for a person to revoke the old key",
        Phase::Idle => "waiting for the old key to be idle",
        Phase::Disable if rotation.state.stand == Stand::Idle => "proving everything again before the old key is switched off",
        Phase::Disable => "switching the old key off",
        Phase::Watch => "watching for complaints while the old key is off",
        Phase::Soak => "waiting before the old key is deleted",
        Phase::Delete if rotation.state.stand == Stand::Idle => "proving everything again before the old key is deleted",
        Phase::Delete => "deleting the old key",
        Phase::ProveDead => "seeing the provider refuse the old key",
        Phase::LastLook => "reading the stores one last time",
        Phase::Sweep(_) => "looking for keys that lost creates left",
        Phase::BackRestore(_) => "going back: writing the old key to the stores",
        Phase::BackRollout(_) => "going back: having services pick up the old key",
        Phase::BackVerify => "going back: having every instance prove the old key",
        Phase::BackGrace => "going back: waiting before the new key is deleted",
        Phase::BackDelete if rotation.state.stand == Stand::Idle => "going back: proving everything again before the new key is deleted",
        Phase::BackDelete => "going back: deleting the new key",
        Phase::BackEnable => "switching the old key on again",
        Phase::Ended(End::Done) => "done",
        Phase::Ended(End::RolledBack) => "rolled back to the old key",
        Phase::Ended(End::Aborted) => "aborted before any store was changed",
    }
}

/// Why a person is needed, in a few words.
pub fn why(why: Why) -> &'static str {
    match why {
        Why::CannotSettle => "a create without an answer may have left a key that cannot be told from others",
        Why::CannotFence => "the first write to the store had no answer and may still land",
        Why::ForeignValue => "a store holds a value that is neither the old nor the new key",
        Why::NotVerified => "not every instance proved its key",
        Why::StillUsed => "somebody still uses the old key",
        Why::EnabledAgain => "somebody complained while the old key was off, so it was switched on again",
        Why::NothingToReturnTo => "something is wrong, and there is no old key to go back to",
        Why::RevokeByHand => "which key is old was not proved, so a person must revoke it",
        Why::StillAlive => "the provider still accepts the old key after its deletion",
        Why::Refused(Refusal::Gone) => "what a needed step was to change is not there any more",
        Why::Refused(Refusal::Conflict) => "somebody else changed what a needed step was to change",
        Why::Refused(Refusal::Quota) => "there is no room for another key",
        Why::Refused(Refusal::Denied) => "a needed step was refused: not allowed, or not logged in",
        Why::Refused(Refusal::Invalid) => "a needed step was refused: the request was not accepted",
        Why::Refused(Refusal::ValueLost) => "a value that is needed can no longer be read",
    }
}

/// The wait that is on: its end.
pub fn until(rotation: &Rotation) -> Option<chrono::DateTime<chrono::Utc>> {
    let s = &rotation.state;
    let waits = matches!(s.phase, Phase::Grace | Phase::Idle | Phase::Soak | Phase::BackGrace);
    let waiting = rotation.waiting.as_ref().filter(|_| waits && s.stand != Stand::Idle && s.held.is_none())?;
    Some(after(waiting.since, waiting.lasts))
}

/// What to type next, as the rotation stands; a comment says what for. Empty at the end.
pub fn next(rotation: &Rotation) -> Vec<String> {
    let (id, s) = (&rotation.id, &rotation.state);
    if s.ended().is_some() {
        return Vec::new();
    }
    let resume = |comment: &str| format!("keyroll resume {id}  # {comment}");
    let Some(reason) = s.held else {
        return match until(rotation) {
            Some(until) => vec![resume(&format!("after {}; or leave it to `keyroll run --due`", clock(until)))],
            None => vec![resume("goes on where it stopped")],
        };
    };
    let mut next = match reason {
        Why::CannotSettle => vec![resume("after the key that nobody knows was deleted at the provider, or found to be somebody else's")],
        Why::CannotFence => vec![resume("after you made sure that the store is empty; the new key is then deleted")],
        Why::ForeignValue => vec![resume("after the store holds the old or the new key again")],
        Why::NotVerified => {
            let mut next = vec![resume("asks every instance again")];
            next.extend(rotation.missing.iter().take(3).map(|missing| waive(rotation, missing)));
            next
        }
        Why::StillUsed => vec![resume("after its user was found and moved to the new key; asks the provider again")],
        Why::EnabledAgain => vec![resume("after the one who complained uses the new key; proves everything, then switches off again")],
        Why::NothingToReturnTo => vec![resume("after the services were put right; asks every instance again")],
        Why::RevokeByHand => vec![resume("after you revoked the old key at the provider, by hand")],
        Why::StillAlive => vec![resume("asks the provider again; delete the old key there by hand if it stays")],
        Why::Refused(_) => vec![resume("after the cause was put right; tries the refused step again")],
    };
    let nowhere_to_go = rotation.plan.rules.kind != Kind::Rotate && s.touched > 0;
    if allows(s, Ask::Rollback) && !s.going_back() && !nowhere_to_go {
        let only = if reason == Why::RevokeByHand { ", only while that is NOT revoked" } else { "" };
        next.push(format!("keyroll rollback {id}  # back to the old key{only}"));
    }
    next
}

fn waive(rotation: &Rotation, missing: &Missing) -> String {
    let instance = missing.instance.as_ref().map_or_else(String::new, |instance| format!(" --instance {}", quoted(instance.as_str())));
    format!("keyroll waive {} --consumer {}{instance} --reason '…'  # do without its proof", rotation.id, quoted(&missing.consumer))
}

/// As a shell takes it: instances name themselves, and what they say must not become a command.
fn quoted(text: &str) -> String {
    let text = &clean(text);
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@".contains(c)) && !text.starts_with('-');
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Where both keys stand, in one line: what a person needs first when something went wrong.
pub fn keys(rotation: &Rotation) -> String {
    format!("{} · {}", old_key(rotation), new_key(rotation))
}

/// Where the old key stands: `old key AKIA…1: in use, untouched`.
pub fn old_key(rotation: &Rotation) -> String {
    let s = &rotation.state;
    let name = name_of(rotation, Role::Old);
    let name = name.strip_prefix("the ").unwrap_or(&name);
    match s.rules.kind {
        Kind::Install => return "old key: there was none".into(),
        Kind::Replace => return format!("{name}: was already dead"),
        Kind::Rotate => {}
    }
    let done = s.ended() == Some(End::Done) || matches!(s.phase, Phase::Sweep(End::Done) | Phase::Stray(Some(End::Done)));
    let fate = match s.phase {
        _ if done && !s.rules.proved => "to be revoked by hand; a person said it was",
        _ if s.held == Some(Why::StillAlive) => "deleted, but the provider still accepts it",
        _ if done => "deleted, and refused by the provider",
        Phase::ProveDead => "deleted; whether the provider refuses it is being looked at",
        Phase::LastLook if s.rules.proved => "deleted, and refused by the provider",
        Phase::LastLook => "to be revoked by hand; a person said it was",
        Phase::Delete if s.stand != Stand::Idle => "being deleted, past the point of no return",
        Phase::Disable if s.off => "being switched off",
        Phase::BackEnable => "switched off, being switched on again",
        _ if s.off => "switched off; can be switched on again",
        Phase::ByHand => "works and is in no store any more; a person must revoke it",
        Phase::BackRestore(_) => "works; being written back to the stores",
        Phase::BackRollout(_) | Phase::BackVerify => "works, and is back in every store",
        Phase::BackGrace | Phase::BackDelete | Phase::Sweep(End::RolledBack) | Phase::Ended(End::RolledBack) => {
            "in use again: in every store, and proved by every instance"
        }
        _ if s.touched == 0 || s.ended().is_some() => "in use, untouched",
        _ if !old_is_out(rotation) => "works; the new key is taking its place",
        _ => "works; no store holds it and no instance should use it",
    };
    format!("{name}: {fate}")
}

/// Where the new key stands: `new key AKIA…2: created, in no store`.
pub fn new_key(rotation: &Rotation) -> String {
    let s = &rotation.state;
    let Some(new) = &rotation.new else {
        return match (s.phase, s.stand) {
            (Phase::Create, Stand::Idle) if s.attempt == 1 => "new key: not created yet".into(),
            (Phase::Create, Stand::Begun | Stand::Unsure) => "new key: may have been created, which is not known yet".into(),
            (Phase::Ended(_), _) => "new key: none".into(),
            _ => "new key: none yet".into(),
        };
    };
    let name = format!("new key {}", new.id);
    let dead = rotation.tombstones.contains(&new.id);
    let stores = usize::from(s.rules.stores);
    let holding = rotation.versions.iter().filter(|known| matches!(known.last(), Some((_, Role::New)))).count();
    let fate = match s.phase {
        Phase::Discard | Phase::BackDelete if dead && s.stand != Stand::Idle => "being deleted".into(),
        _ if dead => "deleted".into(),
        Phase::Promote(i) if s.stand == Stand::Unsure => {
            format!("may be in {}, which is being looked at", shorten(&store(&rotation.plan, i), 60))
        }
        Phase::Fence => format!("may still reach {}, which is being prevented", shorten(&store(&rotation.plan, 0), 60)),
        Phase::Discard => "in no store, about to be deleted".into(),
        Phase::BackGrace | Phase::BackDelete | Phase::BackVerify | Phase::BackRollout(_) => "in no store any more; still works".into(),
        Phase::BackRestore(_) => format!("still in {holding} of {stores} stores, being taken out"),
        _ if s.touched == 0 && holding == 0 => "created, in no store".into(),
        _ if old_is_out(rotation) && holding == stores => "in use: in every store, and proved by every instance".into(),
        _ if holding == stores => "in every store; not yet proved by every instance".into(),
        _ if holding == 0 => "being written to the stores".into(),
        _ => format!("in {holding} of {stores} stores"),
    };
    format!("{name}: {fate}")
}

/// Whether every consumer proved the new key once, and nothing has changed the stores since.
pub fn old_is_out(rotation: &Rotation) -> bool {
    let s = &rotation.state;
    let past = matches!(
        s.phase,
        Phase::Grace
            | Phase::ByHand
            | Phase::Idle
            | Phase::Disable
            | Phase::Watch
            | Phase::Soak
            | Phase::Delete
            | Phase::ProveDead
            | Phase::LastLook
            | Phase::BackEnable
            | Phase::Sweep(End::Done)
            | Phase::Stray(Some(End::Done))
            | Phase::Ended(End::Done)
    );
    past && !matches!(s.held, Some(Why::NotVerified | Why::ForeignValue))
}

/// A whole length of time, as the playbook would write it.
pub fn span(length: std::time::Duration) -> String {
    Span(length).to_string()
}

/// What a batch or a script makes of it: 0 done · 1 rolled back or aborted · 3 held for a person · 6 parked or open.
pub fn exit_code(rotation: &Rotation) -> u8 {
    match (rotation.state.ended(), rotation.state.held) {
        (Some(End::Done), _) => 0,
        (Some(End::RolledBack | End::Aborted), _) => 1,
        (None, Some(_)) => 3,
        (None, None) => 6,
    }
}
