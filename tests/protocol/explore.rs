//! Every reachable state, breadth first, with what a witness remembers beside it.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use keyroll::protocol::{Event, Rules, State};

use crate::{nexts, nexts_with_leaks};

/// Remembers what happened, knowing nothing of the protocol's own state.
pub trait Witness: Copy + Eq + Hash {
    fn new(rules: Rules) -> Self;
    /// Whether keys may leak on the way.
    const LEAKS: bool = false;
    /// Whether what follows is of no interest any more.
    fn enough(&self) -> bool {
        false
    }
    /// What it remembers after an event, or which rule was broken.
    fn sees(self, before: &State, event: Event, after: &State) -> Result<Self, String>;
}

/// A creation's number grows with every "go on" after a hold: more of it shows nothing new.
const ATTEMPTS: u8 = 3;

/// FNV: the sets are large and the test binary is not optimised.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }
    fn write_u8(&mut self, number: u8) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x0100_0000_01b3);
    }
    fn write_isize(&mut self, number: isize) {
        self.0 = (self.0.rotate_left(5) ^ number.cast_unsigned() as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// All reachable (state, memory) pairs. A broken rule ends the test with the way that led there.
#[track_caller]
pub fn explore<W: Witness>(rules: Rules) -> Vec<(State, W)> {
    let start = (State::start(rules), W::new(rules));
    let mut found = vec![start];
    let mut from: Vec<(usize, Event)> = vec![(0, Event::Resumed)];
    let mut known: HashMap<(State, W), (), BuildHasherDefault<Quick>> = HashMap::default();
    known.insert(start, ());
    let mut at = 0;
    while let Some(&(state, memory)) = found.get(at) {
        for (event, next) in if W::LEAKS { nexts_with_leaks(&state) } else { nexts(&state) } {
            match memory.sees(&state, event, &next) {
                Ok(memory) if next.attempt <= ATTEMPTS && !memory.enough() && known.insert((next, memory), ()).is_none() => {
                    found.push((next, memory));
                    from.push((at, event));
                }
                Ok(_) => {}
                Err(broken) => {
                    let mut way = vec![format!("{event:?}")];
                    let mut here = at;
                    while here != 0 {
                        let (before, event) = from[here];
                        way.push(format!("{event:?}"));
                        here = before;
                    }
                    way.reverse();
                    panic!("{broken}\n{rules:?}\n{}", way.join("\n"));
                }
            }
        }
        at += 1;
    }
    found
}

/// Remembers nothing: the bare states.
impl Witness for () {
    fn new(_: Rules) -> Self {}
    fn sees(self, _: &State, _: Event, _: &State) -> Result<Self, String> {
        Ok(())
    }
}

/// The bare states of rotations in which keys leak.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaking;

impl Witness for Leaking {
    const LEAKS: bool = true;
    fn new(_: Rules) -> Self {
        Self
    }
    fn sees(self, _: &State, _: Event, _: &State) -> Result<Self, String> {
        Ok(Self)
    }
}
