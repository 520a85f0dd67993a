//! One JSON object. Members are replaced where they stand, byte for byte: reading and writing the whole would change numbers and layout.

use std::{collections::BTreeMap, ops::Range};

use serde_json::Value;

use crate::secret::Secret;

pub(super) fn fields(text: &str) -> Result<BTreeMap<String, Secret>, String> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let object = object(text)?;
    let texts = object.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, Secret::new(text))),
        _ => None,
    });
    Ok(texts.collect())
}

pub(super) fn with(text: &str, fields: &BTreeMap<String, Secret>) -> Result<Secret, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    object(text)?;
    let members = members(text);
    let room = text.len() + fields.iter().map(|(name, value)| name.len() + 2 * value.reveal().len() + 16).sum::<usize>();
    let mut out = String::with_capacity(room);
    let mut from = 0;
    for (name, span) in &members {
        if let Some(value) = fields.get(name) {
            out.push_str(&text[from..span.start]);
            out.push_str(&quoted(value.reveal()));
            from = span.end;
        }
    }
    let missing = fields.iter().filter(|(name, _)| !members.iter().any(|(known, _)| known == *name));
    let open = text.find('{').map_or(0, |at| at + 1);
    // The gap before the last member is the gap before each new one.
    let before = match members.as_slice() {
        [.., (_, previous), _] => previous.end + text[previous.end..].find(',').map_or(0, |at| at + 1),
        _ => open,
    };
    let gap = text[before..].find('"').filter(|_| !members.is_empty()).map_or("", |length| &text[before..before + length]);
    let colon = if gap.contains('\n') || text.contains("\": ") { ": " } else { ":" };
    let apart = if gap.is_empty() && members.len() == 1 { &colon[1..] } else { gap };
    let end = members.last().map_or(open, |(_, span)| span.end);
    out.push_str(&text[from.min(end)..end]);
    for (place, (name, value)) in missing.enumerate() {
        if place > 0 || !members.is_empty() {
            out.push(',');
            out.push_str(apart);
        }
        out.extend([quoted(name).as_str(), colon, quoted(value.reveal()).as_str()]);
    }
    out.push_str(&text[end..]);
    Ok(Secret::new(out))
}

fn object(text: &str) -> Result<serde_json::Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("the JSON is no object".into()),
        Err(error) => Err(format!("not JSON, at line {} column {}", error.line(), error.column())),
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// The top level's members with their values' places, in a text that is known to be an object.
fn members(text: &str) -> Vec<(String, Range<usize>)> {
    let (mut found, mut depth, mut name, mut start) = (Vec::new(), 0_usize, None, None);
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let mut next = at + 1;
        match byte {
            b'"' => {
                next = at + string(&text[at..]);
                if depth == 1 && name.is_none() {
                    name = serde_json::from_str::<String>(&text[at..next]).ok();
                }
            }
            b':' if depth == 1 => start = Some(next),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let over = (*byte == b',' && depth == 1) || (*byte == b'}' && depth == 0);
        if let (true, Some(name), Some(start)) = (over, name.take_if(|_| over), start.take_if(|_| over)) {
            let value = &text[start..at];
            let lead = value.len() - value.trim_start().len();
            found.push((name, start + lead..start + value.trim_end().len()));
        }
        at = next;
    }
    found
}

/// The length of the string that begins here, with its quotes.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
