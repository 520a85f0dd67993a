//! Hides what could be a secret before a person, a log or a screenshot sees a line of a playbook.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

/// What stands in a secret's place.
pub const MASK: &str = "•••";

/// Known shapes of secrets, wherever they stand.
static SHAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x) (?: sk-[\w-]+ | (?:AKIA|ASIA)[A-Z0-9]* | (?:hvs|hvb|hvr)\.[\w.-]+ | eyJ[\w.=-]+ | (?:ghp|gho|ghu|ghs|github_pat|glpat|xox[abprs])[_-][\w-]+
        | AIza[\w-]+ | (?:https?|wss?)://[^/\s@]+@ )",
    )
    .ok()
});

/// A field that holds a secret, by its name, with what was written there.
static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?ix) (?:^|[\s,{\-"']) ([\w.-]* (?:key|token|secret|passw(?:or)?d|passphrase|credential|cookie|authorization|bearer) [\w-]*) ["']? \s* : \s+ (?P<value>"[^"]*"?|'[^']*'?|[^\s\[{"'\#][^,}\#]*) "#).ok()
});

/// The byte ranges of a line that must not be shown, in order and apart from each other.
pub(super) fn hidden(line: &str) -> Vec<Range<usize>> {
    let mut found = shaped(line);
    if let Some(field) = FIELD.as_ref() {
        for hit in field.captures_iter(line) {
            let (Some(name), Some(value)) = (hit.get(1), hit.name("value")) else { continue };
            let text = value.as_str().trim_end();
            if !harmless(name.as_str(), text.trim_matches(['"', '\''])) {
                found.push(value.start()..value.start() + text.len());
            }
        }
    }
    apart(found)
}

/// Those that look like a secret wherever they stand.
fn shaped(line: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if let Some(shapes) = SHAPES.as_ref() {
        found.extend(shapes.find_iter(line).map(|hit| hit.range()));
    }
    let mut from = 0;
    for word in line.split(|c: char| c.is_whitespace() || "\"',[]{}|#".contains(c)) {
        let at = from;
        from = at + word.len() + line[at + word.len()..].chars().next().map_or(0, char::len_utf8);
        if random(word) {
            found.push(at..at + word.len());
        }
    }
    apart(found)
}

/// In order, and those that touch as one.
pub(super) fn apart(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// Whether a scalar under this key could be a secret.
pub(super) fn suspicious(key: Option<&str>, text: &str) -> bool {
    let named = key.is_some_and(|key| {
        let key = key.to_lowercase();
        NAMES.iter().any(|name| key.contains(name)) && !harmless(&key, text)
    });
    named || !hidden(text).is_empty()
}

const NAMES: [&str; 9] = ["key", "token", "secret", "passw", "passphrase", "credential", "cookie", "authorization", "bearer"];

/// A value under a field with a secret's name that plainly is none.
fn harmless(name: &str, text: &str) -> bool {
    let reference = text.parse::<super::SecretRef>().is_ok() && !text.contains(char::is_whitespace);
    let word = ["secret", "id", "name", "created_at", "true", "false", "null", "~", ""].contains(&text);
    reference
        || word
        || name.eq_ignore_ascii_case("keyroll")
        || (name.eq_ignore_ascii_case("key_name") && text.contains('{'))
        || text.parse::<super::Span>().is_ok()
}

/// Twenty or more characters with letters and digits are a secret, unless they are a path, a host or a reference.
fn random(word: &str) -> bool {
    if ["env:", "file:", "vault:", "aws:"].iter().any(|kind| word.starts_with(kind)) {
        return false;
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let mixed = |text: &str| {
        text.bytes().any(|c| c.is_ascii_lowercase())
            && text.bytes().any(|c| c.is_ascii_uppercase())
            && text.bytes().any(|c| c.is_ascii_digit())
    };
    let whole = word.trim_end_matches(':');
    if whole.len() >= 40 && whole.chars().all(base64) && mixed(whole) {
        return true;
    }
    word.split(['/', ':', '=', '@', '?', '&']).any(|part| {
        let host = part.contains('.') && part.split('.').all(|label| label.len() < 20);
        part.len() >= 20 && !host && part.bytes().any(|c| c.is_ascii_alphabetic()) && part.bytes().any(|c| c.is_ascii_digit())
    })
}

/// A message with everything hidden that looks like a secret.
pub fn masked(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| cover(line, &shaped(line)).0).collect();
    lines.join("\n")
}

/// The line with those ranges covered, and where a byte of it went.
pub(super) fn cover(line: &str, ranges: &[Range<usize>]) -> (String, impl Fn(usize) -> usize + use<>) {
    let mut out = String::new();
    let mut moved = Vec::new();
    let mut from = 0;
    for range in ranges {
        out += &line[from..range.start];
        moved.push((range.clone(), out.len()));
        out += MASK;
        from = range.end;
    }
    out += &line[from..];
    let shift = move |at: usize| {
        let mut shifted = at;
        for (range, to) in &moved {
            if at >= range.end {
                shifted = to + MASK.len() + (at - range.end);
            } else if at >= range.start {
                shifted = *to;
            }
        }
        shifted
    };
    (out, shift)
}
