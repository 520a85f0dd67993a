//! Whole rotations by the built binary: the vendor's stand-in, a Vault-compatible store, and a fleet that reads it.

use std::{
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use keyroll::{
    ports::Ambiguity,
    sandbox::{
        server::{Fault, Server},
        service::{Behaviour, Fleet, ServiceConfig},
        vault::SandboxVault,
    },
    secret::Secret,
};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::site::{ADMIN, Vendor, World, build, stand_in};

const PATH: &str = "ai/vendor";

pub struct Road {
    pub vendor: Vendor,
    pub server: Server<World>,
    pub vault: SandboxVault,
    pub fleet: Fleet,
    pub folder: tempfile::TempDir,
    /// The id of the key that is in use at the beginning.
    pub old: String,
}

impl Road {
    pub async fn new(vendor: Vendor) -> Self {
        let server = stand_in(&vendor, 1).await;
        let (old, value) = {
            let world = server.world();
            (world.keys.all[0].id.clone(), world.keys.all[0].value.clone())
        };
        let vault = SandboxVault::start().await.expect("a port");
        vault.put(PATH, json!({ "key": value, "key_id": old }).as_object().expect("an object"));
        let config = ServiceConfig {
            vault: vault.address(),
            token: Arc::new(Secret::new(vault.token())),
            path: PATH.into(),
            field: "key".into(),
            name: "vendor".into(),
            provider: server.url(),
            every: Duration::from_millis(20),
            behaviours: Vec::new(),
        };
        let fleet = Fleet::start(2, config).await.expect("two services");
        let instances: Vec<String> = fleet.present().borrow().iter().map(|address| format!("\"{address}\"")).collect();
        let block: String = (vendor.block)(&server.url(), "env:ADMIN").lines().map(|line| format!("    {line}\n")).collect();
        let playbook = format!(
            "keyroll: 1
name: {name}
key_name: '{{name}}'
provider:
  {name}:
{block}stores:
  - vault_kv2: {{ address: \"{address}\", auth: {{ token: env:VAULT_TOKEN }}, mount: secret, path: {PATH} }}
    write: {{ key: secret, key_id: id }}
    stale_for: 0s
probe: {{ times: 2 }}
consumers:
  - name: vendor
    instances: {{ fixed: [{instances}] }}
    expect: 2
    health: {{ path: /healthz, version: {{ json: /secrets/vendor/version }} }}
    max_request: 0s
verify: {{ within: 4s, stable_for: 0s, every: 20ms }}
revoke: {{ grace: 0s, dead_within: 3s }}
",
            name = vendor.name,
            address = vault.address(),
            instances = instances.join(", "),
        );
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("book.yaml"), playbook).expect("written");
        Self { vendor, server, vault, fleet, folder, old }
    }

    pub async fn keyroll(&self, args: &[&str]) -> Output {
        self.keyroll_with(args, "").await
    }

    /// With something on standard input.
    pub async fn keyroll_with(&self, args: &[&str], typed: &str) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        command.args(args).current_dir(self.folder.path()).env("KEYROLL_JOURNAL", self.folder.path().join("journal.db"));
        command.env("ADMIN", ADMIN).env("ADMIN_ID", ADMIN).env("VAULT_TOKEN", self.vault.token());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Whoever does not read it has ended already.
        let _ = stdin.write_all(typed.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.expect("it ends")
    }

    #[track_caller]
    pub fn ends(&self, output: &Output, code: i32) -> String {
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{}: {said}", self.vendor.name);
        let world = self.server.world();
        let leaked = world.keys.all.iter().find(|key| said.contains(&key.value));
        assert!(leaked.is_none() && !said.contains(ADMIN), "{}: a secret was printed", self.vendor.name);
        said
    }

    /// The only key that works, which is the one that the store serves.
    pub fn only(&self, said: &str) -> String {
        let stored = self.vault.get(PATH).expect("a secret").1["key"].as_str().expect("text").to_owned();
        let world = self.server.world();
        let living = world.keys.in_hands();
        let ids: Vec<&str> = living.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(living.len(), 1, "{}: {ids:?}\n{said}", self.vendor.name);
        assert_eq!(living[0].value, stored, "{}: the store serves the key that works\n{said}", self.vendor.name);
        living[0].id.clone()
    }
}

/// How long the old key must have been idle can be asked for where its use is told, be it by what it has cost; elsewhere that is refused at once.
pub async fn asks_for_idleness(vendor: Vendor) {
    let road = Road::new(vendor).await;
    let provider = build(&vendor, &road.server.url());
    let path = road.folder.path().join("book.yaml");
    let text = std::fs::read_to_string(&path).expect("a playbook");
    std::fs::write(&path, text.replace("grace: 0s", "grace: 0s, idle_for: 48h")).expect("written");
    let told = provider.usage().is_some() || provider.counter().is_some();
    let said = road.ends(&road.keyroll(&["validate", "book.yaml"]).await, if told { 0 } else { 2 });
    assert_eq!(said.contains("does not tell when a key was last used"), !told, "{said}");
}

/// Another key with the old one's attributes, proved by every instance; the old one dies late, and that is waited for.
pub async fn rotates(vendor: Vendor) {
    let road = Road::new(vendor).await;
    road.server.world().keys.dies_after = Duration::from_millis(700);
    let more = road.server.world().keys.all[0].more.clone();
    road.ends(&road.keyroll(&["validate", "book.yaml"]).await, 0);
    let said = road.ends(&road.keyroll(&["run", "book.yaml", "--yes"]).await, 0);
    let new = road.only(&said);
    assert_ne!(new, road.old, "{said}");
    assert!(said.contains("refused the old key"), "its death was proved: {said}");
    let world = road.server.world();
    let key = world.keys.all.iter().find(|key| key.id == new).expect("the new key");
    assert_eq!(key.more, more, "{}: what the old key was made with", vendor.name);
}

/// An instance that never follows: the old key stays in use, and the new one is gone.
pub async fn rolls_back(vendor: Vendor) {
    let road = Road::new(vendor).await;
    road.fleet.behave(1, Behaviour::Stuck);
    let said = road.ends(&road.keyroll(&["run", "book.yaml", "--yes"]).await, 1);
    assert_eq!(road.only(&said), road.old, "{said}");
    let world = road.server.world();
    // In a slot there is another one where each of them was.
    let all = if world.keys.slots { 4 } else { 2 };
    assert_eq!(world.keys.all.len(), all, "one was made, and is gone again");
}

/// The key leaked, and goes before there is another one; its death is proved, and the services get one that works and that is allowed what the
/// leaked one was.
pub async fn leaks(vendor: Vendor) {
    let road = Road::new(vendor).await;
    let (leaked, mut more) = {
        let world = road.server.world();
        (world.keys.all[0].value.clone(), world.keys.all[0].more.clone())
    };
    let emergency = ["emergency", "book.yaml", "--mode", "revoke-first", "--reason", "in a public repository", "--yes"];
    let said = road.ends(&road.keyroll(&emergency).await, 0);
    let new = road.only(&said);
    assert_ne!(new, road.old, "{said}");
    assert!(said.contains("CONTAINED: the provider refuses"), "{said}");
    for name in left_out(&said) {
        assert!(!more[name].take().is_null(), "{name}: {said}");
    }
    let has = road.server.world().keys.all.iter().find(|key| key.id == new).expect("the new key").more.clone();
    assert_eq!(has, more, "{}: what the leaked key was made with\n{said}", road.vendor.name);
    assert!(!road.server.world().keys.call(&leaked), "{said}");
}

/// What an emergency says that the new key will lack of the leaked one.
pub fn left_out(said: &str) -> Vec<&str> {
    said.lines()
        .find_map(|line| line.split_once("but for what may be secret: "))
        .map_or_else(Vec::new, |(_, names)| names.split(", ").collect())
}

/// The vendor makes a key, and its answer is lost: what it left is found and deleted, and the rotation ends all the same. Where nothing tells that key
/// from others, a person is asked, and nothing is deleted.
pub async fn settles_a_lost_create(vendor: Vendor) {
    let road = Road::new(vendor).await;
    let provider = build(&vendor, &road.server.url());
    let told = provider.traits().ambiguity != Ambiguity::Unnamed || provider.usage().is_some();
    road.server.inject(vendor.create.0, vendor.create.1, 1, Fault::DropAfter);
    let output = tokio::time::timeout(Duration::from_secs(100), road.keyroll(&["run", "book.yaml", "--yes"])).await.expect("it ends");
    let said = road.ends(&output, if told { 0 } else { 3 });
    if told {
        assert_ne!(road.only(&said), road.old, "{said}");
    } else {
        assert!(said.contains("nothing shows that this rotation made it"), "{said}");
        assert_eq!(road.server.world().keys.living().len(), 2, "{said}");
    }
}
