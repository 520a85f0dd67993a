//! What an event makes of a state.

use super::{
    decide::{decide, gated},
    emergency,
    rule::{Rule, keeps},
    state::{Debt, Phase, Proof, Stand, State},
    words::{Action, Answer, Ask, Effect, End, Event, Kind, OnTimeout, Pause, Query, Refusal, Role, Why},
};

/// An event that does not answer what the protocol asked for. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the protocol wanted {wanted:?} and got {got:?}")]
pub struct Illegal {
    /// What [`decide`] said.
    pub wanted: Action,
    /// What came instead.
    pub got: Event,
}

/// The state after `event`. Legal events are the answer to [`decide`], a person's ask, and a takeover.
///
/// # Errors
/// [`Illegal`] for everything else, and for an ask that is not possible here (see [`allows`]).
pub fn apply(s: &State, event: &Event) -> Result<State, Illegal> {
    let wanted = decide(s);
    let illegal = Illegal { wanted, got: *event };
    let next = match (wanted, *event) {
        (_, Event::Waited(Pause::Revoke)) if s.owes() && !s.due => Some(waited(s, Pause::Revoke)),
        (Action::Intend(Effect::Delete(role)), Event::Intended(b)) if b == Effect::Delete(role) && s.forced(role) => {
            Some(emergency::begun(s, role))
        }
        (Action::Do(Effect::Delete(role)), Event::Did(b)) if b == Effect::Delete(role) && s.forced(role) => Some(emergency::paid(s, role)),
        (Action::Do(Effect::Delete(role)), Event::Refused(b, why)) if b == Effect::Delete(role) && s.forced(role) => {
            Some(emergency::refused(s, role, why))
        }
        (Action::Do(Effect::Delete(role)), Event::Lost(b)) if b == Effect::Delete(role) && s.forced(role) => Some(*s),
        (_, Event::Resumed) => resumed(s),
        (_, Event::Gated) if gated(s) => Some(State { proof: Proof::None, ..*s }),
        (_, Event::Asked(ask)) if allows(s, ask) => asked(s, ask),
        (Action::Intend(a), Event::Intended(b)) if a == b => intended(s, a),
        (Action::Do(a), Event::Did(b)) if a == b => Some(done(s, a)),
        (Action::Do(a), Event::Refused(b, why)) if a == b => Some(refused(s, a, why)),
        (Action::Do(a), Event::Lost(b)) if a == b => Some(lost(s, a)),
        (Action::Look(a), Event::Saw(b, answer)) if a == b => saw(s, a, answer),
        (Action::Park(a), Event::Parked(b)) if a == b => Some(State { stand: Stand::Begun, ..*s }),
        (Action::Wait(a), Event::Waited(b)) if a == b => Some(waited(s, a)),
        (_, event) => of_before(s, event),
    };
    next.ok_or(illegal)
}

/// What journals hold from when the protocol asked for less: it still folds, and nobody writes it any more.
fn of_before(s: &State, event: Event) -> Option<State> {
    match (s.phase, event) {
        // What only was given up went with what leaked.
        (_, Event::Intended(Effect::Delete(Role::Former))) if s.due && s.former.0 == Debt::Later => Some(emergency::begun(s, Role::Former)),
        // A person's word that no write will land was not looked into.
        (Phase::Fence, Event::Intended(Effect::Delete(Role::New))) if s.rules.kind == Kind::Install && s.stand == Stand::Unsure => {
            intended(&State { touched: 0, ..to(s, Phase::Discard) }, Effect::Delete(Role::New))
        }
        // A person was told to revoke without another proof.
        (Phase::ByHand, Event::Asked(Ask::GoOn)) => Some(went_on(s, Why::RevokeByHand)),
        _ => None,
    }
}

