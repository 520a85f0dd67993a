//! What a run of the model starts from, and how much may go wrong in it.

use keyroll::protocol::{Ask, Kind, OnTimeout, Rules};

/// How often each kind of trouble may come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Budget {
    /// Another runner takes over.
    pub takes: u8,
    /// A reply is lost, a call lands late, or it lands twice.
    pub losses: u8,
    /// The other side refuses, or proof is missing or bad without a cause that the model knows.
    pub luck: u8,
    /// Somebody else changes something.
    pub meddles: u8,
    /// A person asks for something.
    pub asks: u8,
    /// Somebody says that keys leaked.
    pub leaks: u8,
}

/// What somebody else may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Meddle {
    /// Change a field of a store that is not ours: its version moves, our value stays.
    Field,
    /// Write a value of their own over ours.
    Overwrite,
    /// Write the old key's value back by hand.
    OldBack,
    /// Delete the old key at the provider.
    DeleteOld,
    /// Make a key of their own at the provider.
    MakeKey,
}

/// A rule that is taken away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Without {
    #[cfg(feature = "mutants")]
    Core(keyroll::protocol::Rule),
    /// A restore is a new version.
    NewVersions,
    /// A promote is conditional.
    ConditionalPromote,
    /// A condition compares versions: a value that moved there and back does not satisfy it.
    VersionsCompared,
    /// A journal write is conditional on the epoch.
    Epoch,
    /// A wait before a key is touched is at least `stale_for`.
    StaleFor,
}

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub rules: Rules,
    pub budget: Budget,
    /// What the full size has besides.
    pub more: Budget,
    pub asks: &'static [Ask],
    pub meddles: &'static [Meddle],
    /// keyroll's own readings of a store may be as old as anybody's.
    pub stale_reads: bool,
    /// The provider lists no names.
    pub unnamed: bool,
    /// The most keys that may exist.
    pub quota: usize,
    /// The second instance is a job: it is never asked.
    pub job: bool,
    pub without: Option<Without>,
}

/// Without trouble.
pub const CALM: Budget = Budget { takes: 0, losses: 0, luck: 0, meddles: 0, asks: 0, leaks: 0 };

const RULES: Rules = Rules {
    kind: Kind::Rotate,
    proved: true,
    disables: false,
    asks_use: false,
    replays: false,
    by_person: false,
    revokes: true,
    on_timeout: OnTimeout::Rollback,
    stores: 1,
    consumers: 1,
    attempts: 2,
};

/// One store, two instances of one consumer, and a provider that lists names.
pub const PLAIN: Setting = Setting {
    name: "plain",
    rules: RULES,
    budget: CALM,
    more: CALM,
    asks: &[Ask::Rollback, Ask::GoOn, Ask::Amend, Ask::Waive],
    meddles: &[Meddle::Field, Meddle::Overwrite, Meddle::OldBack],
    stale_reads: false,
    unnamed: false,
    quota: 7,
    job: false,
    without: None,
};

