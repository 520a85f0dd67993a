//! What each way of telling must do, against a receiver that takes, refuses, redirects or says nothing.

use std::time::Duration;

use keyroll::{
    notify::Courier,
    playbook::Occasion,
    ports::{Advice, Notice},
};
use sha2::{Digest, Sha256};

use super::{
    book,
    inbox::{GOSSIP, Inbox, Letter, Manner, hook, mail, program, secret},
};

const KINDS: [&str; 4] = ["slack", "webhook", "email", "exec"];
const CANARY: &str = "canary7f3a";

fn notice() -> Notice {
    Notice {
        occasion: Occasion::Held,
        playbook: "payments".into(),
        rotation: Some(keyroll::ids::RotationId::new("01rotation")),
        at: chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        title: "! payments: stopped for a person <here> & über".into(),
        because: Some("10.0.0.7: answered 503".into()),
        keys: Some("old key a: in use · new key b: created".into()),
        next: vec![Advice { command: "keyroll resume 01rotation".into(), what_for: "asks again".into() }],
    }
}

/// A receiver of this kind, the playbook's entry for it, and what has arrived.
struct Bench {
    folder: tempfile::TempDir,
    entry: String,
    inbox: Inbox,
}

impl Bench {
    async fn new(kind: &str, manner: Manner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let (address, mut inbox) = hook(manner).await;
        let entry = match kind {
            "slack" => format!("  - slack: {}\n", secret(at, "hook", &format!("http://{address}/services/{CANARY}"))),
            "webhook" => {
                let url = secret(at, "hook", &format!("http://{address}/{CANARY}"));
                format!("  - webhook: {{ url: {url}, secret: {} }}\n", secret(at, "mac", &format!("mac-{CANARY}")))
            }
            "email" => {
                let (port, letters) = mail(manner).await;
                inbox = letters;
                let password = secret(at, "password", &format!("pass-{CANARY}"));
                format!(
                    "  - email: {{ smtp: \"smtp://127.0.0.1:{port}\", user: u, password: {password}, from: k@example.com, to: [a@example.com, Ben <b@example.com>] }}\n"
                )
            }
            _ => format!("  - exec: {{ command: [\"{}\", word] }}\n", program(at, manner)),
        };
        Self { folder, entry, inbox }
    }

    /// Tells once; why it failed.
    async fn tell(&self) -> Vec<String> {
        let (_, world) = book(&self.entry).unwrap();
        let mut courier = Courier::new(&world.outlets);
        courier.tell(notice());
        courier.settle().await
    }

