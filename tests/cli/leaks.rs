//! Secret bytes are nowhere: not in output, diagnostics, the journal, nor another process's view, in no encoding.

use std::{collections::BTreeSet, path::Path};

use super::{ends, said, stage::Stage};

/// The forms in which a secret could leave.
fn forms(secret: &str) -> BTreeSet<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url: String = secret
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let mut forms = BTreeSet::from([secret.to_owned(), hex.to_uppercase(), hex, url]);
    // base64 of a text depends on where it begins in what is encoded: all three alignments, without the bytes at their edges.
    for pad in 0..3 {
        let shifted = [&vec![b'x'; pad][..], secret.as_bytes()].concat();
        let whole = shifted.len() / 3 * 3;
        let skip = if pad == 0 { 0 } else { 4 };
        forms.insert(base64(&shifted[..whole])[skip..].to_owned());
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn search(place: &str, bytes: &[u8], secrets: &[String]) {
    for secret in secrets {
        for form in forms(secret) {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "a secret is in {place}");
        }
    }
}

fn search_folder(folder: &Path, secrets: &[String]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search_folder(&path, secrets);
        } else {
            search(&path.display().to_string(), &std::fs::read(&path).unwrap(), secrets);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_rotation_leaves_no_secret_behind() {
    let stage = Stage::new().await;
    let mut secrets = stage.secrets();
    let playbook = stage.playbook();
    let playbook = playbook.to_str().unwrap();
    let mut told = Vec::new();
    for args in [
        &["plan", playbook, "--log", "trace"][..],
        &["run", playbook, "--log", "trace", "--log-format", "json", "--output", "json"],
        &["show", "-vv"],
        &["show", "stage", "--output", "json"],
        &["history"],
        &["report", "stage"],
        &["report", "stage", "--output", "json"],
        &["report", "stage", "--html", "-"],
        &["audit", "export"],
        &["status", "--output", "json"],
    ] {
        told.push((args.join(" "), said(&stage.keyroll(args).await)));
    }
    secrets.extend(stage.secrets());
    // A run that fails tells more than one that works.
    stage.put(&serde_json::json!({ "secret_id": "canary-of-somebody-else-8c1f", "accessor": "x" }));
    secrets.push("canary-of-somebody-else-8c1f".into());
    told.push(("run of a broken store".into(), said(&stage.keyroll(&["run", playbook, "--log", "trace"]).await)));
    assert!(told.iter().any(|(_, text)| text.contains("POST")), "the trace shows requests, so a header would have been seen");
    for (args, text) in &told {
        search(args, text.as_bytes(), &secrets);
    }
    search_folder(stage.journal().parent().unwrap(), &secrets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_arguments_nor_environment_of_the_process_gain_a_secret() {
    let stage = Stage::new().await;
    stage.edit("verify: { within: 20s", "verify: { within: 1h");
    stage.fleet.behave(0, keyroll::sandbox::service::Behaviour::Stuck);
    let mut child = stage.start(&["run", stage.playbook().to_str().unwrap(), "--output", "json"]);
    let old = stage.secrets();
    stage.until_promoted(&mut child).await;
    let pid = child.id().unwrap();
    let new: Vec<String> = stage.secrets().into_iter().filter(|secret| !old.contains(secret)).collect();
    assert_eq!(new.len(), 1, "the new key is in the store");
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}"));
        // A process that is not dumpable does not even let its own user read its environment.
        if let Ok(bytes) = bytes {
            search(file, &bytes, &new);
        }
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(
        limits
            .lines()
            .any(|line| line.starts_with("Max core file size") && line.split_whitespace().filter(|word| *word == "0").count() == 2)
    );
    child.kill().await.unwrap();
    stage.fleet.behave(0, keyroll::sandbox::service::Behaviour::Normal);
    ends(&stage.keyroll(&["rollback"]).await, 1);
    stage.assert_clean("rolled back after the kill").await;
}
