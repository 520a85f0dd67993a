//! Where a rotation turns when a key leaks: from every place on its roads, told in one table.

use std::collections::BTreeMap;

use keyroll::protocol::{
    Action::{self, Do, Intend, Look, Stop, Wait},
    Answer, Ask,
    Effect::{Create, Delete, Disable, Enable, Promote, Rollout},
    Event, Kind, Leak, OnTimeout, Pause, Phase, Query, Refusal,
    Role::{New, Old},
    Rules, State, Urgency, allows, apply,
};

use crate::{LEAKS, PLAIN, Walk, ideal};

const REVERSIBLE: Rules = Rules { disables: true, asks_use: true, ..PLAIN };

/// Every place at which a walk stands on its ideal way to the end, from where it is.
fn stops(road: &'static str, start: Walk) -> Vec<(&'static str, Action, Walk)> {
    let mut all = Vec::new();
    let mut walk = start;
    loop {
        let next = walk.next();
        all.push((road, next, Walk { state: walk.state, told: Vec::new() }));
        let Some(event) = ideal(next) else { return all };
        walk = walk.event(event);
    }
}

/// The roads: there, back, with a disable; and what a lost write, a lost create or a hold makes of them.
fn roads() -> Vec<(&'static str, Action, Walk)> {
    let rules = |rules: Rules| Walk::new(rules);
    let hold = Rules { on_timeout: OnTimeout::Hold, ..PLAIN };
    let by_hand = Rules { revokes: false, ..PLAIN };
    let two = Rules { stores: 2, consumers: 2, ..PLAIN };
    let fence = || rules(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No);
    let swept = || rules(PLAIN).lost(Create).saw(Query::Settle, Answer::Yes).until(Look(Query::Consumer(New, 0)));
    let off = || rules(REVERSIBLE).until(Wait(Pause::Soak));
    let leaks = |walk: Walk, leak| walk.asked(Ask::Emergency(leak, Urgency::ReplaceFast));
    let back = |walk: Walk| walk.saw(Query::Consumer(New, 0), Answer::Bad);
    [
        stops("plain", rules(PLAIN)),
        stops("with a disable", rules(REVERSIBLE).until(Wait(Pause::Grace))),
        stops("back", back(rules(PLAIN))),
        stops("back, two of each", rules(two).until(Do(Rollout(New, 1))).asked(Ask::Rollback)),
        stops("enabled again", off().saw(Query::Everyone(New), Answer::Bad)),
        stops("fence", fence()),
        stops("fence on the way out", fence().asked(Ask::Rollback)),
        stops("way out", rules(PLAIN).until(Intend(Promote(0))).asked(Ask::Rollback)),
        stops("promoted again", rules(PLAIN).lost(Promote(0)).saw(Query::Current(0), Answer::No)),
        stops("promoted again, and moved", rules(PLAIN).lost(Promote(0)).saw(Query::Current(0), Answer::Moved)),
        stops("stray", rules(PLAIN).lost(Create).saw(Query::Settle, Answer::No)),
        stops("swept", swept().until(Do(Delete(Old)))),
        stops("swept, stray", swept().until(Do(Delete(Old))).saw(Query::Settle, Answer::No)),
        stops("swept on the way back", back(swept()).until(Do(Delete(New)))),
        stops("swept on the way back, stray", back(swept()).until(Do(Delete(New))).saw(Query::Settle, Answer::No)),
        stops("held, not verified", rules(hold).until(Wait(Pause::Grace)).saw(Query::Everyone(New), Answer::No)),
        stops(
            "held, not verified, before a disable",
            rules(Rules { disables: true, ..hold }).until(Wait(Pause::Grace)).saw(Query::Everyone(New), Answer::No),
        ),
        stops("held, still used", rules(REVERSIBLE).saw(Query::Unused, Answer::No)),
        stops("held, foreign value", rules(PLAIN).until(Wait(Pause::Grace)).saw(Query::Stores(New), Answer::Foreign)),
        stops("held, the disable is refused", rules(REVERSIBLE).refused(Disable, Refusal::Denied)),
        stops("held, the enable is refused", off().saw(Query::Stores(New), Answer::Foreign).refused(Enable, Refusal::Denied)),
        stops("unproved", rules(Rules { proved: false, ..PLAIN }).until(Wait(Pause::Grace))),
        stops("revoked by hand", rules(by_hand).refused(Delete(Old), Refusal::Denied).asked(Ask::GoOn)),
        stops("replace", rules(Rules { kind: Kind::Replace, ..PLAIN })),
        stops("install", rules(Rules { kind: Kind::Install, ..PLAIN })),
        stops("two of each", rules(two)),
        stops("both leaked", leaks(rules(PLAIN).until(Wait(Pause::Grace)), Leak::Both)),
        stops("old leaked", leaks(rules(PLAIN), Leak::Old)),
        stops("old leaked on the way back", leaks(back(rules(PLAIN)), Leak::Old)),
        stops("new leaked", leaks(rules(PLAIN).until(Wait(Pause::Grace)), Leak::New)),
        stops("new leaked after a disable", leaks(off(), Leak::New)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is done from here to the end, with good luck and a person who says "go on"; and how every key ends.
fn story(mut walk: Walk) -> String {
    let mut told = Vec::new();
    while walk.state.ended().is_none() {
        assert!(told.len() < 100, "no end: {told:?}");
        let next = walk.next();
        match next {
            Intend(Delete(role)) => told.push(format!("tombstone of {role:?}")),
            Intend(_) | Action::Park(_) => {}
            Do(effect) => told.push(format!("{effect:?}")),
            Look(query) => told.push(format!("{query:?}?")),
            Wait(pause) => told.push(format!("{pause:?}…")),
            Stop => told.push(format!("(held: {:?})", walk.state.held)),
        }
        walk = walk.event(ideal(next).unwrap_or(Event::Asked(Ask::GoOn)));
    }
    let State { phase, attempt, old_leak, new_leak, former, later, dead, .. } = walk.state;
    format!(
        "{}\n    {phase:?}, attempt {attempt}; old {old_leak:?}, new {new_leak:?}, given up {former:?}, later {later}, seen dead: {dead}",
        told.join(", ")
    )
}

/// From each place, for each leak: either it cannot be said there, or this is what follows. Places with the same story stand together.
#[test]
fn from_every_place_a_leak_turns_the_rotation_where_the_table_says() {
    let mut table: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (road, place, walk) in roads() {
        for (word, leak) in [("old", Leak::Old), ("new", Leak::New), ("both", Leak::Both)] {
            let ask = Ask::Emergency(leak, Urgency::ReplaceFast);
            let told =
                if allows(&walk.state, ask) { story(Walk { state: walk.state, told: Vec::new() }.asked(ask)) } else { "cannot be".into() };
            table.entry(told).or_default().entry(format!("{word} · {road}")).or_default().push(format!("{place:?}"));
        }
    }
    let rows = table.into_iter().map(|(told, roads)| {
        let places: Vec<String> = roads.into_iter().map(|(road, places)| format!("  - {road}: {}", places.join(", "))).collect();
        format!("{told}\n{}", places.join("\n"))
    });
    insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n\n"));
}

/// Whatever the key that is given up went through: the next one knows nothing of it.
#[test]
fn a_key_that_takes_another_ones_place_begins_as_at_the_start() {
    let mut given_up = 0;
    for (road, place, walk) in roads() {
        for ask in LEAKS.into_iter().filter(|ask| allows(&walk.state, *ask)) {
            let before = walk.state;
            let State { phase, rules, attempt, murky, old_leak, former, later, due, .. } = apply(&before, &Event::Asked(ask)).unwrap();
            if phase == Phase::Create && attempt > before.attempt {
                given_up += 1;
                let start = State::start(Rules { kind: Kind::Replace, ..before.rules });
                let expected = State { attempt, murky, old_leak, former, later, due, ..start };
                assert_eq!(apply(&before, &Event::Asked(ask)), Ok(expected), "{ask:?} on {road}, at {place:?}");
                assert_eq!((rules.kind, attempt, murky), (Kind::Replace, before.attempt + 1, before.murky));
            }
        }
    }
    assert!(given_up > 100, "only {given_up}");
}