    async fn arrived(&self, kind: &str) -> Vec<Letter> {
        if kind == "exec" {
            let body = std::fs::read_to_string(self.folder.path().join("told.in")).unwrap_or_default();
            return vec![Letter { path: String::new(), headers: Default::default(), body }];
        }
        // A mail server notes a talk when it is over, which the client does not wait for.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while self.inbox.letters().is_empty() && std::time::Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        self.inbox.letters()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_delivers_what_happened_and_what_to_type() {
    for kind in KINDS {
        let bench = Bench::new(kind, Manner::Takes).await;
        assert_eq!(bench.tell().await, Vec::<String>::new(), "{kind}");
        let letters = bench.arrived(kind).await;
        assert_eq!(letters.len(), 1, "{kind}");
        let body = &letters[0].body;
        for part in ["payments", "10.0.0.7: answered 503", "keyroll resume 01rotation", "asks again"] {
            // Mail is sent in lines of at most 76.
            assert!(body.replace("=\n", "").contains(part), "{kind}: `{part}` in {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_without_a_secret_and_without_the_receivers_words() {
    for kind in KINDS {
        let bench = Bench::new(kind, Manner::Refuses).await;
        let failed = bench.tell().await;
        assert_eq!(failed.len(), 1, "{kind}");
        assert!(!failed[0].contains(GOSSIP) && !failed[0].contains(CANARY), "{kind}: {failed:?}");
        let code = ["404", "404", "550", "exit code 3"][KINDS.iter().position(|known| *known == kind).unwrap()];
        assert!(failed[0].contains(code), "{kind}: {failed:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up_after_ten_seconds() {
    for kind in KINDS {
        let bench = Bench::new(kind, Manner::IsSilent).await;
        let (_, world) = book(&bench.entry).unwrap();
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let mut courier = Courier::new(&world.outlets);
        courier.tell(notice());
        let failed = courier.settle().await;
        assert_eq!(failed.len(), 1, "{kind}");
        assert!(began.elapsed() <= Duration::from_millis(10_100), "{kind}: {:?}", began.elapsed());
        assert!(!failed[0].contains(CANARY), "{kind}: {failed:?}");
        tokio::time::resume();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed() {
    for kind in ["slack", "webhook"] {
        let bench = Bench::new(kind, Manner::Redirects).await;
        assert_eq!(bench.tell().await.len(), 1, "{kind}");
        assert!(bench.inbox.letters().iter().all(|letter| letter.path != "/elsewhere"), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_asked_for_is_told() {
    let (address, inbox) = hook(Manner::Takes).await;
    let (_, world) =
        book(&format!("  - webhook: {{ url: \"http://{address}/a\" }}\n    on: [done]\n  - webhook: {{ url: \"http://{address}/b\" }}\n"))
            .unwrap();
    let mut courier = Courier::new(&world.outlets);
    for occasion in [Occasion::Started, Occasion::Held, Occasion::Done] {
        courier.tell(Notice { occasion, ..notice() });
    }
    assert_eq!(courier.settle().await, Vec::<String>::new());
    let mut told: Vec<String> = inbox.letters().iter().map(|letter| format!("{} {}", letter.path, event(letter))).collect();
    told.sort();
    assert_eq!(told, ["/a done", "/b done", "/b held"], "a beginning is told only where it is asked for");
}

fn event(letter: &Letter) -> String {
    let object: serde_json::Value = serde_json::from_str(&letter.body).unwrap();
    object["event"].as_str().unwrap().to_owned()
}

/// RFC 2104 by hand: the test's own, so that it cannot share a mistake.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    let outer = Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner].concat());
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_hmac_of_this_test_is_the_one_of_the_rfc() {
    // RFC 4231, test case 2.
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hmac(b"Jefe", b"what do ya want for nothing?"), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_signed_as_its_reference_says() {
    let bench = Bench::new("webhook", Manner::Takes).await;
    bench.tell().await;
    let letter = &bench.inbox.letters()[0];
    let timestamp = letter.headers["keyroll-timestamp"].to_str().unwrap();
    let expected = hmac(format!("mac-{CANARY}").as_bytes(), format!("{timestamp}.{}", letter.body).as_bytes());
    assert_eq!(letter.headers["keyroll-signature"], format!("v1={expected}"));
    let age = chrono::Utc::now().timestamp() - timestamp.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_takes_no_markup_from_what_happened() {
    let bench = Bench::new("slack", Manner::Takes).await;
    bench.tell().await;
    let letter = &bench.inbox.letters()[0];
    assert!(letter.path.ends_with(CANARY));
    let object: serde_json::Value = serde_json::from_str(&letter.body).unwrap();
    assert!(object["text"].as_str().unwrap().contains("&lt;here&gt; &amp; über"), "{object}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_goes_to_all_with_the_login() {
    let bench = Bench::new("email", Manner::Takes).await;
    bench.tell().await;
    let said = &bench.arrived("email").await[0].body;
    use base64::Engine;
    let login = base64::engine::general_purpose::STANDARD.encode(format!("\0u\0pass-{CANARY}"));
    for part in [&format!("AUTH PLAIN {login}"), "RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>", "Subject: "] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_without_tls_gets_neither_message_nor_password() {
    let bench = Bench::new("email", Manner::Takes).await;
    // The same server under an address that is not known to be this machine.
    let entry = bench.entry.replace("127.0.0.1", "0.0.0.0");
    let (_, world) = book(&entry).unwrap();
    let mut courier = Courier::new(&world.outlets);
    courier.tell(notice());
    let failed = courier.settle().await;
    assert!(failed[0].contains("STARTTLS"), "{failed:?}");
    let said = &bench.arrived("email").await[0].body;
    assert!(!said.contains("AUTH") && !said.contains("MAIL"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_gets_the_event_and_nothing_of_our_environment() {
    let bench = Bench::new("exec", Manner::Takes).await;
    bench.tell().await;
    let letter = &bench.arrived("exec").await[0];
    assert_eq!(event(letter), "held");
    let env = std::fs::read_to_string(bench.folder.path().join("told.env")).unwrap();
    assert!(env.contains("KEYROLL_EVENT=held") && env.contains("KEYROLL_ROTATION=01rotation"), "{env}");
    assert!(!env.contains("CARGO"), "{env}");
}

#[test]
fn every_mistake_in_an_entry_is_found() {
    let table = [
        ("slack: https://hooks.slack.com/services/T0/B0/canary", "secret must not stand"),
        ("webhook: { url: \"https://a.example/x?token=canary\" }", "behind a reference"),
        ("webhook: { url: nonsense }", "not a URL"),
        ("email: { smtp: \"https://a\", from: a@b.c, to: [a@b.c] }", "not a mail server"),
        ("email: { smtp: \"smtps://u:p@a\", from: a@b.c, to: [a@b.c] }", "no user or password"),
        ("email: { smtp: \"smtps://a\", from: a@b.c, to: [] }", "nobody to write to"),
        ("email: { smtp: \"smtps://a\", from: nobody, to: [a@b.c] }", "not an e-mail address"),
        ("email: { smtp: \"smtps://a\", user: u, from: a@b.c, to: [a@b.c] }", "belong together"),
        ("exec: { command: [] }", "empty"),
        ("exec: { command: [./here] }", "not absolute"),
        ("pigeon: env:X", "no such way to be told"),
        ("slack: env:X\n    on: []", "never tell anything"),
        ("slack: env:X\n    on: [sometimes]", "unknown word"),
        ("slack: env:X\n    repeat: 1s", "less than a minute"),
        ("on: [done]", "no kind"),
    ];
    for (entry, says) in table {
        let faults = book(&format!("  - {entry}\n")).err().unwrap_or_default();
        let text = format!("{faults:?}");
        assert!(text.contains(says), "{entry}: {text}");
        assert!(!text.contains("canary"), "{text}");
        assert!(faults.iter().all(|fault| fault.at.is_some()), "{entry}: {faults:?}");
    }
}
