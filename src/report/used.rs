//! What a key was used for.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    paint::{Ink, clean, paint},
    time::clock,
};
use crate::{ids::KeyId, ports::Used};

/// One line: `Used since …: 12 requests, 3,400 tokens in, …`.
pub fn used(key: &KeyId, from: DateTime<Utc>, used: &Used) -> String {
    let count = |count: Option<u64>, what: &str| count.map(|count| format!("{} {what}", grouped(count)));
    let requests = count(used.requests, if used.requests == Some(1) { "request" } else { "requests" });
    let cost = used.cost_usd.map(|cost| format!("{cost:.2} USD"));
    let figures = [requests, count(used.input_tokens, "tokens in"), count(used.output_tokens, "tokens out"), cost];
    let figures: Vec<String> = figures.into_iter().flatten().collect();
    let figures = if figures.is_empty() { "nothing is told".to_owned() } else { figures.join(", ") };
    let ink = if used.requests == Some(0) { Ink::Strong } else { Ink::Warn };
    let text = format!(
        "{} was used since {}: {figures} ({} alone), as the provider knew at {}; its figures come late",
        clean(key.as_str()),
        clock(from),
        used.counted,
        clock(used.as_of)
    );
    paint(ink, &text)
}

/// The same for a program.
pub fn used_json(key: &KeyId, from: DateTime<Utc>, used: &Used) -> Value {
    json!({ "used": {
        "key": key.as_str(),
        "since": from,
        "counted": used.counted,
        "requests": used.requests,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cost_usd": used.cost_usd,
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
