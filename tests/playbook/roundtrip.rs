//! Any playbook, written in any style of YAML or as JSON, is read as what was meant; printed as what was read, it is read as the same.

use std::collections::BTreeMap;

use keyroll::playbook::{
    Block, Consumer, EmergencyMode, Instances, OnTimeout, Playbook, RolloutSpec, Scheme, Span, Store, Window, WriteSource,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::source;

/// A playbook as it was read, every field written out.
fn printed(book: &Playbook) -> Value {
    let span = |span: Span| json!(span.to_string());
    let mut all = json!({
        "keyroll": 1,
        "name": book.name,
        "labels": book.labels,
        "provider": block(&book.provider),
        "key_name": book.key_name,
        "probe": book.probe,
        "stores": book.stores.iter().map(store).collect::<Vec<_>>(),
        "consumers": book.consumers.iter().map(consumer).collect::<Vec<_>>(),
        "verify": {
            "within": span(book.verify.within),
            "stable_for": span(book.verify.stable_for),
            "every": span(book.verify.every),
            "on_timeout": if book.verify.on_timeout == OnTimeout::Hold { "hold" } else { "rollback" },
        },
        "revoke": book.revoke,
        "emergency": {
            "mode": if book.emergency.mode == EmergencyMode::RevokeFirst { "revoke-first" } else { "replace-fast" },
            "revoke_at": span(book.emergency.revoke_at),
        },
        "require_approval": book.require_approval,
    });
    let notify = book.notify.iter().map(|notify| {
        let mut told = block(&notify.block);
        told["on"] = json!(notify.on);
        told["repeat"] = span(notify.repeat);
        told
    });
    all["notify"] = notify.collect();
    if let Some(every) = book.every {
        all["every"] = span(every);
    }
    if let Some(window) = &book.window {
        all["window"] = json!(window.to_string());
    }
    without_nothing(all)
}

fn block(block: &Block) -> Value {
    json!({ &block.kind: block.read::<Value>().expect("a block") })
}

fn store(store: &Store) -> Value {
    let mut printed = block(&store.block);
    printed["write"] = json!(store.write);
    printed["stale_for"] = json!(store.stale_for);
    printed
}

fn consumer(consumer: &Consumer) -> Value {
    let mut printed = json!({ "name": consumer.name, "max_request": consumer.max_request });
    match &consumer.instances {
        Instances::Job(job) => printed["job"] = json!(job),
        Instances::Running { found, expect, health } => {
            printed["instances"] = block(found);
            printed["expect"] = json!(expect);
            printed["health"] = json!(health);
        }
    }
    if let RolloutSpec::By(rollout) = &consumer.rollout {
        printed["rollout"] = block(rollout);
    }
    printed
}

/// A field that is not set is not written.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name, without_nothing(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nothing).collect(),
        other => other,
    }
}

/// The same as YAML, in a style that the dice choose: flow or block, quotes or none, comments, empty lines.
fn yaml(value: &Value, depth: usize, dice: &mut fastrand::Rng) -> String {
    let margin = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() && dice.u8(..4) > 0 => fields
            .iter()
            .map(|(name, value)| format!("{}{margin}{}:{}", loose(dice), scalar(name, dice), below(value, depth + 1, dice)))
            .collect(),
        Value::Array(items) if !items.is_empty() && dice.u8(..4) > 0 => {
            items.iter().map(|item| format!("{}{margin}-{}", loose(dice), below(item, depth + 1, dice))).collect()
        }
        other => format!("{margin}{}\n", flow(other, dice)),
    }
}

/// A comment, or an empty line, now and then.
fn loose(dice: &mut fastrand::Rng) -> &'static str {
    match dice.u8(..12) {
        0 => "\n",
        1 => "# a comment: with { braces } and 'quotes\n",
        _ => "",
    }
}

fn below(value: &Value, depth: usize, dice: &mut fastrand::Rng) -> String {
    let text = yaml(value, depth, dice);
    // What is one flow or scalar stands behind its key.
    if text.lines().count() == 1 && !matches!(value, Value::Object(_) | Value::Array(_)) || text.trim_start().starts_with(['{', '[']) {
        return format!(" {}\n", text.trim());
    }
    format!("\n{text}")
}

fn flow(value: &Value, dice: &mut fastrand::Rng) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{}: {}", scalar(name, dice), flow(value, dice))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(|item| flow(item, dice)).collect::<Vec<_>>().join(", ")),
        Value::String(text) => scalar(text, dice),
        other => other.to_string(),
    }
}

fn scalar(text: &str, dice: &mut fastrand::Rng) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && !words.contains(&text.to_lowercase().as_str());
    match dice.u8(..3) {
        0 if plain => text.to_owned(),
        1 if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', "''")),
        _ => Value::from(text).to_string(),
    }
}

