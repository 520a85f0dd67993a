//! What must hold in every state: DESIGN's invariants, as far as the model's world shows them.

use keyroll::protocol::{Because, End, Fate, Kind, Role, Seen, Traces, Why, fate};

use crate::{
    setting::Setting,
    world::{Crime, Key, Life, OLD, Put, Value, World, bit},
};

pub type Promise = (&'static str, fn(&Setting, &World) -> bool);

pub const PROMISES: &[Promise] = &[
    ("I1: nobody is left with a key that was disabled or deleted", nobody_is_left),
    ("I2: what a store shows, and may still show, is a live key", stores_show_live_keys),
    ("I3: only exact keys of ours are deleted", |_, world| world.crime != Some(Crime::NotOurs)),
    ("I5: the tombstone stands before the deletion", |_, world| world.crime != Some(Crime::NoTombstone)),
    ("I6: the old key works until it is to be disabled, and exists until it is to be deleted", the_old_key_stays),
    ("I10: no effect comes before its intent", |_, world| world.crime != Some(Crime::NoIntent)),
    ("the protocol takes every answer of its driver", |_, world| world.crime != Some(Crime::Illegal)),
    ("a leaked key is never promoted or restored", |_, world| world.crime != Some(Crime::LeakedWritten)),
    ("nothing is over while a leaked key lives", leaked_keys_die),
    ("no key is left behind", no_orphan),
    ("the end is what it says", ends_as_it_says),
    ("a hold tells the truth", holds_are_true),
];

/// An approved emergency, and what somebody else did, excuse a dead key.
fn excused(world: &World, key: Key) -> bool {
    (world.leaked | world.killed) & bit(key) != 0
}

/// A key that was given up goes with the leaked one, as soon as everybody proved another: nobody waits for who reads it late.
fn given_up(world: &World, value: Value) -> bool {
    matches!(value, Value::Key(key) if world.journal.formers.contains(&key))
}

fn usable(world: &World, value: Value) -> bool {
    match value {
        Value::Key(key) => world.life(key) == Life::Live || excused(world, key),
        Value::Nothing | Value::Foreign => true,
    }
}

fn nobody_is_left(_: &Setting, world: &World) -> bool {
    (0..).zip(&world.instances).all(|(at, value)| world.waived & 1 << at != 0 || usable(world, *value) || given_up(world, *value))
}

fn stores_show_live_keys(_: &Setting, world: &World) -> bool {
    let older = |put: &Put| usable(world, put.value) || given_up(world, put.value);
    world.stores.iter().all(|store| usable(world, store.current().value) && store.log.iter().all(older))
}

fn the_old_key_stays(_: &Setting, world: &World) -> bool {
    match world.life(OLD) {
        Life::Live => true,
        Life::Off => world.journal.state.once_off || world.journal.state.emergency() || world.journal.state.past_return(),
        Life::Dead => excused(world, OLD) || world.by_hand || world.journal.tombstones & bit(OLD) != 0,
    }
}

fn leaked_keys_die(_: &Setting, world: &World) -> bool {
    world.journal.state.ended().is_none() || (0..8).all(|key| world.leaked & bit(key) == 0 || world.life(key) == Life::Dead)
}

/// At the end only the key in use is alive, and what a person knows of. A key that nobody can know of, because its creation happened
/// twice or after the end, and one with a tombstone, are for `reconcile` to delete: the protocol's own `fate` is asked.
fn no_orphan(_: &Setting, world: &World) -> bool {
    let Some(end) = world.journal.state.ended() else { return true };
    let kept = if end == End::Done { world.journal.new } else { Some(OLD) };
    (0..).zip(&world.keys).filter(|(_, made)| made.life != Life::Dead && made.attempt.is_some()).all(|(key, made)| {
        let known = world.reported & bit(key) != 0 || Some(key) == kept;
        let twin = (0..).zip(&world.keys).any(|(other, twin)| other != key && twin.attempt == made.attempt);
        let unknowable = world.late & bit(key) != 0 || twin && !world.journal.state.murky;
        known || (unknowable || world.journal.tombstones & bit(key) != 0) && reconciled(world, key)
    })
}

fn reconciled(world: &World, key: Key) -> bool {
    let journal = &world.journal;
    let recorded = journal.new == Some(key) || journal.formers.contains(&key) || journal.tombstones & bit(key) != 0;
    let current = world.stores.iter().any(|store| store.current().value == Value::Key(key));
    let traces = Traces {
        open: false,
        tombstoned: journal.tombstones & bit(key) != 0,
        intended: true,
        recorded,
        current: if current { Seen::Yes } else { Seen::No },
        older: Seen::No,
        used: false,
        kept: false,
    };
    matches!(fate(&traces), Fate::Delete(Because::HalfDone | Because::Tombstoned))
}

/// Done means that the old key is dead, anything else that it works; and where nobody else wrote, that the stores show the key in use.
fn ends_as_it_says(_: &Setting, world: &World) -> bool {
    let Some(end) = world.journal.state.ended() else { return true };
    let wanted = |value: Value| match end {
        End::Done => world.journal.role(value) == Some(Role::New),
        End::RolledBack | End::Aborted if world.journal.kind == Kind::Install => value == Value::Nothing,
        End::RolledBack | End::Aborted => value == Value::Key(OLD),
    };
    let old = match end {
        End::Done => world.life(OLD) == Life::Dead,
        End::RolledBack | End::Aborted => world.life(OLD) == Life::Live || excused(world, OLD),
    };
    old && (world.meddled || world.stores.iter().all(|store| wanted(store.current().value)))
}

fn holds_are_true(setting: &Setting, world: &World) -> bool {
    match world.journal.state.held {
        Some(Why::ForeignValue) => world.meddled || setting.stale_reads,
        Some(Why::CannotSettle) => setting.unnamed,
        _ => true,
    }
}
