//! What must never happen, told from facts alone: it knows no state of the protocol, and believes no word of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use keyroll::{
    ids::KeyId,
    protocol::{Ask, Effect, End, Event, Kind, Role, Why},
    record::{Detail, Record},
};

use super::facts::{At, By, Fact, Origin};

type Told = (usize, usize, Option<usize>, bool);

/// What is true of a world from its beginning.
#[derive(Clone, Debug)]
pub struct Setting {
    pub kind: Kind,
    /// The key that is in use, where there is one.
    pub old: Option<usize>,
    /// Whether the provider can prove that.
    pub proved: bool,
    pub stores: usize,
    /// Per service: how many copies must prove a key; none: a job.
    pub expected: Vec<Option<usize>>,
    /// Per service: the store that it reads.
    pub reads: Vec<usize>,
    /// The longest a reader may still get an old value.
    pub stale_for: Duration,
    /// The shortest time between the new key's last write and the first harm to the old one.
    pub least: Duration,
}

struct Key {
    origin: Origin,
    made: At,
    /// Since when it is deleted, and by whom.
    deleted: Option<(At, By)>,
    off: Option<By>,
}

/// What somebody remembers who sees every fact.
pub struct Oracle<'a> {
    setting: &'a Setting,
    /// The key that was in use when the rotation began, as its first process read it.
    old: Option<usize>,
    /// What each store served then, and how many copies of each service were asked.
    was: Vec<Option<usize>>,
    expected: Vec<usize>,
    /// The first key that was made since then, and when that was.
    first: usize,
    began: At,
    id: &'a dyn Fn(&KeyId) -> Option<usize>,
    keys: Vec<Key>,
    /// Per store: every key it served, from when, and who wrote it.
    served: Vec<Vec<(At, Option<usize>, By)>>,
    copies: BTreeMap<(usize, usize), Option<usize>>,
    /// Who was told what by which copy, as the number of the fact.
    told: BTreeMap<(usize, usize), Told>,
    /// What each process last read each store as, and how many values it had served by then.
    read: BTreeMap<(usize, usize), (usize, Option<usize>, usize)>,
    /// Copies that say one thing and do another.
    liars: BTreeSet<(usize, usize)>,
    leaked: BTreeSet<usize>,
    waived: BTreeSet<(usize, Option<usize>)>,
    names: BTreeSet<String>,
    /// Keys with a committed intent to delete, or to switch.
    condemned: BTreeSet<usize>,
    switched: BTreeSet<usize>,
    writes: BTreeSet<(usize, &'static str)>,
    emergency: bool,
    /// The plan knew the old key's id.
    named: bool,
    /// Who wrote records, and who wrote the last one.
    drivers: BTreeSet<usize>,
    driver: usize,
    /// Keys that nobody can find before it is over: `keyroll reconcile` does.
    left: BTreeSet<usize>,
    /// How many values each store had served before the first process began.
    before: Vec<usize>,
    /// The new key is in the first store, and nobody turned back.
    promoted: bool,
    /// The new key of the attempt that is on.
    new: Option<usize>,
    held: Option<Why>,
    /// Somebody went on where a key could not be told from others.
    left_alone: bool,
    epoch: u64,
    seq: u64,
    now: At,
    number: usize,
}

type Verdict = Result<(), String>;

macro_rules! never {
    ($broken:expr, $($what:tt)*) => { if $broken { return Err(format!($($what)*)); } };
}

/// Looks at all facts; the first thing that must not be is an error.
pub fn judge<'a>(facts: &[(At, Fact)], setting: &'a Setting, id: &'a dyn Fn(&KeyId) -> Option<usize>) -> Result<Oracle<'a>, String> {
    let mut oracle = Oracle {
        setting,
        old: setting.old,
        was: vec![setting.old; setting.stores],
        expected: vec![0; setting.expected.len()],
        first: 0,
        began: At::ZERO,
        id,
        keys: Vec::new(),
        served: vec![Vec::new(); setting.stores],
        copies: BTreeMap::new(),
        told: BTreeMap::new(),
        read: BTreeMap::new(),
        liars: BTreeSet::new(),
        leaked: BTreeSet::new(),
        waived: BTreeSet::new(),
        names: BTreeSet::new(),
        condemned: BTreeSet::new(),
        switched: BTreeSet::new(),
        writes: BTreeSet::new(),
        emergency: false,
        named: false,
        drivers: BTreeSet::new(),
        driver: 0,
        left: BTreeSet::new(),
        before: vec![0; setting.stores],
        promoted: false,
        new: None,
        held: None,
        left_alone: false,
        epoch: 0,
        seq: 0,
        now: At::ZERO,
        number: 0,
    };
    for (number, (at, fact)) in facts.iter().enumerate() {
        (oracle.now, oracle.number) = (*at, number);
        oracle.sees(fact).map_err(|what| format!("{what} (fact {number}, after {at:?})"))?;
    }
    Ok(oracle)
}

