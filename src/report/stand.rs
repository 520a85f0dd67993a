//! How a rotation stands: the running step, why it is held, where both keys are, what to type next.

use super::{
    paint::{clean, shorten},
    time::{after, clock},
    words::{name_of, store},
};
use crate::{
    playbook::Span,
    protocol::{Ask, Debt, End, Kind, Phase, Refusal, Role, Stand, Why, allows, gated},
    record::Missing,
    rotation::Rotation,
};

/// The running step in a few words.
pub fn step(rotation: &Rotation) -> &'static str {
    match rotation.state.phase {
        Phase::Create if rotation.state.stand == Stand::Unsure && !rotation.plan.rules.by_person => {
            "finding out whether a lost create left a key"
        }
        Phase::Create if waits_for_key(rotation) => "waiting for a person to make the new key",
        Phase::Create => "creating the new key",
        Phase::Stray(_) => "deleting a key that a lost create left",
        Phase::Discard => "deleting the new key, which no store ever served",
        Phase::Probe => "trying the new key",
        Phase::Promote(_) => "writing the new key to the stores",
        Phase::Fence => "making sure that a lost write cannot land late",
        Phase::Converge(_) => "seeing that every reader of the store gets the new key",
        Phase::Rollout(_) => "having services pick up the new key",
        Phase::Verify(_) => "having every instance prove the new key",
        Phase::All => "having every instance prove the new key at once",
        Phase::Grace => "waiting before the old key is touched",
        Phase::ByHand => "waiting for a person to revoke the old key",
        Phase::Idle => "waiting for the old key to be idle",
        Phase::Disable if rotation.state.stand == Stand::Idle => "proving everything again before the old key is switched off",
        Phase::Disable => "switching the old key off",
        Phase::Watch => "watching for complaints while the old key is off",
        Phase::Soak => "waiting before the old key is deleted",
        Phase::Delete if rotation.state.stand == Stand::Idle => "proving everything again before the old key is deleted",
        Phase::Delete => "deleting the old key",
        Phase::ProveDead => "seeing the provider refuse the old key",
        Phase::LastLook => "reading the stores one last time",
        Phase::Sweep(_) => "looking for keys that lost creates left",
        Phase::BackRestore(_) => "going back: writing the old key to the stores",
        Phase::BackRollout(_) => "going back: having services pick up the old key",
        Phase::BackVerify => "going back: having every instance prove the old key",
        Phase::BackGrace => "going back: waiting before the new key is deleted",
        Phase::BackDelete if rotation.state.stand == Stand::Idle => "going back: proving everything again before the new key is deleted",
        Phase::BackDelete => "going back: deleting the new key",
        Phase::BackDead => "seeing the provider refuse the leaked new key",
        Phase::BackEnable => "switching the old key on again",
        Phase::Ended(End::Done) => "done",
        Phase::Ended(End::RolledBack) => "rolled back to the old key",
        Phase::Ended(End::Aborted) => "aborted before any store was changed",
    }
}

/// Why a person is needed, in a few words.
pub fn why(why: Why) -> &'static str {
    match why {
        Why::CannotSettle => "a create without an answer may have left a key that cannot be told from others",
        Why::CannotFence => "the first write to the store had no answer and may still land",
        Why::ForeignValue => "a store holds a value that is neither the old nor the new key",
        Why::NotVerified => "not every instance proved its key",
        Why::StillUsed => "somebody still uses the old key",
        Why::EnabledAgain => "somebody complained while the old key was off, so it was switched on again",
        Why::NothingToReturnTo => "something is wrong, and there is no old key to go back to",
        Why::RevokeByHand => "a person must revoke a key at the provider",
        Why::StillAlive => "the provider still accepts the old key after its deletion",
        Why::NoNewKey => "no new key could be made that works, and the stores hold one that must go",
        Why::Refused(Refusal::Gone) => "what a needed step was to change is not there any more",
        Why::Refused(Refusal::Conflict) => "somebody else changed what a needed step was to change",
        Why::Refused(Refusal::Quota) => "there is no room for another key",
        Why::Refused(Refusal::Denied) => "a needed step was refused: not allowed, or not logged in",
        Why::Refused(Refusal::Invalid) => "a needed step was refused: the request was not accepted",
        Why::Refused(Refusal::ValueLost) => "a value that is needed can no longer be read",
    }
}

