//! What each refusal and each hold leads to, and what a person's word changes.

use keyroll::protocol::{
    Action::{Do, Intend, Look, Stop, Wait},
    Answer, Ask, Debt,
    Effect::{Create, Delete, Disable, Enable, Promote, Restore, Rollout},
    End, Event, Kind, Leak, OnTimeout, Pause, Phase, Query, Refusal,
    Role::{Former, New, Old, Stray},
    Rules, Urgency, Why, allows, apply, may_be_off,
};

use crate::{PLAIN, Walk, done};

const REVERSIBLE: Rules = Rules { disables: true, asks_use: true, ..PLAIN };
/// The provider deletes nothing by id: a person does.
const BY_HAND: Rules = Rules { revokes: false, ..REVERSIBLE };
const FAST: Ask = Ask::Emergency(Leak::Old, Urgency::ReplaceFast);
const NEW_FIRST: Ask = Ask::Emergency(Leak::New, Urgency::RevokeFirst);

/// The store that holds something else at the end is nobody's reason to switch a dead key on again.
#[track_caller]
fn is_over_for_the_old_key(walk: Walk) {
    walk.saw(Query::Dead(Old), Answer::Yes).saw(Query::Stores(New), Answer::No).held(Why::ForeignValue);
}

/// Held, and what leaked is deleted at its time all the same.
#[track_caller]
fn held_until_due(walk: Walk, why: Why) -> Walk {
    assert_eq!((walk.state.held, walk.next()), (Some(why), Wait(Pause::Revoke)));
    walk
}

#[test]
fn what_the_provider_does_not_delete_a_person_deletes_and_is_not_taken_at_their_word() {
    let denied = |walk: Walk, role| walk.refused(Delete(role), Refusal::Denied).held(Why::RevokeByHand).asked(Ask::GoOn);
    let old = denied(Walk::new(BY_HAND), Old);
    assert_eq!(old.next(), Look(Query::Dead(Old)));
    is_over_for_the_old_key(old);
    let back = denied(Walk::new(BY_HAND).saw(Query::Consumer(New, 0), Answer::Bad), New);
    assert_eq!(back.next(), Look(Query::Dead(New)));
    assert_eq!(done(&back.ends(End::RolledBack)), []);
    // No store ever served these, and nobody may know their values any more.
    let discarded = denied(Walk::new(BY_HAND).until(Intend(Promote(0))).resumed(), New);
    assert_eq!(discarded.next(), Intend(Create));
    let stray = denied(Walk::new(BY_HAND).lost(Create).saw(Query::Settle, Answer::No), Stray);
    assert_eq!(stray.next(), Look(Query::Settle));
    // A provider that deletes by id and will not is another matter.
    Walk::new(PLAIN).refused(Delete(Old), Refusal::Denied).held(Why::Refused(Refusal::Denied));
}

#[test]
fn an_old_key_that_is_gone_is_not_off() {
    is_over_for_the_old_key(Walk::new(REVERSIBLE).until(Do(Delete(Old))).event(Event::Did(Delete(Old))));
    is_over_for_the_old_key(Walk::new(REVERSIBLE).refused(Disable, Refusal::Gone));
    let enable = Walk::new(REVERSIBLE).saw(Query::Watched, Answer::Bad).refused(Enable, Refusal::Gone).held(Why::NotVerified);
    let enable = enable.asked(Ask::GoOn);
    assert_eq!(enable.next(), Look(Query::Dead(Old)));
    is_over_for_the_old_key(enable);
}

#[test]
fn a_disable_that_did_not_happen_leaves_nothing_to_enable() {
    let refused = || Walk::new(REVERSIBLE).refused(Disable, Refusal::Denied);
    assert_eq!(refused().asked(Ask::Rollback).next(), Intend(Restore(0)));
    assert_eq!(refused().asked(Ask::GoOn).next(), Look(Query::Unused), "it is proved and intended anew");
    let enabled = Walk::new(REVERSIBLE).saw(Query::Watched, Answer::Bad).until(Do(Enable)).event(Event::Did(Enable));
    assert_eq!(enabled.asked(Ask::GoOn).next(), Look(Query::Unused), "it may be in use again");
}

#[test]
fn while_the_old_key_is_off_missing_proof_enables_it_whatever_the_playbook_says() {
    let walk =
        Walk::new(Rules { on_timeout: OnTimeout::Hold, ..REVERSIBLE }).until(Wait(Pause::Soak)).saw(Query::Everyone(New), Answer::No);
    assert_eq!(walk.next(), Intend(Enable));
}

