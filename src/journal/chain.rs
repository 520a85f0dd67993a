//! The hash chain of one rotation. Pure: rows in, records or a reason out.
//!
//! It finds what was changed, lost, added or reordered by accident or by hand. It cannot find the work of somebody who
//! may write the file and computes every hash anew: for that, export the chain to where they cannot write.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    ids::RotationId,
    ports::{JournalError, Note},
    record::{Decreed, Record, SCHEMA},
    secret::hex,
};

/// One row of the event table.
pub(super) struct Row {
    pub seq: u64,
    pub epoch: u64,
    pub body: String,
    pub hash: String,
}

/// Where a chain ends, as the rotation's own row says.
pub(super) struct Tip {
    pub seq: u64,
    pub head: String,
}

/// The hash before the first record.
pub(super) fn root(rotation: &RotationId) -> String {
    hex(&Sha256::digest(rotation.as_str()))
}

/// The hash of a record's text, given the hash before it.
pub(super) fn link(before: &str, body: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(body);
    hex(&hasher.finalize())
}

/// The records of a whole chain, in order.
pub(super) fn verify(rotation: &RotationId, rows: &[Row], tip: &Tip) -> Result<Vec<Record>, JournalError> {
    let corrupt = |seq: u64, what: &str| JournalError::Corrupt(format!("record {seq} of rotation {rotation} {what}"));
    let mut head = root(rotation);
    let mut records = Vec::with_capacity(rows.len());
    let mut epoch = 0;
    for (row, seq) in rows.iter().zip(1u64..) {
        if row.seq != seq {
            return Err(corrupt(seq, "is missing"));
        }
        head = link(&head, &row.body);
        if row.hash != head {
            return Err(corrupt(seq, "is not what was written: its hash does not match"));
        }
        let record: Record = read(&row.body, |why| corrupt(seq, &why))?;
        if (&record.rotation, record.seq, record.epoch) != (rotation, seq, row.epoch) || record.epoch < epoch {
            return Err(corrupt(seq, "does not belong where it stands"));
        }
        epoch = record.epoch;
        records.push(record);
    }
    let found = records.len() as u64;
    match found.cmp(&tip.seq) {
        std::cmp::Ordering::Less => Err(corrupt(found + 1, "is missing")),
        std::cmp::Ordering::Greater => Err(corrupt(tip.seq + 1, "was never written by keyroll")),
        std::cmp::Ordering::Equal if head != tip.head => {
            Err(corrupt(found, "is not the end that was written: the rotation's head differs"))
        }
        std::cmp::Ordering::Equal => Ok(records),
    }
}

/// The decrees of a journal, in order.
pub(super) fn verify_decrees(rows: &[(u64, String, String)]) -> Result<(Vec<Decreed>, String), JournalError> {
    let corrupt = |seq: u64, what: &str| JournalError::Corrupt(format!("decree {seq} {what}"));
    let mut head = decree_root();
    let mut decrees = Vec::with_capacity(rows.len());
    for ((found, body, hash), seq) in rows.iter().zip(1u64..) {
        if *found != seq {
            return Err(corrupt(seq, "is missing"));
        }
        head = link(&head, body);
        if *hash != head {
            return Err(corrupt(seq, "is not what was written: its hash does not match"));
        }
        let decreed: Decreed = read(body, |why| corrupt(seq, &why))?;
        if decreed.seq != seq {
            return Err(corrupt(seq, "does not belong where it stands"));
        }
        decrees.push(decreed);
    }
    Ok((decrees, head))
}

/// The hash before the first decree.
pub(super) fn decree_root() -> String {
    hex(&Sha256::digest("decrees"))
}

/// A person's ask out of the inbox; kept in a record's own words.
pub(super) fn note(rotation: &RotationId, body: &str) -> Result<Note, JournalError> {
    let corrupt = |why: String| JournalError::Corrupt(format!("a request left for rotation {rotation} {why}"));
    let form: Asking = read(body, corrupt)?;
    Ok(Note { event: form.event, detail: form.detail })
}

/// The text of a person's ask.
pub(super) fn note_body(note: Note) -> Result<String, JournalError> {
    body(&Asking { schema: SCHEMA, event: note.event, detail: note.detail })
}

/// The text that is hashed and stored.
pub(super) fn body<T: serde::Serialize>(form: &T) -> Result<String, JournalError> {
    serde_json::to_string(form).map_err(|error| JournalError::Down(format!("a record cannot be written as JSON: {error}")))
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Asking {
    schema: u16,
    event: crate::protocol::Event,
    detail: crate::record::Detail,
}

/// Reads a body whole: a schema, word or field that this keyroll does not know is an error, never skipped.
fn read<T>(body: &str, fail: impl Fn(String) -> JournalError) -> Result<T, JournalError>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let newer = |what: String| fail(format!("was written by a newer keyroll ({what}): use that one"));
    let told: Value = serde_json::from_str(body).map_err(|_| fail("is no JSON".into()))?;
    match told.get("schema").and_then(Value::as_u64) {
        Some(schema) if schema <= u64::from(SCHEMA) => {}
        Some(schema) => return Err(newer(format!("form {schema}; this one knows {SCHEMA}"))),
        None => return Err(newer("a form without a number".into())),
    }
    let form: T = serde_json::from_str(body).map_err(|error| newer(error.to_string()))?;
    let understood = serde_json::to_value(&form).map_err(|error| fail(error.to_string()))?;
    match unknown(&told, &understood) {
        Some(field) => Err(newer(format!("field `{field}`"))),
        None => Ok(form),
    }
}

/// The first field that was told and not understood: serde drops such fields silently.
fn unknown(told: &Value, understood: &Value) -> Option<String> {
    match (told, understood) {
        (Value::Object(told), Value::Object(understood)) => told.iter().find_map(|(key, value)| match understood.get(key) {
            None => Some(key.clone()),
            Some(ours) => unknown(value, ours),
        }),
        (Value::Array(told), Value::Array(understood)) => told.iter().zip(understood).find_map(|(told, ours)| unknown(told, ours)),
        _ => None,
    }
}
