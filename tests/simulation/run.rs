//! One run: processes that begin, resume and die, a timer that starts them, and a person who answers.

use std::{pin::Pin, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use keyroll::{
    batch::{self, Item},
    driver::{self, Halt, Runner, Suspect, preflight, urgent},
    ids::{KeyId, RotationId},
    playbook::Playbook,
    ports::{Clock, Journal, JournalError},
    protocol::{Answer, Ask, End, Event, Kind, Leak, Query, Urgency, Why, allows, apply},
    record::Detail,
    retry::Patience,
    rotation::Rotation,
    schedule::{Stands, Times, freezes, stands},
    sight::Blind,
};
use tokio_util::sync::CancellationToken;

use super::{
    fate::{Counts, Fate},
    incidents, people,
    reader::Reader,
    reasons,
    scenario::{Scenario, Trouble},
    world::{
        book::parsed,
        facts::{At, Fact},
        fault::Incident,
        oracle::judge,
        process::Process,
    },
};

/// A process until its end: its number, and how it ended; none where it was killed.
type Life<'a> = Pin<Box<dyn Future<Output = (usize, Option<Result<(), String>>)> + 'a>>;

/// What became of a run.
pub struct Outcome {
    pub facts: Vec<(At, Fact)>,
    pub counts: Counts,
    pub end: Option<End>,
    pub held: Option<Why>,
    pub struck: usize,
    pub calls: usize,
    pub processes: usize,
    /// What must not be.
    pub wrong: Option<String>,
}

/// After so long, by the world's own clock, nothing more befalls a run; after so long it must be over.
const TROUBLED: Duration = Duration::from_secs(6 * 3600);
const LONGEST: Duration = Duration::from_secs(4 * 24 * 3600);
/// Calls and processes of one run.
const MOST_CALLS: usize = 300_000;
const MOST_PROCESSES: usize = 400;
/// How often a person answers a hold before they let it be.
const PATIENCE: usize = 12;

/// What a process is to do.
#[derive(Clone, Debug)]
enum Task {
    Begin,
    Leak,
    Resume,
    Ask(Ask, Detail),
}

type Running<'a> = FuturesUnordered<Life<'a>>;

struct Town {
    scenario: Scenario,
    fate: Fate,
}

/// The run of a seed.
pub fn run(seed: u64) -> Outcome {
    scenario(seed, || Scenario::of(seed))
}

/// The run of a scenario, which is made inside its own time.
pub fn scenario(seed: u64, make: impl FnOnce() -> Scenario) -> Outcome {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut scenario = make();
        let fate = Fate::new(scenario.lot.take().unwrap(), scenario.sim.ledger.clone());
        scenario.sim.chance(fate.clone());
        Town { scenario, fate }.lives().await
    })
}

impl Town {
    async fn lives(self) -> Outcome {
        let mut reader = Reader::new(self.scenario.sim.ledger.clone());
        let mut wrong = self.unfolds(&mut reader).await.err();
        // What is still under way lands.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let state = reader.rotation().map(|rotation| rotation.state);
        let (end, held) = (state.and_then(|state| state.ended()), state.and_then(|state| state.held));
        let facts = self.scenario.sim.facts();
        let id = |id: &KeyId| self.scenario.sim.lock().key_by_id(id.as_str());
        let verdict =
            judge(&facts, &self.scenario.setting, &id).and_then(|oracle| if wrong.is_none() { oracle.at_the_end(end) } else { Ok(()) });
        wrong = verdict.err().or(wrong).or_else(|| self.as_asked(end, held, reader.rotation()));
        let fate = self.fate.0.lock().unwrap();
        let processes = self.scenario.sim.lock().machines.len();
        Outcome { facts, counts: fate.counts.clone(), end, held, struck: fate.struck, calls: fate.calls, processes, wrong }
    }

    /// With nothing but what people ask for, a run ends as they ask.
    fn as_asked(&self, end: Option<End>, held: Option<Why>, rotation: Option<&Rotation>) -> Option<String> {
        if self.scenario.trouble != Trouble::None {
            return None;
        }
        let records = rotation.map(|_| self.scenario.sim.ledger.lock().last().unwrap().records.clone()).unwrap_or_default();
        let events: Vec<Event> = records.into_iter().map(|record| record.event).collect();
        let asked = |wanted: fn(&Ask) -> bool| events.iter().any(|event| matches!(event, Event::Asked(ask) if wanted(ask)));
        let back = asked(|ask| *ask == Ask::Rollback);
        let returns = self.scenario.setting.kind == Kind::Rotate;
        let new_leaked = asked(|ask| matches!(ask, Ask::Emergency(Leak::New, _)));
        // Who dies after a fence was written leaves a store that somebody moved on: nobody can tell who, and the way back waits.
        let moved = events.iter().any(|event| matches!(event, Event::Saw(Query::Current(_), Answer::Moved)));
        let good = match end {
            Some(End::Done) => !back || !returns,
            Some(End::RolledBack | End::Aborted) => back || new_leaked || moved,
            None => false,
        };
        (!good).then(|| format!("nothing was wrong, and it ended with {end:?}, held: {held:?}"))
    }

