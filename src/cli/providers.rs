//! `keyroll providers`: who issues keys that keyroll can rotate, and what each can.

use super::{App, Fail};
use crate::{
    adapters::{Ctx, build, registry::Registry},
    playbook::words,
    report::{self, Card},
};

#[derive(clap::Args)]
pub struct Args {
    /// Everything about this one
    provider: Option<String>,
}

pub fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let mut cards = cards(&app.registry, &app.ctx()?);
    if let Some(name) = &args.provider {
        let names: Vec<&str> = cards.iter().map(|card| card.name).collect();
        let unknown = Fail::usage(format!("no such provider: {}", name.escape_debug())).detail(words::instead(name, &names));
        cards.retain(|card| card.name == name);
        let Some(card) = cards.first() else { return Err(unknown.next("keyroll providers")) };
        if !app.json() {
            anstream::print!("{}", report::card(card));
            return Ok(0);
        }
    }
    if app.json() {
        println!("{}", report::cards_json(&cards));
    } else {
        anstream::print!("{}", report::providers_table(&cards));
    }
    Ok(0)
}

/// What is known of every provider of a registry, read from the adapters themselves.
pub fn cards(registry: &Registry, ctx: &Ctx) -> Vec<Card> {
    let card = |vendor: &crate::adapters::registry::Vendor| {
        let mut generator = schemars::SchemaGenerator::default();
        let schema = (vendor.kind.schema)(&mut generator).to_value();
        let fields = schema["properties"].as_object().into_iter().flatten();
        let meaning = |field: &serde_json::Value| {
            let text = field["description"].as_str().unwrap_or_default();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        Card {
            name: vendor.kind.name,
            about: vendor.kind.about,
            needs: vendor.facts.needs,
            unconfirmed: vendor.facts.unconfirmed,
            source: vendor.facts.source,
            sample: vendor.facts.sample,
            fields: fields.map(|(name, field)| (name.clone(), meaning(field))).collect(),
            provider: build::sample(vendor.facts.sample, vendor, ctx),
        }
    };
    registry.providers.iter().map(card).collect()
}
