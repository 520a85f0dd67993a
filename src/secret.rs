//! The only place a secret's bytes may live.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::ids::Fingerprint;

/// A secret value. It has no `Debug`, `Display`, `Clone` or `Serialize`, and its memory is zeroed when it is dropped.
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over; nothing else should keep a copy of it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The bytes, for the one call that must send or write them.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// A second holder of the same value; named so that it is seen in review.
    pub fn duplicate(&self) -> Self {
        Self::new(self.reveal())
    }

    /// Whether two secrets are the same value.
    pub fn same(&self, other: &Secret) -> bool {
        // Compared by digest: the time it takes says nothing of the bytes.
        Sha256::digest(self.reveal()) == Sha256::digest(other.reveal())
    }

    /// The unsalted SHA-256 in lower-case hex: what a service can report of its own key, and what LiteLLM lists.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(self.reveal()))
    }

    /// The unsalted SHA-1 in lower-case hex: what a baseline of detect-secrets keeps of a value.
    pub fn sha1(&self) -> String {
        hex(&sha1::Sha1::digest(self.reveal()))
    }

    /// Whether this value stands anywhere in another text. Too short a value would be found by chance.
    pub fn within(&self, other: &Secret) -> bool {
        self.reveal().len() >= 12 && other.reveal().contains(self.reveal())
    }

    /// The journal's name for this value; `salt` is the journal's own.
    pub fn fingerprint(&self, salt: &[u8]) -> Fingerprint {
        let mut mac = Hmac::<Sha256>::new_from_slice(salt).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        mac.update(self.reveal().as_bytes());
        Fingerprint::new(hex(&mac.finalize().into_bytes())[..32].to_owned())
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
