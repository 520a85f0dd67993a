//! What a secret id of an AppRole is made with: where it may be used from, how often and how long.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::protocol::{Bound, Bounds};

/// Under this key of a secret id's metadata stands the name we gave it.
pub(super) const NAME: &str = "keyroll";

/// What the role itself says.
#[derive(Deserialize)]
pub(super) struct Role {
    #[serde(default)]
    pub(super) secret_id_num_uses: u64,
    #[serde(default)]
    pub(super) secret_id_ttl: u64,
    #[serde(default)]
    pub(super) bind_secret_id: bool,
}

/// A secret id as Vault describes it; `null` stands for an empty list in some versions.
#[derive(Serialize, Deserialize)]
pub(super) struct SecretId {
    pub(super) secret_id_accessor: String,
    pub(super) cidr_list: Option<Vec<String>>,
    pub(super) token_bound_cidrs: Option<Vec<String>>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) creation_time: Option<DateTime<Utc>>,
    pub(super) expiration_time: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) secret_id_num_uses: u64,
    #[serde(default)]
    pub(super) secret_id_ttl: u64,
}

impl SecretId {
    /// Vault writes the year 1 where a secret id does not end.
    pub(super) fn ended(&self, now: DateTime<Utc>) -> bool {
        self.expiration_time.is_some_and(|end| end.timestamp() > 0 && end <= now)
    }
}

/// What a secret id is made with; numbers of 0 are no limits.
#[derive(Default)]
pub(super) struct Terms {
    cidr_list: BTreeSet<String>,
    token_bound_cidrs: BTreeSet<String>,
    pub(super) uses: u64,
    /// They are what was left of a secret id's own, and not a limit of the role.
    pub(super) uses_are_left: bool,
    /// In seconds.
    ttl: u64,
    metadata: BTreeMap<String, String>,
}

impl Terms {
    /// What Vault tells of uses is what is left of them; the role's own limit is the one that the secret id began with.
    pub(super) fn of(like: SecretId, role: &Role) -> Self {
        let uses_are_left = role.secret_id_num_uses == 0;
        let mut metadata = like.metadata.unwrap_or_default();
        metadata.remove(NAME);
        Self {
            cidr_list: like.cidr_list.unwrap_or_default().into_iter().collect(),
            token_bound_cidrs: like.token_bound_cidrs.unwrap_or_default().into_iter().collect(),
            uses: if uses_are_left { like.secret_id_num_uses } else { role.secret_id_num_uses },
            uses_are_left,
            ttl: tighter(like.secret_id_ttl, role.secret_id_ttl),
            metadata,
        }
    }

    pub(super) fn body(self, name: &str) -> Value {
        let mut metadata = self.metadata;
        metadata.insert(NAME.into(), name.into());
        let mut body = json!({ "metadata": json!(metadata).to_string() });
        for (name, limit) in [("num_uses", self.uses), ("ttl", self.ttl)] {
            if limit > 0 {
                body[name] = limit.into();
            }
        }
        for (name, cidrs) in [("cidr_list", self.cidr_list), ("token_bound_cidrs", self.token_bound_cidrs)] {
            if !cidrs.is_empty() {
                body[name] = json!(cidrs);
            }
        }
        body
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds and uses are far below 2^52")]
    pub(super) fn bounds(self) -> Bounds {
        let only = |cidrs: BTreeSet<String>| Bound::Only((!cidrs.is_empty()).then_some(cidrs));
        let most = |limit: u64| Bound::Most((limit > 0).then_some(limit as f64));
        Bounds::from([
            ("cidr_list".into(), only(self.cidr_list)),
            ("token_bound_cidrs".into(), only(self.token_bound_cidrs)),
            ("num_uses".into(), most(self.uses)),
            ("ttl in seconds".into(), most(self.ttl)),
            ("metadata".into(), Bound::Is(json!(self.metadata).to_string())),
        ])
    }
}

/// The smaller of two limits of which 0 is none.
fn tighter(one: u64, other: u64) -> u64 {
    if one == 0 || other == 0 { one.max(other) } else { one.min(other) }
}
