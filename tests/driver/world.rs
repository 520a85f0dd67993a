//! A world in memory: a provider, a store, services and a journal, with faults where the test wants them. Time is tokio's
//! paused clock, so that hours pass at once and in order.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    ids::{Identity, InstanceId, KeyId, RotationId, Version},
    playbook::{Playbook, Source},
    ports::*,
    protocol::{Event, Refusal},
    record::{Decree, Decreed, Detail, Record, SCHEMA},
    rotation::Tombstone,
    secret::Secret,
};

/// What happens to one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The work is done, the reply is lost.
    LostAfter,
    /// The work is not done, and nobody can tell.
    LostBefore,
    /// It is refused.
    Refused,
    /// It is answered "not found", although it is there: a wrong address.
    NotFound,
    /// The process dies before the call.
    CrashBefore,
    /// The process dies after the work is done.
    CrashAfter,
}

#[derive(Default)]
pub struct Outside {
    pub keys: BTreeMap<String, Key>,
    pub versions: Vec<String>,
    pub creates: usize,
    pub switches: bool,
    /// Calls by number, over the whole test; the fault for one of them.
    pub calls: usize,
    pub fault: Option<(usize, Fault)>,
    pub death: Arc<tokio::sync::Notify>,
    /// Instances and how many passes each lags behind the store.
    pub instances: Vec<Service>,
    pub served_dead: Vec<String>,
    /// The provider tells when a key was used; the last use of each value.
    pub tells_use: bool,
    pub used: BTreeMap<String, DateTime<Utc>>,
    pub start: Option<tokio::time::Instant>,
    /// The provider tells only what a key has spent: how often each value was used, as far as it knows yet.
    pub tells_spend: bool,
    pub calls_of: BTreeMap<String, Vec<tokio::time::Instant>>,
    pub usage_lag: Duration,
    /// Nobody calls with a key that is not the first.
    pub quiet: bool,
    /// Versions that can no longer be read.
    pub forgotten: Vec<String>,
    /// Until then the listing shows no new key, and it still shows what is deleted.
    pub listing_behind: Option<tokio::time::Instant>,
    /// The store tells its time.
    pub tells_time: bool,
    /// Once the first key is dead nobody reaches the provider to try a key.
    pub cut_off: bool,
}

pub struct Key {
    pub name: String,
    pub value: String,
    pub alive: bool,
    pub on: bool,
}

pub struct Service {
    pub holds: String,
    pub lag: usize,
    pub behind: usize,
    pub stuck: bool,
    pub ill_on_new: bool,
    /// Reports what the store holds, and uses what it held at its start.
    pub lies: bool,
}

#[derive(Clone)]
pub struct Sim(pub Arc<Mutex<Outside>>);

