//! The protocol: a pure core that decides every step of a rotation.
//!
//! [`decide`] says what comes next, [`apply`] takes what happened. No async, no clock, no input or output: the very
//! functions that run in production are checked exhaustively.

mod apply;
mod bounds;
mod decide;
mod emergency;
mod idle;
mod judge;
mod rule;
mod state;
mod sweep;
mod words;

pub use apply::{Illegal, allows, apply};
pub use bounds::{Bound, Bounds, widened, wider};
pub use decide::{decide, gated};
pub use idle::{Idle, LastUse, grown, idle, unchanged};
pub use judge::{
    Candidate, Handed, ILL_PASSES, Jury, Leftover, Made, Showing, Unfit, fit, left, made, may_be_off, replaces, serves, settle, short,
    written,
};
#[cfg(feature = "mutants")]
pub use rule::{Rule, without};
pub use state::{Debt, Phase, Proof, Rules, Stand, State};
pub use sweep::{Because, Fate, Seen, Traces, fate, suspect, together};
pub use words::{Action, Answer, Ask, Effect, End, Event, Kind, Leak, OnTimeout, Pause, Query, Refusal, Role, Urgency, Why};