#[test]
fn a_store_whose_readers_disagree_is_missing_proof_and_another_value_is_not_ours() {
    let rules = Rules { stores: 2, ..PLAIN };
    for answer in [Answer::No, Answer::Bad] {
        assert_eq!(Walk::new(rules).saw(Query::Converged(0), answer).next(), Intend(Restore(0)));
        Walk::new(Rules { on_timeout: OnTimeout::Hold, ..rules }).saw(Query::Converged(0), answer).held(Why::NotVerified);
    }
    Walk::new(rules).saw(Query::Converged(0), Answer::Foreign).held(Why::ForeignValue);
}

#[test]
fn a_persons_word_begins_another_round_of_creates() {
    let rules = Rules { attempts: 1, ..PLAIN };
    let unclear = Walk::new(rules).lost(Create).saw(Query::Settle, Answer::Foreign).held(Why::CannotSettle).asked(Ask::GoOn);
    assert_eq!((unclear.next(), unclear.state.attempt), (Intend(Create), 2));
    // At the end they are believed too: what cannot be told from others stays.
    let end = unclear.saw(Query::Settle, Answer::Foreign).held(Why::CannotSettle).asked(Ask::GoOn);
    assert_eq!(end.state.phase, Phase::Ended(End::Done));

    let mut none = Walk::new(Rules { attempts: 2, ..PLAIN }).asked(FAST);
    for name in [2, 3] {
        none = none.lost(Create).saw(Query::Settle, Answer::Yes);
        if name == 2 {
            assert_eq!((none.next(), none.state.attempt), (Intend(Create), 2));
        }
    }
    let mut again = held_until_due(none, Why::NoNewKey).asked(Ask::GoOn);
    assert_eq!((again.next(), again.state.attempt), (Intend(Create), 3), "another one, under another name");
    again = again.lost(Create).saw(Query::Settle, Answer::Yes);
    assert_eq!((again.next(), again.state.held), (Intend(Create), None), "it is a whole round");
}

#[test]
fn who_makes_keys_by_hand_and_wants_out_is_looked_after_at_the_end() {
    let rules = Rules { by_person: true, revokes: false, ..PLAIN };
    let begun = Walk::new(rules).until(Do(Create)).asked(Ask::Rollback);
    assert_eq!(begun.ends(End::Aborted), [Look(Query::Settle)]);
    assert_eq!(Walk::new(rules).asked(Ask::Rollback).ends(End::Aborted), []);
    // One that keyroll makes is looked for before that, and once more at the end: its reply may be that late.
    let lost = Walk::new(PLAIN).until(Do(Create)).asked(Ask::Rollback);
    assert_eq!(lost.ends(End::Aborted), [Look(Query::Settle), Look(Query::Settle)]);
}

#[test]
fn a_first_write_does_not_move_between_two_values() {
    let walk = Walk::new(Rules { kind: Kind::Install, ..PLAIN }).lost(Promote(0)).until(Look(Query::Current(0)));
    assert!(apply(&walk.state, &Event::Saw(Query::Current(0), Answer::Moved)).is_err());
}

#[test]
fn a_restore_that_a_reading_does_not_show_is_intended_anew() {
    let back = || Walk::new(PLAIN).saw(Query::Consumer(New, 0), Answer::Bad).lost(Restore(0));
    for answer in [Answer::No, Answer::Late] {
        assert_eq!(back().saw(Query::Current(0), answer).next(), Intend(Restore(0)));
    }
    assert!(apply(&back().state, &Event::Saw(Query::Current(0), Answer::Moved)).is_err(), "it shows nothing on this way");
    back().saw(Query::Current(0), Answer::Foreign).held(Why::ForeignValue);
    let second = Walk::new(Rules { stores: 2, ..PLAIN }).saw(Query::Consumer(New, 0), Answer::Bad).lost(Restore(1));
    assert_eq!(second.saw(Query::Current(1), Answer::Late).next(), Intend(Restore(1)));
}

#[test]
fn what_was_lost_at_one_store_says_nothing_of_the_next() {
    let walk = Walk::new(Rules { stores: 2, ..PLAIN }).lost(Promote(0)).saw(Query::Current(0), Answer::Yes);
    assert_eq!(done(&walk.refused(Promote(1), Refusal::Denied).ends(End::RolledBack)), [Restore(0), Delete(New)]);
    let install = Walk::new(Rules { kind: Kind::Install, stores: 2, ..PLAIN }).refused(Promote(1), Refusal::Conflict);
    let foreign = install.saw(Query::Current(1), Answer::Foreign).held(Why::NothingToReturnTo);
    assert_eq!(foreign.asked(Ask::GoOn).next(), Intend(Promote(1)));
}

#[test]
fn who_is_no_longer_on_the_way_out_does_not_say_so() {
    let live = Walk::new(PLAIN).asked(FAST).saw(Query::Live, Answer::Bad);
    assert!(!live.state.going_back(), "another key follows");
    let out = || Walk::new(PLAIN).until(Intend(Promote(0))).asked(Ask::Rollback);
    assert!(out().state.going_back() && !out().asked(FAST).state.going_back());
}