impl Sim {
    pub fn new(instances: usize) -> Self {
        let mut outside = Outside { versions: vec!["value-0".into()], ..Outside::default() };
        outside.keys.insert("key-0".into(), Key { name: "first".into(), value: "value-0".into(), alive: true, on: true });
        let service = |n: usize| Service { holds: "value-0".into(), lag: n % 3, behind: 0, stuck: false, ill_on_new: false, lies: false };
        outside.instances = (0..instances).map(service).collect();
        Self(Arc::new(Mutex::new(outside)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Outside> {
        self.0.lock().unwrap()
    }

    /// One mutating call: its fault decides whether the work happens and what is told.
    fn call<T>(&self, work: impl FnOnce(&mut Outside) -> Got<T>) -> Got<T> {
        let mut outside = self.lock();
        let number = outside.calls;
        outside.calls += 1;
        let fault = outside.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        match fault {
            None => work(&mut outside),
            Some(Fault::LostBefore) => Err(Failure::unknown("lost")),
            Some(Fault::Refused) => Err(Failure::refused(Refusal::Denied, Some(403), "denied")),
            Some(Fault::NotFound) => Err(Failure::refused(Refusal::Gone, Some(404), "not found")),
            Some(Fault::LostAfter) => work(&mut outside).and(Err(Failure::unknown("lost"))),
            Some(Fault::CrashBefore) => {
                outside.death.notify_one();
                Err(Failure::unknown("crashed"))
            }
            Some(Fault::CrashAfter) => {
                let _ = work(&mut outside);
                outside.death.notify_one();
                Err(Failure::unknown("crashed"))
            }
        }
    }

    pub fn world(&self) -> World {
        let consumer = Wiring { discovery: Some(Arc::new(self.clone())), health: Some(Arc::new(self.clone())), rollout: None };
        World { provider: Arc::new(self.clone()), stores: vec![Arc::new(self.clone())], consumers: vec![consumer], outlets: Vec::new() }
    }

    /// I2, and no orphans: what must hold when a rotation is over.
    pub fn assert_clean(&self, story: &str) {
        let outside = self.lock();
        let alive: Vec<_> = outside.keys.iter().filter(|(_, key)| key.alive).collect();
        assert_eq!(alive.len(), 1, "{story}: exactly one live key, found {:?}", alive.iter().map(|(id, _)| id).collect::<Vec<_>>());
        assert_eq!(alive[0].1.value, *outside.versions.last().unwrap(), "{story}: the store serves the live key");
        assert!(alive[0].1.on, "{story}: it is switched on");
        assert_eq!(outside.served_dead, Vec::<String>::new(), "{story}: nobody was ever served a dead key");
    }
}

impl Outside {
    fn usable(&self, value: &str) -> bool {
        self.keys.values().any(|key| key.value == value && key.alive && key.on)
    }

    /// Every instance calls the provider with what it holds.
    fn traffic(&mut self) {
        for place in 0..self.instances.len() {
            let holds = self.instances[place].holds.clone();
            if self.quiet && holds != "value-0" {
                continue;
            }
            self.calls_of.entry(holds.clone()).or_default().push(tokio::time::Instant::now());
            if let Some(start) = self.start {
                self.used.insert(holds.clone(), origin() + start.elapsed());
            }
            if !self.usable(&holds) {
                self.served_dead.push(holds);
            }
        }
    }
}

#[async_trait]
impl Provider for Sim {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(5),
            ready_within: Duration::from_secs(5),
            dead_within: Duration::from_secs(5),
            usage_lag: self.lock().usage_lag,
            quota: None,
        }
    }
    fn principal(&self) -> Option<Identity> {
        None
    }
    fn describe(&self) -> String {
        "sim".into()
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |(id, key): (&String, &Key)| Listed {
            id: KeyId::new(id),
            name: Some(key.name.clone()),
            created_at: None,
            expires_at: None,
            last_used: None,
            enabled: key.on,
        };
        let outside = self.lock();
        let behind = outside.listing_behind.is_some_and(|until| tokio::time::Instant::now() < until);
        let shows = |id: &str, key: &Key| if behind { id == "key-0" } else { key.alive };
        Ok(outside.keys.iter().filter(|(id, key)| shows(id, key)).map(listed).collect())
    }
    async fn identify(&self, credential: &Credential, _: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let outside = self.lock();
        let found = outside.keys.iter().find(|(_, key)| key.value == credential.secret.reveal());
        Ok(found.map(|(id, _)| (KeyId::new(id), "the sim knows".into())))
    }
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        self.call(|outside| {
            outside.creates += 1;
            let (id, value) = (format!("key-{}", outside.creates), format!("value-{}", outside.creates));
            outside.keys.insert(id.clone(), Key { name: wanted.name.into(), value: value.clone(), alive: true, on: true });
            Ok(Minted { id: KeyId::new(id), secret: Secret::new(value), created_at: None, expires_at: None })
        })
    }
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        self.call(|outside| {
            let key = outside.keys.get_mut(tombstone.key().as_str()).ok_or_else(|| Failure::refused(Refusal::Gone, None, "gone"))?;
            key.alive = false;
            outside.traffic();
            Ok(())
        })
    }
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let outside = self.lock();
        if outside.cut_off && outside.keys.get("key-0").is_some_and(|first| !first.alive) {
            return Err(Failure::unknown("no answer in time"));
        }
        drop(outside);
        Ok(if self.lock().usable(credential.secret.reveal()) { Life::Alive } else { Life::Dead })
    }
    fn usage(&self) -> Option<&dyn Usage> {
        self.lock().tells_use.then_some(self as &dyn Usage)
    }
    fn counter(&self) -> Option<&dyn Counter> {
        self.lock().tells_spend.then_some(self as &dyn Counter)
    }
    fn switch(&self) -> Option<&dyn Switch> {
        self.lock().switches.then_some(self as &dyn Switch)
    }
}

#[async_trait]
impl Usage for Sim {
    async fn last_used(&self, key: &KeyId) -> Got<Option<DateTime<Utc>>> {
        let mut outside = self.lock();
        // Services call all the time, not only when they are looked at.
        outside.traffic();
        Ok(outside.keys.get(key.as_str()).and_then(|key| outside.used.get(&key.value)).copied())
    }
}

