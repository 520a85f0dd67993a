//! One pass over instances: find them anew, ask all of them at once, and say what each showed.

use futures_util::future::join_all;

use super::known::Known;
use crate::{
    ids::InstanceId,
    playbook::{Instances, Playbook},
    ports::{Claim, Clock, Found, Got, Report, World},
    protocol::{Role, Showing, short},
    record::{Evidence, Missing, Waiver},
    secret::Secret,
};

/// What one pass showed.
pub struct Pass {
    /// Every instance, told apart by consumer and id.
    pub showing: Vec<(InstanceId, Showing)>,
    /// How many expected ones were not found at all.
    pub short: usize,
    /// Who proved the key.
    pub proved: Vec<Evidence>,
    /// Who did not.
    pub missing: Vec<Missing>,
    /// Of those the ones that could not be asked at all; without an instance: the consumer's instances were not found.
    pub unreached: Vec<(String, Option<InstanceId>)>,
}

/// Whom to ask, and for which key.
pub struct Summons<'a> {
    /// The key that is looked for.
    pub role: Role,
    /// One consumer, or all.
    pub only: Option<usize>,
    /// Per consumer: how many instances there must be.
    pub expected: Vec<usize>,
    /// Who need not prove anything.
    pub waivers: &'a [Waiver],
}

/// Makes one pass. A job has no instances and shows nothing.
pub async fn pass(world: &World, book: &Playbook, known: &mut Known, clock: &dyn Clock, summons: &Summons<'_>) -> Pass {
    let mut pass = Pass { showing: Vec::new(), short: 0, proved: Vec::new(), missing: Vec::new(), unreached: Vec::new() };
    let chosen = (0..book.consumers.len()).filter(|place| summons.only.is_none_or(|only| only == *place));
    let answers = join_all(chosen.map(|place| async move { (place, ask(world, place).await) })).await;
    for (place, answer) in answers {
        consumer(world, book, known, clock, summons, place, answer, &mut pass).await;
    }
    pass
}

/// Longer than any version or id, shorter than most keys.
const LONGEST_CLAIM: usize = 64;

type Asked = Option<Got<(Found, Vec<(InstanceId, Got<Report>)>)>>;

/// Finds and asks one consumer's instances; none for a job.
async fn ask(world: &World, place: usize) -> Asked {
    let wiring = world.consumers.get(place)?;
    let (discovery, health) = (wiring.discovery.as_ref()?, wiring.health.as_ref()?);
    let found = match discovery.instances().await {
        Ok(found) => found,
        Err(failure) => return Some(Err(failure)),
    };
    let reports = join_all(found.instances.iter().map(|instance| async { (instance.id.clone(), health.ask(instance).await) })).await;
    Some(Ok((found, reports)))
}

#[allow(clippy::too_many_arguments)]
async fn consumer(
    world: &World,
    book: &Playbook,
    known: &mut Known,
    clock: &dyn Clock,
    summons: &Summons<'_>,
    place: usize,
    answer: Asked,
    pass: &mut Pass,
) {
    let (Some(spec), Some(answer)) = (book.consumers.get(place), answer) else { return };
    let Instances::Running { expect, health, .. } = &spec.instances else { return };
    let waived = |id: Option<&InstanceId>| {
        let same = |waiver: &Waiver| waiver.consumer == spec.name && (waiver.instance.is_none() || waiver.instance.as_ref() == id);
        summons.waivers.iter().any(same)
    };
    if waived(None) {
        return;
    }
    let mut miss = |instance: Option<InstanceId>, why: String| pass.missing.push(Missing { consumer: spec.name.clone(), instance, why });
    let planned = summons.expected.get(place).copied().unwrap_or_default().max(*expect);
    let (found, reports) = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            pass.short += planned.max(1);
            if failure.refusal().is_none() {
                pass.unreached.push((spec.name.clone(), None));
            }
            return miss(None, failure.to_string());
        }
    };
    let mut seen: Vec<(InstanceId, Showing)> = Vec::new();
    // By distinct id, found or not: one that is gone for good is waived too, and one that is listed twice counts once.
    let mut excused: Vec<_> =
        summons.waivers.iter().filter(|waiver| waiver.consumer == spec.name).filter_map(|waiver| waiver.instance.as_ref()).collect();
    excused.sort();
    excused.dedup();
    for (listed, report) in reports {
        let id = report.as_ref().ok().and_then(|report| report.id.clone()).unwrap_or(listed);
        if waived(Some(&id)) {
            continue;
        }
        if report.as_ref().is_err_and(|failure| failure.refusal().is_none()) {
            pass.unreached.push((spec.name.clone(), Some(id.clone())));
        }
        let (showing, said) = judge(report, known, health.store, world, book, summons.role).await;
        match showing {
            Showing::Wanted => {
                pass.proved.push(Evidence { consumer: spec.name.clone(), instance: id.clone(), reported: said, at: clock.now() })
            }
            _ => miss(Some(id.clone()), said),
        }
        seen.push((id, showing));
    }
    let expected = planned.max(found.expected.unwrap_or_default()).saturating_sub(excused.len());
    let lacking = short(expected, &seen);
    if lacking > 0 {
        miss(None, format!("{} of {expected} expected instances found", expected - lacking));
    }
    pass.short += lacking;
    pass.showing.extend(seen.into_iter().map(|(id, showing)| (InstanceId::new(format!("{}/{id}", spec.name)), showing)));
}

async fn judge(report: Got<Report>, known: &mut Known, store: usize, world: &World, book: &Playbook, role: Role) -> (Showing, String) {
    let report = match report {
        Ok(report) => report,
        Err(failure) => return (Showing::Nothing, failure.to_string()),
    };
    let Some(claim) = &report.claim else {
        return (Showing::Nothing, format!("answered {} and named no key", report.status));
    };
    let (kind, text) = match claim {
        Claim::Version(version) => ("version", version.as_str()),
        Claim::KeyId(id) => ("key", id.as_str()),
        Claim::Sha256(print) => ("fingerprint", print.get(..8).unwrap_or_default()),
    };
    // A pointer may have been aimed at the key itself.
    let hidden = text.len() > LONGEST_CLAIM || known.role(&Secret::new(text)).is_some();
    let said = if hidden { format!("a {kind} that is not shown: it may be a secret") } else { format!("{kind} {text}") };
    match known.claimed(claim, store, world, book).await {
        Some(shown) if shown == role && report.healthy => (Showing::Wanted, said),
        Some(shown) if shown == role => (Showing::WantedButIll, format!("{said}, but answers {}", report.status)),
        Some(Role::Old) => (Showing::Other, format!("still on the old key ({said})")),
        Some(Role::New) => (Showing::Other, format!("still on the new key ({said})")),
        _ => (Showing::Other, format!("on an unknown key ({said})")),
    }
}
