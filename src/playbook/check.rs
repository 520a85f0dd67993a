//! What a type alone cannot say: each check notes its fault and answers whether the value can be used.

use std::collections::BTreeMap;

use super::{
    HealthSpec, Job, Limits, Occasion, Pointer, Probe, ProbeLevel, RevokeSpec, Span, VerifySpec, WriteSource,
    parse::Reader,
    tree::{Key, Node, Place},
    words,
};

/// What `key_name` fills in.
const PLACEHOLDERS: [&str; 4] = ["name", "yyyy", "mm", "dd"];
const CLAIMS: [&str; 3] = ["version", "key_id", "fingerprint"];

/// Where `section.field` stands; the section's key where the field is not written.
fn place(holder: &Node, section: &str, field: &str) -> Place {
    let Some((key, node)) = holder.entry(section) else { return holder.at };
    node.get(field).map_or(key.at, |field| field.at)
}

fn value(holder: &Node, field: &str) -> Place {
    holder.get(field).map_or(holder.at, |node| node.at)
}

pub(super) fn name(reader: &mut Reader, root: &Node, name: &str) -> bool {
    let good = !name.trim().is_empty() && name.len() <= 100 && !name.chars().any(char::is_control);
    if !good {
        reader.fault(value(root, "name"), "not a name", "write 1 to 100 characters on one line");
    }
    good
}

pub(super) fn every(reader: &mut Reader, root: &Node, every: Option<Span>) -> bool {
    let good = every != Some(Span::secs(0));
    if !good {
        reader.fault(value(root, "every"), "no time between two rotations", "write for example `90d`");
    }
    good
}

pub(super) fn occasions(reader: &mut Reader, node: &Node, on: &[Occasion]) -> bool {
    if on.is_empty() {
        reader.fault(value(node, "on"), "it would never tell anything", "take `on` out, or name what is told");
    }
    !on.is_empty()
}

pub(super) fn repeat(reader: &mut Reader, node: &Node, repeat: Span) -> bool {
    let good = repeat >= Span::secs(60);
    if !good {
        reader.fault(value(node, "repeat"), "less than a minute between two messages of the same", "write for example `1h`");
    }
    good
}

pub(super) fn key_name(reader: &mut Reader, root: &Node, text: &str) -> bool {
    let at = value(root, "key_name");
    let all = words::listed(["{name}", "{yyyy}", "{mm}", "{dd}"]);
    if text.trim().is_empty() || text.len() > 100 || text.chars().any(char::is_control) {
        reader.fault(at, "not a key's name", format!("write 1 to 100 characters; {all} are filled in"));
        return false;
    }
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let inside = rest[open..].strip_prefix('{').and_then(|tail| tail.split_once('}'));
        match inside {
            Some((word, tail)) if PLACEHOLDERS.contains(&word) => rest = tail,
            Some((word, _)) => {
                let instead = match words::meant(word, PLACEHOLDERS) {
                    Some(word) => format!("did you mean `{{{word}}}`?"),
                    None => format!("use {all}"),
                };
                reader.fault(at, "an unknown placeholder", instead);
                return false;
            }
            None => {
                reader.fault(at, "a brace without its partner", format!("use {all}"));
                return false;
            }
        }
    }
    true
}

pub(super) fn probe(reader: &mut Reader, root: &Node, probe: &Probe) -> bool {
    let before = reader.faults.len();
    if !(1..=100).contains(&probe.times) {
        reader.fault(place(root, "probe", "times"), "a key must be tried at least once", "write 1 to 100");
    }
    let asks = probe.level != ProbeLevel::Auth;
    match &probe.model {
        None if asks => {
            reader.fault(place(root, "probe", "level"), "which model is to be asked?", "add `model`, as your services name it");
        }
        Some(_) if !asks => {
            reader.fault(place(root, "probe", "model"), "no model is asked at this level", "write `level: prompt` or `level: stream`");
        }
        Some(model) if model.trim().is_empty() => reader.fault(place(root, "probe", "model"), "not a model's name", "name one"),
        _ => {}
    }
    if probe.within == Span::secs(0) {
        reader.fault(place(root, "probe", "within"), "no answer comes in no time", "write for example `30s`");
    }
    reader.faults.len() == before
}

pub(super) fn limits(reader: &mut Reader, root: &Node, limits: &Limits) -> bool {
    let before = reader.faults.len();
    if limits.monthly.is_some_and(|most| !most.is_finite() || most <= 0.0) {
        reader.fault(place(root, "limits", "monthly"), "not an amount", "write US dollars: `monthly: 200`");
    }
    let odd = limits.alerts.iter().any(|percent| !(1..=1000).contains(percent));
    if odd || limits.alerts.len() > 10 {
        reader.fault(place(root, "limits", "alerts"), "not parts of an amount", "write percent: `alerts: [50, 80, 150]`");
    }
    if !limits.alerts.is_empty() && limits.monthly.is_none() {
        reader.fault(place(root, "limits", "alerts"), "parts of which amount?", "add `monthly`");
    }
    if limits.requests_per_minute == Some(0) {
        reader.fault(place(root, "limits", "requests_per_minute"), "nobody could call", "write at least 1");
    }
    reader.faults.len() == before
}

pub(super) fn write(reader: &mut Reader, store: &Node, write: &BTreeMap<String, WriteSource>) -> bool {
    let at = store.entry("write").map_or(store.at, |(key, _)| key.at);
    let secrets = write.values().filter(|source| **source == WriteSource::Secret).count();
    match secrets {
        1 => {}
        0 => reader.fault(at, "no field takes the key itself", "give exactly one field `secret`: `write: { api_key: secret }`"),
        _ => reader.fault(at, "more than one field takes the key itself", "give exactly one field `secret`"),
    }
    let named = !write.keys().any(|field| field.trim().is_empty());
    if !named {
        reader.fault(at, "a field without a name", "name the store's field: `write: { api_key: secret }`");
    }
    secrets == 1 && named
}

