//! A part of the YAML that belongs to one adapter: its kind and its place, not its meaning.

use std::{marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Fault;

/// A playbook's text.
#[derive(Debug)]
pub struct Source {
    /// Where it was read from, for messages.
    pub name: String,
    /// The text.
    pub text: String,
}

/// One step on the way to a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seg {
    /// A mapping's key.
    Key(String),
    /// A list's place.
    At(usize),
}

/// An adapter's part of a playbook, unread.
#[derive(Clone, Debug)]
pub struct Block {
    /// The adapter's name.
    pub kind: String,
    /// The way to it, its own name last.
    pub path: Vec<Seg>,
    /// The whole text: read again from its beginning, so that every error has its true line and column.
    pub source: Arc<Source>,
}

impl Block {
    /// Reads it as `T`.
    ///
    /// # Errors
    /// A [`Fault`] with its place, without the text found there.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        super::load::read_at(&self.source.text, &self.path)
    }
}

/// Walks to a path and reads what stands there.
pub(super) struct Walk<'p, T>(pub &'p [Seg], pub PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Walk<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        match self.0.first() {
            None => T::deserialize(from),
            Some(Seg::Key(_)) => from.deserialize_map(self),
            Some(Seg::At(_)) => from.deserialize_seq(self),
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Walk<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a block")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((Seg::Key(want), rest)) if *want == key => found = Some(map.next_value_seed(Walk(rest, PhantomData))?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        found.ok_or_else(|| serde::de::Error::custom("missing"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let mut found = None;
        for place in 0.. {
            match self.0.split_first() {
                Some((Seg::At(want), rest)) if *want == place => match list.next_element_seed(Walk(rest, PhantomData))? {
                    Some(value) => found = Some(value),
                    None => break,
                },
                _ if list.next_element::<IgnoredAny>()?.is_none() => break,
                _ => {}
            }
        }
        found.ok_or_else(|| serde::de::Error::custom("missing"))
    }
}
