//! A counterexample as a story that a person can read.

use std::fmt::Write;

use keyroll::protocol::{Action, Answer, Ask, Effect, Event, Leak, Pause, Query, Refusal, Role, Urgency, decide};

use crate::{
    moves::Move,
    setting::{Meddle, Setting},
    steps::Outcome,
    world::{Key, Life, OLD, Op, Value, World},
};

/// Tells the way from the beginning, and how the world looks at its end.
pub fn tell(setting: &Setting, way: &[(World, Option<Move>)], broken: &str) -> String {
    let mut text = String::new();
    let mut senders: Vec<(Op, usize)> = Vec::new();
    for (number, pair) in way.windows(2).enumerate() {
        let [(before, Some(step)), (after, _)] = pair else { continue };
        if let Move::Step(runner, _) = step {
            senders.extend(after.net.iter().filter(|op| !before.net.contains(op)).map(|op| (*op, *runner)));
        }
        let line = setting.under(|| line(before, *step, after, &senders));
        let _ = writeln!(text, "{:>3}. {line}", number + 1);
    }
    let _ = writeln!(text, "Broken: {broken}");
    if let Some((world, _)) = way.last() {
        let _ = writeln!(text, "{}", picture(world));
    }
    text
}

fn line(before: &World, step: Move, after: &World, senders: &[(Op, usize)]) -> String {
    match step {
        Move::Step(runner, outcome) => stepped(before, runner, outcome, after),
        Move::Land(op) => {
            let sender = senders.iter().rev().find(|(sent, _)| *sent == op).map_or(0, |(_, runner)| *runner);
            let nothing = after.keys == before.keys && after.stores == before.stores;
            let how = if nothing { "; it changes nothing" } else { "" };
            format!("{} of runner {} lands now, late{how}", sent(op), sender + 1)
        }
        Move::Take => {
            let new = after.holder().map_or(0, |at| at + 1);
            let old = after.runners.iter().position(|runner| runner.as_ref().is_some_and(|runner| runner.behind.is_some()));
            let rest = old.map_or(String::new(), |old| format!("; runner {} does not know it yet", old + 1));
            format!("runner {new} takes the rotation over{rest}")
        }
        Move::Read(instance, value) => {
            let stale = before.source(instance).current().value != value;
            let age = if stale { ", which its store still gives it" } else { "" };
            format!("instance {} reads {}{age}", instance + 1, named(value))
        }
        Move::Meddle(store, meddle) => match meddle {
            Meddle::Field => format!("somebody changes another field of store {}", store + 1),
            Meddle::Overwrite => format!("somebody writes a value of their own to store {}", store + 1),
            Meddle::OldBack => format!("somebody writes the old key back to store {} by hand", store + 1),
            Meddle::DeleteOld => "somebody deletes the old key at the provider".into(),
            Meddle::MakeKey => "somebody makes a key of their own at the provider".into(),
        },
        Move::Ask(ask) => match ask {
            Ask::Rollback => "a person asks to go back".into(),
            Ask::GoOn => format!("a person says: go on (it was held: {:?})", before.journal.state.held),
            Ask::Amend => "a person changes the playbook".into(),
            Ask::Waive => "a person excuses instance 2".into(),
            Ask::Emergency(leak, urgency) => {
                let what = match leak {
                    Leak::Old => "the old key",
                    Leak::New => "the new key",
                    Leak::Both => "both keys",
                };
                let when = if urgency == Urgency::RevokeFirst { "revoke at once" } else { "replace fast" };
                format!("somebody says that {what} leaked: {when}")
            }
        },
        Move::Due => "the time has come at which what leaked is deleted".into(),
        Move::Gate => "the window closes".into(),
        Move::ByHand(key) => format!("a person deletes {} by hand, as told", named(Value::Key(key))),
    }
}

fn stepped(before: &World, runner: usize, outcome: Outcome, after: &World) -> String {
    let Some(mind) = before.mind(runner) else { return String::new() };
    let who = format!("runner {}", runner + 1);
    let gone = after.runners[runner].is_none();
    let lost = if gone { "; the journal takes no more of it" } else { "" };
    match decide(&mind.state) {
        Action::Intend(effect) => {
            let tombstone = if matches!(effect, Effect::Delete(_)) { " (tombstone)" } else { "" };
            format!("{who} intends to {}{tombstone}{lost}", to_do(effect))
        }
        Action::Do(effect) => {
            let how = match outcome {
                Outcome::Unheard => ": it happens, but the reply is lost",
                Outcome::Late => ": no reply; it may still happen",
                Outcome::Twice => ": done, and it may happen once more",
                Outcome::Denied => ": not allowed",
                _ => match answer(before, runner, after) {
                    Some(Refusal::Conflict) => ": the store has moved on, and refuses",
                    Some(Refusal::Gone) => ": it is not there (any more)",
                    Some(Refusal::Quota) => ": no room",
                    Some(_) => ": it cannot be sent",
                    None => "",
                },
            };
            let zombie = if mind != &before.journal { " (its lease is lost)" } else { "" };
            format!("{who}{zombie} goes to {}{how}{lost}", to_do(effect))
        }
        Action::Look(query) => {
            let Outcome::Saw(answer, put) = outcome else { return String::new() };
            let stale = put.is_some_and(|put| before.stores.iter().all(|store| store.current() != put));
            let age = if stale { ", as it was before" } else { "" };
            format!("{who} looks {}: {}{age}{lost}", at(query), shown(answer))
        }
        Action::Park(pause) => format!("{who} begins to wait ({})", waits(pause)),
        Action::Wait(pause) => format!("{who} has waited ({})", waits(pause)),
        Action::Stop => String::new(),
    }
}

