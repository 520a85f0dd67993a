//! A playbook's adapters, built from its blocks. Reads no secret and calls nobody.

use std::{collections::BTreeMap, sync::Arc};

use super::{Ctx, health, registry::Kind, registry::Registry};
use crate::{
    ids::Identity,
    playbook::{
        Block, Consumer, EmergencyMode, Fault, Instances, Playbook, ProbeLevel, RolloutSpec, SecretRef, Store as StoreSpec, WriteSource,
        words,
    },
    ports::{Outlet, Provider, Store, Wiring, World},
};

/// Builds every adapter of a playbook.
///
/// # Errors
/// Every unknown kind, everything wrong in an adapter's block, and waits that this provider cannot do; in the order of the text.
pub fn build(playbook: &Playbook, registry: &Registry, ctx: &Ctx) -> Result<World, Vec<Fault>> {
    let mut faults = Vec::new();
    let provider = part(&playbook.provider, registry.providers.iter().map(|vendor| &vendor.kind), "provider", ctx, &mut faults);
    let stores: Vec<_> = playbook.stores.iter().map(|store| part(&store.block, &registry.stores, "store", ctx, &mut faults)).collect();
    let consumers: Vec<_> = playbook.consumers.iter().enumerate().map(|at| wire(playbook, at, registry, ctx, &mut faults)).collect();
    let outlets: Vec<_> = playbook
        .notify
        .iter()
        .map(|spec| {
            let notifier = part(&spec.block, &registry.notifiers, "way to be told", ctx, &mut faults)?;
            Some(Outlet { notifier, on: spec.on.clone(), repeat: spec.repeat })
        })
        .collect();
    if let Some(provider) = &provider {
        capable(playbook, provider.as_ref(), &mut faults);
        own_key(playbook, provider.as_ref(), stores.first().and_then(Option::as_ref), &mut faults);
    }
    same_place(playbook, &stores, &mut faults);
    let world = match (provider, stores.into_iter().collect(), consumers.into_iter().collect(), outlets.into_iter().collect()) {
        (Some(provider), Some(stores), Some(consumers), Some(outlets)) => Some(World { provider, stores, consumers, outlets }),
        _ => None,
    };
    match world {
        Some(world) if faults.is_empty() => Ok(world),
        _ => {
            faults.sort_by_key(|fault| fault.at);
            Err(faults)
        }
    }
}

fn part<'k, P: ?Sized + 'k>(
    block: &Block,
    kinds: impl IntoIterator<Item = &'k Kind<P>> + Clone,
    what: &str,
    ctx: &Ctx,
    faults: &mut Vec<Fault>,
) -> Option<Arc<P>> {
    let Some(kind) = kinds.clone().into_iter().find(|kind| kind.name == block.kind) else {
        let names: Vec<&str> = kinds.into_iter().map(|kind| kind.name).collect();
        faults.push(block.fault(&[], format!("no such {what}")).instead(words::instead(&block.kind, &names)));
        return None;
    };
    match (kind.build)(block, ctx) {
        Ok(built) => Some(built),
        Err(fault) => {
            faults.extend(fault.each().into_iter().map(|mut fault| {
                fault.at = fault.at.or_else(|| block.place(&[]));
                fault
            }));
            None
        }
    }
}

/// The provider of a playbook's text, alone; none where the text is none, or another provider's. For what is to be told of a provider in general.
pub fn sample(text: &str, vendor: &super::registry::Vendor, ctx: &Ctx) -> Option<Arc<dyn Provider>> {
    let source = Arc::new(crate::playbook::Source { name: "sample".into(), text: text.to_owned() });
    let playbook = Playbook::parse(source).ok()?;
    (vendor.kind.build)(&playbook.provider, ctx).ok()
}

fn wire(
    playbook: &Playbook,
    (place, consumer): (usize, &Consumer),
    registry: &Registry,
    ctx: &Ctx,
    faults: &mut Vec<Fault>,
) -> Option<Wiring> {
    let rollout = match &consumer.rollout {
        RolloutSpec::None => Some(None),
        RolloutSpec::By(block) => part(block, &registry.rollouts, "rollout", ctx, faults).map(Some),
    };
    let (discovery, health) = match &consumer.instances {
        Instances::Job(_) => (Some(None), Some(None)),
        Instances::Running { found, health, .. } => {
            let asked = health::http(health, ctx).map_err(|fault| {
                faults.extend(fault.each().into_iter().map(|mut fault| {
                    let place = place.to_string();
                    fault.at = fault.at.or_else(|| playbook.place(&["consumers", place.as_str(), "health"]));
                    fault
                }));
            });
            (part(found, &registry.discoveries, "way to find instances", ctx, faults).map(Some), asked.ok().map(Some))
        }
    };
    Some(Wiring { discovery: discovery?, health: health?, rollout: rollout? })
}