/// Whether a person may ask this of the rotation as it stands.
pub fn allows(s: &State, ask: Ask) -> bool {
    match ask {
        Ask::Rollback => !s.past_return() && s.ended().is_none() && !stays_on_the_new(s) && !s.must_replace(),
        Ask::GoOn => s.held.is_some(),
        Ask::Amend | Ask::Waive => s.ended().is_none(),
        Ask::Emergency(leak, _) => emergency::allowed(s, leak),
    }
}

/// Drops what belonged to the last runner: its evidence, its value, its certainty about a begun effect.
fn resumed(s: &State) -> Option<State> {
    if s.ended().is_some() {
        return None;
    }
    // An earlier promote that was lost may still land, also where it was to be done again.
    let may_land = s.phase == Phase::Promote(0) && s.touched > 0;
    let stand = if s.stand == Stand::Begun || may_land { Stand::Unsure } else { s.stand };
    let murky = s.murky || (s.phase == Phase::Create && stand == Stand::Unsure);
    let value = s.touched > 0 && !matches!(s.phase, Phase::Promote(0) | Phase::Fence | Phase::Discard);
    let next = State { stand, doubt: s.doubt || stand == Stand::Unsure, murky, value, proof: Proof::None, ..*s };
    let lost_before_promote = !value && matches!((s.phase, stand), (Phase::Probe, _) | (Phase::Promote(0), Stand::Idle));
    // The new value is gone before any promote: its key is of no use.
    Some(if lost_before_promote { to(&next, Phase::Discard) } else { next })
}

fn asked(s: &State, ask: Ask) -> Option<State> {
    let free = State { held: None, proof: Proof::None, ..*s };
    Some(match ask {
        // There is no old value to fence with: it still needs a person's word that nothing will land.
        Ask::Rollback if s.held == Some(Why::CannotFence) => State { aborting: true, ..*s },
        Ask::Rollback if s.going_back() => free,
        Ask::Rollback => back(&free),
        Ask::GoOn => {
            let again = |debt| emergency::asked_again(debt);
            let former = (again(s.former.0), s.former.1);
            went_on(&State { old_leak: emergency::old_asked_again(s), new_leak: again(s.new_leak), former, ..free }, s.held?)
        }
        Ask::Waive => State { proof: Proof::None, ..*s },
        Ask::Emergency(leak, urgency) => emergency::declared(s, leak, urgency),
        Ask::Amend if reverify(s) => State { held: s.held, ..to(&free, Phase::Verify(0)) },
        Ask::Amend => State { proof: Proof::None, ..*s },
    })
}

/// An amended playbook is proved from the canary on, as long as nothing happened to the old key.
fn reverify(s: &State) -> bool {
    let untouched = s.stand == Stand::Idle || matches!(s.phase, Phase::Grace | Phase::Idle);
    !s.once_off && untouched && matches!(s.phase, Phase::Verify(_) | Phase::Grace | Phase::Idle | Phase::Disable | Phase::Delete)
}

fn went_on(s: &State, why: Why) -> State {
    match (s.phase, why) {
        // The person's word is not proof: the provider must refuse the key.
        (Phase::ByHand | Phase::Delete, Why::RevokeByHand) => State { off: false, ..to(s, Phase::ProveDead) },
        (Phase::BackDelete, Why::RevokeByHand) => to(s, Phase::BackDead),
        // No store ever served these, and what they were may be known to nobody any more.
        (Phase::Discard, Why::RevokeByHand) => done(s, Effect::Delete(Role::New)),
        (Phase::Stray(_), Why::RevokeByHand) => done(s, Effect::Delete(Role::Stray)),
        // Nor that nothing has landed yet: the store is read once more.
        (Phase::Fence, Why::CannotFence) => State { stand: Stand::Unsure, ..*s },
        // A person looked: the key that cannot be told from others is left alone.
        (Phase::Create, Why::CannotSettle | Why::NoNewKey) => again(&State { tries: 0, ..*s }),
        (Phase::Sweep(end), Why::CannotSettle) => to(s, Phase::Ended(end)),
        _ => *s,
    }
}