/// What keeps the next step from beginning, where its gate is closed: why, and until when.
pub fn gate(rotation: &Rotation) -> Option<(&str, chrono::DateTime<chrono::Utc>)> {
    let waiting = rotation.gated.as_ref().filter(|_| gated(&rotation.state))?;
    Some((&waiting.what_for, after(waiting.since, waiting.lasts)))
}

/// The wait that is on: its end.
pub fn until(rotation: &Rotation) -> Option<chrono::DateTime<chrono::Utc>> {
    if let Some((_, until)) = gate(rotation) {
        return Some(until);
    }
    let s = &rotation.state;
    let waits = matches!(s.phase, Phase::Grace | Phase::Idle | Phase::Soak | Phase::BackGrace);
    let waiting = rotation.waiting.as_ref().filter(|_| waits && s.stand != Stand::Idle && s.held.is_none())?;
    Some(after(waiting.since, waiting.lasts))
}

/// What to type where nothing keeps a rotation any more, whatever it wrote down that it waits for.
pub fn resume(rotation: &Rotation) -> String {
    format!("keyroll resume {}  # goes on where it stopped", rotation.id)
}

/// What to type next, as the rotation stands; a comment says what for. Empty at the end.
pub fn next(rotation: &Rotation) -> Vec<String> {
    let (id, s) = (&rotation.id, &rotation.state);
    if s.ended().is_some() {
        return Vec::new();
    }
    let Some(reason) = s.held else {
        if waits_for_key(rotation) {
            return vec![format!("keyroll provide {id}  # after you made the key {} at {}", made_as(rotation), page(rotation))];
        }
        return match until(rotation) {
            Some(until) => vec![format!("keyroll resume {id}  # after {}", clock(until))],
            None => vec![resume(rotation)],
        };
    };
    let go_on = |comment: &str| format!("keyroll resume {id} --reason '…'  # {comment}");
    let mut next = match reason {
        Why::CannotSettle => {
            vec![go_on("after the key that nobody knows was deleted at the provider, or found to be somebody else's: it is left alone")]
        }
        Why::CannotFence => vec![go_on("after you made sure that the store is empty; the new key is then deleted")],
        Why::ForeignValue => vec![go_on("after the store holds the old or the new key again")],
        Why::NotVerified => {
            let mut next = vec![go_on("asks every instance again")];
            next.extend(
                rotation.missing.iter().filter(|missing| missing.instance.is_some()).take(3).map(|missing| waive(rotation, missing)),
            );
            next
        }
        Why::StillUsed => vec![go_on("after its user was found and moved to the new key; asks the provider again")],
        Why::EnabledAgain => vec![go_on("after the one who complained uses the new key; proves everything, then switches off again")],
        Why::NothingToReturnTo => vec![go_on("after the services were put right; asks every instance again")],
        Why::RevokeByHand => vec![go_on(&by_hand(rotation))],
        Why::StillAlive => vec![go_on("asks the provider again; delete the old key there by hand if it stays")],
        Why::NoNewKey => vec![go_on("after the cause was put right at the provider; creates another key")],
        Why::Refused(_) => vec![go_on("after the cause was put right; tries the refused step again")],
    };
    let nowhere_to_go = rotation.plan.rules.kind != Kind::Rotate && s.touched > 0;
    if allows(s, Ask::Rollback) && !s.going_back() && !nowhere_to_go {
        let only = if reason == Why::RevokeByHand { ", only while that is NOT revoked" } else { "" };
        next.push(format!("keyroll rollback {id}  # back to the old key{only}"));
    }
    next
}

/// Whether a person must make the new key first, and hand it over.
pub fn waits_for_key(rotation: &Rotation) -> bool {
    let s = &rotation.state;
    s.rules.by_person && s.phase == Phase::Create && s.stand != Stand::Idle && s.held.is_none()
}

/// The exact name that the new key must have.
fn made_as(rotation: &Rotation) -> String {
    rotation.names.last().map(|name| quoted(name)).unwrap_or_default()
}

/// Where a person makes keys.
pub fn page(rotation: &Rotation) -> String {
    clean(rotation.plan.page.as_deref().unwrap_or("the provider"))
}

/// What a person must have done before a rotation that waits for their hands goes on.
fn by_hand(rotation: &Rotation) -> String {
    let (role, which) = match rotation.state.phase {
        Phase::Discard | Phase::BackDelete => (Role::New, "new"),
        Phase::Stray(_) => (Role::Stray, "left-over"),
        _ => (Role::Old, "old"),
    };
    match rotation.key(role).filter(|_| rotation.plan.rules.proved || role != Role::Old) {
        Some(key) => format!("after you revoked the {which} key {key} at {}", page(rotation)),
        None => format!("after you revoked the {which} key at {}; which one that is was not proved", page(rotation)),
    }
}

