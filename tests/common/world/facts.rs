//! What was done, by whom and when. Facts are written by the world where something happens, never by what is under test.

use std::time::Duration;

use keyroll::{protocol::Why, record::Record};

use super::fault::{Fault, Incident, Op};

/// Since the world began, by a clock that nobody can set.
pub type At = Duration;

/// Where a key comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It was there before.
    Before,
    /// This process asked for it under this name, with the limits of that other key.
    Ours { process: usize, name: String, like: Option<usize> },
    /// Somebody else made it.
    Theirs,
}

/// Who did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// A process of ours.
    Us(usize),
    /// Somebody else.
    Them,
}

/// One thing that happened. Keys are named by their number at the provider.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// A process began.
    Started { process: usize, host: usize, what: &'static str },
    /// It ended, in its own words; or it was killed.
    Stopped { process: usize, how: String },
    /// A call came across a port, and this befell it.
    Called { process: usize, op: Op, place: usize, fault: Fault },
    /// Something happened by itself.
    Happened { what: Incident },
    /// A process ended, and the rotation stands still for a person.
    Held { why: Why },
    /// A key was made.
    Made { key: usize, origin: Origin },
    /// A key was switched on or off.
    Switched { key: usize, on: bool, by: By },
    /// A key was deleted.
    Deleted { key: usize, by: By },
    /// A store took a value over another one.
    Wrote { store: usize, key: Option<usize>, over: Option<usize>, kept: bool, by: By },
    /// A process read a store's current value.
    Read { process: usize, store: usize, key: Option<usize> },
    /// A copy of a service uses this key from now on.
    Uses { service: usize, copy: usize, key: Option<usize> },
    /// A copy reports what its store holds, whatever it uses.
    Lies { service: usize, copy: usize },
    /// A copy is no more.
    Gone { service: usize, copy: usize },
    /// A process asked a copy, and was told this key.
    Told { process: usize, service: usize, copy: usize, key: Option<usize>, well: bool },
    /// A process called the provider with a key.
    Probed { process: usize, key: Option<usize> },
    /// The journal took a record.
    Recorded { process: usize, record: Record },
}
