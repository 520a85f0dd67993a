//! From YAML to a playbook: what is accepted, every mistake with its place, and no secret in any message.

mod bad;
mod daylight;
mod hostile;
mod properties;
mod roundtrip;
mod secrets;
mod shipped;
mod window;
mod world;

use std::sync::Arc;

use keyroll::{
    adapters::build::{build, clashes, identities},
    playbook::{Fault, Instances, Occasion, Playbook, RolloutSpec, Source, Span, WriteSource},
    ports::World,
};

/// Every field there is.
const FULL: &str = r#"keyroll: 1
name: openai-production
labels: { env: production, access: [contractor-acme, ops] }
every: 90d
provider:
  acme:
    project: proj_abc123
    admin_key: env:ADMIN_KEY
    size: 3
key_name: "{name}-{yyyy}-{mm}"
probe: { level: auth, times: 3 }
stores:
  - shelf:
      path: ai/openai/production
      auth: { token: file:/run/token }
    write: { api_key: secret, key_id: id }
    stale_for: 5m
consumers:
  - name: inference-api
    instances: { fixed: ["10.0.0.7:8080", "10.0.0.8:8080"] }
    expect: 2
    health: { path: /healthz, version: { json: /secrets/openai/version }, timeout: 2s }
    rollout:
      restart: { role: { name: inference } }
    max_request: 15m
  - name: nightly-eval
    job: { runs_every: 24h, max_run: 2h }
verify: { within: 10m, stable_for: 30s, every: 2s, on_timeout: rollback }
revoke: { grace: 1h, dead_within: 1m }
notify:
  - bell: env:BELL
    on: [started, held]
    repeat: 2h
  - bell: env:OTHER
require_approval: true
window: "Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin"
"#;

fn source(text: &str) -> Arc<Source> {
    Arc::new(Source { name: "playbook.yaml".into(), text: text.into() })
}

/// As `validate` does: the playbook, then its adapters.
fn load(text: &str) -> Result<(Playbook, World), Vec<Fault>> {
    let playbook = Playbook::parse(source(text))?;
    let world = build(&playbook, &world::registry(), &world::ctx())?;
    Ok((playbook, world))
}

#[test]
fn every_field_arrives_where_it_belongs() {
    let (playbook, world) = load(FULL).expect("a good playbook");
    assert_eq!(playbook.name, "openai-production");
    assert_eq!(playbook.labels["env"], ["production"]);
    assert_eq!(playbook.labels["access"], ["contractor-acme", "ops"]);
    assert_eq!(playbook.every, Some(Span::secs(90 * 86_400)));
    assert_eq!(playbook.provider.kind, "acme");
    assert_eq!(playbook.stores[0].write["api_key"], WriteSource::Secret);
    assert_eq!(playbook.stores[0].stale_for, Span::secs(300));
    assert!(matches!(&playbook.consumers[0].instances, Instances::Running { expect: 2, health, .. } if health.path == "/healthz"));
    assert!(matches!(&playbook.consumers[0].rollout, RolloutSpec::By(block) if block.kind == "restart"));
    assert!(matches!(&playbook.consumers[1].instances, Instances::Job(job) if job.max_run == Span::secs(7200)));
    assert_eq!(playbook.revoke.dead_within, Some(Span::secs(60)));
    assert_eq!((playbook.notify[0].on.as_slice(), playbook.notify[0].repeat), (&[Occasion::Started, Occasion::Held][..], Span::secs(7200)));
    assert_eq!((playbook.notify[1].on.len(), playbook.notify[1].repeat), (4, Span::secs(3600)));
    assert!(playbook.require_approval && world.outlets.len() == 2);
    assert!(world.consumers[0].discovery.is_some() && world.consumers[0].rollout.is_some());
    assert!(world.consumers[1].discovery.is_none() && world.consumers[1].health.is_none());
}

#[test]
fn what_is_not_written_has_its_default() {
    let least = "keyroll: 1\nname: a\nprovider: { acme: { project: p, admin_key: env:K } }\nstores: [ { shelf: { path: p, auth: { token: env:T } }, write: { k: secret }, stale_for: 0s } ]\nconsumers: [ { name: c, job: { runs_every: 1d, max_run: 1h } } ]\n";
    let (playbook, _) = load(least).expect("the least playbook");
    assert_eq!((playbook.key_name.as_str(), playbook.probe.times), ("{name}-{yyyy}-{mm}", 3));
    assert!(playbook.notify.is_empty() && !playbook.require_approval);
    assert_eq!(playbook.verify.within, Span::secs(600));
    assert_eq!(playbook.revoke.grace, Span::secs(3600));
    assert_eq!(playbook.consumers[0].max_request, Span::secs(900));
    assert!(matches!(playbook.consumers[0].rollout, RolloutSpec::None));
}

