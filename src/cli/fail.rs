//! An error as a person needs it: what happened, what state the keys are in, what to type next.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::{Global, Output};
use crate::{
    driver::Halt,
    ports::{JournalError, Problem},
    report,
    rotation::Rotation,
};

/// An error with its exit code.
#[derive(Debug)]
pub struct Fail {
    code: u8,
    what: String,
    details: Vec<String>,
    keys: Option<String>,
    next: Vec<String>,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const BOLD: Style = Style::new().bold();

impl Fail {
    /// What happened.
    pub fn new(code: u8, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), details: Vec::new(), keys: None, next: Vec::new() }
    }

    /// Wrong usage, or an invalid playbook.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(2, what)
    }

    /// The next command to type.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// A command that stands before the others.
    #[must_use]
    pub fn first(mut self, command: impl Into<String>) -> Self {
        self.next.insert(0, command.into());
        self
    }

    /// With every next command told which journal knows of it.
    #[must_use]
    pub fn in_journal(mut self, place: &str) -> Self {
        let named = format!("keyroll --journal {} ", crate::playbook::quoted(place));
        for next in &mut self.next {
            *next = next.replacen("keyroll ", &named, 1);
        }
        self
    }

    /// More lines, printed as they are.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// With the state of both keys, and what to type for it.
    #[must_use]
    pub fn of(mut self, rotation: &Rotation) -> Self {
        self.keys = Some(report::words::keys(rotation));
        if self.next.is_empty() {
            self.next = report::words::next(rotation);
        }
        self
    }

    /// What preflight found.
    pub fn preflight(name: &str, problems: Vec<Problem>) -> Self {
        let code = if problems.iter().any(|problem| problem.unreachable) { 5 } else { 2 };
        let mut fail = Self::new(code, format!("`{name}` cannot be rotated as things are; nothing was changed"));
        fail.keys = Some("The key in use is untouched; no new key was made.".into());
        for problem in problems {
            fail.details.push(format!("{BOLD}{}{BOLD:#}\n    {}", problem.what, problem.hint));
        }
        fail.next("keyroll plan PLAYBOOK    (reads everything again and changes nothing)")
    }

    /// Why the driver stopped.
    pub fn halt(halt: Halt, rotation: &Rotation) -> Self {
        let fail = match halt {
            Halt::Journal(error) => Self::from(error),
            Halt::Outside(failure) => {
                let fail = Self::new(5, failure.what);
                match failure.hint {
                    Some(hint) => fail.detail(hint),
                    None => fail,
                }
            }
            Halt::Unfit(unfit) => Self::usage(unfit.to_string()),
            Halt::Defect(_) | Halt::Broken(_) => Self::new(5, halt.to_string()),
        };
        let fail = if fail.next.is_empty() && !report::words::waits_for_key(rotation) {
            fail.next(format!("keyroll resume {}", rotation.id))
        } else {
            fail
        };
        fail.of(rotation)
    }

    /// What happened, alone.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Its exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// What happened, and each detail, without colours.
    pub fn lines(&self) -> Vec<String> {
        let rest = self.details.iter().flat_map(|detail| plain(detail).lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>());
        std::iter::once(self.what.clone()).chain(rest).collect()
    }

    /// What to type next.
    pub fn commands(&self) -> &[String] {
        &self.next
    }

    /// Prints it where errors go.
    pub fn print(self, global: &Global) -> ExitCode {
        if global.output == Output::Json {
            let object = serde_json::json!({
                "error": self.what, "details": self.details.iter().map(|line| plain(line)).collect::<Vec<_>>(),
                "keys": self.keys, "next": self.next, "exit_code": self.code,
            });
            println!("{object}");
        }
        self.complain();
        ExitCode::from(self.code)
    }

    /// Prints it for a person alone: standard output holds something else.
    pub fn complain(&self) {
        anstream::eprintln!("{ERROR}error{ERROR:#}{BOLD}: {}{BOLD:#}", self.what);
        for detail in &self.details {
            anstream::eprintln!("  {detail}");
        }
        if let Some(keys) = &self.keys {
            anstream::eprintln!("{BOLD}keys{BOLD:#}: {keys}");
        }
        for next in &self.next {
            anstream::eprintln!("{BOLD}next{BOLD:#}: {next}");
        }
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

impl From<JournalError> for Fail {
    fn from(error: JournalError) -> Self {
        let what = error.to_string();
        match error {
            JournalError::Open(id) => Self::new(4, what).next(format!("keyroll show {id}")).next(format!("keyroll resume {id}")),
            JournalError::Overtaken(_) => Self::new(4, what)
                .detail("nothing was begun: what the plan says of the key in use may no longer hold")
                .next("keyroll history"),
            JournalError::Busy(id, _) => Self::new(4, what).next(format!("keyroll show {id}")),
            JournalError::TakenOver(id) => Self::new(4, what).detail("this process stopped at once").next(format!("keyroll show {id}")),
            JournalError::Lapsed(id) => Self::new(5, what)
                .detail("this process was stopped, or did not reach the journal, for longer than its lease; it did nothing more")
                .detail("what it had sent last may still have its effect: once the rotation is over, `keyroll reconcile` shows a key that it left")
                .next(format!("keyroll resume {id}")),
            JournalError::Unknown(_) => Self::usage(what).next("keyroll history"),
            JournalError::Corrupt(_) => Self::new(5, what).detail("nothing was done: keyroll never acts on a record that it cannot trust"),
            JournalError::Down(_) => Self::new(5, what).detail("no journal, no effect: nothing more is done"),
        }
    }
}
