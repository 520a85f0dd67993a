//! detect-secrets 1: a baseline. It holds the SHA-1 of each value and never the value.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Finding, Format, Leaked, Place, Unreadable, broken};

#[derive(Deserialize)]
struct Baseline {
    results: BTreeMap<String, Vec<Found>>,
}

#[derive(Deserialize)]
struct Found {
    r#type: String,
    hashed_secret: String,
    line_number: Option<u64>,
}

pub(super) fn read(text: &str) -> Result<Vec<Finding>, Unreadable> {
    let baseline: Baseline = serde_json::from_str(text).map_err(|error| broken(Format::DetectSecrets, &error))?;
    let all = baseline.results.into_iter().flat_map(|(file, found)| found.into_iter().map(move |one| (file.clone(), one)));
    let finding = |(file, found): (String, Found)| Finding {
        detector: found.r#type,
        place: Place { file: Some(file), line: found.line_number, commit: None },
        leaked: Leaked::Sha1(found.hashed_secret.to_lowercase()),
    };
    Ok(all.map(finding).collect())
}
