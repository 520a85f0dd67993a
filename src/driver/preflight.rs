//! Reads everything a rotation will rely on, and changes nothing. What is wrong is found here, all of it at once.

use std::time::Duration;

use super::{
    known::{Known, field, secret_field},
    waits::waits,
    witness::{Summons, pass},
};
use crate::{
    ids::{Fingerprint, KeyId},
    playbook::{Instances, OnTimeout, Playbook, WriteSource},
    ports::{Ambiguity, Clock, Credential, Failure, Kept, Life, Like, Listed, Problem, Snapshot, World},
    protocol::{self, Kind, Role, Rules, widened},
    record::{Attributes, ConsumerPlan, OldKey, Plan, StorePlan},
    secret::Secret,
};

/// What a person adds to a playbook for one run.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// There is no key yet, and that is no mistake.
    pub install: bool,
    /// The key in use is dead, and that is known.
    pub replace: bool,
    /// The id of the key in use, where it cannot be proved; the person has confirmed it.
    pub old_key_id: Option<KeyId>,
    /// The salt of the journal's fingerprints.
    pub salt: Vec<u8>,
    /// The journal's id; none: a plan without a journal, which cannot tell foreign marks.
    pub journal: Option<String>,
    /// Journals that a person said are lost, or that are merged: their marks are as good as our own.
    pub adopted: Vec<String>,
    /// The key that this journal's last rotation of the playbook left in use.
    pub known: Option<(KeyId, Fingerprint)>,
}

/// How many passes over the instances the old key gets to be proved.
const PASSES: usize = 3;
/// How many creates in a row may be lost before a person is asked.
const ATTEMPTS: u8 = 3;

#[derive(Default)]
pub(super) struct Findings {
    pub problems: Vec<Problem>,
    notes: Vec<String>,
}

/// Makes the plan.
///
/// # Errors
/// Everything that must be put right first. Nothing was changed.
pub async fn preflight(world: &World, book: &Playbook, clock: &dyn Clock, overrides: &Overrides) -> Result<Plan, Vec<Problem>> {
    let mut found = Findings::default();
    found.problems.extend(check_ports(world, book).await.into_iter().flat_map(|(.., problems)| problems));
    // With a wrong credential every reading below would only say the same again.
    if !found.problems.is_empty() {
        return Err(found.problems);
    }
    let snapshots = read_stores(world, book, overrides, &mut found).await;
    let listed = world.provider.list().await.unwrap_or_else(|failure| {
        found.problems.push(failure.into());
        Vec::new()
    });
    if !found.problems.is_empty() {
        return Err(found.problems);
    }
    let mut known = Known::new(&overrides.salt, world.stores.len());
    let (kind, old) = old_key(world, book, overrides, &listed, &snapshots, &mut known, &mut found).await;
    let (attributes, kept) = attributes(world, book, old.as_ref().and_then(|old| old.id.as_ref()), &mut found).await;
    let consumers = consumers(world, book, clock, kind, &mut known, &mut found).await;
    if !found.problems.is_empty() {
        return Err(found.problems);
    }
    let waits = waits(book);
    let stores = world.stores.iter().zip(snapshots);
    let plan = Plan {
        playbook: book.source.text.clone(),
        origin: book.source.name.clone(),
        name: book.name.clone(),
        provider: world.provider.describe(),
        rules: plan_rules(world, book, kind, old.as_ref().is_some_and(|old| old.id.is_some())),
        old,
        listed: listed.into_iter().map(|key| key.id).collect(),
        stores: stores
            .map(|(store, snapshot)| StorePlan { locator: store.locator(), base: snapshot.map(|snapshot| snapshot.version) })
            .collect(),
        consumers,
        waits,
        notes: found.notes,
        attributes,
        kept,
        page: world.provider.by_person().map(|person| person.page()),
        approved: None,
        begun: None,
    };
    Ok(plan)
}

