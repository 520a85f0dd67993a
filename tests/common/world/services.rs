//! Who reads the stores: services with copies that pick a new value up in their own time, each in its own mood.

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use keyroll::{ids::InstanceId, ports::*, secret::Secret};

use super::{
    Outside,
    facts::Fact,
    fault::{Fault, Op},
    process::Port,
    store::Stored,
};

/// How a copy says which key it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    Version,
    KeyId,
    Sha256,
}

pub struct Service {
    /// Which store it reads.
    pub store: usize,
    pub says: Says,
    pub copies: Vec<Copy>,
    /// It runs now and then, and shows nothing.
    pub job: bool,
    /// It has a hook that restarts it.
    pub rolls: bool,
    /// Nobody can tell whether a rollout happened.
    pub forgets_rollouts: bool,
    /// The hook's tags so far.
    pub rolled: Vec<String>,
    /// The platform tells how many there must be.
    pub counted: bool,
}

#[derive(Clone, Default)]
pub struct Copy {
    /// It is running; what is gone keeps its number.
    pub runs: bool,
    /// The version it took last, by place, and the key in it.
    pub holds: (usize, Option<usize>),
    /// How soon it looks into the store again by itself; none: only when it starts.
    pub every: Option<Duration>,
    /// It takes nothing new any more.
    pub stuck: bool,
    /// It reports what the store holds, and uses what it has.
    pub lies: bool,
    /// Every other answer is an error.
    pub flaps: bool,
    /// It never answers.
    pub hangs: bool,
    /// It answers 503; only on another key than the first, or on each.
    pub ill: bool,
    pub ill_on_new: bool,
    asked: usize,
    /// It has said which key it uses.
    known: bool,
}

impl Outside {
    /// Another service, its copies up to date.
    pub fn add_service(&mut self, store: usize, copies: usize) -> usize {
        let number = self.services.len();
        let copy = Copy { runs: true, every: Some(Duration::ZERO), ..Copy::default() };
        self.services.push(Service {
            store,
            says: Says::Sha256,
            copies: vec![copy; copies],
            job: false,
            rolls: false,
            forgets_rollouts: false,
            rolled: Vec::new(),
            counted: false,
        });
        for copy in 0..copies {
            self.take_up(number, copy, Duration::ZERO);
        }
        number
    }

    /// A store has another version: whoever reads it looks at it in time, and may be shown the old one once more.
    pub fn awaits_readers(&mut self, store: usize) {
        for service in 0..self.services.len() {
            if self.services[service].store != store {
                continue;
            }
            for copy in 0..self.services[service].copies.len() {
                if let Some(every) = self.services[service].copies[copy].every {
                    self.looks_later(service, copy, every);
                }
            }
        }
    }

    fn looks_later(&mut self, service: usize, copy: usize, every: Duration) {
        let stale_for = self.stores[self.services[service].store].stale_for;
        let (first, stale) = (self.some(every), self.some(stale_for));
        let cached = stale_for > Duration::ZERO && self.dice.bool();
        if !cached {
            return self.later(first, move |outside| outside.take_up(service, copy, Duration::ZERO));
        }
        // Caches of different age answer in turns, until none can be older than the write.
        self.later(first, move |outside| outside.take_up(service, copy, stale));
        let again = self.some(stale_for);
        self.later(again, move |outside| {
            let ago = outside.some(stale_for);
            outside.take_up(service, copy, ago);
        });
        self.later(stale_for + first, move |outside| outside.take_up(service, copy, Duration::ZERO));
    }

    /// A copy takes what its store shows now, or showed a while ago.
    pub fn take_up(&mut self, service: usize, copy: usize, ago: Duration) {
        let now = self.now;
        let cabinet = &self.stores[self.services[service].store];
        let place = cabinet.versions.iter().rposition(|stored| stored.at <= now.saturating_sub(ago)).unwrap_or_default();
        let key = cabinet.versions.get(place).and_then(Stored::key);
        let found = &mut self.services[service].copies[copy];
        if !found.runs || found.stuck || found.lies {
            return;
        }
        let before = std::mem::replace(&mut found.holds, (place, key)).1;
        self.uses(service, copy, before, key);
    }

    fn uses(&mut self, service: usize, copy: usize, before: Option<usize>, key: Option<usize>) {
        let now = self.now;
        let known = std::mem::replace(&mut self.services[service].copies[copy].known, true);
        if known && before == key {
            return;
        }
        if known {
            self.lets_go(before);
        }
        if let Some(key) = key {
            self.issuer.keys[key].uses.push((now, None));
        }
        self.note(Fact::Uses { service, copy, key });
    }

    /// One user of this key less.
    fn lets_go(&mut self, key: Option<usize>) {
        let now = self.now;
        if let Some(key) = key
            && let Some(open) = self.issuer.keys[key].uses.iter_mut().find(|(_, to)| to.is_none())
        {
            open.1 = Some(now);
        }
    }

