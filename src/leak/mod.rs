//! Reports of secret scanners: who found what, where. Pure readers, one file a tool.
//!
//! Such a report holds secrets in the clear. They go into [`Secret`] as they are read, unknown fields are skipped unread,
//! and an error tells a line and a column, never the text that stands there.

mod detect_secrets;
mod github;
mod gitleaks;
mod hidden;
mod trufflehog;

use std::fmt;

use crate::secret::Secret;

/// One thing a scanner found.
pub struct Finding {
    /// What the scanner calls the kind of secret.
    pub detector: String,
    /// Where it was found, in the report's own words.
    pub place: Place,
    /// What was found.
    pub leaked: Leaked,
}

/// Where a scanner found something. Texts of the report: clean them before they are shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The file, or a web page where there is no file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The commit.
    pub commit: Option<String>,
}

/// What a report says of a secret's value.
pub enum Leaked {
    /// The value; several readings of one finding where a tool encodes it, or joins it with an id.
    Values(Vec<Secret>),
    /// Its SHA-1 in lower-case hex.
    Sha1(String),
    /// The tool was told to leave it out.
    Hidden,
}

/// Which tool wrote a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// gitleaks 8, `--report-format json`.
    Gitleaks,
    /// detect-secrets 1, a baseline.
    DetectSecrets,
    /// trufflehog 3, `--json`: one object a line.
    Trufflehog,
    /// GitHub secret scanning: an alert, an array of alerts, or a webhook's payload.
    Github,
}

impl Format {
    /// The tool's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gitleaks => "gitleaks",
            Self::DetectSecrets => "detect-secrets",
            Self::Trufflehog => "trufflehog",
            Self::Github => "github",
        }
    }
}

/// Why a report cannot be read. It never holds the report's text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// Nothing is in it.
    #[error("the report is empty")]
    Empty,
    /// No tool that is known here writes this.
    #[error("this is no report of gitleaks, detect-secrets, trufflehog or GitHub")]
    Unknown,
    /// It breaks off, or is not what that tool writes.
    #[error("it is not what {tool} writes, at line {line}, column {column}")]
    Broken {
        /// Whose report it should be.
        tool: &'static str,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}

/// Reads a report; without a format the tool is told by the fields that stand in it.
///
/// # Errors
/// [`Unreadable`]: nothing was taken out of it then, as a part of a report would look like the whole.
pub fn read(report: &Secret, format: Option<Format>) -> Result<(Format, Vec<Finding>), Unreadable> {
    let text = report.reveal().trim_start_matches('\u{feff}');
    let format = match format {
        Some(format) => format,
        None => guess(text)?,
    };
    let findings = match format {
        Format::Gitleaks => gitleaks::read(text),
        Format::DetectSecrets => detect_secrets::read(text),
        Format::Trufflehog => trufflehog::read(text),
        Format::Github => github::read(text),
    }?;
    Ok((format, findings))
}

/// The fields that tell the tools apart.
#[derive(serde::Deserialize)]
struct Shape {
    #[serde(rename = "RuleID")]
    rule: Option<serde::de::IgnoredAny>,
    #[serde(rename = "SourceMetadata")]
    source: Option<serde::de::IgnoredAny>,
    plugins_used: Option<serde::de::IgnoredAny>,
    results: Option<serde::de::IgnoredAny>,
    secret_type: Option<serde::de::IgnoredAny>,
    alert: Option<serde::de::IgnoredAny>,
}

impl Shape {
    fn format(&self) -> Option<Format> {
        match self {
            Self { rule: Some(_), .. } => Some(Format::Gitleaks),
            Self { source: Some(_), .. } => Some(Format::Trufflehog),
            Self { plugins_used: Some(_), results: Some(_), .. } => Some(Format::DetectSecrets),
            Self { secret_type: Some(_), .. } | Self { alert: Some(_), .. } => Some(Format::Github),
            _ => None,
        }
    }
}

fn guess(text: &str) -> Result<Format, Unreadable> {
    if text.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    if let Ok(many) = serde_json::from_str::<Vec<Shape>>(text) {
        // An empty list is what gitleaks and GitHub write where there is nothing.
        return many.first().map_or(Ok(Format::Gitleaks), |first| first.format().ok_or(Unreadable::Unknown));
    }
    // One object, or the first of one object a line; a log line may stand before it.
    let objects = serde_json::Deserializer::from_str(text).into_iter::<Shape>();
    let known = objects.map_while(Result::ok).find_map(|shape| shape.format());
    known.ok_or(Unreadable::Unknown)
}

/// An error of the JSON reader without the text that it names.
fn broken(format: Format, error: &serde_json::Error) -> Unreadable {
    Unreadable::Broken { tool: format.name(), line: error.line(), column: error.column() }
}

impl fmt::Debug for Finding {
    /// Without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finding").field("detector", &self.detector).field("place", &self.place).finish_non_exhaustive()
    }
}
