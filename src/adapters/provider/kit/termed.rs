//! What a vendor's keys are made with: as one that is there was, as one that is gone was, or as the playbook says.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use super::kept::{keep, kept};
use crate::{
    ids::KeyId,
    playbook::Limits,
    ports::{Attributes, Got, Kept, Like},
    protocol::Bounds,
};

/// An adapter whose keys are made with terms: all of [`Attributes`] follows from what these are.
#[async_trait]
pub trait Termed: Send + Sync {
    /// What a create sends beside a name: limits, scopes, how long it lives.
    type Terms: Serialize + DeserializeOwned + Send;
    /// What a key was made with, and when; none: that is not told.
    async fn made_with(&self, key: &KeyId) -> Got<(Self::Terms, Option<DateTime<Utc>>)>;
    /// What a key is made with that is like none other.
    fn first(&self) -> Got<Self::Terms>;
    /// With the playbook's limits in the place of its own; where a key takes none of them, as it was.
    fn limited(&self, terms: Self::Terms, _limits: &Limits) -> Self::Terms {
        terms
    }
    /// What a key may do that is made with these terms, then.
    fn bounds(&self, terms: Self::Terms, made: DateTime<Utc>) -> Got<Bounds>;
    /// The terms, to be written down: nothing in them may be secret.
    fn kept(&self, terms: Self::Terms) -> Got<Kept> {
        keep(&terms)
    }

    /// What a create sends.
    async fn terms(&self, like: Option<Like<'_>>, limits: &Limits) -> Got<Self::Terms> {
        let terms = match like {
            Some(Like::Key(id)) => self.made_with(id).await?.0,
            Some(Like::Gone(terms)) => kept(terms)?,
            None => self.first()?,
        };
        Ok(self.limited(terms, limits))
    }
}

#[async_trait]
impl<T: Termed> Attributes for T {
    async fn of(&self, key: &KeyId) -> Got<Bounds> {
        let (terms, made) = self.made_with(key).await?;
        self.bounds(terms, made.unwrap_or_else(Utc::now))
    }

    async fn planned(&self, like: Option<Like<'_>>, limits: &Limits) -> Got<Bounds> {
        self.bounds(self.terms(like, limits).await?, Utc::now())
    }

    async fn keep(&self, key: &KeyId) -> Got<Kept> {
        self.kept(self.made_with(key).await?.0)
    }
}
