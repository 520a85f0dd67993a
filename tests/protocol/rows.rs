//! The protocol's table, row by row.

use keyroll::protocol::{
    Action::{self, Do, Intend, Look, Park, Wait},
    Answer, Ask,
    Effect::{Create, Delete, Disable, Enable, Promote, Restore, Rollout},
    End, Event, Kind, OnTimeout, Pause, Phase, Query, Refusal,
    Role::{New, Old, Stray},
    Rules, Why, replaces, written,
};

use crate::{PLAIN, Walk, done, may_go_back};

const REVERSIBLE: Rules = Rules { disables: true, asks_use: true, ..PLAIN };

fn proof(role: keyroll::protocol::Role) -> [Action; 2] {
    [Look(Query::Everyone(role)), Look(Query::Stores(role))]
}

#[test]
fn a_plain_rotation_takes_these_steps_and_no_others() {
    let expected = [
        vec![Intend(Create), Do(Create), Look(Query::Live)],
        vec![Intend(Promote(0)), Do(Promote(0)), Look(Query::Converged(0))],
        vec![Intend(Rollout(New, 0)), Do(Rollout(New, 0)), Look(Query::Consumer(New, 0))],
        vec![Park(Pause::Grace), Wait(Pause::Grace)],
        proof(New).to_vec(),
        vec![Intend(Delete(Old)), Do(Delete(Old)), Look(Query::Dead(Old)), Look(Query::Stores(New))],
    ];
    assert_eq!(Walk::new(PLAIN).ends(End::Done), expected.concat());
}

#[test]
fn a_reversible_rotation_is_idle_checked_disabled_watched_soaked_and_proved_again() {
    let told = Walk::new(REVERSIBLE).until(Wait(Pause::Grace)).ends(End::Done);
    let expected = [
        vec![Wait(Pause::Grace), Look(Query::Unused)],
        proof(New).to_vec(),
        vec![Intend(Disable), Do(Disable), Look(Query::Watched), Park(Pause::Soak), Wait(Pause::Soak)],
        proof(New).to_vec(),
        vec![Intend(Delete(Old)), Do(Delete(Old)), Look(Query::Dead(Old)), Look(Query::Stores(New))],
    ];
    assert_eq!(told, expected.concat());
}

#[test]
fn every_store_converges_before_the_next_and_the_canary_proves_it_before_the_next_consumer() {
    let told = Walk::new(Rules { stores: 2, consumers: 2, ..PLAIN }).until(Intend(Promote(0))).told.len();
    let all = Walk::new(Rules { stores: 2, consumers: 2, ..PLAIN }).ends(End::Done);
    let looks: Vec<_> = all[told..].iter().filter(|action| !matches!(action, Intend(_))).take(8).copied().collect();
    let expected = [
        Do(Promote(0)),
        Look(Query::Converged(0)),
        Do(Promote(1)),
        Look(Query::Converged(1)),
        Do(Rollout(New, 0)),
        Look(Query::Consumer(New, 0)),
        Do(Rollout(New, 1)),
        Look(Query::Consumer(New, 1)),
    ];
    assert_eq!(looks, expected);
}

#[test]
fn row_1_a_lost_create_is_settled_by_reading_and_what_it_left_is_deleted_first() {
    let told = Walk::new(PLAIN).lost(Create).saw(Query::Settle, Answer::No).ends(End::Done);
    assert_eq!(told[..5], [Intend(Delete(Stray)), Do(Delete(Stray)), Look(Query::Settle), Intend(Create), Do(Create)]);
    // The reply may come so late that its key appears after we looked: the last look finds it.
    assert_eq!(told[told.len() - 1], Look(Query::Settle));
}

#[test]
fn row_1_a_create_that_the_provider_replays_is_simply_repeated() {
    let walk = Walk::new(Rules { replays: true, ..PLAIN }).lost(Create);
    assert_eq!(walk.next(), Do(Create));
    walk.ends(End::Done);
}

#[test]
fn row_1_lost_creates_end_after_the_allowed_attempts() {
    let mut walk = Walk::new(PLAIN);
    for _ in 0..PLAIN.attempts {
        walk = walk.lost(Create).saw(Query::Settle, Answer::Yes);
    }
    assert_eq!(done(&walk.ends(End::Aborted)), []);
}

