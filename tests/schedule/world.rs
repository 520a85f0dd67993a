//! A fleet in memory: one provider and one store a playbook, one journal for all, and tokio's paused clock.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use keyroll::{
    batch::{Host, Item, Trouble},
    ids::{Identity, InstanceId, KeyId, RotationId, Version},
    playbook::{Playbook, Source},
    ports::*,
    protocol::{Event, Refusal},
    record::{Decree, Decreed, Detail, Plan, Record, SCHEMA},
    rotation::{Rotation, Tombstone},
    secret::Secret,
    sight::{Blind, View},
};

#[derive(Clone, Copy)]
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

/// One playbook's outside world.
#[derive(Clone)]
pub struct Sim(Arc<(Paused, Mutex<Outside>)>);

pub struct Outside {
    name: String,
    /// How long a key lives, where it does not live for ever.
    pub lives: Option<TimeDelta>,
    /// Whether the provider tells when a key was made.
    pub tells: bool,
    /// Every key: its id, when it was made, whether it is alive.
    pub keys: Vec<(String, DateTime<Utc>, bool)>,
    versions: Vec<String>,
    /// Every create, write and delete.
    pub effects: Vec<(DateTime<Utc>, &'static str)>,
    /// The instances do not pick a new key up.
    pub stuck: bool,
}

impl Sim {
    pub fn new(clock: Paused, name: &str, made: DateTime<Utc>, lives: Option<TimeDelta>) -> Self {
        let first = format!("{name}-0");
        let outside = Outside {
            name: name.into(),
            lives,
            tells: true,
            keys: vec![(first.clone(), made, true)],
            versions: vec![first],
            effects: Vec::new(),
            stuck: false,
        };
        Self(Arc::new((clock, Mutex::new(outside))))
    }

    pub fn lock(&self) -> MutexGuard<'_, Outside> {
        self.0.1.lock().unwrap()
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.0.now()
    }

    pub fn world(&self) -> World {
        let consumer = Wiring { discovery: Some(Arc::new(self.clone())), health: Some(Arc::new(self.clone())), rollout: None };
        World { provider: Arc::new(self.clone()), stores: vec![Arc::new(self.clone())], consumers: vec![consumer], outlets: Vec::new() }
    }
}

#[async_trait]
impl Provider for Sim {
    fn traits(&self) -> Traits {
        let none = Duration::ZERO;
        Traits { ambiguity: Ambiguity::Listable, listed_within: none, ready_within: none, dead_within: none, usage_lag: none, quota: None }
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
        let outside = self.lock();
        let listed = |(id, made, _): &(String, DateTime<Utc>, bool)| Listed {
            id: KeyId::new(id),
            name: None,
            created_at: outside.tells.then_some(*made),
            expires_at: outside.lives.map(|lives| *made + lives),
            last_used: None,
            enabled: true,
        };
        Ok(outside.keys.iter().filter(|(.., alive)| *alive).map(listed).collect())
    }
    async fn identify(&self, credential: &Credential, _: &[Listed]) -> Got<Option<(KeyId, String)>> {
        Ok(Some((KeyId::new(credential.secret.reveal()), "the sim knows".into())))
    }
    async fn create(&self, _: &Wanted<'_>) -> Got<Minted> {
        let now = self.now();
        let mut outside = self.lock();
        let id = format!("{}-{}", outside.name, outside.keys.len());
        outside.keys.push((id.clone(), now, true));
        outside.effects.push((now, "create"));
        let expires_at = outside.lives.map(|lives| now + lives);
        Ok(Minted { id: KeyId::new(&id), secret: Secret::new(id), created_at: Some(now), expires_at })
    }
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let now = self.now();
        let mut outside = self.lock();
        outside.effects.push((now, "delete"));
        let key = outside.keys.iter_mut().find(|(id, ..)| id == tombstone.key().as_str());
        key.ok_or_else(|| Failure::refused(Refusal::Gone, None, "gone"))?.2 = false;
        Ok(())
    }
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let now = self.now();
        let outside = self.lock();
        let lives = |made: DateTime<Utc>| outside.lives.is_none_or(|lives| now < made + lives);
        let alive = outside.keys.iter().any(|(id, made, alive)| id == credential.secret.reveal() && *alive && lives(*made));
        Ok(if alive { Life::Alive } else { Life::Dead })
    }
}