fn waive(rotation: &Rotation, missing: &Missing) -> String {
    let instance = missing.instance.as_ref().map_or_else(String::new, |instance| format!(" --instance {}", quoted(instance.as_str())));
    format!("keyroll waive {} --consumer {}{instance} --reason '…'  # do without its proof", rotation.id, quoted(&missing.consumer))
}

/// As a shell takes it: instances name themselves, and what they say must not become a command.
pub fn quoted(text: &str) -> String {
    crate::playbook::quoted(&clean(text))
}

/// Where both keys stand, in one line: what a person needs first when something went wrong.
pub fn keys(rotation: &Rotation) -> String {
    let mut keys = vec![old_key(rotation), new_key(rotation)];
    keys.extend(formers(rotation));
    keys.join(" · ")
}

/// Keys that were made and given up in an emergency.
pub fn formers(rotation: &Rotation) -> Vec<String> {
    let paid = rotation.formers.len() - usize::from(rotation.state.former.1).min(rotation.formers.len());
    let each = rotation.formers.iter().enumerate();
    each.map(|(place, former)| {
        let debt = if place < paid { Debt::Paid } else { rotation.state.former.0 };
        format!("given-up key {}: {}", former.id, leaked(rotation, debt))
    })
    .collect()
}

/// Where a key stands that must go.
fn leaked(rotation: &Rotation, debt: Debt) -> String {
    let at = rotation.emergency.as_ref().map_or_else(String::new, |emergency| format!(", at the latest at {}", clock(emergency.revoke_at)));
    match debt {
        Debt::None => String::new(),
        Debt::Later => "works; deleted as soon as nobody uses it".into(),
        Debt::Owed if rotation.state.due => "leaked and works; to be deleted now".into(),
        Debt::Owed => format!("LEAKED AND WORKS; deleted as soon as everybody is off it{at}"),
        Debt::Begun => "leaked; being deleted".into(),
        Debt::Stuck if !rotation.plan.rules.revokes => format!("LEAKED AND WORKS: a person must revoke it now, at {}", page(rotation)),
        Debt::Stuck if rotation.plan.rules.proved => "LEAKED AND WORKS: the provider refused to delete it".into(),
        Debt::Stuck => "LEAKED AND WORKS: its id is not known, so a person must delete it at the provider now".into(),
        Debt::Paid if rotation.state.dead => "leaked; deleted, and refused by the provider".into(),
        Debt::Paid => "leaked; deleted; that the provider refuses it is not seen yet".into(),
    }
}

/// Where the old key stands: `old key AKIA…1: in use, untouched`.
pub fn old_key(rotation: &Rotation) -> String {
    let s = &rotation.state;
    let name = name_of(rotation, Role::Old);
    let name = name.strip_prefix("the ").unwrap_or(&name);
    if s.old_leak != Debt::None {
        return format!("{name}: {}", leaked(rotation, s.old_leak));
    }
    match s.rules.kind {
        Kind::Install => return "old key: there was none".into(),
        Kind::Replace => return format!("{name}: was already dead"),
        Kind::Rotate => {}
    }
    let done = s.ended() == Some(End::Done) || matches!(s.phase, Phase::Sweep(End::Done) | Phase::Stray(Some(End::Done)));
    let fate = match s.phase {
        _ if done && !s.rules.proved => "to be revoked by hand; a person said it was",
        _ if s.held == Some(Why::StillAlive) => "deleted, but the provider still accepts it",
        _ if done => "deleted, and refused by the provider",
        Phase::ProveDead => "deleted; whether the provider refuses it is being looked at",
        Phase::LastLook if s.rules.proved => "deleted, and refused by the provider",
        Phase::LastLook => "to be revoked by hand; a person said it was",
        Phase::Delete if s.held == Some(Why::RevokeByHand) => "works and is in no store any more; a person must revoke it",
        Phase::Delete if s.stand != Stand::Idle => "being deleted, past the point of no return",
        Phase::Disable if s.off => "being switched off",
        Phase::BackEnable => "switched off, being switched on again",
        _ if s.off => "switched off; can be switched on again",
        Phase::ByHand => "works and is in no store any more; a person must revoke it",
        Phase::BackRestore(_) => "works; being written back to the stores",
        Phase::BackRollout(_) | Phase::BackVerify => "works, and is back in every store",
        Phase::BackGrace | Phase::BackDelete | Phase::Sweep(End::RolledBack) | Phase::Ended(End::RolledBack) => {
            "in use again: in every store, and proved by every instance"
        }
        _ if s.touched == 0 || s.ended().is_some() => "in use, untouched",
        _ if !old_is_out(rotation) => "works; the new key is taking its place",
        _ => "works; no store holds it and no instance should use it",
    };
    format!("{name}: {}", whose_hand(rotation, fate))
}

