//! Where a rotation stands.

use serde::{Deserialize, Serialize};

use super::words::{End, Kind, OnTimeout, Role, Why};

/// What the playbook and the provider fix for the whole rotation; frozen in its first record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// What there is to do.
    pub kind: Kind,
    /// Whether the old key's id was proved to belong to the stores' value.
    pub proved: bool,
    /// Whether the playbook asks for a reversible disable before the delete.
    pub disables: bool,
    /// Whether the playbook asks the provider for proof that the old key is idle.
    pub asks_use: bool,
    /// Whether repeating a lost create with the same token gives the same key.
    pub replays: bool,
    /// Whether a person makes keys and hands them over: no create can be lost.
    #[serde(default)]
    pub by_person: bool,
    /// Whether the provider deletes a key by its id; else what it refuses to delete is revoked by a person.
    #[serde(default = "yes")]
    pub revokes: bool,
    /// What follows a missing proof.
    pub on_timeout: OnTimeout,
    /// How many stores.
    pub stores: u8,
    /// How many consumers, canary first.
    pub consumers: u8,
    /// How many creates in a row may fail before a person is asked.
    pub attempts: u8,
}

/// In journals from before a person could be the one who revokes.
fn yes() -> bool {
    true
}

/// The step a rotation is at. `Back…` phases lead to the old key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Get a new key from the provider.
    Create,
    /// Delete a key that a lost create left; then go on, or end.
    Stray(Option<End>),
    /// Delete the new key, which no store ever served.
    Discard,
    /// Call the provider with the new key.
    Probe,
    /// Make it a store's current value.
    Promote(u8),
    /// Write the old value again, so that a lost promote can no longer land.
    Fence,
    /// Wait until a store's read endpoints agree.
    Converge(u8),
    /// Make a consumer pick it up.
    Rollout(u8),
    /// Have a consumer's instances prove it.
    Verify(u8),
    /// In an emergency, after every rollout: have all instances prove the new key at once.
    All,
    /// Wait before touching the old key.
    Grace,
    /// The old key is not proved: prove the new one again, then a person revokes it.
    ByHand,
    /// Wait until the old key can be shown to be idle.
    Idle,
    /// Switch the old key off.
    Disable,
    /// See that nobody complains.
    Watch,
    /// Wait between disable and delete.
    Soak,
    /// Delete the old key.
    Delete,
    /// See the provider refuse it.
    ProveDead,
    /// Read the stores one last time.
    LastLook,
    /// See that no lost create left a key behind; then end.
    Sweep(End),
    /// Write the old value back to a store.
    BackRestore(u8),
    /// Make a consumer pick the old key up.
    BackRollout(u8),
    /// Have everyone prove the old key.
    BackVerify,
    /// Wait until nobody can read the new key any more.
    BackGrace,
    /// Delete the new key.
    BackDelete,
    /// The leaked new key is deleted: see the provider refuse it.
    BackDead,
    /// Switch the old key on again.
    BackEnable,
    /// It is over.
    Ended(End),
}

/// How far the phase's effect is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// Not intended yet.
    Idle,
    /// The intent is durable (of a wait: its beginning is).
    Begun,
    /// It may have happened.
    Unsure,
}

/// How much of the proof that must precede a disable or a delete is there. A takeover voids it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Nothing yet.
    None,
    /// The old key is idle, where the playbook asks for that.
    Idle,
    /// … and every instance proved its key again.
    Instances,
    /// … and the stores were read after that.
    Complete,
}

/// How far the deletion of a key is that must go whatever the state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Debt {
    /// There is none.
    #[default]
    None,
    /// It did not leak: it goes when everybody is off it.
    Later,
    /// It leaked: it goes when it is due.
    Owed,
    /// Its tombstone stands.
    Begun,
    /// The provider refuses to delete it, or its id is not known.
    Stuck,
    /// It is deleted.
    Paid,
}

