//! The playbook of a world.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use keyroll::playbook::{Playbook, Source};

/// What a world's playbook says; the adapters' blocks are never built.
#[derive(Clone, Debug)]
pub struct Text {
    pub name: String,
    pub stores: usize,
    pub stale_for: String,
    /// For each consumer: the store that it reads; none: a job.
    pub consumers: Vec<Option<usize>>,
    /// The longest request in flight; none: the default.
    pub max_request: Option<String>,
    /// Everything else.
    pub extra: String,
}

impl Default for Text {
    fn default() -> Self {
        let (name, stale_for) = ("sim".into(), "1m".into());
        Self { name, stores: 1, stale_for, consumers: vec![Some(0)], max_request: None, extra: String::new() }
    }
}

impl Text {
    pub fn parse(&self) -> Playbook {
        let Self { name, stale_for, extra, .. } = self;
        let mut text = format!("keyroll: 1\nname: {name}\nprovider:\n  openai: {{ project: p, admin_key: env:X }}\nstores:\n");
        for store in 0..self.stores {
            text += &format!("  - file: {{ path: /nowhere/{name}/{store} }}\n    write: {{ key: secret, key_id: id }}\n");
            text += &format!("    stale_for: {stale_for}\n");
        }
        text += "consumers:\n";
        for (number, store) in self.consumers.iter().enumerate() {
            text += &format!("  - name: service{number}\n");
            match store {
                Some(store) => {
                    text += &format!("    instances: {{ fixed: [\"{name}{number}:1\"] }}\n    expect: 1\n");
                    text += &format!("    health: {{ path: /healthz, fingerprint: {{ json: /key }}, store: {store} }}\n");
                    if let Some(request) = &self.max_request {
                        text += &format!("    max_request: {request}\n");
                    }
                }
                None => text += "    job: { runs_every: 10m, max_run: 1m }\n",
            }
        }
        text += extra;
        parsed(&format!("{name}.yaml"), text)
    }
}

/// Reads a playbook, once for each text.
pub fn parsed(name: &str, text: String) -> Playbook {
    static READ: Mutex<BTreeMap<String, Playbook>> = Mutex::new(BTreeMap::new());
    if let Some(book) = READ.lock().unwrap().get(&text) {
        return book.clone();
    }
    let source = Source { name: name.into(), text: text.clone() };
    let book = Playbook::parse(Arc::new(source)).unwrap_or_else(|faults| panic!("{faults:?}"));
    READ.lock().unwrap().insert(text, book.clone());
    book
}

/// One store, one service, and the rest as the test wants it.
pub fn book(extra: &str) -> Playbook {
    Text { extra: extra.into(), ..Text::default() }.parse()
}
