//! What an answer to a call with a key says of the key.

use serde_json::Value;

use crate::{
    adapters::wire::Reply,
    ports::{Failure, Got, Life},
};

/// An answer that means: there is no such key (any more). Nothing else does, least of all 403, 429 and 5xx.
#[derive(Clone, Copy)]
pub struct Dead {
    status: u16,
    /// A JSON pointer, and what its text holds.
    says: Option<(&'static str, &'static str)>,
}

impl Dead {
    /// By the status alone: only where the vendor gives it for nothing else.
    pub const fn status(status: u16) -> Self {
        Self { status, says: None }
    }

    /// By the status, and by what stands in the body.
    pub const fn saying(status: u16, pointer: &'static str, holds: &'static str) -> Self {
        Self { status, says: Some((pointer, holds)) }
    }

    fn fits(&self, reply: &Reply, body: Option<&Value>) -> bool {
        let says = |(pointer, holds): (&str, &str)| match body.and_then(|body| body.pointer(pointer)) {
            Some(Value::String(text)) => text.contains(holds),
            Some(Value::Number(number)) => number.to_string() == holds,
            _ => false,
        };
        self.status == reply.status.as_u16() && self.says.is_none_or(says)
    }
}

/// Whether an answer has this status, and its body holds this text at this JSON pointer.
pub fn says(reply: &Reply, status: u16, pointer: &'static str, holds: &'static str) -> bool {
    Dead::saying(status, pointer, holds).fits(reply, reply.json().ok().as_ref())
}

/// 2xx is alive, one of `dead` is dead, and everything else is neither.
pub fn life(reply: &Reply, dead: &[Dead]) -> Life {
    if reply.status.is_success() {
        return Life::Alive;
    }
    let body: Option<Value> = reply.json().ok();
    if dead.iter().any(|dead| dead.fits(reply, body.as_ref())) { Life::Dead } else { Life::Unclear }
}

/// Whether the answer to a delete says `true` at this JSON pointer. Anything else is unknown: the work may be done.
///
/// # Errors
/// Where it does not say so.
pub fn deleted(reply: &Reply, pointer: &str, what: &str) -> Got<()> {
    match reply.json::<Value>()?.pointer(pointer) {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(Failure::unknown(format!("DELETE {what}: the answer does not say that it is deleted"))),
    }
}

/// What an answer to a switch comes to: whether it says that the key is as it was asked to be. Anything else is unknown.
///
/// # Errors
/// Where it does not say so.
pub fn switched(so: bool, asked: &str) -> Got<()> {
    if so { Ok(()) } else { Err(Failure::unknown(format!("{asked}: the answer does not say that the key is switched so"))) }
}
