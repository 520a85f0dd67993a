//! The reference of the playbook's fields as Markdown, written from the schema so that it cannot fall behind.

use std::fmt::Write as _;

use serde_json::Value;

use super::{registry::Registry, schema::schema};

/// One section a block, each a table of field, type, default and meaning.
pub fn reference(registry: &Registry) -> String {
    let root = schema(registry);
    let mut page = String::from(
        "# Playbook reference\n\nWritten from the schema by `UPDATE_DOCS=1 cargo test --test playbook`; `keyroll schema` prints the schema for editors.\n\n\
         Durations are numbers with units: `30s`, `10m`, `1h30m`, `90d` (`ms`, `s`, `m`, `h`, `d`, `w`). A secret never stands in a playbook; where one is needed, write \
         where it is: `env:NAME`, `file:/path` (a plain file that its owner alone can read), `vault:mount/path#field` or `aws:secret-id#field`.\n",
    );
    section(&mut page, &root, 2, "The playbook", &root);
    kinds(&mut page, &root, "providers", "Providers", "Under `provider`, exactly one of these.");
    kinds(&mut page, &root, "stores", "Stores", "Each item of `stores` has exactly one of these, beside `write` and `stale_for`.");
    shared(&mut page, &root, "stores", "Beside every store");
    section(&mut page, &root, 2, "Consumers", &root["$defs"]["consumer"]);
    kinds(&mut page, &root, "instances", "Instances", "Under a consumer's `instances`, exactly one of these.");
    kinds(&mut page, &root, "rollouts", "Rollouts", "Under a consumer's `rollout`, exactly one of these; or `rollout: none`.");
    kinds(&mut page, &root, "notifiers", "Notifiers", "Each item of `notify` has exactly one of these, beside `on` and `repeat`.");
    shared(&mut page, &root, "notifiers", "Beside every notification");
    page += "\n## Parts\n";
    if let Some(defs) = root["$defs"].as_object() {
        let mut names: Vec<&String> = defs.keys().collect();
        names.sort_by_key(|name| name.to_lowercase());
        for name in names {
            if !["providers", "stores", "instances", "rollouts", "notifiers", "consumer", "Span", "SecretRef"].contains(&name.as_str()) {
                section(&mut page, &root, 3, name, &defs[name]);
            }
        }
    }
    page
}

/// What each item of a list has beside its kind.
fn shared(page: &mut String, root: &Value, name: &str, title: &str) {
    let first = &root["$defs"][name]["oneOf"][0];
    if first.is_object() {
        let mut shared = first.clone();
        let kind = first["title"].as_str().unwrap_or_default();
        if let Some(fields) = shared["properties"].as_object_mut() {
            fields.shift_remove(kind);
        }
        shared["description"] = Value::Null;
        section(page, root, 3, title, &shared);
    }
}

fn kinds(page: &mut String, root: &Value, name: &str, title: &str, text: &str) {
    let _ = write!(page, "\n## {title}\n\n{text}\n");
    for form in root["$defs"][name]["oneOf"].as_array().into_iter().flatten() {
        let kind = form["title"].as_str().unwrap_or_default();
        let mut block = form["properties"][kind].clone();
        let about = form["description"].as_str().unwrap_or_default();
        let said = block["description"].as_str().unwrap_or_default().to_owned();
        if let Some(block) = block.as_object_mut() {
            block.insert("description".into(), format!("{}. {said}", capital(about)).trim_end().into());
        }
        section(page, root, 3, &format!("`{kind}`"), &block);
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn section(page: &mut String, root: &Value, depth: usize, title: &str, schema: &Value) {
    let _ = write!(page, "\n{} {title}\n\n", "#".repeat(depth));
    if let Some(about) = schema["description"].as_str() {
        let _ = write!(page, "{}\n\n", flat(about));
    }
    if let Some(fields) = schema["properties"].as_object().filter(|fields| !fields.is_empty()) {
        *page += "| field | type | default | meaning |\n|---|---|---|---|\n";
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in fields {
            let default = match &field["default"] {
                Value::Null if required.contains(&name.as_str()) => "required".into(),
                Value::Null => "–".into(),
                Value::Object(_) => "see there".into(),
                other => format!("`{}`", other.as_str().map_or_else(|| other.to_string(), str::to_owned)),
            };
            let meaning = field["description"].as_str().or_else(|| target(root, field)?["description"].as_str()).unwrap_or_default();
            let _ = writeln!(page, "| `{name}` | {} | {default} | {} |", kind(field), flat(meaning).replace('|', "\\|"));
        }
        return;
    }
    let forms = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    if let Some(forms) = forms {
        *page += "| form | type | meaning |\n|---|---|---|\n";
        for form in forms {
            let (name, value) = match form["properties"].as_object().and_then(|fields| fields.iter().next()) {
                Some((name, value)) if form["properties"].as_object().is_some_and(|fields| fields.len() == 1) => {
                    (format!("`{name}: …`"), kind(value))
                }
                Some(_) => {
                    let names: Vec<String> = form["properties"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, value)| format!("`{name}` ({})", kind(value)))
                        .collect();
                    (names.join(", "), "mapping".into())
                }
                None => (word(form).unwrap_or_else(|| "–".into()), kind(form)),
            };
            let meaning = form["description"].as_str().unwrap_or_default();
            let _ = writeln!(page, "| {name} | {value} | {} |", flat(meaning).replace('|', "\\|"));
        }
    } else {
        let _ = writeln!(page, "Type: {}.", kind(schema));
    }
}

fn target<'v>(root: &'v Value, field: &Value) -> Option<&'v Value> {
    let reference = field["$ref"].as_str().or_else(|| field["anyOf"][0]["$ref"].as_str())?;
    root.pointer(reference.strip_prefix('#')?)
}

fn word(schema: &Value) -> Option<String> {
    schema["const"].as_str().map(|word| format!("`{word}`"))
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A type in a word or two; a named part links to its section.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return match name {
            "Span" => "duration".into(),
            "SecretRef" => "reference".into(),
            "consumer" => "[consumer](#consumers)".into(),
            _ => format!("[{name}](#{})", name.to_lowercase()),
        };
    }
    if let Some(word) = word(schema) {
        return word;
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    for forms in ["anyOf", "oneOf"] {
        if let Some(forms) = schema[forms].as_array() {
            let all: Vec<String> = forms.iter().filter(|form| form["type"] != "null").map(kind).collect();
            return all.join(" or ");
        }
    }
    let named = |name: &str| match name {
        "string" => "text".to_owned(),
        "integer" | "number" => "number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => format!("mapping to {}", kind(&schema["additionalProperties"])),
        "object" => "mapping".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => named(name),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).filter(|name| *name != "null").map(named).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".into(),
    }
}
