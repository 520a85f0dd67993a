//! Whose a leaked value is. No output may hold it.

use super::{ends, said, stage::Stage};

const FIXTURE: &str = "7c0ffee0-fake-4bad-8aaa-keyrollfixture01";
const OTHERS: [&str; 3] = ["7c0ffee0-fake-4bad-8aaa-keyrollfixture00", "fixture-of-somebody-else-3d9a7b51c2", "fixture-login"];

fn report(name: &str) -> String {
    format!("{}/tests/leak/reports/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The stage with the value that the fixtures tell as its key in use.
async fn leaked() -> Stage {
    let stage = Stage::new().await;
    let accessor = stage.make_key(FIXTURE, None).await;
    stage.put(&serde_json::json!({ "secret_id": FIXTURE, "accessor": accessor }));
    stage
}

/// What differs from run to run, made the same.
fn filters(stage: &Stage) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    let folder = stage.journal().parent().unwrap().display().to_string();
    settings.add_filter(&regex::escape(&folder), "[FOLDER]");
    settings.add_filter(&regex::escape(env!("CARGO_MANIFEST_DIR")), "[HERE]");
    settings.add_filter(r"http://127\.0\.0\.1:\d+", "[VAULT]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "[INSTANCE]");
    settings.add_filter(r"\b01[0-9a-z]{24}\b", "[ROTATION]");
    settings.add_filter(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b", "[KEY]");
    settings.add_filter(r"\b\d{4}-\d\d-\d\d\b", "[DAY]");
    settings
}

#[track_caller]
fn assert_silent(text: &str) {
    for secret in OTHERS.iter().chain([&FIXTURE]) {
        assert!(!text.contains(secret), "a secret is in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_report_names_the_key_the_place_and_the_next_command() {
    let stage = leaked().await;
    let playbook = stage.playbook();
    for name in
        ["gitleaks.json", "gitleaks-redacted.json", "detect-secrets.json", "trufflehog.jsonl", "github-alerts.json", "github-webhook.json"]
    {
        let hidden = matches!(name, "gitleaks-redacted.json" | "github-webhook.json");
        let args = ["identify", playbook.to_str().unwrap(), "--report", &report(name)];
        let human = ends(&stage.keyroll(&args).await, if hidden { 2 } else { 3 });
        filters(&stage).bind(|| insta::assert_snapshot!(format!("identify_{name}"), human));
        let json = stage.keyroll(&[&args[..], &["--output", "json", "--log", "trace"]].concat()).await;
        let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(
            object["live"],
            if hidden { 0 } else { object["findings"].as_array().unwrap().iter().filter(|one| one["live"] == true).count() }
        );
        assert_silent(&human);
        assert_silent(&said(&json));
        // The same from standard input, told by its fields alone.
        let text = std::fs::read_to_string(report(name)).unwrap();
        let piped = stage.feed(&["identify", playbook.to_str().unwrap(), "--report", "-"], &text).await;
        assert_eq!(said(&piped), human, "{name}");
    }
}

/// The whole life of a value: in use, replaced but still working, dead; by the journal alone, and with the stores.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_told_current_then_previous_then_dead() {
    let stage = Stage::new().await;
    let playbook = stage.playbook();
    let playbook = playbook.to_str().unwrap();
    let old = stage.secrets()[1].clone();
    let ask = async |value: &str, args: &[&str], code: i32| {
        let output = stage.feed(&[&["identify"], args].concat(), &format!("  {value}\n")).await;
        let text = ends(&output, code);
        assert!(!text.contains(value), "{text}");
        text
    };
    let nothing = ask(&old, &[], 2).await;
    assert!(nothing.contains("nothing to compare with"), "{nothing}");
    let current = ask(&old, &[playbook], 3).await;
    assert!(current.contains("the key in use") && current.contains("--leaked current"), "{current}");

    stage.edit("grace: 0s", "grace: 2h");
    ends(&stage.keyroll(&["run", playbook]).await, 6);
    let new = stage.secrets()[1].clone();
    for args in [&[][..], &[playbook]] {
        let previous = ask(&old, args, 3).await;
        assert!(previous.contains("replaced key, not yet revoked"), "{previous}");
        let fresh = ask(&new, args, 3).await;
        assert!(fresh.contains("new key of the open rotation") && fresh.contains("--leaked new"), "{fresh}");
    }

    ends(&stage.keyroll(&["rollback", "--reason", "not today"]).await, 1);
    stage.edit("grace: 2h", "grace: 0s");
    ends(&stage.keyroll(&["run", playbook]).await, 0);
    for args in [&[][..], &[playbook]] {
        for dead in [&old, &new] {
            let text = ask(dead, args, 0).await;
            assert!(text.contains("a revoked key"), "{text}");
        }
        let unknown = ask("a-value-of-somebody-else-entirely", args, 0).await;
        assert!(unknown.contains("no key that is known here"), "{unknown}");
    }
}

/// A path may hold the very secret, and an address a login.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_holds_the_secret_does_not_tell_it() {
    let stage = leaked().await;
    let text = format!(
        r#"[{{"RuleID":"{FIXTURE}","StartLine":1,"File":"logs/{FIXTURE}.txt\u001b[31m","Secret":"{FIXTURE}","Match":"x={FIXTURE}","Commit":"{FIXTURE}"}},
            {{"RuleID":"r","StartLine":2,"File":"https://reader:fixture-login@host.invalid/a","Secret":"not-of-ours-at-all","Commit":""}}]"#
    );
    for output in ["human", "json"] {
        let args = ["identify", stage.playbook().to_str().unwrap(), "--report", "-", "--output", output].map(str::to_owned);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let told = ends(&stage.feed(&args, &text).await, 3);
        assert_silent(&told);
        assert!(told.contains("logs/•••.txt") && !told.contains('\u{1b}'), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_read_is_not_taken_for_an_answer() {
    let stage = leaked().await;
    let address = stage.address();
    stage.edit(&address, "http://127.0.0.1:1");
    let told = ends(&stage.feed(&["identify", stage.playbook().to_str().unwrap()], FIXTURE).await, 5);
    assert!(told.contains("not compared with everything"), "{told}");
    assert_silent(&told);
    // Another playbook of the folder that is broken keeps nothing from being found.
    stage.edit("http://127.0.0.1:1", &address);
    let folder = stage.playbook().parent().unwrap().to_owned();
    std::fs::write(folder.join("bad.yaml"), "keyroll: 1\n").unwrap();
    let found = ends(&stage.feed(&["identify", folder.to_str().unwrap()], FIXTURE).await, 3);
    assert!(found.contains("the key in use") && found.contains("bad.yaml is no valid playbook"), "{found}");
    let empty = ends(&stage.feed(&["identify", stage.playbook().to_str().unwrap()], "\n").await, 2);
    assert!(empty.contains("no value was given"), "{empty}");
}
