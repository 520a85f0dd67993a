//! The journal for those who check it: one line a record for a SIEM, and what becomes of an earlier export.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{paint::clean, time::clock, words};
use crate::{
    protocol::Event,
    record::{Decree, Decreed, Detail, Record},
    rotation::Rotation,
};

/// The form of [`Line`]; a field that goes or changes its meaning counts it up. New fields may come at any time.
const FORM: u16 = 1;

/// One record or decree of the journal, as `audit export` prints it. The fields' names are kept.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The form of this object.
    pub audit: u16,
    /// The journal's id.
    pub journal: String,
    /// `record` of a rotation, or `decree` beside them.
    pub kind: &'static str,
    /// The rotation; null for a decree.
    pub rotation: Option<String>,
    /// The playbook's name; null where a decree names none, or several.
    pub playbook: Option<String>,
    /// Its place in the rotation, or among the decrees, from 1.
    pub seq: u64,
    /// The writer's clock.
    pub time: DateTime<Utc>,
    /// The person, or `keyroll`.
    pub actor: String,
    /// What happened, as `did.promote` or `decree.freeze`.
    pub event: String,
    /// What a reading showed, or why something was refused: `yes`, `no`, `bad`, `denied` …
    pub outcome: Option<String>,
    /// Why it stands still for a person after this record.
    pub held: Option<String>,
    /// How it ended with this record.
    pub ended: Option<String>,
    /// The record in words.
    pub sentence: String,
    /// The hash of the record before it.
    pub previous_hash: String,
    /// Its own hash, which covers `previous_hash` and the record.
    pub hash: String,
}

/// Where a line stands and what seals it.
pub struct Seal<'a> {
    /// The journal's id.
    pub journal: &'a str,
    /// The hash before it.
    pub previous: &'a str,
    /// Its own.
    pub hash: &'a str,
}

/// A rotation's record; `rotation` already contains it.
pub fn record_line(rotation: &Rotation, record: &Record, seal: &Seal<'_>) -> Line {
    let actor = match &record.detail {
        Detail::Person { by, .. } => by.clone(),
        Detail::Planned(plan) => plan.begun.as_ref().map_or_else(|| "keyroll".into(), |begun| begun.by.clone()),
        _ => "keyroll".into(),
    };
    let (event, outcome) = named(&record.event);
    Line {
        audit: FORM,
        journal: seal.journal.into(),
        kind: "record",
        rotation: Some(record.rotation.to_string()),
        playbook: Some(rotation.plan.name.clone()),
        seq: record.seq,
        time: record.at,
        actor,
        event,
        outcome,
        held: rotation.state.held.and_then(|why| word(&serde_json::json!(why))),
        ended: rotation.state.ended().and_then(|end| word(&serde_json::json!(end))),
        sentence: words::sentence(rotation, record),
        previous_hash: seal.previous.into(),
        hash: seal.hash.into(),
    }
}

/// A decree.
pub fn decree_line(decreed: &Decreed, seal: &Seal<'_>) -> Line {
    let playbook = match &decreed.decree {
        Decree::Freeze { playbooks, .. } => playbooks.first().filter(|_| playbooks.len() == 1),
        Decree::Proposed { playbook, .. } | Decree::Queued { playbook, .. } => Some(playbook),
        Decree::Told { playbook, .. } | Decree::Tombstone { playbook, .. } => Some(playbook),
        Decree::Thaw { .. }
        | Decree::Approved { .. }
        | Decree::Used { .. }
        | Decree::Ack { .. }
        | Decree::Kept { .. }
        | Decree::Usage { .. }
        | Decree::Adopted { .. }
        | Decree::Merged { .. } => None,
    };
    Line {
        audit: FORM,
        journal: seal.journal.into(),
        kind: "decree",
        rotation: None,
        playbook: playbook.cloned(),
        seq: decreed.seq,
        time: decreed.at,
        actor: decreed.by.clone(),
        event: format!("decree.{}", word(&serde_json::json!(decreed.decree)).unwrap_or_default()),
        outcome: None,
        held: None,
        ended: None,
        sentence: clean(&decree_sentence(decreed)),
        previous_hash: seal.previous.into(),
        hash: seal.hash.into(),
    }
}

