//! Durations as people write them: `30s`, `10m`, `1h30m`, `90d`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time in a playbook.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", extend("pattern" = r"^([0-9]+(ms|s|m|h|d|w))+$"))]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 6] = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A hundred years: nothing sensible is longer, and sums of it stay far from overflow.
const LONGEST: u64 = 100 * 366 * 86_400_000;

impl Span {
    /// So many seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| match suggest(text) {
            Some(better) => format!("not a duration: write `{better}`"),
            None => "not a duration: write for example `30s`, `10m`, `1h30m` or `90d`".into(),
        })
    }
}

fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    if text == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = tail;
    }
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

/// `90 days` → `90d`.
fn suggest(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let number: String = lower.chars().take_while(char::is_ascii_digit).collect();
    let word = lower[number.len()..].trim();
    let unit = match word {
        "ms" | "millis" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" | "weeks" => "w",
        _ => return None,
    };
    parse(&format!("{number}{unit}"))?;
    Some(format!("{number}{unit}"))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        for (unit, factor) in &UNITS[1..] {
            if left >= *factor {
                text += &format!("{}{unit}", left / factor);
                left %= factor;
            }
        }
        f.pad(&text)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
