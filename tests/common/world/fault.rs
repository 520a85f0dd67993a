//! What can befall a call, a record or the world.

use std::time::Duration;

use super::Outside;

/// A call of a port, or of the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Op {
    Check,
    List,
    Identify,
    Create,
    Delete,
    Probe,
    Switch,
    Usage,
    Read,
    ReadAt,
    Write,
    Endpoints,
    Mark,
    StoreClock,
    Discover,
    Ask,
    Roll,
    Rolled,
    Open,
    Take,
    Append,
    Records,
    Collect,
    Asked,
    Decrees,
    JournalClock,
}

impl Op {
    /// Whether it changes something.
    pub fn mutates(self) -> bool {
        matches!(self, Self::Create | Self::Delete | Self::Switch | Self::Write | Self::Roll)
    }

    /// Whether it is the journal's.
    pub fn journal(self) -> bool {
        use Op::*;
        matches!(self, Open | Take | Append | Records | Collect | Asked | Decrees | JournalClock)
    }
}

/// What befalls one call. `…After` means that the work was done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    None,
    /// 403.
    Denied,
    /// 404, although it is there.
    NotFound,
    /// 409.
    Conflict,
    /// There is no room for another key.
    Quota,
    /// 429 with a `Retry-After`.
    TooMany,
    /// The connection is refused.
    Unreachable,
    /// 5xx.
    BrokenBefore,
    BrokenAfter,
    /// The connection is cut.
    ResetBefore,
    ResetAfter,
    /// No answer within the adapter's time.
    HangBefore,
    HangAfter,
    /// 2xx that cannot be read.
    Unreadable,
    /// No answer; the work is done some time later.
    Late,
    /// A reading shows what was true some time ago.
    Stale,
    /// The process is killed.
    CrashBefore,
    CrashAfter,
    /// The process stands still before it sends, for longer than its lease, and then goes on.
    Stall,
    /// The journal cannot be written, or its answer is lost.
    DownBefore,
    DownAfter,
}

/// Something that happens by itself, beside a step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Incident {
    WallForward,
    WallBack,
    StoreClockForward,
    StoreClockBack,
    /// Somebody writes a key of their own into a store.
    ThirdWriter,
    /// Somebody writes another field of the secret.
    ForeignField,
    /// Somebody makes a key of their own at the provider, and uses it.
    ForeignKey,
    /// Somebody deletes the key that was in use.
    DeletedByHand,
    /// A read endpoint of a store falls behind.
    ReplicaBehind,
    /// A new key takes longer than usual to work, a dead one longer to die, a listing longer to show.
    SlowProvider,
    Restarts,
    Sticks,
    Lies,
    Flaps,
    Vanishes,
    Appears,
    Hangs,
    FallsIll,
    /// Nothing risky may begin for a while.
    Freeze,
    /// Somebody destroys every old version in every store.
    Forgets,
    AskRollback,
    AskAmend,
    AskWaive,
    AskGoOn,
    LeakOld,
    LeakNew,
    LeakBoth,
    LeakOldNow,
    LeakNewNow,
}

/// A call before anything is done.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub process: usize,
    pub op: Op,
    pub place: usize,
}

/// Decides what befalls each call; it may change the world as well.
pub trait Chance: Send {
    fn befalls(&mut self, call: Call, outside: &mut Outside) -> Fault;
}

/// Nothing happens.
pub struct Calm;

impl Chance for Calm {
    fn befalls(&mut self, _: Call, _: &mut Outside) -> Fault {
        Fault::None
    }
}

/// A function is a chance.
impl<F: FnMut(Call) -> Fault + Send> Chance for F {
    fn befalls(&mut self, call: Call, _: &mut Outside) -> Fault {
        self(call)
    }
}

/// An adapter's patience with a server that does not answer.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// What a 429 asks for.
pub const RETRY_AFTER: Duration = Duration::from_secs(7);
