//! trufflehog 3: one JSON object a line, as its `pkg/output/json.go` writes them; nothing at all for no finding.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{
    Finding, Format, Leaked, Place, Unreadable,
    hidden::{Hidden, values},
};
use crate::secret::Secret;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "SourceMetadata")]
    source: Option<Source>,
    #[serde(rename = "DetectorName")]
    detector: Option<String>,
    #[serde(rename = "Raw")]
    raw: Option<Hidden>,
    /// The id and the secret in one, where a key has two parts.
    #[serde(rename = "RawV2")]
    both: Option<Hidden>,
    /// Its own log, which stands between the findings where both outputs went into one file.
    level: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Source {
    /// One entry, named for the kind of source: `Git`, `Filesystem`, `Github`.
    #[serde(rename = "Data")]
    data: Option<BTreeMap<String, Spot>>,
}

#[derive(Deserialize, Default)]
struct Spot {
    file: Option<String>,
    line: Option<u64>,
    commit: Option<String>,
    link: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Vec<Finding>, Unreadable> {
    let mut findings = Vec::new();
    for (line, at) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let broken = |column| Unreadable::Broken { tool: Format::Trufflehog.name(), line: at, column };
        let told: Line = serde_json::from_str(line).map_err(|error| broken(error.column()))?;
        match (told.source, told.detector) {
            (Some(source), Some(detector)) => findings.push(finding(source, detector, told.raw, told.both)),
            _ if told.level.is_some() => {}
            // Anything else could be a finding that is not understood, and must not be passed over.
            _ => return Err(broken(1)),
        }
    }
    Ok(findings)
}

fn finding(source: Source, detector: String, raw: Option<Hidden>, both: Option<Hidden>) -> Finding {
    let leaked = values([raw, both]).map_or(Leaked::Hidden, |mut values| {
        // Before 3.20 the value's bytes stood here in base64.
        let decoded: Vec<Secret> = values.iter().filter_map(plain).collect();
        values.extend(decoded);
        Leaked::Values(values)
    });
    let Spot { file, line, commit, link } = source.data.into_iter().flat_map(BTreeMap::into_values).next().unwrap_or_default();
    Finding { detector, place: Place { file: file.or(link), line, commit }, leaked }
}

fn plain(value: &Secret) -> Option<Secret> {
    String::from_utf8(STANDARD.decode(value.reveal()).ok()?).ok().map(Secret::new)
}
