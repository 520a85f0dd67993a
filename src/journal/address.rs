//! A PostgreSQL URL: what of it may be shown, and what of it is ours.

use std::time::Duration;

use url::Url;

use crate::{ports::JournalError, secret::Secret};

/// How long a lease lasts without `keyroll_lease`.
const LEASE: Duration = Duration::from_secs(30);

/// Our own parameter; the server never sees it.
const OURS: &str = "keyroll_lease";

/// What sqlx reads of a URL's parameters. It skips others, and a `sslmod=verify-full` that is skipped is not secure.
const KNOWN: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// A server's address, read.
pub(super) struct Address {
    /// For sqlx, with whatever password it holds.
    pub url: Secret,
    /// For people: no password, no parameters but the host.
    pub shown: String,
    /// How long a lease lasts unless it is renewed.
    pub lease: Duration,
    /// The passwords that may be sent, to be kept out of what the server says.
    pub passwords: Vec<Secret>,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`JournalError::Down`] with what is wrong; nothing of the URL's values stands in it.
    pub fn read(text: &Secret) -> Result<Self, JournalError> {
        let wrong = |what: String| JournalError::Down(format!("its URL {what}; it looks like postgres://USER@HOST:5432/DATABASE"));
        let mut url = Url::parse(text.reveal()).map_err(|error| wrong(format!("cannot be read ({error})")))?;
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut lease = LEASE;
        for (name, value) in &pairs {
            if name == OURS {
                let seconds = value.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
                lease =
                    seconds.map(Duration::from_secs_f64).ok_or_else(|| wrong(format!("has a `{OURS}` that is not 0.1 to 3600 seconds")))?;
            } else if !KNOWN.contains(&name.as_str()) && !name.starts_with("options[") {
                return Err(wrong(format!("has a parameter `{}` that keyroll does not know: leave it out", name.escape_debug())));
            }
        }
        let (shown, passwords) = (shown(&url, &pairs), passwords(&url, &pairs));
        let ours: Vec<_> = pairs.iter().filter(|(name, _)| name != OURS).collect();
        url.query_pairs_mut().clear().extend_pairs(ours);
        if !pairs.iter().any(|(name, _)| name == "application_name") {
            url.query_pairs_mut().append_pair("application_name", "keyroll");
        }
        Ok(Self { url: Secret::new(url), shown, lease, passwords })
    }
}

fn passwords(url: &Url, pairs: &[(String, String)]) -> Vec<Secret> {
    let decoded = |text: &str| {
        url::form_urlencoded::parse(format!("p={}", text.replace('+', "%2B")).as_bytes()).next().map(|(_, text)| text.into_owned())
    };
    let by_query = pairs.iter().filter(|(name, _)| name == "password").map(|(_, text)| text.clone());
    let by_variable = std::env::var("PGPASSWORD").ok();
    let all = url.password().and_then(decoded).into_iter().chain(by_query).chain(by_variable);
    all.filter(|text| !text.is_empty()).map(Secret::new).collect()
}

/// The URL for people.
fn shown(url: &Url, pairs: &[(String, String)]) -> String {
    let mut plain = url.clone();
    // Neither fails: a URL that was read with them can be written without.
    let _ = plain.set_password(None);
    plain.set_query(None);
    plain.set_fragment(None);
    match pairs.iter().find(|(name, _)| name == "host") {
        Some((_, host)) => format!("{plain}?host={}", host.escape_debug()),
        None => plain.to_string(),
    }
}
