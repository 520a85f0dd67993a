//! A whole life of a key, every verb, with everything told that can be told.

use std::process::Output;

use keyroll::sandbox::service::Behaviour;

use super::Search;
use crate::{
    inbox::{Manner, hook, mail, program, secret},
    said,
    stage::Stage,
};

const HOOK: &str = "T0canary/B0slack+hook";
const MAC: &str = "mac-canary \"ü\"/+&<%>\\";
const MAIL: &str = "smtp-canary:\"ä\"/+&<%>\\";

/// The stage with every way of telling people, and a rollout by a program; secrets in files of another folder.
struct Life {
    stage: Stage,
    kept: tempfile::TempDir,
}

impl Life {
    async fn new(manner: Manner) -> Self {
        let (stage, kept) = (Stage::new().await, tempfile::tempdir().unwrap());
        let ((address, _), (port, _)) = (hook(manner).await, mail(manner).await);
        let at = kept.path();
        let told = stage.playbook().parent().unwrap().join("told");
        std::fs::create_dir(&told).unwrap();
        let program = program(&told, manner);
        let notify = format!(
            "notify:\n  - slack: {}\n  - webhook: {{ url: {}, secret: {} }}\n    on: [started, held, rolled_back, done]\n  \
             - email: {{ smtp: \"smtp://127.0.0.1:{port}\", user: u, password: {}, from: k@example.com, to: [a@example.com] }}\n  \
             - exec: {{ command: [\"{program}\"] }}\nverify: {{",
            secret(at, "slack", &format!("http://{address}/{HOOK}")),
            secret(at, "webhook", &format!("http://{address}/{HOOK}")),
            secret(at, "mac", MAC),
            secret(at, "password", MAIL),
        );
        stage.edit("verify: {", &notify);
        let token = secret(at, "token", stage.token());
        let text = std::fs::read_to_string(stage.playbook()).unwrap().replace("env:STAGE_TOKEN", &token);
        std::fs::write(stage.playbook(), text).unwrap();
        Self { stage, kept }
    }

