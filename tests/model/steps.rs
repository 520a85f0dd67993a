//! A runner's next step: what `driver` makes of each action, in small.

use keyroll::protocol::{Action, Answer, Effect, Event, Pause, Phase, Refusal, Role, Stand, decide, replaces};

use crate::{
    memory::{Detail, Memory},
    setting::{Setting, Without},
    world::{Crime, Key, Landed, Life, OLD, Op, Put, Value, World, bit},
};

/// How a step goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// As it should.
    Plain,
    /// It happens, and the reply is lost.
    Unheard,
    /// The reply is lost; it may still happen.
    Late,
    /// It happens, and may happen once more.
    Twice,
    /// The other side refuses.
    Denied,
    /// A reading, of what a reader may get from a store.
    Saw(Answer, Option<Put>),
    /// An intent that rests on a reading.
    Read(Put),
}

impl World {
    /// How the next step of a runner may go.
    pub fn outcomes(&self, setting: &Setting, runner: usize) -> Vec<Outcome> {
        use Outcome::*;
        let Some(mind) = self.mind(runner) else { return Vec::new() };
        let holds = self.holder() == Some(runner);
        match decide(&mind.state) {
            Action::Do(effect) if holds || setting.without == Some(Without::Epoch) => {
                let may = [
                    (Unheard, self.left.losses > 0),
                    (Late, self.left.losses > 0 && !matches!(effect, Effect::Rollout(..)) && !self.net.is_full()),
                    (Twice, self.left.losses > 0 && !matches!(effect, Effect::Rollout(..)) && !self.net.is_full()),
                    (Denied, self.left.luck > 0),
                ];
                [Plain].into_iter().chain(may.into_iter().filter(|(_, may)| *may).map(|(outcome, _)| outcome)).collect()
            }
            Action::Do(_) => vec![Plain],
            _ if !holds && setting.without != Some(Without::Epoch) => Vec::new(),
            Action::Stop => Vec::new(),
            Action::Intend(Effect::Promote(i) | Effect::Restore(i)) => self.readable(setting, i).map(Read).collect(),
            Action::Intend(_) | Action::Park(_) | Action::Wait(_) => vec![Plain],
            Action::Look(query) => self.answers(setting, runner, query).into_iter().map(|(answer, put)| Saw(answer, put)).collect(),
        }
    }

    /// The world after a runner's step; none: it cannot go like this.
    pub fn step(&self, setting: &Setting, runner: usize, outcome: Outcome) -> Option<Self> {
        let mind = self.mind(runner)?;
        let (mut next, event, detail) = self.act(setting, runner, outcome)?;
        next.record(setting, runner, mind, event, detail);
        Some(next)
    }

    /// The world before this step's record is written, and the record.
    pub fn act(&self, setting: &Setting, runner: usize, outcome: Outcome) -> Option<(Self, Event, Detail)> {
        let mut next = self.clone();
        let mind = self.mind(runner)?.clone();
        let (event, detail) = match (decide(&mind.state), outcome) {
            (Action::Intend(effect), outcome) => (Event::Intended(effect), intend(&mind, effect, outcome)),
            (Action::Do(effect), outcome) => next.perform(setting, runner, &mind, effect, outcome)?,
            (Action::Look(query), Outcome::Saw(answer, put)) => {
                next.pay_for(self, setting, runner, query, answer);
                (Event::Saw(query, answer), next.seen(setting, &mind, query, answer, put))
            }
            (Action::Park(pause), _) => {
                if matches!(pause, Pause::Grace | Pause::Stale) {
                    next.stores.iter_mut().for_each(|store| store.wait_begins());
                }
                (Event::Parked(pause), Detail::Nothing)
            }
            (Action::Wait(pause), _) => {
                if matches!(pause, Pause::Grace | Pause::Stale) && setting.without != Some(Without::StaleFor) {
                    next.stores.iter_mut().for_each(|store| store.wait_ends());
                    next.jobs_end(setting);
                }
                (Event::Waited(pause), Detail::Nothing)
            }
            _ => return None,
        };
        Some((next, event, detail))
    }

    /// Writes a record, where the journal takes it.
    pub fn record(&mut self, setting: &Setting, runner: usize, mind: &Memory, event: Event, detail: Detail) {
        match mind.with(event, detail) {
            Ok(memory) => self.append(setting, runner, memory),
            Err(_) => self.accuse(Crime::Illegal),
        }
    }

