//! Rotations to report on: the protocol walks its ideal way, and a test says where something else happens.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use keyroll::{
    ids::{Fingerprint, InstanceId, KeyId, RotationId, Version},
    protocol::{Action, Effect, Event, Kind, OnTimeout, Pause, Query, Role, Rules, decide},
    record::{Attributes, Begun, ConsumerPlan, Detail, Evidence, Missing, OldKey, Plan, Record, SCHEMA, StorePlan, Waiting, Waits},
    report::ideal,
    rotation::Rotation,
    sight::{Sight, View},
};

pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 9, 0, 0).unwrap()
}

pub fn rules(kind: Kind) -> Rules {
    Rules {
        kind,
        proved: kind == Kind::Rotate,
        disables: false,
        asks_use: false,
        replays: false,
        by_person: false,
        revokes: true,
        on_timeout: OnTimeout::Rollback,
        stores: 1,
        consumers: 1,
        attempts: 3,
    }
}

pub fn plan(rules: Rules, instances: usize) -> Plan {
    let places = ["vault_kv2 https://vault.internal:8200 secret/ai/openai", "aws_sm eu-central-1 prod/openai"];
    let more = (3..=rules.stores).map(|n| format!("file /run/secrets/openai-{n}"));
    let stores = places
        .into_iter()
        .map(String::from)
        .chain(more)
        .take(rules.stores.into())
        .map(|locator| StorePlan { locator, base: (rules.kind != Kind::Install).then(|| Version::new("6")) });
    let services = ["inference-api", "search-api"].into_iter().map(String::from);
    let services = services.chain((3..=rules.consumers).map(|n| format!("service-{n}")));
    let consumers = services.take(rules.consumers.into()).map(|name| ConsumerPlan {
        baseline: (1..=instances).map(|n| InstanceId::new(format!("{name}-{n}"))).collect(),
        expected: instances,
        job: false,
        name,
    });
    Plan {
        playbook: "keyroll: 1".into(),
        origin: "playbooks/openai.yaml".into(),
        name: "openai-production".into(),
        provider: "openai project proj_x".into(),
        rules,
        old: (rules.kind != Kind::Install).then(|| OldKey {
            id: Some(KeyId::new("sa_old111")),
            fingerprint: Fingerprint::new("0ld"),
            proof: rules.proved.then(|| "the provider's redacted value fits the stores' value".into()),
            created_at: Some(start() - TimeDelta::days(91)),
            expires_at: None,
        }),
        listed: vec![],
        stores: stores.collect(),
        consumers: consumers.collect(),
        waits: Waits {
            grace: Duration::from_secs(3600),
            watch: Duration::from_secs(600),
            soak: Duration::from_secs(86_400),
            stale: Duration::from_secs(900),
            idle: Duration::from_secs(93_600),
        },
        notes: vec![],
        attributes: Attributes::default(),
        kept: None,
        page: None,
        approved: None,
        begun: Some(Begun { by: "ana".into(), why: None }),
    }
}

pub struct Story {
    pub records: Vec<Record>,
    pub rotation: Rotation,
    now: DateTime<Utc>,
    minted: u32,
}

impl Story {
    pub fn new(plan: Plan) -> Self {
        let now = start();
        let id = RotationId::at(now, 7);
        let first = Record {
            schema: SCHEMA,
            rotation: id,
            seq: 1,
            epoch: 1,
            at: now,
            event: Event::Planned,
            detail: Detail::Planned(Box::new(plan)),
        };
        let rotation = Rotation::begin(&first).unwrap();
        Self { records: vec![first], rotation, now, minted: 0 }
    }

    /// A rotation in which everything went well.
    pub fn ideal(plan: Plan) -> Self {
        let mut story = Self::new(plan);
        while story.step() {}
        story
    }

    pub fn add(&mut self, event: Event, detail: Detail) {
        self.now += match (&event, &self.rotation.waiting) {
            (Event::Waited(_), Some(waiting)) => TimeDelta::from_std(waiting.lasts).unwrap(),
            (Event::Saw(Query::Consumer(..), _), _) => TimeDelta::seconds(42),
            _ => TimeDelta::seconds(1),
        };
        let seq = self.records.len() as u64 + 1;
        let record = Record { schema: SCHEMA, rotation: self.rotation.id.clone(), seq, epoch: 1, at: self.now, event, detail };
        self.rotation.add(&record).unwrap();
        self.records.push(record);
    }