#[test]
fn a_word_that_looks_like_a_number_stays_as_it_was_written() {
    for name in ["1.10", "007", "1e3", "no", "0x1F", "12:30", "\"3\""] {
        let text = FULL.replacen("openai-production", name, 1);
        let (playbook, _) = load(&text).expect(name);
        assert_eq!(playbook.name, name.trim_matches('"'));
    }
}

#[test]
fn anchors_and_merges_may_be_used() {
    let text = FULL.replace(
        "{ path: /healthz, version: { json: /secrets/openai/version }, timeout: 2s }",
        "&h { path: /healthz, version: { json: /v } }",
    ) + "";
    let text = text
        .replace("    job: { runs_every: 24h, max_run: 2h }", "    instances: { fixed: [\"a:1\"] }\n    health: { <<: *h, path: /other }");
    let (playbook, _) = load(&text).expect("anchors");
    assert!(
        matches!(&playbook.consumers[1].instances, Instances::Running { health, .. } if health.path == "/other" && health.version.is_some())
    );
}

#[test]
fn the_identity_is_the_stores_field_and_the_shared_principal() {
    let (playbook, world) = load(FULL).expect("a good playbook");
    let all: Vec<String> = identities(&playbook, &world).iter().map(ToString::to_string).collect();
    assert_eq!(all, ["shelf ai/openai/production#api_key"]);
    let (playbook, world) = load(&FULL.replace("size: 3", "shared: true")).expect("a good playbook");
    let all: Vec<String> = identities(&playbook, &world).iter().map(ToString::to_string).collect();
    assert_eq!(all, ["shelf ai/openai/production#api_key", "acme proj_abc123"]);
}

#[test]
fn two_playbooks_of_one_key_clash_and_both_files_are_named() {
    let other = |text: &str| {
        let source = Arc::new(Source { name: "other.yaml".into(), text: text.into() });
        let playbook = Playbook::parse(source).expect("a good playbook");
        let world = build(&playbook, &world::registry(), &world::ctx()).expect("good adapters");
        (playbook, world)
    };
    let table = [
        ("the same field", FULL.to_owned(), 1),
        ("another field of the same store", FULL.replace("api_key: secret", "second_key: secret"), 0),
        ("another store", FULL.replace("ai/openai/production", "ai/openai/staging"), 0),
    ];
    for (what, text, count) in table {
        let (first, second) = (load(FULL).expect("good"), other(&text));
        let found = clashes(&[(&first.0, &first.1), (&second.0, &second.1)]);
        assert_eq!(found.len(), count, "{what}");
        if let Some(clash) = found.first() {
            assert_eq!(clash.to_string(), "playbook.yaml and other.yaml would rotate the same key: shelf ai/openai/production#api_key");
        }
    }
    let shared = |path: &str| FULL.replace("size: 3", "shared: true").replace("ai/openai/production", path);
    let (first, second) = (load(&shared("a")).expect("good"), other(&shared("b")));
    assert_eq!(clashes(&[(&first.0, &first.1), (&second.0, &second.1)]).len(), 1, "the same principal");
}

#[test]
fn the_schema_accepts_what_is_read_and_names_every_kind() {
    let schema = keyroll::adapters::schema::schema(&world::registry());
    assert_eq!(schema["$defs"]["providers"]["oneOf"][0]["properties"]["acme"]["properties"]["project"]["description"], "The project.");
    assert_eq!(schema["$defs"]["stores"]["oneOf"][0]["required"], serde_json::json!(["shelf", "write", "stale_for"]));
    assert_eq!(schema["properties"]["consumers"]["items"]["$ref"], "#/$defs/consumer");
    assert_eq!(schema["$defs"]["consumer"]["required"], serde_json::json!(["name"]));
    // Every reference leads somewhere.
    fn references(value: &serde_json::Value, all: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                all.extend(map.get("$ref").and_then(|text| text.as_str()).map(str::to_owned));
                map.values().for_each(|value| references(value, all));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| references(value, all)),
            _ => {}
        }
    }
    for schema in [schema, keyroll::adapters::schema::schema(&keyroll::adapters::registry::Registry::builtin())] {
        let mut all = Vec::new();
        references(&schema, &mut all);
        assert!(!all.is_empty());
        for reference in all {
            assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }
}
