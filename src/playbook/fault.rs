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
    /// Others found with it, in the same block.
    pub also: Vec<Fault>,
}

impl Fault {
    /// A mistake in the file as a whole.
    pub fn new(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into(), instead: None, also: Vec::new() }
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
    /// Many as one, for a caller that takes one.
    pub(super) fn together(mut faults: Vec<Fault>) -> Self {
        if faults.is_empty() {
            return Self::new("it cannot be read");
        }
        let mut first = faults.remove(0);
        first.also.append(&mut faults);
        first
    }
    /// This one and those found with it, one by one.
    pub fn each(mut self) -> Vec<Fault> {
        let also = std::mem::take(&mut self.also);
        let mut all = vec![self];
        all.extend(also.into_iter().flat_map(Fault::each));
        all
    }
}
