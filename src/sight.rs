//! What the driver lets others see while it works, and who may look: views fold it, the driver knows none of them.

use std::time::Duration;

use crate::{
    record::{Evidence, Missing, Record},
    rotation::Rotation,
};

/// One thing the driver tells while it works.
pub enum Sight<'a> {
    /// A record became durable; the rotation already contains it.
    Recorded(&'a Rotation, &'a Record),
    /// One pass over instances; not journaled, as only its outcome matters later.
    Pass {
        /// Who proved the key that is asked for.
        proved: &'a [Evidence],
        /// Who did not, and why.
        missing: &'a [Missing],
    },
    /// A wait is on; this much is left.
    Left(Duration),
    /// A call failed and is tried again after a wait.
    Retrying {
        /// Who was asked for what, and what came back.
        what: &'a str,
        /// How long until the next try.
        wait: Duration,
    },
}

/// Somebody who looks on. A view cannot fail and cannot stop the work: what it does not manage to show is lost.
pub trait View: Send {
    /// Takes one sight in.
    fn see(&mut self, sight: &Sight<'_>);
    /// Nothing more will come; leaves the screen tidy.
    fn end(&mut self) {}
}

/// Nobody looks on.
pub struct Blind;

impl View for Blind {
    fn see(&mut self, _: &Sight<'_>) {}
}
