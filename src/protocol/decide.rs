//! What comes next: one line a phase.

use super::{
    rule::{Rule, keeps},
    state::{Debt, Phase, Proof, Stand, State},
    words::{Action, Effect, Pause, Query, Role, Why},
};

/// The next action of a rotation. Total: every state has one.
pub fn decide(s: &State) -> Action {
    match next(s) {
        Action::Intend(effect @ Effect::Delete(_)) if !keeps(Rule::TombstoneFirst) => Action::Do(effect),
        action => action,
    }
}

fn next(s: &State) -> Action {
    use Action::{Look, Stop};
    use Role::{New, Old, Stray};

    if let Some(action) = forced(s) {
        return action;
    }
    if s.held.is_some() {
        return Stop;
    }
    match s.phase {
        Phase::Create if s.rules.replays || s.rules.by_person => insist(s, Effect::Create),
        Phase::Create => effect(s, Effect::Create, Query::Settle),
        Phase::Stray(_) => insist(s, Effect::Delete(Stray)),
        Phase::Discard => insist(s, Effect::Delete(New)),
        Phase::Probe => Look(Query::Live),
        Phase::Promote(i) => effect(s, Effect::Promote(i), Query::Current(i)),
        Phase::Fence => effect(s, Effect::Restore(0), Query::Current(0)),
        Phase::Converge(i) => Look(Query::Converged(i)),
        Phase::Rollout(i) => effect(s, Effect::Rollout(New, i), Query::Rolled(New, i)),
        Phase::Verify(i) => Look(Query::Consumer(New, i)),
        Phase::All => Look(Query::Everyone(New)),
        Phase::Grace => wait(s, Pause::Grace),
        Phase::Idle => wait(s, Pause::Idle),
        Phase::Disable => proved(s, New, |s| insist(s, Effect::Disable)),
        Phase::Watch => Look(Query::Watched),
        Phase::Soak => wait(s, Pause::Soak),
        Phase::Delete => proved(s, New, |s| insist(s, Effect::Delete(Old))),
        Phase::ProveDead => Look(Query::Dead(Old)),
        Phase::LastLook => Look(Query::Stores(New)),
        Phase::Sweep(_) => Look(Query::Settle),
        Phase::BackRestore(i) => effect(s, Effect::Restore(i), Query::Current(i)),
        Phase::BackRollout(i) => effect(s, Effect::Rollout(Old, i), Query::Rolled(Old, i)),
        Phase::BackVerify => Look(Query::Everyone(Old)),
        Phase::BackGrace => wait(s, Pause::Stale),
        Phase::BackDelete => proved(s, Old, |s| insist(s, Effect::Delete(New))),
        Phase::BackDead => Look(Query::Dead(New)),
        Phase::BackEnable => insist(s, Effect::Enable),
        Phase::ByHand => proved(s, New, |_| Stop),
        Phase::Ended(_) => Stop,
    }
}

/// What an emergency does before anything else, and while a rotation is held: delete what is due, see that it is dead.
fn forced(s: &State) -> Option<Action> {
    for role in [Role::Old, Role::New, Role::Former].into_iter().filter(|_| s.due) {
        match s.debt(role) {
            Debt::Owed => return Some(Action::Intend(Effect::Delete(role))),
            Debt::Begun => return Some(Action::Do(Effect::Delete(role))),
            Debt::None | Debt::Later | Debt::Stuck | Debt::Paid => {}
        }
    }
    let debts = [s.old_leak, s.former.0];
    let paid = debts.contains(&Debt::Paid) && !debts.contains(&Debt::Stuck) && s.new_leak == Debt::None;
    match s.held? {
        _ if s.owes() => Some(Action::Wait(Pause::Revoke)),
        Why::NotVerified if s.phase == Phase::All && paid && !s.dead => Some(Action::Look(Query::Dead(Role::Old))),
        _ => None,
    }
}

/// Whether what comes next must wait for the playbook's window and for freezes: the beginning of every risky step on the
/// way forward, with the proof it needs. Never the way back.
pub fn gated(s: &State) -> bool {
    let risky = matches!(s.phase, Phase::Create | Phase::Promote(_) | Phase::Rollout(_) | Phase::Disable | Phase::Delete);
    risky && s.stand == Stand::Idle && s.held.is_none() && !s.emergency()
}

/// An effect whose lost outcome is settled by a reading.
fn effect(s: &State, effect: Effect, settle: Query) -> Action {
    match s.stand {
        Stand::Idle => Action::Intend(effect),
        Stand::Begun => Action::Do(effect),
        Stand::Unsure => Action::Look(settle),
    }
}

/// An effect that may be repeated blindly: by exact id, or with a token that the other side remembers.
fn insist(s: &State, effect: Effect) -> Action {
    match s.stand {
        Stand::Idle => Action::Intend(effect),
        Stand::Begun | Stand::Unsure => Action::Do(effect),
    }
}

fn wait(s: &State, pause: Pause) -> Action {
    match s.stand {
        Stand::Idle => Action::Park(pause),
        Stand::Begun | Stand::Unsure => Action::Wait(pause),
    }
}

/// Instances first, then the stores: a store that was changed meanwhile must not hide behind older evidence (I1).
/// Once the intent is durable, the proof is part of it and is not asked for again.
fn proved(s: &State, role: Role, then: fn(&State) -> Action) -> Action {
    if s.stand != Stand::Idle {
        return then(s);
    }
    match s.proof {
        Proof::None if asks_use(s) => Action::Look(Query::Unused),
        Proof::None | Proof::Idle if keeps(Rule::VerifyAgain) => Action::Look(Query::Everyone(role)),
        Proof::None | Proof::Idle | Proof::Instances if keeps(Rule::ReadStoresLast) => Action::Look(Query::Stores(role)),
        _ => then(s),
    }
}

/// The idle gate stands before the first step that hurts the old key; a disabled key is idle by force.
fn asks_use(s: &State) -> bool {
    s.rules.asks_use && !s.off && matches!(s.phase, Phase::Disable | Phase::Delete)
}