#[test]
fn what_a_person_said_that_they_revoked_may_only_be_off() {
    let revoked = || Walk::new(BY_HAND).refused(Delete(Old), Refusal::Denied).asked(Ask::GoOn);
    for leak in [Leak::Old, Leak::New] {
        let walk = revoked().asked(Ask::Emergency(leak, Urgency::ReplaceFast));
        assert!(may_be_off(&walk.state, Old), "{leak:?}");
    }
    let alive = revoked().asked(FAST).saw(Query::Dead(Old), Answer::No).held(Why::StillAlive).asked(Ask::GoOn);
    assert_eq!(alive.next(), Intend(Delete(Old)), "everybody is off it: nothing is waited for");
    let deleted = Walk::new(REVERSIBLE).until(Look(Query::Dead(Old))).asked(NEW_FIRST);
    assert!(!may_be_off(&deleted.state, Old));
}

#[test]
fn what_is_rolled_back_to_its_end_has_no_new_key_that_could_leak() {
    let walk = Walk::new(PLAIN).lost(Create).saw(Query::Settle, Answer::Yes).saw(Query::Consumer(New, 0), Answer::Bad);
    let walk = walk.until(Look(Query::Settle));
    assert_eq!(walk.state.phase, Phase::Sweep(End::RolledBack));
    assert!(!allows(&walk.state, Ask::Emergency(Leak::New, Urgency::ReplaceFast)));
}

#[test]
fn in_an_emergency_no_refusal_leads_back() {
    let walk = || Walk::new(Rules { consumers: 2, ..PLAIN }).asked(FAST);
    let create = held_until_due(walk().refused(Create, Refusal::Denied), Why::Refused(Refusal::Denied)).asked(Ask::GoOn);
    assert_eq!(create.next(), Intend(Create), "it is intended anew");
    let quota = walk().refused(Create, Refusal::Quota).until(Do(Delete(Old))).event(Event::Did(Delete(Old)));
    assert_eq!(quota.next(), Intend(Create));
    let live = walk().saw(Query::Live, Answer::Bad);
    assert_eq!(done(&live.ends(End::Done))[..2], [Delete(New), Create], "another attempt");
    let lost = walk().refused(Promote(0), Refusal::ValueLost);
    assert_eq!((lost.next(), lost.state.attempt, lost.state.former), (Intend(Create), 2, (Debt::Later, 1)));
    assert_eq!(walk().refused(Rollout(New, 0), Refusal::Denied).next(), Intend(Rollout(New, 1)));
    let denied = held_until_due(walk().refused(Promote(0), Refusal::Denied), Why::Refused(Refusal::Denied));
    assert_eq!(denied.asked(Ask::GoOn).next(), Do(Promote(0)));
    // Nobody goes back to a key that leaked, also where everybody is ill on the new one.
    held_until_due(walk().saw(Query::Everyone(New), Answer::Bad), Why::NotVerified);
}

#[test]
fn a_lost_deletion_of_a_leaked_key_changes_nothing_of_the_main_line() {
    let walk = Walk::new(PLAIN).asked(Ask::Emergency(Leak::Old, Urgency::RevokeFirst)).until(Do(Delete(Old)));
    let lost = apply(&walk.state, &Event::Lost(Delete(Old))).unwrap();
    assert_eq!(lost, walk.state);
}

#[test]
fn what_was_refused_and_is_dead_all_the_same_was_deleted_by_somebody_else() {
    let stuck = |walk: Walk, role| walk.refused(Delete(role), Refusal::Denied);
    let old = stuck(Walk::new(PLAIN).asked(Ask::Emergency(Leak::Old, Urgency::RevokeFirst)), Old);
    let old = old.saw(Query::Dead(Old), Answer::Yes);
    assert_eq!((old.state.old_leak, old.state.dead), (Debt::Paid, true));
    let new = || stuck(Walk::new(PLAIN).until(Wait(Pause::Grace)).asked(NEW_FIRST), New);
    let dead = new().saw(Query::Dead(New), Answer::Yes);
    assert_eq!((dead.state.new_leak, dead.state.minted, dead.state.dead), (Debt::Paid, false, true));
    assert_eq!(dead.state.phase, Phase::Ended(End::RolledBack));
    let former = || {
        let both = Walk::new(PLAIN).until(Wait(Pause::Grace)).asked(Ask::Emergency(Leak::Both, Urgency::RevokeFirst));
        stuck(both.until(Do(Delete(Old))).event(Event::Did(Delete(Old))), Former)
    };
    assert_eq!(former().saw(Query::Dead(Old), Answer::Yes).state.former, (Debt::Paid, 0));
    // Where it lives, a person puts the permission right, and it is deleted after all.
    let again = |walk: Walk, role| walk.saw(Query::Dead(role), Answer::No).held(Why::StillAlive).asked(Ask::GoOn).next();
    assert_eq!(again(new(), New), Intend(Delete(New)));
    assert_eq!(again(former(), Old), Intend(Delete(Former)));
}

