//! A first playbook, from a few answers. Every line says what it means.

/// What `init` asks. Empty answers become examples that a person must replace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answers {
    /// The playbook's name.
    pub name: String,
    /// `openai`, `aws_iam`, `vault_approle` or `http`.
    pub provider: String,
    /// `vault_kv2`, `aws_secretsmanager` or `file`.
    pub store: String,
    /// The provider's scope: the OpenAI project, the IAM user, the AppRole's name, the address of the keys.
    pub scope: String,
    /// Where in the store: the Vault path, the AWS secret's id, the file's path.
    pub place: String,
    /// The store's field that holds the key.
    pub field: String,
    /// The service that reads the key.
    pub consumer: String,
    /// Its copies, `host:port` each.
    pub instances: Vec<String>,
    /// Where a copy tells which version it uses.
    pub health: String,
    /// How old the key may get: `90d`.
    pub every: String,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            name: "openai-production".into(),
            provider: "openai".into(),
            store: "vault_kv2".into(),
            scope: String::new(),
            place: String::new(),
            field: "api_key".into(),
            consumer: "inference-api".into(),
            instances: vec!["10.0.0.7:8080".into(), "10.0.0.8:8080".into()],
            health: "/healthz".into(),
            every: "90d".into(),
        }
    }
}

/// The providers that [`template`] knows.
pub const PROVIDERS: [&str; 4] = ["openai", "aws_iam", "vault_approle", "http"];
/// The stores that [`template`] knows.
pub const STORES: [&str; 3] = ["vault_kv2", "aws_secretsmanager", "file"];

/// A playbook's text with a comment on every line. An unknown provider or store gets an empty block to fill in.
pub fn template(answers: &Answers) -> String {
    let mut page = Page(String::new());
    page.line(0, "keyroll: 1", "the version of this file's schema");
    page.line(0, &format!("name: {}", quoted(&answers.name)), "a display name");
    page.line(0, &format!("every: {}", quoted(&answers.every)), "how old the key may get");
    page.line(0, "provider:", "who issues and revokes the key");
    provider(&mut page, answers);
    page.line(0, "key_name: \"{name}-{yyyy}-{mm}\"", "the new key's name; the rotation's id is appended");
    page.line(0, "probe: { level: auth, times: 3 }", "how often a new key must work before any store sees it");
    page.line(0, "stores:", "every place the key lives");
    store(&mut page, answers);
    let write = if pair(answers) {
        format!("write: {{ {}: secret, key_id: id }}", quoted(&answers.field))
    } else {
        format!("write: {{ {}: secret }}", quoted(&answers.field))
    };
    page.line(4, &write, "our fields: which takes the key, which its id; others stay untouched");
    page.line(4, "stale_for: 5m", "the longest a reader may still get the old value (caches, agents)");
    page.line(0, "consumers:", "who reads the key, in order; the first is the canary");
    page.line(2, &format!("- name: {}", quoted(&answers.consumer)), "a service");
    let copies: Vec<String> = answers.instances.iter().map(|copy| quoted(copy)).collect();
    let copies = if copies.is_empty() { "\"10.0.0.7:8080\"".to_owned() } else { copies.join(", ") };
    page.line(4, &format!("instances: {{ fixed: [{copies}] }}"), "its running copies; also dns, http_sd, file_sd");
    page.line(4, &format!("expect: {}", answers.instances.len().max(1)), "at least so many must prove that they use the new key");
    page.line(
        4,
        &format!("health: {{ path: {}, version: {{ json: /key/version }} }}", quoted(&answers.health)),
        "where a copy tells which version it uses",
    );
    page.line(4, "rollout: none", "it reads the new key by itself");
    page.line(4, "max_request: 15m", "the longest request in flight");
    page.line(0, "verify:", "how long to wait for the proof");
    page.line(2, "within: 10m", "all copies must prove it within this time");
    page.line(2, "stable_for: 30s", "and keep proving it for this time");
    page.line(2, "every: 2s", "time between two passes");
    page.line(2, "on_timeout: rollback", "or `hold`: stop for a person");
    page.line(0, "revoke:", "how the old key goes");
    page.line(2, "grace: 1h", "time before the old key is touched");
    if answers.provider == "aws_iam" {
        page.line(2, "disable_for: 24h", "disabled first, so that it can be enabled again; then deleted");
        page.line(2, "watch: 10m", "how long the services are watched after the disable");
    }
    page.0
}