impl Oracle<'_> {
    fn sees(&mut self, fact: &Fact) -> Verdict {
        match fact {
            Fact::Made { origin, .. } => {
                if let Origin::Ours { process, name, like } = origin {
                    // A runner that stood still while another one took over asks for a key that nobody waits for any more.
                    if *process != self.driver {
                        self.left.insert(self.keys.len());
                    }
                    never!(!self.names.contains(name), "a key is made, and no intent of its name is durable (I10)");
                    // In an emergency the old key may be gone: what was kept of it does as well, or another key that was made like it.
                    let ours = like.and_then(|like| self.keys.get(like)).is_some_and(|key| matches!(key.origin, Origin::Ours { .. }));
                    let alike = *like == self.old || self.emergency && ours;
                    let known = self.named || self.setting.proved && !self.emergency;
                    let copies = self.setting.kind == Kind::Rotate && known;
                    never!(copies && !alike, "a key is made without the old one's limits");
                }
                self.keys.push(Key { origin: origin.clone(), made: self.now, deleted: None, off: None });
            }
            Fact::Switched { key, on, by } => {
                self.keys[*key].off = (!on).then_some(*by);
                if let By::Us(_) = by {
                    never!(!self.switched.contains(key), "key {key} is switched, and no intent is durable (I10)");
                    if !on {
                        self.harms(*key)?;
                    }
                }
            }
            Fact::Deleted { key, by } => {
                self.keys[*key].deleted = Some((self.now, *by));
                self.promoted &= Some(*key) != self.old;
                if let By::Us(_) = by {
                    never!(!self.condemned.contains(key), "key {key} is deleted, and no intent for its exact id is durable (I5)");
                    self.ours_to_delete(*key)?;
                    self.harms(*key)?;
                }
            }
            Fact::Wrote { store, key, over, kept, by } => {
                // Where only somebody else's field changed, nobody wrote our key.
                if *by != By::Them || key != over {
                    self.served[*store].push((self.now, *key, *by));
                }
                if let By::Us(_) = by {
                    self.wrote(*store, *key, *over, *kept)?;
                }
            }
            Fact::Uses { service, copy, key } => {
                self.copies.insert((*service, *copy), *key);
                self.liars.remove(&(*service, *copy));
                if let Some(key) = key {
                    let theirs = self.written_by_them(self.setting.reads[*service], *key);
                    // With a leak nobody waits until no cache can still hold a key that was given up.
                    never!(
                        !theirs && !self.emergency && self.dead_by_us(*key),
                        "copy {copy} of service {service} is served key {key}, which we killed (I2)"
                    );
                }
            }
            Fact::Gone { service, copy } => drop(self.copies.remove(&(*service, *copy))),
            Fact::Told { process, service, copy, key, well } => {
                self.told.insert((*service, *copy), (self.number, *process, *key, *well));
            }
            Fact::Read { process, store, key } => {
                self.read.insert((*process, *store), (self.number, *key, self.served[*store].len()));
            }
            Fact::Lies { service, copy } => drop(self.liars.insert((*service, *copy))),
            // Somebody who only looks whether a rotation could begin is another matter.
            Fact::Probed { process, key } if self.drivers.contains(process) => {
                let lives = self.old.is_some_and(|old| self.keys[old].deleted.is_none());
                let spared = self.promoted && !self.emergency && lives && *key == self.old;
                never!(spared, "the old key is called with between its promote and its end: its idle time is void");
            }
            Fact::Recorded { process, record } => self.recorded(*process, record)?,
            Fact::Held { why } => self.held = Some(*why),
            Fact::Started { process: 0, .. } => self.before = self.served.iter().map(Vec::len).collect(),
            Fact::Probed { .. } | Fact::Started { .. } | Fact::Stopped { .. } | Fact::Called { .. } | Fact::Happened { .. } => {}
        }
        Ok(())
    }

    /// A key is off or dead by us, and that hurts nobody only because of an emergency.
    fn dead_by_us(&self, key: usize) -> bool {
        let found = &self.keys[key];
        let dead = matches!(found.deleted, Some((_, By::Us(_)))) || matches!(found.off, Some(By::Us(_)));
        dead && !self.leaked.contains(&key)
    }

    /// Whether the last one who wrote this key into this store was somebody else.
    fn written_by_them(&self, store: usize, key: usize) -> bool {
        let last = self.served[store].iter().enumerate().rev().find(|(_, (_, written, _))| *written == Some(key));
        last.is_some_and(|(place, (_, _, by))| place >= self.before[store] && *by == By::Them)
    }

    fn ours_to_delete(&self, key: usize) -> Verdict {
        match &self.keys[key].origin {
            Origin::Ours { .. } => Ok(()),
            _ if Some(key) == self.old && self.setting.proved => Ok(()),
            Origin::Before if self.leaked.contains(&key) => Ok(()),
            origin => Err(format!("key {key} ({origin:?}) is deleted, and is not ours to judge (I3)")),
        }
    }

    /// When a store stopped serving a key, as far as its first so many values tell.
    fn until(&self, store: usize, key: usize, known: usize) -> Option<At> {
        let served = &self.served[store][..known];
        served.windows(2).rev().find(|pair| pair[0].1 == Some(key) && pair[1].1 != Some(key)).map(|pair| pair[1].0)
    }

    /// A key stops working: nobody may be using it, and nobody may still get it.
    fn harms(&self, key: usize) -> Verdict {
        if self.leaked.contains(&key) {
            return Ok(());
        }
        for (store, served) in self.served.iter().enumerate() {
            let theirs = self.written_by_them(store, key);
            let now = served.last().is_some_and(|(_, current, _)| *current == Some(key));
            never!(now && !theirs, "key {key} stops working while store {store} serves it (I2)");
            let until = self.until(store, key, served.len());
            let fresh = until.is_some_and(|until| self.now < until + self.setting.stale_for);
            never!(
                fresh && !theirs && !self.emergency,
                "key {key} stops working {:?} after store {store} served it: a reader may still get it (I2)",
                self.now - until.unwrap_or_default()
            );
        }
        for ((service, copy), held) in &self.copies {
            let waived = self.waived.contains(&(*service, None)) || self.waived.contains(&(*service, Some(*copy)));
            let theirs = self.written_by_them(self.setting.reads[*service], key);
            never!(
                // The idle gate, which finds a liar, stands before the old key only.
                *held == Some(key)
                    && !waived
                    && !theirs
                    && (Some(key) == self.old || !self.liars.contains(&(*service, *copy)))
                    && self.setting.expected[*service].is_some(),
                "key {key} stops working while copy {copy} of service {service} uses it (I1)"
            );
        }
        Ok(())
    }

    fn wrote(&mut self, store: usize, key: Option<usize>, over: Option<usize>, kept: bool) -> Verdict {
        never!(!kept, "somebody else's field in store {store} is lost");
        never!(
            over.is_some_and(|over| self.keys[over].origin == Origin::Theirs && Some(over) != self.old),
            "somebody else's key in store {store} is written over"
        );
        let Some(key) = key else { return Err(format!("what is no key is written into store {store}")) };
        let what = if Some(key) == self.old { "restore" } else { "promote" };
        // A fence writes what is there once more, whichever it is.
        let intended = self.writes.contains(&(store, what)) || self.writes.contains(&(store, "restore"));
        never!(!intended, "store {store} is written, and no intent is durable (I10)");
        never!(self.dead_by_us(key), "key {key}, which we killed, is written into store {store} (I2)");
        Ok(())
    }

    fn recorded(&mut self, process: usize, record: &Record) -> Verdict {
        never!(record.seq != self.seq + 1 && record.seq != 1, "record {} follows record {}", record.seq, self.seq);
        never!(record.seq > 1 && record.epoch < self.epoch, "epoch {} follows epoch {} (I4)", record.epoch, self.epoch);
        (self.seq, self.epoch) = (record.seq, record.epoch);
        self.drivers.insert(process);
        self.driver = process;
        let text = serde_json::to_string(record).map_err(|error| error.to_string())?;
        never!(text.contains("-in-memory"), "a secret is in record {} (I7)", record.seq);
        match (&record.event, &record.detail) {
            (Event::Planned, Detail::Planned(plan)) => {
                self.named = plan.old.as_ref().is_some_and(|old| old.id.is_some());
                self.planned(process)
            }
            (Event::Intended(effect), Detail::Intent { name, key, .. }) => {
                self.names.extend(name.clone());
                let key = key.as_ref().and_then(|key| (self.id)(key));
                self.intended(process, *effect, key)?;
            }
            (_, Detail::Created { id, .. }) => self.new = (self.id)(id),
            (Event::Did(Effect::Promote(0)), _) => self.promoted = true,
            (Event::Asked(Ask::Emergency(..)), Detail::Emergency(emergency)) => {
                self.emergency = true;
                self.leaked.extend(emergency.leaked.iter().filter_map(|key| (self.id)(key)));
            }
            (Event::Asked(Ask::Waive), Detail::Person { waiver: Some(waiver), .. }) => {
                let service = waiver.consumer.trim_start_matches("service").parse().map_err(|_| "a waiver of nobody".to_owned())?;
                self.waived.insert((service, waiver.instance.as_ref().and_then(|copy| copy.as_str().parse().ok())));
            }
            (Event::Asked(Ask::Rollback), _) => self.promoted = false,
            (Event::Asked(Ask::GoOn), _) => {
                self.left_alone |= self.held == Some(Why::CannotSettle);
                // Somebody says that they deleted the old key: now it is asked.
                self.promoted &= self.held != Some(Why::RevokeByHand);
            }
            _ => {}
        }
        Ok(())
    }

    /// Another rotation begins.
    fn planned(&mut self, process: usize) {
        if self.setting.kind == Kind::Rotate {
            // In an emergency some store may not have answered.
            let read = (0..self.setting.stores).find_map(|store| self.read.get(&(process, store)));
            self.old = read.and_then(|(_, key, _)| *key);
        }
        (self.new, self.promoted, self.first, self.began) = (None, false, self.keys.len(), self.now);
        self.was = self.served.iter().map(|served| served.last().and_then(|(_, key, _)| *key)).collect();
        let asked = |service| self.told.range((service, 0)..(service + 1, 0)).filter(|(_, (_, asker, ..))| *asker == process).count();
        self.expected = (0..self.expected.len()).map(asked).collect();
    }

    fn intended(&mut self, process: usize, effect: Effect, key: Option<usize>) -> Verdict {
        match effect {
            Effect::Promote(store) => drop(self.writes.insert((store.into(), "promote"))),
            Effect::Restore(store) => {
                self.promoted = false;
                self.writes.insert((store.into(), "restore"));
            }
            Effect::Delete(role) => {
                let Some(key) = key else { return Err(format!("{effect:?} is intended, and of no known key (I3)")) };
                never!(role == Role::Old && Some(key) != self.old, "key {key} is taken for the old one");
                self.condemned.insert(key);
                self.promoted &= role != Role::Old;
                let served = self.served.iter().flatten().any(|(_, held, by)| *held == Some(key) && matches!(by, By::Us(_)));
                let harmless = role == Role::Stray || role != Role::Old && !served;
                if !harmless && !self.leaked.contains(&key) && !self.emergency {
                    let stays = if role == Role::Old { self.new } else { self.old };
                    self.proved(process, effect, stays, key)?;
                }
            }
            Effect::Disable => {
                self.promoted = false;
                let Some(key) = key else { return Err(format!("{effect:?} is intended, and of no known key (I3)")) };
                self.switched.insert(key);
                self.proved(process, effect, self.new, key)?;
            }
            Effect::Enable => self.switched.extend(key),
            Effect::Create | Effect::Rollout(..) => {}
        }
        Ok(())
    }

    /// I1: every expected copy told this very process the key that stays, and then the stores showed it; and nobody got the one
    /// that goes for long enough.
    fn proved(&self, process: usize, effect: Effect, stays: Option<usize>, goes: usize) -> Verdict {
        let Some(stays) = stays else { return Err(format!("{effect:?} is intended, and no key stays")) };
        let mut latest = 0;
        for (service, expected) in self.setting.expected.iter().enumerate() {
            let running = expected.is_some() && !self.waived.contains(&(service, None));
            let Some(expected) = running.then(|| self.expected[service]) else { continue };
            let mut count = 0;
            for ((_, copy), (number, asker, key, well)) in self.told.range((service, 0)..(service + 1, 0)) {
                if self.waived.contains(&(service, Some(*copy))) {
                    continue;
                }
                let good = *asker == process && *key == Some(stays) && *well;
                if !good && !self.copies.contains_key(&(service, *copy)) {
                    continue;
                }
                never!(
                    !good,
                    "{effect:?} is intended, and copy {copy} of service {service} last told {key:?} (well: {well}), not {stays} (I1)"
                );
                latest = latest.max(*number);
                count += 1;
            }
            let waived = self.waived.iter().filter(|(of, copy)| *of == service && copy.is_some()).count();
            never!(
                count + waived < expected,
                "{effect:?} is intended, and {count} of {expected} copies of service {service} proved it (I1)"
            );
        }
        for store in 0..self.setting.stores {
            let read = self.read.get(&(process, store));
            let good = read.is_some_and(|(number, key, _)| *number > latest && *key == Some(stays));
            never!(!good, "{effect:?} is intended, and store {store} was last read as {read:?}, not as {stays} after the proof (I1)");
            // What somebody writes between the last reading and the intent is beyond anybody's knowledge.
            let known = read.map_or(0, |(.., known)| *known);
            let until = self.until(store, goes, known);
            let early = until.is_some_and(|until| self.now < until + self.setting.least);
            never!(
                early,
                "{effect:?} is intended {:?} after store {store} served key {goes}: too soon",
                self.now - until.unwrap_or_default()
            );
        }
        Ok(())
    }
}

