//! GitHub secret scanning: an alert or an array of alerts as the REST API gives them
//! (<https://docs.github.com/en/rest/secret-scanning/secret-scanning>, "List secret scanning alerts for a repository"), or
//! the payload of the webhook `secret_scanning_alert`, which never holds the value.

use serde::Deserialize;

use super::{
    Finding, Format, Leaked, Place, Unreadable, broken,
    hidden::{Hidden, values},
};

/// A webhook's payload.
#[derive(Deserialize)]
struct Hook {
    alert: Alert,
    location: Option<Location>,
}

/// What tells a webhook's payload from an alert.
#[derive(Deserialize)]
struct Shape {
    alert: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Alert {
    secret_type: String,
    secret_type_display_name: Option<String>,
    html_url: Option<String>,
    /// Left out with `hide_secret=true`, and in webhooks.
    secret: Option<Hidden>,
    first_location_detected: Option<Spot>,
}

/// In a webhook `secret_scanning_alert_location`.
#[derive(Deserialize)]
struct Location {
    details: Option<Spot>,
}

#[derive(Deserialize)]
struct Spot {
    path: Option<String>,
    start_line: Option<u64>,
    commit_sha: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Vec<Finding>, Unreadable> {
    let broken = |error: serde_json::Error| broken(Format::Github, &error);
    if text.trim_start().starts_with('[') {
        let alerts: Vec<Alert> = serde_json::from_str(text).map_err(broken)?;
        return Ok(alerts.into_iter().map(|alert| finding(alert, None)).collect());
    }
    let shape: Shape = serde_json::from_str(text).map_err(broken)?;
    if shape.alert.is_some() {
        let hook: Hook = serde_json::from_str(text).map_err(broken)?;
        return Ok(vec![finding(hook.alert, hook.location.and_then(|location| location.details))]);
    }
    let alert: Alert = serde_json::from_str(text).map_err(broken)?;
    Ok(vec![finding(alert, None)])
}

fn finding(alert: Alert, spot: Option<Spot>) -> Finding {
    let spot = spot.or(alert.first_location_detected);
    let (path, line, commit) = spot.map_or((None, None, None), |spot| (spot.path, spot.start_line, spot.commit_sha));
    Finding {
        detector: alert.secret_type_display_name.unwrap_or(alert.secret_type),
        place: Place { file: path.or(alert.html_url), line, commit },
        leaked: values([alert.secret]).map_or(Leaked::Hidden, Leaked::Values),
    }
}
