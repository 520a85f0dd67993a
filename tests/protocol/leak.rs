//! A leak at any moment of any rotation: what must never happen, and what must.

use keyroll::protocol::{
    Action, Answer, Ask, Debt, Effect, End, Event, Kind, Leak, OnTimeout, Pause, Phase, Query, Refusal, Role, Rules, State, Urgency, Why,
    decide, may_be_off,
};

use crate::{
    PLAIN, Walk, done,
    explore::{Witness, explore},
};

/// What somebody remembers who only looks at which keys leaked and what happens to them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Guard {
    rules: Rules,
    /// How often somebody said that keys leaked.
    said: u8,
    old: Leaky,
    new: Leaky,
    /// Keys that were given up and are not deleted.
    former: u8,
    /// A store may have shown the key that is the new one now.
    shown: bool,
    /// What leaked is to go now.
    due: bool,
    /// The provider refused what must be dead.
    refused: bool,
    /// All stores showed this key, and nothing was written since.
    stores: Option<Role>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Leaky {
    leaked: bool,
    /// Its tombstone stands.
    buried: bool,
    /// The provider said that it is gone.
    gone: bool,
    /// The provider refused to delete it since somebody asked last.
    denied: bool,
}

const FINE: Leaky = Leaky { leaked: false, buried: false, gone: false, denied: false };

macro_rules! never {
    ($broken:expr, $($what:tt)*) => { if $broken { return Err(format!($($what)*)); } };
}

impl Guard {
    fn allowed(&self, before: &State, effect: Effect) -> Result<(), String> {
        never!(effect == Effect::Enable && self.old.leaked, "a leaked key is switched on again");
        match effect {
            Effect::Promote(_) => {
                never!(self.new.leaked, "a leaked new key is promoted");
                never!(self.new.buried, "a key with a tombstone is promoted");
            }
            Effect::Restore(_) if before.phase != Phase::Fence => {
                never!(self.old.leaked, "a leaked old key is restored");
                never!(self.old.buried, "an old key with a tombstone is restored");
                never!(self.former > 0, "something is restored after a key was given up");
            }
            _ => {}
        }
        Ok(())
    }

    /// A key was given up: the new one of before is a former one now.
    fn gave_up(&mut self) {
        self.former += u8::from(!self.new.gone);
        self.new = FINE;
        self.shown = false;
    }
}

impl Witness for Guard {
    const LEAKS: bool = true;

    fn new(rules: Rules) -> Self {
        Self { rules, said: 0, old: FINE, new: FINE, former: 0, shown: false, due: false, refused: false, stores: None }
    }

    /// Two declarations show everything that a third could.
    fn enough(&self) -> bool {
        self.said > 2
    }

