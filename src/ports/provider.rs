//! Who issues and revokes keys.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Attributes, ByPerson, ByValue, Counter, Enforces, Got, Guard, Kept, Problem, Prompt, Spend, Switch, Usage};
use crate::{
    ids::{Identity, KeyId},
    playbook::{Limits, SecretRef},
    rotation::Tombstone,
    secret::Secret,
};

/// What a provider guarantees, for the driver and for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traits {
    /// How a lost create is settled.
    pub ambiguity: Ambiguity,
    /// How long a created key may stay out of the listing, and a deleted one in it.
    pub listed_within: Duration,
    /// How long a new key may be refused before it works everywhere.
    pub ready_within: Duration,
    /// How long a deleted key may still work.
    pub dead_within: Duration,
    /// How late usage figures may be; also their granularity.
    pub usage_lag: Duration,
    /// The most keys one principal may have.
    pub quota: Option<usize>,
}

/// What a create whose reply was lost leaves behind, and how it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ambiguity {
    /// An idempotency key replays the reply; or the repetition takes the place of what the lost create made, of which nothing is left then.
    Replayed,
    /// The secret is shown once, but the key can be listed under the exact name we gave it.
    Listable,
    /// Shown once and unnamed: only a key that was not listed before, appeared after, was never used (so the provider must tell use)
    /// and that no store holds can be ours; and no more of them than creates were lost.
    Unnamed,
}

/// A key as the provider lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The exact id that a delete takes.
    pub id: KeyId,
    /// The name given at its creation, where there is one.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it stops working by itself; none: never, or not told.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used; none: never, or not told.
    pub last_used: Option<DateTime<Utc>>,
    /// Whether it can be used.
    pub enabled: bool,
}

/// What a credential in a store consists of.
pub struct Credential {
    /// The id field beside the value, where the playbook writes one. A claim, not a proof.
    pub id: Option<KeyId>,
    /// The value.
    pub secret: Secret,
}

/// A key the provider has just made.
pub struct Minted {
    /// Its id.
    pub id: KeyId,
    /// Its value; the only copy there is.
    pub secret: Secret,
    /// When the provider says it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it stops working by itself; none: never, or not told.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The key that a new one is made like.
#[derive(Clone, Copy, Debug)]
pub enum Like<'a> {
    /// One that is there.
    Key(&'a KeyId),
    /// One that is gone, as [`Attributes::keep`] knew it.
    Gone(&'a Kept),
}

/// What to create.
pub struct Wanted<'a> {
    /// The exact name.
    pub name: &'a str,
    /// The same for each repetition of one create: an idempotency key.
    pub token: &'a str,
    /// Whose limits, scopes and caps the new one takes; never wider.
    pub like: Option<Like<'a>>,
    /// The keys of this rotation that somebody may use: a provider whose keys stand in slots must put the new one in none of theirs.
    pub keep: &'a [KeyId],
    /// What the playbook allows it at the most, where the provider can hold it to that.
    pub limits: &'a Limits,
    /// The ids that were listed before the rotation's first create.
    pub listed: &'a [KeyId],
}

impl<'a> Wanted<'a> {
    /// A key of this name, like none other and without limits.
    pub fn named(name: &'a str, token: &'a str) -> Self {
        static NONE: Limits = Limits::NONE;
        Self { name, token, like: None, keep: &[], limits: &NONE, listed: &[] }
    }
}

/// Commands for a person's own hands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ByHand {
    /// Make a key; its value ends in `$NEW_KEY`, its id in `$NEW_KEY_ID`.
    pub create: Vec<String>,
    /// Delete the key.
    pub revoke: Vec<String>,
}

/// What a call with a key showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It works.
    Alive,
    /// It is refused as no key at all.
    Dead,
    /// Neither: 403, 429, 5xx. Never evidence of revocation.
    Unclear,
}

/// Who issues and revokes the key.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its guarantees.
    fn traits(&self) -> Traits;
    /// What must not be rotated twice at once, where keys share one (a user's quota); none where keys are independent.
    fn principal(&self) -> Option<Identity>;
    /// For people: `openai project proj_abc at https://…`.
    fn describe(&self) -> String;
    /// Reads only: the credential works, has its permissions, and there is room for another key.
    async fn check(&self) -> Result<(), Vec<Problem>>;
    /// Every key of this principal, all pages.
    async fn list(&self) -> Got<Vec<Listed>>;
    /// Which listed key this value is, with the proof in words; none where it cannot be proved.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>>;
    /// Makes a key. Sent at most once a call.
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted>;
    /// Deletes by exact id; gone counts as [`Refusal::Gone`].
    async fn delete(&self, tombstone: &Tombstone) -> Got<()>;
    /// One cheap call with the key itself.
    async fn probe(&self, credential: &Credential) -> Got<Life>;
    /// What a person types to do this by hand, when keyroll cannot. No secret stands in it: `$NEW_KEY` and the like do.
    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let key = key.map_or("the leaked key", KeyId::as_str);
        let place = self.describe();
        ByHand {
            create: vec![format!("# create a key at {place}, in its console")],
            revoke: vec![format!("# delete {key} at {place}, in its console")],
        }
    }
    /// Where the key stands that it is called with, if that is the key that it rotates: only a reference to what the first store
    /// writes follows the promote. None: it is called with another credential.
    fn rotates_own(&self) -> Option<&SecretRef> {
        None
    }
    /// Only a person makes keys here: [`Provider::create`] is never called.
    fn by_person(&self) -> Option<&dyn ByPerson> {
        None
    }
    /// Keys are revoked by their value, not by their id: [`Provider::delete`] is never called.
    fn by_value(&self) -> Option<&dyn ByValue> {
        None
    }
    /// Keys stand in fixed places that are never empty: what is listed beside the key in use is the place of the next one, and nobody made it.
    fn slots(&self) -> bool {
        false
    }
    /// Reversible disable, where there is one. A capability is its implementation.
    fn switch(&self) -> Option<&dyn Switch> {
        None
    }
    /// How long a person can bring a deleted key back; none: it is gone for good.
    fn undelete(&self) -> Option<Duration> {
        None
    }
    /// Last use, where the provider tells.
    fn usage(&self) -> Option<&dyn Usage> {
        None
    }
    /// What a key was used for in some time, where the provider tells.
    fn spend(&self) -> Option<&dyn Spend> {
        None
    }
    /// What was spent, where that is all the provider tells.
    fn counter(&self) -> Option<&dyn Counter> {
        None
    }
    /// A real call of the workload's kind.
    fn prompt(&self) -> Option<&dyn Prompt> {
        None
    }
    /// What a key may do at the most; none: keys here have no limits of their own.
    fn attributes(&self) -> Option<&dyn Attributes> {
        None
    }
    /// Which limits of a playbook a new key is given.
    fn enforces(&self) -> Enforces {
        Enforces::default()
    }
    /// Limits of the account that hold for all its keys.
    fn guard(&self) -> Option<&dyn Guard> {
        None
    }
}
