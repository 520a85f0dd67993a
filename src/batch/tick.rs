//! One tick: the open rotations first, then what is due, the most pressing first.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{Batch, Item, Known, Outcome, Parsed, Tick, Trouble, adopted, road, survey, targets};
use crate::{
    driver::{self, Halt, Runner, preflight},
    ids::RotationId,
    playbook::{Playbook, Source},
    ports::{Entry, Gate, JournalError, Lease},
    protocol::{End, Phase},
    record::Decreed,
    report::words,
    rotation::Rotation,
    schedule::{Cause, Stands, Terms, Times, due, freezes, queued, stands},
};

/// What one tick carries along.
#[derive(Default)]
struct Round {
    tick: Tick,
    /// Held or gone back in this tick: nothing new begins.
    bad: Option<String>,
    /// Rotations that may still change their services, and what those are found by.
    busy: Vec<(RotationId, Vec<String>)>,
}

/// An outcome, and the rotation where one was driven.
type Drove = (Outcome, Option<Rotation>);

impl Batch<'_> {
    /// Moves every open rotation on that has something to do, then begins what is due.
    ///
    /// # Errors
    /// The journal cannot be read: nothing more was done. What is wrong with one playbook is one of the outcomes.
    pub async fn tick(&mut self) -> Result<Tick, JournalError> {
        let decrees = self.journal.decrees().await?;
        if decrees.len() != self.decrees {
            self.decrees = decrees.len();
            self.freezes = freezes(&decrees);
            self.known.iter_mut().for_each(|known| *known = None);
        }
        let entries = self.journal.entries().await?;
        if entries != self.entries {
            self.regroup(entries);
        }
        let mut round = Round::default();
        let open: Vec<Entry> = self.entries.iter().rev().filter(|entry| entry.open).cloned().collect();
        for entry in &open {
            if self.stop.is_cancelled() {
                return Ok(round.tick);
            }
            self.move_on(entry, &mut round).await?;
        }
        let mut ready = Vec::new();
        for place in 0..self.items.len() {
            if let Some(at) = self.look(place, &decrees, &open, &mut round).await? {
                ready.push((at, place));
            }
        }
        ready.sort();
        for (_, place) in ready {
            if self.stop.is_cancelled() {
                break;
            }
            self.begin(place, &mut round).await?;
        }
        Ok(round.tick)
    }

    fn regroup(&mut self, entries: Vec<Entry>) {
        let mut by_name: HashMap<String, Vec<(RotationId, bool)>> = HashMap::new();
        for entry in &entries {
            by_name.entry(entry.name.clone()).or_default().push((entry.rotation.clone(), entry.open));
        }
        for (item, known) in self.items.iter().zip(&mut self.known) {
            if by_name.get(&item.book.name) != self.by_name.get(&item.book.name) {
                *known = None;
            }
        }
        let open: std::collections::HashSet<&RotationId> = entries.iter().filter(|entry| entry.open).map(|entry| &entry.rotation).collect();
        self.parsed.retain(|id, _| open.contains(id));
        (self.entries, self.by_name) = (entries, by_name);
    }

    async fn move_on(&mut self, entry: &Entry, round: &mut Round) -> Result<(), JournalError> {
        let records = self.journal.records(&entry.rotation).await?;
        let rotation = match Rotation::fold(&records) {
            Ok(rotation) if rotation.state.ended().is_some() => return Ok(()),
            Ok(rotation) => rotation,
            Err(broken) => {
                let code = self.host.trouble(&entry.name, Trouble::Broken(entry.rotation.clone(), broken.to_string()), None);
                round.tick.outcomes.push(outcome(&entry.name, Some(&entry.rotation), "its records make no sense", code));
                return Ok(());
            }
        };
        let book = self.parse(&rotation);
        let times = Times::of(&rotation.plan.name, book.as_ref().and_then(|book| book.window.clone()), &self.freezes);
        let (outcome, rotation) = match stands(&rotation, &times, self.clock.now()) {
            Stands::Ready(_) => {
                let (outcome, driven) = self.resume(&rotation, &times).await?;
                round.note(&rotation, driven.as_ref());
                (outcome, driven.unwrap_or(rotation))
            }
            _ => (self.told(&rotation, &times), rotation),
        };
        if let Some(book) = book.filter(|_| !settled(&rotation)) {
            round.busy.push((rotation.id.clone(), targets(&book)));
        }
        round.tick.outcomes.push(outcome);
        Ok(())
    }

    /// The playbook of an open rotation, read once.
    fn parse(&mut self, rotation: &Rotation) -> Option<Arc<Playbook>> {
        if let Some(parsed) = self.parsed.get(&rotation.id).filter(|parsed| parsed.text == rotation.playbook) {
            return parsed.book.clone();
        }
        let source = Arc::new(Source { name: rotation.plan.origin.clone(), text: rotation.playbook.clone() });
        let parsed = Parsed { text: rotation.playbook.clone(), book: Playbook::parse(source).ok().map(Arc::new) };
        let book = parsed.book.clone();
        self.parsed.insert(rotation.id.clone(), parsed);
        book
    }

    async fn resume(&self, rotation: &Rotation, times: &Times) -> Result<Drove, JournalError> {
        let (name, id) = (&rotation.plan.name, &rotation.id);
        let item = match self.host.item(&rotation.plan.origin, &rotation.playbook) {
            Ok(item) => item,
            Err(code) => return Ok((outcome(name, Some(id), "its playbook is not understood", code), None)),
        };
        let mut view = self.host.view();
        match road::take(self.journal, self.clock, id, view.as_mut()).await {
            Ok(Some((rotation, lease))) => self.steer(&item, times, rotation, lease, view).await,
            Ok(None) => Ok((outcome(name, Some(id), "ended in the meantime", 0), None)),
            Err(error) => elsewhere(name, id, error),
        }
    }

    /// Drives it as far as it goes now.
    async fn steer(
        &self,
        item: &Item,
        times: &Times,
        mut rotation: Rotation,
        mut lease: Lease,
        mut view: Box<dyn crate::sight::View>,
    ) -> Result<Drove, JournalError> {
        use tracing::Instrument;
        let held = rotation.state.held.is_some();
        let runner = Runner {
            world: &item.world,
            book: &item.book,
            journal: self.journal,
            clock: self.clock,
            stop: self.stop,
            gate: times,
            patience: self.manner.patience,
            longest_wait: self.manner.longest_wait,
            handed: None,
        };
        let span = tracing::info_span!("rotation", id = %rotation.id, playbook = %rotation.plan.name);
        let work = driver::drive(&runner, view.as_mut(), &mut rotation, &mut lease).instrument(span);
        let result = road::watched(self.journal, self.clock, times, work).await;
        view.end();
        drop(lease);
        let name = rotation.plan.name.clone();
        match result {
            Ok(()) => {
                self.host.driven(item, held, &rotation, &self.journal.records(&rotation.id).await?).await;
                Ok((self.told(&rotation, times), Some(rotation)))
            }
            Err(Halt::Journal(error @ JournalError::TakenOver(_))) => elsewhere(&name, &rotation.id, error),
            Err(halt) => {
                let what = format!("stopped while {}", words::step(&rotation));
                let code = self.host.trouble(&name, Trouble::Halt(halt), Some(&rotation));
                let next = Some(format!("keyroll resume {}", rotation.id));
                Ok((Outcome { next, ..outcome(&name, Some(&rotation.id), what, code) }, Some(rotation)))
            }
        }
    }

    /// Whether an item is due and may begin: since when.
    async fn look(
        &mut self,
        place: usize,
        decrees: &[Decreed],
        open: &[Entry],
        round: &mut Round,
    ) -> Result<Option<DateTime<Utc>>, JournalError> {
        let item = self.items[place].clone();
        let name = &item.book.name;
        if open.iter().any(|entry| entry.name == *name) {
            return Ok(None);
        }
        if self.known[place].is_none() {
            let places: Vec<String> = item.world.stores.iter().map(|store| store.locator()).collect();
            let rotations = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
            let past = survey(self.journal, rotations, Some(&places)).await?.past;
            let key = match &past.key {
                Some(key) => key.clone(),
                None => match adopted(&item).await {
                    Ok(key) => key,
                    Err(failure) => {
                        if let Err(error) = road::free(self.journal, &item, Some(rotations.len())).await {
                            round.tick.outcomes.push(not_begun(name, error)?.0);
                            return Ok(None);
                        }
                        let code = self.host.trouble(name, Trouble::Unasked(failure.into()), None);
                        round.tick.outcomes.push(outcome(name, None, "its provider or store did not say how old the key is", code));
                        return Ok(None);
                    }
                },
            };
            let terms = Terms { name, every: item.book.every.map(|every| every.0), needs: item.needs() };
            let times = Times::new(&item.book, &self.freezes);
            let due = due(&terms, &key, &past, queued(decrees, name).as_ref(), &times);
            self.known[place] = Some(Known { due, past, times });
        }
        let Some(known) = &self.known[place] else { return Ok(None) };
        let now = self.clock.now();
        let Some((at, begins)) = known.due.at.zip(known.due.begins) else {
            if known.due.cause == Cause::AgeUnknown {
                round.tick.unknown.push(name.clone());
            }
            return Ok(None);
        };
        if at > now {
            if round.tick.next.as_ref().is_none_or(|(_, next)| at < *next) {
                round.tick.next = Some((name.clone(), at));
            }
            return Ok(None);
        }
        if begins > now {
            round.tick.closed.push((name.clone(), begins));
            return Ok(None);
        }
        Ok(match known.times.closed(now) {
            None => Some(at),
            Some(closed) => {
                round.tick.closed.push((name.clone(), closed.until));
                None
            }
        })
    }

    async fn begin(&mut self, place: usize, round: &mut Round) -> Result<(), JournalError> {
        let item = self.items[place].clone();
        let name = &item.book.name;
        let skip = |what: String| outcome(name, None, what, 0);
        if let Some(bad) = round.bad.as_ref().filter(|_| !self.manner.keep_going) {
            let next = Some("keyroll run --due --keep-going".to_owned());
            let what = format!("due, not begun: {bad} went wrong first");
            round.tick.outcomes.push(Outcome { next, ..skip(what) });
            return Ok(());
        }
        // Those before it took time.
        let Some(known) = &self.known[place] else { return Ok(()) };
        if let Some(closed) = known.times.closed(self.clock.now()) {
            round.tick.closed.push((name.clone(), closed.until));
            return Ok(());
        }
        let mine = targets(&item.book);
        if let Some((id, _)) = round.busy.iter().find(|(_, theirs)| theirs.iter().any(|target| mine.contains(target))) {
            let what = format!("due, not begun: rotation {id} is changing the same service");
            round.tick.outcomes.push(Outcome { code: 6, ..skip(what) });
            return Ok(());
        }
        let tries = known.past.failed;
        let seen = self.by_name.get(name).map_or(0, Vec::len);
        let (outcome, driven) = self.start(&item, &known.times, seen).await?;
        if let Some(rotation) = driven {
            if !settled(&rotation) {
                round.busy.push((rotation.id.clone(), mine));
            }
            if bad(&rotation) {
                round.bad = Some(name.clone());
            }
        }
        tracing::info!(playbook = %name, code = outcome.code, tries, "was due");
        round.tick.outcomes.push(outcome);
        Ok(())
    }

    async fn start(&self, item: &Item, times: &Times, seen: usize) -> Result<Drove, JournalError> {
        let name = &item.book.name;
        if let Err(error) = road::free(self.journal, item, Some(seen)).await {
            return not_begun(name, error);
        }
        let overrides = road::overrides(self.journal, name).await?;
        let mut plan = match preflight(&item.world, &item.book, self.clock, &overrides).await {
            Ok(plan) => plan,
            Err(problems) => {
                if let Err(error) = road::free(self.journal, item, Some(seen)).await {
                    return not_begun(name, error);
                }
                let code = self.host.trouble(name, Trouble::Preflight(problems), None);
                let next = Some(format!("keyroll plan {}", item.book.source.name));
                return Ok((Outcome { next, ..outcome(name, None, "due, not begun: it cannot be rotated as things are", code) }, None));
            }
        };
        match self.host.agreed(item, &mut plan).await {
            Ok(true) => {}
            Ok(false) => return Ok((outcome(name, None, "due, not begun: its plan waits for another person's approval", 6), None)),
            Err(code) => return Ok((outcome(name, None, "due, not begun: its approval could not be taken", code), None)),
        }
        let mut view = self.host.view();
        match road::begin(self.journal, self.clock, item, plan, Some(seen), None, view.as_mut()).await {
            Ok((rotation, lease)) => self.steer(item, times, rotation, lease, view).await,
            Err(error) => not_begun(name, error),
        }
    }

    fn told(&self, rotation: &Rotation, times: &Times) -> Outcome {
        let what = match rotation.state.ended() {
            Some(End::Done) => "rotated".into(),
            Some(End::RolledBack) => "rolled back; the old key is in use".into(),
            Some(End::Aborted) => "aborted; every store is as it was".into(),
            None => match stands(rotation, times, self.clock.now()) {
                Stands::Held(why) => format!("held: {}", words::why(why)),
                Stands::Waits { until, why } => format!("parked until {}: {why}", until.format("%Y-%m-%d %H:%M UTC")),
                Stands::Ready(_) => format!("interrupted while {}", words::step(rotation)),
            },
        };
        let next = words::next(rotation).into_iter().next().map(|line| line.split("  # ").next().unwrap_or_default().to_owned());
        Outcome { next, ..outcome(&rotation.plan.name, Some(&rotation.id), what, words::exit_code(rotation)) }
    }
}

