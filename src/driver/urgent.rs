//! The plan of an emergency: only what must be known before the leaked key may go, and a note for everything that is not.

use std::time::Duration;

use super::{
    known::{field, secret_field},
    preflight::{Overrides, plan_rules},
    waits,
};
use crate::{
    ids::{Fingerprint, KeyId},
    playbook::{Instances, Playbook, WriteSource},
    ports::{Clock, Credential, Got, Kept, Listed, Problem, Snapshot, World},
    protocol::Kind,
    record::{Attributes, ConsumerPlan, OldKey, Plan, StorePlan},
};

/// How long one reading may take before an emergency goes on without it.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// What a person or the journal says of the key that leaked.
#[derive(Clone, Debug, Default)]
pub struct Suspect {
    /// The exact id that a person named.
    pub said: Option<KeyId>,
    /// The key that the journal last saw in use.
    pub known: Option<(KeyId, Fingerprint)>,
    /// Only what the deletion needs is read: it comes first.
    pub quick: bool,
}

/// Which stores cannot be read now, and why.
pub type Unread = Vec<(String, String)>;

/// Makes the plan of an emergency. It never fails for a store or a consumer: those are notes.
///
/// # Errors
/// What leaves no key to act upon.
pub async fn urgent(
    world: &World,
    book: &Playbook,
    clock: &dyn Clock,
    overrides: &Overrides,
    suspect: &Suspect,
) -> Result<(Plan, Unread), Vec<Problem>> {
    // At once with the stores: what leaked is deleted next, and then nobody can ask any more.
    let likely = suspect.said.as_ref().or(suspect.known.as_ref().map(|(id, _)| id));
    let ((snapshots, unread), early) = futures_util::future::join(stores(world, clock), kept(world, clock, likely)).await;
    let held = snapshots.iter().zip(&book.stores).find_map(|(snapshot, spec)| {
        let snapshot = snapshot.as_ref()?;
        let secret = snapshot.fields.get(secret_field(spec))?.duplicate();
        let id = field(spec, WriteSource::Id).and_then(|name| snapshot.fields.get(name)).map(|id| KeyId::new(id.reveal()));
        Some(Credential { id, secret })
    });
    let print = held.as_ref().map(|credential| credential.secret.fingerprint(&overrides.salt));
    let journaled = suspect.known.as_ref().filter(|(_, known)| print.as_ref().is_none_or(|print| print == known));
    let journaled = journaled.filter(|(id, _)| suspect.said.as_ref().is_none_or(|said| said == id));
    let known = journaled.is_some();
    let prints: std::collections::BTreeSet<Fingerprint> = snapshots
        .iter()
        .zip(&book.stores)
        .filter_map(|(snapshot, spec)| Some(snapshot.as_ref()?.fields.get(secret_field(spec))?.fingerprint(&overrides.salt)))
        .collect();
    let mut notes: Vec<String> = unread.iter().map(|(store, why)| format!("{store} cannot be read: {why}")).collect();
    if prints.len() > 1 {
        notes.push("THE STORES HOLD DIFFERENT KEYS: all of them get the new one, and only the one named above is deleted; delete the other by hand".into());
    }
    let mut listed = Vec::new();
    if !suspect.quick || !known {
        match soon(clock, world.provider.list()).await {
            Ok(all) => listed = all,
            Err(why) => notes.push(format!("the provider's keys cannot be listed: {why}")),
        }
    }
    let (id, proof) = match (&suspect.said, &held) {
        _ if known => (journaled.map(|(id, _)| id.clone()), Some("the journal's own fingerprint of it".to_owned())),
        (said, Some(credential)) => identified(world, clock, credential, &listed, said.as_ref(), &mut notes).await?,
        (Some(id), None) => {
            notes.push(format!("no store can be read: that {id} is the key in use is a person's word"));
            (Some(id.clone()), Some("a person said so".to_owned()))
        }
        (None, None) => {
            let what = "no store can be read, and the journal does not know the key in use".to_owned();
            let hint = "name the leaked key's id (--leaked ID), or let `keyroll emergency --print` say what to type by hand".to_owned();
            return Err(vec![Problem { what, hint, unreachable: true }]);
        }
    };
    let kept = if id.as_ref() == likely { early } else { kept(world, clock, id.as_ref()).await };
    let kept = kept.unwrap_or_else(|why| {
        notes.push(format!("what limits the leaked key has cannot be read: {why}"));
        None
    });
    let told = listed.iter().find(|key| Some(&key.id) == id.as_ref());
    let old = OldKey {
        fingerprint: print.or_else(|| journaled.map(|(_, print)| print.clone())).unwrap_or_else(Fingerprint::unknown),
        proof,
        created_at: told.and_then(|key| key.created_at),
        expires_at: told.and_then(|key| key.expires_at),
        id,
    };
    let plan = Plan {
        playbook: book.source.text.clone(),
        origin: book.source.name.clone(),
        name: book.name.clone(),
        provider: world.provider.describe(),
        rules: plan_rules(world, book, Kind::Rotate, old.id.is_some()),
        old: Some(old),
        listed: listed.into_iter().map(|key| key.id).collect(),
        stores: world
            .stores
            .iter()
            .zip(snapshots)
            .map(|(store, snapshot)| StorePlan { locator: store.locator(), base: snapshot.map(|snapshot| snapshot.version) })
            .collect(),
        consumers: book
            .consumers
            .iter()
            .map(|spec| {
                let (expected, job) = match &spec.instances {
                    Instances::Running { expect, .. } => (*expect, false),
                    Instances::Job(_) => (0, true),
                };
                ConsumerPlan { name: spec.name.clone(), baseline: Vec::new(), expected, job }
            })
            .collect(),
        waits: waits(book),
        notes,
        attributes: Attributes::default(),
        kept,
        page: world.provider.by_person().map(|person| person.page()),
        approved: None,
        begun: None,
    };
    Ok((plan, unread))
}

