//! What must never happen, told in terms of what happened before; checked over every reachable state.

use keyroll::protocol::{
    Action, Answer, Ask, Effect, End, Event, Kind, OnTimeout, Pause, Phase, Query, Role, Rules, State, Why, allows, decide,
};

use crate::{
    PLAIN,
    explore::{Witness, explore},
};

/// The proof just given; any other event than the next part of it voids it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Given {
    Nothing,
    Everyone(Role),
    Whole(Role),
}

/// What a careful bystander knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Bystander {
    rules: Rules,
    given: Given,
    /// The new key answered since its create was intended.
    lively: bool,
    /// The new key's value is in this runner's memory, or a store showed it to us.
    value: bool,
    /// Bit by store: a promote of ours is, or may yet be, what it shows.
    dirty: u8,
    /// Bit by store: the outcome of a promote was lost.
    unclear: u8,
    /// A lost promote may have been there, though the store shows the old key again.
    served: bool,
    /// A create may have left a key that nobody looked for yet.
    stray: bool,
    /// A create was lost at some time: its key may even appear after somebody looked.
    ever_lost: bool,
    /// A disable was intended and not surely refused: it may have landed, or land late.
    disable: bool,
    /// The last disable's outcome was lost at some time.
    disable_unclear: bool,
    /// The old key is confirmed off.
    off: bool,
    graced: bool,
    soaked: bool,
    stale: bool,
    /// The old key's tombstone stands.
    dead: bool,
    /// A person asked to go back, and nothing has stopped that.
    wants_out: bool,
}

macro_rules! never {
    ($broken:expr, $($what:tt)*) => { if $broken { return Err(format!($($what)*)); } };
}

impl Bystander {
    fn bit(i: u8) -> u8 {
        1 << i
    }

    /// Rules for what is written down before it is done.
    fn allowed(&self, effect: Effect, phase: Phase) -> Result<(), String> {
        let whole = |role| self.given == Given::Whole(role);
        match effect {
            Effect::Delete(Role::Old) => {
                never!(self.rules.kind != Kind::Rotate, "the old key of {:?} is deleted", self.rules.kind);
                never!(!self.rules.proved, "an unproved key is deleted");
                never!(!whole(Role::New), "the old key is deleted without a fresh proof of instances, then stores (I1)");
                never!(!self.graced, "the old key is deleted before its grace");
                never!(self.rules.disables && !(self.soaked && self.off), "the old key is deleted before its soak");
            }
            Effect::Disable => {
                never!(self.rules.kind != Kind::Rotate || !self.rules.proved, "a key that is not ours to judge is disabled");
                never!(!self.rules.disables, "a disable that nobody asked for");
                never!(!whole(Role::New), "the old key is disabled without a fresh proof of instances, then stores (I1)");
                never!(!self.graced, "the old key is disabled before its grace");
            }
            Effect::Delete(Role::New) => {
                never!(self.dead, "both keys are deleted");
                never!(self.dirty != 0 && phase != Phase::BackDelete, "the new key is deleted while a store may show it (I2)");
                never!(self.dirty != 0, "the new key is deleted, and a store was not restored (I2)");
                let at_once = self.served && phase != Phase::BackDelete && self.rules.kind == Kind::Rotate;
                never!(at_once, "the new key is deleted at once, and somebody may have read it (I2)");
                if phase == Phase::BackDelete {
                    never!(!whole(Role::Old), "the new key is deleted without a fresh proof of the old one");
                    never!(!self.stale, "the new key is deleted while readers may still have it (I2)");
                }
            }
            Effect::Delete(Role::Stray) => never!(!self.ever_lost, "a key is swept that no lost create can have left (I3)"),
            Effect::Restore(_) => {
                never!(self.disable, "an old value is restored after a disable");
                never!(self.dead, "a dead key is restored");
                never!(self.rules.kind == Kind::Install, "there is no old value to restore");
            }
            Effect::Promote(_) => {
                never!(!self.lively, "a key is promoted that never answered");
                never!(self.wants_out, "a promote after a person asked to go back");
                never!(!self.value, "a value is promoted that is lost");
                never!(self.dead, "a promote after the end");
            }
            Effect::Create => never!(self.dirty != 0, "another create while a store may show the last key"),
            Effect::Delete(Role::Former) => never!(true, "a key is given up, and none leaked"),
            Effect::Rollout(..) | Effect::Enable => {}
        }
        Ok(())
    }

