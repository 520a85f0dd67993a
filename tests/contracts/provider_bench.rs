//! The benches of `openai`, `openai_admin` and `http`: the adapter, built from a playbook's text, beside the stand-in.

use std::sync::Arc;

use async_trait::async_trait;
use keyroll::{
    adapters::{Ctx, registry::Registry, wire::Wire},
    ids::KeyId,
    playbook::{Block, Fault, SecretRef, Seg, Source},
    ports::{Failure, Got, Provider, Secrets},
    protocol::Refusal,
    sandbox::provider::{Fault as Mishap, PROJECT, SandboxProvider},
    secret::Secret,
};

use crate::provider::ProviderBench;

/// Knows one secret, at `env:ADMIN` and at [`OWN`].
struct OneSecret(Secret);

#[async_trait]
impl Secrets for OneSecret {
    async fn read(&self, reference: &SecretRef) -> Got<Secret> {
        match reference {
            SecretRef::Env(name) if name == "ADMIN" => Ok(self.0.duplicate()),
            own if own.to_string() == OWN => Ok(self.0.duplicate()),
            other => Err(Failure::refused(Refusal::Gone, None, format!("{other} is not set"))),
        }
    }
}

/// Where an admin key stands that is itself rotated.
pub const OWN: &str = "vault:secret/ops/openai-admin#admin_key";

/// Builds a provider as `validate` and `run` do.
pub fn build(kind: &str, block: &str, admin: &Secret) -> Result<Arc<dyn Provider>, Fault> {
    build_with(kind, block, Arc::new(OneSecret(admin.duplicate())))
}

/// The same with secrets that are the test's own.
pub fn build_with(kind: &str, block: &str, secrets: Arc<dyn Secrets>) -> Result<Arc<dyn Provider>, Fault> {
    let indented: String = block.lines().map(|line| format!("    {line}\n")).collect();
    let source = Source { name: "test.yaml".into(), text: format!("provider:\n  {kind}:\n{indented}") };
    let path = vec![Seg::Key("provider".into()), Seg::Key(kind.into())];
    let block = Block { kind: kind.into(), path, source: Arc::new(source) };
    let ctx = Ctx { secrets, wire: Wire::new().expect("TLS") };
    let kinds = Registry::builtin().providers;
    let vendor = kinds.iter().find(|known| known.kind.name == kind).expect("a known provider");
    (vendor.kind.build)(&block, &ctx)
}

/// An adapter and its stand-in.
pub struct Bench {
    pub server: SandboxProvider,
    pub provider: Arc<dyn Provider>,
    pub seeded: Vec<KeyId>,
    /// The paths that create, and delete one key.
    pub create: &'static str,
    pub delete: &'static str,
    /// The path that a key is tried on.
    pub probe: &'static str,
    pub at_once: bool,
}

/// The relay, with everything that it offers.
pub const RELAY: &str = r#"
headers:
  Authorization: { bearer: env:ADMIN }
  X-Tenant: { text: acme }
create: { path: /keys, body: { name: "{name}", labels: ["{token}"] }, id: /id, secret: /key }
list:
  path: /keys
  items: /keys
  id: /id
  name: /name
  created_at: /created_at
  last_used: /last_used
  enabled: { at: /disabled, is: false }
  redacted: /redacted
  next: { page: { query: page } }
delete: { path: "/keys/{id}" }
disable: { method: PATCH, path: "/keys/{id}", body: { disabled: true } }
enable: { method: PATCH, path: "/keys/{id}", body: { disabled: false } }
"#;

impl Bench {
    pub async fn openai() -> Self {
        let server = SandboxProvider::start().await.expect("a port");
        let at = server.base_url();
        Self::openai_at(server, &at)
    }