/// Everything that is explored. `cargo test` spends each setting's `budget`, CI also what is `more`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "two runners, calls that are lost, late or doubled",
        budget: Budget { takes: 1, losses: 1, luck: 1, ..CALM },
        more: Budget { takes: 1, losses: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "people ask to go back, to go on, to amend, to waive",
        budget: Budget { takes: 1, asks: 1, ..CALM },
        more: Budget { losses: 1, luck: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "the same, where missing proof holds",
        rules: Rules { on_timeout: OnTimeout::Hold, ..RULES },
        budget: Budget { takes: 1, asks: 1, ..CALM },
        more: Budget { losses: 1, luck: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "somebody else writes to the store",
        budget: Budget { takes: 1, meddles: 1, ..CALM },
        more: Budget { losses: 1, meddles: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "two stores, two consumers",
        rules: Rules { stores: 2, consumers: 2, ..RULES },
        budget: Budget { takes: 1, losses: 1, ..CALM },
        more: Budget { meddles: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "a disable, a soak, an idle gate",
        rules: Rules { disables: true, asks_use: true, ..RULES },
        budget: Budget { takes: 1, losses: 1, ..CALM },
        more: Budget { luck: 1, asks: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keyroll's own readings are stale too",
        meddles: &[Meddle::Field],
        stale_reads: true,
        budget: Budget { takes: 1, losses: 1, ..CALM },
        more: Budget { losses: 1, meddles: 1, ..CALM },
        ..PLAIN
    },
    Setting { name: "a job that nobody asks", job: true, budget: Budget { takes: 1, losses: 1, asks: 1, ..CALM }, ..PLAIN },
    Setting {
        name: "a first install",
        rules: Rules { kind: Kind::Install, ..RULES },
        budget: Budget { takes: 1, losses: 1, asks: 1, ..CALM },
        more: Budget { takes: 1, asks: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "the old key is dead already",
        rules: Rules { kind: Kind::Replace, ..RULES },
        budget: Budget { takes: 1, losses: 1, ..CALM },
        more: Budget { luck: 1, asks: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "a provider without names, and a key of somebody else",
        unnamed: true,
        meddles: &[Meddle::MakeKey],
        budget: Budget { losses: 1, meddles: 1, asks: 1, ..CALM },
        more: Budget { takes: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "a provider that replays a create",
        rules: Rules { replays: true, ..RULES },
        budget: Budget { takes: 1, losses: 1, ..CALM },
        more: Budget { losses: 1, asks: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "an old key that nobody can prove",
        rules: Rules { proved: false, ..RULES },
        budget: Budget { takes: 1, asks: 1, ..CALM },
        more: Budget { losses: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "somebody else deletes the old key",
        rules: Rules { disables: true, ..RULES },
        meddles: &[Meddle::DeleteOld],
        budget: Budget { takes: 1, meddles: 1, ..CALM },
        more: Budget { losses: 1, asks: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keys leak, and a reply is lost",
        budget: Budget { leaks: 1, losses: 1, ..CALM },
        more: Budget { leaks: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keys leak, another runner takes over, and luck is bad",
        budget: Budget { leaks: 1, luck: 1, ..CALM },
        more: Budget { takes: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keys leak while the old one is off",
        rules: Rules { disables: true, ..RULES },
        budget: Budget { leaks: 1, luck: 1, ..CALM },
        more: Budget { losses: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keys leak, two stores",
        rules: Rules { stores: 2, ..RULES },
        budget: Budget { leaks: 1, ..CALM },
        more: Budget { takes: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keys leak, and there is no room for a third",
        quota: 2,
        budget: Budget { leaks: 1, ..CALM },
        more: Budget { losses: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keys leak that nobody can prove",
        rules: Rules { proved: false, ..RULES },
        budget: Budget { leaks: 1, asks: 1, ..CALM },
        more: Budget { takes: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "a person makes keys, and revokes them",
        rules: Rules { by_person: true, revokes: false, ..RULES },
        budget: Budget { takes: 1, asks: 2, ..CALM },
        more: Budget { losses: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "keys leak that only a person can revoke",
        rules: Rules { by_person: true, revokes: false, ..RULES },
        budget: Budget { leaks: 1, asks: 1, ..CALM },
        more: Budget { takes: 1, asks: 1, ..CALM },
        ..PLAIN
    },
    Setting {
        name: "a first key leaks, or the successor of a dead one",
        rules: Rules { kind: Kind::Replace, ..RULES },
        budget: Budget { leaks: 1, takes: 1, ..CALM },
        more: Budget { losses: 1, ..CALM },
        ..PLAIN
    },
];

/// Whether everything is explored (`KEYROLL_MODEL=full`), or what fits into `cargo test`.
pub fn full() -> bool {
    std::env::var("KEYROLL_MODEL").is_ok_and(|size| size == "full")
}

impl Setting {
    /// With all of its budget.
    pub fn at_full_size(self) -> Self {
        let (a, b) = (self.budget, self.more);
        let budget = Budget {
            takes: a.takes + b.takes,
            losses: a.losses + b.losses,
            luck: a.luck + b.luck,
            meddles: a.meddles + b.meddles,
            asks: a.asks + b.asks,
            leaks: a.leaks + b.leaks,
        };
        Self { budget, ..self }
    }

    /// Does this with the rule taken away, where it is one of the protocol's own.
    pub fn under<T>(&self, act: impl FnOnce() -> T) -> T {
        #[cfg(feature = "mutants")]
        if let Some(Without::Core(rule)) = self.without {
            return keyroll::protocol::without(rule, act);
        }
        act()
    }
}
