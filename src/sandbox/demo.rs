//! The demo: a provider, a store, services with traffic, and a playbook that names them all. Nothing leaves this machine.

use std::{
    fmt,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    provider::{PROJECT, SandboxProvider},
    service::{Behaviour, Fleet, ServiceConfig},
    traffic::Traffic,
    vault::SandboxVault,
};
use crate::secret::Secret;

/// What goes wrong in the sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nothing.
    None,
    /// One instance never picks the new key up.
    OneStuck,
}

/// How many copies the service has.
const INSTANCES: usize = 5;
/// How many requests a second they get, all together.
const REQUESTS: u32 = 200;
const PATH: &str = "ai/openai";

/// A running sandbox; it ends, and its folder goes, when this is dropped.
pub struct Demo {
    provider: SandboxProvider,
    vault: SandboxVault,
    fleet: Fleet,
    traffic: Traffic,
    folder: Folder,
    playbook: String,
}

impl Demo {
    /// Starts everything, with one key in use.
    ///
    /// # Errors
    /// Where a port or a folder cannot be had.
    pub async fn start(trouble: Trouble) -> std::io::Result<Self> {
        let provider = SandboxProvider::start().await?;
        let vault = SandboxVault::start().await?;
        let (id, value) = provider.seed_key("demo-first");
        let fields = serde_json::json!({ "api_key": value.reveal(), "key_id": id.as_str(), "region": "eu" });
        vault.put(PATH, fields.as_object().unwrap_or(&serde_json::Map::new()));

        let mut behaviours = vec![Behaviour::Normal; INSTANCES];
        if trouble == Trouble::OneStuck {
            behaviours[INSTANCES - 1] = Behaviour::Stuck;
        }
        let config = ServiceConfig {
            vault: vault.address(),
            token: Arc::new(Secret::new(vault.token())),
            path: PATH.into(),
            field: "api_key".into(),
            name: "openai".into(),
            provider: provider.base_url(),
            every: Duration::from_millis(800),
            behaviours,
        };
        let fleet = Fleet::start(INSTANCES, config).await?;
        let traffic = Traffic::start(fleet.present(), REQUESTS)?;
        let folder = Folder::new()?;
        let admin_key = folder.write("admin-key", provider.admin_key().reveal())?;
        let token = folder.write("vault-token", vault.token())?;
        let instances: Vec<String> = fleet.present().borrow().iter().map(|address| format!("\"{address}\"")).collect();
        let playbook = format!(
            "keyroll: 1
name: demo
provider:
  openai: {{ project: {PROJECT}, admin_key: \"file:{admin_key}\", base_url: \"{provider}\" }}
stores:
  - vault_kv2: {{ address: \"{vault}\", auth: {{ token: \"file:{token}\" }}, mount: secret, path: {PATH} }}
    write: {{ api_key: secret, key_id: id }}
    stale_for: 2s
consumers:
  - name: inference-api
    instances: {{ fixed: [{instances}] }}
    expect: {INSTANCES}
    health: {{ path: /healthz, version: {{ json: /secrets/openai/version }} }}
    max_request: 1s
verify: {{ within: 6s, stable_for: 2s, every: 300ms }}
revoke: {{ grace: 2s }}
",
            admin_key = admin_key.display(),
            token = token.display(),
            provider = provider.base_url(),
            vault = vault.address(),
            instances = instances.join(", "),
        );
        folder.write("demo.yaml", &playbook)?;
        Ok(Self { provider, vault, fleet, traffic, folder, playbook })
    }

    /// What is running, in a few lines.
    pub fn introduction(&self) -> String {
        format!(
            "A sandbox on this machine: an OpenAI-like provider ({}), a Vault-like store ({}),\n\
             a service with {INSTANCES} instances that read the key from the store, each at its own time, and {REQUESTS} requests a second.\n",
            self.provider.base_url(),
            self.vault.address()
        )
    }

    /// The playbook's text.
    pub fn playbook(&self) -> &str {
        &self.playbook
    }

    /// The playbook's file, for another process.
    pub fn playbook_path(&self) -> PathBuf {
        self.folder.0.join("demo.yaml")
    }

    /// Where the demo's journal goes.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Ends the traffic and counts.
    pub async fn finish(self) -> Summary {
        let traffic = self.traffic.stop().await;
        let stored = self.vault.get(PATH).and_then(|(_, fields)| fields.get("key_id")?.as_str().map(str::to_owned));
        let live = self.provider.live_keys();
        self.fleet.stop().await;
        Summary {
            sent: traffic.sent,
            failed: traffic.failed,
            first_failure: traffic.first_failure,
            refused: self.provider.keys().iter().map(|key| key.refused).sum(),
            live: live.iter().map(ToString::to_string).collect(),
            stored,
        }
    }
}

/// What the traffic saw, and what is left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Requests sent to the services.
    pub sent: u64,
    /// Requests that failed.
    pub failed: u64,
    first_failure: Option<String>,
    refused: u64,
    live: Vec<String>,
    stored: Option<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "requests sent    {}", self.sent)?;
        writeln!(f, "requests failed  {}", self.failed)?;
        if let Some(failure) = &self.first_failure {
            writeln!(f, "first failure    {failure}")?;
        }
        writeln!(f, "refused calls    {} (keyroll's own, to prove a key dead)", self.refused)?;
        writeln!(f, "keys alive       {}", self.live.join(", "))?;
        write!(f, "the store holds  {}", self.stored.as_deref().unwrap_or("nothing"))
    }
}

/// A private folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("keyroll-demo-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
