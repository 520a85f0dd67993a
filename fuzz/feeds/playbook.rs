//! A playbook's text, as `validate` reads it; what is wrong is drawn, and its secrets are masked.

use std::sync::{Arc, OnceLock};

use keyroll::{
    adapters::{
        Ctx,
        build::{build, identities},
        registry::Registry,
        secrets::resolver,
        wire::Wire,
    },
    playbook::{Playbook, Source, Span, Window, masked, render},
};

fn with() -> &'static (Registry, Ctx) {
    static WITH: OnceLock<(Registry, Ctx)> = OnceLock::new();
    WITH.get_or_init(|| {
        let wire = Wire::new().expect("TLS");
        (Registry::builtin(), Ctx { secrets: resolver(&wire), wire })
    })
}

pub fn feed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let source = Arc::new(Source { name: "fuzzed.yaml".into(), text: text.into() });
    let (registry, ctx) = with();
    let faults = match Playbook::parse(source.clone()) {
        Err(faults) => faults,
        Ok(book) => {
            let _ = book.references();
            match build(&book, registry, ctx) {
                Err(faults) => faults,
                Ok(world) => {
                    assert!(!identities(&book, &world).is_empty(), "a playbook that rotates nothing");
                    Vec::new()
                }
            }
        }
    };
    let _ = (render(&faults, &source), masked(text));
    // Short texts are more often durations and windows than playbooks.
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse(), Ok(span), "it is printed as another one");
    }
    if let Ok(window) = text.parse::<Window>() {
        assert_eq!(window.to_string().parse::<Window>(), Ok(window), "it is printed as another one");
    }
}
