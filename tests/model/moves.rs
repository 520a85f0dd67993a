//! Everything that can happen next.

use keyroll::protocol::{Ask, Event, Leak, Pause, Phase, Proof, Role, Urgency, Why, allows, apply, gated};

use crate::{
    memory::Detail,
    setting::{Meddle, Setting},
    steps::Outcome,
    world::{Key, Life, Made, OLD, Op, Runner, Value, World, bit},
};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Move {
    /// A runner takes its next step.
    Step(usize, Outcome),
    /// A call that is under way lands.
    Land(Op),
    /// The other runner takes over.
    Take,
    /// An instance reads its store, perhaps an old value; so it is after a restart too.
    Read(usize, Value),
    /// Somebody else changes something in a store, or at the provider.
    Meddle(u8, Meddle),
    /// A person asks.
    Ask(Ask),
    /// The time has come at which what leaked is deleted.
    Due,
    /// A window closes.
    Gate,
    /// A person deletes a key by hand, as told.
    ByHand(Key),
}

pub const LEAKS: [Ask; 6] = [
    Ask::Emergency(Leak::Old, Urgency::ReplaceFast),
    Ask::Emergency(Leak::New, Urgency::ReplaceFast),
    Ask::Emergency(Leak::Both, Urgency::ReplaceFast),
    Ask::Emergency(Leak::Old, Urgency::RevokeFirst),
    Ask::Emergency(Leak::New, Urgency::RevokeFirst),
    Ask::Emergency(Leak::Both, Urgency::RevokeFirst),
];

impl World {
    pub fn moves(&self, setting: &Setting, out: &mut Vec<Move>) {
        self.helpful(setting, out);
        let state = &self.journal.state;
        if self.left.takes > 0 && apply(state, &Event::Resumed).is_ok() {
            out.push(Move::Take);
        }
        if self.left.meddles > 0 {
            for store in 0..setting.rules.stores {
                out.extend(
                    setting.meddles.iter().filter(|meddle| self.may_meddle(store, **meddle)).map(|meddle| Move::Meddle(store, *meddle)),
                );
            }
        }
        if self.left.asks > 0 {
            out.extend(setting.asks.iter().filter(|ask| self.may_ask(setting, **ask)).map(|ask| Move::Ask(*ask)));
        }
        if self.left.leaks > 0 {
            out.extend(LEAKS.iter().filter(|ask| allows(state, **ask)).map(|ask| Move::Ask(*ask)));
        }
        if gated(state) && state.proof != Proof::None {
            out.push(Move::Gate);
        }
        if state.held.is_some() {
            let told =
                |key: &Key| *key == OLD && state.phase == Phase::ByHand || !state.rules.revokes && self.journal.tombstones & bit(*key) != 0;
            let keys = (0..).zip(&self.keys).filter(|(_, made)| made.life != Life::Dead).map(|(key, _)| key);
            out.extend(keys.filter(told).map(Move::ByHand));
        }
    }

    /// What happens by itself: it needs no person, and no trouble.
    pub fn helpful(&self, setting: &Setting, out: &mut Vec<Move>) {
        for runner in 0..self.runners.len() {
            out.extend(self.outcomes(setting, runner).into_iter().map(|outcome| Move::Step(runner, outcome)));
        }
        let mut last = None;
        for op in &self.net {
            if last.replace(*op) != Some(*op) {
                out.push(Move::Land(*op));
            }
        }
        for instance in 0..self.instances.len() {
            let mut seen = vec![self.instances[instance]];
            for put in &self.source(instance).log {
                if !seen.contains(&put.value) {
                    seen.push(put.value);
                    out.push(Move::Read(instance, put.value));
                }
            }
        }
        if self.journal.state.owes() && !self.journal.state.due {
            out.push(Move::Due);
        }
    }

    /// Where somebody else's hand in it could be helped by no protocol, it is left out: an old value that is written back by hand
    /// after keyroll's last reading of the store, or when its key is already off or condemned.
    fn may_meddle(&self, store: u8, meddle: Meddle) -> bool {
        let state = &self.journal.state;
        let current = self.stores[usize::from(store)].current().value;
        match meddle {
            Meddle::Field => state.ended().is_none(),
            Meddle::Overwrite => current != Value::Foreign,
            Meddle::OldBack => {
                let safe = self.life(OLD) == Life::Live && self.journal.tombstones & bit(OLD) == 0 && !state.once_off;
                current != Value::Key(OLD) && safe && state.proof != Proof::Complete && self.leaked & bit(OLD) == 0
            }
            Meddle::DeleteOld => store == 0 && self.life(OLD) != Life::Dead,
            Meddle::MakeKey => store == 0 && state.ended().is_none() && !self.keys.is_full(),
        }
    }

