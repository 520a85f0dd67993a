//! Rules that the model's tests take away one at a time, to show what each of them is for.
//!
//! Only the feature `mutants` can take one away. Without it [`keeps`] is the constant `true`, of which the compiler leaves nothing, and a
//! release build with it does not compile.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` takes safety away: it is for tests only");

/// A rule of the pure core.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// The tombstone is committed before the deletion.
    TombstoneFirst,
    /// Everybody proves the new key again after the grace.
    VerifyAgain,
    /// Every instance counts, not a sample.
    EveryInstance,
    /// A rollback waits too, before the new key is deleted.
    GraceBack,
    /// The stores are read after the last proof.
    ReadStoresLast,
    /// An old value is never restored after a disable.
    NoRestoreAfterDisable,
}

#[cfg(not(feature = "mutants"))]
pub(super) const fn keeps(_: Rule) -> bool {
    true
}

#[cfg(feature = "mutants")]
pub(super) use taken::keeps;
#[cfg(feature = "mutants")]
pub use taken::without;

#[cfg(feature = "mutants")]
mod taken {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        static WITHOUT: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    pub(in super::super) fn keeps(rule: Rule) -> bool {
        WITHOUT.get() != Some(rule)
    }

    /// What `act` gives on this thread where the protocol lacks this rule.
    pub fn without<T>(rule: Rule, act: impl FnOnce() -> T) -> T {
        let before = WITHOUT.replace(Some(rule));
        let given = act();
        WITHOUT.set(before);
        given
    }
}
