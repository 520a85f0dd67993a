//! Telling people: one contract for every way there is, what a receiver can check, and when people are told again.

mod contract;
mod remind;

#[path = "../common/inbox.rs"]
mod inbox;

use std::sync::Arc;

use keyroll::{
    adapters::{Ctx, build::build, registry::Registry, secrets, wire::Wire},
    playbook::{Fault, Playbook, Source},
    ports::World,
};

/// A playbook that tells through these entries.
pub fn book(notify: &str) -> Result<(Playbook, World), Vec<Fault>> {
    let text = format!(
        "keyroll: 1\nname: payments\nprovider: {{ openai: {{ project: proj_a, admin_key: env:ADMIN }} }}\n\
         stores: [ {{ file: {{ path: /tmp/never/written, format: json }}, write: {{ k: secret }}, stale_for: 0s }} ]\n\
         consumers: [ {{ name: c, job: {{ runs_every: 1d, max_run: 1h }} }} ]\nnotify:\n{notify}"
    );
    let playbook = Playbook::parse(Arc::new(Source { name: "payments.yaml".into(), text }))?;
    let wire = Wire::new().expect("TLS");
    let world = build(&playbook, &Registry::builtin(), &Ctx { secrets: secrets::resolver(&wire), wire })?;
    Ok((playbook, world))
}