    fn perform(&mut self, setting: &Setting, runner: usize, mind: &Memory, effect: Effect, outcome: Outcome) -> Option<(Event, Detail)> {
        if outcome == Outcome::Denied {
            self.left.luck -= 1;
            return Some((Event::Refused(effect, Refusal::Denied), Detail::Nothing));
        }
        if let Effect::Rollout(..) = effect {
            // Instances read the stores when they like: a rollout changes nothing that is not possible without it.
            self.left.losses -= u8::from(outcome == Outcome::Unheard);
            return Some((if outcome == Outcome::Unheard { Event::Lost(effect) } else { Event::Did(effect) }, Detail::Nothing));
        }
        let op = match self.op(runner, mind, effect) {
            Ok(op) => op,
            Err(why) => return (outcome == Outcome::Plain).then_some((Event::Refused(effect, why), Detail::Nothing)),
        };
        self.charge(runner, mind, op, effect);
        if outcome != Outcome::Plain {
            self.left.losses -= 1;
        }
        if matches!(outcome, Outcome::Late | Outcome::Twice) {
            self.net.push(op);
            self.net.sort_unstable();
        }
        if outcome == Outcome::Late {
            return Some((Event::Lost(effect), Detail::Nothing));
        }
        let landed = self.land(setting, op);
        if outcome == Outcome::Unheard {
            return Some((Event::Lost(effect), Detail::Nothing));
        }
        Some(match landed {
            Landed::Made(key) => {
                if let Some(runner) = self.runners[runner].as_mut() {
                    runner.hand = Some(key);
                }
                (Event::Did(effect), Detail::Created(key))
            }
            Landed::Put(put) => (Event::Did(effect), Detail::At(put)),
            Landed::Changed => (Event::Did(effect), Detail::Nothing),
            Landed::Gone => (Event::Refused(effect, Refusal::Gone), Detail::Nothing),
            Landed::Moved => (Event::Refused(effect, Refusal::Conflict), Detail::Nothing),
            Landed::NotHere => (Event::Refused(effect, Refusal::Denied), Detail::Nothing),
            Landed::Full => (Event::Refused(effect, Refusal::Quota), Detail::Nothing),
        })
    }

    /// What is sent for an effect; a refusal where the driver does not send it.
    fn op(&self, runner: usize, mind: &Memory, effect: Effect) -> Result<Op, Refusal> {
        let key = |role| mind.key(role).ok_or(Refusal::ValueLost);
        Ok(match effect {
            Effect::Create => Op::Create(mind.state.attempt),
            Effect::Promote(i) => {
                let value = self.new_value(runner, mind).ok_or(Refusal::ValueLost)?;
                Op::Promote(i, Value::Key(value), mind.bases[usize::from(i)])
            }
            Effect::Restore(i) => Op::Restore(i, self.restored(mind, usize::from(i))?, mind.bases[usize::from(i)]),
            Effect::Disable | Effect::Enable => key(Role::Old).map(|_| Op::Switch(effect == Effect::Enable))?,
            Effect::Delete(role) => Op::Delete(key(role)?),
            Effect::Rollout(..) => return Err(Refusal::Invalid),
        })
    }

    /// The new key's value: from the runner's own memory, or from a store that serves it.
    pub fn new_value(&self, runner: usize, mind: &Memory) -> Option<Key> {
        let hand = self.runners[runner].as_ref()?.hand;
        let served = || self.stores.iter().any(|store| mind.role(store.current().value) == Some(Role::New));
        hand.or_else(|| mind.new.filter(|_| served()))
    }

    fn restored(&self, mind: &Memory, store: usize) -> Result<Value, Refusal> {
        if mind.state.phase == Phase::Fence {
            let current = self.stores[store].current();
            return match current.value {
                _ if current.version != mind.bases[store].version => Err(Refusal::Conflict),
                Value::Nothing => Err(Refusal::ValueLost),
                value => Ok(value),
            };
        }
        let value = mind.old_value(store).ok_or(Refusal::ValueLost)?;
        // The provider is asked before an old value is written back.
        if matches!(mind.state.phase, Phase::BackRestore(_)) && self.life(OLD) != Life::Live {
            return Err(Refusal::Gone);
        }
        Ok(value)
    }

    /// Looks at what is about to be sent.
    fn charge(&mut self, runner: usize, mind: &Memory, op: Op, effect: Effect) {
        // What a deletion needs is its tombstone: that is looked at where it lands.
        if mind.state.stand == Stand::Idle && !matches!(effect, Effect::Delete(_)) {
            self.accuse(Crime::NoIntent);
        }
        // A runner that lost its lease ends what it began before anybody said that the key leaked.
        if self.holder() != Some(runner) {
            return;
        }
        if let Op::Promote(store, Value::Key(key), _) | Op::Restore(store, Value::Key(key), _) = op {
            let there = self.stores[usize::from(store)].current().value == Value::Key(key);
            if self.leaked & bit(key) != 0 && !there {
                self.accuse(Crime::LeakedWritten);
            }
        }
    }

    /// Runs of a job that began before the wait are over, and what they had read is forgotten.
    fn jobs_end(&mut self, setting: &Setting) {
        let job = self.instances.len() - 1;
        let readable = |value: Value| self.source(job).log.iter().any(|put| put.value == value);
        if setting.job && !readable(self.instances[job]) {
            self.instances[job] = Value::Nothing;
        }
    }
}

fn intend(mind: &Memory, effect: Effect, outcome: Outcome) -> Detail {
    match (effect, outcome) {
        (Effect::Promote(i) | Effect::Restore(i), Outcome::Read(put)) => {
            Detail::At(if replaces(&mind.state, effect, mind.role(put.value)) { put } else { mind.bases[usize::from(i)] })
        }
        (Effect::Delete(role), _) => mind.key(role).map_or(Detail::Nothing, Detail::Dies),
        _ => Detail::Nothing,
    }
}