impl Oracle<'_> {
    /// What must be true once nothing moves any more.
    pub fn at_the_end(&self, end: Option<End>) -> Verdict {
        let by_them = |store: usize| {
            self.served[store].len() > self.before[store] && self.served[store].last().is_some_and(|(.., by)| *by == By::Them)
        };
        let ours: Vec<usize> = (0..self.keys.len()).filter(|key| matches!(self.keys[*key].origin, Origin::Ours { .. })).collect();
        let lives = |key: &usize| self.keys[*key].deleted.is_none() && !self.left.contains(key);
        let alive: Vec<usize> = ours.into_iter().filter(lives).collect();
        let others: Vec<usize> = alive.iter().copied().filter(|key| *key >= self.first).collect();
        for store in 0..self.setting.stores {
            let Some(key) = self.served[store].last().and_then(|(_, key, _)| *key).filter(|_| !by_them(store)) else { continue };
            never!(self.dead_by_us(key), "at the end store {store} serves key {key}, which we killed");
        }
        let old = self.old.map(|old| &self.keys[old]);
        let spared: Vec<&usize> = self.leaked.iter().filter(|key| self.keys[**key].deleted.is_none()).collect();
        never!(end.is_some() && !spared.is_empty(), "{end:?}, and what leaked is alive: {spared:?}");
        let new = match end {
            None => return Ok(()),
            Some(End::Done) => {
                let revoked = self.setting.kind != Kind::Rotate || old.is_some_and(|old| old.deleted.is_some());
                never!(!revoked, "it is done, and the old key is alive");
                let [new] = alive[..] else {
                    never!(!self.left_alone || alive.is_empty(), "it is done, and the live keys of ours are {alive:?}");
                    return Ok(());
                };
                never!(self.keys[new].off.is_some(), "it is done, and the new key is off");
                Some(new)
            }
            Some(End::RolledBack | End::Aborted) => {
                never!(!others.is_empty() && !self.left_alone, "{end:?}, and keys of ours are alive: {others:?}");
                let harmed = old.is_some_and(|old| {
                    matches!(old.deleted, Some((at, By::Us(_))) if at >= self.began) || matches!(old.off, Some(By::Us(_)))
                });
                never!(harmed, "{end:?}, and the old key does not work");
                None
            }
        };
        for store in (0..self.setting.stores).filter(|store| !by_them(*store)) {
            let serves = self.served[store].last().and_then(|(_, key, _)| *key);
            let stays = new.or(self.was[store]);
            let good = serves == stays || new.is_none() && serves == self.old;
            never!(!good, "{end:?}, and store {store} serves {serves:?}, not {stays:?}");
        }
        for ((service, copy), held) in &self.copies {
            let waived = self.waived.contains(&(*service, None)) || self.waived.contains(&(*service, Some(*copy)));
            let store = self.setting.reads[*service];
            let lies = self.liars.contains(&(*service, *copy));
            let (other, stays) = (by_them(store) || waived || lies, self.served[store].last().and_then(|(_, key, _)| *key));
            never!(*held != stays && !other, "{end:?}, and copy {copy} of service {service} uses {held:?}, not {stays:?}");
        }
        Ok(())
    }
}
