//! A leak, for somebody under stress: what will break before it begins, whether it is contained after it, what remains.

use serde::Serialize;

use super::{
    paint::{Ink, clean, paint},
    time::{clock, rough},
};
use crate::{
    ids::KeyId,
    playbook::{Instances, Playbook},
    protocol::{Debt, End, Leak, Role, Urgency},
    record::{Decree, Decreed, Emergency, Plan},
    rotation::Rotation,
};

/// What will break and for how long, before anything is done. `limited`: keys of this provider have limits of their own.
pub fn will_break(book: &Playbook, plan: &Plan, limited: bool, urgency: Urgency, emergency: &Emergency, leak: Leak) -> String {
    let which = match leak {
        Leak::Old => "the key in use",
        Leak::New => "the key that the open rotation made",
        Leak::Both => "both keys of the open rotation",
    };
    let ids: Vec<&str> = emergency.leaked.iter().map(|id| id.as_str()).collect();
    let ids = if ids.is_empty() { "its id is not known".to_owned() } else { ids.join(", ") };
    let mut lines = vec![paint(Ink::Bad, &format!("EMERGENCY  {}: {which} leaked ({ids})", clean(&plan.name)))];
    lines.push(format!("  at {}", plan.provider));
    let readers: Vec<String> = book
        .consumers
        .iter()
        .map(|consumer| match &consumer.instances {
            Instances::Job(job) => format!("the job {} (every {})", consumer.name, job.runs_every),
            Instances::Running { expect, .. } => {
                let known = plan.consumers.iter().find(|one| one.name == consumer.name).map_or(0, |one| one.expected);
                format!("{} ({} or more instances)", consumer.name, known.max(*expect))
            }
        })
        .collect();
    let stale = plan.waits.stale;
    let page = clean(plan.page.as_deref().unwrap_or(&plan.provider));
    let goes = if plan.rules.revokes { "deleted".to_owned() } else { format!("revoked at {page}, by you if its value is not enough,") };
    match urgency {
        Urgency::RevokeFirst => {
            lines.push(format!("  first, at once: the leaked key is {goes} and cannot be brought back"));
            lines.push(format!("  WILL BREAK, from that moment: every call of {}", readers.join(", ")));
            lines.push(format!(
                "  until each of them has the new key: it is made{} and written next; readers may get the old value for up to {} more",
                if plan.rules.by_person { format!(" by you, at {page},") } else { String::new() },
                rough(stale)
            ));
            if limited && !plan.rules.by_person {
                lines.push(match &plan.kept {
                    None => "  its limits and restrictions are not known: the new key gets the provider's defaults".into(),
                    Some(kept) if kept.without.is_empty() => "  the new key gets its limits and restrictions".into(),
                    Some(kept) => {
                        format!("  the new key gets its limits and restrictions but for what may be secret: {}", kept.without.join(", "))
                    }
                });
            }
        }
        Urgency::ReplaceFast if leak == Leak::New => {
            lines.push(
                "  first: every store and service goes back to the old key where that was not touched yet, else on to another new one"
                    .into(),
            );
            lines.push(format!(
                "  then: the leaked key is {goes} as soon as every instance is off it, at the latest at {}",
                clock(emergency.revoke_at)
            ));
            lines.push(format!(
                "  MAY BREAK: whoever is not off it by then, of {}; it is revoked all the same, and they are listed",
                readers.join(", ")
            ));
        }
        Urgency::ReplaceFast => {
            let made = if plan.rules.by_person { format!("made by you, at {page},") } else { "made,".into() };
            lines.push(format!("  first: another key is {made} tried, written to every store, and every service is made to pick it up"));
            lines.push(format!(
                "  then: the leaked key is {goes} as soon as every instance proves the new one, at the latest at {}",
                clock(emergency.revoke_at)
            ));
            lines.push(format!(
                "  MAY BREAK: whoever is not off it by then, of {}; it is revoked all the same, and they are listed",
                readers.join(", ")
            ));
            lines.push("  until then the leaked key works for whoever has it".into());
        }
    }
    lines.extend(plan.notes.iter().map(|note| format!("  note: {}", clean(note))));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// How a leak stands, what the leaked keys were used for, and what a person still does.
#[derive(Clone, Debug, Serialize)]
pub struct Leaked {
    /// `contained`, `not_proved` or `not_contained`.
    pub verdict: &'static str,
    /// The same in words.
    pub headline: String,
    /// What else is known.
    pub more: Vec<String>,
    /// What each leaked key was used for, where the provider told.
    pub usage: Vec<String>,
    /// What is left for a person.
    pub remains: Vec<String>,
}

/// How the leak stands; none where there was none. `decrees` hold what the leaked keys were used for.
pub fn leaked(rotation: &Rotation, decrees: &[Decreed]) -> Option<Leaked> {
    let emergency = rotation.emergency.as_ref()?;
    let s = &rotation.state;
    let debts = [s.old_leak, s.new_leak, s.former.0];
    let unpaid = debts.iter().any(|debt| matches!(debt, Debt::Owed | Debt::Begun | Debt::Stuck));
    let named = |ids: &[&KeyId]| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
    // What was looked at: the old key and what was given up, or the new key where the old one was gone back to.
    let looked = |id: &KeyId| {
        let old = rotation.key(Role::Old) == Some(id) || rotation.formers.iter().any(|former| former.id == *id);
        let back = s.ended() == Some(End::RolledBack) && rotation.key(Role::New) == Some(id);
        s.dead && (back || old && s.ended() != Some(End::RolledBack))
    };
    let works =
        |id: &KeyId| !rotation.tombstones.contains(id) || s.minted && s.new_leak != Debt::Paid && rotation.key(Role::New) == Some(id);
    let alive: Vec<&KeyId> = emergency.leaked.iter().filter(|id| works(id)).collect();
    let (proved, deleted): (Vec<&KeyId>, Vec<&KeyId>) = emergency.leaked.iter().filter(|id| !works(id)).partition(|id| looked(id));
    let mut more = Vec::new();
    let (verdict, headline) = if unpaid || !alive.is_empty() {
        let which = if alive.is_empty() { named(&emergency.leaked.iter().collect::<Vec<_>>()) } else { named(&alive) };
        ("not_contained", format!("NOT CONTAINED: a leaked key works ({which})"))
    } else if !proved.is_empty() && deleted.is_empty() {
        ("contained", format!("CONTAINED: the provider refuses what leaked ({})", named(&proved)))
    } else if emergency.leaked.is_empty() && s.dead {
        ("contained", "CONTAINED: the provider refuses what leaked".to_owned())
    } else {
        if !proved.is_empty() {
            more.push(format!("the provider refuses {}", named(&proved)));
        }
        let text =
            format!("NOT PROVED YET: what leaked is deleted ({}), and that the provider refuses it is not seen yet", named(&deleted));
        ("not_proved", text)
    };
    if !rotation.missing.is_empty() && s.due {
        more.push(format!("Not verified when it was revoked: {}", super::words::some(&rotation.missing, 20)));
    }
    let usage = decrees.iter().filter_map(|decreed| match &decreed.decree {
        Decree::Usage { rotation: its, key, from, used } if *its == rotation.id => Some(super::used::sentence(key, *from, used)),
        _ => None,
    });
    let since = emergency.since.map_or_else(|| "since it leaked".to_owned(), |at| format!("since {}", clock(at)));
    let by_hand = verdict == "not_contained" && !rotation.plan.rules.revokes;
    let revoke = || format!("revoke the leaked key at {}, now: only a person can", super::words::page(rotation));
    let mut remains: Vec<String> = by_hand.then(revoke).into_iter().collect();
    remains.extend([
        format!("look at what the leaked key was used for {since}: the provider's usage and billing pages ({})", rotation.plan.provider),
        "take it out of where it leaked (rewrite the history, purge caches and forks); dead or not, it shows what else lies there".into(),
        "look for other keys in the same place: keyroll identify --report …".into(),
        "tell who must know: security, the provider's account owner, customers if data was read".into(),
    ]);
    Some(Leaked { verdict, headline, more, usage: usage.collect(), remains })
}

/// The same in lines, for the end of a run; nothing where there was no leak.
pub fn aftermath(rotation: &Rotation) -> Vec<String> {
    let Some(leaked) = leaked(rotation, &[]) else { return Vec::new() };
    let ink = match leaked.verdict {
        "contained" => Ink::Good,
        "not_proved" => Ink::Warn,
        _ => Ink::Bad,
    };
    let mut lines = vec![String::new(), paint(ink, &leaked.headline)];
    lines.extend(leaked.more.iter().map(|line| paint(Ink::Warn, line)));
    lines.push(paint(Ink::Strong, "What remains for a person"));
    lines.extend(leaked.remains.iter().map(|line| format!("  [ ] {line}")));
    lines
}