    /// Called at this address.
    pub fn openai_at(server: SandboxProvider, at: &str) -> Self {
        let block = format!("project: {PROJECT}\nadmin_key: env:ADMIN\nbase_url: {at}/\n");
        let provider = build("openai", &block, server.admin_key()).unwrap_or_else(|fault| panic!("{}", fault.what));
        let create = "/v1/organization/projects/*/service_accounts";
        Self::seeded(server, provider, create, "/v1/organization/projects/*/service_accounts/*")
    }

    /// Five admin keys on pages of two; the first is the one that is called with.
    pub async fn openai_admin() -> Self {
        let server = SandboxProvider::start().await.expect("a port");
        let at = server.base_url();
        Self::openai_admin_at(server, &at)
    }

    /// Called at this address.
    pub fn openai_admin_at(server: SandboxProvider, at: &str) -> Self {
        let block = format!("admin_key: {OWN}\nbase_url: {at}/\n");
        let provider = build("openai_admin", &block, server.admin_key()).unwrap_or_else(|fault| panic!("{}", fault.what));
        server.page_size(2);
        (2..=5).for_each(|number| drop(server.seed_admin_key(&format!("by hand {number}"), None)));
        let seeded = server.admin_keys().into_iter().map(|key| key.id).collect();
        let (create, delete) = ("/v1/organization/admin_api_keys", "/v1/organization/admin_api_keys/*");
        Self { server, provider, seeded, create, delete, probe: create, at_once: true }
    }

    pub async fn relay() -> Self {
        Self::relay_with(str::to_owned).await
    }

    /// The relay with a changed block.
    pub async fn relay_with(change: impl Fn(&str) -> String) -> Self {
        let server = SandboxProvider::start().await.expect("a port");
        let probe = format!(
            "probe: {{ url: \"{base}/models\" }}\nprompt: {{ format: openai, url: \"{base}/chat/completions\" }}",
            base = server.base_url()
        );
        let block = format!("base_url: {}\n{}{probe}\n", server.relay_url(), change(RELAY));
        let provider = build("http", &block, server.admin_key()).unwrap_or_else(|fault| panic!("{}", fault.what));
        Self::seeded(server, provider, "/relay/keys", "/relay/keys/*")
    }

    /// Five keys on pages of two.
    fn seeded(server: SandboxProvider, provider: Arc<dyn Provider>, create: &'static str, delete: &'static str) -> Self {
        server.page_size(2);
        let seeded = (1..=5).map(|number| server.seed_key(&format!("by hand {number}")).0).collect();
        Self { server, provider, seeded, create, delete, probe: "/v1/models", at_once: true }
    }

    /// A key made by a person, of the kind that is rotated here.
    pub fn seed(&self, name: &str) -> (KeyId, Secret) {
        if self.probe == self.create { self.server.seed_admin_key(name, None) } else { self.server.seed_key(name) }
    }

    /// How many keys of this name there ever were.
    pub fn named(&self, name: &str) -> usize {
        self.server.keys().iter().chain(&self.server.admin_keys()).filter(|key| key.name == name).count()
    }

    /// Makes the next create go wrong.
    pub fn spoil_create(&self, fault: Mishap) {
        self.server.inject("POST", self.create, 1, fault);
    }
}

#[async_trait]
impl ProviderBench for Bench {
    fn provider(&self) -> Arc<dyn Provider> {
        self.provider.clone()
    }
    fn seeded(&self) -> Vec<KeyId> {
        self.seeded.clone()
    }
    async fn creates(&self) -> Option<usize> {
        Some(self.server.count("POST", self.create))
    }
    async fn lose_next_create(&self) -> bool {
        self.spoil_create(Mishap::DropAfter);
        true
    }
    async fn lose_next_delete(&self) -> bool {
        self.server.inject("DELETE", self.delete, 1, Mishap::DropAfter);
        true
    }
    fn dead_at_once(&self) -> bool {
        self.at_once
    }
    fn own_secrets(&self) -> Vec<Secret> {
        vec![self.server.admin_key().duplicate()]
    }
}
