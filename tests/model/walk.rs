//! Every state once more, breadth first and in order: the shortest story of what is broken, and whether every run can still end.
//!
//! stateright explores faster, but its stories are not the shortest, and its `eventually` misses ways that join or turn in a circle.
//! Here the graph's edges are kept, and what can end is found backwards from the ends.

use std::collections::{HashMap, VecDeque};

use keyroll::protocol::{End, Why};
use stateright::Model;

use crate::{
    moves::Move,
    promises::PROMISES,
    setting::{Setting, full},
    world::World,
};

/// A way through the world: each state with the move that is made there.
pub type Way = Vec<(World, Option<Move>)>;

/// More states than any setting has: a protocol that goes round and round adds to the world each time.
const ENDLESS: usize = 8_000_000;

/// What the walk found.
#[derive(Default)]
pub struct Walk {
    pub states: usize,
    pub depth: u32,
    pub ends: Vec<End>,
    pub holds: Vec<Why>,
    /// States from which no way leads to an end, or to a hold: without a person, and without more trouble.
    pub stuck: usize,
    /// The first broken promise, and the shortest way there.
    pub broken: Option<(&'static str, Way)>,
}

/// From each state, the one before it and which of its moves led here.
type Trail = Vec<(u32, u16)>;

/// Walks until a promise is broken, or through everything.
pub fn walk(setting: &Setting, keep: impl Fn(&str) -> bool) -> Walk {
    let hasher = ahash::RandomState::with_seed(1);
    let start = World::new(setting);
    let mut known: HashMap<u64, u32, ahash::RandomState> = HashMap::with_hasher(hasher.clone());
    known.insert(hasher.hash_one(&start), 0);
    let mut queue = VecDeque::from([(start, 1)]);
    let mut trail: Trail = vec![(0, 0)];
    let mut helps: Vec<(u32, u32)> = Vec::new();
    let mut over: Vec<bool> = Vec::new();
    let mut found = Walk::default();
    let mut moves = Vec::new();
    let mut from = 0u32;
    while let Some((world, depth)) = queue.pop_front() {
        found.depth = depth;
        over.push(note(&world, &mut found));
        if let Some((name, _)) = PROMISES.iter().find(|(name, holds)| keep(name) && !holds(setting, &world)) {
            found.broken = Some((name, retrace(setting, &trail, from)));
            break;
        }
        moves.clear();
        setting.actions(&world, &mut moves);
        for (at, step) in (0..).zip(&moves) {
            let Some(next) = setting.next_state(&world, *step) else { continue };
            let helpful = step.helps() && next.left == world.left;
            let fresh = u32::try_from(known.len()).unwrap_or(u32::MAX);
            let to = *known.entry(hasher.hash_one(&next)).or_insert(fresh);
            if to == fresh {
                queue.push_back((next, depth + 1));
                trail.push((from, at));
            }
            if helpful && to != from {
                helps.push((to, from));
            }
        }
        from += 1;
        let endless = if full() { ENDLESS } else { ENDLESS / 10 };
        assert!(known.len() < endless, "{}: this leads nowhere", setting.name);
    }
    found.states = known.len();
    if found.broken.is_none() {
        found.stuck = stuck(helps, over);
    }
    found
}

fn note(world: &World, found: &mut Walk) -> bool {
    let state = &world.journal.state;
    found.holds.extend(state.held.filter(|why| !found.holds.contains(why)));
    found.ends.extend(state.ended().filter(|end| !found.ends.contains(end)));
    state.held.is_some() || state.ended().is_some()
}

/// Marks what can end, against the direction of the moves; how much is left.
fn stuck(mut helps: Vec<(u32, u32)>, mut over: Vec<bool>) -> usize {
    helps.sort_unstable();
    let mut reached: Vec<u32> = (0..).zip(&over).filter(|(_, over)| **over).map(|(at, _)| at).collect();
    while let Some(to) = reached.pop() {
        let first = helps.partition_point(|(known, _)| *known < to);
        for (_, from) in helps[first..].iter().take_while(|(known, _)| *known == to) {
            if !std::mem::replace(&mut over[*from as usize], true) {
                reached.push(*from);
            }
        }
    }
    over.iter().filter(|over| !**over).count()
}

fn retrace(setting: &Setting, trail: &Trail, mut at: u32) -> Way {
    let mut choices = Vec::new();
    while at != 0 {
        let (before, choice) = trail[at as usize];
        choices.push(choice);
        at = before;
    }
    let mut way = vec![(World::new(setting), None)];
    for choice in choices.into_iter().rev() {
        let mut moves = Vec::new();
        let Some((world, step)) = way.last_mut() else { break };
        setting.actions(world, &mut moves);
        let taken = moves[usize::from(choice)];
        *step = Some(taken);
        let Some(next) = setting.next_state(world, taken) else { break };
        way.push((next, None));
    }
    way
}