/// What the old key may do, and what the new one will be allowed: never more. And what is kept of the old one.
async fn attributes(world: &World, book: &Playbook, old: Option<&KeyId>, found: &mut Findings) -> (Attributes, Option<Kept>) {
    let (enforces, limits) = (world.provider.enforces(), &book.limits);
    let asked = [
        ("monthly", limits.monthly.is_some(), enforces.monthly),
        ("alerts", !limits.alerts.is_empty(), enforces.alerts),
        ("requests_per_minute", limits.requests_per_minute.is_some(), enforces.rate),
    ];
    for (field, asked, enforced) in asked {
        if asked && !enforced {
            let guarded = world.provider.guard().filter(|_| field != "requests_per_minute");
            let who = guarded.map_or_else(String::new, |guard| format!("; keyroll doctor holds it against that of {}", guard.whose()));
            found.notes.push(format!("`limits.{field}` is not enforceable here: {} has no such limit on a key{who}", book.provider.kind));
        }
    }
    let (mut attributes, mut kept) = (Attributes::default(), None);
    let Some(port) = world.provider.attributes() else { return (attributes, kept) };
    let read = async {
        if let Some(old) = old {
            attributes.old = port.of(old).await?;
            kept = Some(port.keep(old).await?);
        }
        attributes.new = port.planned(old.map(Like::Key), limits).await?;
        Ok::<_, Failure>(())
    };
    if let Err(failure) = read.await {
        found.problems.push(failure.into());
        return (attributes, kept);
    }
    if old.is_some() {
        for name in widened(&attributes.old, &attributes.new) {
            found.problems.push(Problem::new(
                format!("the new key would be allowed more than the old one: {name}"),
                "ask for no more than the old key has, or widen the old key at the provider first, so that it is a decision of its own",
            ));
        }
    }
    (attributes, kept)
}

/// What the protocol needs of the playbook and the provider.
pub(super) fn plan_rules(world: &World, book: &Playbook, kind: Kind, proved: bool) -> Rules {
    Rules {
        kind,
        proved,
        disables: book.revoke.disable_for.is_some(),
        asks_use: book.revoke.idle_for.is_some(),
        replays: world.provider.traits().ambiguity == Ambiguity::Replayed,
        by_person: world.provider.by_person().is_some(),
        revokes: world.provider.by_value().is_none() && world.provider.by_person().is_none_or(|person| person.revokes()),
        on_timeout: match book.verify.on_timeout {
            OnTimeout::Rollback => protocol::OnTimeout::Rollback,
            OnTimeout::Hold => protocol::OnTimeout::Hold,
        },
        stores: count(world.stores.len()),
        consumers: count(world.consumers.len()),
        attempts: ATTEMPTS,
    }
}

fn count(many: usize) -> u8 {
    u8::try_from(many).unwrap_or(u8::MAX)
}

/// Each port: in one word, in full, and what is wrong with it.
pub(super) async fn check_ports(world: &World, book: &Playbook) -> Vec<(&'static str, String, Vec<Problem>)> {
    let wrong = |result: Result<(), Vec<Problem>>| result.err().unwrap_or_default();
    let mut parts = vec![("provider", world.provider.describe(), wrong(world.provider.check().await))];
    for store in &world.stores {
        parts.push(("store", store.locator(), wrong(store.check().await)));
    }
    for (wiring, spec) in world.consumers.iter().zip(&book.consumers) {
        if let Some(rollout) = &wiring.rollout {
            parts.push(("rollout", format!("of {}", spec.name), wrong(rollout.check().await)));
        }
    }
    parts
}

/// Everybody is asked for the key in use.
pub(super) fn of_old(book: &Playbook) -> Summons<'static> {
    Summons { role: Role::Old, only: None, expected: vec![0; book.consumers.len()], waivers: &[] }
}