fn intended(s: &State, effect: Effect) -> Option<State> {
    let begun = State { stand: Stand::Begun, ..*s };
    Some(match effect {
        Effect::Promote(i) => State { touched: s.touched.max(i + 1), ..begun },
        Effect::Rollout(Role::New, i) => State { rolled: s.rolled.max(i + 1), ..begun },
        // A refusal of this one says nothing of an earlier one, which may still land.
        Effect::Disable => State { off: true, once_off: true, doubt: s.doubt || s.once_off, ..begun },
        _ => begun,
    })
}

/// A store's or a consumer's last effect is confirmed: on to the next one, or to the next phase.
fn done(s: &State, effect: Effect) -> State {
    match effect {
        // A create that was repeated only to learn which key it left: somebody wants out.
        Effect::Create if s.aborting => State { minted: true, value: true, ..to(s, Phase::Discard) },
        Effect::Create => State { minted: true, value: true, ..to(s, Phase::Probe) },
        Effect::Promote(i) => State { value: true, ..to(s, Phase::Converge(i)) },
        Effect::Restore(_) if s.phase == Phase::Fence && s.shown => perhaps_served(s),
        Effect::Restore(_) if s.phase == Phase::Fence => State { touched: 0, ..to(s, Phase::Discard) },
        Effect::Restore(i) if i + 1 < s.touched => to(s, Phase::BackRestore(i + 1)),
        Effect::Restore(_) if s.rolled > 0 => to(s, Phase::BackRollout(0)),
        Effect::Restore(_) => to(s, Phase::BackVerify),
        Effect::Rollout(Role::Old, i) if i + 1 < s.rolled => to(s, Phase::BackRollout(i + 1)),
        Effect::Rollout(Role::Old, _) => to(s, Phase::BackVerify),
        Effect::Rollout(_, i) if s.must_replace() => emergency::rolled_out(s, i),
        Effect::Rollout(_, i) => to(s, Phase::Verify(i)),
        Effect::Disable => to(s, Phase::Watch),
        Effect::Enable if !keeps(Rule::NoRestoreAfterDisable) => back(&State { off: false, ..*s }),
        Effect::Enable => hold(&State { off: false, ..to(s, Phase::Disable) }, Why::EnabledAgain),
        Effect::Delete(Role::Old) => State { off: false, ..to(s, Phase::ProveDead) },
        Effect::Delete(Role::Stray) => match s.phase {
            Phase::Stray(Some(end)) => to(s, Phase::Sweep(end)),
            _ => State { stand: Stand::Unsure, ..to(s, Phase::Create) },
        },
        Effect::Delete(Role::New) if s.phase == Phase::BackDelete => finish(&State { minted: false, ..*s }, End::RolledBack),
        Effect::Delete(Role::New) => again(s),
        // Only an emergency deletes it, and that is not the main line's.
        Effect::Delete(Role::Former) => *s,
    }
}

fn refused(s: &State, effect: Effect, why: Refusal) -> State {
    match (effect, why) {
        (Effect::Delete(_), Refusal::Gone) => done(s, effect),
        (Effect::Delete(_), _) if !s.rules.revokes => hold(s, Why::RevokeByHand),
        // Somebody else deleted the old key: there is nothing left to switch, nor to go back to.
        (Effect::Disable, Refusal::Gone) => State { off: false, ..to(s, Phase::ProveDead) },
        (Effect::Enable, Refusal::Gone) => hold(&State { off: false, ..to(s, Phase::ProveDead) }, Why::NotVerified),
        (Effect::Promote(_) | Effect::Restore(_), Refusal::Conflict) => State { stand: Stand::Unsure, ..*s },
        // No room for another key: the leaked one makes it.
        (Effect::Create, Refusal::Quota) if s.owes() && !s.due => State { due: true, stand: Stand::Idle, ..*s },
        (Effect::Create, _) if s.must_replace() => hold(&State { stand: Stand::Idle, ..*s }, Why::Refused(why)),
        (Effect::Create, _) => finish(s, End::Aborted),
        (Effect::Promote(_), Refusal::ValueLost) if s.must_replace() => emergency::give_up_new(s),
        (Effect::Promote(i), Refusal::Denied | Refusal::Invalid | Refusal::Gone) if !s.doubt && !s.must_replace() => {
            back(&State { touched: i, stand: Stand::Idle, ..*s })
        }
        (Effect::Rollout(Role::New, i), _) if s.must_replace() => emergency::rolled_out(s, i),
        (Effect::Rollout(Role::New, _), _) => missing(s),
        (Effect::Disable, _) => hold(&State { off: s.doubt, once_off: s.doubt, stand: Stand::Idle, ..*s }, Why::Refused(why)),
        _ => hold(s, Why::Refused(why)),
    }
}