#[test]
fn row_1_a_listing_that_cannot_tell_is_left_to_a_person() {
    Walk::new(PLAIN).lost(Create).saw(Query::Settle, Answer::Foreign).held(Why::CannotSettle).asked(Ask::GoOn).ends(End::Done);
}

#[test]
fn row_2_a_value_lost_before_any_promote_costs_its_key_and_another_attempt() {
    for stop in [Look(Query::Live), Intend(Promote(0))] {
        let told = Walk::new(PLAIN).until(stop).resumed().ends(End::Done);
        assert_eq!(told[..4], [Intend(Delete(New)), Do(Delete(New)), Intend(Create), Do(Create)]);
    }
}

#[test]
fn row_2_a_key_that_does_not_work_is_deleted_and_nothing_was_touched() {
    assert_eq!(done(&Walk::new(PLAIN).saw(Query::Live, Answer::No).ends(End::Aborted)), [Delete(New)]);
}

#[test]
fn row_3_a_lost_promote_is_read_back() {
    let lost = || Walk::new(PLAIN).lost(Promote(0));
    assert_eq!(lost().saw(Query::Current(0), Answer::Yes).next(), Look(Query::Converged(0)));
    assert_eq!(lost().saw(Query::Current(0), Answer::No).next(), Intend(Promote(0)));
    lost().saw(Query::Current(0), Answer::Foreign).held(Why::ForeignValue);
}

#[test]
fn row_3_a_lost_promote_whose_value_is_gone_is_fenced() {
    let told = Walk::new(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).ends(End::Done);
    assert_eq!(done(&told)[..4], [Restore(0), Delete(New), Create, Promote(0)]);
}

#[test]
fn row_3_a_promote_that_was_to_be_repeated_is_fenced_too() {
    let walk = Walk::new(PLAIN).lost(Promote(0)).saw(Query::Current(0), Answer::No).until(Intend(Promote(0))).resumed();
    let told = walk.saw(Query::Current(0), Answer::No).ends(End::Done);
    assert_eq!(done(&told)[..2], [Restore(0), Delete(New)]);
}

#[test]
fn row_3_a_promote_that_lands_during_its_fence_is_used() {
    let walk = Walk::new(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No);
    let walk = walk.refused(Restore(0), Refusal::Conflict).saw(Query::Current(0), Answer::Late);
    assert_eq!(walk.next(), Look(Query::Converged(0)));
    walk.ends(End::Done);
}

#[test]
fn row_3_a_promote_that_may_have_been_there_is_gone_back_from_with_a_wait() {
    let fenced = || Walk::new(PLAIN).until(Do(Promote(0))).resumed();
    let ways = [
        // The store was written meanwhile: nothing that was sent before can land, but it may have been there.
        fenced().saw(Query::Current(0), Answer::Moved),
        fenced().saw(Query::Current(0), Answer::No).refused(Restore(0), Refusal::Conflict).saw(Query::Current(0), Answer::Moved),
        // Seen by the runner that still had the value, and tried again.
        Walk::new(PLAIN)
            .lost(Promote(0))
            .saw(Query::Current(0), Answer::Moved)
            .until(Do(Promote(0)))
            .resumed()
            .saw(Query::Current(0), Answer::No),
    ];
    for walk in ways {
        let told = walk.ends(End::RolledBack);
        let (waits, deletes) =
            (told.iter().position(|action| *action == Wait(Pause::Stale)), told.iter().position(|action| *action == Do(Delete(New))));
        assert!(waits.is_some() && waits < deletes, "{told:?}");
    }
}

#[test]
fn row_3_a_promote_that_surely_was_never_there_costs_its_key_at_once() {
    // The store answered the first one: it did not happen, so what moved is somebody else's field.
    let walk = Walk::new(PLAIN).refused(Promote(0), Refusal::Conflict).saw(Query::Current(0), Answer::Moved);
    let told = walk.until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).ends(End::Done);
    assert_eq!(done(&told)[..3], [Restore(0), Delete(New), Create]);
}

#[test]
fn row_3_another_attempt_has_not_been_there() {
    let walk = Walk::new(Rules { kind: Kind::Replace, ..PLAIN }).lost(Promote(0)).saw(Query::Current(0), Answer::Moved);
    assert!(walk.state.shown);
    let walk = walk.until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).until(Intend(Create));
    assert!(!walk.state.shown);
}

