//! An admin key that rotates itself: from the promote on, every call is made with the new key.

use std::{process::Output, sync::Arc, time::Duration};

use keyroll::{
    ids::KeyId,
    sandbox::{
        provider::{Fault, PROJECT, SandboxProvider},
        service::{Behaviour, Fleet, ServiceConfig},
        vault::SandboxVault,
    },
    secret::Secret,
};
use serde_json::json;

use crate::ends;

const PATH: &str = "ops/openai-admin";
const KEYS: &str = "/v1/organization/admin_api_keys";

struct Own {
    provider: SandboxProvider,
    vault: SandboxVault,
    fleet: Fleet,
    folder: tempfile::TempDir,
    old: KeyId,
}

impl Own {
    async fn new() -> Self {
        let provider = SandboxProvider::start().await.unwrap();
        let block = format!("openai_admin: {{ admin_key: \"vault:secret/{PATH}#key\", base_url: \"{}\" }}", provider.base_url());
        let (old, value) = (provider.admin_keys()[0].id.clone(), provider.admin_key().duplicate());
        Self::with(provider, &block, old, value.reveal()).await
    }

    /// The same with a key of a project.
    async fn project() -> (Self, Secret) {
        let provider = SandboxProvider::start().await.unwrap();
        let (old, value) = provider.seed_key("by hand");
        let block = format!("openai: {{ project: {PROJECT}, admin_key: env:OPENAI_ADMIN, base_url: \"{}\" }}", provider.base_url());
        (Self::with(provider, &block, old, value.reveal()).await, value)
    }