impl Round {
    /// One that was driven, and went wrong just now.
    fn note(&mut self, before: &Rotation, after: Option<&Rotation>) {
        if let Some(after) = after.filter(|after| bad(after) && !bad(before)) {
            self.bad = Some(after.plan.name.clone());
        }
    }
}

/// Held, or on its way back.
fn bad(rotation: &Rotation) -> bool {
    rotation.state.going_back() || rotation.state.held.is_some() || matches!(rotation.state.ended(), Some(End::RolledBack | End::Aborted))
}

/// Whether it changes nothing about its services any more.
fn settled(rotation: &Rotation) -> bool {
    let back = matches!(rotation.state.phase, Phase::BackGrace | Phase::BackDelete);
    rotation.state.ended().is_some() || words::old_is_out(rotation) || back
}

/// Somebody else drives it: no error.
fn elsewhere(name: &str, id: &RotationId, error: JournalError) -> Result<Drove, JournalError> {
    match error {
        JournalError::Busy(..) | JournalError::TakenOver(_) => {
            let next = Some(format!("keyroll show {id}"));
            Ok((Outcome { next, ..outcome(name, Some(id), "another keyroll is driving it", 6) }, None))
        }
        error => Err(error),
    }
}

/// Somebody else came first: no error.
fn not_begun(name: &str, error: JournalError) -> Result<Drove, JournalError> {
    match error {
        JournalError::Open(id) => {
            let next = Some(format!("keyroll show {id}"));
            Ok((Outcome { next, ..outcome(name, Some(&id), "due, not begun: a rotation of the same key is open", 6) }, None))
        }
        JournalError::Overtaken(_) => {
            Ok((outcome(name, None, "not begun: another keyroll began and ended a rotation of it just now", 0), None))
        }
        error => Err(error),
    }
}

fn outcome(name: &str, rotation: Option<&RotationId>, what: impl Into<String>, code: u8) -> Outcome {
    Outcome { playbook: name.to_owned(), rotation: rotation.cloned(), what: what.into(), code, next: None }
}
