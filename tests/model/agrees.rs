//! The model's memory is what `Rotation` makes of the same records: checked along random ways through every setting.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Fingerprint, KeyId, RotationId, Version},
    protocol::{Effect, Event, Kind, Pause, Role},
    record::{OldKey, Plan, Record, SCHEMA, StorePlan, Waits},
    rotation::Rotation,
};

use crate::{
    memory::Detail,
    moves::Move,
    setting::{SETTINGS, Setting},
    world::{Key, OLD, Put, Value, World, bit},
};

fn id(key: Key) -> KeyId {
    KeyId::new(format!("key-{key}"))
}

/// A store that holds nothing has no version.
fn version(put: Put) -> Option<Version> {
    (put.value != Value::Nothing).then(|| Version::new(put.version.to_string()))
}

fn plan(setting: &Setting, world: &World) -> Plan {
    let print = |key: Key| Fingerprint::new(format!("print-{key}"));
    let old =
        OldKey { id: setting.rules.proved.then(|| id(OLD)), fingerprint: print(OLD), proof: None, created_at: None, expires_at: None };
    let stores = world.stores.iter().map(|store| StorePlan { locator: "store".into(), base: version(store.current()) });
    let none = Duration::ZERO;
    Plan {
        playbook: String::new(),
        origin: String::new(),
        name: String::new(),
        provider: String::new(),
        rules: setting.rules,
        old: (setting.rules.kind != Kind::Install).then_some(old),
        listed: Vec::new(),
        stores: stores.collect(),
        consumers: Vec::new(),
        waits: Waits { grace: none, watch: none, soak: none, stale: none, idle: none },
        notes: Vec::new(),
        attributes: Default::default(),
        kept: None,
        page: None,
        approved: None,
        begun: None,
    }
}

fn record(seq: u64, event: Event, detail: keyroll::record::Detail) -> Record {
    Record { schema: SCHEMA, rotation: RotationId::new("r"), seq, epoch: 1, at: DateTime::<Utc>::UNIX_EPOCH, event, detail }
}

/// The record as the driver writes it.
fn written(world: &World, event: Event, detail: Detail) -> keyroll::record::Detail {
    use keyroll::record::Detail as Full;
    let (none, at) = ((None, None, None), |put| version(put));
    let intent = |(name, key, base)| Full::Intent { name, key, base };
    match (event, detail) {
        (Event::Intended(Effect::Create), _) => intent((Some(format!("name-{}", world.journal.state.attempt)), None, None)),
        (Event::Intended(_), Detail::At(put)) => intent((None, None, at(put))),
        (Event::Intended(_), Detail::Dies(key)) => intent((None, Some(id(key)), None)),
        (Event::Intended(_), _) => intent(none),
        (_, Detail::Created(key)) => {
            Full::Created { id: id(key), fingerprint: Fingerprint::new(format!("print-{key}")), created_at: None, expires_at: None }
        }
        (_, Detail::Stray(key)) => Full::Stray { id: id(key) },
        (_, Detail::At(put)) => at(put).map_or(Full::Nothing, |version| Full::Wrote { version }),
        _ => Full::Nothing,
    }
}

/// What a move writes down, if it does.
fn recorded(setting: &Setting, world: &World, step: Move) -> Option<(Event, Detail)> {
    match step {
        Move::Step(runner, outcome) if world.holder() == Some(runner) => {
            world.act(setting, runner, outcome).map(|(_, event, detail)| (event, detail))
        }
        Move::Take => Some((Event::Resumed, Detail::Nothing)),
        Move::Ask(ask) => Some((Event::Asked(ask), Detail::Nothing)),
        Move::Due => Some((Event::Waited(Pause::Revoke), Detail::Nothing)),
        Move::Gate => Some((Event::Gated, Detail::Nothing)),
        _ => None,
    }
}

fn compare(world: &World, rotation: &Rotation, held: &HashMap<(usize, Version), Value>) {
    let memory = &world.journal;
    assert_eq!(rotation.state, memory.state);
    for role in [Role::Old, Role::New, Role::Stray, Role::Former] {
        assert_eq!(rotation.key(role).cloned(), memory.key(role).map(id), "{role:?} of {memory:?}");
    }
    let formers: Vec<KeyId> = memory.formers.iter().copied().map(id).collect();
    assert_eq!(rotation.formers.iter().map(|former| former.id.clone()).collect::<Vec<_>>(), formers);
    for key in 0..8 {
        assert_eq!(rotation.tombstones.contains(&id(key)), memory.tombstones & bit(key) != 0, "the tombstone of key {key}");
    }
    if let Some(unfound) = memory.unfound {
        assert_eq!(rotation.unfound(), usize::from(unfound), "{memory:?}");
    }
    for (base, known) in memory.bases.iter().zip(&rotation.bases) {
        assert_eq!(*known, version(*base));
    }
    // What would be restored: the newest version that is known as an old key's, and holds one.
    for (store, versions) in rotation.versions.iter().enumerate() {
        let old =
            versions.iter().rev().filter(|(_, role)| *role == Role::Old).filter_map(|(version, _)| held.get(&(store, version.clone())));
        let newest = old.copied().find(|value| memory.role(*value) == Some(Role::Old));
        assert_eq!(newest, memory.old_value(store), "{memory:?}");
    }
}

#[test]
fn the_models_memory_is_the_rotations() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut given_up = 0;
    for setting in SETTINGS.iter().map(|setting| setting.at_full_size()) {
        for _ in 0..300 {
            let mut world = World::new(&setting);
            let first = record(1, Event::Planned, keyroll::record::Detail::Planned(Box::new(plan(&setting, &world))));
            let mut rotation = Rotation::begin(&first).unwrap();
            let mut held = HashMap::new();
            for _ in 0..120 {
                let mut moves = Vec::new();
                world.moves(&setting, &mut moves);
                let Some(step) = rng.choice(moves) else { break };
                let Some(next) = world.after(&setting, step) else { continue };
                if let Some((event, detail)) = recorded(&setting, &world, step) {
                    let detail = written(&world, event, detail);
                    rotation.add(&record(rotation.seq + 1, event, detail)).unwrap();
                }
                world = next;
                for (at, store) in world.stores.iter().enumerate() {
                    held.extend(store.log.iter().filter_map(|put| Some(((at, version(*put)?), put.value))));
                }
                compare(&world, &rotation, &held);
            }
            given_up += usize::from(!rotation.formers.is_empty());
        }
    }
    assert!(given_up > 30, "only {given_up} ways gave a key up");
}
