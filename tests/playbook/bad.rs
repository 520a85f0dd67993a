//! Bad playbooks, and what a person is told of each: `cargo insta review` shows them as they are read.

use std::time::Instant;

use keyroll::{
    adapters::build::build,
    playbook::{Fault, Playbook, render},
};

use super::{FULL, source, world};

/// What is wrong, what is replaced in the full playbook, and by what.
const TABLE: &[(&str, &str, &str)] = &[
    ("unknown field", "verify: {", "verifi: {"),
    ("unknown field in a section", "within: 10m", "witin: 10m"),
    ("window with an unknown day", "Mon-Thu 09:00", "Mo-Thu 09:00"),
    ("window with an unknown zone", "Europe/Berlin", "Europe/Berln"),
    ("window with a city", "Europe/Berlin", "berlin"),
    ("window without minutes", "Mon-Thu 09:00-16:00", "Mon-Thu 9-16"),
    ("window without time", "Mon-Thu 09:00-16:00", "Mon-Thu 09:00-09:00"),
    ("window without hours", "Fri 09:00-12:00 Europe/Berlin", "Fri"),
    ("window of another type", "\"Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin\"", "{ from: \"09:00\" }"),
    ("one bad window in a list", "\"Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin\"", "[\"09:00-16:00\", \"25:00-26:00\"]"),
    ("wrong type", "times: 3", "times: many"),
    ("wrong type of a list", "[\"10.0.0.7:8080\", \"10.0.0.8:8080\"]", "10.0.0.7"),
    ("bad duration", "every: 90d", "every: 90 days"),
    ("literal secret", "env:ADMIN_KEY", "hunter2 and more"),
    ("literal secret beside a fault", "admin_key: env:ADMIN_KEY\n    size: 3", "admin_key: env:X, size: 3"),
    ("two faults on a line with a secret", "{ token: file:/run/token }", "{ token: hunter2, rle: 1 }"),
    ("missing field", "    project: proj_abc123\n", ""),
    ("missing section", "key_name:", "probe_name:"),
    ("empty consumers", "consumers:\n  - name: inference-api", "consumers: []\nx:\n  - name: inference-api"),
    ("no secret in write", "{ api_key: secret, key_id: id }", "{ api_key: id }"),
    ("two secrets in write", "{ api_key: secret, key_id: id }", "{ api_key: secret, key_id: secret }"),
    ("unknown word in write", "{ api_key: secret, key_id: id }", "{ api_key: secrets }"),
    ("no claim", "version: { json: /secrets/openai/version }, ", ""),
    ("two claims", "timeout: 2s", "key_id: { header: x-key }"),
    ("two pointers", "{ json: /secrets/openai/version }", "{ json: /a, header: b }"),
    ("bad pattern", "{ json: /secrets/openai/version }", "{ pattern: 'version=' }"),
    ("health without instances", "    instances: { fixed: [\"10.0.0.7:8080\", \"10.0.0.8:8080\"] }\n    expect: 2\n", ""),
    ("both instances and job", "    expect: 2", "    job: { runs_every: 1d, max_run: 1h }"),
    ("expect 0", "expect: 2", "expect: 0"),
    ("same name", "nightly-eval", "inference-api"),
    ("unknown placeholder", "{yyyy}", "{year}"),
    ("watch without disable_for", "dead_within: 1m", "watch: 5m"),
    ("provider cannot disable", "dead_within: 1m", "disable_for: 1d, watch: 5m, idle_for: 26h"),
    ("no tries", "times: 3", "times: 0"),
    ("a prompt without a model", "level: auth", "level: prompt"),
    ("a model that nobody asks", "times: 3", "times: 3, model: small"),
    ("a prompt that the provider has no call for", "level: auth", "level: stream, model: small"),
    ("odd limits", "verify: {", "limits: { monthly: -1, alerts: [0], requests_per_minute: 0 }\nverify: {"),
    ("parts of nothing", "verify: {", "limits: { alerts: [50] }\nverify: {"),
    ("store out of range", "timeout: 2s", "store: 1"),
    ("newer schema", "keyroll: 1", "keyroll: 2"),
    ("no schema version", "keyroll: 1\n", ""),
    ("unknown provider", "  acme:", "  acne:"),
    ("unknown store", "- shelf:", "- cupboard:"),
    ("two kinds in one store", "    stale_for: 5m", "    file: { path: /x }\n    stale_fr: 5m"),
    ("adapter's own rule", "path: ai/openai", "path: /ai/openai"),
    (
        "several faults in one block",
        "    project: proj_abc123\n    admin_key: env:ADMIN_KEY\n    size: 3",
        "    prject: p\n    admin_key: sk-abc\n    size: big",
    ),
    ("a field twice", "every: 90d", "every: 90d\nevery: 30d"),
    ("bad syntax", "labels: {", "labels: { ["),
    ("within shorter than stable_for", "within: 10m", "within: 10s"),
];