#[test]
fn row_3_a_write_takes_the_place_of_an_old_value_and_of_the_new_one_only_on_the_way_back() {
    let may = |walk: &Walk, effect| [Old, New].map(|role| replaces(&walk.state, effect, Some(role)));
    let promote = Walk::new(PLAIN).until(Intend(Promote(0)));
    assert_eq!(may(&promote, Promote(0)), [true, false]);
    let again = promote.lost(Promote(0)).saw(Query::Current(0), Answer::No);
    assert_eq!(may(&again, Promote(0)), [false, false], "under the same condition as the lost one");
    let moved = Walk::new(PLAIN).lost(Promote(0)).saw(Query::Current(0), Answer::Moved);
    assert_eq!(may(&moved, Promote(0)), [true, false]);
    let fence = Walk::new(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No);
    assert_eq!(may(&fence, Restore(0)), [false, false]);
    let back = Walk::new(PLAIN).saw(Query::Consumer(New, 0), Answer::Bad);
    assert_eq!(may(&back, Restore(0)), [true, true]);
    assert!(!replaces(&back.state, Restore(0), None), "somebody else's value");
}

#[test]
fn row_3_what_a_store_shows_after_a_write() {
    let promote = Walk::new(PLAIN).lost(Promote(0)).state;
    let fence = Walk::new(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).lost(Restore(0)).state;
    let back = Walk::new(PLAIN).saw(Query::Consumer(New, 0), Answer::Bad).lost(Restore(0)).state;
    let shows = |state, role| [false, true].map(|moved| written(state, role, moved));
    use Answer::{Foreign, Late, Moved, No, Yes};
    assert_eq!([shows(&promote, Some(Old)), shows(&promote, Some(New)), shows(&promote, None)], [[No, Moved], [Yes, Yes], [No, Foreign]]);
    assert_eq!([shows(&fence, Some(Old)), shows(&fence, Some(New)), shows(&fence, None)], [[No, Moved], [Late, Late], [No, Foreign]]);
    // A reading may be as old as any: only a restore that the store confirms counts.
    assert_eq!([shows(&back, Some(Old)), shows(&back, Some(New)), shows(&back, None)], [[No, No], [Late, Late], [No, Foreign]]);
}

#[test]
fn row_3_the_second_store_takes_the_value_that_the_first_shows() {
    let walk = Walk::new(Rules { stores: 2, ..PLAIN }).until(Intend(Promote(1))).resumed();
    assert_eq!(walk.next(), Intend(Promote(1)));
}

#[test]
fn row_4_a_lost_rollout_is_compared_and_repeated_only_if_it_did_not_happen() {
    let lost = || Walk::new(PLAIN).lost(Rollout(New, 0));
    assert_eq!(lost().saw(Query::Rolled(New, 0), Answer::Yes).next(), Look(Query::Consumer(New, 0)));
    assert_eq!(lost().saw(Query::Rolled(New, 0), Answer::No).next(), Do(Rollout(New, 0)));
}

#[test]
fn row_4_a_rollout_that_is_refused_is_missing_proof() {
    let refused = |on_timeout| Walk::new(Rules { on_timeout, ..PLAIN }).refused(Rollout(New, 0), Refusal::Denied);
    assert_eq!(refused(OnTimeout::Rollback).next(), Intend(Restore(0)));
    refused(OnTimeout::Hold).held(Why::NotVerified);
}

#[test]
fn row_3_a_refused_promote_is_intended_anew_after_a_persons_word() {
    let rules = Rules { kind: Kind::Install, stores: 2, ..PLAIN };
    let walk = Walk::new(rules).refused(Promote(1), Refusal::Denied).held(Why::NothingToReturnTo);
    assert_eq!(walk.asked(Ask::GoOn).next(), Intend(Promote(1)));
}

#[test]
fn row_5_missing_proof_goes_back_or_holds_as_the_playbook_says() {
    let missing = |on_timeout| Walk::new(Rules { on_timeout, ..PLAIN }).saw(Query::Consumer(New, 0), Answer::No);
    assert_eq!(missing(OnTimeout::Rollback).next(), Intend(Restore(0)));
    missing(OnTimeout::Hold).held(Why::NotVerified).asked(Ask::GoOn).ends(End::Done);
}