fn lost(s: &State, effect: Effect) -> State {
    State { stand: Stand::Unsure, doubt: true, murky: s.murky || effect == Effect::Create, ..*s }
}

fn saw(s: &State, query: Query, answer: Answer) -> Option<State> {
    use Answer::{Bad, Foreign, Late, Later, Moved, No, Yes};
    Some(match (query, answer) {
        (Query::Settle, Yes) => match s.phase {
            Phase::Sweep(end) => to(s, Phase::Ended(end)),
            _ => again(s),
        },
        (Query::Settle, No) => match s.phase {
            Phase::Sweep(end) => to(s, Phase::Stray(Some(end))),
            _ => to(s, Phase::Stray(None)),
        },
        (Query::Settle, Foreign) => hold(s, Why::CannotSettle),

        (Query::Live, Yes) => to(s, Phase::Promote(0)),
        (Query::Live, No | Bad) if s.must_replace() => to(s, Phase::Discard),
        (Query::Live, No | Bad) => to(&State { aborting: true, ..*s }, Phase::Discard),

        (Query::Current(i), Yes) => match s.phase {
            Phase::Promote(_) => done(s, Effect::Promote(i)),
            _ => done(s, Effect::Restore(i)),
        },
        (Query::Current(_), Moved) if s.rules.kind == Kind::Install => return None,
        (Query::Current(_), Moved) if s.phase == Phase::Fence || s.phase == Phase::Promote(0) && !s.value => perhaps_served(s),
        (Query::Current(_), Moved) if matches!(s.phase, Phase::Promote(_)) => State { stand: Stand::Idle, shown: s.shown || s.doubt, ..*s },
        // A person said that no write will land any more, and none has.
        (Query::Current(_), No) if s.phase == Phase::Fence && s.rules.kind == Kind::Install => {
            State { touched: 0, ..to(s, Phase::Discard) }
        }
        (Query::Current(_), No | Late) if s.phase == Phase::Promote(0) && !s.value => match s.rules.kind {
            Kind::Install => hold(&to(s, Phase::Fence), Why::CannotFence),
            Kind::Rotate | Kind::Replace => to(s, Phase::Fence),
        },
        // The fenced key leaked, and its promote landed.
        (Query::Current(_), Late) if s.phase == Phase::Fence && s.new_leak != Debt::None && !s.aborting => emergency::give_up_new(s),
        // The promote landed after all: the store serves the new key, and its value can be read there.
        (Query::Current(_), Late) if s.phase == Phase::Fence && !s.aborting => done(s, Effect::Promote(0)),
        (Query::Current(_), Late) if s.phase == Phase::Fence => back(&State { aborting: false, ..to(s, Phase::Converge(0)) }),
        (Query::Current(_), No | Late) => State { stand: Stand::Idle, ..*s },
        // Somebody else was faster, and nothing of ours is under way: this store was never ours to restore.
        (Query::Current(i), Foreign) if s.phase == Phase::Promote(i) && !s.doubt && !s.must_replace() => {
            back(&State { touched: i, stand: Stand::Idle, ..*s })
        }
        (Query::Current(_), Foreign) => hold(s, Why::ForeignValue),

        (Query::Converged(i), Yes) if i + 1 < s.rules.stores => to(s, Phase::Promote(i + 1)),
        (Query::Converged(_), Yes) => to(s, Phase::Rollout(0)),
        // Some reader is behind: in an emergency the others need not wait for it.
        (Query::Converged(i), No | Bad) if s.must_replace() => {
            let next = if i + 1 < s.rules.stores { Phase::Promote(i + 1) } else { Phase::Rollout(0) };
            to(s, next)
        }
        (Query::Converged(_), No | Bad) => missing(s),
        (Query::Converged(_), Foreign) => hold(s, Why::ForeignValue),

        (Query::Rolled(role, i), Yes) => done(s, Effect::Rollout(role, i)),
        (Query::Rolled(..), No) => State { stand: Stand::Begun, ..*s },

        (Query::Consumer(_, i), Yes) if i + 1 < s.rules.consumers => to(s, Phase::Rollout(i + 1)),
        (Query::Consumer(..), Yes) if s.rules.kind == Kind::Rotate => to(s, Phase::Grace),
        (Query::Consumer(..), Yes) => to(s, Phase::LastLook),
        (Query::Consumer(..), Bad) => back(s),
        (Query::Consumer(..), No) => missing(s),

        (Query::Unused, Yes) => State { proof: Proof::Idle, ..*s },
        (Query::Unused, Later) => to(s, Phase::Idle),
        (Query::Unused, No) => hold(s, Why::StillUsed),

        (Query::Everyone(_), Yes) if s.phase == Phase::BackVerify && s.new_leak != Debt::None => {
            State { due: true, ..to(s, Phase::BackDead) }
        }
        (Query::Everyone(_), Yes) if s.phase == Phase::BackVerify => {
            to(s, if keeps(Rule::GraceBack) { Phase::BackGrace } else { Phase::BackDelete })
        }
        (Query::Everyone(_), Yes) if s.phase == Phase::All => emergency::everybody_is_off(s),
        (Query::Everyone(_), Yes) => State { proof: Proof::Instances, ..*s },
        (Query::Everyone(Role::New), Bad) => back(s),
        (Query::Everyone(Role::New), No) => missing(s),
        (Query::Everyone(_), No | Bad) => hold(s, Why::NotVerified),

        (Query::Stores(_), Yes) if s.phase == Phase::LastLook => finish(s, End::Done),
        (Query::Stores(_), Yes) if s.phase == Phase::ByHand => hold(s, Why::RevokeByHand),
        (Query::Stores(_), Yes) => State { proof: Proof::Complete, ..*s },
        // A store that may serve the disabled key: it must work again before anybody is asked.
        (Query::Stores(Role::New), No | Foreign | Late) if s.off => to(s, Phase::BackEnable),
        (Query::Stores(_), No | Foreign | Late) => hold(s, Why::ForeignValue),

        (Query::Watched, Yes) => to(s, Phase::Soak),
        (Query::Watched, No | Bad) => to(s, Phase::BackEnable),

        // Somebody else deleted what the provider did not delete for us.
        (Query::Dead(Role::Old), Yes) if s.old_leak == Debt::Stuck => return saw(&State { old_leak: Debt::Paid, ..*s }, query, answer),
        (Query::Dead(Role::Old), Yes) if s.former.0 == Debt::Stuck => {
            let paid = emergency::paid(s, Role::Former);
            // The next of them is deleted first, and then seen to be dead.
            return if paid.owes() { Some(paid) } else { saw(&paid, query, answer) };
        }
        (Query::Dead(Role::New), Yes) if s.new_leak == Debt::Stuck => return saw(&State { new_leak: Debt::Paid, ..*s }, query, answer),
        (Query::Dead(_), Yes) => match s.phase {
            Phase::BackDead => finish(&State { minted: false, dead: s.emergency(), ..*s }, End::RolledBack),
            // Looked at while the rotation is held: somebody does not prove the new key.
            Phase::All => State { dead: true, ..*s },
            _ => State { dead: s.emergency(), ..to(s, Phase::LastLook) },
        },
        (Query::Dead(_), No) => hold(s, Why::StillAlive),
        _ => return None,
    })
}

