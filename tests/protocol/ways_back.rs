//! The ways back: abort, rollback, enable; and who is asked where there is none.

use keyroll::protocol::{
    Action::{Do, Intend, Look},
    Answer, Ask,
    Effect::{Create, Delete, Promote, Restore, Rollout},
    End, Event, Kind, Pause, Query, Refusal,
    Role::{New, Old},
    Rules, Why,
};

use crate::{PLAIN, Walk, done, may_go_back};

#[test]
fn before_any_promote_a_way_out_touches_no_store() {
    let cases = [(Intend(Create), vec![]), (Look(Query::Live), vec![Delete(New)]), (Intend(Promote(0)), vec![Delete(New)])];
    for (stop, expected) in cases {
        assert_eq!(done(&Walk::new(PLAIN).until(stop).asked(Ask::Rollback).ends(End::Aborted)), expected, "{stop:?}");
    }
}

#[test]
fn a_way_out_during_a_create_looks_for_its_key_first() {
    let walk = Walk::new(PLAIN).until(Do(Create)).asked(Ask::Rollback);
    assert_eq!(walk.next(), Look(Query::Settle));
    walk.ends(End::Aborted);
}

#[test]
fn a_way_out_during_a_create_that_is_replayed_deletes_its_key() {
    let walk = Walk::new(Rules { replays: true, ..PLAIN }).until(Do(Create)).asked(Ask::Rollback);
    assert_eq!(done(&walk.ends(End::Aborted)), [Create, Delete(New)]);
}

#[test]
fn a_create_that_crashed_and_is_then_refused_still_looks_for_its_key() {
    let walk = Walk::new(Rules { replays: true, ..PLAIN }).until(Do(Create)).resumed().refused(Create, Refusal::Quota);
    assert_eq!(walk.ends(End::Aborted), [Look(Query::Settle)]);
}

#[test]
fn a_refused_create_ends_at_once() {
    assert_eq!(Walk::new(PLAIN).refused(Create, Refusal::Quota).ends(End::Aborted), []);
}

#[test]
fn a_rollback_restores_rolls_out_proves_waits_proves_again_and_deletes_the_new_key() {
    let told = Walk::new(PLAIN).until(Look(Query::Consumer(New, 0))).asked(Ask::Rollback).ends(End::RolledBack);
    let expected = [
        Intend(Restore(0)),
        Do(Restore(0)),
        Intend(Rollout(Old, 0)),
        Do(Rollout(Old, 0)),
        Look(Query::Everyone(Old)),
        keyroll::protocol::Action::Park(Pause::Stale),
        keyroll::protocol::Action::Wait(Pause::Stale),
        Look(Query::Everyone(Old)),
        Look(Query::Stores(Old)),
        Intend(Delete(New)),
        Do(Delete(New)),
    ];
    assert_eq!(told, expected);
}

#[test]
fn only_what_was_touched_is_put_back() {
    let rules = Rules { stores: 3, consumers: 3, ..PLAIN };
    let back = |stop| done(&Walk::new(rules).until(stop).asked(Ask::Rollback).ends(End::RolledBack));
    assert_eq!(back(Look(Query::Converged(0))), [Restore(0), Delete(New)]);
    assert_eq!(back(Do(Promote(1))), [Restore(0), Restore(1), Delete(New)]);
    let canary = [Restore(0), Restore(1), Restore(2), Rollout(Old, 0), Delete(New)];
    assert_eq!(back(Look(Query::Consumer(New, 0))), canary);
}

#[test]
fn every_consumer_that_was_rolled_out_is_rolled_back() {
    let walk = Walk::new(Rules { consumers: 2, ..PLAIN }).until(keyroll::protocol::Action::Wait(Pause::Grace)).asked(Ask::Rollback);
    assert_eq!(done(&walk.ends(End::RolledBack)), [Restore(0), Rollout(Old, 0), Rollout(Old, 1), Delete(New)]);
}

#[test]
fn who_asks_to_go_back_on_the_way_back_does_not_start_it_anew() {
    let walk = Walk::new(PLAIN).saw(Query::Consumer(New, 0), Answer::Bad).saw(Query::Everyone(Old), Answer::No);
    assert_eq!(walk.asked(Ask::Rollback).next(), Look(Query::Everyone(Old)));
}