    fn sees(mut self, before: &State, event: Event, after: &State) -> Result<Self, String> {
        if let Event::Intended(effect) = event {
            self.allowed(before, effect)?;
            if !matches!(effect, Effect::Delete(_) | Effect::Create) {
                self.stores = None;
            }
        }
        match event {
            Event::Asked(Ask::Emergency(leak, urgency)) => {
                self.said += 1;
                self.old.leaked |= leak != Leak::New;
                self.new.leaked |= leak != Leak::Old;
                (self.old.denied, self.new.denied) = (false, false);
                self.due = urgency == Urgency::RevokeFirst || self.due && before.paying();
                // What was proved at the very end stays proved.
                self.refused &= leak == Leak::Old && matches!(before.phase, Phase::Sweep(_) | Phase::Stray(Some(_)));
            }
            Event::Asked(Ask::GoOn) => {
                (self.old.denied, self.new.denied) = (false, false);
                // Of a key that no store ever served a person's word is enough: its value may be known to nobody.
                self.new.gone |= before.held == Some(Why::RevokeByHand) && before.phase == Phase::Discard;
            }
            Event::Waited(Pause::Revoke) => self.due = true,
            Event::Intended(Effect::Create) if before.attempt != 1 || before.stand == keyroll::protocol::Stand::Idle => {
                self.new = FINE;
                self.shown = false;
            }
            Event::Intended(Effect::Promote(_)) => self.shown = true,
            Event::Intended(Effect::Delete(Role::Old)) => self.old.buried = true,
            Event::Intended(Effect::Delete(Role::New)) => self.new.buried = true,
            Event::Did(Effect::Delete(role)) | Event::Refused(Effect::Delete(role), Refusal::Gone) => match role {
                Role::Old => self.old.gone = true,
                Role::New => self.new.gone = true,
                Role::Former => self.former -= 1,
                Role::Stray => {}
            },
            Event::Refused(Effect::Disable | Effect::Enable, Refusal::Gone) => (self.old.buried, self.old.gone) = (true, true),
            Event::Refused(Effect::Delete(Role::Old), _) => self.old.denied = true,
            Event::Refused(Effect::Delete(Role::New), _) => self.new.denied = true,
            Event::Saw(Query::Dead(role), answer) => {
                self.refused = answer == Answer::Yes;
                // The provider refused to delete it, and refuses it: somebody else deleted it.
                let by_hand = before.debt(Role::Old) == Debt::Stuck || !self.rules.revokes;
                self.old.gone |= role == Role::Old && self.refused && by_hand;
            }
            Event::Saw(Query::Stores(role), answer) => self.stores = (answer == Answer::Yes).then_some(role),
            _ => {}
        }
        // A key is given up exactly where another create follows one that a store may have shown.
        if self.shown && after.phase == Phase::Create && after.attempt > before.attempt && before.phase != Phase::Discard {
            self.gave_up();
        }
        let deletes = |role| matches!(decide(after), Action::Intend(Effect::Delete(r)) | Action::Do(Effect::Delete(r)) if r == role);
        if self.due && after.ended().is_none() {
            let old_waits =
                self.old.leaked && !self.old.gone && !self.old.denied && self.rules.proved && after.debt(Role::Old) != Debt::Stuck;
            never!(old_waits && !deletes(Role::Old), "the leaked old key is due, and what comes next is {:?}", decide(after));
            let new_waits = self.new.leaked && self.shown && !self.new.gone && !self.new.denied && !old_waits;
            let first = deletes(Role::New) || deletes(Role::Former) || deletes(Role::Old);
            never!(
                new_waits && after.minted && !first && after.phase != Phase::Discard,
                "the leaked new key is due, and what comes next is {:?}",
                decide(after)
            );
        }
        if let Some(end) = after.ended() {
            never!(self.old.leaked && !self.old.gone && !self.refused, "{end:?}, and the leaked old key lives");
            never!(self.new.leaked && !self.new.gone && !self.refused, "{end:?}, and the leaked new key lives");
            never!(self.former > 0 && !self.refused, "{end:?}, and a key that was given up lives");
            never!(self.old.leaked && end != End::Done, "{end:?}, and the stores hold a leaked key");
            never!(self.old.gone && end != End::Done && self.rules.kind == Kind::Rotate, "{end:?}, and the stores hold a dead key");
            never!(self.old.leaked && self.stores != Some(Role::New), "done, and nobody saw that the stores hold the new key");
            never!(after.emergency() && end == End::Done && !self.refused, "called done before the provider refused what leaked");
        }
        Ok(self)
    }
}

fn leaks(stores: u8, consumers: u8) {
    let mut states = 0;
    let kinds = [
        (Kind::Rotate, true, false),
        (Kind::Rotate, true, true),
        (Kind::Rotate, false, false),
        (Kind::Install, true, false),
        (Kind::Replace, true, false),
    ];
    for (kind, proved, disables) in kinds {
        let rules = Rules { kind, proved, disables, attempts: 2, stores, consumers, ..PLAIN };
        states += explore::<Guard>(rules).len();
        if kind == Kind::Rotate {
            states += explore::<Guard>(Rules { by_person: true, revokes: false, ..rules }).len();
        }
    }
    println!("a leak at any moment, {stores} stores, {consumers} consumers: {states} states with a guard's memory");
    assert!(states > 10_000);
}

#[test]
fn whenever_a_key_leaks_it_dies_and_nothing_dead_or_leaked_stays_in_use_with_one_store() {
    leaks(1, 1);
}

#[test]
fn whenever_a_key_leaks_it_dies_and_nothing_dead_or_leaked_stays_in_use_with_two_stores() {
    leaks(2, 2);
}

