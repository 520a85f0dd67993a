//! What a rotation will do, before it does anything. No code of its own: the protocol walks its ideal way, and each
//! action on it is put into words.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    bounds::attributes,
    paint::{Ink, capital, clean, paint},
    steps::{Step, ahead},
    time::clock,
    words::{consumer, instances, span, store},
};
use crate::{
    ids::KeyId,
    protocol::{Action, Effect, Kind, OnTimeout, Pause, Phase, Query, Role, State, decide},
    record::{OldKey, Plan},
};

struct Item {
    step: Step,
    /// In order; the last one is what cannot be undone, where one cannot.
    acts: Vec<String>,
    forever: bool,
    wait: Duration,
}

/// The plan in sentences: what is there, what will happen step by step, what cannot be undone, what happens if it goes wrong.
pub fn plan(plan: &Plan) -> String {
    let items = items(plan);
    let mut lines = vec![paint(Ink::Strong, &headline(plan)), String::new()];
    lines.extend(facts(plan).into_iter().map(|line| format!("  {line}")));
    lines.push(String::new());
    lines.push(paint(Ink::Strong, "What will happen"));
    for (at, item) in items.iter().enumerate() {
        for (place, act) in item.acts.iter().enumerate() {
            let head = if place == 0 { format!("{:>3}. ", at + 1) } else { " ".repeat(5) };
            let last = item.forever && place + 1 == item.acts.len();
            lines.push(if last { paint(Ink::Bad, &format!("{head}{act}  ← cannot be undone")) } else { format!("{head}{act}") });
        }
    }
    lines.push(String::new());
    lines.push(paint(Ink::Strong, "If something goes wrong"));
    lines.extend(fallbacks(plan, &items).into_iter().map(|line| format!("  {line}")));
    lines.push(String::new());
    lines.push(duration(&items));
    lines.extend(plan.notes.iter().map(|note| format!("{} {note}", paint(Ink::Warn, "note:"))));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The same for machines; waits in seconds.
pub fn plan_json(plan: &Plan) -> Value {
    let items = items(plan);
    let steps: Vec<Value> = items
        .iter()
        .map(|item| json!({ "acts": item.acts, "cannot_be_undone": item.forever, "waits_at_most_seconds": item.wait.as_secs() }))
        .collect();
    json!({
        "name": plan.name,
        "kind": plan.rules.kind,
        "provider": plan.provider,
        "old_key": plan.old,
        "attributes": plan.attributes,
        "revoked_by": revoked_by(plan),
        "stores": plan.stores,
        "consumers": plan.consumers,
        "steps": steps,
        "waits_at_most_seconds": total(&items).as_secs(),
        "notes": plan.notes,
    })
}

fn revoked_by(plan: &Plan) -> &'static str {
    match plan.rules.kind {
        Kind::Rotate if plan.rules.proved => "keyroll",
        Kind::Rotate => "a person",
        Kind::Install | Kind::Replace => "nobody",
    }
}

fn headline(plan: &Plan) -> String {
    match plan.rules.kind {
        Kind::Rotate => format!("{}: replace {} at {}", plan.name, old(plan), plan.provider),
        Kind::Install => format!("{}: install a first key from {}", plan.name, plan.provider),
        Kind::Replace => format!("{}: put a new key from {} in place of {}, which is already dead", plan.name, plan.provider, old(plan)),
    }
}

fn old(plan: &Plan) -> String {
    id(plan).map_or_else(|| "the key in the stores".into(), |id| format!("key {id}"))
}

fn id(plan: &Plan) -> Option<&KeyId> {
    plan.old.as_ref()?.id.as_ref()
}