    async fn unfolds(&self, reader: &mut Reader) -> Result<(), String> {
        let mut running: Running<'_> = FuturesUnordered::new();
        let (mut begun, mut answered, mut calm) = (0, 0, false);
        loop {
            let now = self.scenario.sim.lock().now;
            let (calls, spent) = {
                let fate = self.fate.0.lock().unwrap();
                (fate.calls, fate.spent())
            };
            let machines = self.scenario.sim.lock().machines.len();
            if now > LONGEST || calls > MOST_CALLS || machines > MOST_PROCESSES {
                return Err(format!("it never ends: {calls} calls, {machines} processes, {now:?}"));
            }
            if !calm && (now > TROUBLED || answered >= PATIENCE / 2 || spent && self.idles(&running)) {
                calm = true;
                self.fate.0.lock().unwrap().calm = true;
                let mut outside = self.scenario.sim.lock();
                incidents::heals(&mut outside, &self.scenario.setting.expected);
            }
            let mut pause = self.scenario.tick;
            match reader.rotation().cloned() {
                None if begun >= 30 => return if self.scenario.trouble == Trouble::None { Err("it never began".into()) } else { Ok(()) },
                None if self.idles(&running) => {
                    begun += 1;
                    running.push(self.process(if self.scenario.leaked_first { Task::Leak } else { Task::Begin }));
                }
                None => {}
                Some(rotation) if rotation.state.ended().is_some() && running.is_empty() => return Ok(()),
                Some(rotation) if rotation.state.ended().is_some() => {}
                Some(rotation) => {
                    let wish = self.fate.0.lock().unwrap().wishes.pop();
                    if let Some(wish) = wish {
                        self.wished(&rotation, wish, &mut running);
                    } else if self.idles(&running) {
                        let host = self.scenario.sim.lock().dice.usize(0..2);
                        match self.stands(&rotation, host) {
                            Stands::Held(why) => {
                                if answered >= PATIENCE {
                                    return if running.is_empty() { Ok(()) } else { self.wait(&mut running, pause).await.map(|_| ()) };
                                }
                                answered += 1;
                                self.answers(&rotation, why, &mut running).await?;
                            }
                            Stands::Waits { until, .. } => {
                                let left = (until - self.wall(host)).to_std().unwrap_or_default();
                                pause = left.clamp(Duration::from_secs(1), Duration::from_secs(1800));
                            }
                            Stands::Ready(_) => running.push(self.on(host, Task::Resume)),
                        }
                    }
                }
            }
            self.wait(&mut running, pause).await?;
        }
    }