fn span(from_ms: u64) -> impl Strategy<Value = String> {
    (from_ms..10 * 366 * 86_400_000).prop_map(|millis| Span(std::time::Duration::from_millis(millis)).to_string())
}

/// Any text of one line; most of it plain.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z][a-z0-9-]{0,20}", 1 => "[^\\p{C}\\p{Z}]{1,20}", 1 => "[ -~]{0,10}[!-~]", 1 => Just("1".to_owned()), 1 => Just("null".to_owned())]
}

/// What an adapter may have in its block.
fn settings() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![text().prop_map(Value::from), any::<i32>().prop_map(Value::from), any::<bool>().prop_map(Value::from)];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        let fields =
            prop::collection::btree_map("[a-z_]{1,8}", inner.clone(), 0..4).prop_map(|map| Value::Object(map.into_iter().collect()));
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::from), fields]
    });
    prop::collection::btree_map("[a-z_]{1,10}", value, 0..5).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn kind(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (prop::sample::select(words), settings()).prop_map(|(kind, settings)| json!({ kind: settings }))
}

fn one_store() -> impl Strategy<Value = Value> {
    let others = prop::collection::btree_map(text(), prop::sample::select(vec!["id", "name", "created_at"]), 0..3);
    (kind(&["vault_kv2", "shelf"]), text(), others, span(0)).prop_map(|(mut store, secret, others, stale)| {
        let mut write: BTreeMap<String, &str> = others;
        write.insert(secret, "secret");
        store["write"] = json!(write);
        store["stale_for"] = json!(stale);
        store
    })
}

fn pointer() -> impl Strategy<Value = Value> {
    prop_oneof![
        "(/[a-z0-9]{1,6}){1,3}".prop_map(|path| json!({ "json": path })),
        "[a-z][a-z-]{0,8}".prop_map(|name| json!({ "header": name })),
        Just(json!({ "pattern": "version=(\\w+) [\"']" })),
    ]
}

fn one_consumer() -> impl Strategy<Value = Value> {
    let health = (prop::sample::select(vec!["version", "key_id", "fingerprint"]), pointer(), prop::option::of(span(1)), any::<bool>());
    let running =
        (kind(&["fixed", "dns"]), prop::option::of(1_u32..1000), health).prop_map(|(found, expect, (claim, pointer, timeout, tls))| {
            let mut health = json!({ "path": "/healthz?x=1", claim: pointer, "store": 0 });
            if let Some(timeout) = timeout {
                health["timeout"] = json!(timeout);
            }
            if tls {
                health["scheme"] = json!("https");
            }
            let mut fields = json!({ "instances": found, "health": health });
            if let Some(expect) = expect {
                fields["expect"] = json!(expect);
            }
            fields
        });
    let job = (span(1), span(1)).prop_map(|(every, run)| json!({ "job": { "runs_every": every, "max_run": run } }));
    let rollout = prop_oneof![Just(None), Just(Some(json!("none"))), kind(&["http", "exec"]).prop_map(Some)];
    (prop_oneof![3 => running.boxed(), 1 => job.boxed()], rollout, prop::option::of(span(0))).prop_map(|(mut fields, rollout, request)| {
        for (name, value) in [("rollout", rollout), ("max_request", request.map(Value::from))] {
            if let Some(value) = value {
                fields[name] = value;
            }
        }
        fields
    })
}

fn one_notice() -> impl Strategy<Value = Value> {
    let on = prop::sample::subsequence(vec!["started", "held", "rolled_back", "done", "overdue"], 1..5);
    (kind(&["bell", "webhook"]), prop::option::of(on), prop::option::of(span(60_000))).prop_map(|(mut notice, on, repeat)| {
        for (name, value) in [("on", on.map(|on| json!(on))), ("repeat", repeat.map(Value::from))] {
            if let Some(value) = value {
                notice[name] = value;
            }
        }
        notice
    })
}