#[async_trait]
impl Store for Sim {
    fn locator(&self) -> String {
        format!("sim store of {}", self.lock().name)
    }
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
    async fn read(&self) -> Got<Option<Snapshot>> {
        let last = self.lock().versions.len();
        self.read_at(&Version::new(last.to_string())).await
    }
    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        let place = version.as_str().parse::<usize>().unwrap() - 1;
        let value = self.lock().versions[place].clone();
        Ok(Some(Snapshot { version: version.clone(), fields: BTreeMap::from([("key".into(), Secret::new(value))]) }))
    }
    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        let now = self.now();
        let mut outside = self.lock();
        if change.base.map(Version::as_str) != Some(outside.versions.len().to_string().as_str()) {
            return Err(Failure::refused(Refusal::Conflict, None, "moved on"));
        }
        outside.effects.push((now, "write"));
        outside.versions.push(change.fields["key"].reveal().to_owned());
        Ok(Version::new(outside.versions.len().to_string()))
    }
    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        Ok(vec![("only".into(), Some(Version::new(self.lock().versions.len().to_string())))])
    }
    async fn mark(&self) -> Got<Option<Mark>> {
        Ok(None)
    }
}

#[async_trait]
impl Discovery for Sim {
    async fn instances(&self) -> Got<Found> {
        let address = "127.0.0.1:1".parse().unwrap();
        let one = Instance { id: InstanceId::new("1"), host: "sim".into(), address, started: None, leaving: false };
        Ok(Found { instances: vec![one], expected: None })
    }
}

#[async_trait]
impl Health for Sim {
    async fn ask(&self, _: &Instance) -> Got<Report> {
        let outside = self.lock();
        let place = if outside.stuck { 0 } else { outside.versions.len() - 1 };
        let print = Secret::new(outside.versions[place].as_str()).sha256();
        Ok(Report { id: None, claim: Some(Claim::Sha256(print)), healthy: true, status: 200 })
    }
}

/// A journal of many rotations, as conditional as the real ones.
#[derive(Default)]
pub struct Ledger(Mutex<Tables>);

#[derive(Default)]
pub struct Tables {
    rotations: Vec<Row>,
    decrees: Vec<Decreed>,
}

struct Row {
    entry: Entry,
    identities: Vec<Identity>,
    records: Vec<Record>,
    epoch: u64,
    driven: Arc<()>,
}

impl Ledger {
    pub fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    pub fn rotations(&self) -> Vec<Rotation> {
        self.lock().rotations.iter().map(|row| Rotation::fold(&row.records).unwrap()).collect()
    }

    pub fn records(&self) -> usize {
        self.lock().rotations.iter().map(|row| row.records.len()).sum()
    }
}

