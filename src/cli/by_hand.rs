//! What `emergency --print` writes: the commands for a person's own hands, without any secret.

use crate::{
    driver::secret_field,
    ids::KeyId,
    playbook::{Playbook, WriteSource},
    ports::World,
    protocol::Role,
    rotation::Rotation,
};

/// Commands in the order of `mode`, each part with what it is for.
pub fn by_hand(book: &Playbook, world: &World, known: Option<&Rotation>, leaked: &str) -> String {
    let id = match leaked {
        "current" | "all" => known.and_then(current),
        "new" => known.and_then(|rotation| rotation.key(Role::New).cloned()),
        id => Some(KeyId::new(id)),
    };
    let hands = world.provider.by_hand(id.as_ref());
    let mut lines = vec![
        "#!/bin/sh -e".to_owned(),
        format!(
            "# {}: by hand, in this order. No secret stands in here; values pass through the environment and standard input.",
            book.name.replace('\n', " ")
        ),
    ];
    if id.is_none() {
        lines.push("# The leaked key's id is not in the journal: set LEAKED_KEY_ID to what the provider's list shows.".into());
    }
    let mut part = |title: &str, commands: Vec<String>| {
        lines.push(String::new());
        lines.push(format!("# {title}"));
        lines.extend(commands);
    };
    part("1. Make another key", hands.create);
    for (store, spec) in world.stores.iter().zip(&book.stores) {
        let fields: Vec<(&str, &str)> = spec
            .write
            .iter()
            .filter_map(|(field, source)| match source {
                _ if field == secret_field(spec) => Some((field.as_str(), "NEW_KEY")),
                WriteSource::Id => Some((field.as_str(), "NEW_KEY_ID")),
                _ => None,
            })
            .collect();
        part(&format!("2. Write it to {}", store.locator()), store.by_hand(&fields));
    }
    let names: Vec<&str> = book.consumers.iter().map(|consumer| consumer.name.as_str()).collect();
    part("3. Have every service pick it up, in this order, and see that each works", vec![format!("# {}", names.join(", "))]);
    part("4. Delete the leaked key (with revoke-first: do this first, services are down until 3 is through)", hands.revoke);
    part("5. Later: let keyroll know", vec![format!("keyroll reconcile {}", crate::playbook::quoted(&book.source.name))]);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn current(rotation: &Rotation) -> Option<KeyId> {
    let role = if rotation.state.ended() == Some(crate::protocol::End::Done) { Role::New } else { Role::Old };
    rotation.key(role).cloned()
}
