//! A leak: which keys must go, and where the rotation turns so that the stores end on a key that may stay.
//!
//! A leaked key is a debt beside the main line: it is paid (its tombstone, then its deletion) before anything else once it
//! is due, whatever the state. The main line turns at once: back to the old key where only the new one leaked and the old
//! one was never touched; everywhere else on to a key that did not leak.

use super::{
    apply::{hold, to},
    state::{Debt, Phase, Proof, Stand, State},
    words::{End, Kind, Leak, Refusal, Role, Urgency, Why},
};

/// Whether these keys can be said to have leaked, as the rotation stands.
pub(super) fn allowed(s: &State, leak: Leak) -> bool {
    let old = s.rules.kind == Kind::Rotate || matches!(s.old_leak, Debt::Later | Debt::Owed | Debt::Begun | Debt::Stuck);
    let new = s.minted && s.new_leak != Debt::Paid;
    s.ended().is_none()
        && match leak {
            Leak::Old => old,
            Leak::New => new,
            Leak::Both => old && new,
        }
}

/// The leak is known: the debts stand, and the main line turns.
pub(super) fn declared(s: &State, leak: Leak, urgency: Urgency) -> State {
    let (old, new) = (leak != Leak::New, leak != Leak::Old);
    let mut n = State { held: None, proof: Proof::None, tries: 1, due: s.paying() || urgency == Urgency::RevokeFirst, ..*s };
    n.former.0 = asked_again(n.former.0);
    n.old_leak = old_asked_again(s);
    n.new_leak = asked_again(n.new_leak);
    if old && n.old_leak == Debt::Later {
        n.old_leak = Debt::Owed;
    }
    if old && n.old_leak == Debt::None {
        n.old_leak = match s.phase {
            // Without its id nobody can delete it; the main line still gets everybody off it.
            _ if !s.rules.proved => Debt::Stuck,
            Phase::Delete if s.stand != Stand::Idle => Debt::Begun,
            // A person said that they revoked it; nobody saw it yet.
            Phase::ProveDead if !s.rules.revokes => Debt::Stuck,
            Phase::ProveDead | Phase::LastLook | Phase::Sweep(End::Done) | Phase::Stray(Some(End::Done)) => Debt::Paid,
            _ => Debt::Owed,
        };
    }
    if new && n.new_leak == Debt::None {
        n.new_leak = match s.phase {
            Phase::BackDelete if s.stand != Stand::Idle => Debt::Begun,
            _ => Debt::Owed,
        };
    }
    let held = s.held.filter(|why| matches!(why, Why::NotVerified | Why::ForeignValue | Why::StillUsed));
    if new { off_the_new(&n, old) } else { off_the_old(&n, held.is_some()) }
}

/// The new key leaked: back where the old one may stay, on to another one everywhere else.
fn off_the_new(s: &State, old_leaked: bool) -> State {
    use Phase::*;
    let over = s.past_return() || matches!(s.phase, ProveDead | LastLook | Sweep(_) | Stray(Some(_)));
    let home = s.rules.kind == Kind::Rotate && !old_leaked && !s.must_replace() && !s.once_off && !over;
    match s.phase {
        // No store ever served it: it is deleted as any key of a failed attempt.
        Discard => State { new_leak: Debt::None, ..*s },
        Probe | Promote(0) if s.touched == 0 => State { new_leak: Debt::None, ..to(s, Discard) },
        // A lost write of it may still land: the fence stands first. Elsewhere the next key's own write is the fence.
        Fence if home => State { aborting: true, ..*s },
        BackRestore(_) | BackRollout(_) | BackVerify if home => *s,
        // Everybody proved the old key already.
        BackGrace | BackDelete | BackDead if home => State { due: true, ..to(s, BackDead) },
        _ if home => to(s, BackRestore(0)),
        _ => give_up_new(s),
    }
}

/// The old key leaked, the new one did not.
fn off_the_old(s: &State, doubtful: bool) -> State {
    use Phase::*;
    match s.phase {
        Create | Stray(None) | Probe | Promote(_) | Converge(_) | Rollout(_) | Fence | Discard | All => State { aborting: false, ..*s },
        Verify(i) => rolled_out(s, i),
        // Nobody is asked about such a doubt while the old key is off: it is enabled first.
        Grace | Idle | Disable | Watch | Soak | BackEnable if doubtful => to(s, All),
        Delete if s.stand == Stand::Idle && doubtful => to(s, All),
        // Everybody proved the new key once.
        Grace | Idle | Disable | Watch | Soak | BackEnable | Delete => State { off: false, due: true, ..to(s, ProveDead) },
        ByHand => hold(s, Why::RevokeByHand),
        LastLook | ProveDead => State { due: true, ..to(s, ProveDead) },
        // The old key was seen to be dead before this was known.
        Sweep(End::Done) | Stray(Some(End::Done)) => State { dead: true, ..*s },
        Ended(_) => *s,
        BackRestore(_) | BackRollout(_) | BackVerify | BackGrace | BackDelete | BackDead | Sweep(_) | Stray(Some(_)) => give_up_new(s),
    }
}

