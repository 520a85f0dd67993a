//! `env:NAME`.

use crate::{
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

pub(super) fn read(name: &str) -> Got<Secret> {
    let wrong = |why, what: &str| Err(Failure::refused(why, None, format!("env:{name} {what}")));
    // Asked first: setting or reading a name with `=` or NUL in it panics on some systems.
    if name.contains(['=', '\0']) {
        return wrong(Refusal::Invalid, "is no name of an environment variable");
    }
    match std::env::var(name) {
        Ok(value) => Ok(Secret::new(value)),
        Err(std::env::VarError::NotPresent) => {
            wrong(Refusal::Gone, "is not set").map_err(|failure| failure.hint(format!("set it where keyroll runs: export {name}=…")))
        }
        Err(std::env::VarError::NotUnicode(_)) => wrong(Refusal::Invalid, "is not UTF-8 text"),
    }
}
