//! What several test targets need.
#![allow(dead_code)]

pub mod figure;

use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Fingerprint, KeyId, RotationId},
    protocol::{Answer, Effect, Event, Kind, OnTimeout, Query, Role, Rules},
    record::{Detail, Plan, Record, SCHEMA, Waits},
    rotation::{Rotation, Tombstone},
};

/// The right to delete this key, got in the only way there is: by folding the records of a rotation that created it, found it
/// useless, and committed the intent to delete it.
pub fn tombstone_for(key: &KeyId) -> Tombstone {
    let intent = |name: Option<&str>, key: Option<&KeyId>| Detail::Intent { name: name.map(Into::into), key: key.cloned(), base: None };
    let events = [
        (Event::Intended(Effect::Create), intent(Some("tombstone"), None)),
        (
            Event::Did(Effect::Create),
            Detail::Created { id: key.clone(), fingerprint: Fingerprint::new("00"), created_at: None, expires_at: None },
        ),
        (Event::Saw(Query::Live, Answer::Bad), Detail::Nothing),
        (Event::Intended(Effect::Delete(Role::New)), intent(None, Some(key))),
    ];
    let record = |place: usize, event, detail| Record {
        schema: SCHEMA,
        rotation: RotationId::new("01hzzzzzzzzzzzzzzzzzzzzzzz"),
        seq: place as u64,
        epoch: 1,
        at: DateTime::<Utc>::UNIX_EPOCH,
        event,
        detail,
    };
    // The first record's event is not applied: its detail is the plan.
    let mut rotation = Rotation::begin(&record(1, Event::Planned, Detail::Planned(Box::new(plan())))).expect("a plan");
    for (place, (event, detail)) in events.into_iter().enumerate() {
        rotation.add(&record(place + 2, event, detail)).expect("a legal event");
    }
    rotation.tombstone(Role::New).expect("the intent to delete is committed")
}

fn plan() -> Plan {
    Plan {
        playbook: String::new(),
        origin: String::new(),
        name: "tombstone".into(),
        provider: String::new(),
        rules: Rules {
            kind: Kind::Install,
            proved: true,
            disables: false,
            asks_use: false,
            replays: false,
            by_person: false,
            revokes: true,
            on_timeout: OnTimeout::Rollback,
            stores: 1,
            consumers: 1,
            attempts: 1,
        },
        old: None,
        listed: Vec::new(),
        stores: Vec::new(),
        consumers: Vec::new(),
        waits: Waits::default(),
        notes: Vec::new(),
        attributes: Default::default(),
        kept: None,
        page: None,
        approved: None,
        begun: None,
    }
}
