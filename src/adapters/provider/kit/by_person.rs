//! Keys that a person makes or revokes in the console.

use crate::{ids::KeyId, ports::Failure, protocol::Refusal, secret::Secret};

/// How much of a digest is a key's id: enough that no two keys have the same.
const DIGITS: usize = 16;

/// The id of a key that the vendor does not list.
pub fn digest_id(value: &Secret) -> KeyId {
    let digest: String = value.sha256().chars().take(DIGITS).collect();
    KeyId::new(format!("sha256-{digest}"))
}

/// The answer to what only a person can do.
pub fn by_a_person(page: &str, what: &str) -> Failure {
    Failure::refused(Refusal::Denied, None, "only a person can do that here").hint(format!("{what} the key at {page}"))
}

/// What a person types after making a key there.
pub fn made_by_hand(page: &str) -> String {
    format!("# make a key at {page}, then: export NEW_KEY=… NEW_KEY_ID=by-hand")
}
