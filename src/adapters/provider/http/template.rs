//! Paths and bodies with placeholders. Each is filled in one pass: a name that looks like a placeholder stays a name.

use serde_json::Value;

use crate::{adapters::wire, playbook::Fault, ports::Got};

/// Placeholders and their values.
pub(super) type Fill<'a> = [(&'static str, &'a str)];

/// Refuses placeholders that nothing fills.
pub(super) fn check(field: &str, path: &str, body: Option<&Value>, known: &[&str]) -> Result<(), Fault> {
    let mut unknown = None;
    let mut look = |text: &str| {
        let mut rest = text;
        while let Some((place, end)) = next(rest) {
            if !known.contains(&&rest[place + 1..end - 1]) {
                unknown.get_or_insert(rest[place..end].to_owned());
            }
            rest = &rest[end..];
        }
    };
    look(path);
    if let Some(body) = body {
        texts(body, &mut look);
    }
    match unknown {
        None => Ok(()),
        Some(name) if known.is_empty() => Err(Fault::new(format!("`{field}` fills no placeholders, and `{name}` looks like one"))),
        Some(name) => {
            let known: Vec<_> = known.iter().map(|name| format!("`{{{name}}}`")).collect();
            Err(Fault::new(format!("`{field}` knows no placeholder `{name}`")).instead(known.join(" or ")))
        }
    }
}

/// Whether a placeholder (`{id}`) occurs.
pub(super) fn uses(placeholder: &str, path: &str, body: Option<&Value>) -> bool {
    let mut found = path.contains(placeholder);
    if let Some(body) = body {
        texts(body, &mut |text| found |= text.contains(placeholder));
    }
    found
}

/// A path with its values percent-encoded.
pub(super) fn path(text: &str, fill: &Fill<'_>) -> Got<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((place, end)) = next(rest) {
        out += &rest[..place];
        match value(&rest[place..end], fill) {
            Some(value) => out += &wire::segment(value)?,
            None => out += &rest[place..end],
        }
        rest = &rest[end..];
    }
    Ok(out + rest)
}

/// A body with its texts filled in.
pub(super) fn body(template: &Value, fill: &Fill<'_>) -> Value {
    match template {
        Value::String(text) => Value::String(plain(text, fill)),
        Value::Array(items) => items.iter().map(|item| body(item, fill)).collect(),
        Value::Object(fields) => Value::Object(fields.iter().map(|(name, value)| (name.clone(), body(value, fill))).collect()),
        other => other.clone(),
    }
}

fn plain(text: &str, fill: &Fill<'_>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((place, end)) = next(rest) {
        out += &rest[..place];
        out += value(&rest[place..end], fill).unwrap_or(&rest[place..end]);
        rest = &rest[end..];
    }
    out + rest
}

fn value<'a>(placeholder: &str, fill: &Fill<'a>) -> Option<&'a str> {
    let name = &placeholder[1..placeholder.len() - 1];
    fill.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// The first `{word}`: where it begins and ends.
fn next(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(place) = text[from..].find('{').map(|place| place + from) {
        let word = text[place + 1..].find(|c: char| !(c.is_ascii_lowercase() || c == '_'))?;
        let end = place + 1 + word;
        if word > 0 && text[end..].starts_with('}') {
            return Some((place, end + 1));
        }
        from = place + 1;
    }
    None
}

fn texts(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => look(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, look)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, look)),
        _ => {}
    }
}
