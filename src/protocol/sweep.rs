//! What may be done, outside of any rotation, about a key that the provider lists (I3). The gatherer reads, this decides.

/// Whether something was seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Seen {
    /// It was looked for everywhere, and is there.
    Yes,
    /// It was looked for everywhere, and is not there.
    No,
    /// Not everything could be read.
    Unclear,
}

/// Everything about one listed key that its fate depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Traces {
    /// A rotation of the same key is open: it looks after its own.
    pub open: bool,
    /// Its exact id has a tombstone in this journal, for this provider.
    pub tombstoned: bool,
    /// Its exact name is one that a create intent in this journal asked this provider for.
    pub intended: bool,
    /// The records of a rotation name its id as the key in use, before or after.
    pub recorded: bool,
    /// A store's current value is this key, at any endpoint.
    pub current: Seen,
    /// A version of a store that can still be read is this key.
    pub older: Seen,
    /// The provider has seen it in use.
    pub used: bool,
    /// A person was asked about it, and keeps it.
    pub kept: bool,
}

/// What a listed key is to us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fate {
    /// It is the stores' current value.
    InUse,
    /// An open rotation looks after it.
    Busy,
    /// It may be deleted.
    Delete(Because),
    /// A store's current value is a key with a tombstone: its deletion would break whoever reads it.
    DeadInStore,
    /// It could be deleted, if it were certain that no store holds it.
    Unclear,
    /// It bears a name of ours, and somebody has its value: a store, or a user that the provider saw.
    Claimed,
    /// A person knows it, and keeps it.
    Kept,
    /// A rotation knew it, no tombstone says that it is dead, and no store serves it.
    Leftover,
    /// Nothing in this journal explains it.
    Unknown,
}

/// Why a key may be deleted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Because {
    /// It has been declared dead.
    Tombstoned,
    /// A create of ours made it, nobody got its value.
    HalfDone,
}

/// Decides. Only [`Fate::Delete`] allows a deletion, and only after a tombstone for this very key is committed.
pub fn fate(key: &Traces) -> Fate {
    if key.open {
        return Fate::Busy;
    }
    let half_done = key.intended && !key.recorded;
    match (key.current, key.tombstoned) {
        (Seen::Yes, true) => Fate::DeadInStore,
        (Seen::Yes, false) => Fate::InUse,
        (Seen::Unclear, true) => Fate::Unclear,
        // Old versions keep the values of dead keys: that is what they are for.
        (Seen::No, true) => Fate::Delete(Because::Tombstoned),
        (_, false) if key.kept => Fate::Kept,
        (_, false) if half_done && (key.used || key.older == Seen::Yes) => Fate::Claimed,
        (Seen::No, false) if half_done && key.older == Seen::No => Fate::Delete(Because::HalfDone),
        (_, false) if half_done => Fate::Unclear,
        (_, false) if key.recorded => Fate::Leftover,
        (_, false) => Fate::Unknown,
    }
}

/// Whether a person is asked about this key after a leak of the key that makes keys: nothing that is known explains it. Only such a
/// key may be deleted on a person's word.
pub fn suspect(fate: Fate) -> bool {
    matches!(fate, Fate::Unknown | Fate::Claimed)
}

/// What two looks at one key say together: whoever can explain it is believed, and who serves it most of all.
pub fn together(one: Fate, other: Fate) -> Fate {
    let rank = |fate: Fate| match fate {
        Fate::DeadInStore => 0,
        Fate::InUse => 1,
        Fate::Busy => 2,
        Fate::Unclear => 3,
        Fate::Kept => 4,
        Fate::Leftover => 5,
        Fate::Delete(Because::Tombstoned) => 6,
        Fate::Delete(Because::HalfDone) => 7,
        Fate::Claimed => 8,
        Fate::Unknown => 9,
    };
    if rank(other) < rank(one) { other } else { one }
}
