//! The protocol's vocabulary: roles and indexes, never ids, times or texts, so that a state is small, `Copy` and finite.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* pub enum $name:ident $body:tt)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name $body
    )* };
}

words! {
    /// Which key is meant.
    pub enum Role {
        /// The key in use when the rotation began.
        Old,
        /// The key this rotation created.
        New,
        /// A key that an earlier, lost create of this rotation left at the provider.
        Stray,
        /// A key this rotation created and gave up in an emergency, after a store may have served it.
        Former,
    }

    /// Which keys of a rotation leaked.
    pub enum Leak {
        /// The key in use when the rotation began.
        Old,
        /// The key this rotation created.
        New,
        /// Both.
        Both,
    }

    /// When a leaked key is deleted.
    pub enum Urgency {
        /// As soon as every instance proved another key; at the latest at a set time, whatever the state.
        ReplaceFast,
        /// At once; services are down until they have another key.
        RevokeFirst,
    }

    /// What there is to do.
    pub enum Kind {
        /// A live key is replaced.
        Rotate,
        /// There was no key yet: nothing to revoke, nothing to roll back to.
        Install,
        /// The key in the store is already dead: nothing to revoke, nothing to roll back to.
        Replace,
    }

    /// What follows when the proof has not come by the deadline.
    pub enum OnTimeout {
        /// Put the old key back (the default).
        Rollback,
        /// Stop and wait for a person.
        Hold,
    }

    /// A change in the outside world. A store or a consumer is named by its place in the playbook.
    pub enum Effect {
        /// Ask the provider for a new key.
        Create,
        /// Write the new key as the store's current value, if the store is still at the version we saw.
        Promote(u8),
        /// Write the old value back as a *new* version, if the store is still at the version we saw.
        Restore(u8),
        /// Make a consumer pick up what the stores hold.
        Rollout(Role, u8),
        /// Switch the old key off, reversibly.
        Disable,
        /// Switch the old key on again.
        Enable,
        /// Delete a key for good. Its tombstone is this effect's intent.
        Delete(Role),
    }

    /// A reading of the outside world.
    pub enum Query {
        /// Which keys did our lost creates leave at the provider?
        Settle,
        /// Does the new key work, several calls in a row?
        Live,
        /// What does this store show, compared with what we last intended for it?
        Current(u8),
        /// Do all read endpoints of this store show the new key?
        Converged(u8),
        /// Did this consumer's rollout happen?
        Rolled(Role, u8),
        /// Does every instance of this consumer prove that it uses this key?
        Consumer(Role, u8),
        /// Does every instance of every consumer prove it?
        Everyone(Role),
        /// Do all stores show this key?
        Stores(Role),
        /// Did no consumer complain while the old key was off?
        Watched,
        /// Is the old key idle and the new one in use?
        Unused,
        /// Does the provider refuse this key (for the old one: and every key that was given up), again and again?
        Dead(Role),
    }

    /// A wait that outlives a process.
    pub enum Pause {
        /// Before the old key is disabled or deleted.
        Grace,
        /// Until the provider can say that the old key is idle.
        Idle,
        /// Between disable and delete.
        Soak,
        /// After a rollback, before the new key is deleted.
        Stale,
        /// In an emergency: until the leaked key is deleted whatever the state.
        Revoke,
    }

    /// What a reading showed.
    pub enum Answer {
        /// It is so.
        Yes,
        /// It is not so (for an instance: the proof is missing).
        No,
        /// It is not so, and something is wrong (an instance is ill on the new key).
        Bad,
        /// Not yet; worth another wait.
        Later,
        /// A store holds somebody else's value; a listing cannot tell which key is ours.
        Foreign,
        /// The store shows the other of our two keys: an earlier write of ours landed late.
        Late,
        /// It is not so, and the store was written meanwhile: what was sent before can land no more, but it may have been there.
        Moved,
    }

    /// Why the other side said no. It answered, so nothing changed.
    pub enum Refusal {
        /// It does not exist (any more).
        Gone,
        /// It moved on since we read it.
        Conflict,
        /// No room for another key.
        Quota,
        /// Not allowed, or not logged in.
        Denied,
        /// The request makes no sense to it.
        Invalid,
        /// The new value is no longer in memory and no store shows it.
        ValueLost,
    }

    /// What a person asks of an open rotation.
    pub enum Ask {
        /// Go back to the old key.
        Rollback,
        /// Go on after a hold.
        GoOn,
        /// The playbook of this rotation changed; evidence is void.
        Amend,
        /// An instance or a consumer need not prove anything; evidence is void.
        Waive,
        /// Keys leaked: they are never restored or kept.
        Emergency(Leak, Urgency),
    }

    /// How a rotation ended.
    pub enum End {
        /// The new key is in use and the old one is dead (or there was none).
        Done,
        /// The old key is in use and the new one is gone.
        RolledBack,
        /// No store was ever changed, and no key of ours is left.
        Aborted,
    }

    /// Why a person is needed.
    pub enum Why {
        /// A lost create may have left a key that cannot be told from others.
        CannotSettle,
        /// A lost first write may still land, and there is no old value to fence it with.
        CannotFence,
        /// A store holds a value that is neither the old nor the new key.
        ForeignValue,
        /// Instances did not prove the key in time.
        NotVerified,
        /// The old key is still used by somebody.
        StillUsed,
        /// The old key was disabled, something complained, and it was enabled again.
        EnabledAgain,
        /// Something went wrong after the stores changed, and there is no old key to return to.
        NothingToReturnTo,
        /// Which key is old could not be proved: it must be revoked by hand.
        RevokeByHand,
        /// The provider still accepts the old key after its window.
        StillAlive,
        /// No new key could be made or used, and the stores hold a key that must go.
        NoNewKey,
        /// The other side refuses an effect that we cannot do without.
        Refused(Refusal),
    }

    /// What to do next.
    pub enum Action {
        /// Write the intent down, durably.
        Intend(Effect),
        /// Do it.
        Do(Effect),
        /// Read.
        Look(Query),
        /// Write down that a wait begins.
        Park(Pause),
        /// Wait until it is over.
        Wait(Pause),
        /// Nothing: ended, or held for a person.
        Stop,
    }

    /// What happened: the answer to the last [`Action`], or a person's ask, or a new runner.
    pub enum Event {
        /// A rotation began, with its plan; always the first record, never later.
        Planned,
        /// The intent is durable.
        Intended(Effect),
        /// The other side confirmed it.
        Did(Effect),
        /// The other side said no; nothing changed.
        Refused(Effect, Refusal),
        /// It may have happened.
        Lost(Effect),
        /// A reading's result.
        Saw(Query, Answer),
        /// A wait began.
        Parked(Pause),
        /// A wait is over.
        Waited(Pause),
        /// The playbook's window is closed, or a freeze is on: the next step does not begin, and its proof is void.
        Gated,
        /// A person asked.
        Asked(Ask),
        /// A runner took this rotation over (perhaps the same one, later).
        Resumed,
    }
}