/// Why the other side refused, told from what the runner makes of it.
fn answer(before: &World, runner: usize, after: &World) -> Option<Refusal> {
    let mind = before.mind(runner)?;
    let Action::Do(effect) = decide(&mind.state) else { return None };
    let next = after.mind(runner)?;
    let whys = [Refusal::Conflict, Refusal::Gone, Refusal::Quota, Refusal::ValueLost];
    let did = mind.with(Event::Did(effect), crate::memory::Detail::Nothing).is_ok_and(|done| done.state == next.state);
    whys.into_iter().filter(|_| !did).find(|why| {
        mind.with(Event::Refused(effect, *why), crate::memory::Detail::Nothing).is_ok_and(|refused| refused.state == next.state)
    })
}

fn to_do(effect: Effect) -> String {
    match effect {
        Effect::Create => "create a new key".into(),
        Effect::Promote(i) => format!("write the new key to store {}", i + 1),
        Effect::Restore(i) => format!("write the old key back to store {}", i + 1),
        Effect::Rollout(role, i) => format!("have consumer {} pick {} up", i + 1, role_name(role)),
        Effect::Disable => "disable the old key".into(),
        Effect::Enable => "enable the old key".into(),
        Effect::Delete(role) => format!("delete {}", role_name(role)),
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Old => "the old key",
        Role::New => "the new key",
        Role::Stray => "the stray key",
        Role::Former => "a key that was given up",
    }
}

fn at(query: Query) -> String {
    match query {
        Query::Settle => "for keys that lost creates left".into(),
        Query::Live => "whether the new key works".into(),
        Query::Current(i) => format!("at what store {} shows", i + 1),
        Query::Converged(i) => format!("whether all of store {} shows the new key", i + 1),
        Query::Rolled(_, i) => format!("whether consumer {} was rolled out", i + 1),
        Query::Consumer(role, i) => format!("whether consumer {} proves {}", i + 1, role_name(role)),
        Query::Everyone(role) => format!("whether everyone proves {}", role_name(role)),
        Query::Stores(role) => format!("whether all stores show {}", role_name(role)),
        Query::Watched => "whether anybody complains".into(),
        Query::Unused => "whether the old key is idle".into(),
        Query::Dead(role) => format!("whether the provider refuses {}", role_name(role)),
    }
}

fn shown(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Bad => "something is wrong",
        Answer::Later => "not yet",
        Answer::Foreign => "something that is not ours",
        Answer::Late => "the other key",
        Answer::Moved => "no, but somebody wrote it",
    }
}

fn waits(pause: Pause) -> &'static str {
    match pause {
        Pause::Grace => "grace",
        Pause::Idle => "idle",
        Pause::Soak => "soak",
        Pause::Stale => "until nobody can read the new key any more",
        Pause::Revoke => "until the leaked key is due",
    }
}

fn sent(op: Op) -> String {
    match op {
        Op::Create(_) => "the creation".into(),
        Op::Promote(store, value, _) | Op::Restore(store, value, _) => {
            format!("the write of {} to store {}", named(value), store + 1)
        }
        Op::Switch(on) => format!("the order to {} the old key", if on { "enable" } else { "disable" }),
        Op::Delete(key) => format!("the deletion of {}", named(Value::Key(key))),
    }
}

/// Keys keep their number, whatever their part is by now.
fn named(value: Value) -> String {
    match value {
        Value::Nothing => "nothing".into(),
        Value::Foreign => "somebody else's value".into(),
        Value::Key(OLD) => "the old key".into(),
        Value::Key(key) => format!("key {key}"),
    }
}

/// How it looks at the end.
fn picture(world: &World) -> String {
    let life = |key: Key| match world.life(key) {
        Life::Live => "works",
        Life::Off => "is disabled",
        Life::Dead => "is dead",
    };
    let mut parts: Vec<String> = (0..).zip(&world.keys).map(|(key, _)| format!("{} {}", named(Value::Key(key)), life(key))).collect();
    for (at, store) in (1..).zip(&world.stores) {
        let mut older: Vec<String> = store.log[..store.log.len() - 1].iter().map(|put| named(put.value)).collect();
        older.dedup();
        let older = if older.is_empty() { String::new() } else { format!(" (a reader may still get {})", older.join(", ")) };
        parts.push(format!("store {at} shows {}{older}", named(store.current().value)));
    }
    parts.extend((1..).zip(&world.instances).map(|(at, value)| format!("instance {at} uses {}", named(*value))));
    let state = &world.journal.state;
    let stands = match (state.ended(), state.held) {
        (Some(end), _) => format!("the rotation is over: {end:?}"),
        (_, Some(why)) => format!("the rotation is held: {why:?}, at {:?}", state.phase),
        _ => format!("the rotation is at {:?} ({:?})", state.phase, state.stand),
    };
    parts.push(stands);
    parts.iter().map(|part| format!("     {part}")).collect::<Vec<_>>().join("\n")
}
