//! What preflight looks at, without a plan at its end: for whoever asks before anybody rotates.

use super::{
    known::Known,
    preflight::{Findings, Overrides, check_ports, of_old, old_key, read_stores},
    witness::pass,
};
use crate::{
    ids::InstanceId,
    playbook::Playbook,
    ports::{Clock, Problem, World},
    record::{Evidence, Missing, OldKey},
};

/// What [`super::preflight()`] looks at, each thing for itself.
pub struct Examined {
    /// Each part: in one word, in full, and what is wrong with it.
    pub parts: Vec<(&'static str, String, Vec<Problem>)>,
    /// The key in use, where it is clear which one that is.
    pub old: Option<OldKey>,
    /// One pass over the consumers; none where what comes before it is wrong.
    pub consumers: Option<Counted>,
}

/// One pass over all consumers.
pub struct Counted {
    /// Who proved the key in use.
    pub proved: Vec<Evidence>,
    /// Who did not.
    pub missing: Vec<Absent>,
}

/// One that did not prove the key in use.
pub struct Absent {
    /// The consumer's name.
    pub consumer: String,
    /// The instance; none where an expected one was not found at all.
    pub instance: Option<InstanceId>,
    /// What was wrong, in words.
    pub why: String,
    /// It could not be asked.
    pub unreachable: bool,
}

/// Looks at everything that [`super::preflight()`] looks at, with one pass over the consumers, and plans nothing.
pub async fn examine(world: &World, book: &Playbook, clock: &dyn Clock, overrides: &Overrides) -> Examined {
    let parts = check_ports(world, book).await;
    let mut examined = Examined { parts, old: None, consumers: None };
    if examined.parts.iter().any(|(.., problems)| !problems.is_empty()) {
        return examined;
    }
    let mut found = Findings::default();
    let snapshots = read_stores(world, book, overrides, &mut found).await;
    let listed = world.provider.list().await.unwrap_or_else(|failure| {
        found.problems.push(failure.into());
        Vec::new()
    });
    let mut known = Known::new(&overrides.salt, world.stores.len());
    if found.problems.is_empty() {
        examined.old = old_key(world, book, overrides, &listed, &snapshots, &mut known, &mut found).await.1;
    }
    if !found.problems.is_empty() {
        examined.parts.push(("key", String::new(), found.problems));
        return examined;
    }
    let pass = pass(world, book, &mut known, clock, &of_old(book)).await;
    let absent = |missing: Missing| {
        let unreachable = pass.unreached.contains(&(missing.consumer.clone(), missing.instance.clone()));
        Absent { consumer: missing.consumer, instance: missing.instance, why: missing.why, unreachable }
    };
    examined.consumers = Some(Counted { missing: pass.missing.into_iter().map(absent).collect(), proved: pass.proved });
    examined
}