/// Another key takes the new one's place; what the stores hold now, whichever it is, is what gets replaced.
pub(super) fn give_up_new(s: &State) -> State {
    let gone = !s.minted || s.new_leak == Debt::Paid;
    let debt = match (s.phase, s.new_leak) {
        (Phase::BackDelete, _) if s.stand != Stand::Idle => Debt::Begun,
        (_, Debt::None) => Debt::Later,
        (_, leaked) => leaked,
    };
    // Somebody may ask for a second leak before the first was paid: then there is no later any more.
    let former = match (s.former, gone) {
        (former, true) => former,
        ((Debt::None | Debt::Paid, _), false) => (debt, 1),
        // What leaked now does not wait for what only was given up, or could not be deleted.
        ((Debt::Later | Debt::Stuck, left), false) if matches!(debt, Debt::Owed | Debt::Begun) => (Debt::Owed, left.saturating_add(1)),
        ((first, left), false) => (first, left.saturating_add(1)),
    };
    let later = s.later.saturating_add(u8::from(debt == Debt::Later && !gone));
    let old_leak = match s.old_leak {
        // Its rotation was about to delete it, or had disabled it: it cannot stay either.
        Debt::None if s.rules.kind == Kind::Rotate => old_fate(s),
        known => known,
    };
    State {
        rules: super::state::Rules { kind: Kind::Replace, ..s.rules },
        attempt: s.attempt.saturating_add(1),
        tries: 1,
        value: false,
        minted: false,
        touched: 0,
        shown: false,
        rolled: 0,
        off: false,
        once_off: false,
        aborting: false,
        old_leak,
        new_leak: Debt::None,
        former,
        later,
        dead: false,
        ..to(s, Phase::Create)
    }
}

fn old_fate(s: &State) -> Debt {
    match s.phase {
        _ if !s.rules.proved => Debt::Stuck,
        Phase::Delete if s.stand != Stand::Idle => Debt::Begun,
        Phase::ProveDead if !s.rules.revokes => Debt::Stuck,
        Phase::ProveDead | Phase::LastLook | Phase::Sweep(End::Done) | Phase::Stray(Some(End::Done)) => Debt::Paid,
        _ => Debt::Later,
    }
}

/// A consumer's rollout is through, or cannot be: the others do not wait for its proof.
pub(super) fn rolled_out(s: &State, i: u8) -> State {
    let next = if i + 1 < s.rules.consumers { Phase::Rollout(i + 1) } else { Phase::All };
    to(s, next)
}

/// Every instance proved the new key: nothing is worth waiting for any more.
pub(super) fn everybody_is_off(s: &State) -> State {
    let now = |debt| if debt == Debt::Later { Debt::Owed } else { debt };
    State { due: true, old_leak: now(s.old_leak), former: (now(s.former.0), s.former.1), later: 0, ..to(s, Phase::ProveDead) }
}

/// The tombstone of a leaked key stands.
pub(super) fn begun(s: &State, role: Role) -> State {
    with(s, role, Debt::Begun)
}

/// A leaked key is deleted. What the stores hold may be dead now: there is nothing to go back to.
pub(super) fn paid(s: &State, role: Role) -> State {
    match role {
        Role::Former if s.former.1 > 1 => {
            let left = s.former.1 - 1;
            State { former: (if left > s.later { Debt::Owed } else { Debt::Later }, left), ..*s }
        }
        Role::Former => State { former: (Debt::Paid, 0), ..*s },
        Role::Old => with(&State { rules: super::state::Rules { kind: Kind::Replace, ..s.rules }, ..*s }, role, Debt::Paid),
        _ => with(s, role, Debt::Paid),
    }
}

/// The provider does not delete a leaked key. The main line goes on: getting everybody off it is worth as much.
pub(super) fn refused(s: &State, role: Role, why: Refusal) -> State {
    if why == Refusal::Gone { paid(s, role) } else { with(s, role, Debt::Stuck) }
}

/// A person says "go on": what was refused is asked for again.
pub(super) fn asked_again(debt: Debt) -> Debt {
    if debt == Debt::Stuck { Debt::Owed } else { debt }
}

/// The same for the old key; without its id there is nothing to ask for.
pub(super) fn old_asked_again(s: &State) -> Debt {
    if s.rules.proved { asked_again(s.old_leak) } else { s.old_leak }
}

fn with(s: &State, role: Role, debt: Debt) -> State {
    match role {
        Role::Old => State { old_leak: debt, ..*s },
        Role::New => State { new_leak: debt, ..*s },
        Role::Former => State { former: (debt, s.former.1), ..*s },
        Role::Stray => *s,
    }
}
