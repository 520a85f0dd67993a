//! Secret bytes are nowhere: not in output, diagnostics, the journal, reports, nor another process's view, in no encoding.

mod echo;
mod life;
mod process;

use std::{collections::BTreeSet, path::Path};

use base64::{
    Engine,
    alphabet::{self, Alphabet},
    engine::general_purpose::{GeneralPurpose, NO_PAD},
};

/// A secret, and the forms in which it could leave.
pub struct Canary {
    name: String,
    forms: BTreeSet<Vec<u8>>,
}

impl Canary {
    pub fn new(name: &str, secret: &str) -> Self {
        assert!(secret.len() >= 12, "{name} would be found by chance");
        Self { name: name.into(), forms: forms(secret) }
    }

    /// How often it stands there, in any form.
    pub fn found(&self, bytes: &[u8]) -> usize {
        self.forms.iter().map(|form| memchr(bytes, form)).sum()
    }
}

/// Occurrences of one text in another.
pub fn memchr(bytes: &[u8], form: &[u8]) -> usize {
    let Some(first) = form.first() else { return 0 };
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| byte == first) {
        at += next;
        found += usize::from(bytes[at..].starts_with(form));
        at += 1;
    }
    found
}

/// As it is, and in hexadecimal, base64 (both alphabets), in a URL, in a form, in JSON, and in HTML.
fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = |lower: bool| -> String {
        let escape = |byte: u8| if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
        secret
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { char::from(byte).into() } else { escape(byte) })
            .collect()
    };
    let json = serde_json::to_string(secret).unwrap();
    let ascii: String = json.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }).collect();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut forms = BTreeSet::from([secret.to_owned(), hex.to_uppercase(), hex, percent(true), percent(false), html]);
    forms.insert(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    // Once more for JSON inside of JSON.
    let inner = |text: &str| text[1..text.len() - 1].to_owned();
    let twice = inner(&serde_json::to_string(&inner(&json)).unwrap());
    forms.extend([inner(&json), inner(&ascii), twice]);
    forms.insert(inner(&format!("{secret:?}")));
    for alphabet in [alphabet::STANDARD, alphabet::URL_SAFE] {
        forms.extend(base64(secret, &alphabet));
    }
    forms.into_iter().map(String::into_bytes).collect()
}

/// base64 of a text depends on where it begins in what is encoded: all three alignments, without the letters at their edges that
/// depend on what stands beside it.
fn base64(secret: &str, alphabet: &Alphabet) -> [String; 3] {
    [0, 1, 2].map(|pad| {
        let shifted = [&vec![b'x'; pad][..], secret.as_bytes()].concat();
        let whole = shifted.len() / 3 * 3;
        let skip = if pad == 0 { 0 } else { 4 };
        GeneralPurpose::new(alphabet, NO_PAD).encode(&shifted[..whole])[skip..].to_owned()
    })
}

/// What is looked through, and how much it was.
pub struct Search {
    pub canaries: Vec<Canary>,
    places: usize,
    bytes: usize,
}

impl Search {
    pub fn new(secrets: &[(&str, &str)]) -> Self {
        let canaries = secrets.iter().map(|(name, secret)| Canary::new(name, secret)).collect();
        Self { canaries, places: 0, bytes: 0 }
    }

    pub fn also(&mut self, name: &str, secret: &str) {
        self.canaries.push(Canary::new(name, secret));
    }

    #[track_caller]
    pub fn text(&mut self, place: &str, bytes: &[u8]) {
        self.places += 1;
        self.bytes += bytes.len();
        for canary in &self.canaries {
            assert_eq!(canary.found(bytes), 0, "{} is in {place}", canary.name);
        }
    }

    /// Every file below this folder.
    pub fn folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.folder(&path);
            } else {
                // A lock that is given back meanwhile holds nothing any more.
                let Ok(bytes) = std::fs::read(&path) else { continue };
                self.text(&path.display().to_string(), &bytes);
            }
        }
    }

    /// What was looked through, for people.
    pub fn told(&self) -> String {
        let forms: usize = self.canaries.iter().map(|canary| canary.forms.len()).sum();
        format!("{} secrets in {forms} forms: none in {} texts and files of {} KiB", self.canaries.len(), self.places, self.bytes >> 10)
    }
}

/// The search finds what it is to find.
#[test]
fn every_form_is_recognised() {
    let secret = "sk-canary \"ü\"/+&<%>\\";
    let canary = Canary::new("it", secret);
    let json = serde_json::json!({ "a": { "deep": [secret] } }).to_string();
    for text in [secret.to_owned(), format!("{secret:?}"), json.clone(), serde_json::json!(json).to_string()] {
        assert!(canary.found(text.as_bytes()) > 0, "{text}");
    }
    for before in ["", "u", "us", "user", "user:"] {
        for alphabet in [alphabet::STANDARD, alphabet::URL_SAFE] {
            let text = GeneralPurpose::new(&alphabet, NO_PAD).encode(format!("{before}{secret}:after"));
            assert!(canary.found(text.as_bytes()) > 0, "{before}");
        }
    }
    let mut url = url::Url::parse("https://host/").unwrap();
    url.query_pairs_mut().append_pair("key", secret);
    assert!(canary.found(url.as_str().as_bytes()) > 0, "{url}");
    let mut user = url::Url::parse("https://host/").unwrap();
    user.set_password(Some("p%2Fssword-plain")).unwrap();
    assert_eq!(canary.found(user.as_str().as_bytes()), 0);
    assert_eq!(canary.found(b"sk-canary"), 0);
}
