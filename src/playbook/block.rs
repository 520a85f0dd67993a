//! A part of the YAML that belongs to one adapter: its kind and its place, not its meaning.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;

use super::{Fault, read, tree};

/// A playbook's text.
pub struct Source {
    /// Where it was read from, for messages.
    pub name: String,
    /// The text.
    pub text: String,
}

impl fmt::Debug for Source {
    /// Without the text: a secret may stand in it that does not belong there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("bytes", &self.text.len()).finish()
    }
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
    /// A [`Fault`] with its place, without the text found there; others of the same block are in [`Fault::also`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let root = tree::of(&self.source)?;
        let (key, node) = root.walk(&self.path).ok_or_else(|| Fault::new(format!("`{}` is missing", self.kind)))?;
        read::read(node, key).map_err(Fault::together)
    }

    /// Line and column of its name, or of a field below it: `block.place(&["auth", "token"])`.
    pub fn place(&self, below: &[&str]) -> Option<(usize, usize)> {
        let root = tree::of(&self.source).ok()?;
        let (key, mut node) = root.walk(&self.path)?;
        let mut at = key.unwrap_or(node.at);
        for name in below {
            let Some((_, value)) = node.entry(name) else { break };
            (at, node) = (value.at, value);
        }
        Some(at.pair())
    }

    /// A mistake at a field of it; at its name where the field is not written.
    pub fn fault(&self, below: &[&str], what: impl Into<String>) -> Fault {
        let mut fault = Fault::new(what);
        fault.at = self.place(below);
        fault
    }
}