    async fn keyroll(&self, words: &[&str], input: &str) -> Output {
        use tokio::io::AsyncWriteExt;
        let temporary = self.stage.playbook().parent().unwrap().join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = self.stage.command(words);
        command.env("TMPDIR", temporary).env("HOME", self.stage.playbook().parent().unwrap());
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_of_a_whole_life_tells_no_secret() {
    let life = Life::new(Manner::Refuses).await;
    let stage = &life.stage;
    let mut search = Search::new(&[("the hook's address", HOOK), ("the webhook's secret", MAC), ("the mail password", MAIL)]);
    let note = |search: &mut Search, when: &str| {
        for (name, secret) in ["the token", "the key"].iter().zip(stage.secrets()) {
            search.also(&format!("{name} {when}"), &secret);
        }
    };
    note(&mut search, "at first");
    let first = stage.secrets()[1].clone();
    let playbook = stage.playbook().display().to_string();
    let page = stage.playbook().with_file_name("page.html").display().to_string();
    let report = stage.playbook().with_file_name("report.json");
    let trace = ["--log", "trace"];
    let loud = ["-vv", "--log", "trace", "--log-format", "json", "--output", "json"];
    let mut told: Vec<(String, String)> = Vec::new();
    let mut say = async |words: &[&str], input: &str| {
        let output = life.keyroll(words, input).await;
        told.push((words.join(" "), said(&output)));
        output.status.code()
    };
    let with = |words: &[&'static str], more: &[&'static str]| [words, more].concat();
    assert_eq!(say(&["validate", &playbook, "--log", "trace"], "").await, Some(0));
    for verb in ["plan", "doctor", "reconcile", "status", "identify", "run"] {
        for more in [&trace[..], &loud[..]] {
            // The second run rotates again.
            let words = [&[verb, &playbook][..], more].concat();
            say(&words, &first).await;
            note(&mut search, verb);
        }
    }
    // What a report of a scanner holds is a secret too.
    std::fs::write(&report, format!(r#"[{{"RuleID":"x","StartLine":1,"File":"a","Secret":"{first}","Match":"k={first}"}}]"#)).unwrap();
    assert!(say(&["identify", "--report", report.to_str().unwrap(), &playbook, "--log", "trace"], "").await.is_some());
    std::fs::remove_file(&report).unwrap();
    for words in [
        with(&["show", "stage"], &trace),
        with(&["show", "stage"], &loud),
        with(&["history"], &loud),
        with(&["report", "stage"], &trace),
        with(&["report", "stage"], &loud),
        with(&["report", "stage", "--html", "-"], &trace),
        with(&["audit", "verify"], &loud),
        with(&["audit", "export"], &trace),
        with(&["schema"], &trace),
        with(&["completions", "bash"], &trace),
        with(&["freeze", "--until", "1h", "--reason", "a holiday"], &trace),
        with(&["freeze"], &loud),
        with(&["freeze", "--end", "1", "--reason", "over"], &loud),
    ] {
        assert_eq!(say(&words, "").await, Some(0), "{words:?}");
    }
    assert_eq!(say(&["report", "stage", "--html", &page], "").await, Some(0));
    assert_eq!(say(&["emergency", &playbook, "--print", "--reason", "leaked"], "").await, Some(0));
    assert_eq!(say(&["run", &playbook, "--due", "--log", "trace"], "").await, Some(0));
    // Proposed, approved, parked, waived, amended, gone back.
    stage.edit("grace: 0s", "grace: 2h");
    say(&["run", &playbook, "--require-approval", "--log", "trace"], "").await;
    say(&["approve", "x", "--log", "trace"], "").await;
    assert_eq!(say(&["run", &playbook, "--log", "trace"], "").await, Some(6));
    note(&mut search, "parked");
    say(&["amend", "stage", &playbook, "--log", "trace"], "").await;
    say(&["waive", "--consumer", "app", "--reason", "gone", "--log", "trace"], "").await;
    say(&["ack", "--log", "trace"], "").await;
    say(&["resume", "--log", "trace"], "").await;
    assert_eq!(say(&["rollback", "--log", "trace", "--log-format", "json"], "").await, Some(1));
    stage.edit("grace: 2h", "grace: 0s");
    assert_eq!(say(&["emergency", &playbook, "--yes", "--reason", "leaked", "--log", "trace"], "").await, Some(0));
    note(&mut search, "after the emergency");
    // What fails tells more than what works.
    stage.edit("within: 20s", "within: 1s");
    stage.fleet.behave(0, Behaviour::Stuck);
    assert_eq!(say(&["run", &playbook, "--log", "trace"], "").await, Some(1));
    std::fs::write(life.kept.path().join("token"), "a-wrong-token-canary").unwrap();
    search.also("a wrong token", "a-wrong-token-canary");
    say(&["run", &playbook, "--log", "trace"], "").await;
    say(&["doctor", &playbook, "--log", "trace"], "").await;
    std::fs::write(life.kept.path().join("token"), "two-lines-canary\nof-a-token").unwrap();
    search.also("a broken token", "two-lines-canary");
    say(&["run", &playbook, "--log", "trace"], "").await;
    assert!(told.iter().any(|(_, text)| text.contains("POST")), "the trace shows requests, so a header would have been seen");
    assert!(told.iter().any(|(_, text)| text.contains("was not told")), "the receivers refused, so an address would have been seen");
    for (words, text) in &told {
        search.text(words, text.as_bytes());
    }
    let folder = stage.journal().parent().unwrap().to_owned();
    for kept in ["journal.db", "told/told.in", "told/told.env", "page.html"] {
        assert!(folder.join(kept).is_file(), "{kept} is among what is looked through");
    }
    search.folder(&folder);
    println!("{} verbs; {}", told.len(), search.told());
}