fn waited(s: &State, pause: Pause) -> State {
    match pause {
        Pause::Grace if !s.rules.proved => to(s, Phase::ByHand),
        Pause::Grace | Pause::Idle if s.rules.disables => to(s, Phase::Disable),
        Pause::Grace | Pause::Idle | Pause::Soak => to(s, Phase::Delete),
        Pause::Stale => to(s, Phase::BackDelete),
        Pause::Revoke => State { due: true, ..*s },
    }
}

/// Proof that did not come in time, on the way forward.
fn missing(s: &State) -> State {
    match s.rules.on_timeout {
        OnTimeout::Hold if !s.off => hold(s, Why::NotVerified),
        _ => back(s),
    }
}

/// The new key's value is lost, its write can land no more, but it may have been there, and somebody may use it: it is not deleted at once.
fn perhaps_served(s: &State) -> State {
    match s.rules.kind {
        _ if s.must_replace() => emergency::give_up_new(s),
        Kind::Rotate => back(&State { aborting: false, ..to(s, Phase::Converge(0)) }),
        // The store shows a dead key again: nobody's own hand would put it there, so the new one never was.
        Kind::Install | Kind::Replace => State { touched: 0, ..to(s, Phase::Discard) },
    }
}

/// The way back from here. After a disable the stores stay on the new key: a late disable would kill a restored one.
fn back(s: &State) -> State {
    match (s.phase, s.rules.kind) {
        _ if s.must_replace() => hold(s, Why::NotVerified),
        _ if s.off => to(s, Phase::BackEnable),
        _ if stays_on_the_new(s) => hold(s, Why::NotVerified),
        (Phase::Fence | Phase::Discard | Phase::Stray(_) | Phase::Sweep(_), _) => State { aborting: true, ..*s },
        (_, Kind::Rotate) if s.touched > 0 => to(s, Phase::BackRestore(0)),
        _ if s.touched > 0 => hold(s, Why::NothingToReturnTo),
        _ if s.minted => to(&State { aborting: true, ..*s }, Phase::Discard),
        // What a person made and did not hand over is found by its name, where the provider shows names.
        (Phase::Create, _) if s.rules.by_person && s.stand != Stand::Idle => finish(&State { murky: true, ..*s }, End::Aborted),
        (Phase::Create, _) if s.stand != Stand::Idle => State { aborting: true, stand: Stand::Unsure, murky: true, ..*s },
        _ => finish(s, End::Aborted),
    }
}

/// A disable may still land late: the stores stay on the new key.
fn stays_on_the_new(s: &State) -> bool {
    s.once_off && keeps(Rule::NoRestoreAfterDisable)
}

/// Nothing of the last attempt is left: another one, the end, or a person.
fn again(s: &State) -> State {
    let exhausted = s.tries >= s.rules.attempts || s.attempt == u8::MAX;
    let fresh = State { value: false, minted: false, shown: false, new_leak: Debt::None, ..*s };
    match s.must_replace() {
        true if exhausted => hold(&to(&fresh, Phase::Create), Why::NoNewKey),
        false if exhausted || s.aborting => finish(&fresh, End::Aborted),
        _ => State { attempt: s.attempt + 1, tries: s.tries + 1, aborting: false, ..to(&fresh, Phase::Create) },
    }
}

fn finish(s: &State, end: End) -> State {
    to(s, if s.murky { Phase::Sweep(end) } else { Phase::Ended(end) })
}

pub(super) fn hold(s: &State, why: Why) -> State {
    State { held: Some(why), proof: Proof::None, ..*s }
}

pub(super) fn to(s: &State, phase: Phase) -> State {
    State { phase, stand: Stand::Idle, doubt: false, proof: Proof::None, ..*s }
}