/// What is not deleted by its id is revoked.
fn whose_hand(rotation: &Rotation, fate: &str) -> String {
    if rotation.plan.rules.revokes { fate.to_owned() } else { fate.replace("deleted", "revoked") }
}

/// Where the new key stands: `new key AKIA…2: created, in no store`.
pub fn new_key(rotation: &Rotation) -> String {
    let s = &rotation.state;
    let Some(new) = &rotation.new else {
        return match (s.phase, s.stand) {
            (Phase::Create, Stand::Idle) if s.attempt == 1 => "new key: not created yet".into(),
            _ if waits_for_key(rotation) => format!("new key: a person makes it, at {}", page(rotation)),
            (Phase::Create, Stand::Begun | Stand::Unsure) => "new key: may have been created, which is not known yet".into(),
            (Phase::Ended(_), _) => "new key: none".into(),
            _ => "new key: none yet".into(),
        };
    };
    let name = format!("new key {}", new.id);
    if s.new_leak != Debt::None {
        return format!("{name}: {}", leaked(rotation, s.new_leak));
    }
    let dead = rotation.tombstones.contains(&new.id);
    let stores = usize::from(s.rules.stores);
    let holding = rotation.versions.iter().filter(|known| matches!(known.last(), Some((_, Role::New)))).count();
    let fate = match s.phase {
        Phase::Discard | Phase::BackDelete if s.held == Some(Why::RevokeByHand) => "in no store; works, and a person must revoke it".into(),
        Phase::Discard | Phase::BackDelete if dead && s.stand != Stand::Idle => "being deleted".into(),
        _ if dead => "deleted".into(),
        Phase::Promote(i) if s.stand == Stand::Unsure => {
            format!("may be in {}, which is being looked at", shorten(&store(&rotation.plan, i), 60))
        }
        Phase::Fence => format!("may still reach {}, which is being prevented", shorten(&store(&rotation.plan, 0), 60)),
        Phase::Discard => "in no store, about to be deleted".into(),
        Phase::BackGrace | Phase::BackDelete | Phase::BackVerify | Phase::BackRollout(_) => "in no store any more; still works".into(),
        Phase::BackRestore(_) => format!("still in {holding} of {stores} stores, being taken out"),
        _ if s.touched == 0 && holding == 0 => "created, in no store".into(),
        _ if old_is_out(rotation) && holding == stores => "in use: in every store, and proved by every instance".into(),
        _ if holding == stores => "in every store; not yet proved by every instance".into(),
        _ if holding == 0 => "being written to the stores".into(),
        _ => format!("in {holding} of {stores} stores"),
    };
    format!("{name}: {}", whose_hand(rotation, &fate))
}

/// Whether every consumer proved the new key once, and nothing has changed the stores since.
pub fn old_is_out(rotation: &Rotation) -> bool {
    let s = &rotation.state;
    let past = matches!(
        s.phase,
        Phase::Grace
            | Phase::ByHand
            | Phase::Idle
            | Phase::Disable
            | Phase::Watch
            | Phase::Soak
            | Phase::Delete
            | Phase::ProveDead
            | Phase::LastLook
            | Phase::BackEnable
            | Phase::Sweep(End::Done)
            | Phase::Stray(Some(End::Done))
            | Phase::Ended(End::Done)
    );
    past && !matches!(s.held, Some(Why::NotVerified | Why::ForeignValue))
}

/// A whole length of time, as the playbook would write it.
pub fn span(length: std::time::Duration) -> String {
    Span(length).to_string()
}

/// What a batch or a script makes of it: 0 done · 1 rolled back or aborted · 3 held for a person · 6 parked or open.
pub fn exit_code(rotation: &Rotation) -> u8 {
    match (rotation.state.ended(), rotation.state.held) {
        (Some(End::Done), _) => 0,
        (Some(End::RolledBack | End::Aborted), _) => 1,
        (None, Some(_)) => 3,
        (None, None) => 6,
    }
}