/// Fields that may be left out, each for itself.
fn optional() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map(
        text(),
        prop_oneof![text().prop_map(Value::from), prop::collection::vec(text(), 0..3).prop_map(Value::from)],
        0..4,
    );
    let window = prop::sample::select(vec!["Mon-Thu 09:00-16:00 Europe/Berlin", "22:00-04:00", "Sat,Sun 00:00-24:00 Asia/Kathmandu"]);
    let verify = (span(1), span(0), span(1), any::<bool>()).prop_map(|(one, other, every, hold)| {
        let of = |text: &str| text.parse::<Span>().expect("a span");
        let (within, stable) = if of(&one) >= of(&other) { (one, other) } else { (other, one) };
        json!({ "within": within, "stable_for": stable, "every": every, "on_timeout": if hold { "hold" } else { "rollback" } })
    });
    let revoke = (span(0), prop::option::of(span(0)), prop::option::of((span(0), span(0)))).prop_map(|(grace, idle, off)| {
        let mut revoke = json!({ "grace": grace });
        if let Some(idle) = idle {
            revoke["idle_for"] = json!(idle);
        }
        if let Some((one, other)) = off {
            let of = |text: &str| text.parse::<Span>().expect("a span");
            let (longer, shorter) = if of(&one) >= of(&other) { (one, other) } else { (other, one) };
            revoke["disable_for"] = json!(longer);
            revoke["watch"] = json!(shorter);
        }
        revoke
    });
    let emergency = (prop::sample::select(vec!["replace-fast", "revoke-first"]), span(0))
        .prop_map(|(mode, at)| json!({ "mode": mode, "revoke_at": at }));
    let values: Vec<(&'static str, BoxedStrategy<Value>)> = vec![
        ("labels", labels.prop_map(|labels| json!(labels)).boxed()),
        ("every", span(1).prop_map(Value::from).boxed()),
        ("window", prop_oneof![window.clone().prop_map(Value::from), prop::collection::vec(window, 1..3).prop_map(Value::from)].boxed()),
        ("key_name", prop::sample::select(vec!["{name}-{yyyy}", "a key of {dd}.{mm}"]).prop_map(Value::from).boxed()),
        ("probe", (1_u8..=100).prop_map(|times| json!({ "level": "auth", "times": times })).boxed()),
        ("verify", verify.boxed()),
        ("revoke", revoke.boxed()),
        ("emergency", emergency.boxed()),
        ("notify", prop::collection::vec(one_notice(), 0..3).prop_map(Value::from).boxed()),
        ("require_approval", any::<bool>().prop_map(Value::from).boxed()),
    ];
    let each: Vec<_> = values.into_iter().map(|(name, value)| prop::option::of(value).prop_map(move |value| (name, value))).collect();
    each.prop_map(|fields| fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into())
}

fn book() -> impl Strategy<Value = Value> {
    let consumers = prop::collection::vec(one_consumer(), 1..4).prop_map(|mut all| {
        for (place, consumer) in all.iter_mut().enumerate() {
            consumer["name"] = json!(format!("service {place}"));
        }
        all
    });
    (text(), kind(&["acme", "openai"]), prop::collection::vec(one_store(), 1..4), consumers, optional()).prop_map(
        |(name, provider, stores, consumers, more)| {
            let mut book = json!({ "keyroll": 1, "name": name, "provider": provider, "stores": stores, "consumers": consumers });
            book.as_object_mut().expect("a mapping").extend(more.as_object().expect("a mapping").clone());
            book
        },
    )
}

fn read(text: &str) -> Playbook {
    Playbook::parse(source(text)).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"))
}

/// Whether everything that was written stands in what was read: texts of another form mean the same.
fn stands(written: &Value, read: &Value) -> bool {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => written.iter().all(|(name, value)| match read.get(name) {
            Some(found) => stands(value, found),
            None => value == "none" || *value == json!([]) || *value == json!({}),
        }),
        (Value::Array(written), Value::Array(read)) => {
            written.len() == read.len() && written.iter().zip(read).all(|(one, other)| stands(one, other))
        }
        (Value::Array(windows), Value::String(_)) if windows.iter().all(Value::is_string) => {
            Window::any(windows.iter().filter_map(Value::as_str)).is_ok_and(|window| *read == window.to_string())
        }
        (Value::String(written), Value::Array(read)) => *read == [json!(written)],
        (Value::String(one), Value::String(other)) => {
            one == other || one.parse::<Window>().is_ok_and(|window| window.to_string() == *other)
        }
        (one, other) => one == other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_printed_is_read_as_what_was_written(book in book(), seed in any::<u64>()) {
        let text = yaml(&book, 0, &mut fastrand::Rng::with_seed(seed));
        let first = printed(&read(&text));
        prop_assert!(stands(&book, &first), "{}\n{:#}", text, first);
        prop_assert_eq!(&printed(&read(&book.to_string())), &first, "as JSON");
        prop_assert_eq!(&printed(&read(&first.to_string())), &first, "what was printed");
        prop_assert_eq!(&printed(&read(&yaml(&first, 0, &mut fastrand::Rng::with_seed(!seed)))), &first, "printed in another style");
    }
}

/// The words that the printer above writes itself.
#[test]
fn the_printer_knows_every_word() {
    assert_eq!(json!(Scheme::Https), "https");
    assert_eq!(json!(WriteSource::CreatedAt), "created_at");
    assert_eq!((json!(EmergencyMode::RevokeFirst), json!(OnTimeout::Hold)), (json!("revoke-first"), json!("hold")));
}