const FAST: Ask = Ask::Emergency(Leak::Old, Urgency::ReplaceFast);
const FIRST: Ask = Ask::Emergency(Leak::Old, Urgency::RevokeFirst);

#[test]
fn revoke_first_deletes_before_it_creates() {
    let told = Walk::new(PLAIN).asked(FIRST).ends(End::Done);
    assert_eq!(done(&told), [Effect::Delete(Role::Old), Effect::Create, Effect::Promote(0), Effect::Rollout(Role::New, 0)]);
    assert_eq!(
        told[told.len() - 3..],
        [Action::Look(Query::Everyone(Role::New)), Action::Look(Query::Dead(Role::Old)), Action::Look(Query::Stores(Role::New))]
    );
}

#[test]
fn a_reader_that_is_behind_keeps_nobody_else_from_the_new_key() {
    let rules = Rules { stores: 2, ..PLAIN };
    let behind = Walk::new(rules).asked(FAST).saw(Query::Converged(0), Answer::No);
    assert_eq!(behind.next(), Action::Intend(Effect::Promote(1)));
    assert_eq!(behind.saw(Query::Converged(1), Answer::Bad).next(), Action::Intend(Effect::Rollout(Role::New, 0)));
}

#[test]
fn a_refused_deletion_of_a_held_emergency_is_not_called_dead() {
    let walk = Walk::new(PLAIN).asked(FAST).saw(Query::Everyone(Role::New), Answer::No).event(Event::Waited(Pause::Revoke));
    walk.refused(Effect::Delete(Role::Old), Refusal::Denied).held(Why::NotVerified);
}

#[test]
fn a_leak_gives_another_round_of_attempts() {
    let last = || Walk::new(Rules { attempts: 2, ..PLAIN }).lost(Effect::Create).saw(Query::Settle, Answer::Yes);
    let walk = last().asked(FAST).lost(Effect::Create).saw(Query::Settle, Answer::Yes);
    assert_eq!(walk.next(), Action::Intend(Effect::Create));
    assert_eq!(walk.lost(Effect::Create).saw(Query::Settle, Answer::Yes).state.held, Some(Why::NoNewKey));
}

#[test]
fn an_old_key_that_is_deleted_already_is_only_proved_dead() {
    let walk = Walk::new(PLAIN).until(Action::Look(Query::Dead(Role::Old))).asked(FAST);
    assert_eq!((walk.state.old_leak, walk.next()), (Debt::Paid, Action::Look(Query::Dead(Role::Old))));
}

#[test]
fn where_somebody_was_not_verified_everybody_proves_the_new_key_before_the_leaked_one_goes() {
    let rules = Rules { on_timeout: OnTimeout::Hold, ..PLAIN };
    let walk = Walk::new(rules).until(Action::Look(Query::Everyone(Role::New))).saw(Query::Everyone(Role::New), Answer::No);
    assert_eq!(walk.held(Why::NotVerified).asked(FAST).next(), Action::Look(Query::Everyone(Role::New)));
}

#[test]
fn an_old_key_without_an_id_is_nobodys_to_delete() {
    let walk = Walk::new(Rules { proved: false, ..PLAIN }).until(Action::Stop).asked(Ask::GoOn);
    let walk = walk.asked(Ask::Emergency(Leak::New, Urgency::ReplaceFast));
    assert_eq!((walk.state.old_leak, walk.next()), (Debt::Stuck, Action::Intend(Effect::Create)));
}

#[test]
fn an_old_key_that_was_off_goes_with_the_leaked_new_one() {
    let rules = Rules { disables: true, ..PLAIN };
    let walk = Walk::new(rules).until(Action::Wait(Pause::Soak)).asked(Ask::Emergency(Leak::New, Urgency::ReplaceFast));
    let deletes = [Effect::Delete(Role::Old), Effect::Delete(Role::Former)];
    assert_eq!(done(&walk.ends(End::Done))[3..], deletes);
}