#[async_trait]
impl Counter for Sim {
    async fn reading(&self, key: &KeyId) -> Got<u64> {
        let mut outside = self.lock();
        // Services call all the time, not only when they are looked at.
        outside.traffic();
        let lag = outside.usage_lag;
        let told = |at: &&tokio::time::Instant| at.elapsed() >= lag;
        let calls = outside.keys.get(key.as_str()).and_then(|key| outside.calls_of.get(&key.value));
        Ok(calls.map_or(0, |calls| calls.iter().filter(told).count() as u64))
    }
}

#[async_trait]
impl Switch for Sim {
    async fn set(&self, key: &KeyId, on: bool) -> Got<()> {
        self.call(|outside| {
            outside.keys.get_mut(key.as_str()).unwrap().on = on;
            outside.traffic();
            Ok(())
        })
    }
}

fn snapshot(outside: &Outside, version: usize) -> Option<Snapshot> {
    let value = outside.versions.get(version.checked_sub(1)?)?;
    Some(Snapshot { version: Version::new(version.to_string()), fields: BTreeMap::from([("key".into(), Secret::new(value.as_str()))]) })
}

#[async_trait]
impl Store for Sim {
    fn locator(&self) -> String {
        "sim store".into()
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
    async fn read(&self) -> Got<Option<Snapshot>> {
        let outside = self.lock();
        Ok(snapshot(&outside, outside.versions.len()))
    }
    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        let outside = self.lock();
        let gone = outside.forgotten.iter().any(|forgotten| forgotten == version.as_str());
        Ok(if gone { None } else { snapshot(&outside, version.as_str().parse().unwrap_or(0)) })
    }
    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        self.call(|outside| {
            if change.base.map(|base| base.as_str().to_owned()) != Some(outside.versions.len().to_string()) {
                return Err(Failure::refused(Refusal::Conflict, None, "moved on"));
            }
            outside.versions.push(change.fields["key"].reveal().to_owned());
            Ok(Version::new(outside.versions.len().to_string()))
        })
    }
    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        Ok(vec![("only".into(), Some(Version::new(self.lock().versions.len().to_string())))])
    }
    async fn mark(&self) -> Got<Option<Mark>> {
        Ok(None)
    }
    async fn clock(&self) -> Got<Option<DateTime<Utc>>> {
        let outside = self.lock();
        Ok(outside.start.filter(|_| outside.tells_time).map(|start| origin() + start.elapsed()))
    }
}

#[async_trait]
impl Discovery for Sim {
    async fn instances(&self) -> Got<Found> {
        let mut outside = self.lock();
        let current = outside.versions.last().unwrap().clone();
        for service in outside.instances.iter_mut().filter(|service| !service.stuck && !service.lies) {
            service.behind = if service.holds == current { 0 } else { service.behind + 1 };
            if service.behind > service.lag {
                service.holds.clone_from(&current);
            }
        }
        outside.traffic();
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let instance =
            |n: usize| Instance { id: InstanceId::new(n.to_string()), host: "sim".into(), address, started: None, leaving: false };
        Ok(Found { instances: (0..outside.instances.len()).map(instance).collect(), expected: None })
    }
}

#[async_trait]
impl Health for Sim {
    async fn ask(&self, instance: &Instance) -> Got<Report> {
        let outside = self.lock();
        let service = &outside.instances[instance.id.as_str().parse::<usize>().unwrap()];
        let healthy = !(service.ill_on_new && service.holds != "value-0");
        let claims = if service.lies { outside.versions.last().unwrap() } else { &service.holds };
        let print = Secret::new(claims.as_str()).sha256();
        Ok(Report { id: None, claim: Some(Claim::Sha256(print)), healthy, status: if healthy { 200 } else { 503 } })
    }
}

/// When every test begins.
pub fn origin() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Tokio's clock, which a paused test moves on by itself.
pub struct Paused {
    pub origin: DateTime<Utc>,
    pub start: tokio::time::Instant,
}

#[async_trait]
impl Clock for Paused {
    fn now(&self) -> DateTime<Utc> {
        self.origin + self.start.elapsed()
    }
    fn steady(&self) -> Duration {
        self.start.elapsed()
    }
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time.max(Duration::from_millis(1))).await;
    }
}

/// A journal that is as conditional as the real ones, and can die before or after any write.
#[derive(Default)]
pub struct Ledger {
    pub records: Mutex<Vec<Record>>,
    pub epoch: Mutex<u64>,
    pub die: Mutex<Option<(usize, bool)>>,
    /// Dies once, before this is written.
    pub dies_before: Mutex<Option<Event>>,
    pub notes: Mutex<Vec<Note>>,
    pub decrees: Mutex<Vec<Decreed>>,
    /// Since when it tells a time of its own, at half our pace.
    pub slow_clock: Option<tokio::time::Instant>,
}

