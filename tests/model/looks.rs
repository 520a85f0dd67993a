//! What a reading may show: `driver::looks` in small, with the protocol's own judges.

use std::{sync::LazyLock, time::Duration};

use keyroll::{
    ids::{InstanceId, KeyId},
    protocol::{Answer, Candidate, Jury, Kind, Leftover, Made, Query, Role, Showing, may_be_off, settle, short, written},
};

use crate::{
    memory::{Detail, Memory},
    setting::Setting,
    world::{Key, Life, Put, World, bit},
};

/// Names, made once.
static KEYS: LazyLock<Vec<KeyId>> = LazyLock::new(|| (0..8).map(|key| KeyId::new(format!("key-{key}"))).collect());
static INSTANCES: LazyLock<Vec<InstanceId>> = LazyLock::new(|| (0..2).map(|at| InstanceId::new(format!("instance-{at}"))).collect());

/// Whether an answer needs a cause that the model does not know.
fn unlucky(setting: &Setting, world: &World, runner: usize, query: Query, answer: Answer) -> bool {
    answer != Answer::Yes && !world.due(setting, runner, query).contains(&answer)
}

impl World {
    /// What a reader may get from a store: keyroll's own readings are fresh, unless the setting says otherwise.
    pub fn readable(&self, setting: &Setting, store: u8) -> impl Iterator<Item = Put> + '_ {
        let log = &self.stores[usize::from(store)].log;
        let from = if setting.stale_reads { 0 } else { log.len() - 1 };
        log[from..].iter().copied()
    }

    /// Every answer that this query may get, with what was read.
    pub fn answers(&self, setting: &Setting, runner: usize, query: Query) -> Vec<(Answer, Option<Put>)> {
        let Some(mind) = self.mind(runner) else { return Vec::new() };
        match query {
            Query::Current(i) => self.readable(setting, i).map(|put| (current(mind, i, put), Some(put))).collect(),
            _ => {
                let mut answers: Vec<_> = self.due(setting, runner, query).into_iter().map(|answer| (answer, None)).collect();
                let bad_luck = match query {
                    Query::Consumer(..) | Query::Everyone(_) | Query::Watched => &[Answer::No, Answer::Bad][..],
                    Query::Live | Query::Converged(_) | Query::Dead(_) => &[Answer::No],
                    _ => &[],
                };
                if self.left.luck > 0 {
                    answers.extend(
                        bad_luck
                            .iter()
                            .filter(|answer| !answers.contains(&(**answer, None)))
                            .map(|answer| (*answer, None))
                            .collect::<Vec<_>>(),
                    );
                }
                answers
            }
        }
    }

    /// The answers that the world as it is gives by itself.
    fn due(&self, setting: &Setting, runner: usize, query: Query) -> Vec<Answer> {
        let Some(mind) = self.mind(runner) else { return Vec::new() };
        let yes = |so: bool| vec![if so { Answer::Yes } else { Answer::No }];
        match query {
            Query::Current(i) => self.readable(setting, i).map(|put| current(mind, i, put)).collect(),
            Query::Settle => vec![self.leftovers(setting, mind).0],
            Query::Live => yes(self.new_value(runner, mind).is_some_and(|key| self.life(key) == Life::Live)),
            Query::Converged(i) => {
                let mut seen: Vec<_> = self.readable(setting, i).map(|put| mind.role(put.value) == Some(Role::New)).collect();
                seen.sort_unstable();
                seen.dedup();
                seen.into_iter().flat_map(yes).collect()
            }
            Query::Rolled(..) => vec![Answer::Yes, Answer::No],
            Query::Consumer(role, i) => yes(self.proved(setting, mind, role, Some(i))),
            Query::Everyone(role) => yes(self.proved(setting, mind, role, None)),
            Query::Watched => yes(self.proved(setting, mind, Role::New, None)),
            Query::Stores(role) => self.shown(setting, mind, role),
            Query::Unused => {
                let used = self.instances.iter().any(|value| mind.role(*value) == Some(Role::Old));
                vec![if used { Answer::No } else { Answer::Yes }, Answer::Later]
            }
            Query::Dead(role) => yes(self.refused(mind, role)),
        }
    }

    /// An answer without a cause is paid for.
    pub fn pay_for(&mut self, before: &World, setting: &Setting, runner: usize, query: Query, answer: Answer) {
        self.left.luck -= u8::from(unlucky(setting, before, runner, query, answer));
    }

    /// What a reading leaves in the record.
    pub fn seen(&self, setting: &Setting, mind: &Memory, query: Query, answer: Answer, put: Option<Put>) -> Detail {
        match (query, answer, put) {
            (Query::Settle, Answer::No, _) => self.leftovers(setting, mind).1.map_or(Detail::Nothing, Detail::Stray),
            (Query::Current(_), Answer::Yes | Answer::Late, Some(put)) => Detail::At(put),
            _ => Detail::Nothing,
        }
    }

    /// What lost creates left, by the protocol's own judgement.
    fn leftovers(&self, setting: &Setting, mind: &Memory) -> (Answer, Option<Key>) {
        let ours = |key: Key| {
            let plays = mind.new == Some(key) || mind.key(Role::Old) == Some(key) || mind.formers.contains(&key);
            plays || mind.tombstones & bit(key) != 0
        };
        let place = |key: Key| &KEYS[usize::from(key)];
        let keys = (0..).zip(&self.keys).filter(|(_, made)| made.life != Life::Dead);
        let candidates = keys.clone().map(|(key, made)| Candidate {
            id: place(key),
            named_ours: made.attempt.is_some(),
            known: key == 0,
            made: Made::Meanwhile,
            // Nobody has the value of a key whose creation was lost.
            used: made.attempt.is_none(),
            held: false,
        });
        let known: Vec<KeyId> = keys.clone().filter(|(key, _)| ours(*key)).map(|(key, _)| place(key).clone()).collect();
        match settle(candidates, &known, mind.unfound.unwrap_or_default().into(), !setting.unnamed) {
            Leftover::Nothing => (Answer::Yes, None),
            Leftover::Stray(id) => (Answer::No, keys.map(|(key, _)| key).find(|key| *place(*key) == id)),
            Leftover::Unclear(_) => (Answer::Foreign, None),
        }
    }

    /// Whether these instances prove a key, by the protocol's own judgement.
    fn proved(&self, setting: &Setting, mind: &Memory, role: Role, only: Option<u8>) -> bool {
        let showing: Vec<_> = (0..self.instances.len())
            .filter(|at| self.expected(setting, *at))
            .filter(|at| only.is_none_or(|only| setting.rules.consumers == 1 || usize::from(only) == *at))
            .map(|at| {
                let shows = if mind.role(self.instances[at]) == Some(role) { Showing::Wanted } else { Showing::Other };
                (INSTANCES[at].clone(), shows)
            })
            .collect();
        let missing = short(showing.len(), &showing);
        showing.is_empty() || Jury::new(Duration::ZERO, Duration::ZERO).pass(Duration::ZERO, &showing, missing) == Some(Answer::Yes)
    }

    /// Whether an instance must prove its key.
    pub fn expected(&self, setting: &Setting, instance: usize) -> bool {
        let job = setting.job && instance + 1 == self.instances.len();
        !job && self.waived & 1 << instance == 0
    }

    /// Whether all stores show a key; each may be read as late as any reader reads it.
    fn shown(&self, setting: &Setting, mind: &Memory, role: Role) -> Vec<Answer> {
        let mut answers = vec![Answer::Yes];
        for store in 0..u8::try_from(self.stores.len()).unwrap_or(u8::MAX) {
            if !answers.contains(&Answer::Yes) {
                break;
            }
            answers.retain(|answer| *answer != Answer::Yes);
            for put in self.readable(setting, store) {
                let answer = match mind.role(put.value) {
                    Some(shown) if shown == role => Answer::Yes,
                    Some(_) => Answer::Late,
                    None => Answer::Foreign,
                };
                if !answers.contains(&answer) {
                    answers.push(answer);
                }
            }
        }
        answers
    }

    /// Whether the provider refuses what must be dead, beside a call with a key that works. A key that is off is refused too.
    fn refused(&self, mind: &Memory, role: Role) -> bool {
        let old = mind.key(Role::Old).or((mind.kind != Kind::Install).then_some(0));
        let formers = mind.formers.iter().copied().filter(|former| mind.tombstones & bit(*former) != 0);
        let olds = || old.filter(|_| mind.kind == Kind::Rotate).into_iter().chain(formers.clone());
        let works = |key: Option<Key>| key.is_some_and(|key| self.life(key) == Life::Live);
        match role {
            Role::New => works(old) && mind.new.is_none_or(|new| self.life(new) != Life::Live),
            _ => {
                let off = mind.key(Role::Old).is_some_and(|old| may_be_off(&mind.state, Role::Old) && self.life(old) == Life::Off);
                works(mind.new) && olds().all(|key| self.life(key) != Life::Live) && !off
            }
        }
    }
}

/// A store's value, compared with what the phase's write was to change.
fn current(mind: &Memory, store: u8, put: Put) -> Answer {
    written(&mind.state, mind.role(put.value), put.version != mind.bases[usize::from(store)].version)
}