/// Waits that need a capability the provider lacks: silently ignored, they would be a false promise.
fn capable(playbook: &Playbook, provider: &dyn Provider, faults: &mut Vec<Fault>) {
    let revoke = &playbook.revoke;
    let kind = &playbook.provider.kind;
    let mut lacks = |field: &str, why: String, instead: &str| {
        let mut fault = Fault::new(why).instead(instead);
        fault.at = playbook.place(&["revoke", field]);
        faults.push(fault);
    };
    if provider.switch().is_none() {
        for (field, set) in [("disable_for", revoke.disable_for), ("watch", revoke.watch)] {
            if set.is_some() {
                lacks(
                    field,
                    format!("`{kind}` cannot disable a key, only delete it"),
                    &format!("take `{field}` out; `grace` is the wait before the delete"),
                );
            }
        }
    }
    if provider.prompt().is_none() && playbook.probe.level != ProbeLevel::Auth {
        let mut fault =
            Fault::new(format!("`{kind}` has no such call: keyroll does not know how services speak to it")).instead("`level: auth`");
        fault.at = playbook.place(&["probe", "level"]);
        faults.push(fault);
    }
    let mut lacks = |field: &str, why: String, instead: &str| {
        let mut fault = Fault::new(why).instead(instead);
        fault.at = playbook.place(&["revoke", field]);
        faults.push(fault);
    };
    if provider.usage().is_none() && provider.counter().is_none() && revoke.idle_for.is_some() {
        lacks("idle_for", format!("`{kind}` does not tell when a key was last used"), "take `idle_for` out, or make `grace` longer");
    }
}

/// A provider that is called with the key it rotates must read it where the first store writes it, or it would never be called with
/// the new one. Whether both are in the same Vault or account is not to be seen here; the provider looks before it deletes.
fn own_key(playbook: &Playbook, provider: &dyn Provider, store: Option<&Arc<dyn Store>>, faults: &mut Vec<Fault>) {
    let Some(own) = provider.rotates_own() else { return };
    if playbook.emergency.mode == EmergencyMode::RevokeFirst {
        let mut fault = Fault::new("revoke-first cannot be: the new key is made with the leaked one").instead("mode: replace-fast");
        fault.at = playbook.place(&["emergency", "mode"]);
        faults.push(fault);
    }
    let (Some(store), Some(spec)) = (store, playbook.stores.first()) else { return };
    let written = store.reference(secret_field(spec));
    if written.as_ref() == Some(own) {
        return;
    }
    // In general words: what stands in a playbook by mistake may be a secret.
    let instead = match written {
        Some(SecretRef::Vault { .. }) => "`vault:mount/path#field`, with the first store's mount, path and field for the key",
        Some(SecretRef::Aws { field: Some(_), .. }) => "`aws:secret-id#field`, with the first store's secret and field for the key",
        Some(SecretRef::Aws { field: None, .. }) => "`aws:secret-id`, with the first store's secret",
        _ => "a first store that can be read by a reference: `vault_kv2` or `aws_secretsmanager`",
    };
    let what = format!("`{}` is called with the key it rotates, and this is not what the first store writes", playbook.provider.kind);
    faults.push(playbook.provider.fault(&["admin_key"], what).instead(instead));
}

/// One playbook that writes one field twice.
fn same_place(playbook: &Playbook, stores: &[Option<Arc<dyn Store>>], faults: &mut Vec<Fault>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (place, (store, spec)) in stores.iter().zip(&playbook.stores).enumerate() {
        let Some(store) = store else { continue };
        if let Some(first) = seen.insert(store.locator(), place) {
            let instead = format!("name each place once: it is also store {first} (counted from 0)");
            faults.push(spec.block.fault(&[], "the same store twice").instead(instead));
        }
    }
}

/// The store's field that the key's value is written to.
fn secret_field(spec: &StoreSpec) -> &str {
    spec.write.iter().find(|(_, source)| **source == WriteSource::Secret).map_or("", |(field, _)| field.as_str())
}

/// What nobody else may rotate meanwhile: each store's secret field, and the provider's principal where keys share one.
pub fn identities(playbook: &Playbook, world: &World) -> Vec<Identity> {
    let mut all: Vec<Identity> = world
        .stores
        .iter()
        .zip(&playbook.stores)
        .map(|(store, spec)| Identity::new(format!("{}#{}", store.locator(), secret_field(spec))))
        .collect();
    all.extend(world.provider.principal());
    all
}

/// Two playbooks that would rotate the same key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clash {
    /// The store's field or the provider's principal that both name.
    pub identity: Identity,
    /// The first playbook's file.
    pub first: String,
    /// The second playbook's file.
    pub second: String,
}

impl std::fmt::Display for Clash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} and {} would rotate the same key: {}", self.first, self.second, self.identity)
    }
}

/// Which playbooks of one run share an identity; each pair and identity once.
pub fn clashes(books: &[(&Playbook, &World)]) -> Vec<Clash> {
    let mut owner: BTreeMap<Identity, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for (playbook, world) in books {
        let mine: std::collections::BTreeSet<Identity> = identities(playbook, world).into_iter().collect();
        for identity in mine {
            match owner.get(&identity) {
                Some(first) => found.push(Clash { identity, first: (*first).to_owned(), second: playbook.source.name.clone() }),
                None => drop(owner.insert(identity, playbook.source.name.as_str())),
            }
        }
    }
    found
}
