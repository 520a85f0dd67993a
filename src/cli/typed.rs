//! A secret from a person's fingers or from a pipe; never from the command line, where every process can read it.

use std::io::{IsTerminal, Read};

use super::Fail;
use crate::secret::Secret;

/// The longest text that is read.
const LONGEST: u64 = 256 << 20;

/// The value, and as it came: copied texts bring spaces and a line's end along.
///
/// # Errors
/// Nothing was given, or no text; `how` is the command that gives one.
pub fn typed(what: &str, how: &str) -> Result<Vec<Secret>, Fail> {
    let value = if std::io::stdin().is_terminal() {
        let asked = dialoguer::Password::new().with_prompt(format!("{what} (it is not shown)")).interact();
        Secret::new(asked.map_err(|_| Fail::usage("no value was given"))?)
    } else {
        read(std::io::stdin(), "standard input")?
    };
    let trimmed = Secret::new(value.reveal().trim());
    if trimmed.reveal().is_empty() {
        return Err(Fail::usage("no value was given").next(how));
    }
    Ok(vec![trimmed, value])
}

/// All of it, up to 256 MiB.
pub fn read(from: impl Read, name: &str) -> Result<Secret, Fail> {
    let mut text = String::new();
    // The errors hold no text: kinds only.
    match from.take(LONGEST + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LONGEST => Err(Fail::usage(format!("{name} is longer than 256 MiB"))),
        Ok(_) => Ok(Secret::new(text)),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(Fail::usage(format!("{name} is not UTF-8 text"))),
        Err(error) => Err(Fail::usage(format!("{name} cannot be read: {}", error.kind()))),
    }
}
