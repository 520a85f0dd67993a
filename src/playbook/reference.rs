//! Where a secret stands. A playbook never holds one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `env:NAME`, `file:/path`, `vault:mount/path#field` or `aws:secret-id#field`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", extend("pattern" = r"^(env|file|vault|aws):.+"))]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file's content, without the newline at its end.
    File(String),
    /// A field of a Vault KV v2 secret, at `VAULT_ADDR`.
    Vault {
        /// The mount and path: `secret/ops/openai`.
        path: String,
        /// The field.
        field: String,
    },
    /// An AWS secret, or a field of its JSON.
    Aws {
        /// The name or ARN.
        id: String,
        /// The JSON field; none: the whole text.
        field: Option<String>,
    },
}

/// Said instead of the input, which may be a secret.
pub const NOT_A_REFERENCE: &str = "a secret must not stand in a playbook";

impl std::str::FromStr for SecretRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(NOT_A_REFERENCE)?;
        if rest.is_empty() || rest.chars().any(char::is_control) {
            return Err(NOT_A_REFERENCE);
        }
        match kind {
            "env" => Ok(Self::Env(rest.into())),
            "file" => Ok(Self::File(rest.into())),
            "vault" => match rest.split_once('#') {
                Some((path, field)) if path.contains('/') && !field.is_empty() => {
                    Ok(Self::Vault { path: path.into(), field: field.into() })
                }
                _ => Err("a Vault reference needs mount, path and field: vault:secret/path#field"),
            },
            "aws" => Ok(match rest.split_once('#') {
                Some((id, field)) => Self::Aws { id: id.into(), field: Some(field.into()) },
                None => Self::Aws { id: rest.into(), field: None },
            }),
            _ => Err(NOT_A_REFERENCE),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Vault { path, field } => write!(f, "vault:{path}#{field}"),
            Self::Aws { id, field: Some(field) } => write!(f, "aws:{id}#{field}"),
            Self::Aws { id, field: None } => write!(f, "aws:{id}"),
        }
    }
}

impl SecretRef {
    /// How a shell gets at it, without the value itself.
    pub fn shell(&self) -> String {
        match self {
            Self::Env(name) => format!("${name}"),
            Self::File(path) => format!("$(cat {})", quoted(path)),
            Self::Vault { path, field } => format!("$(vault kv get -field={} {})", quoted(field), quoted(path)),
            Self::Aws { id, field } => {
                let get = format!("aws secretsmanager get-secret-value --secret-id {} --query SecretString --output text", quoted(id));
                match field {
                    Some(field) => format!("$({get} | jq -r {})", quoted(&format!(".{field}"))),
                    None => format!("$({get})"),
                }
            }
        }
    }
}

/// As a POSIX shell takes it, whatever stands in it.
pub fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@+=,%{}".contains(c)) && !text.starts_with('-');
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}