#[test]
fn row_5_bad_proof_goes_back_at_once_whatever_the_playbook_says() {
    let walk = Walk::new(Rules { on_timeout: OnTimeout::Hold, ..PLAIN }).saw(Query::Consumer(New, 0), Answer::Bad);
    assert_eq!(walk.next(), Intend(Restore(0)));
}

#[test]
fn row_6_a_takeover_does_not_restart_the_grace() {
    let walk = Walk::new(PLAIN).until(Wait(Pause::Grace)).resumed();
    assert_eq!(walk.next(), Wait(Pause::Grace));
}

#[test]
fn row_7_a_takeover_between_proof_and_intent_proves_again() {
    for intent in [Intend(Disable), Intend(Delete(Old))] {
        let walk = Walk::new(REVERSIBLE).until(intent).resumed();
        assert!(matches!(walk.next(), Look(Query::Unused | Query::Everyone(New))), "{:?}", walk.next());
    }
}

#[test]
fn row_7_the_first_sign_enables_the_old_key_and_a_person_decides() {
    for answer in [Answer::No, Answer::Bad] {
        let walk = Walk::new(REVERSIBLE).saw(Query::Watched, answer);
        assert_eq!(walk.next(), Intend(Enable));
        let walk = walk.until(Do(Enable)).event(Event::Did(Enable)).held(Why::EnabledAgain);
        assert!(!may_go_back(&walk), "a late disable would kill a restored key");
        assert_eq!(done(&walk.asked(Ask::GoOn).ends(End::Done)), [Disable, Delete(Old)]);
    }
}

#[test]
fn row_7_proof_that_fails_while_the_old_key_is_off_enables_it() {
    for answer in [Answer::No, Answer::Bad] {
        let walk = Walk::new(REVERSIBLE).until(Wait(Pause::Soak)).saw(Query::Everyone(New), answer);
        assert_eq!(walk.next(), Intend(Enable));
    }
}

#[test]
fn row_7_an_amended_playbook_does_not_go_back_before_a_disable() {
    let walk = Walk::new(REVERSIBLE).until(Intend(Delete(Old))).asked(Ask::Amend);
    assert_eq!(walk.next(), Look(Query::Everyone(New)));
    assert_eq!(done(&walk.ends(End::Done)), [Delete(Old)]);
}

#[test]
fn row_7_a_disable_that_is_refused_at_once_changed_nothing() {
    let walk = Walk::new(REVERSIBLE).refused(Disable, Refusal::Denied).held(Why::Refused(Refusal::Denied));
    assert!(may_go_back(&walk));
    let lost = Walk::new(REVERSIBLE).lost(Disable).refused(Disable, Refusal::Denied);
    assert!(!may_go_back(&lost), "the lost one may still land");
}

#[test]
fn row_8_a_store_that_may_serve_the_disabled_key_switches_it_on_again() {
    for answer in [Answer::Late, Answer::Foreign, Answer::No] {
        let walk = Walk::new(REVERSIBLE).until(Wait(Pause::Soak)).saw(Query::Stores(New), answer);
        assert_eq!(walk.next(), Intend(Enable));
    }
}

#[test]
fn row_7_an_old_key_that_somebody_deleted_is_proved_dead_and_never_gone_back_to() {
    let walk = Walk::new(REVERSIBLE).refused(Disable, Refusal::Gone);
    assert_eq!(walk.next(), Look(Query::Dead(Old)));
    assert!(!may_go_back(&walk));
    assert_eq!(walk.ends(End::Done), [Look(Query::Dead(Old)), Look(Query::Stores(New))]);
}

#[test]
fn row_7_a_refused_second_disable_says_nothing_of_the_first() {
    let walk = Walk::new(REVERSIBLE).lost(Disable).saw(Query::Watched, Answer::No).until(Do(Enable)).event(Event::Did(Enable));
    let walk = walk.asked(Ask::GoOn).refused(Disable, Refusal::Denied);
    assert!(!may_go_back(&walk));
}

#[test]
fn row_8_a_key_in_use_is_not_touched_and_one_that_may_be_is_waited_for() {
    let rules = Rules { asks_use: true, ..PLAIN };
    Walk::new(rules).saw(Query::Unused, Answer::No).held(Why::StillUsed);
    let later = Walk::new(rules).saw(Query::Unused, Answer::Later);
    assert_eq!(later.next(), Park(Pause::Idle));
    assert_eq!(done(&later.ends(End::Done)), [Delete(Old)]);
}