/// Everything that decides what comes next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct State {
    /// Fixed at the start.
    pub rules: Rules,
    /// The step.
    pub phase: Phase,
    /// How far its effect is.
    pub stand: Stand,
    /// Which create this is, from 1; part of the new key's name.
    pub attempt: u8,
    /// Creates in this round; a person's "go on" starts another round.
    pub tries: u8,
    /// The new value can still be written: it is in memory, or a store of ours serves it.
    pub value: bool,
    /// The new key's id is known.
    pub minted: bool,
    /// A create was lost once: look for leftovers before the end.
    pub murky: bool,
    /// How many stores a promote of ours may have changed.
    pub touched: u8,
    /// A store may have shown the new key, though it shows the old one again.
    pub shown: bool,
    /// How many consumers a rollout of ours may have changed.
    pub rolled: u8,
    /// An earlier try of this phase's effect was lost, so a refusal does not mean "never happened".
    pub doubt: bool,
    /// A disable stands.
    pub off: bool,
    /// There was a disable at some time: one may still land late, so the old value is never restored.
    pub once_off: bool,
    /// The proof before a disable or delete.
    pub proof: Proof,
    /// Nothing was promoted, and a person or a failure wants out.
    pub aborting: bool,
    /// The old key leaked.
    pub old_leak: Debt,
    /// The new key leaked after a store may have served it.
    pub new_leak: Debt,
    /// Keys that were given up: how far the first of them is, and how many are left.
    pub former: (Debt, u8),
    /// How many of these did not leak: they go when everybody is off them.
    pub later: u8,
    /// Leaked keys are deleted now, before anything else.
    pub due: bool,
    /// The provider was seen to refuse every leaked key.
    pub dead: bool,
    /// Stopped for a person.
    pub held: Option<Why>,
}

impl State {
    /// A rotation that has its plan and has done nothing.
    pub fn start(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Create,
            stand: Stand::Idle,
            attempt: 1,
            tries: 1,
            value: false,
            minted: false,
            murky: false,
            touched: 0,
            shown: false,
            rolled: 0,
            doubt: false,
            off: false,
            once_off: false,
            proof: Proof::None,
            aborting: false,
            old_leak: Debt::None,
            new_leak: Debt::None,
            former: (Debt::None, 0),
            later: 0,
            due: false,
            dead: false,
            held: None,
        }
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<End> {
        match self.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Whether the intent to delete the old key is durable: from here there is no way back.
    pub fn past_return(&self) -> bool {
        if matches!(self.old_leak, Debt::Begun | Debt::Paid) {
            return true;
        }
        match self.phase {
            Phase::Delete => self.stand != Stand::Idle,
            Phase::ProveDead | Phase::LastLook => self.rules.kind == Kind::Rotate,
            Phase::Sweep(end) | Phase::Stray(Some(end)) | Phase::Ended(end) => end == End::Done,
            _ => false,
        }
    }

    /// Whether this rotation is on its way back to the old key.
    pub fn going_back(&self) -> bool {
        use Phase::*;
        self.aborting || matches!(self.phase, BackRestore(_) | BackRollout(_) | BackVerify | BackGrace | BackDelete | BackDead | BackEnable)
    }

    /// Whether keys leaked, or were given up because of a leak.
    pub fn emergency(&self) -> bool {
        [self.old_leak, self.new_leak, self.former.0].iter().any(|debt| *debt != Debt::None)
    }

    /// Whether there is no way back to what the stores held: they must get the new key.
    pub fn must_replace(&self) -> bool {
        self.old_leak != Debt::None || self.former.0 != Debt::None
    }

    /// Whether a leaked key still waits for its time.
    pub fn owes(&self) -> bool {
        [self.old_leak, self.new_leak, self.former.0].contains(&Debt::Owed)
    }

    /// Whether a key is being deleted, or is to be, before anything else.
    pub fn paying(&self) -> bool {
        [Role::Old, Role::New, Role::Former].iter().any(|role| self.forced(*role))
    }

    /// Whether deleting this role's key comes before anything else.
    pub fn forced(&self, role: Role) -> bool {
        self.due && matches!(self.debt(role), Debt::Owed | Debt::Begun)
    }

    /// How far the forced deletion of this role's key is.
    pub fn debt(&self, role: Role) -> Debt {
        match role {
            Role::Old => self.old_leak,
            Role::New => self.new_leak,
            Role::Former => self.former.0,
            Role::Stray => Debt::None,
        }
    }
}