    fn remembers(&mut self, before: &State, event: Event) {
        self.given = match (event, self.given) {
            (Event::Saw(Query::Everyone(role), Answer::Yes), _) => Given::Everyone(role),
            (Event::Saw(Query::Stores(role), Answer::Yes), Given::Everyone(same)) if role == same => Given::Whole(role),
            _ => Given::Nothing,
        };
        let aside = matches!(event, Event::Resumed | Event::Asked(Ask::Rollback)) && decide(before) == Action::Do(Effect::Create);
        if aside || event == Event::Lost(Effect::Create) {
            (self.stray, self.ever_lost) = (true, true);
        }
        match event {
            Event::Intended(Effect::Create) => (self.lively, self.value, self.served) = (false, false, false),
            Event::Did(Effect::Create) => (self.value, self.stray) = (true, self.stray && !self.rules.replays && !self.rules.by_person),
            Event::Saw(Query::Settle, Answer::Yes) => self.stray = false,
            Event::Saw(Query::Live, answer) => self.lively = answer == Answer::Yes,

            Event::Intended(Effect::Promote(i)) => (self.dirty, self.graced) = (self.dirty | Self::bit(i), false),
            Event::Lost(Effect::Promote(i)) => (self.dirty, self.unclear) = (self.dirty | Self::bit(i), self.unclear | Self::bit(i)),
            Event::Did(Effect::Promote(i)) => (self.dirty, self.value) = (self.dirty | Self::bit(i), true),
            Event::Refused(Effect::Promote(i), why) if why != keyroll::protocol::Refusal::Conflict => self.settled(i),
            Event::Saw(Query::Current(i), Answer::Foreign) if before.phase == Phase::Promote(i) => self.settled(i),
            Event::Saw(Query::Current(i), Answer::Yes) if before.phase == Phase::Promote(i) => {
                (self.dirty, self.value) = (self.dirty | Self::bit(i), true);
            }
            Event::Saw(Query::Current(_), Answer::Late) if before.phase == Phase::Fence => {
                (self.dirty, self.value) = (self.dirty | 1, true)
            }
            // What was sent before can land no more.
            Event::Saw(Query::Current(i), Answer::Moved) => {
                self.served |= self.unclear & Self::bit(i) != 0;
                (self.dirty, self.unclear) = (self.dirty & !Self::bit(i), self.unclear & !Self::bit(i));
            }
            Event::Intended(Effect::Restore(_)) => self.stale = false,
            Event::Did(Effect::Restore(i)) | Event::Saw(Query::Current(i), Answer::Yes) => {
                (self.dirty, self.unclear) = (self.dirty & !Self::bit(i), self.unclear & !Self::bit(i));
            }
            // A person decided that a first write will not land any more.
            Event::Asked(Ask::GoOn) if before.held == Some(Why::CannotFence) => (self.dirty, self.unclear) = (0, 0),

            // A person looked at the provider, and leaves the key that cannot be told from others alone.
            Event::Asked(Ask::GoOn) if before.held == Some(Why::CannotSettle) => self.stray = false,
            // Somebody else deleted the old key.
            Event::Refused(Effect::Disable | Effect::Enable, keyroll::protocol::Refusal::Gone) => self.dead = true,

            Event::Intended(Effect::Disable) => (self.disable, self.soaked) = (true, false),
            Event::Lost(Effect::Disable) => self.disable_unclear = true,
            Event::Refused(Effect::Disable, _) => self.disable = self.disable_unclear,
            Event::Did(Effect::Disable) => (self.off, self.disable_unclear) = (true, true),
            Event::Did(Effect::Enable) => self.off = false,
            Event::Intended(Effect::Delete(Role::Old)) => self.dead = true,

            Event::Waited(Pause::Grace) => self.graced = true,
            Event::Waited(Pause::Soak) => self.soaked = true,
            Event::Waited(Pause::Stale) => self.stale = true,

            Event::Asked(Ask::Rollback) => self.wants_out = true,
            Event::Asked(Ask::GoOn) if before.held == Some(Why::NothingToReturnTo) => self.wants_out = false,

            // Whoever takes over does not know whether the effect that was begun had happened.
            Event::Resumed => {
                self.value &= self.shown(before);
                match decide(before) {
                    Action::Do(Effect::Promote(i)) => (self.dirty, self.unclear) = (self.dirty | Self::bit(i), self.unclear | Self::bit(i)),
                    Action::Do(Effect::Disable) => self.disable_unclear = true,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// A promote surely did not happen, if none before it was lost.
    fn settled(&mut self, i: u8) {
        self.dirty &= !Self::bit(i) | self.unclear;
    }

    /// A store showed us the new value: some promote of this attempt was confirmed, so the first store's was.
    fn shown(&self, before: &State) -> bool {
        self.dirty & 1 != 0 && !matches!(before.phase, Phase::Promote(0) | Phase::Fence)
    }
}

impl Witness for Bystander {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            given: Given::Nothing,
            lively: false,
            value: false,
            dirty: 0,
            unclear: 0,
            served: false,
            stray: false,
            ever_lost: false,
            disable: false,
            disable_unclear: false,
            off: false,
            graced: false,
            soaked: false,
            stale: false,
            dead: false,
            wants_out: false,
        }
    }

    fn sees(mut self, before: &State, event: Event, after: &State) -> Result<Self, String> {
        if let Event::Intended(effect) = event {
            self.allowed(effect, before.phase)?;
        }
        self.remembers(before, event);
        never!(decide(after) == Action::Look(Query::Live) && !self.value, "the provider is called with a value that is lost");
        never!(self.dead && allows(after, Ask::Rollback), "a way back after the point of no return");
        never!(self.disable && allows(after, Ask::Rollback), "a way back after a disable");
        if let Some(end) = after.ended() {
            never!(self.stray, "the end, and nobody looked for what a lost create left");
            never!(end != End::Done && self.dirty != 0, "{end:?}, and a store may show the new key");
            never!(end != End::Done && self.disable, "{end:?}, and the old key may be off");
            let revokes = self.rules.kind == Kind::Rotate && self.rules.proved;
            never!(end == End::Done && revokes != self.dead, "done, and the old key's fate is another than planned");
            never!(end == End::Done && self.wants_out, "done, although a person asked to go back");
            never!(decide(after) != Action::Stop, "work after the end");
        }
        Ok(self)
    }
}

/// All rules that matter, for one size.
pub fn rules(stores: u8, consumers: u8) -> Vec<Rules> {
    let mut all = Vec::new();
    for kind in [Kind::Rotate, Kind::Install, Kind::Replace] {
        for bits in 0..32u8 {
            let [proved, disables, asks_use, replays, hold] = std::array::from_fn(|bit| bits & (1 << bit) != 0);
            // What is asked about the old key changes nothing where nobody touches it.
            if (kind != Kind::Rotate || !proved) && (disables || asks_use) || kind != Kind::Rotate && !proved {
                continue;
            }
            let on_timeout = if hold { OnTimeout::Hold } else { OnTimeout::Rollback };
            let rules = Rules {
                kind,
                proved,
                disables,
                asks_use,
                replays,
                by_person: false,
                revokes: true,
                on_timeout,
                stores,
                consumers,
                attempts: 2,
            };
            all.push(rules);
            // A person's hands change nothing of how the old key is looked at.
            if !replays && !asks_use {
                all.push(Rules { by_person: true, revokes: false, ..rules });
            }
        }
    }
    all
}

fn safe(stores: u8, consumers: u8) {
    let all = rules(stores, consumers);
    let states: usize = all.iter().map(|rules| explore::<Bystander>(*rules).len()).sum();
    println!("{stores} stores, {consumers} consumers: {} rules, {states} states with a bystander's memory", all.len());
    assert!(states > 10_000, "an exploration that finds {states} states looks at nothing");
}

#[test]
fn nothing_forbidden_is_reachable_with_one_store_and_one_consumer() {
    safe(1, 1);
}

#[test]
fn nothing_forbidden_is_reachable_with_two_stores_and_one_consumer() {
    safe(2, 1);
}

#[test]
fn nothing_forbidden_is_reachable_with_one_store_and_two_consumers() {
    safe(1, 2);
}

#[test]
fn nothing_forbidden_is_reachable_with_two_stores_and_two_consumers() {
    safe(2, 2);
}

/// An unproved key that asks for everything is still left to a person.
#[test]
fn odd_rules_change_nothing_about_a_key_that_is_not_ours_to_judge() {
    for kind in [Kind::Rotate, Kind::Install, Kind::Replace] {
        let odd = Rules { kind, proved: false, disables: true, asks_use: true, attempts: 2, ..PLAIN };
        explore::<Bystander>(odd);
    }
}