    /// A copy starts anew: its mood is gone, and it reads its store, perhaps through an old cache.
    pub fn restart(&mut self, service: usize, copy: usize) {
        let stale_for = self.stores[self.services[service].store].stale_for;
        let ago = if self.stale_starts && self.dice.u8(0..8) == 0 { self.some(stale_for) } else { Duration::ZERO };
        let found = &mut self.services[service].copies[copy];
        if !found.runs {
            return;
        }
        *found = Copy { runs: true, holds: found.holds, every: found.every, asked: found.asked, known: found.known, ..Copy::default() };
        self.take_up(service, copy, ago);
        if let Some(every) = self.services[service].copies[copy].every.filter(|_| !ago.is_zero()) {
            self.later(stale_for + every, move |outside| outside.take_up(service, copy, Duration::ZERO));
        }
    }

    /// A copy is gone for good.
    pub fn vanish(&mut self, service: usize, copy: usize) {
        let found = &mut self.services[service].copies[copy];
        if std::mem::take(&mut found.runs) {
            let held = found.holds.1;
            self.lets_go(held);
            self.note(Fact::Gone { service, copy });
        }
    }

    /// One more copy starts.
    pub fn appear(&mut self, service: usize) {
        let every = self.services[service].copies.first().and_then(|copy| copy.every);
        self.services[service].copies.push(Copy { runs: true, every, ..Copy::default() });
        let copy = self.services[service].copies.len() - 1;
        self.take_up(service, copy, Duration::ZERO);
    }

    /// The copies that run, as (service, copy).
    pub fn running(&self) -> Vec<(usize, usize)> {
        let each = |(number, service): (usize, &Service)| {
            let runs: Vec<_> = (0..service.copies.len()).filter(|copy| service.copies[*copy].runs).map(|copy| (number, copy)).collect();
            runs
        };
        self.services.iter().enumerate().flat_map(each).collect()
    }
}

/// What a copy says of itself.
fn report(outside: &mut Outside, service: usize, copy: usize) -> Got<Report> {
    let found = &mut outside.services[service];
    let (says, store) = (found.says, found.store);
    let asked = &mut found.copies[copy];
    asked.asked += 1;
    if !asked.runs || asked.hangs || asked.flaps && asked.asked.is_multiple_of(2) {
        return Err(Failure::unknown("no answer"));
    }
    let (lies, ill) = (asked.lies, asked.ill || asked.ill_on_new && asked.holds.1 != Some(0));
    let newest = (outside.stores[store].versions.len().saturating_sub(1), outside.served(store));
    let (place, key) = if lies { newest } else { outside.services[service].copies[copy].holds };
    let key = key.map(|key| &outside.issuer.keys[key]);
    let claim = key.map(|key| match says {
        Says::Version => Claim::Version((place + 1).to_string()),
        Says::KeyId => Claim::KeyId(key.id.clone()),
        Says::Sha256 => Claim::Sha256(Secret::new(&*key.value).sha256()),
    });
    Ok(Report { id: None, claim, healthy: !ill, status: if ill { 503 } else { 200 } })
}

#[async_trait]
impl Discovery for Port {
    async fn instances(&self) -> Got<Found> {
        let service = self.place;
        self.process
            .call(Op::Discover, service, move |outside| {
                let found = &outside.services[service];
                let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
                let instance = |copy: usize| Instance {
                    id: InstanceId::new(copy.to_string()),
                    host: "sim".into(),
                    address,
                    started: None,
                    leaving: false,
                };
                let runs: Vec<_> = (0..found.copies.len()).filter(|copy| found.copies[*copy].runs).collect();
                let expected = found.counted.then_some(runs.len());
                Ok(Found { instances: runs.into_iter().map(instance).collect(), expected })
            })
            .await
    }
}

#[async_trait]
impl Health for Port {
    async fn ask(&self, instance: &Instance) -> Got<Report> {
        let (service, process) = (self.place, self.process.number);
        let copy: usize = instance.id.as_str().parse().unwrap();
        let fault = self.process.befalls(Op::Ask, service).await;
        let status = match fault {
            Fault::Denied => Some(403),
            Fault::NotFound => Some(404),
            Fault::TooMany => Some(429),
            Fault::BrokenBefore => Some(503),
            _ => None,
        };
        if let Some(status) = status {
            return Ok(Report { id: None, claim: None, healthy: false, status });
        }
        self.process
            .suffered(fault, move |outside| {
                let told = report(outside, service, copy)?;
                let found = &outside.services[service];
                let claims = if found.copies[copy].lies { outside.served(found.store) } else { found.copies[copy].holds.1 };
                outside.note(Fact::Told { process, service, copy, key: claims, well: told.healthy });
                Ok(told)
            })
            .await
    }
}

#[async_trait]
impl Rollout for Port {
    async fn roll(&self, order: &Order) -> Got<()> {
        let (service, tag) = (self.place, order.tag.clone());
        self.process
            .call(Op::Roll, service, move |outside| {
                if !outside.services[service].rolled.contains(&tag) {
                    outside.services[service].rolled.push(tag);
                    for copy in 0..outside.services[service].copies.len() {
                        let after = outside.some(Duration::from_secs(5));
                        outside.later(after, move |outside| outside.restart(service, copy));
                    }
                }
                Ok(())
            })
            .await
    }
    async fn rolled(&self, order: &Order) -> Got<Option<bool>> {
        let (service, tag) = (self.place, order.tag.clone());
        self.process
            .call(Op::Rolled, service, move |outside| {
                let found = &outside.services[service];
                Ok((!found.forgets_rollouts).then(|| found.rolled.contains(&tag)))
            })
            .await
    }
}