/// What a decree says, in the past tense, without a full stop.
pub fn decree_sentence(decreed: &Decreed) -> String {
    let by = &decreed.by;
    match &decreed.decree {
        Decree::Freeze { playbooks, until, reason } => {
            let what = if playbooks.is_empty() { "everything".to_owned() } else { playbooks.join(", ") };
            format!("{by} froze {what} until {}: \"{reason}\"", clock(*until))
        }
        Decree::Thaw { freeze, reason } => format!("{by} ended the freeze of decree {freeze}: \"{reason}\""),
        Decree::Proposed { id, playbook, expires, .. } => {
            format!("{by} proposed a rotation of {playbook} as {id}, for another person's word until {}", clock(*expires))
        }
        Decree::Approved { id, name } => {
            let name = name.as_ref().map_or_else(String::new, |name| format!(" (as {name})"));
            format!("{by}{name} approved {id}")
        }
        Decree::Used { id } => format!("{by} began a rotation on approval {id}"),
        Decree::Ack { rotation, reason } => {
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": \"{reason}\""));
            format!("{by} has seen that rotation {rotation} is held{reason}")
        }
        Decree::Told { playbook, what, to, .. } => format!("{to} was told again that {playbook} is {what}"),
        Decree::Tombstone { playbook, key, because, .. } => format!("{by} declared key {key} of {playbook} dead for good: {because}"),
        Decree::Kept { provider, key, reason } => format!("{by} keeps key {key} at {provider}: \"{reason}\""),
        Decree::Usage { key, from, used, .. } => super::used::sentence(key, *from, used),
        Decree::Adopted { journal, reason } => format!("{by} let this journal take the place of journal {journal}: \"{reason}\""),
        Decree::Queued { playbook, reason } => format!("{by} made {playbook} due: \"{reason}\""),
        Decree::Merged { journal, rotations } => format!("{by} merged {} rotations of journal {journal}", rotations.len()),
    }
}

/// `{"saw":[{"consumer":["new",0]},"yes"]}` → `saw.consumer`, `yes`.
fn named(event: &Event) -> (String, Option<String>) {
    let value = serde_json::json!(event);
    let outer = word(&value).unwrap_or_default();
    let inner = value.as_object().and_then(|object| object.values().next());
    match inner {
        None => (outer, None),
        Some(Value::Array(parts)) => (format!("{outer}.{}", parts.first().and_then(word).unwrap_or_default()), parts.get(1).and_then(word)),
        Some(one) => (format!("{outer}.{}", word(one).unwrap_or_default()), None),
    }
}

/// The name of an enum's variant as serde writes it: a text, or an object's only key.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => object.keys().next().cloned(),
        _ => None,
    }
}

/// What is read back of an exported line.
#[derive(Clone, Debug, Deserialize)]
pub struct Exported {
    /// The journal's id.
    pub journal: String,
    /// The rotation; none: a decree.
    pub rotation: Option<String>,
    /// Its place.
    pub seq: u64,
    /// The hash of the record before it.
    pub previous_hash: String,
    /// Its own hash.
    pub hash: String,
}

/// The first thing about each chain that is not as it was exported; chains by rotation, none: the decrees.
///
/// `now` has each chain's hashes, the one before the first record included.
pub fn compare(exported: &[Exported], now: &HashMap<Option<String>, Vec<String>>) -> Vec<(Option<String>, String)> {
    let mut findings: Vec<(Option<String>, String)> = Vec::new();
    for line in exported {
        if findings.iter().any(|(chain, _)| *chain == line.rotation) {
            continue;
        }
        let hashes = now.get(&line.rotation);
        let at = |seq: Option<u64>| hashes?.get(usize::try_from(seq?).ok()?);
        let what = match (hashes, at(Some(line.seq)), at(line.seq.checked_sub(1))) {
            (None, ..) => "it was exported, and is not in the journal any more".to_owned(),
            (Some(_), None, _) => format!("record {} was exported, and is not in the journal any more", line.seq),
            (Some(_), Some(hash), _) if *hash != line.hash => {
                format!("record {} is not the one that was exported: the journal was written anew", line.seq)
            }
            (Some(_), _, before) if before.is_none_or(|before| *before != line.previous_hash) => {
                format!("what stands before record {} is not what was exported: the journal was written anew", line.seq)
            }
            _ => continue,
        };
        findings.push((line.rotation.clone(), what));
    }
    findings
}
