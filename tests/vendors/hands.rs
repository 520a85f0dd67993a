//! What tests do with a bench.

use keyroll::{
    ids::KeyId,
    ports::{Credential, Failure, Fate},
    secret::Secret,
};
use serde_json::Value;

use crate::site::{Bench, Key};

/// The id of the key that was made as this one, from 0.
pub fn id(bench: &Bench, nth: usize) -> KeyId {
    KeyId::new(&bench.server.world().keys.all[nth].id)
}

/// Its value.
pub fn value(bench: &Bench, nth: usize) -> Credential {
    Credential { id: None, secret: Secret::new(&bench.server.world().keys.all[nth].value) }
}

/// A key as the vendor keeps it.
pub fn key(bench: &Bench, id: &KeyId) -> Key {
    bench.server.world().keys.all.iter().find(|key| key.id == id.as_str()).expect("a key").clone()
}

/// Makes replies of this kind say something else.
pub fn mangle(bench: &Bench, which: (&'static str, &str), change: impl Fn(&mut Value) + Send + 'static) {
    bench.server.world().mangle = Some((which.0, which.1.to_owned(), Box::new(change)));
}

/// How many creates the vendor was sent.
pub fn creates(bench: &Bench) -> usize {
    bench.server.count(bench.vendor.create.0, bench.vendor.create.1)
}

/// It says that nobody knows what came of it.
#[track_caller]
pub fn unknown(failure: &Failure, what: &str) {
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{what}: {failure}");
}
