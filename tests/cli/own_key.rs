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

    /// Another playbook, of the provider's project, that is called with the admin key at `admin`. Its key is made, and nothing runs.
    async fn beside(&self, name: &str, admin: &str) -> KeyId {
        let (id, value) = self.provider.seed_key(name);
        let fields = json!({ "key": value.reveal() });
        self.vault.put(&format!("apps/{name}"), fields.as_object().unwrap());
        let text = std::fs::read_to_string(self.folder.path().join("admin.yaml")).unwrap();
        let (head, rest) = text.split_once("provider:").unwrap();
        let (_, rest) = rest.split_once("stores:").unwrap();
        let block = format!("openai: {{ project: {PROJECT}, admin_key: \"{admin}\", base_url: \"{}\" }}", self.provider.base_url());
        let head = head.replace("openai-admin", name);
        let rest = rest.replace(PATH, &format!("apps/{name}"));
        std::fs::write(self.folder.path().join(format!("{name}.yaml")), format!("{head}provider:\n  {block}\nstores:{rest}")).unwrap();
        id
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
    let report = ends(&own.keyroll(&["report", "openai-admin"]).await, 0);
    let leak = report.split_once("The leak").unwrap_or_else(|| panic!("{report}")).1.split_once("What and why").unwrap().0;
    for part in ["CONTAINED", "3 requests", "it cost 0.03 USD", "[ ] take it out of where it leaked"] {
        assert!(leak.contains(part), "{part}: {leak}");
    }
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

/// Whoever had an admin key may have made others: what nothing explains is killed or kept, each by its id, and who was called with it is queued.
#[tokio::test]
async fn after_an_admin_keys_leak_what_nothing_explains_is_killed_or_kept() {
    let own = Own::new().await;
    let inside = own.beside("follows", &format!("vault:secret/{PATH}#key")).await;
    let copied = own.beside("copied", "env:OPENAI_ADMIN").await;
    let elsewhere = own.beside("elsewhere", "file:another-admin").await;
    std::fs::write(own.folder.path().join("another-admin"), "sk-admin-of-another-organization").unwrap();
    std::fs::set_permissions(own.folder.path().join("another-admin"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    ends(&own.keyroll(&["emergency", "admin.yaml", "--reason", "it stood in a log", "--yes"]).await, 0);
    let (theirs, _) = own.provider.seed_key("backup-job");
    let (colleague, _) = own.provider.seed_key("evaluation");
    let (thief, _) = own.provider.seed_admin_key("automation", None);

    let sweep = ["emergency", "--admin", "admin.yaml", "follows.yaml", "copied.yaml", "elsewhere.yaml", "--reason", "a log"];
    let said = ends(&own.keyroll(&sweep).await, 2);
    assert!(said.contains("--since"), "{said}");
    // Without a word nothing is done: it says what there is.
    let sweep = [&sweep[..], &["--since", "1h"]].concat();
    let said = ends(&own.keyroll(&sweep).await, 3);
    for id in [&theirs, &colleague, &thief] {
        assert!(said.contains(&format!("? {id}")), "{said}");
    }
    // One that is called with a dead key is looked at through its neighbour.
    for id in [&inside, &copied, &own.live()[0]] {
        assert!(!said.contains(&format!("? {id}")), "{said}");
    }
    assert!(said.contains("STILL HAS THE LEAKED ONE at env:OPENAI_ADMIN"), "{said}");
    assert!(said.contains("nothing was changed") && !said.contains("  elsewhere  "), "that one is called with another key: {said}");
    assert!(said.contains(&format!("? {elsewhere}")), "so nobody here can say whose its key is");
    assert_eq!(own.provider.count("DELETE", "/v1/organization/projects/*"), 0);

    let ids = [theirs.as_str(), colleague.as_str(), thief.as_str()];
    let keep = ["--keep", ids[1], "--keep", elsewhere.as_str()];
    let all = [&sweep[..], &["--yes", "--kill", ids[0], "--kill", ids[2]], &keep].concat();
    let said = ends(&own.keyroll(&all).await, 3);
    assert!(said.contains(&format!("{theirs}: deleted for good")) && said.contains(&format!("{thief}: deleted for good")), "{said}");
    assert!(said.contains(&format!("{colleague}: kept")) && said.contains("queued: follows, copied"), "{said}");
    let left: Vec<KeyId> = own.provider.live_keys();
    assert!(left.contains(&colleague) && left.contains(&inside) && left.contains(&copied) && !left.contains(&theirs), "{left:?}");
    assert!(!own.live().contains(&thief), "an admin key that the thief made");

    // Nobody is asked again, by this or by anything else; and the queue is not filled twice.
    let said = ends(&own.keyroll(&sweep).await, 3);
    assert!(!said.contains("? "), "{said}");
    let said = ends(&own.keyroll(&["reconcile", "follows.yaml"]).await, 3);
    assert!(!said.contains(colleague.as_str()), "{said}");
    let said = ends(&own.keyroll(&["status", "follows.yaml"]).await, 0);
    assert!(said.contains("queued: its admin key leaked"), "{said}");
}

/// A store that cannot be read may serve any of them.
#[tokio::test]
async fn what_a_store_may_serve_is_killed_only_by_its_name() {
    let own = Own::new().await;
    let inside = own.beside("follows", &format!("vault:secret/{PATH}#key")).await;
    let book = own.folder.path().join("follows.yaml");
    let text = std::fs::read_to_string(&book).unwrap().replace("path: apps/follows", "path: apps/nowhere");
    std::fs::write(&book, text.replace(&own.vault.address(), "http://127.0.0.1:9")).unwrap();
    let sweep = ["emergency", "--admin", "admin.yaml", "follows.yaml", "--reason", "a drill", "--since", "1h", "--yes"];
    let said = ends(&own.keyroll(&[&sweep[..], &["--kill", "all"]].concat()).await, 3);
    assert!(said.contains("MAY BE IN USE: what follows serves could not be told"), "{said}");
    assert!(own.provider.live_keys().contains(&inside), "{said}");
    let said = ends(&own.keyroll(&[&sweep[..], &["--kill", inside.as_str()]].concat()).await, 3);
    assert!(said.contains("deleted for good") && !own.provider.live_keys().contains(&inside), "{said}");
}

/// A slip must not delete a key that is in use, or one that nobody was asked about.
#[tokio::test]
async fn only_a_key_in_question_is_killed() {
    let own = Own::new().await;
    let inside = own.beside("follows", &format!("vault:secret/{PATH}#key")).await;
    let sweep = ["emergency", "--admin", "admin.yaml", "follows.yaml", "--reason", "a drill", "--since", "1h", "--yes"];
    let said = ends(&own.keyroll(&[&sweep[..], &["--kill", inside.as_str()]].concat()).await, 2);
    assert!(said.contains("none of the keys in question"), "{said}");
    let said = ends(&own.keyroll(&[&sweep[..], &["--kill", "all"]].concat()).await, 3);
    assert!(said.contains("THE LEAKED ADMIN KEY MAY WORK"), "nobody has replaced it: {said}");
    assert!(own.provider.live_keys().contains(&inside));
    assert_eq!(own.live(), std::slice::from_ref(&own.old), "the admin key in use is explained by its store");
}
