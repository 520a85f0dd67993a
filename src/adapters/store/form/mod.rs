//! How a text holds fields: dotenv, JSON or the whole text as one. Only the fields meant are changed; every other byte stays.

mod dotenv;
mod json;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::secret::Secret;

/// The only field of a plain text.
pub const VALUE: &str = "value";

/// How a text holds fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `NAME=value` lines. Comments, order and quoting of other lines stay.
    Dotenv,
    /// One JSON object. Text members are fields; other members and the layout stay.
    Json,
    /// The whole text is the only field, `value`; a newline at its end stays as found.
    Raw,
}

impl Form {
    /// The text fields.
    ///
    /// # Errors
    /// What is wrong with the text, in words that hold no part of it.
    pub fn fields(self, text: &str) -> Result<BTreeMap<String, Secret>, String> {
        match self {
            Self::Dotenv => dotenv::fields(text),
            Self::Json => json::fields(text),
            Self::Raw => {
                let value = text.strip_suffix(ending(text)).unwrap_or(text);
                Ok(if value.is_empty() { BTreeMap::new() } else { BTreeMap::from([(VALUE.to_owned(), Secret::new(value))]) })
            }
        }
    }

    /// The text with these fields set; an empty text where nothing was stored.
    ///
    /// # Errors
    /// What cannot be written, in words that hold no part of the text or the values.
    pub fn with(self, text: &str, fields: &BTreeMap<String, Secret>) -> Result<Secret, String> {
        match self {
            Self::Dotenv => dotenv::with(text, fields),
            Self::Json => json::with(text, fields),
            Self::Raw => raw(text, fields),
        }
    }
}

fn raw(text: &str, fields: &BTreeMap<String, Secret>) -> Result<Secret, String> {
    let Some(value) = fields.get(VALUE).filter(|_| fields.len() == 1) else {
        return Err(format!("a plain text has the one field `{VALUE}`; the playbook writes others"));
    };
    if value.reveal().ends_with('\n') {
        return Err("the value ends with a newline, which cannot be told from the text's own".into());
    }
    Ok(Secret::new(format!("{}{}", value.reveal(), ending(text))))
}

/// The newline at the end, as found.
fn ending(text: &str) -> &'static str {
    match () {
        () if text.ends_with("\r\n") => "\r\n",
        () if text.ends_with('\n') => "\n",
        () => "",
    }
}
