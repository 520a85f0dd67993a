//! Readings. They change nothing and may be dropped at any time.

use std::time::Duration;

use super::{
    hands::{Hands, endure},
    known::{field, secret_field},
    witness::{Summons, pass},
};
use crate::{
    ids::{Fingerprint, KeyId},
    playbook::{ProbeLevel, Span, WriteSource},
    ports::{Ambiguity, Credential, Failure, Life, Listed, Question},
    protocol::{Answer, Candidate, Event, Jury, Kind, Leftover, Query, Role, made, may_be_off, serves, settle, widened, written},
    record::Detail,
    rotation::Rotation,
    secret::Secret,
    sight::Sight,
};

/// How many refusals in a row prove that a key is dead, each beside a successful call with the other key.
const REFUSALS: u8 = 3;
/// Between two looks at what may change at any moment.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(500);
/// How long read endpoints of one store may disagree before it counts as a missing proof.
const CONVERGE_WITHIN: Duration = Duration::from_secs(120);

impl Hands<'_> {
    /// Reads until there is an answer.
    ///
    /// # Errors
    /// The last failure where the other side refuses to be read, or patience is over.
    pub(super) async fn observe(&mut self, rotation: &Rotation, query: Query) -> Result<(Event, Detail), Failure> {
        self.known.update(rotation);
        let verify = self.book.verify;
        let (answer, detail) = match query {
            Query::Settle => self.leftovers(rotation).await?,
            Query::Live => self.live(rotation).await?,
            Query::Current(i) => self.current(rotation, usize::from(i)).await?,
            Query::Converged(i) => self.converged(rotation, usize::from(i)).await?,
            Query::Rolled(role, i) => (self.rolled(rotation, role, usize::from(i)).await?, Detail::Nothing),
            Query::Consumer(role, i) => {
                self.instances(rotation, role, Some(usize::from(i)), Jury::new(verify.stable_for.0, verify.within.0)).await
            }
            Query::Everyone(role) => self.instances(rotation, role, None, Jury::new(verify.stable_for.0, verify.within.0)).await,
            // The old key is off: three passes without a proof are enough to switch it on again.
            Query::Watched => self.instances(rotation, Role::New, None, Jury::new(rotation.plan.waits.watch, verify.every.0 * 3)).await,
            Query::Stores(role) => self.stores(role).await?,
            Query::Unused => self.unused(rotation).await?,
            Query::Dead(role) => self.dead(rotation, role).await?,
        };
        Ok((Event::Saw(query, answer), detail))
    }

    /// What lost creates left, read twice: at once, and when the listing must be complete.
    async fn leftovers(&mut self, rotation: &Rotation) -> Result<(Answer, Detail), Failure> {
        let traits = self.world.provider.traits();
        let named = traits.ambiguity != Ambiguity::Unnamed;
        let ours = rotation.accounted();
        let began = self.clock.steady();
        loop {
            let listed = endure!(self, self.world.provider.list());
            let held = if named { Vec::new() } else { self.in_stores(&listed).await? };
            // A lost create may land a little later, but a key made long after it is somebody else's.
            let last = rotation.unsure_create.unwrap_or(rotation.last) + traits.listed_within;
            let candidates = listed.iter().map(|key| Candidate {
                id: &key.id,
                named_ours: key.name.as_ref().is_some_and(|name| rotation.names.contains(name)),
                known: rotation.plan.listed.contains(&key.id),
                made: made(key.created_at, rotation.first_create, last),
                used: key.last_used.is_some() || self.world.provider.usage().is_none(),
                held: held.contains(&key.id),
            });
            match settle(candidates, &ours, rotation.unfound(), named) {
                Leftover::Stray(id) => return Ok((Answer::No, Detail::Stray { id })),
                Leftover::Unclear(id) => {
                    let said = format!("key {id} appeared at the provider, and nothing shows that this rotation made it");
                    return Ok((Answer::Foreign, Detail::Reply { said }));
                }
                Leftover::Nothing if self.clock.steady().saturating_sub(began) >= traits.listed_within => {
                    return Ok((Answer::Yes, Detail::Nothing));
                }
                Leftover::Nothing => self.clock.sleep(PROBE_EVERY.min(traits.listed_within)).await,
            }
        }
    }

    /// The listed keys that a store holds now.
    async fn in_stores(&mut self, listed: &[Listed]) -> Result<Vec<KeyId>, Failure> {
        let mut held = Vec::new();
        for place in 0..self.world.stores.len() {
            let Some(spec) = self.book.stores.get(place) else { continue };
            let Some(snapshot) = endure!(self, self.world.stores[place].read()) else { continue };
            let id = field(spec, WriteSource::Id).and_then(|name| snapshot.fields.get(name)).map(|id| KeyId::new(id.reveal()));
            held.extend(id.clone());
            if let Some(secret) = snapshot.fields.get(secret_field(spec)) {
                let credential = Credential { id, secret: secret.duplicate() };
                held.extend(endure!(self, self.world.provider.identify(&credential, listed)).map(|(id, _)| id));
            }
        }
        Ok(held)
    }

    /// Cheap calls in a row, then what the playbook asks for beyond that; and the key may do no more than was planned.
    async fn live(&mut self, rotation: &Rotation) -> Result<(Answer, Detail), Failure> {
        let Some(value) = self.new_value(rotation).await? else {
            return Ok((Answer::No, Detail::Reply { said: "the new key's value is gone".into() }));
        };
        let credential = Credential { id: rotation.key(Role::New).cloned(), secret: value };
        let (began, within) = (self.clock.steady(), self.world.provider.traits().ready_within);
        let (mut row, mut said) = (0, String::new());
        loop {
            match self.world.provider.probe(&credential).await {
                Ok(Life::Alive) => row += 1,
                Ok(Life::Dead) => (row, said) = (0, "the provider refuses the new key".into()),
                Ok(Life::Unclear) => (row, said) = (0, "the provider neither accepts nor refuses the new key".into()),
                Err(failure) => (row, said) = (0, failure.to_string()),
            }
            if row >= self.book.probe.times {
                match self.speaks(&credential).await {
                    Ok(spoken) => return self.allowed(rotation, spoken).await,
                    Err(why) => (row, said) = (0, why),
                }
            }
            if row == 0 {
                if self.clock.steady().saturating_sub(began) >= within {
                    return Ok((Answer::No, Detail::Reply { said }));
                }
                self.clock.sleep(PROBE_EVERY).await;
            }
        }
    }

    /// One real request with the new key, where the playbook wants one: what it showed, or why it is not good enough.
    async fn speaks(&mut self, credential: &Credential) -> Result<Option<String>, String> {
        let spec = self.book.probe.clone();
        let stream = spec.level == ProbeLevel::Stream;
        let (Some(port), Some(model)) = (self.world.provider.prompt().filter(|_| spec.level != ProbeLevel::Auth), spec.model) else {
            return Ok(None);
        };
        let began = self.clock.steady();
        let spoken = port.prompt(credential, &Question { model: &model, stream }).await.map_err(|failure| failure.to_string())?;
        let took = self.clock.steady().saturating_sub(began);
        serves(spoken.life == Life::Alive, stream.then_some(spoken.pieces), took, spec.within.0)
            .map_err(|why| format!("{model}: {why}"))?;
        let pieces = spoken.pieces.map_or_else(String::new, |pieces| format!(" in {pieces} pieces"));
        let room: Vec<String> = spoken.room.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let room = if room.is_empty() { String::new() } else { format!("; {}", room.join(", ")) };
        Ok(Some(format!("{model} answered the new key within {} ms{pieces}{room}", took.as_millis())))
    }

    /// A key that came with more than was planned is not used.
    async fn allowed(&mut self, rotation: &Rotation, spoken: Option<String>) -> Result<(Answer, Detail), Failure> {
        let planned = &rotation.plan.attributes.new;
        if let (false, Some(key)) = (planned.is_empty(), rotation.key(Role::New)) {
            let provider = self.world.provider.clone();
            if let Some(port) = provider.attributes() {
                let has = endure!(self, port.of(key));
                let more = widened(planned, &has);
                if !more.is_empty() {
                    let said = format!("the new key may do more than was planned: {}", more.join(", "));
                    return Ok((Answer::Bad, Detail::Reply { said }));
                }
            }
        }
        Ok((Answer::Yes, spoken.map_or(Detail::Nothing, |said| Detail::Reply { said })))
    }

    /// A store's value, compared with what the phase's write was to change.
    async fn current(&mut self, rotation: &Rotation, place: usize) -> Result<(Answer, Detail), Failure> {
        let snapshot = endure!(self, self.world.stores[place].read());
        let role = self.book.stores.get(place).and_then(|spec| self.known.shown(spec, snapshot.as_ref()));
        let version = snapshot.map(|snapshot| snapshot.version);
        let base = rotation.bases.get(place).cloned().flatten();
        let answer = written(&rotation.state, role, version != base);
        let detail = match (answer, version) {
            (Answer::Yes | Answer::Late, Some(version)) => Detail::Wrote { version },
            (Answer::Foreign, _) => Detail::Reply {
                said: format!("{} holds a value that is neither the old nor the new key", self.world.stores[place].locator()),
            },
            _ => Detail::Nothing,
        };
        Ok((answer, detail))
    }

    async fn converged(&mut self, rotation: &Rotation, place: usize) -> Result<(Answer, Detail), Failure> {
        let wanted = rotation.versions.get(place).and_then(|known| known.iter().rev().find(|(_, role)| *role == Role::New));
        let began = self.clock.steady();
        loop {
            let endpoints = endure!(self, self.world.stores[place].endpoints());
            let behind = endpoints.iter().find(|(_, version)| version.as_ref() != wanted.map(|(version, _)| version));
            let Some((name, _)) = behind else { return Ok((Answer::Yes, Detail::Nothing)) };
            // A foreign field may have moved the version on; what counts is the key.
            if endpoints.len() == 1 {
                let snapshot = endure!(self, self.world.stores[place].read());
                let role = self.book.stores.get(place).and_then(|spec| self.known.shown(spec, snapshot.as_ref()));
                if role == Some(Role::New) {
                    return Ok((Answer::Yes, Detail::Nothing));
                }
            }
            if self.clock.steady().saturating_sub(began) >= CONVERGE_WITHIN {
                return Ok((Answer::No, Detail::Reply { said: format!("{name} does not show the new key") }));
            }
            self.clock.sleep(PROBE_EVERY).await;
        }
    }

    async fn rolled(&mut self, rotation: &Rotation, role: Role, place: usize) -> Result<Answer, Failure> {
        let Some(rollout) = self.world.consumers.get(place).and_then(|wiring| wiring.rollout.as_ref()) else { return Ok(Answer::Yes) };
        let order = self.order(rotation, role, place);
        let happened = endure!(self, rollout.rolled(&order));
        // Where nobody can tell it is repeated: the tag lets the other side see that it is the same one.
        Ok(if happened == Some(true) { Answer::Yes } else { Answer::No })
    }

    /// Passes over instances until a verdict. What is missing at the end goes into the record.
    async fn instances(&mut self, rotation: &Rotation, role: Role, only: Option<usize>, mut jury: Jury) -> (Answer, Detail) {
        let spec = &self.book.verify;
        let expected = rotation.plan.consumers.iter().map(|consumer| consumer.expected).collect();
        let summons = Summons { role, only, expected, waivers: &rotation.waivers };
        let began = self.clock.steady();
        loop {
            let pass = pass(self.world, self.book, &mut self.known, self.clock, &summons).await;
            self.view.see(&Sight::Pass { proved: &pass.proved, missing: &pass.missing });
            if pass.showing.is_empty() && pass.short == 0 {
                // Jobs, and whom a person waived: there is nothing to watch.
                return (Answer::Yes, Detail::Evidence { proved: pass.proved, missing: pass.missing });
            }
            let now = self.clock.steady().saturating_sub(began);
            if let Some(answer) = jury.pass(now, &pass.showing, pass.short) {
                return (answer, Detail::Evidence { proved: pass.proved, missing: pass.missing });
            }
            self.clock.sleep(spec.every.0).await;
        }
    }

    async fn stores(&mut self, role: Role) -> Result<(Answer, Detail), Failure> {
        for (place, store) in self.world.stores.iter().enumerate() {
            let snapshot = endure!(self, store.read());
            let shown = self.book.stores.get(place).and_then(|spec| self.known.shown(spec, snapshot.as_ref()));
            if shown != Some(role) {
                let (answer, what) = match shown {
                    Some(_) => (Answer::Late, "the other of the two keys"),
                    None => (Answer::Foreign, "a value that is neither the old nor the new key"),
                };
                return Ok((answer, Detail::Reply { said: format!("{} holds {what}", store.locator()) }));
            }
        }
        Ok((Answer::Yes, Detail::Nothing))
    }

    /// Refusals in a row, each beside a successful call with a key that stays: a provider that is down refuses everybody.
    async fn dead(&mut self, rotation: &Rotation, role: Role) -> Result<(Answer, Detail), Failure> {
        let other = if role == Role::New { Role::Old } else { Role::New };
        let control = match self.value_of(rotation, &self.printed(rotation, other)).await? {
            None if other == Role::New => self.new_value(rotation).await?,
            value => value,
        };
        let control = control.map(|secret| Credential { id: rotation.key(other).cloned(), secret });
        let mut last = (Answer::Yes, Detail::Nothing);
        for print in self.printed(rotation, role) {
            last = self.refused(rotation, &print, control.as_ref()).await?;
            if last.0 != Answer::Yes {
                return Ok(last);
            }
        }
        if let Some(key) = rotation.key(role).filter(|_| may_be_off(&rotation.state, role))
            && !endure!(self, self.unlisted(key))
        {
            let said = format!("the provider refuses key {key}, but still lists it: it is disabled, not deleted");
            return Ok((Answer::No, Detail::Reply { said }));
        }
        Ok(last)
    }

    /// The keys that must be dead, or are in use: every one that had this role and is still of interest.
    fn printed(&self, rotation: &Rotation, role: Role) -> Vec<(Option<KeyId>, Fingerprint)> {
        let dead = |id: &KeyId| rotation.tombstones.contains(id);
        let former =
            rotation.formers.iter().filter(|former| dead(&former.id)).map(|former| (Some(former.id.clone()), former.fingerprint.clone()));
        let old = rotation.plan.old.as_ref().filter(|_| rotation.plan.rules.kind == Kind::Rotate);
        match role {
            Role::New => rotation.new.iter().map(|new| (Some(new.id.clone()), new.fingerprint.clone())).collect(),
            _ => old.map(|old| (old.id.clone(), old.fingerprint.clone())).into_iter().chain(former).collect(),
        }
    }

    async fn refused(
        &mut self,
        rotation: &Rotation,
        (id, print): &(Option<KeyId>, Fingerprint),
        control: Option<&Credential>,
    ) -> Result<(Answer, Detail), Failure> {
        let (name, other) =
            if rotation.new.as_ref().is_some_and(|new| new.fingerprint == *print) { ("new", "old") } else { ("old", "new") };
        let Some(secret) = self.value_of(rotation, &[(id.clone(), print.clone())]).await? else {
            if self.world.provider.by_person().is_some_and(|person| !person.lists()) {
                let said =
                    format!("the {name} value is no longer readable, and the provider lists no keys: nothing can show that it is dead");
                return Ok((Answer::No, Detail::Reply { said }));
            }
            let gone = match id {
                Some(id) => endure!(self, self.unlisted(id)),
                None => true,
            };
            let said = format!("the {name} value is no longer readable; the provider's listing was asked instead");
            return Ok((if gone { Answer::Yes } else { Answer::No }, Detail::Reply { said }));
        };
        let dying = Credential { id: id.clone(), secret };
        let within = self.book.revoke.dead_within.map_or(self.world.provider.traits().dead_within, |Span(time)| time);
        let began = self.clock.steady();
        let mut row = 0;
        loop {
            let shown = self.world.provider.probe(&dying).await;
            let beside = match control {
                Some(control) => Some(self.world.provider.probe(control).await),
                None => None,
            };
            row = if shown == Ok(Life::Dead) && beside == Some(Ok(Life::Alive)) { row + 1 } else { 0 };
            if row >= REFUSALS {
                let said = format!("the provider refused the {name} key {REFUSALS} times in a row and took the {other} one each time");
                return Ok((Answer::Yes, Detail::Reply { said }));
            }
            if row == 0 && self.clock.steady().saturating_sub(began) >= within {
                let said = match (shown, beside) {
                    (Ok(Life::Alive), _) => format!("the provider still accepts the {name} key"),
                    // Whoever cannot be asked has neither accepted nor refused it: it is asked again when that is possible.
                    (Err(failure), _) | (_, Some(Err(failure))) if failure.refusal().is_none() => return Err(failure),
                    (Ok(Life::Dead), None) => {
                        format!("the provider refuses the {name} key, and there is no value of the {other} one to try beside it")
                    }
                    (Ok(Life::Dead), _) => format!("the provider refuses the {other} key too"),
                    _ => format!("the provider neither accepts nor refuses the {name} key"),
                };
                return Ok((Answer::No, Detail::Reply { said }));
            }
            self.clock.sleep(PROBE_EVERY.min(within)).await;
        }
    }

    /// The value of one of these keys, from any version that a store still has.
    pub(super) async fn value_of(&mut self, rotation: &Rotation, keys: &[(Option<KeyId>, Fingerprint)]) -> Result<Option<Secret>, Failure> {
        for place in 0..self.world.stores.len() {
            let Some(spec) = self.book.stores.get(place) else { continue };
            for (version, _) in rotation.versions.get(place).into_iter().flatten().rev() {
                let Some(snapshot) = endure!(self, self.world.stores[place].read_at(version)) else { continue };
                if let Some(secret) = snapshot.fields.get(secret_field(spec))
                    && keys.iter().any(|(_, print)| secret.fingerprint(self.journal.salt()) == *print)
                {
                    return Ok(Some(secret.duplicate()));
                }
            }
        }
        Ok(None)
    }
}
