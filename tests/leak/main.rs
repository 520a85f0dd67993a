//! Reports of secret scanners, as the tools write them: what is in them, and that no error and no debug text tells it.

use keyroll::{
    leak::{Finding, Format, Leaked, Unreadable, read},
    secret::Secret,
};

const OURS: &str = "7c0ffee0-fake-4bad-8aaa-keyrollfixture01";

fn report(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/leak/reports/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn findings(name: &str) -> (Format, Vec<Finding>) {
    read(&Secret::new(report(name)), None).unwrap()
}

fn holds(finding: &Finding, value: &str) -> bool {
    match &finding.leaked {
        Leaked::Values(values) => values.iter().any(|one| one.reveal().contains(value)),
        Leaked::Sha1(hash) => *hash == Secret::new(value).sha1(),
        Leaked::Hidden => false,
    }
}

/// Each finding as a line without its value, and whether it is our key.
fn told(name: &str) -> String {
    let (format, findings) = findings(name);
    let line = |finding: &Finding| {
        let place = &finding.place;
        let hidden = matches!(finding.leaked, Leaked::Hidden);
        format!(
            "{}:{} commit={} {} ours={} hidden={hidden}\n",
            place.file.as_deref().unwrap_or("-"),
            place.line.unwrap_or_default(),
            place.commit.as_deref().map_or("-", |commit| &commit[..7]),
            finding.detector,
            holds(finding, OURS),
        )
    };
    format!("{}\n{}", format.name(), findings.iter().map(line).collect::<String>())
}

#[test]
fn every_tool_is_told_by_its_fields_and_read_whole() {
    insta::assert_snapshot!("gitleaks", told("gitleaks.json"));
    insta::assert_snapshot!("gitleaks_redacted", told("gitleaks-redacted.json"));
    insta::assert_snapshot!("detect_secrets", told("detect-secrets.json"));
    insta::assert_snapshot!("trufflehog", told("trufflehog.jsonl"));
    insta::assert_snapshot!("github_alerts", told("github-alerts.json"));
    insta::assert_snapshot!("github_webhook", told("github-webhook.json"));
}

#[test]
fn a_single_github_alert_is_read_as_the_array_is() {
    let alerts: Vec<serde_json::Value> = serde_json::from_str(&report("github-alerts.json")).unwrap();
    let (format, findings) = read(&Secret::new(alerts[0].to_string()), None).unwrap();
    assert_eq!((format, findings.len()), (Format::Github, 1));
    assert!(holds(&findings[0], OURS));
}

#[test]
fn an_old_trufflehog_wrote_base64() {
    use base64::Engine;
    let raw = base64::engine::general_purpose::STANDARD.encode(OURS);
    let line = format!(r#"{{"SourceMetadata":{{"Data":{{"Git":{{"file":"a","line":1}}}}}},"DetectorName":"X","Raw":"{raw}"}}"#);
    let (_, findings) = read(&Secret::new(line), None).unwrap();
    assert!(holds(&findings[0], OURS));
}

/// Half a report would look like a whole one with fewer findings.
#[test]
fn a_report_that_breaks_off_is_an_error_without_its_text() {
    for name in ["gitleaks.json", "detect-secrets.json", "trufflehog.jsonl", "github-alerts.json", "github-webhook.json"] {
        let whole = report(name);
        let format = findings(name).0;
        for cut in (1..whole.trim_end().len()).step_by(37) {
            let part = Secret::new(&whole[..whole.floor_char_boundary(cut)]);
            if name == "trufflehog.jsonl" && (part.reveal().ends_with('\n') || part.reveal().ends_with('}')) {
                // Whole lines are a whole report of fewer findings: the tool writes no end.
                continue;
            }
            let error = read(&part, Some(format)).expect_err(name);
            assert!(!format!("{error} {error:?}").contains("fixture"), "{error}");
        }
    }
}

/// Texts in places where numbers or lists belong: the JSON reader's own error would quote them.
#[test]
fn a_mistaken_report_is_an_error_without_its_text() {
    let cases = [
        (Format::Gitleaks, format!(r#"[{{"RuleID":"x","StartLine":"{OURS}"}}]"#)),
        (Format::Gitleaks, format!(r#"{{"{OURS}":1}}"#)),
        (Format::DetectSecrets, format!(r#"{{"results":"{OURS}"}}"#)),
        (Format::Trufflehog, format!(r#"{{"Raw":"{OURS}"}}"#)),
        (Format::Trufflehog, OURS.to_owned()),
        (Format::Github, format!(r#"[{{"secret_type":1,"secret":"{OURS}"}}]"#)),
    ];
    for (format, text) in cases {
        let error = read(&Secret::new(text), Some(format)).expect_err(format.name());
        assert!(matches!(error, Unreadable::Broken { line: 1.., .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("fixture"), "{error}");
    }
    assert_eq!(read(&Secret::new(OURS), None).unwrap_err(), Unreadable::Unknown);
    assert_eq!(read(&Secret::new("{}"), None).unwrap_err(), Unreadable::Unknown);
    assert_eq!(read(&Secret::new(" \n"), None).unwrap_err(), Unreadable::Empty);
    for nothing in ["[]", "null"] {
        assert!(read(&Secret::new(nothing), Some(Format::Gitleaks)).unwrap().1.is_empty());
    }
    assert!(read(&Secret::new(""), Some(Format::Trufflehog)).unwrap().1.is_empty());
}

#[test]
fn the_debug_text_of_a_finding_has_no_value() {
    for name in ["gitleaks.json", "trufflehog.jsonl", "github-alerts.json"] {
        assert!(!format!("{:?}", findings(name).1).contains("keyrollfixture"), "{name}");
    }
}