    /// Lets time pass; processes end meanwhile.
    async fn wait(&self, running: &mut Running<'_>, pause: Duration) -> Result<(), String> {
        let until = tokio::time::Instant::now() + pause;
        loop {
            let next = async {
                match running.next().await {
                    Some(ended) => ended,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return Ok(()),
                (process, how) = next => self.ended(process, how)?,
            }
        }
    }

    /// What a process said at its end; a dead one says nothing.
    fn ended(&self, process: usize, how: Option<Result<(), String>>) -> Result<(), String> {
        let Some(how) = how else { return Ok(()) };
        let how = how.err().unwrap_or_else(|| "ended".into());
        let defect = how.contains("this is a defect of keyroll") || how.contains("cannot be trusted");
        self.scenario.sim.lock().note(Fact::Stopped { process, how: how.clone() });
        if defect { Err(how) } else { Ok(()) }
    }

    /// Whether no process is at work: those that are dead or stand still are not.
    fn idles(&self, running: &Running<'_>) -> bool {
        let outside = self.scenario.sim.lock();
        let still = outside.machines.iter().filter(|machine| machine.dead_since.is_none() && machine.still.is_some()).count();
        running.len() <= still
    }

    fn wall(&self, host: usize) -> chrono::DateTime<chrono::Utc> {
        let outside = self.scenario.sim.lock();
        outside.time() + outside.wrong_by[host]
    }

    /// Whether there is something to do, by the clock of a host.
    fn stands(&self, rotation: &Rotation, host: usize) -> Stands {
        let gate = Times::new(&self.scenario.book, &freezes(&self.scenario.sim.ledger.decreed()));
        stands(rotation, &gate, self.wall(host))
    }

    fn process<'a>(&'a self, task: Task) -> Life<'a> {
        let host = self.scenario.sim.lock().dice.usize(0..2);
        self.on(host, task)
    }

    fn on<'a>(&'a self, host: usize, task: Task) -> Life<'a> {
        let process = self.scenario.sim.process(host);
        let stop = CancellationToken::new();
        self.fate.0.lock().unwrap().stops.insert(process.number, stop.clone());
        let what = match &task {
            Task::Begin => "begin",
            Task::Leak => "emergency",
            Task::Resume => "resume",
            Task::Ask(..) => "ask",
        };
        self.scenario.sim.lock().note(Fact::Started { process: process.number, host, what });
        Box::pin(async move {
            let done = process.lives(self.does(&process, task, stop)).await;
            (process.number, done)
        })
    }

    async fn does(&self, process: &Process, task: Task, stop: CancellationToken) -> Result<(), String> {
        let told = |error: JournalError| error.to_string();
        let (mut rotation, mut lease) = match task {
            Task::Begin => {
                let seen = batch::seen(process, "sim").await.map_err(told)?;
                let mut overrides = batch::overrides(process, "sim").await.map_err(told)?;
                overrides.install = self.scenario.setting.kind == Kind::Install;
                overrides.replace = self.scenario.setting.kind == Kind::Replace;
                let item = Item { book: self.scenario.book.clone(), world: process.world() };
                let plan = preflight(&item.world, &item.book, process, &overrides).await;
                let plan = plan.map_err(|problems| format!("preflight: {}", problems[0].what))?;
                batch::begin(process, process, &item, plan, Some(seen), None, &mut Blind).await.map_err(told)?
            }
            Task::Leak => {
                let overrides = batch::overrides(process, "sim").await.map_err(told)?;
                let item = Item { book: self.scenario.book.clone(), world: process.world() };
                let (plan, _) = urgent(&item.world, &item.book, process, &overrides, &Suspect::default())
                    .await
                    .map_err(|problems| format!("urgent: {}", problems[0].what))?;
                let leaked = plan.old.iter().filter_map(|old| old.id.clone()).collect();
                let now = process.now();
                let emergency = people::emergency(leaked, Urgency::ReplaceFast, now, &mut self.scenario.sim.lock().dice);
                let leak = (Event::Asked(Ask::Emergency(Leak::Old, Urgency::ReplaceFast)), Detail::Emergency(emergency));
                batch::begin(process, process, &item, plan, None, Some(leak), &mut Blind).await.map_err(told)?
            }
            Task::Resume | Task::Ask(..) => {
                let id = self.id();
                let Some((mut rotation, mut lease)) = batch::take(process, process, &id, &mut Blind).await.map_err(told)? else {
                    return Ok(());
                };
                if let Task::Ask(ask, detail) = task {
                    let event = Event::Asked(ask);
                    let Ok(next) = apply(&rotation.state, &event) else { return Ok(()) };
                    let record = process.append(&mut lease, process.now(), event, detail, next.ended().is_some()).await.map_err(told)?;
                    rotation.add(&record).map_err(|broken| broken.to_string())?;
                    if matches!(ask, Ask::Amend | Ask::Waive) {
                        return Ok(());
                    }
                }
                (rotation, lease)
            }
        };
        let book = self.book(&rotation);
        let gate = batch::gate(process, &book).await.map_err(told)?;
        let runner = Runner {
            world: &process.world(),
            book: &book,
            journal: process,
            clock: process,
            gate: &gate,
            stop: &stop,
            patience: Patience::default(),
            longest_wait: if rotation.state.emergency() { LONGEST } else { self.scenario.longest_wait },
            handed: None,
        };
        let mut view = Blind;
        let work = driver::drive(&runner, &mut view, &mut rotation, &mut lease);
        let done: Result<(), Halt> = batch::watched(process, process, &gate, work).await;
        done.map_err(|halt| halt.to_string())
    }

    fn id(&self) -> RotationId {
        self.scenario.sim.ledger.lock().last().unwrap().entry.rotation.clone()
    }

    /// The playbook in force.
    fn book(&self, rotation: &Rotation) -> Playbook {
        parsed("amended", rotation.playbook.clone())
    }

    /// Somebody wants what only who takes the rotation over can do: the running process was asked to stop.
    fn wished<'a>(&'a self, rotation: &Rotation, wish: Incident, running: &mut Running<'a>) {
        if !self.idles(running) {
            return self.fate.0.lock().unwrap().wishes.insert(0, wish);
        }
        let asked = people::ask(wish, rotation, self.wall(0), &mut self.scenario.sim.lock().dice);
        if let Some((ask, detail)) = asked.filter(|(ask, _)| allows(&rotation.state, *ask)) {
            running.push(self.process(Task::Ask(ask, detail)));
        }
    }

    /// The rotation is held: somebody looks whether that is so, mends what can be mended, and says what to do.
    async fn answers<'a>(&'a self, rotation: &Rotation, why: Why, running: &mut Running<'a>) -> Result<(), String> {
        let facts = self.scenario.sim.facts();
        self.scenario.sim.lock().note(Fact::Held { why });
        reasons::real(why, rotation, &self.scenario.setting, self.scenario.reads_once, &facts)?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let ask = {
            let mut outside = self.scenario.sim.lock();
            reasons::mends(why, rotation, &self.scenario.setting, &mut outside)
        };
        if let Some(ask) = ask.filter(|ask| allows(&rotation.state, *ask)) {
            running.push(self.process(Task::Ask(ask, people::person(None, None))));
        }
        Ok(())
    }
}