    async fn with(provider: SandboxProvider, block: &str, old: KeyId, value: &str) -> Self {
        let vault = SandboxVault::start().await.unwrap();
        let fields = json!({ "key": value, "owner": "ops" });
        vault.put(PATH, fields.as_object().unwrap());
        let config = ServiceConfig {
            vault: vault.address(),
            token: Arc::new(Secret::new(vault.token())),
            path: PATH.into(),
            field: "key".into(),
            name: "keys".into(),
            provider: provider.base_url(),
            every: Duration::from_millis(20),
            behaviours: Vec::new(),
        };
        let fleet = Fleet::start(2, config).await.unwrap();
        let instances: Vec<String> = fleet.present().borrow().iter().map(|address| format!("\"{address}\"")).collect();
        let playbook = format!(
            "keyroll: 1
name: openai-admin
provider:
  {block}
stores:
  - vault_kv2: {{ address: \"{address}\", auth: {{ token: env:VAULT_TOKEN }}, mount: secret, path: {PATH} }}
    write: {{ key: secret, key_id: id }}
    stale_for: 0s
probe: {{ times: 2 }}
consumers:
  - name: keys
    instances: {{ fixed: [{instances}] }}
    expect: 2
    health: {{ path: /healthz, version: {{ json: /secrets/keys/version }} }}
    max_request: 0s
verify: {{ within: 5s, stable_for: 0s, every: 20ms }}
revoke: {{ grace: 0s, dead_within: 0s }}
emergency: {{ mode: replace-fast, revoke_at: 5m }}
",
            address = vault.address(),
            instances = instances.join(", "),
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("admin.yaml"), playbook).unwrap();
        Self { provider, vault, fleet, folder, old }
    }

    async fn keyroll(&self, args: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        command.args(args).current_dir(self.folder.path()).env("KEYROLL_JOURNAL", self.folder.path().join("journal.db"));
        command.env("VAULT_ADDR", self.vault.address()).env("VAULT_TOKEN", self.vault.token()).env_remove("VAULT_NAMESPACE");
        command.env("OPENAI_ADMIN", self.provider.admin_key().reveal());
        command.stdin(std::process::Stdio::null()).output().await.unwrap()
    }

    fn live(&self) -> Vec<KeyId> {
        self.provider.admin_keys().into_iter().filter(|key| key.live).map(|key| key.id).collect()
    }

    fn stored(&self, field: &str) -> String {
        self.vault.get(PATH).unwrap().1[field].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_old_key_is_deleted_with_the_new_one() {
    let own = Own::new().await;
    let said = ends(&own.keyroll(&["run", "admin.yaml", "--yes"]).await, 0);
    let [new] = own.live().try_into().expect("exactly one admin key is left");
    assert_ne!(new, own.old);
    assert_eq!(own.stored("key_id"), new.as_str());
    assert_eq!(own.stored("owner"), "ops", "a field that is not ours stays");
    assert_eq!(own.provider.callers("POST", KEYS), [Some(own.old.clone())], "made with the old one");
    assert_eq!(own.provider.callers("DELETE", &format!("{KEYS}/{}", own.old)), [Some(new)], "deleted with the new one");
    assert_eq!(own.provider.count("DELETE", &format!("{KEYS}/*")), 1);
    let fresh = own.stored("key");
    assert!(!said.contains(&fresh) && !said.contains(own.provider.admin_key().reveal()), "a secret was printed");

    ends(&own.keyroll(&["run", "admin.yaml", "--yes"]).await, 0);
    let [newest] = own.live().try_into().expect("exactly one admin key is left");
    assert_eq!(own.stored("key_id"), newest.as_str(), "and so again, with nothing changed in the playbook");
}

#[tokio::test]
async fn a_rollback_deletes_the_new_key_with_the_old_one() {
    let own = Own::new().await;
    own.fleet.behave(1, Behaviour::Stuck);
    ends(&own.keyroll(&["run", "admin.yaml", "--yes"]).await, 1);
    assert_eq!(own.live(), std::slice::from_ref(&own.old));
    assert_eq!(own.stored("key"), own.provider.admin_key().reveal());
    assert_eq!(own.provider.callers("DELETE", &format!("{KEYS}/*")), [Some(own.old.clone())], "the new one, with the old one");
}

#[tokio::test]
async fn a_leaked_admin_key_is_replaced_and_deleted_with_its_successor() {
    let own = Own::new().await;
    let reason = "it stood in a log";
    ends(&own.keyroll(&["emergency", "admin.yaml", "--reason", reason, "--yes"]).await, 0);
    let [new] = own.live().try_into().expect("exactly one admin key is left");
    assert_eq!(own.provider.callers("DELETE", &format!("{KEYS}/{}", own.old)), [Some(new)]);
}

/// Nobody could make another key then.
#[tokio::test]
async fn a_leaked_admin_key_is_not_revoked_before_there_is_another() {
    let own = Own::new().await;
    let emergency = ["emergency", "admin.yaml", "--reason", "a drill", "--yes"];
    let said = ends(&own.keyroll(&[&emergency[..], &["--mode", "revoke-first"]].concat()).await, 2);
    assert!(said.contains("NOTHING WAS CHANGED") && said.contains("--mode replace-fast"), "{said}");
    let book = own.folder.path().join("admin.yaml");
    let text = std::fs::read_to_string(&book).unwrap().replace("mode: replace-fast, revoke_at: 5m", "mode: revoke-first");
    std::fs::write(&book, text).unwrap();
    let said = ends(&own.keyroll(&["validate", "admin.yaml"]).await, 2);
    assert!(said.contains("made with the leaked one"), "{said}");
    assert_eq!(own.provider.count("POST", KEYS) + own.provider.count("DELETE", &format!("{KEYS}/*")), 0);
    assert_eq!(own.live(), std::slice::from_ref(&own.old));
}

#[tokio::test]
async fn what_a_leaked_key_was_used_for_is_told_at_the_end() {
    let (own, leaked) = Own::project().await;
    let url = format!("{}/chat/completions", own.provider.base_url());
    for _ in 0..3 {
        assert!(reqwest::Client::new().post(&url).bearer_auth(leaked.reveal()).send().await.unwrap().status().is_success());
    }
    let emergency = ["emergency", "admin.yaml", "--reason", "it stood in a log", "--since", "2h", "--yes"];
    let said = ends(&own.keyroll(&emergency).await, 0);
    let line = said.lines().find(|line| line.contains("was used since")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.starts_with(own.old.as_str()) && line.contains("3 requests, 3 tokens in, 6 tokens out (completions alone)"), "{line}");
}

#[tokio::test]
async fn usage_that_cannot_be_read_is_a_note() {
    let (own, _) = Own::project().await;
    own.provider.inject("GET", "/v1/organization/usage/completions", 1, Fault::Status { code: 403, retry_after: None });
    let said = ends(&own.keyroll(&["emergency", "admin.yaml", "--reason", "a drill", "--yes"]).await, 0);
    assert!(said.contains("CONTAINED") && said.contains("note: what") && said.contains("could not be read"), "{said}");
    assert!(!said.contains("was used since"), "{said}");
}
