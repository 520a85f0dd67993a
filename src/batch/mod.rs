//! Many playbooks and one journal: moves on what is open, begins what is due, one after the other.
//!
//! One [`Batch::tick`] is what `keyroll run --due` does. A batch may live on and tick again: it remembers what cannot have
//! changed since, so that a tick with nothing to do costs little.

mod adopted;
mod road;
mod survey;
mod tick;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

pub use self::{
    adopted::adopted,
    road::{begin, free, gate, overrides, seen, take, watched},
    survey::{Survey, survey},
};
use crate::{
    driver::{Halt, waits},
    ids::RotationId,
    playbook::{Instances, Playbook, RolloutSpec},
    ports::{Clock, Entry, Journal, JournalError, Problem, World},
    record::{Plan, Record},
    retry::Patience,
    rotation::Rotation,
    schedule::{Due, Freeze, Past, Times},
    sight::View,
};

/// A playbook and what it touches.
#[derive(Debug)]
pub struct Item {
    /// Its fields.
    pub book: Playbook,
    /// Its adapters.
    pub world: World,
}

impl Item {
    /// How long a rotation takes by its own waits.
    pub fn needs(&self) -> Duration {
        needs(&self.book)
    }
}

/// How long a rotation of this playbook takes by its own waits: proof, grace, idle time and soak.
pub fn needs(book: &Playbook) -> Duration {
    let waits = waits(book);
    let parts = [book.verify.within.0, waits.grace, waits.idle, waits.watch, waits.soak];
    parts.into_iter().fold(Duration::ZERO, Duration::saturating_add)
}

/// Why a playbook got nowhere.
#[derive(Debug)]
pub enum Trouble {
    /// What preflight found; nothing was changed.
    Preflight(Vec<Problem>),
    /// What its provider or store said when it was asked how old the key is.
    Unasked(Problem),
    /// The driver stopped.
    Halt(Halt),
    /// The journal did not take it.
    Journal(JournalError),
    /// The journal's records of it make no sense.
    Broken(RotationId, String),
}

/// What a batch needs of the program around it.
#[async_trait]
pub trait Host: Sync {
    /// Builds an open rotation's playbook from its text. `Err`: an exit code; the host has said why.
    fn item(&self, origin: &str, playbook: &str) -> Result<Item, u8>;
    /// Somebody to look on while a rotation is driven.
    fn view(&self) -> Box<dyn View>;
    /// Whether a plan may begin: where it needs another person's word, that word goes into it. `Ok(false)`: it waits for one.
    /// `Err`: an exit code; the host has said why.
    async fn agreed(&self, item: &Item, plan: &mut Plan) -> Result<bool, u8>;
    /// A rotation was driven as far as it goes now; `held`: it was held before.
    async fn driven(&self, item: &Item, held: bool, rotation: &Rotation, records: &[Record]);
    /// Says what is wrong; the exit code.
    fn trouble(&self, playbook: &str, trouble: Trouble, rotation: Option<&Rotation>) -> u8;
}

/// How a batch goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Longer waits are left to the journal.
    pub longest_wait: Duration,
    /// How long a call is repeated.
    pub patience: Patience,
    /// Begin others after one that was held or went back.
    pub keep_going: bool,
}

/// What became of one playbook in one tick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Its name.
    pub playbook: String,
    /// Its rotation, where it has one.
    pub rotation: Option<RotationId>,
    /// What happened, in words.
    pub what: String,
    /// Its exit code.
    pub code: u8,
    /// What to type next.
    pub next: Option<String>,
}

/// What one tick did, and what is to come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tick {
    /// What was open or due.
    pub outcomes: Vec<Outcome>,
    /// Due, but the window is closed or a freeze is on: their names, and when they may begin.
    pub closed: Vec<(String, DateTime<Utc>)>,
    /// Nobody knows how old their keys are: never due by themselves.
    pub unknown: Vec<String>,
    /// The next that will be due.
    pub next: Option<(String, DateTime<Utc>)>,
}

/// Playbooks, a journal, and what is remembered between two ticks.
pub struct Batch<'a> {
    journal: &'a dyn Journal,
    clock: &'a dyn Clock,
    host: &'a dyn Host,
    stop: &'a CancellationToken,
    manner: Manner,
    items: Vec<Arc<Item>>,
    /// How many decrees were read; they are never taken back.
    decrees: usize,
    freezes: Vec<Freeze>,
    entries: Vec<Entry>,
    by_name: HashMap<String, Vec<(RotationId, bool)>>,
    /// Per item; none: to be looked at.
    known: Vec<Option<Known>>,
    parsed: HashMap<RotationId, Parsed>,
}

/// What is known of an item as long as the journal says nothing new.
struct Known {
    due: Due,
    past: Past,
    times: Times,
}

/// An open rotation's playbook, as far as it is needed to look at it.
#[derive(Clone)]
struct Parsed {
    text: String,
    book: Option<Arc<Playbook>>,
}

impl<'a> Batch<'a> {
    /// A batch of these playbooks.
    pub fn new(
        journal: &'a dyn Journal,
        clock: &'a dyn Clock,
        host: &'a dyn Host,
        stop: &'a CancellationToken,
        manner: Manner,
        items: Vec<Arc<Item>>,
    ) -> Self {
        let known = items.iter().map(|_| None).collect();
        Self {
            journal,
            clock,
            host,
            stop,
            manner,
            items,
            decrees: 0,
            freezes: Vec::new(),
            entries: Vec::new(),
            by_name: HashMap::new(),
            known,
            parsed: HashMap::new(),
        }
    }
}

/// Of two exit codes the one that needs somebody sooner.
pub fn worse(one: u8, other: u8) -> u8 {
    const RANK: [u8; 7] = [0, 6, 4, 1, 2, 5, 3];
    let rank = |code: u8| RANK.iter().position(|known| *known == code);
    if rank(other) > rank(one) { other } else { one }
}

/// What its consumers are found and rolled out by: two playbooks that share one touch the same services.
fn targets(book: &Playbook) -> Vec<String> {
    let blocks = book.consumers.iter().flat_map(|consumer| {
        let found = match &consumer.instances {
            Instances::Running { found, .. } => Some(found),
            Instances::Job(_) => None,
        };
        let rollout = match &consumer.rollout {
            RolloutSpec::By(block) => Some(block),
            RolloutSpec::None => None,
        };
        [found, rollout]
    });
    let told = |block: &crate::playbook::Block| Some(format!("{} {}", block.kind, block.read::<serde_json::Value>().ok()?));
    blocks.flatten().filter_map(told).collect()
}
