//! The law (what may be told, and what not), and that every road leads somewhere.

use crate::figure::figure;
use keyroll::protocol::{
    Action, Answer, Ask, Debt, Effect, End, Event, Kind, OnTimeout, Pause, Phase, Proof, Query, Role, Rules, Stand, State, Why, allows,
    apply, decide, gated,
};
use proptest::prelude::*;

use crate::{
    PLAIN, all_events, answers,
    explore::{Leaking, explore},
    ideal, nexts,
    safety::rules,
};

/// More than any ideal road has: 4 stores and 5 consumers there and back, several creates.
const STEPS: usize = 200;

/// An event is the answer to what was wanted, a person's possible ask, or a takeover; all else is refused, nothing panics.
fn law(state: &State, events: &[Event]) -> Result<(), String> {
    let wanted = decide(state);
    for event in events {
        let result = apply(state, event);
        let expected = match *event {
            Event::Resumed => state.ended().is_none(),
            Event::Gated => gated(state),
            Event::Waited(Pause::Revoke) => state.owes() && !state.due,
            Event::Asked(ask) => allows(state, ask) || of_before(state, *event),
            Event::Intended(_) if of_before(state, *event) => true,
            // A reading has answers that make no sense for it; "yes" always does.
            Event::Saw(_, answer) if answers(wanted, *event) => answer == Answer::Yes || result.is_ok(),
            _ => answers(wanted, *event),
        };
        if matches!(event, Event::Saw(..)) && result == Ok(*state) {
            return Err(format!("{event:?} leads nowhere, again and again: {state:?}"));
        }
        if result.is_ok() != expected {
            return Err(format!("{wanted:?} and {event:?}: {result:?}, in {state:?}"));
        }
    }
    Ok(())
}

/// What only journals of an earlier form hold.
fn of_before(state: &State, event: Event) -> bool {
    match event {
        Event::Intended(Effect::Delete(Role::Former)) => state.due && state.former.0 == Debt::Later,
        Event::Intended(Effect::Delete(Role::New)) => {
            state.phase == Phase::Fence && state.stand == Stand::Unsure && state.rules.kind == Kind::Install
        }
        Event::Asked(Ask::GoOn) => state.phase == Phase::ByHand,
        _ => false,
    }
}

/// Ideal answers from here; a person says "go on" at each hold. How it stands at the end.
fn at_the_end(mut state: State) -> Result<(State, Vec<Why>), String> {
    let start = state;
    let mut holds = Vec::new();
    for _ in 0..STEPS {
        if state.ended().is_some() {
            return Ok((state, holds));
        }
        let event = ideal(decide(&state)).unwrap_or_else(|| {
            holds.extend(state.held);
            Event::Asked(Ask::GoOn)
        });
        state = apply(&state, &event).map_err(|illegal| format!("{illegal} in {state:?}"))?;
    }
    Err(format!("no end from {start:?}; it stands at {state:?}"))
}

/// A closed window holds back the beginning of each risky step forward, with the proof that belongs to it; never the way back, nor an emergency.
fn gate(state: &State) -> Result<(), String> {
    let next = decide(state);
    let risky = |action| {
        use Effect::{Create, Delete, Disable, Promote, Rollout};
        matches!(action, Action::Intend(Create | Promote(_) | Rollout(Role::New, _) | Disable | Delete(Role::Old)))
    };
    let proves = matches!(next, Action::Look(Query::Unused | Query::Everyone(Role::New) | Query::Stores(Role::New)));
    let gated = gated(state);
    if risky(next) && !state.emergency() && !gated {
        return Err(format!("{next:?} begins while the window is closed: {state:?}"));
    }
    if gated && (state.emergency() || !risky(next) && !proves) {
        return Err(format!("{next:?} waits for a window: {state:?}"));
    }
    if let Ok(after) = apply(state, &Event::Gated)
        && (after.proof != Proof::None || State { proof: state.proof, ..after } != *state)
    {
        return Err(format!("a closed window changes more than the proof, or keeps it: {state:?}"));
    }
    Ok(())
}

fn ends(state: State) -> Result<(End, Vec<Why>), String> {
    let (state, holds) = at_the_end(state)?;
    state.ended().map(|end| (end, holds)).ok_or_else(|| "no end".into())
}

