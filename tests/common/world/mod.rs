//! A world in memory: a provider, stores, services and a journal, and whatever befalls them. It is shared by the tests that run
//! the production driver without a network. Time is tokio's paused clock: hours pass at once, and in order.
//!
//! ```text
//! Sim          what is true (Outside), and the journal
//!  └─ Process  one keyroll on one machine: its clocks, its ports, its way to the journal
//! Facts        what was done, by whom and when; the oracle reads nothing else
//! ```
#![allow(dead_code)]

pub mod book;
pub mod facts;
pub mod fault;
pub mod journal;
pub mod oracle;
pub mod process;
pub mod provider;
pub mod services;
pub mod store;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use self::{
    facts::{At, By, Fact},
    fault::{Calm, Chance},
    journal::Ledger,
    process::{Machine, Process},
    provider::Issuer,
    services::Service,
    store::Cabinet,
};

/// When every world begins, by a clock that nobody can set.
pub fn origin() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// The world and its journal.
#[derive(Clone)]
pub struct Sim {
    pub outside: Arc<Mutex<Outside>>,
    pub ledger: Ledger,
}

/// Something that comes later by itself.
type Later = Box<dyn FnOnce(&mut Outside) + Send>;

/// What is true.
pub struct Outside {
    start: tokio::time::Instant,
    /// How far it has come; moved on by every call.
    pub now: At,
    pub issuer: Issuer,
    pub stores: Vec<Cabinet>,
    pub services: Vec<Service>,
    pub machines: Vec<Machine>,
    /// By how much each host's wall clock is wrong.
    pub wrong_by: [TimeDelta; 2],
    /// By how much the stores' clock is wrong; none: they tell no time.
    pub store_clock: Option<TimeDelta>,
    /// By how much the journal's clock is wrong; none: it has none.
    pub journal_clock: Option<TimeDelta>,
    /// It goes at half the pace.
    pub journal_slow: bool,
    /// How long a lease outlives its runner; none: a lock, which dies with it.
    pub lease: Option<Duration>,
    /// The longest a call takes when nothing is wrong.
    pub latency: Duration,
    /// A copy that starts may read an old value out of a cache, and keep it.
    pub stale_starts: bool,
    pub dice: fastrand::Rng,
    pub facts: Vec<(At, Fact)>,
    chance: Option<Box<dyn Chance>>,
    later: BTreeMap<(At, usize), Later>,
    put_off: usize,
}

impl Sim {
    /// One live key (number 0), one store that holds it, one service with this many copies that use it.
    pub fn new(copies: usize) -> Self {
        let sim = Self::empty();
        let mut outside = sim.lock();
        let first = outside.make("first", facts::Origin::Before, None);
        outside.add_store(Some(first));
        outside.add_service(0, copies);
        drop(outside);
        sim
    }

    /// Nothing at all.
    pub fn empty() -> Self {
        let outside = Outside {
            start: tokio::time::Instant::now(),
            now: At::ZERO,
            issuer: Issuer::default(),
            stores: Vec::new(),
            services: Vec::new(),
            machines: Vec::new(),
            wrong_by: [TimeDelta::zero(); 2],
            store_clock: None,
            journal_clock: None,
            journal_slow: false,
            lease: None,
            latency: Duration::ZERO,
            stale_starts: false,
            dice: fastrand::Rng::with_seed(0),
            facts: Vec::new(),
            chance: Some(Box::new(Calm)),
            later: BTreeMap::new(),
            put_off: 0,
        };
        Self { outside: Arc::new(Mutex::new(outside)), ledger: Ledger::default() }
    }

    pub fn lock(&self) -> MutexGuard<'_, Outside> {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        outside.catch_up();
        outside
    }

    /// What befalls each call from here on.
    pub fn chance(&self, chance: impl Chance + 'static) {
        self.lock().chance = Some(Box::new(chance));
    }

    /// Another keyroll, on one of the two hosts.
    pub fn process(&self, host: usize) -> Process {
        let mut outside = self.lock();
        outside.machines.push(Machine::new(host));
        Process { sim: self.clone(), number: outside.machines.len() - 1 }
    }

    /// The facts so far.
    pub fn facts(&self) -> Vec<(At, Fact)> {
        self.lock().facts.clone()
    }
}

impl Outside {
    /// Everything that was to come by itself comes, in order.
    pub fn catch_up(&mut self) {
        let now = self.start.elapsed();
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), work) = entry.remove_entry();
            self.now = self.now.max(at);
            work(self);
        }
        self.now = now;
    }

    /// This comes by itself, so much later.
    pub fn later(&mut self, after: Duration, work: impl FnOnce(&mut Outside) + Send + 'static) {
        self.put_off += 1;
        self.later.insert((self.now + after, self.put_off), Box::new(work));
    }

    pub fn note(&mut self, fact: Fact) {
        self.facts.push((self.now, fact));
    }

    /// Now, by a clock that is right.
    pub fn time(&self) -> DateTime<Utc> {
        origin() + self.now
    }

    /// Some time up to this.
    pub fn some(&mut self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap();
        Duration::from_millis(self.dice.u64(0..=millis))
    }

    /// The keys that are alive, of whichever origin.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.issuer.keys.len()).filter(|key| self.issuer.keys[*key].deleted.is_none()).collect()
    }

    /// The key that a store serves.
    pub fn served(&self, store: usize) -> Option<usize> {
        self.stores[store].versions.last().and_then(store::Stored::key)
    }

    /// Somebody else writes their field of a secret: the version moves on, our fields stay.
    pub fn touch_by_hand(&mut self, store: usize) {
        let mut fields = self.stores[store].versions.last().map(|stored| stored.fields.clone()).unwrap_or_default();
        fields.insert(store::OTHER.into(), format!("at {:?}", self.now));
        self.stored(store, fields, By::Them);
    }

    /// Somebody else writes a key into a store, past us.
    pub fn write_by_hand(&mut self, store: usize, key: usize) {
        let mut fields = self.stores[store].versions.last().map(|stored| stored.fields.clone()).unwrap_or_default();
        fields.insert(store::SECRET.into(), self.issuer.keys[key].value.clone());
        fields.insert(store::ID.into(), self.issuer.keys[key].id.clone());
        self.stored(store, fields, By::Them);
    }
}
