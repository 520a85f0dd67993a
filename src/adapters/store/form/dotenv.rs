//! `NAME=value` lines.
//!
//! There is no standard: parsers disagree on escapes, `$` and repeated names. So a value is written in the line's own quoting where
//! that is unambiguous, a name that stands twice is changed twice, and a value over several lines is refused.

use std::{collections::BTreeMap, ops::Range};

use crate::secret::Secret;

#[derive(Clone, Copy, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
}

/// One assignment: where its value stands in the line, quotes included.
struct Line<'t> {
    name: &'t str,
    span: Range<usize>,
    quote: Quote,
}

pub(super) fn fields(text: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut found = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(at) = parse(line, number)? {
            found.insert(at.name.to_owned(), decode(&line[at.span.clone()], at.quote));
        }
    }
    Ok(found)
}

pub(super) fn with(text: &str, fields: &BTreeMap<String, Secret>) -> Result<Secret, String> {
    for (name, value) in fields {
        if !is_name(name) {
            return Err(format!("`{name}` is no variable name: letters, digits and _ only"));
        }
        if value.reveal().contains(['\n', '\r', '\0']) {
            return Err(format!("the value of {name} has a line break, which a .env file cannot hold in a way that all readers agree on"));
        }
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let room = text.len() + fields.iter().map(|(name, value)| name.len() + 2 * value.reveal().len() + 8).sum::<usize>();
    let mut out = String::with_capacity(room);
    let mut written = Vec::new();
    for (number, whole) in (1..).zip(text.split_inclusive('\n')) {
        let line = whole.trim_end_matches('\n').trim_end_matches('\r');
        match parse(line, number)?.and_then(|at| fields.get(at.name).map(|value| (at, value))) {
            Some((at, value)) => {
                out.push_str(&line[..at.span.start]);
                encode(&mut out, value.reveal(), at.quote);
                out.push_str(&whole[at.span.end..]);
                written.push(at.name);
            }
            None => out.push_str(whole),
        }
    }
    for (name, value) in fields.iter().filter(|(name, _)| !written.contains(&name.as_str())) {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(newline);
        }
        out.push_str(name);
        out.push('=');
        encode(&mut out, value.reveal(), Quote::None);
        out.push_str(newline);
    }
    Ok(Secret::new(out))
}

/// The assignment in this line; none in comments, blank lines and whatever else stands there.
fn parse(line: &str, number: usize) -> Result<Option<Line<'_>>, String> {
    let code = line.trim_start();
    let code = code.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(code, str::trim_start);
    let Some((name, value)) = code.split_once('=').map(|(name, value)| (name.trim_end(), value)) else { return Ok(None) };
    if !is_name(name) {
        return Ok(None);
    }
    let body = value.trim_start_matches([' ', '\t']);
    let start = line.len() - body.len();
    let (quote, length) = match body.as_bytes().first() {
        Some(b'\'') => (Quote::Single, body[1..].find('\'').map(|end| end + 2)),
        Some(b'"') => (Quote::Double, closing(body)),
        Some(b'`') => return Err(format!("line {number} uses backquotes, which readers of .env files do not agree on")),
        _ => (Quote::None, Some(unquoted(body))),
    };
    let length = length.ok_or_else(|| format!("line {number} opens a quote that it does not close: a value over several lines"))?;
    Ok(Some(Line { name, span: start..start + length, quote }))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The length of a double-quoted value with its quotes.
fn closing(body: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in body.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of a bare value: up to a comment, without the blanks before it.
fn unquoted(body: &str) -> usize {
    let end = if body.starts_with('#') { 0 } else { body.find(" #").into_iter().chain(body.find("\t#")).min().unwrap_or(body.len()) };
    body[..end].trim_end().len()
}

fn decode(text: &str, quote: Quote) -> Secret {
    match quote {
        Quote::None => Secret::new(text),
        Quote::Single => Secret::new(&text[1..text.len() - 1]),
        Quote::Double => {
            let mut out = String::with_capacity(text.len());
            let mut chars = text[1..text.len() - 1].chars();
            while let Some(c) = chars.next() {
                match (c, c == '\\') {
                    (_, false) => out.push(c),
                    _ => match chars.next() {
                        Some('n') => out.push('\n'),
                        Some('r') => out.push('\r'),
                        Some('t') => out.push('\t'),
                        Some(plain @ ('\\' | '"' | '$' | '`')) => out.push(plain),
                        other => out.extend(['\\'].into_iter().chain(other)),
                    },
                }
            }
            Secret::new(out)
        }
    }
}

/// Writes a value, in the line's quoting where every reader takes it for the same text.
fn encode(out: &mut String, value: &str, quote: Quote) {
    let bare = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:+=@,%~^".contains(c));
    let plain = !value.contains(['"', '\\', '$', '`']);
    match quote {
        Quote::None if bare => out.push_str(value),
        Quote::Double if plain => out.extend(["\"", value, "\""]),
        _ if !value.contains('\'') => out.extend(["'", value, "'"]),
        _ => {
            out.push('"');
            for c in value.chars() {
                if matches!(c, '"' | '\\' | '$' | '`') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        }
    }
}
