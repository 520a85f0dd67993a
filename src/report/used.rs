//! What a key was used for.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    paint::{Ink, clean, paint},
    time::clock,
};
use crate::{ids::KeyId, record::Used};

/// One line, in its ink.
pub fn used(key: &KeyId, from: DateTime<Utc>, used: &Used) -> String {
    let ink = if used.requests == Some(0) { Ink::Strong } else { Ink::Warn };
    paint(ink, &clean(&sentence(key, from, used)))
}

/// One line: `key_1 was used since …: 12 requests, 3,400 tokens in, …`.
pub fn sentence(key: &KeyId, from: DateTime<Utc>, used: &Used) -> String {
    let count = |count: Option<u64>, what: &str| count.map(|count| format!("{} {what}", grouped(count)));
    let requests = count(used.requests, if used.requests == Some(1) { "request" } else { "requests" });
    let figures = [requests, count(used.input_tokens, "tokens in"), count(used.output_tokens, "tokens out")];
    let figures: Vec<String> = figures.into_iter().flatten().collect();
    let figures = if figures.is_empty() { "nothing is told".to_owned() } else { figures.join(", ") };
    let counted = if used.counted.is_empty() { String::new() } else { format!(" ({} alone)", used.counted) };
    let cost = used.micro_usd.map_or_else(String::new, |micro| {
        let since = used
            .cost_from
            .filter(|day| *day != used.counted_from.unwrap_or(from))
            .map_or_else(String::new, |day| format!(" since {}", clock(day)));
        format!("; it cost {}.{:02} USD{since}", grouped(micro / 1_000_000), micro % 1_000_000 / 10_000)
    });
    let since = used.counted_from.unwrap_or(from);
    format!(
        "{key} was used since {}: {figures}{counted}{cost}, as the provider knew at {}; its figures come late",
        clock(since),
        clock(used.as_of)
    )
}

/// The same for a program.
pub fn used_json(key: &KeyId, from: DateTime<Utc>, used: &Used) -> Value {
    json!({ "used": {
        "key": key.as_str(),
        "since": from,
        "counted": used.counted,
        "counted_since": used.counted_from,
        "requests": used.requests,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cost_usd": used.micro_usd.map(|micro| micro as f64 / 1e6),
        "cost_since": used.cost_from,
        "as_of": used.as_of,
    } })
}

/// `3,400`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