    fn may_ask(&self, setting: &Setting, ask: Ask) -> bool {
        let state = &self.journal.state;
        if !allows(state, ask) {
            return false;
        }
        match ask {
            Ask::Waive => self.waived == 0 && !setting.job,
            // A person says that nothing of ours will land any more, and has looked.
            Ask::GoOn if state.held == Some(Why::CannotFence) => !self.writes_under_way(),
            Ask::GoOn if state.held == Some(Why::RevokeByHand) => {
                let key = match state.phase {
                    Phase::Discard | Phase::BackDelete => self.journal.key(Role::New),
                    Phase::Stray(_) => self.journal.key(Role::Stray),
                    _ => Some(OLD),
                };
                key.is_none_or(|key| self.life(key) == Life::Dead)
            }
            _ => true,
        }
    }

    fn writes_under_way(&self) -> bool {
        let behind = self.runners.iter().flatten().any(|runner| runner.behind.is_some());
        behind || self.net.iter().any(|op| matches!(op, Op::Promote(..) | Op::Restore(..)))
    }

    pub fn after(&self, setting: &Setting, step: Move) -> Option<Self> {
        if let Move::Step(runner, outcome) = step {
            return self.step(setting, runner, outcome);
        }
        let mut next = self.clone();
        match step {
            Move::Step(..) => {}
            Move::Land(op) => {
                let at = next.net.iter().position(|under_way| *under_way == op)?;
                next.net.remove(at);
                next.land(setting, op);
            }
            Move::Take => next.take_over(setting)?,
            Move::Read(instance, value) => next.instances[instance] = value,
            Move::Meddle(store, meddle) => {
                next.left.meddles -= 1;
                next.meddle(usize::from(store), meddle);
            }
            Move::Ask(ask) => next.ask(setting, ask)?,
            Move::Due => next.hear(setting, Event::Waited(Pause::Revoke))?,
            Move::Gate => next.hear(setting, Event::Gated)?,
            Move::ByHand(key) => {
                next.keys[usize::from(key)].life = Life::Dead;
                next.by_hand |= key == OLD;
            }
        }
        Some(next)
    }

    fn take_over(&mut self, setting: &Setting) -> Option<()> {
        let (old, before) = (self.holder()?, self.journal.clone());
        let new = 1 - old;
        self.left.takes -= 1;
        let stays = setting.without == Some(crate::setting::Without::Epoch) || World::finishes(&before.state);
        let behind = self.runners[old].take().filter(|_| stays).map(|runner| Runner { behind: Some(before), ..runner });
        self.runners[old] = behind;
        self.runners[new] = Some(Runner { behind: None, hand: None });
        self.hear(setting, Event::Resumed)
    }

    /// The holder of the lease writes down something that nobody answered.
    fn hear(&mut self, setting: &Setting, event: Event) -> Option<()> {
        let (runner, mind) = (self.holder()?, self.journal.clone());
        self.record(setting, runner, &mind, event, Detail::Nothing);
        Some(())
    }

    fn ask(&mut self, setting: &Setting, ask: Ask) -> Option<()> {
        let mind = self.journal.clone();
        match ask {
            Ask::Emergency(leak, _) => {
                self.left.leaks -= 1;
                let keys = [(leak != Leak::New).then_some(OLD), mind.key(Role::New).filter(|_| leak != Leak::Old)];
                self.leaked |= keys.into_iter().flatten().map(bit).sum::<u8>();
            }
            Ask::Waive => {
                self.left.asks -= 1;
                self.waived |= 1 << (self.instances.len() - 1);
            }
            Ask::GoOn if mind.state.held == Some(Why::CannotSettle) => {
                self.left.asks -= 1;
                let alive = (0..).zip(&self.keys).filter(|(_, made)| made.life != Life::Dead);
                self.reported |= alive.map(|(key, _)| bit(key)).sum::<u8>();
            }
            _ => self.left.asks -= 1,
        }
        self.hear(setting, Event::Asked(ask))
    }

    fn meddle(&mut self, store: usize, meddle: Meddle) {
        match meddle {
            Meddle::Field => {
                let value = self.stores[store].current().value;
                self.stores[store].put(value);
            }
            Meddle::Overwrite | Meddle::OldBack => {
                self.meddled = true;
                self.stores[store].put(if meddle == Meddle::Overwrite { Value::Foreign } else { Value::Key(OLD) });
            }
            Meddle::DeleteOld => {
                self.keys[usize::from(OLD)].life = Life::Dead;
                self.killed |= bit(OLD);
            }
            Meddle::MakeKey => self.keys.push(Made { life: Life::Live, attempt: None }),
        }
    }
}

impl Move {
    /// Whether it needs neither a person nor trouble.
    pub fn helps(&self) -> bool {
        matches!(self, Self::Step(..) | Self::Land(_) | Self::Read(..) | Self::Due)
    }
}
