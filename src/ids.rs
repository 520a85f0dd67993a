//! Names of things, one type each, so that a key's id can never be passed where a store's version is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps `text` as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )* };
}

text_id! {
    /// What a provider calls one key: `AKIA…`, a service account's id, an accessor. Never the secret.
    KeyId
    /// One execution of a playbook; a ULID, so ids sort by time.
    RotationId
    /// A salted HMAC-SHA256 of a secret, in hex. The salt belongs to the journal, so prints of two journals never match.
    Fingerprint
    /// What a store calls one version of its value: a number in Vault, a version id in AWS.
    Version
    /// What must not be rotated twice at once: one store's field, or one provider's principal.
    Identity
    /// One running copy of a service.
    InstanceId
}

impl Fingerprint {
    /// Of a value that could not be read when it was needed: then every value but the new one counts as it.
    pub fn unknown() -> Self {
        Self(String::new())
    }
}

impl RotationId {
    /// A new id, made from the time (milliseconds since 1970) and 80 random bits.
    pub fn at(now: chrono::DateTime<chrono::Utc>, random: u128) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Self(ulid::Ulid::from_parts(millis, random).to_string().to_lowercase())
    }
}