impl Tables {
    fn row(&mut self, id: &RotationId) -> Result<&mut Row, JournalError> {
        self.rotations.iter_mut().rev().find(|row| row.entry.rotation == *id).ok_or_else(|| JournalError::Unknown(id.to_string()))
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
        let mut tables = self.lock();
        let taken = |row: &&Row| row.entry.open && row.identities.iter().any(|identity| opening.identities.contains(identity));
        if let Some(row) = tables.rotations.iter().find(taken) {
            return Err(JournalError::Open(row.entry.rotation.clone()));
        }
        let (rotation, at, event, detail) = (opening.rotation.clone(), opening.at, opening.event, opening.detail);
        let record = Record { schema: SCHEMA, rotation: rotation.clone(), seq: 1, epoch: 1, at, event, detail };
        let entry = Entry { rotation: rotation.clone(), name: opening.name.into(), open: true };
        let driven = Arc::new(());
        let guard = Box::new(driven.clone());
        tables.rotations.push(Row { entry, identities: opening.identities.to_vec(), records: vec![record], epoch: 1, driven });
        Ok(Lease { rotation, epoch: 1, seq: 1, head: String::new(), term: Term::default(), guard })
    }
    async fn take(&self, rotation: &RotationId) -> Result<Lease, JournalError> {
        let mut tables = self.lock();
        let row = tables.row(rotation)?;
        if Arc::strong_count(&row.driven) > 1 {
            return Err(JournalError::Busy(rotation.clone(), "another".into()));
        }
        row.epoch += 1;
        let guard = Box::new(row.driven.clone());
        Ok(Lease {
            rotation: rotation.clone(),
            epoch: row.epoch,
            seq: row.records.len() as u64,
            head: String::new(),
            term: Term::default(),
            guard,
        })
    }
    async fn append(&self, lease: &mut Lease, at: DateTime<Utc>, event: Event, detail: Detail, ends: bool) -> Result<Record, JournalError> {
        let mut tables = self.lock();
        let row = tables.row(&lease.rotation)?;
        if row.epoch != lease.epoch || row.records.len() as u64 != lease.seq {
            return Err(JournalError::TakenOver(lease.rotation.clone()));
        }
        lease.seq += 1;
        let record = Record { schema: SCHEMA, rotation: lease.rotation.clone(), seq: lease.seq, epoch: lease.epoch, at, event, detail };
        row.records.push(record.clone());
        row.entry.open = !ends;
        Ok(record)
    }
    async fn records(&self, rotation: &RotationId) -> Result<Vec<Record>, JournalError> {
        Ok(self.lock().row(rotation)?.records.clone())
    }
    async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(self.lock().rotations.iter().rev().map(|row| row.entry.clone()).collect())
    }
    async fn holder(&self, identity: &Identity) -> Result<Option<RotationId>, JournalError> {
        let tables = self.lock();
        let row = tables.rotations.iter().find(|row| row.entry.open && row.identities.contains(identity));
        Ok(row.map(|row| row.entry.rotation.clone()))
    }
    async fn leave(&self, _: &RotationId, _: Note) -> Result<(), JournalError> {
        Ok(())
    }
    async fn asked(&self, _: &Lease) -> Result<bool, JournalError> {
        Ok(false)
    }
    async fn collect(&self, _: &Lease) -> Result<Option<Note>, JournalError> {
        Ok(None)
    }
    async fn take_in(&self, _: &str, _: &[Record]) -> Result<(), JournalError> {
        Ok(())
    }
    async fn decree(&self, at: DateTime<Utc>, by: &str, decree: Decree) -> Result<Decreed, JournalError> {
        let mut tables = self.lock();
        let decreed = Decreed { schema: SCHEMA, seq: tables.decrees.len() as u64 + 1, at, by: by.into(), decree };
        tables.decrees.push(decreed.clone());
        Ok(decreed)
    }
    async fn hashes(&self, _: Option<&RotationId>) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }
    async fn decrees(&self) -> Result<Vec<Decreed>, JournalError> {
        Ok(self.lock().decrees.clone())
    }
}

/// The program around a batch: knows every playbook's world, and keeps what went wrong.
#[derive(Default)]
pub struct Fleet {
    pub sims: HashMap<String, (Playbook, Sim)>,
    pub troubles: Mutex<Vec<String>>,
}

impl Fleet {
    pub fn add(&mut self, book: Playbook, sim: Sim) {
        self.sims.insert(book.source.text.clone(), (book, sim));
    }

    pub fn items(&self) -> Vec<Arc<Item>> {
        self.sims.values().map(|(book, sim)| Arc::new(Item { book: book.clone(), world: sim.world() })).collect()
    }
}

#[async_trait]
impl Host for Fleet {
    fn item(&self, _: &str, playbook: &str) -> Result<Item, u8> {
        let (book, sim) = &self.sims[playbook];
        Ok(Item { book: book.clone(), world: sim.world() })
    }
    fn view(&self) -> Box<dyn View> {
        Box::new(Blind)
    }
    async fn agreed(&self, _: &Item, _: &mut Plan) -> Result<bool, u8> {
        Ok(true)
    }
    async fn driven(&self, _: &Item, _: bool, _: &Rotation, _: &[Record]) {}
    fn trouble(&self, playbook: &str, trouble: Trouble, _: Option<&Rotation>) -> u8 {
        self.troubles.lock().unwrap().push(format!("{playbook}: {trouble:?}"));
        5
    }
}

pub fn book(name: &str, extra: &str) -> Playbook {
    let text = format!(
        "keyroll: 1
name: {name}
provider:
  openai: {{ project: p, admin_key: env:X }}
stores:
  - file: {{ path: /nowhere/{name} }}
    write: {{ key: secret }}
    stale_for: 1m
probe: {{ times: 1 }}
consumers:
  - name: api
    instances: {{ fixed: [\"{name}:1\"] }}
    health: {{ path: /healthz, fingerprint: {{ json: /key }} }}
    max_request: 1m
verify: {{ within: 1m, stable_for: 2s, every: 1s }}
revoke: {{ grace: 25m, dead_within: 0s }}
{extra}"
    );
    Playbook::parse(Arc::new(Source { name: format!("{name}.yaml"), text })).unwrap_or_else(|faults| panic!("{faults:?}"))
}