pub(super) fn verify(reader: &mut Reader, root: &Node, verify: &VerifySpec) -> bool {
    let before = reader.faults.len();
    if verify.every == Span::secs(0) {
        reader.fault(place(root, "verify", "every"), "no time between two passes", "write for example `2s`");
    }
    if verify.within == Span::secs(0) {
        reader.fault(place(root, "verify", "within"), "no time for a proof", "write for example `10m`");
    } else if verify.within < verify.stable_for {
        let field = if root.get("verify").is_some_and(|node| node.get("stable_for").is_some()) { "stable_for" } else { "within" };
        reader.fault(place(root, "verify", field), "`stable_for` is longer than `within`", "make `within` the longer one");
    }
    reader.faults.len() == before
}

pub(super) fn revoke(reader: &mut Reader, root: &Node, revoke: &RevokeSpec) -> bool {
    let before = reader.faults.len();
    match (revoke.watch, revoke.disable_for) {
        (Some(_), None) => {
            reader.fault(place(root, "revoke", "watch"), "`watch` without `disable_for`", "add `disable_for`, or take `watch` out");
        }
        (Some(watch), Some(disabled)) if watch > disabled => {
            reader.fault(place(root, "revoke", "watch"), "`watch` is longer than `disable_for`", "make `disable_for` the longer one");
        }
        _ => {}
    }
    reader.faults.len() == before
}

pub(super) fn expect(reader: &mut Reader, consumer: &Node, expect: u32) -> bool {
    if expect == 0 {
        reader.fault(value(consumer, "expect"), "no copy would have to prove anything", "write at least 1");
    }
    expect > 0
}

pub(super) fn job(reader: &mut Reader, key: &Key, job: &Job) -> bool {
    let good = job.runs_every > Span::secs(0) && job.max_run > Span::secs(0);
    if !good {
        reader.fault(key.at, "a job takes time", "write `runs_every` and `max_run` longer than 0");
    }
    good
}

/// Each consumer has its own name.
pub(super) fn names(reader: &mut Reader, consumers: &[Node]) {
    for (place, node) in consumers.iter().enumerate() {
        let Some(name) = node.get("name") else { continue };
        let Some(text) = name.text() else { continue };
        if text.trim().is_empty() || text.len() > 100 || text.chars().any(char::is_control) {
            reader.fault(name.at, "not a name", "write 1 to 100 characters on one line");
        }
        let first = consumers[..place].iter().filter_map(|other| other.get("name")).find(|other| other.text() == Some(text));
        if let Some(first) = first {
            reader.fault(name.at, format!("the same name as the consumer on line {}", first.at.line), "give each consumer its own name");
        }
    }
}

/// Exactly one way to name the key.
pub(super) fn claims(reader: &mut Reader, key: &Key, health: &Node) {
    let found: Vec<_> = health.entries().iter().filter(|(key, _)| CLAIMS.contains(&key.text.as_str())).collect();
    // A slip of one of the three is named as an unknown field already.
    let slip = health.entries().iter().any(|(key, _)| words::meant(&key.text, CLAIMS).is_some());
    match found.as_slice() {
        [_] => {}
        [] if slip => {}
        [] => reader.fault(
            key.at,
            "it does not say how a copy names its key",
            "add exactly one of `version`, `key_id` and `fingerprint`: `version: { json: /openai/version }`",
        ),
        [_, (second, _), ..] => {
            reader.fault(second.at, "two ways to name the key", "keep exactly one of `version`, `key_id` and `fingerprint`")
        }
    }
}

pub(super) fn health(reader: &mut Reader, node: &Node, health: &HealthSpec, stores: usize) {
    if !health.path.starts_with('/') || health.path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        reader.fault(value(node, "path"), "not a path", "begin with `/`, and write no host and no spaces: `/healthz`");
    }
    if health.store >= stores {
        let last = stores.saturating_sub(1);
        reader.fault(value(node, "store"), "there is no such store", format!("count from 0; the last one is {last}"));
    }
    if health.timeout == Span::secs(0) {
        reader.fault(value(node, "timeout"), "no time for an answer", "write for example `3s`");
    }
    let pointers =
        [("version", &health.version), ("key_id", &health.key_id), ("fingerprint", &health.fingerprint), ("instance", &health.instance)];
    for (name, pointer) in pointers {
        if let Some(pointer) = pointer {
            self::pointer(reader, value(node, name), pointer);
        }
    }
}

fn pointer(reader: &mut Reader, at: Place, pointer: &Pointer) {
    match pointer {
        Pointer::Json(path) if !path.is_empty() && !path.starts_with('/') => {
            reader.fault(at, "not a JSON pointer", "begin with `/`: `{ json: /openai/version }`");
        }
        Pointer::Header(name) if http::HeaderName::try_from(name.as_str()).is_err() => {
            reader.fault(at, "not a header's name", "write for example `{ header: x-key-version }`");
        }
        Pointer::Pattern(text) => match regex::Regex::new(text) {
            Ok(pattern) if pattern.captures_len() >= 2 => {}
            Ok(_) => reader.fault(at, "a pattern without a group", "put the value in parentheses: `{ pattern: 'version=(\\w+)' }`"),
            Err(_) => reader.fault(at, "not a regular expression", "write for example `{ pattern: 'version=(\\w+)' }`"),
        },
        _ => {}
    }
}