#[test]
fn row_8_a_store_that_changed_after_the_proof_stops_the_deletion() {
    for answer in [Answer::No, Answer::Foreign, Answer::Late] {
        let walk = Walk::new(PLAIN).until(Look(Query::Everyone(New))).saw(Query::Stores(New), answer).held(Why::ForeignValue);
        assert_eq!(walk.asked(Ask::GoOn).next(), Look(Query::Everyone(New)));
    }
}

#[test]
fn row_8_the_intent_to_delete_is_the_point_of_no_return() {
    let walk = Walk::new(PLAIN).until(Intend(Delete(Old)));
    assert!(may_go_back(&walk));
    let walk = walk.until(Do(Delete(Old)));
    assert!(!may_go_back(&walk));
    let lost = walk.lost(Delete(Old));
    assert_eq!(lost.next(), Do(Delete(Old)));
    assert_eq!(lost.refused(Delete(Old), Refusal::Gone).next(), Look(Query::Dead(Old)));
}

#[test]
fn row_9_a_key_that_still_answers_is_not_called_dead() {
    Walk::new(PLAIN).saw(Query::Dead(Old), Answer::No).held(Why::StillAlive).asked(Ask::GoOn).ends(End::Done);
}

#[test]
fn install_and_replace_revoke_nothing() {
    for kind in [Kind::Install, Kind::Replace] {
        assert_eq!(done(&Walk::new(Rules { kind, ..PLAIN }).ends(End::Done)), [Create, Promote(0), Rollout(New, 0)]);
    }
}

#[test]
fn an_unproved_old_key_is_revoked_by_hand() {
    let rules = Rules { proved: false, ..PLAIN };
    let walk = Walk::new(rules).until(Wait(Pause::Grace)).until(Action::Stop).held(Why::RevokeByHand);
    assert_eq!(walk.state.phase, Phase::ByHand);
    assert_eq!(walk.told[walk.told.len() - 3..], [vec![Wait(Pause::Grace)], proof(New).to_vec()].concat());
    let missing = Walk::new(rules).until(Look(Query::Everyone(New))).saw(Query::Everyone(New), Answer::No);
    assert_eq!(missing.next(), Intend(Restore(0)), "nobody is told to revoke a key that is in use");
    assert_eq!(walk.asked(Ask::GoOn).ends(End::Done), [Look(Query::Dead(Old)), Look(Query::Stores(New))]);
}

/// Records of rotations from before the protocol asked for more.
#[test]
fn journals_of_before_still_fold() {
    let by_hand = Walk::new(Rules { proved: false, ..PLAIN }).until(Wait(Pause::Grace)).event(Event::Waited(Pause::Grace));
    by_hand.event(Event::Asked(Ask::GoOn)).ends(End::Done);
    let install = Walk::new(Rules { kind: Kind::Install, ..PLAIN }).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No);
    let install = install.held(Why::CannotFence).asked(Ask::GoOn).event(Event::Intended(Delete(New)));
    assert_eq!(install.state.touched, 0);
    assert_eq!(done(&install.ends(End::Done))[..2], [Delete(New), Create]);
    let fence = Walk::new(PLAIN).until(Do(Promote(0))).resumed().saw(Query::Current(0), Answer::No).lost(Restore(0));
    assert_eq!(fence.saw(Query::Current(0), Answer::Yes).next(), Intend(Delete(New)));
    let back = Walk::new(PLAIN).saw(Query::Consumer(New, 0), Answer::Bad).lost(Restore(0));
    assert_eq!(back.saw(Query::Current(0), Answer::Yes).next(), Intend(Rollout(Old, 0)));
}

/// Nobody wrote down then that a provider deletes by id, nor that keyroll makes the keys: it always was so.
#[test]
fn rules_of_before_lack_what_was_always_so() {
    let mut written = serde_json::to_value(PLAIN).unwrap();
    let fields = written.as_object_mut().unwrap();
    assert!(fields.remove("revokes").is_some() && fields.remove("by_person").is_some());
    assert_eq!(serde_json::from_value::<Rules>(written).unwrap(), PLAIN);
}