/// As `validate` does: what can be said of the adapters only where the playbook itself is good.
fn faults(text: &str) -> Vec<Fault> {
    match Playbook::parse(source(text)) {
        Err(faults) => faults,
        Ok(playbook) => build(&playbook, &world::registry(), &world::ctx()).err().unwrap_or_default(),
    }
}

#[test]
fn every_mistake_has_its_place_and_what_to_write_instead() {
    let mut page = String::new();
    for (what, from, to) in TABLE {
        assert!(FULL.contains(from), "{what}");
        let text = FULL.replacen(from, to, 1);
        let faults = faults(&text);
        assert!(!faults.is_empty(), "{what}: no fault");
        for fault in &faults {
            assert!(fault.at.is_some(), "{what}: {fault:?} has no place");
        }
        page += &format!("## {what}\n{}\n", render(&faults, &source(&text)));
    }
    insta::assert_snapshot!(page);
}

#[test]
fn all_mistakes_of_a_file_come_at_once() {
    let mut text = FULL.to_owned();
    let many = [
        ("every: 90d", "every: 90 days"),
        ("times: 3", "times: 0"),
        ("{yyyy}", "{year}"),
        ("key_id: id", "key_id: key"),
        ("stale_for: 5m", "stale_for: soon"),
        ("expect: 2", "expect: 0"),
        ("path: /healthz", "path: healthz"),
        ("within: 10m", "witin: 10m"),
        ("grace: 1h", "grace: [1h]"),
        ("nightly-eval", "inference-api"),
        ("max_run: 2h", "max_run: 2 h"),
    ];
    for (from, to) in many {
        text = text.replacen(from, to, 1);
    }
    let faults = faults(&text);
    let lines: Vec<usize> = faults.iter().filter_map(|fault| fault.at).map(|(line, _)| line).collect();
    assert_eq!(lines, [4, 10, 11, 16, 17, 20 + 1, 22, 26, 27, 28, 29], "{faults:#?}");
}

#[test]
fn a_fault_stands_where_it_is_inside_lists_and_behind_wide_characters() {
    let text = FULL.replacen("name: inference-api", "name: \"inférence-🔑\" # 🔑", 1).replacen("timeout: 2s", "timeout: 2 s", 1);
    let faults = faults(&text);
    let line = text.lines().position(|line| line.contains("timeout")).unwrap();
    let column = text.lines().nth(line).unwrap().find("2 s").unwrap();
    assert_eq!(faults.iter().map(|fault| fault.at).collect::<Vec<_>>(), [Some((line + 1, column + 1))]);
}

#[test]
fn a_file_full_of_mistakes_is_answered_at_once() {
    let start = Instant::now();
    let consumers: String = (0..2000).map(|place| format!("  - name: c{place}\n    heath: [\n    ]\n")).collect();
    let text = format!("keyroll: 1\nname: a\nconsumers:\n{consumers}");
    assert!(faults(&text).len() > 4000);
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
}