#[test]
fn every_key_that_leaked_one_after_the_other_is_deleted() {
    let walk = Walk::new(PLAIN).until(Action::Wait(Pause::Grace)).asked(Ask::Emergency(Leak::Both, Urgency::ReplaceFast));
    let walk = walk.until(Action::Look(Query::Everyone(Role::New))).asked(Ask::Emergency(Leak::New, Urgency::RevokeFirst));
    let told = done(&walk.ends(End::Done));
    let deletes = [Effect::Delete(Role::Old), Effect::Delete(Role::Former), Effect::Delete(Role::Former)];
    assert_eq!(told[..3], deletes, "all of them at once");
    assert_eq!(told.iter().filter(|effect| matches!(effect, Effect::Delete(_))).count(), 3);
}

#[test]
fn what_is_being_deleted_does_not_wait_again_because_more_is_said() {
    let walk = Walk::new(PLAIN).asked(FIRST).until(Action::Do(Effect::Delete(Role::Old))).asked(FAST);
    assert_eq!(walk.next(), Action::Do(Effect::Delete(Role::Old)));
}

#[test]
fn the_proof_of_death_is_remembered() {
    let walk = Walk::new(PLAIN).asked(FAST).until(Action::Look(Query::Dead(Role::Old)));
    assert!(!walk.state.dead);
    assert!(walk.until(Action::Look(Query::Stores(Role::New))).state.dead);
    assert!(!Walk::new(PLAIN).until(Action::Look(Query::Dead(Role::Old))).until(Action::Look(Query::Stores(Role::New))).state.dead);
}

#[test]
fn replace_fast_deletes_as_soon_as_everybody_is_off_it_and_waits_for_nothing_else() {
    let told = Walk::new(Rules { consumers: 2, disables: true, asks_use: true, ..PLAIN }).asked(FAST).ends(End::Done);
    let rollouts = [Effect::Rollout(Role::New, 0), Effect::Rollout(Role::New, 1)];
    assert_eq!(done(&told), [Effect::Create, Effect::Promote(0), rollouts[0], rollouts[1], Effect::Delete(Role::Old)]);
    assert!(!told.iter().any(|action| matches!(action, Action::Park(_) | Action::Wait(_))), "{told:?}");
}

#[test]
fn at_its_time_the_leaked_key_is_deleted_whoever_is_not_verified_and_a_person_is_told() {
    let walk = Walk::new(PLAIN).asked(FAST).saw(Query::Everyone(Role::New), Answer::No);
    assert_eq!((walk.state.held, walk.next()), (Some(Why::NotVerified), Action::Wait(Pause::Revoke)));
    let walk = walk.event(Event::Waited(Pause::Revoke));
    assert_eq!(walk.next(), Action::Intend(Effect::Delete(Role::Old)));
    let walk = walk.until(Action::Look(Query::Dead(Role::Old))).saw(Query::Dead(Role::Old), Answer::Yes).held(Why::NotVerified);
    assert_eq!(done(&walk.asked(Ask::GoOn).ends(End::Done)), []);
}

#[test]
fn a_delete_that_is_refused_does_not_keep_services_from_the_new_key() {
    let walk = Walk::new(PLAIN).asked(FIRST).refused(Effect::Delete(Role::Old), Refusal::Denied);
    assert_eq!(walk.next(), Action::Intend(Effect::Create));
    let walk = walk.saw(Query::Dead(Role::Old), Answer::No).held(Why::StillAlive).asked(Ask::GoOn);
    assert_eq!(walk.next(), Action::Intend(Effect::Delete(Role::Old)), "a person put the permission right");
    walk.ends(End::Done);
}

#[test]
fn a_new_key_that_leaked_in_the_grace_is_taken_back_and_deleted() {
    let walk = Walk::new(PLAIN).until(Action::Wait(Pause::Grace)).asked(Ask::Emergency(Leak::New, Urgency::ReplaceFast));
    let told = walk.ends(End::RolledBack);
    assert_eq!(done(&told), [Effect::Restore(0), Effect::Rollout(Role::Old, 0), Effect::Delete(Role::New)]);
    assert_eq!(told.last(), Some(&Action::Look(Query::Dead(Role::New))));
}