pub(super) async fn read_stores(world: &World, book: &Playbook, overrides: &Overrides, found: &mut Findings) -> Vec<Option<Snapshot>> {
    let mut snapshots = Vec::new();
    for (store, spec) in world.stores.iter().zip(&book.stores) {
        match store.mark().await {
            Ok(Some(mark))
                if overrides.journal.as_ref().is_some_and(|journal| *journal != mark.journal)
                    && !overrides.adopted.contains(&mark.journal) => found.problems.push(Problem::new(
                format!("{} was last rotated by rotation {} of another journal ({})", store.locator(), mark.rotation, mark.journal),
                format!(
                    "use that journal (--journal), so that two machines never rotate one key; only if it is lost for good: keyroll reconcile {} --adopt {} --reason '…'",
                    book.source.name, mark.journal
                ),
            )),
            Ok(_) => {}
            Err(failure) => found.problems.push(failure.into()),
        }
        match store.read().await {
            Ok(snapshot) => {
                absent(store.locator(), secret_field(spec), snapshot.as_ref(), overrides.install, found);
                snapshots.push(snapshot);
            }
            Err(failure) => {
                found.problems.push(failure.into());
                snapshots.push(None);
            }
        }
    }
    snapshots
}

/// Whether the key's field is there, against what the person says.
fn absent(locator: String, field: &str, snapshot: Option<&Snapshot>, install: bool, found: &mut Findings) {
    let held = snapshot.map(|snapshot| snapshot.fields.contains_key(field));
    let (what, hint) = match (held, install) {
        (Some(true), false) | (None | Some(false), true) => return,
        (Some(true), true) => (format!("{locator} already holds a key in `{field}`"), "leave out --install to rotate it".to_owned()),
        (None, false) => (
            format!("{locator} holds nothing"),
            "check the path; if there is no key yet, `keyroll run --install` creates the first one".to_owned(),
        ),
        (Some(false), false) => (
            format!("{locator} has no field `{field}`"),
            format!("check `write` in the playbook; if there is no key yet, `keyroll run --install` adds `{field}`"),
        ),
    };
    found.problems.push(Problem::new(what, hint));
}

