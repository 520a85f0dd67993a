//! What a call that failed means for the outside world.

use std::time::Duration;

use crate::protocol::Refusal;

/// The result of a call across a port.
pub type Got<T> = Result<T, Failure>;

/// A call that did not give what was asked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What it means for the outside world.
    pub fate: Fate,
    /// Who was asked for what, and what came back (a status, never a body): `POST https://… answered 403`.
    pub what: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// Whether a failed call may have changed something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It answered: nothing changed.
    Refused {
        /// In the protocol's words.
        why: Refusal,
        /// The HTTP status, where there is one.
        code: Option<u16>,
    },
    /// Provably no effect: the name did not resolve, the connection was refused, TLS failed, 429.
    NotSent {
        /// What the other side asked us to wait.
        retry_after: Option<Duration>,
    },
    /// It may have happened: 5xx, 408, 3xx, a reset, a timeout, an unreadable 2xx. Look before anything else.
    Unknown {
        /// What the other side asked us to wait.
        retry_after: Option<Duration>,
    },
}

impl Failure {
    /// It answered "no".
    pub fn refused(why: Refusal, code: Option<u16>, what: impl Into<String>) -> Self {
        Self { fate: Fate::Refused { why, code }, what: what.into(), hint: None }
    }
    /// It was never sent.
    pub fn not_sent(what: impl Into<String>) -> Self {
        Self { fate: Fate::NotSent { retry_after: None }, what: what.into(), hint: None }
    }
    /// It may have happened.
    pub fn unknown(what: impl Into<String>) -> Self {
        Self { fate: Fate::Unknown { retry_after: None }, what: what.into(), hint: None }
    }
    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// What happened and what to do about it, in one line.
    pub fn told(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {}", self.what, hint.replace('\n', " ")),
            None => self.what.clone(),
        }
    }
    /// The protocol's word, if it was refused.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.fate {
            Fate::Refused { why, .. } => Some(why),
            _ => None,
        }
    }
    /// What the other side asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.fate {
            Fate::NotSent { retry_after } | Fate::Unknown { retry_after } => retry_after,
            Fate::Refused { .. } => None,
        }
    }
}

/// Something preflight found that must be put right before a rotation can begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// The other side could not be asked (as opposed to: it answered, and that is the problem).
    pub unreachable: bool,
}

impl Problem {
    /// A finding, with its remedy.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), unreachable: false }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let unreachable = !matches!(failure.fate, Fate::Refused { .. });
        let hint = failure.hint.unwrap_or_else(|| match failure.fate {
            Fate::Refused { why: Refusal::Denied, .. } => "check the credential and its permissions".into(),
            Fate::Refused { .. } => "check the playbook against what is really there".into(),
            _ => "check that it is reachable from here, then try again".into(),
        });
        Self { what: failure.what, hint, unreachable }
    }
}
