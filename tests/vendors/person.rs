//! Whole rotations by the built binary of keys that a person makes, and mostly a person revokes.

use std::time::Duration;

use crate::{
    road::Road,
    site::{Vendor, random},
};
use keyroll::sandbox::service::Behaviour;

impl Road {
    /// A person makes a key under the name that keyroll asked for.
    pub fn made_by_hand(&self, said: &str) -> String {
        let name = said.split("the key ").nth(1).and_then(|rest| rest.split(" at ").next()).expect("a name is asked for");
        let mut world = self.server.world();
        (self.vendor.seed)(&mut world.keys, name);
        world.keys.all.last().expect("just made").value.clone()
    }

    fn revoked_by_hand(&self, value: &str) {
        let mut world = self.server.world();
        let id = world.keys.all.iter().find(|key| key.value == value).expect("a key").id.clone();
        world.keys.dies_after = Duration::from_millis(700);
        assert!(world.keys.delete(&id));
    }

    fn value(&self, nth: usize) -> String {
        self.server.world().keys.all[nth].value.clone()
    }

    pub async fn waits_for_a_key(&self) -> String {
        let said = self.ends(&self.keyroll(&["run", "book.yaml", "--yes"]).await, 6);
        assert!(said.contains("keyroll provide") && said.contains("a person makes it, at https://"), "{said}");
        said
    }

    fn by_value(&self) -> bool {
        self.vendor.delete.1.starts_with('/')
    }
}

/// What is no new key is not taken; the key of a person's hand becomes the new one, and the old one is seen to be dead.
pub async fn rotates(vendor: Vendor) {
    let road = Road::new(vendor).await;
    let old = road.value(0);
    let said = road.waits_for_a_key().await;
    let refused = road.ends(&road.keyroll_with(&["provide"], &old).await, 2);
    assert!(refused.contains("make another"), "{refused}");
    let refused = road.ends(&road.keyroll_with(&["provide"], &random(40)).await, 2);
    assert!(refused.contains("the provider refuses that value"), "{refused}");
    road.ends(&road.keyroll(&["resume"]).await, 6);
    let value = road.made_by_hand(&said);
    let given = format!("  {value}\n");
    let said = match road.by_value() {
        true => road.ends(&road.keyroll_with(&["provide"], &given).await, 0),
        false => {
            let said = road.ends(&road.keyroll_with(&["provide"], &given).await, 3);
            assert!(said.contains("after you revoked the old key"), "{said}");
            // Nothing is done that a person only says: the provider must refuse it.
            let held = road.ends(&road.keyroll(&["resume", "--reason", "revoked, I think"]).await, 3);
            assert!(held.contains("still accepts"), "{held}");
            road.revoked_by_hand(&old);
            road.ends(&road.keyroll(&["resume", "--reason", "revoked now"]).await, 0)
        }
    };
    assert_ne!(road.only(&said), road.old, "{said}");
    assert!(said.contains("refused the old key"), "its death was proved: {said}");
}

/// An instance that never follows: the old key stays in use, and the new one is revoked.
pub async fn rolls_back(vendor: Vendor) {
    let road = Road::new(vendor).await;
    road.fleet.behave(1, Behaviour::Stuck);
    let said = road.waits_for_a_key().await;
    let value = road.made_by_hand(&said);
    let said = match road.by_value() {
        true => road.ends(&road.keyroll_with(&["provide"], &value).await, 1),
        false => {
            let said = road.ends(&road.keyroll_with(&["provide"], &value).await, 3);
            assert!(said.contains("after you revoked the new key"), "{said}");
            road.revoked_by_hand(&value);
            road.ends(&road.keyroll(&["resume", "--reason", "revoked"]).await, 1)
        }
    };
    assert_eq!(road.only(&said), road.old, "{said}");
}

/// The key in use leaked: it is revoked at once where its value is enough; else a person is told to, and it is called dead only when it is.
pub async fn leaks(vendor: Vendor) {
    let road = Road::new(vendor).await;
    let old = road.value(0);
    let leak = ["emergency", "book.yaml", "--mode", "revoke-first", "--reason", "seen in a public repository", "--yes"];
    let said = road.ends(&road.keyroll(&leak).await, 6);
    assert_eq!(said.contains("LEAKED AND WORKS: a person must revoke it now, at https://"), !road.by_value(), "{said}");
    assert_eq!(said.contains("NOT CONTAINED"), !road.by_value(), "{said}");
    let value = road.made_by_hand(&said);
    let said = match road.by_value() {
        true => road.ends(&road.keyroll_with(&["provide"], &value).await, 0),
        false => {
            let held = road.ends(&road.keyroll_with(&["provide"], &value).await, 3);
            assert!(held.contains("LEAKED AND WORKS") && held.contains("[ ] revoke the leaked key at https://"), "{held}");
            road.revoked_by_hand(&old);
            road.ends(&road.keyroll(&["resume", "--reason", "revoked"]).await, 0)
        }
    };
    assert_ne!(road.only(&said), road.old, "{said}");
    assert!(said.contains("CONTAINED") && !said.contains("NOT CONTAINED"), "{said}");
}

/// Nobody hands a key over: it can be left, and nothing was changed.
pub async fn is_left(vendor: Vendor) {
    let road = Road::new(vendor).await;
    road.waits_for_a_key().await;
    let said = road.ends(&road.keyroll(&["rollback"]).await, 1);
    assert_eq!(road.only(&said), road.old, "{said}");
    let said = road.ends(&road.keyroll_with(&["provide"], "anything").await, 2);
    assert!(said.contains("is over") || said.contains("no open rotation") || said.contains("no rotation"), "{said}");
}