/// Proves which key is in use, and that it works.
pub(super) async fn old_key(
    world: &World,
    book: &Playbook,
    overrides: &Overrides,
    listed: &[Listed],
    snapshots: &[Option<Snapshot>],
    known: &mut Known,
    found: &mut Findings,
) -> (Kind, Option<OldKey>) {
    if overrides.install {
        return (Kind::Install, None);
    }
    let values: Vec<(usize, &Snapshot, &Secret)> = snapshots
        .iter()
        .zip(&book.stores)
        .enumerate()
        .filter_map(|(place, (snapshot, spec))| {
            snapshot.as_ref().and_then(|snapshot| Some((place, snapshot, snapshot.fields.get(secret_field(spec))?)))
        })
        .collect();
    let Some((place, snapshot, secret)) = values.first() else { return (Kind::Install, None) };
    if let Some((other, ..)) = values.iter().find(|(_, _, value)| !value.same(secret)) {
        found.problems.push(Problem::new(
            format!("{} and {} hold different keys", world.stores[*place].locator(), world.stores[*other].locator()),
            "make them hold the same key first: it must be clear which one is in use",
        ));
        return (Kind::Rotate, None);
    }
    let claim = field(&book.stores[*place], WriteSource::Id).and_then(|name| snapshot.fields.get(name)).map(|id| KeyId::new(id.reveal()));
    let credential = Credential { id: claim, secret: secret.duplicate() };
    let proof = world.provider.identify(&credential, listed).await.unwrap_or_else(|failure| {
        found.problems.push(failure.into());
        None
    });
    // What this journal made and saw in use, it knows again by its own fingerprint.
    let proof = proof.or_else(|| {
        let (id, print) = overrides.known.as_ref()?;
        let ours = secret.fingerprint(&overrides.salt) == *print && listed.iter().any(|key| key.id == *id);
        ours.then(|| (id.clone(), "the journal's own fingerprint of it fits the stores' value".to_owned()))
    });
    let kind = match world.provider.probe(&credential).await {
        Ok(Life::Alive) if !overrides.replace => Kind::Rotate,
        Ok(Life::Dead) if overrides.replace => {
            found.notes.push("the provider refuses the key in use: it is replaced, and there is nothing to roll back to".into());
            Kind::Replace
        }
        Ok(Life::Dead) => {
            found.problems.push(Problem::new(
                format!("{} refuses the key that the stores hold", world.provider.describe()),
                "check that this is the right account, project and environment; if the key is really dead, `keyroll run --replace` puts a new one in its place (there is nothing to roll back to)",
            ));
            Kind::Replace
        }
        Ok(Life::Alive) => {
            found.problems.push(Problem::new("the key in use works", "leave out --replace to rotate it"));
            Kind::Rotate
        }
        Ok(Life::Unclear) => {
            found.problems.push(Problem::new(
                format!("{} neither accepts nor refuses the key in use", world.provider.describe()),
                "try again when the provider answers normally; an unclear answer is no ground for replacing a key",
            ));
            Kind::Rotate
        }
        Err(failure) => {
            found.problems.push(failure.into());
            Kind::Rotate
        }
    };
    let (id, proof) = match (proof, &overrides.old_key_id) {
        (Some((id, _)), Some(said)) if id != *said => {
            found.problems.push(Problem::new(
                format!("the stores hold key {id}, not {said}"),
                "leave out --old-key-id: the provider itself proves which key is in use",
            ));
            (None, None)
        }
        (Some((id, proof)), _) => (Some(id), Some(proof)),
        (None, Some(said)) if listed.iter().any(|key| key.id == *said) => {
            (Some(said.clone()), Some("a person said so (--old-key-id)".to_owned()))
        }
        (None, Some(said)) => {
            found.problems.push(Problem::new(format!("the provider lists no key {said}"), "take the id from the provider's own list"));
            (None, None)
        }
        (None, None) => {
            if kind == Kind::Rotate {
                found.notes.push(
                    "nothing proves which of the provider's keys is in use: the rotation will end held, and a person revokes the old key (or start it with --old-key-id)".into(),
                );
            }
            (None, None)
        }
    };
    for (place, snapshot, secret) in &values {
        known.note(*place, snapshot, id.as_ref(), secret, Role::Old);
    }
    let told = listed.iter().find(|key| Some(&key.id) == id.as_ref());
    let (created_at, expires_at) = (told.and_then(|key| key.created_at), told.and_then(|key| key.expires_at));
    (kind, Some(OldKey { id, fingerprint: secret.fingerprint(&overrides.salt), proof, created_at, expires_at }))
}

/// Runs the full verifier against the old key: a wrong health path is found here, not after the stores changed.
async fn consumers(
    world: &World,
    book: &Playbook,
    clock: &dyn Clock,
    kind: Kind,
    known: &mut Known,
    found: &mut Findings,
) -> Vec<ConsumerPlan> {
    let summons = of_old(book);
    let mut last = pass(world, book, known, clock, &summons).await;
    let proves = kind == Kind::Rotate;
    for _ in 1..PASSES {
        if !proves || last.missing.is_empty() {
            break;
        }
        clock.sleep(book.verify.every.0.min(Duration::from_secs(5))).await;
        last = pass(world, book, known, clock, &summons).await;
    }
    if proves {
        for missing in &last.missing {
            let who =
                missing.instance.as_ref().map(|id| format!("{} at {}", id, missing.consumer)).unwrap_or_else(|| missing.consumer.clone());
            found.problems.push(Problem::new(
                format!("{who} does not prove the key in use: {}", missing.why),
                "every instance must prove the old key before a new one is made: check `instances` and `health` of this consumer",
            ));
        }
    }
    let prefix = |name: &str| format!("{name}/");
    book.consumers
        .iter()
        .map(|spec| {
            let baseline: Vec<_> = last
                .showing
                .iter()
                .filter_map(|(id, _)| id.as_str().strip_prefix(&prefix(&spec.name)).map(crate::ids::InstanceId::new))
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect();
            let (expect, job) = match &spec.instances {
                Instances::Running { expect, .. } => ((*expect).max(baseline.len()), false),
                Instances::Job(_) => (0, true),
            };
            ConsumerPlan { name: spec.name.clone(), baseline, expected: expect, job }
        })
        .collect()
}