#[test]
fn when_both_leaked_a_third_key_takes_their_place() {
    let walk = Walk::new(PLAIN).until(Action::Wait(Pause::Grace)).asked(Ask::Emergency(Leak::Both, Urgency::ReplaceFast));
    let told = walk.ends(End::Done);
    let effects =
        [Effect::Create, Effect::Promote(0), Effect::Rollout(Role::New, 0), Effect::Delete(Role::Old), Effect::Delete(Role::Former)];
    assert_eq!(done(&told), effects);
}

#[test]
fn an_old_key_that_leaks_on_the_way_back_is_not_gone_back_to() {
    let walk = Walk::new(PLAIN).until(Action::Wait(Pause::Grace)).asked(Ask::Rollback).until(Action::Do(Effect::Restore(0)));
    let told = walk.asked(FAST).ends(End::Done);
    let effects =
        [Effect::Create, Effect::Promote(0), Effect::Rollout(Role::New, 0), Effect::Delete(Role::Old), Effect::Delete(Role::Former)];
    assert_eq!(done(&told), effects);
}

/// The first new key was given up on the way back, and its successor leaked and is deleted.
fn walk_of_two_formers() -> Walk {
    let walk = Walk::new(PLAIN).until(Action::Wait(Pause::Grace)).asked(Ask::Rollback).until(Action::Do(Effect::Restore(0)));
    let walk = walk.asked(FAST).until(Action::Look(Query::Everyone(Role::New))).asked(Ask::Emergency(Leak::New, Urgency::RevokeFirst));
    walk.until(Action::Do(Effect::Delete(Role::Former))).event(Event::Did(Effect::Delete(Role::Former)))
}

#[test]
fn what_may_only_be_off_is_looked_for_in_the_list_too() {
    let walk = Walk::new(PLAIN).asked(FIRST).refused(Effect::Delete(Role::Old), Refusal::Denied);
    assert!(may_be_off(&walk.state, Role::Old));
    let deleted = Walk::new(PLAIN).asked(FIRST).until(Action::Intend(Effect::Create));
    assert!(!may_be_off(&deleted.state, Role::Old) && !may_be_off(&Walk::new(PLAIN).state, Role::Old));
}

#[test]
fn a_second_leak_is_not_put_off_behind_a_key_that_was_only_given_up() {
    let walk = Walk::new(PLAIN).until(Action::Wait(Pause::Grace)).asked(Ask::Rollback).until(Action::Do(Effect::Restore(0)));
    // The second key is in use when it leaks too; the first new one was given up on the way.
    let walk = walk.asked(FAST).until(Action::Look(Query::Everyone(Role::New))).asked(Ask::Emergency(Leak::New, Urgency::RevokeFirst));
    assert_eq!(walk.state.former, (Debt::Owed, 2));
    let told = walk.ends(End::Done);
    let deleted = done(&told).iter().filter(|effect| **effect == Effect::Delete(Role::Former)).count();
    assert_eq!(deleted, 2);
    let journal_of_before = walk_of_two_formers().event(Event::Intended(Effect::Delete(Role::Former)));
    assert_eq!(journal_of_before.next(), Action::Do(Effect::Delete(Role::Former)), "both went at once");
    let created = told.iter().position(|action| *action == Action::Do(Effect::Create)).unwrap();
    let before = done(&told[..created]).iter().filter(|effect| **effect == Effect::Delete(Role::Former)).count();
    assert_eq!(before, 1, "what leaked goes at once, and what only was given up when everybody is off it: {told:?}");
}

#[test]
fn where_there_is_no_room_for_another_key_the_leaked_one_makes_it() {
    let walk = Walk::new(PLAIN).asked(FAST).refused(Effect::Create, Refusal::Quota);
    assert_eq!(walk.next(), Action::Intend(Effect::Delete(Role::Old)));
    walk.ends(End::Done);
}

#[test]
fn no_window_and_no_way_back_stand_in_the_way_of_an_emergency() {
    let walk = Walk::new(PLAIN).asked(FAST);
    assert!(!keyroll::protocol::gated(&walk.state));
    assert!(!crate::may_go_back(&walk));
    assert_eq!(Rules { on_timeout: OnTimeout::Hold, ..PLAIN }.kind, Kind::Rotate);
}