fn facts(plan: &Plan) -> Vec<String> {
    let mut facts = vec![match (&plan.old, plan.rules.kind) {
        (Some(key), Kind::Replace) => format!("old key   {}, already dead", known(key, false)),
        (Some(key), _) => format!("in use    {}", known(key, true)),
        (None, _) => "in use    no key yet".into(),
    }];
    for (at, line) in attributes(&plan.attributes).into_iter().enumerate() {
        facts.push(clean(&format!("{:<9} {line}", if at == 0 { "new key" } else { "" })));
    }
    for (at, place) in plan.stores.iter().enumerate() {
        let version = place.base.as_ref().map_or_else(|| "empty".into(), |base| format!("version {base}"));
        facts.push(format!("{:<9} {}, {version}", if at == 0 { "store" } else { "" }, place.locator));
    }
    for (at, one) in plan.consumers.iter().enumerate() {
        let what = if one.job { "a job, not running now".into() } else { format!("{} must prove the new key", instances(one.expected)) };
        facts.push(format!("{:<9} {}: {what}", if at == 0 { "consumers" } else { "" }, one.name));
    }
    facts
}

fn known(key: &OldKey, lives: bool) -> String {
    let name = key.id.as_ref().map_or_else(|| "a key of unknown id".into(), |id| format!("key {id}"));
    let made = key.created_at.map_or_else(String::new, |at| format!(", made {}", clock(at)));
    if !lives {
        return clean(&format!("{name}{made}"));
    }
    let proof =
        key.proof.as_ref().map_or_else(|| "; that the stores hold this one is NOT proved".into(), |proof| format!("; proved: {proof}"));
    clean(&format!("{name}{made}{proof}"))
}

/// The actions of one step become one item.
fn items(plan: &Plan) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for state in ahead(State::start(plan.rules)) {
        let Some((text, wait)) = says(plan, &state) else { continue };
        let step = Step::from(state.phase);
        let forever = decide(&state) == Action::Do(Effect::Delete(Role::Old));
        match items.last_mut().filter(|item| item.step == step) {
            Some(item) => {
                item.acts.push(capital(&text));
                item.forever |= forever;
                item.wait += wait;
            }
            None => items.push(Item { step, acts: vec![capital(&text)], forever, wait }),
        }
    }
    items
}

fn says(plan: &Plan, state: &State) -> Option<(String, Duration)> {
    let waits = &plan.waits;
    let at_once = |text: String| Some((text, Duration::ZERO));
    match decide(state) {
        Action::Do(effect) => at_once(does(plan, effect)),
        Action::Look(Query::Unused) => {
            let text = format!("have {} say that the old key was idle for {} and the new one is in use", plan.provider, span(waits.idle));
            Some((text, waits.idle))
        }
        Action::Look(Query::Watched) => {
            let text = format!("watch all services for {}; at the first complaint the old key is switched on again", span(waits.watch));
            Some((text, waits.watch))
        }
        Action::Look(query) => at_once(looks(plan, query, state.phase)?),
        Action::Park(Pause::Grace) if waits.grace.is_zero() => {
            at_once("wait no time (the playbook's grace is 0) before the old key is touched".into())
        }
        Action::Park(Pause::Grace) => {
            let text = format!("wait {}, until nobody can still be reading or using the old key; both keys work", span(waits.grace));
            Some((text, waits.grace))
        }
        Action::Park(Pause::Soak) => {
            Some((format!("wait {} with the old key off; it can still be switched on again", span(waits.soak)), waits.soak))
        }
        Action::Stop if state.held.is_some() => {
            at_once(format!("stop: revoke {} by hand at {}, then `keyroll resume`", old(plan), plan.provider))
        }
        Action::Intend(_) | Action::Park(_) | Action::Wait(_) | Action::Stop => None,
    }
}

fn does(plan: &Plan, effect: Effect) -> String {
    let page = clean(plan.page.as_deref().unwrap_or(&plan.provider));
    match effect {
        Effect::Create if plan.rules.by_person => {
            format!("ask a person for a new key, made at {page}: `run` ends with 6 then, and `keyroll provide` goes on")
        }
        Effect::Create if plan.rules.kind == Kind::Rotate => {
            format!("create a new key at {}, with the old key's limits and never wider", plan.provider)
        }
        Effect::Create => format!("create a new key at {}", plan.provider),
        Effect::Promote(i) => {
            let base = plan.stores.get(usize::from(i)).and_then(|store| store.base.as_ref());
            let only = base.map_or_else(|| "only if it is still empty".into(), |base| format!("only if it is still at version {base}"));
            format!("write the new key to {}, {only}", store(plan, i))
        }
        Effect::Restore(i) => format!("write the old key back to {}", store(plan, i)),
        Effect::Rollout(_, i) => format!("let {} pick up the new key", consumer(plan, i)),
        Effect::Disable => format!("switch {} off, which can be undone", old(plan)),
        Effect::Enable => format!("switch {} on again", old(plan)),
        Effect::Delete(Role::Old) if !plan.rules.revokes => format!("have {} REVOKED for good at {page}", old(plan)),
        Effect::Delete(Role::Old) => format!("DELETE {} for good", old(plan)),
        Effect::Delete(_) => "delete the new key".into(),
    }
}

