//! gitleaks 8: a JSON array of findings (its `report.Finding`), `null` or `[]` for none.

use serde::Deserialize;

use super::{
    Finding, Format, Leaked, Place, Unreadable, broken,
    hidden::{Hidden, values},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(rename = "RuleID")]
    rule: String,
    start_line: Option<u64>,
    file: Option<String>,
    commit: Option<String>,
    secret: Option<Hidden>,
    /// The line's part around the secret: a rule may capture less of a key than there is.
    r#match: Option<Hidden>,
}

pub(super) fn read(text: &str) -> Result<Vec<Finding>, Unreadable> {
    let found: Option<Vec<Found>> = serde_json::from_str(text).map_err(|error| broken(Format::Gitleaks, &error))?;
    Ok(found.into_iter().flatten().map(Finding::from).collect())
}

/// `--redact` writes this word, `--redact=50` the beginning and dots.
fn redacted(secret: &Hidden) -> bool {
    secret.0.reveal() == "REDACTED" || secret.0.reveal().ends_with("...")
}

impl From<Found> for Finding {
    fn from(found: Found) -> Self {
        let known = found.secret.filter(|secret| !redacted(secret));
        let leaked = match known {
            Some(secret) => values([Some(secret), found.r#match]).map_or(Leaked::Hidden, Leaked::Values),
            None => Leaked::Hidden,
        };
        let commit = found.commit.filter(|commit| !commit.is_empty());
        Self { detector: found.rule, place: Place { file: found.file, line: found.start_line, commit }, leaked }
    }
}
