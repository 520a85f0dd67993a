//! The playbooks that come with keyroll, the first one that `init` writes, and the reference.

use std::path::{Path, PathBuf};

use keyroll::{
    adapters::{build::build, reference::reference, registry::Registry},
    playbook::{Answers, PROVIDERS, Playbook, STORES, Source, render, template},
};

use super::{source, world};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Parses it, and builds its adapters; those that this build lacks may be the only fault.
fn good(source: Source) {
    let source = std::sync::Arc::new(source);
    let playbook = Playbook::parse(source.clone()).unwrap_or_else(|faults| panic!("{}", render(&faults, &source)));
    let registry = Registry::builtin();
    let known = registry.providers.iter().any(|vendor| vendor.kind.name == playbook.provider.kind)
        && playbook.stores.iter().all(|store| registry.stores.iter().any(|kind| kind.name == store.block.kind))
        && !registry.discoveries.is_empty();
    if known {
        build(&playbook, &registry, &world::ctx()).unwrap_or_else(|faults| panic!("{}", render(&faults, &source)));
    }
}

#[test]
fn each_shipped_playbook_is_good_and_each_line_has_a_comment() {
    let mut count = 0;
    for entry in std::fs::read_dir(root("playbooks")).unwrap() {
        let path = entry.unwrap().path();
        let source = Source::read(&path).unwrap();
        for (number, line) in source.text.lines().enumerate() {
            assert!(line.trim().is_empty() || line.contains("# "), "{}:{}: no comment", path.display(), number + 1);
        }
        good(source);
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn init_writes_a_good_playbook_for_each_provider_and_store() {
    for provider in PROVIDERS {
        for store in STORES {
            let answers = Answers { provider: provider.into(), store: store.into(), ..Answers::default() };
            let text = template(&answers);
            assert!(text.lines().all(|line| line.contains("# ")), "{text}");
            good(Source { name: format!("{provider}-{store}.yaml"), text });
        }
    }
}

#[test]
fn any_answer_is_written_as_the_text_it_is() {
    for odd in ["a: b", "# c", "\"quoted\"", "it's", "007", "true", "null", "-", "*x", "{a}", "tab\there", "über", "90d", "1.10"] {
        let answers = Answers { name: odd.into(), consumer: odd.into(), field: odd.into(), ..Answers::default() };
        let text = template(&answers);
        if odd.contains('\t') {
            continue;
        }
        let playbook = Playbook::parse(source(&text)).unwrap_or_else(|faults| panic!("{}", render(&faults, &source(&text))));
        assert_eq!((playbook.name.as_str(), playbook.consumers[0].name.as_str()), (odd, odd));
        assert!(playbook.stores[0].write.contains_key(odd));
    }
}

/// A page that is written from the code cannot fall behind it.
fn written(path: &str, page: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root(path), page).unwrap();
    }
    let there = std::fs::read_to_string(root(path)).unwrap_or_default();
    assert!(there == page, "{path} is not what the code says: UPDATE_DOCS=1 cargo test --test playbook");
}

#[test]
fn the_reference_is_written_from_the_schema() {
    written("docs/playbook.md", &reference(&Registry::builtin()));
}

#[test]
fn the_page_of_providers_is_written_from_the_adapters() {
    let cards = keyroll::cli::providers::cards(&Registry::builtin(), &world::ctx());
    for card in &cards {
        assert!(card.provider.is_some(), "{}: its sample builds it", card.name);
        assert!(!card.needs.is_empty() && !card.source.is_empty(), "{}", card.name);
    }
    written("docs/providers.md", &keyroll::report::providers_page(&cards));
}
