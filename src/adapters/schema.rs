//! The playbook's JSON Schema, put together from what each adapter says of its own block.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::registry::{Kind, Registry};
use crate::playbook::{NotifyForm, PlaybookForm, StoreForm};

/// The schema (draft 2020-12) of every playbook that this registry can build, for editors.
pub fn schema(registry: &Registry) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = PlaybookForm::json_schema(&mut generator).to_value();
    let store = StoreForm::json_schema(&mut generator).to_value();
    let providers = one_of(registry.providers.iter().map(|vendor| &vendor.kind), &mut generator, None);
    let stores = one_of(&registry.stores, &mut generator, Some(&store));
    let instances = one_of(&registry.discoveries, &mut generator, None);
    let rollouts = one_of(&registry.rollouts, &mut generator, None);
    let notify = NotifyForm::json_schema(&mut generator).to_value();
    let notifiers = one_of(&registry.notifiers, &mut generator, Some(&notify));
    let mut defs: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    if let Some(consumer) = defs.get_mut("consumer").and_then(Value::as_object_mut) {
        consumer.insert("required".into(), json!(["name"]));
        consumer.insert(
            "oneOf".into(),
            json!([{ "required": ["instances", "health"], "not": { "required": ["job"] } }, { "required": ["job"], "not": { "anyOf": [{ "required": ["instances"] }, { "required": ["health"] }] } }]),
        );
    }
    let parts = [("providers", providers), ("stores", stores), ("instances", instances), ("rollouts", rollouts), ("notifiers", notifiers)];
    for (name, part) in parts {
        defs.insert(name.into(), part);
    }
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".into(), json!("keyroll playbook"));
        root.insert("$defs".into(), Value::Object(defs));
    }
    root
}

/// Exactly one of the kinds, beside the fields that all of them share.
fn one_of<'k, P: ?Sized + 'k>(
    kinds: impl IntoIterator<Item = &'k Kind<P>>,
    generator: &mut SchemaGenerator,
    shared: Option<&Value>,
) -> Value {
    let forms: Vec<Value> = kinds
        .into_iter()
        .map(|kind| {
            let mut block = (kind.schema)(generator).to_value();
            if let Some(block) = block.as_object_mut() {
                block.remove("$schema");
            }
            let mut properties = Map::from_iter([(kind.name.to_owned(), block)]);
            let mut required = vec![json!(kind.name)];
            if let Some(shared) = shared {
                properties.extend(shared["properties"].as_object().cloned().unwrap_or_default());
                required.extend(shared["required"].as_array().cloned().unwrap_or_default());
            }
            json!({
                "type": "object",
                "title": kind.name,
                "description": kind.about,
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            })
        })
        .collect();
    if forms.is_empty() { json!(false) } else { json!({ "oneOf": forms }) }
}