#[test]
fn a_store_that_refuses_the_promote_is_not_restored() {
    let rules = Rules { stores: 2, ..PLAIN };
    assert_eq!(done(&Walk::new(rules).refused(Promote(0), Refusal::Denied).ends(End::Aborted)), [Delete(New)]);
    assert_eq!(done(&Walk::new(rules).refused(Promote(1), Refusal::Denied).ends(End::RolledBack)), [Restore(0), Delete(New)]);
    let lost = Walk::new(rules).lost(Promote(0)).saw(Query::Current(0), Answer::No).refused(Promote(0), Refusal::Denied);
    lost.held(Why::Refused(Refusal::Denied));
}

#[test]
fn somebody_elses_write_is_left_alone() {
    let walk = Walk::new(PLAIN).refused(Promote(0), Refusal::Conflict).saw(Query::Current(0), Answer::Foreign);
    assert_eq!(done(&walk.ends(End::Aborted)), [Delete(New)]);
}

#[test]
fn a_rollback_that_nobody_proves_is_held_and_tried_again_on_a_word() {
    let walk = Walk::new(PLAIN).saw(Query::Consumer(New, 0), Answer::Bad).saw(Query::Everyone(Old), Answer::No);
    assert_eq!(done(&walk.held(Why::NotVerified).asked(Ask::GoOn).ends(End::RolledBack)), [Delete(New)]);
}

#[test]
fn a_takeover_in_the_last_step_back_proves_again() {
    let walk = Walk::new(PLAIN).saw(Query::Consumer(New, 0), Answer::Bad).until(Intend(Delete(New))).resumed();
    assert_eq!(walk.next(), Look(Query::Everyone(Old)));
}

#[test]
fn a_way_out_during_the_fence_ends_with_the_old_key_wherever_the_promote_lands() {
    let fence = || Walk::new(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).asked(Ask::Rollback);
    assert_eq!(done(&fence().ends(End::Aborted)), [Restore(0), Delete(New)]);
    let landed = fence().refused(Restore(0), Refusal::Conflict).saw(Query::Current(0), Answer::Late);
    assert_eq!(done(&landed.ends(End::RolledBack)), [Restore(0), Delete(New)]);
}

#[test]
fn where_there_was_no_old_value_a_person_says_that_nothing_will_land() {
    let rules = Rules { kind: Kind::Install, ..PLAIN };
    let held = || Walk::new(rules).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).held(Why::CannotFence);
    let out = held().asked(Ask::Rollback).held(Why::CannotFence).asked(Ask::Rollback).held(Why::CannotFence);
    assert_eq!(done(&out.asked(Ask::GoOn).saw(Query::Current(0), Answer::No).ends(End::Aborted)), [Delete(New)]);
    let landed = held().asked(Ask::GoOn).saw(Query::Current(0), Answer::Late);
    assert_eq!(landed.next(), Look(Query::Converged(0)), "it had landed by then: it is used");
    let again = held().asked(Ask::GoOn).saw(Query::Current(0), Answer::No).until(Look(Query::Live)).resumed();
    assert_eq!(again.next(), Intend(Delete(New)), "no store holds the second value");
}

#[test]
fn where_there_is_no_old_key_trouble_is_held() {
    for kind in [Kind::Install, Kind::Replace] {
        let walk = Walk::new(Rules { kind, ..PLAIN }).saw(Query::Consumer(New, 0), Answer::Bad);
        walk.held(Why::NothingToReturnTo).asked(Ask::GoOn).ends(End::Done);
    }
}

#[test]
fn an_amended_playbook_is_proved_from_the_canary_on() {
    for stop in [Look(Query::Everyone(New)), Intend(Delete(Old))] {
        let walk = Walk::new(Rules { consumers: 2, ..PLAIN }).until(stop).asked(Ask::Amend);
        assert_eq!(walk.next(), Look(Query::Consumer(New, 0)));
        walk.ends(End::Done);
    }
}

#[test]
fn a_waiver_voids_the_proof() {
    let walk = Walk::new(PLAIN).until(Intend(Delete(Old))).asked(Ask::Waive);
    assert_eq!(walk.next(), Look(Query::Everyone(New)));
}

#[test]
fn the_end_is_the_end() {
    let walk = Walk::new(PLAIN).until(keyroll::protocol::Action::Stop);
    assert!(!may_go_back(&walk));
    for event in [Event::Resumed, Event::Asked(Ask::GoOn), Event::Asked(Ask::Amend), Event::Asked(Ask::Waive)] {
        assert!(keyroll::protocol::apply(&walk.state, &event).is_err(), "{event:?}");
    }
}