fn looks(plan: &Plan, query: Query, phase: Phase) -> Option<String> {
    Some(match query {
        Query::Live => "call the provider with it until it works several times in a row".into(),
        Query::Converged(_) => "see every reader of it get the new key".into(),
        Query::Consumer(_, i) => match plan.consumers.get(usize::from(i)) {
            Some(job) if job.job => "it is a job: its longest run is part of the wait below".into(),
            Some(one) => format!("have all {} prove it", instances(one.expected)).replace("all 1 instance", "its one instance"),
            None => "have every instance prove it".into(),
        },
        Query::Everyone(_) => "have every instance prove the new key again".into(),
        Query::Stores(_) if phase == Phase::LastLook => "read the stores one last time".into(),
        Query::Stores(_) => "read the stores again".into(),
        Query::Dead(_) => "see the provider refuse the old key several times in a row, and take the new one each time".into(),
        _ => return None,
    })
}

/// `steps 3 to 5`, `step 3`.
fn range(from: usize, to: usize) -> String {
    if from == to { format!("Step {from}") } else { format!("Steps {from} to {to}") }
}

fn fallbacks(plan: &Plan, items: &[Item]) -> Vec<String> {
    let at = |wanted: fn(Step) -> bool| items.iter().position(|item| wanted(item.step)).map(|at| at + 1);
    let first = at(|step| matches!(step, Step::Store(_))).unwrap_or(1);
    let forever = items.iter().position(|item| item.forever).map(|at| at + 1);
    let off = at(|step| step == Step::Disable);
    let mut lines = Vec::new();
    let gone = if plan.rules.revokes { "deleted" } else { "revoked" };
    let untouched = if plan.rules.kind == Kind::Rotate { "; the old key was never touched" } else { "" };
    if first > 1 {
        lines.push(format!("{}: the new key is {gone}{untouched}.", range(1, first - 1)));
    }
    let back = match plan.rules.on_timeout {
        OnTimeout::Rollback => format!("the old key is written back and proved by every instance, then the new key is {gone}."),
        OnTimeout::Hold => format!(
            "if an instance is ill, the old key is written back and proved by every instance, then the new key is {gone}; \
             if proof is only missing, keyroll stops and asks a person."
        ),
    };
    let last = off.or(forever).or(at(|step| step == Step::ByHand)).unwrap_or(items.len());
    lines.push(match plan.rules.kind {
        Kind::Rotate => format!("{}: {back}", range(first, last)),
        _ => format!("From step {first} on: keyroll stops and asks a person, as there is no old key to go back to."),
    });
    if let (Some(off), Some(forever)) = (off, forever)
        && off < forever
    {
        lines.push(format!("{}: the old key is switched on again, and keyroll stops and asks a person.", range(off + 1, forever)));
    }
    if let Some(forever) = forever {
        lines.push(format!(
            "Once step {forever} {}: no way back. Until then `keyroll rollback` is at hand{}.",
            if plan.rules.revokes { "deletes" } else { "begins to revoke" },
            if off.is_some() { " (up to the switching off)" } else { "" }
        ));
    }
    lines
}

fn total(items: &[Item]) -> Duration {
    items.iter().map(|item| item.wait).sum()
}

fn duration(items: &[Item]) -> String {
    if total(items).is_zero() {
        return "No waits, besides the time that the calls and the proofs take.".into();
    }
    format!("Waits: at most {} in all, besides the time that the calls and the proofs take.", span(total(items)))
}
