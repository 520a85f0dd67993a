//! What a key's name should tell whoever finds it at the provider: the application, the environment, the month.

use crate::playbook::Playbook;

const ENVIRONMENTS: [&str; 16] = [
    "prod",
    "production",
    "live",
    "staging",
    "stage",
    "stg",
    "preprod",
    "uat",
    "qa",
    "test",
    "testing",
    "dev",
    "development",
    "preview",
    "sandbox",
    "demo",
];
/// Words that name no application.
const EMPTY: [&str; 6] = ["key", "api", "token", "secret", "keyroll", "new"];

/// What the names of this playbook's keys do not carry.
pub fn lacks(book: &Playbook) -> Vec<&'static str> {
    let name = book.key_name.replace("{name}", &book.name).to_lowercase();
    let parts: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let labels = ["env", "environment"].iter().filter_map(|label| book.labels.get(*label)).flatten();
    let labels: Vec<String> = labels.map(|label| label.to_lowercase()).collect();
    // `prod` says `production`.
    let labelled = |part: &str| labels.iter().any(|label| label == part || (part.len() >= 3 && label.starts_with(part)));
    let environment = |part: &&str| ENVIRONMENTS.contains(part) || labelled(part);
    let application = |part: &&str| {
        part.len() > 1 && part.chars().any(char::is_alphabetic) && !EMPTY.contains(part) && !["yyyy", "mm", "dd"].contains(part)
    };
    let mut lacks = Vec::new();
    if !parts.iter().any(|part| application(part) && !environment(part)) {
        lacks.push("application");
    }
    if !parts.iter().any(|part| if labels.is_empty() { environment(part) } else { labelled(part) }) {
        lacks.push("environment");
    }
    if !(book.key_name.contains("{yyyy}") && book.key_name.contains("{mm}")) {
        lacks.push("month");
    }
    lacks
}
