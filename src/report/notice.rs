//! What people are told in a message: an excerpt of the summary, without colours.

use chrono::{DateTime, Utc};

use super::{
    paint::{bare, capital, clean},
    summary::{because, outcome},
    time::clock,
    words,
};
use crate::{
    playbook::Occasion,
    ports::{Advice, Notice},
    record::Record,
    rotation::Rotation,
};

/// What there is to tell of a rotation as it stands.
pub fn notice(rotation: &Rotation, records: &[Record], occasion: Occasion, at: DateTime<Utc>) -> Notice {
    let title = match records.first() {
        Some(first) if occasion == Occasion::Started => capital(&words::sentence(rotation, first)),
        _ => bare(&outcome(rotation)),
    };
    let mut next: Vec<Advice> = if occasion == Occasion::Started {
        vec![advice(&format!("keyroll show {}", rotation.id))]
    } else {
        words::next(rotation).iter().map(|line| advice(line)).collect()
    };
    if occasion == Occasion::Held {
        next.push(advice(&format!("keyroll ack {}  # says that you have seen it; nobody is reminded again", rotation.id)));
    }
    Notice {
        occasion,
        playbook: clean(&rotation.plan.name),
        rotation: Some(rotation.id.clone()),
        at,
        title: clean(&title),
        because: because(records).filter(|_| occasion != Occasion::Started).map(|cause| bare(&cause)),
        keys: Some(words::keys(rotation)),
        next,
    }
}

/// What there is to tell of a key that is older than it should be; `why`, in words: since when, and what stands in the way.
pub fn overdue(playbook: &str, file: &str, why: &str, at: DateTime<Utc>) -> Notice {
    Notice {
        occasion: Occasion::Overdue,
        playbook: clean(playbook),
        rotation: None,
        at,
        title: clean(&format!("! {playbook}: the key is overdue for a rotation")),
        because: Some(clean(why)),
        keys: None,
        next: vec![advice(&format!("keyroll run {}  # rotates it now", words::quoted(file)))],
    }
}

/// Who has seen that a rotation is held, in words; none where nobody did.
pub fn seen(rotation: &Rotation) -> Option<String> {
    let seen = rotation.seen.as_ref()?;
    let said = seen.reason.as_ref().map_or_else(String::new, |reason| format!(": \"{reason}\""));
    Some(clean(&format!("seen by {} at {}{said}", seen.by, clock(seen.at))))
}

/// A line of [`words::next`], its comment apart.
pub(super) fn advice(line: &str) -> Advice {
    let (command, comment) = line.rsplit_once("  # ").unwrap_or((line, ""));
    Advice { command: command.to_owned(), what_for: comment.to_owned() }
}