    /// The next event as it should be.
    pub fn step(&mut self) -> bool {
        let Some(event) = ideal(&self.rotation.state) else { return false };
        let detail = self.detail(&event);
        self.add(event, detail);
        true
    }

    /// Goes on until the protocol asks for `action`.
    pub fn until(&mut self, action: Action) -> &mut Self {
        while decide(&self.rotation.state) != action {
            assert!(self.step(), "{action:?} never came");
        }
        self
    }

    fn detail(&mut self, event: &Event) -> Detail {
        let r = &self.rotation;
        match event {
            Event::Intended(Effect::Create) => {
                Detail::Intent { name: Some(format!("openai-production-2026-11-{}", r.state.attempt)), key: None, base: None }
            }
            Event::Intended(Effect::Promote(i) | Effect::Restore(i)) => {
                let base = r.versions[usize::from(*i)].last().map(|(version, _)| version.clone());
                Detail::Intent { name: None, key: None, base }
            }
            Event::Intended(Effect::Delete(role)) => Detail::Intent { name: None, key: r.key(*role).cloned(), base: None },
            Event::Did(Effect::Create) => {
                self.minted += 1;
                Detail::Created {
                    id: KeyId::new(format!("sa_new{}", 221 + self.minted)),
                    fingerprint: Fingerprint::new("n3w"),
                    created_at: None,
                    expires_at: None,
                }
            }
            Event::Did(Effect::Promote(i) | Effect::Restore(i)) => {
                let last = r.versions[usize::from(*i)].last().map_or(0, |(version, _)| version.as_str().parse().unwrap());
                Detail::Wrote { version: Version::new((last + 1).to_string()) }
            }
            Event::Saw(Query::Consumer(role, i), _) => self.evidence(*role, Some(*i), &[]),
            Event::Saw(Query::Everyone(role), _) => self.evidence(*role, None, &[]),
            Event::Saw(Query::Dead(_), _) => {
                Detail::Reply { said: "the provider refused the old key 3 times in a row and took the new one each time".into() }
            }
            Event::Parked(pause) => {
                let waits = r.plan.waits;
                let (lasts, what_for) = match pause {
                    Pause::Grace => (waits.grace, "nobody may still be about to read or use the old key"),
                    Pause::Idle => (waits.idle, "the provider must be able to say that the old key is idle"),
                    Pause::Soak => (waits.soak, "the old key is off and can still be enabled if anything complains"),
                    Pause::Revoke => (std::time::Duration::ZERO, "the leaked key is deleted then, whatever the state"),
                    Pause::Stale => (waits.stale, "nobody may still be about to read or use the new key"),
                };
                Detail::Waiting(Waiting {
                    lasts,
                    since: self.now,
                    store_since: None,
                    journal_since: None,
                    what_for: what_for.into(),
                    readings: None,
                })
            }
            _ => Detail::Nothing,
        }
    }

    /// What the instances of one consumer (or all) report; `late` ones are still on the other key.
    pub fn evidence(&self, role: Role, only: Option<u8>, late: &[&str]) -> Detail {
        let (mut proved, mut missing) = (vec![], vec![]);
        let (reported, other) = match role {
            Role::New => ("version 7", "still on the old key (version 6)"),
            _ => ("version 8", "still on the new key (version 7)"),
        };
        for (at, one) in self.rotation.plan.consumers.iter().enumerate() {
            if only.is_some_and(|only| usize::from(only) != at) {
                continue;
            }
            for instance in one.baseline.clone() {
                let consumer = one.name.clone();
                if late.contains(&instance.as_str()) {
                    missing.push(Missing { consumer, instance: Some(instance), why: other.into() });
                } else {
                    proved.push(Evidence { consumer, instance, reported: reported.into(), at: self.now });
                }
            }
        }
        Detail::Evidence { proved, missing }
    }

    /// Tells it all to a view; before each proof, one pass in which `late` have not proved it yet.
    pub fn tell(&self, view: &mut dyn View, late: &[&str]) {
        let mut rotation = Rotation::begin(&self.records[0]).unwrap();
        view.see(&Sight::Recorded(&rotation, &self.records[0]));
        for record in &self.records[1..] {
            if let Event::Saw(Query::Consumer(role, i), _) = record.event
                && let Detail::Evidence { proved, missing } = self.evidence(role, Some(i), late)
            {
                view.see(&Sight::Pass { proved: &proved, missing: &missing });
                view.see(&Sight::Pass { proved: &proved, missing: &missing });
            }
            rotation.add(record).unwrap();
            view.see(&Sight::Recorded(&rotation, record));
        }
    }
}