#[test]
fn a_leaked_key_that_is_dead_while_somebody_is_not_verified_is_still_proved_by_everybody() {
    let walk = Walk::new(PLAIN).asked(FAST).saw(Query::Everyone(New), Answer::No).event(Event::Waited(Pause::Revoke));
    let walk = walk.saw(Query::Dead(Old), Answer::Yes).held(Why::NotVerified);
    assert_eq!((walk.state.phase, walk.state.dead), (Phase::All, true));
    assert_eq!(walk.next(), Stop);
    assert_eq!(walk.asked(Ask::GoOn).next(), Look(Query::Everyone(New)));
}

#[test]
fn a_new_key_that_leaked_before_any_store_had_it_goes_like_that_of_any_failed_attempt() {
    for stop in [Look(Query::Live), Intend(Promote(0))] {
        let walk = Walk::new(PLAIN).until(stop).asked(NEW_FIRST);
        assert!(!walk.state.emergency(), "{stop:?}");
        assert_eq!(done(&walk.ends(End::Done))[..2], [Delete(New), Create]);
    }
    // Also where it is on its way out already, and where a create was repeated only to learn which key it left.
    let replayed = Walk::new(Rules { replays: true, ..PLAIN }).until(Do(Create)).asked(Ask::Rollback).until(Intend(Delete(New)));
    let walk = replayed.asked(NEW_FIRST);
    assert!(!walk.state.emergency());
    assert_eq!(done(&walk.ends(End::Aborted)), [Delete(New)]);
}

#[test]
fn a_leaked_old_key_is_never_switched_on_again() {
    let off = || Walk::new(REVERSIBLE).until(Wait(Pause::Soak));
    let refused = || off().saw(Query::Stores(New), Answer::Foreign).refused(Enable, Refusal::Denied);
    // Somebody did not prove the new key while it was off, and the last proof is asked for anew.
    let doubtful = || off().saw(Query::Everyone(New), Answer::No).refused(Enable, Refusal::Denied);
    let walks: [&dyn Fn() -> Walk; 3] = [&off, &refused, &doubtful];
    for walk in walks {
        is_over_for_the_old_key(walk().asked(FAST));
        // Also where the provider does not delete it, and somebody else does.
        is_over_for_the_old_key(walk().asked(FAST).refused(Delete(Old), Refusal::Denied));
    }
}

#[test]
fn a_fenced_key_that_leaked_is_not_used_where_it_landed_after_all() {
    let fence = Walk::new(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).asked(NEW_FIRST);
    let fence = fence.until(Do(Delete(New))).event(Event::Did(Delete(New))).asked(FAST);
    let landed = fence.refused(Restore(0), Refusal::Conflict).saw(Query::Current(0), Answer::Late);
    assert_eq!((landed.state.attempt, landed.next()), (2, Intend(Create)));
}

#[test]
fn in_an_emergency_a_key_that_may_have_been_served_is_given_up_and_goes_when_everybody_is_off_it() {
    let twice = Rules { attempts: 2, ..PLAIN };
    let again = || Walk::new(twice).asked(FAST).lost(Create).saw(Query::Settle, Answer::Yes).until(Intend(Promote(0)));
    let served = again().lost(Promote(0)).resumed().saw(Query::Current(0), Answer::Moved);
    let lost = again().refused(Promote(0), Refusal::ValueLost);
    for walk in [served, lost] {
        assert_eq!((walk.next(), walk.state.former), (Intend(Create), (Debt::Later, 1)));
        let walk = walk.lost(Create).saw(Query::Settle, Answer::Yes);
        assert_eq!((walk.next(), walk.state.held), (Intend(Create), None), "the round of creates is a new one");
        let walk = walk.refused(Promote(0), Refusal::ValueLost);
        assert_eq!((walk.state.former, walk.state.later), ((Debt::Later, 2), 2), "neither of them leaked");
        let told = walk.ends(End::Done);
        let everybody = told.iter().position(|action| *action == Look(Query::Everyone(New))).unwrap();
        assert_eq!(done(&told[everybody..]), [Delete(Old), Delete(Former), Delete(Former)]);
    }
}

#[test]
fn while_one_of_two_leaked_keys_may_live_nobody_is_told_that_both_are_dead() {
    let both = Walk::new(PLAIN).until(Wait(Pause::Grace)).asked(Ask::Emergency(Leak::Both, Urgency::RevokeFirst));
    let both = both.until(Do(Delete(Old))).event(Event::Did(Delete(Old)));
    let stuck = both.refused(Delete(Former), Refusal::Denied).saw(Query::Everyone(New), Answer::No);
    stuck.held(Why::NotVerified);
}