/// Whether the key has an id that services need beside it.
fn pair(answers: &Answers) -> bool {
    answers.provider == "aws_iam" && !(answers.store == "file" && answers.field == "value")
}

fn or(text: &str, example: &str) -> String {
    quoted(if text.trim().is_empty() { example } else { text })
}

fn provider(page: &mut Page, answers: &Answers) {
    let scope = |example: &str| or(&answers.scope, example);
    match answers.provider.as_str() {
        "openai" => {
            page.line(2, "openai:", "service accounts of an OpenAI project");
            page.line(4, &format!("project: {}", scope("proj_abc123")), "the project's id");
            page.line(4, "admin_key: env:OPENAI_ADMIN_KEY", "where the admin key stands; never the key itself");
        }
        "aws_iam" => {
            page.line(2, "aws_iam:", "access keys of an IAM user");
            page.line(4, &format!("user: {}", scope("inference-api")), "the user's name");
        }
        "vault_approle" => {
            page.line(2, "vault_approle:", "secret ids of a Vault AppRole");
            page.line(4, "address: https://vault.internal:8200", "Vault's address");
            page.line(4, "auth: { token: env:VAULT_TOKEN }", "how to log in");
            page.line(4, &format!("role: {}", scope("inference-api")), "the role's name");
        }
        "http" => http(page, &scope("https://relay.internal/v1")),
        other => page.line(2, &format!("{}: {{}}", quoted(other)), "fill in its settings"),
    }
}

fn http(page: &mut Page, address: &str) {
    page.line(2, "http:", "keys of any service with a JSON interface");
    page.line(4, &format!("base_url: {address}"), "what every path below is appended to");
    page.line(4, "headers: { Authorization: { bearer: env:RELAY_ADMIN_KEY } }", "where the admin key stands; never the key itself");
    page.line(
        4,
        "create: { path: /keys, body: { name: \"{name}\" }, id: /id, secret: /key }",
        "makes a key; where its id and value stand in the answer",
    );
    page.line(4, "list: { path: /keys, items: /data, id: /id, name: /name }", "lists all keys");
    page.line(4, "delete: { path: \"/keys/{id}\" }", "deletes one by its id");
    page.line(4, "probe: { path: /models }", "a cheap call with the key itself");
}

fn store(page: &mut Page, answers: &Answers) {
    let place = |example: &str| or(&answers.place, example);
    match answers.store.as_str() {
        "vault_kv2" => {
            page.line(2, "- vault_kv2:", "a secret in Vault, KV version 2");
            page.line(6, "address: https://vault.internal:8200", "Vault's address");
            page.line(6, "auth: { token: env:VAULT_TOKEN }", "how to log in; also approle, kubernetes, jwt");
            page.line(6, "mount: secret", "where the engine is mounted");
            page.line(6, &format!("path: {}", place("ai/openai/production")), "the secret's path in the mount");
        }
        "aws_secretsmanager" => {
            page.line(2, "- aws_secretsmanager:", "a secret in AWS Secrets Manager");
            page.line(6, &format!("secret_id: {}", place("ai/openai/production")), "its name or ARN");
            page.line(6, "region: eu-central-1", "its region");
        }
        "file" => {
            page.line(2, "- file:", "a file on this machine");
            page.line(6, &format!("path: {}", place("/etc/app/secrets/.env")), "its absolute path");
            page.line(6, "format: dotenv", "dotenv, json or raw");
        }
        other => page.line(2, &format!("- {}: {{}}", quoted(other)), "fill in its settings"),
    }
}

/// As it is where YAML reads it as the same text; in quotes where not.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off", "nan", "inf"].contains(&text.to_ascii_lowercase().as_str());
    let span = text.parse::<super::Span>().is_ok() && text != "0";
    if plain || span { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

struct Page(String);

impl Page {
    /// One line, its comment at column 60 or right behind it.
    fn line(&mut self, indent: usize, text: &str, comment: &str) {
        let text = format!("{:indent$}{text}", "");
        self.0 += &format!("{text:<59} # {comment}\n");
    }
}