/// Which listed key the stores hold, against what a person said.
async fn identified(
    world: &World,
    clock: &dyn Clock,
    credential: &Credential,
    listed: &[Listed],
    said: Option<&KeyId>,
    notes: &mut Vec<String>,
) -> Result<(Option<KeyId>, Option<String>), Vec<Problem>> {
    let proof = soon(clock, world.provider.identify(credential, listed)).await.unwrap_or_else(|why| {
        notes.push(format!("which key the stores hold cannot be proved: {why}"));
        None
    });
    match (proof, said) {
        (Some((id, _)), Some(said)) if id != *said => {
            let what = format!("the stores hold key {id}, not {said}");
            let hint = format!(
                "if {said} leaked and nothing uses it, delete it by hand (keyroll emergency --print); if {id} leaked, leave out --leaked"
            );
            Err(vec![Problem::new(what, hint)])
        }
        (Some((id, proof)), _) => Ok((Some(id), Some(proof))),
        (None, Some(said)) => Ok((Some(said.clone()), Some("a person said so".to_owned()))),
        (None, None) => {
            notes.push("nothing proves which of the provider's keys is in use: a person must delete it by hand".into());
            Ok((None, None))
        }
    }
}

/// What the leaked key was made with, where keys here have limits of their own.
async fn kept(world: &World, clock: &dyn Clock, key: Option<&KeyId>) -> Result<Option<Kept>, String> {
    let Some((port, key)) = world.provider.attributes().zip(key) else { return Ok(None) };
    soon(clock, port.keep(key)).await.map(Some)
}

async fn stores(world: &World, clock: &dyn Clock) -> (Vec<Option<Snapshot>>, Unread) {
    let readings = world.stores.iter().map(|store| async move { (store.locator(), soon(clock, store.read()).await) });
    let mut unread = Vec::new();
    let mut snapshots = Vec::new();
    for (locator, reading) in futures_util::future::join_all(readings).await {
        snapshots.push(match reading {
            Ok(snapshot) => snapshot,
            Err(why) => {
                unread.push((locator, why));
                None
            }
        });
    }
    (snapshots, unread)
}

/// One reading, within [`PATIENCE`].
async fn soon<T>(clock: &dyn Clock, reading: impl Future<Output = Got<T>>) -> Result<T, String> {
    tokio::select! {
        biased;
        got = reading => got.map_err(|failure| failure.to_string()),
        () = clock.sleep(PATIENCE) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
