//! One thing that is wrong with a playbook, and where.

/// A mistake, with its place and what to write instead. Never holds the text at that place: it may be a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Line and column, from 1; none where the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: Option<String>,
}

impl Fault {
    /// A mistake in the file as a whole.
    pub fn new(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into(), instead: None }
    }
    /// The same at a place.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.at = Some((line, column));
        self
    }
    /// The same with a remedy.
    #[must_use]
    pub fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = Some(instead.into());
        self
    }
}