#[test]
fn the_law_holds_and_no_state_is_a_dead_end() {
    let events = all_events(3);
    let mut states = 0;
    for rules in rules(2, 2) {
        for (state, ()) in explore(rules) {
            states += 1;
            law(&state, &events).unwrap_or_else(|broken| panic!("{broken}"));
            gate(&state).unwrap_or_else(|broken| panic!("{broken}"));
            let (_, holds) = ends(state).unwrap_or_else(|stuck| panic!("{stuck}"));
            assert!(holds.len() <= 3, "a person is asked again and again: {holds:?} from {state:?}");
            assert!(decide(&state) != Action::Stop || state.ended().is_some() || state.held.is_some(), "stopped for nothing: {state:?}");
        }
    }
    figure("protocol, law", format!("{states} states, {} events each", events.len()));
}

#[test]
fn the_law_holds_in_an_emergency_too_and_every_debt_is_paid_in_the_end() {
    let events = all_events(2);
    let rules = Rules { attempts: 2, ..PLAIN };
    let sizes = [rules, Rules { disables: true, ..rules }, Rules { proved: false, ..rules }, Rules { stores: 2, consumers: 2, ..rules }];
    let mut states = 0;
    for rules in sizes {
        for (state, Leaking) in explore::<Leaking>(rules) {
            states += 1;
            law(&state, &events).unwrap_or_else(|broken| panic!("{broken}"));
            gate(&state).unwrap_or_else(|broken| panic!("{broken}"));
            assert!(decide(&state) != Action::Stop || state.ended().is_some() || state.held.is_some(), "stopped for nothing: {state:?}");
            assert!(!state.off || state.old_leak == Debt::None, "a leaked key that could be switched on again: {state:?}");
            if state.ended().is_none() {
                paid(state).unwrap_or_else(|broken| panic!("{broken}"));
            }
        }
    }
    figure("protocol, law with leaks", format!("{states} states, {} events each", events.len()));
}

/// With good luck from here on, every leaked key dies, and every key that was given up with it.
fn paid(state: State) -> Result<(), String> {
    let (end, holds) = at_the_end(state)?;
    let fine = |debt| matches!(debt, Debt::None | Debt::Paid);
    let unproved = !state.rules.proved && end.old_leak == Debt::Stuck;
    let old = fine(end.old_leak) || unproved;
    if !(old && fine(end.new_leak) && fine(end.former.0))
        || end.later > 0
        || holds.len() > 3
        || end.emergency() && !end.dead && end.must_replace()
    {
        return Err(format!("{end:?} after {holds:?}, from {state:?}"));
    }
    Ok(())
}

prop_compose! {
    fn any_rules()(
        kind in prop::sample::select(vec![Kind::Rotate, Kind::Install, Kind::Replace]),
        on_timeout in prop::sample::select(vec![OnTimeout::Rollback, OnTimeout::Hold]),
        (proved, disables, asks_use, replays, by_person, revokes) in any::<(bool, bool, bool, bool, bool, bool)>(),
        (stores, consumers, attempts) in (1..=4u8, 1..=5u8, 1..=5u8),
    ) -> Rules {
        Rules { kind, proved, disables, asks_use, replays, by_person, revokes, on_timeout, stores, consumers, attempts }
    }
}

proptest! {
    #[test]
    fn ideal_answers_end_done(rules in any_rules()) {
        let (end, holds) = ends(State::start(rules)).map_err(TestCaseError::fail)?;
        prop_assert_eq!(end, End::Done);
        let by_hand = rules.kind == Kind::Rotate && !rules.proved;
        prop_assert_eq!(holds, if by_hand { vec![Why::RevokeByHand] } else { vec![] });
    }

    #[test]
    fn any_walk_keeps_the_law_and_finds_an_end(rules in any_rules(), choices in prop::collection::vec(any::<prop::sample::Index>(), 0..120)) {
        let events = all_events(6);
        let mut state = State::start(rules);
        for choice in choices {
            law(&state, &events).map_err(TestCaseError::fail)?;
            gate(&state).map_err(TestCaseError::fail)?;
            ends(state).map_err(TestCaseError::fail)?;
            let nexts = nexts(&state);
            if nexts.is_empty() {
                prop_assert!(state.ended().is_some());
                break;
            }
            state = choice.get(&nexts).1;
        }
    }

    /// A takeover at any point of any walk tells nothing new the second time.
    #[test]
    fn two_takeovers_in_a_row_are_one(rules in any_rules(), choices in prop::collection::vec(any::<prop::sample::Index>(), 0..120)) {
        let mut state = State::start(rules);
        for choice in choices {
            if let Ok(once) = apply(&state, &Event::Resumed) {
                prop_assert_eq!(apply(&once, &Event::Resumed), Ok(once));
            }
            let nexts = nexts(&state);
            if nexts.is_empty() {
                break;
            }
            state = choice.get(&nexts).1;
        }
    }
}