impl Ledger {
    fn put(&self, lease: &mut Lease, at: DateTime<Utc>, event: Event, detail: Detail) -> Result<Record, JournalError> {
        let mut records = self.records.lock().unwrap();
        if *self.epoch.lock().unwrap() != lease.epoch || records.len() as u64 != lease.seq {
            return Err(JournalError::TakenOver(lease.rotation.clone()));
        }
        if self.dies_before.lock().unwrap().take_if(|dreaded| *dreaded == event).is_some() {
            return Err(JournalError::Down("died before the write".into()));
        }
        let die = self.die.lock().unwrap().filter(|(at, _)| *at == records.len());
        if let Some((_, false)) = die {
            self.die.lock().unwrap().take();
            return Err(JournalError::Down("died before the write".into()));
        }
        lease.seq += 1;
        let record = Record { schema: SCHEMA, rotation: lease.rotation.clone(), seq: lease.seq, epoch: lease.epoch, at, event, detail };
        records.push(record.clone());
        if die.is_some() {
            self.die.lock().unwrap().take();
            return Err(JournalError::Down("died after the write".into()));
        }
        Ok(record)
    }
}

#[async_trait]
impl Journal for Ledger {
    fn id(&self) -> &str {
        "ledger"
    }
    fn salt(&self) -> &[u8] {
        b"salt"
    }
    async fn open(&self, opening: Opening<'_>) -> Result<Lease, JournalError> {
        *self.epoch.lock().unwrap() = 1;
        let mut lease =
            Lease { rotation: opening.rotation, epoch: 1, seq: 0, head: String::new(), term: Term::default(), guard: Box::new(()) };
        self.put(&mut lease, opening.at, opening.event, opening.detail)?;
        Ok(lease)
    }
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        let mut epoch = self.epoch.lock().unwrap();
        *epoch += 1;
        let seq = self.records.lock().unwrap().len() as u64;
        Ok(Lease { rotation: rotation.clone(), epoch: *epoch, seq, head: String::new(), term: Term::default(), guard: Box::new(()) })
    }
    async fn append(&self, lease: &mut Lease, at: DateTime<Utc>, event: Event, detail: Detail, _: bool) -> Result<Record, JournalError> {
        self.put(lease, at, event, detail)
    }
    async fn records(&self, _: &RotationId) -> Result<Vec<Record>, JournalError> {
        Ok(self.records.lock().unwrap().clone())
    }
    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(Vec::new())
    }
    async fn holder(&self, _: &Identity) -> Result<Option<RotationId>, JournalError> {
        Ok(None)
    }
    async fn leave(&self, _: &RotationId, note: Note) -> Result<(), JournalError> {
        self.notes.lock().unwrap().push(note);
        Ok(())
    }
    async fn asked(&self, _: &Lease) -> Result<bool, JournalError> {
        Ok(!self.notes.lock().unwrap().is_empty())
    }
    async fn collect(&self, _: &Lease) -> Result<Option<Note>, JournalError> {
        Ok(self.notes.lock().unwrap().pop())
    }
    async fn take_in(&self, _: &str, _: &[Record]) -> Result<(), JournalError> {
        Ok(())
    }
    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        let mut decrees = self.decrees.lock().unwrap();
        let decreed = Decreed { schema: SCHEMA, seq: decrees.len() as u64 + 1, at, by: by.into(), decree };
        decrees.push(decreed.clone());
        Ok(decreed)
    }
    async fn hashes(&self, _: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }
    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        Ok(self.decrees.lock().unwrap().clone())
    }
    async fn clock(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        Ok(self.slow_clock.map(|since| origin() + since.elapsed() / 2))
    }
}

pub fn book(extra: &str) -> Playbook {
    let text = format!(
        "keyroll: 1
name: sim
provider:
  openai: {{ project: p, admin_key: env:X }}
stores:
  - file: {{ path: /nowhere }}
    write: {{ key: secret }}
    stale_for: 1m
consumers:
  - name: api
    instances: {{ fixed: [\"a:1\"] }}
    expect: 1
    health: {{ path: /healthz, fingerprint: {{ json: /key }} }}
{extra}"
    );
    Playbook::parse(Arc::new(Source { name: "sim.yaml".into(), text })).map_err(|faults| format!("{faults:?}")).unwrap()
}
