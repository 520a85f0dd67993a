use std::{
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use keyroll::{
    ids::{RotationId, Version},
    ports::{Fate, Order, Rollout},
    protocol::Refusal,
};
use serde_json::Value;
use tokio::{io::AsyncReadExt, net::unix::pipe};

use super::{rollout, serve};

fn order() -> Order {
    Order {
        consumer: "inference".into(),
        rotation: RotationId::new("01abc"),
        tag: "t 1".into(),
        versions: vec![Version::new("7"), Version::new("9")],
    }
}

/// An executable script in a folder that goes away.
fn script(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("roll");
    std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", folder.path().display())).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let path = path.display().to_string();
    (folder, path)
}

#[tokio::test]
async fn a_request_is_sent_once_with_what_it_is_about() {
    let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let heard = seen.clone();
    let take = move |headers: HeaderMap, Json(body): Json<Value>| async move {
        let auth = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        heard.lock().expect("seen").push((auth, body));
        StatusCode::ACCEPTED
    };
    let at = serve(Router::new().route("/roll", post(take))).await;
    let http = rollout(&format!("http: {{ url: 'http://{at}/roll', headers: {{ Authorization: 'env:AUTH' }} }}")).expect("valid");
    http.check().await.expect("no problem");
    http.roll(&order()).await.expect("accepted");
    assert_eq!(http.rolled(&order()).await, Ok(None));
    let seen = seen.lock().expect("seen").clone();
    let body = serde_json::json!({ "consumer": "inference", "rotation": "01abc", "tag": "t 1", "versions": ["7", "9"] });
    assert_eq!(seen, [("Bearer s3cret".to_owned(), body)]);
}

#[tokio::test]
async fn an_answer_says_whether_it_may_have_happened() {
    let calls = Arc::new(Mutex::new(0));
    let counted = calls.clone();
    let answer = move |Path(code): Path<u16>, _: Bytes| async move {
        *counted.lock().expect("calls") += 1;
        (StatusCode::from_u16(code).expect("a status"), [("location", "/roll/200")])
    };
    let at = serve(Router::new().route("/roll/{code}", post(answer))).await;
    for (code, unknown) in [(403, false), (422, false), (500, true), (307, true), (408, true)] {
        let http = rollout(&format!("http: {{ url: 'http://{at}/roll/{code}' }}")).expect("valid");
        let failure = http.roll(&order()).await.expect_err("no success");
        assert_eq!(matches!(failure.fate, Fate::Unknown { .. }), unknown, "{code}: {failure}");
    }
    assert_eq!(*calls.lock().expect("calls"), 5, "each was sent once, and no redirect was followed");
}

#[tokio::test]
async fn a_lost_rollout_can_be_asked_for() {
    let known = |Path(tag): Path<String>| async move { if tag == "t 1" { StatusCode::OK } else { StatusCode::NOT_FOUND } };
    let any = || async { StatusCode::OK };
    let at = serve(Router::new().route("/known/{tag}", get(known)).route("/any/{tag}", get(any))).await;
    let http =
        |path: &str| rollout(&format!("http: {{ url: 'http://{at}/', status: {{ url: 'http://{at}/{path}/{{tag}}' }} }}")).expect("valid");
    http("known").check().await.expect("no problem");
    assert_eq!(http("known").rolled(&order()).await, Ok(Some(true)));
    assert_eq!(http("known").rolled(&Order { tag: "t 2".into(), ..order() }).await, Ok(Some(false)));
    let problems = http("any").check().await.expect_err("it knows a tag that never was");
    assert!(problems[0].what.contains("never did"));
}

#[tokio::test]
async fn a_command_sees_the_order_and_nothing_of_our_environment() {
    let (folder, path) = script("env > seen; cat > input");
    let exec = rollout(&format!("exec: {{ command: ['{path}'], env: [CARGO_MANIFEST_DIR] }}")).expect("valid");
    exec.check().await.expect("no problem");
    exec.roll(&order()).await.expect("exit code 0");
    let text = std::fs::read_to_string(folder.path().join("seen")).expect("its environment");
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.split('=').next()).filter(|name| !["_", "PWD", "OLDPWD", "SHLVL"].contains(name)).collect();
    names.sort_unstable();
    assert_eq!(names, ["CARGO_MANIFEST_DIR", "KEYROLL_CONSUMER", "KEYROLL_ROTATION", "KEYROLL_TAG", "KEYROLL_VERSIONS", "PATH"]);
    for line in ["KEYROLL_CONSUMER=inference", "KEYROLL_ROTATION=01abc", "KEYROLL_TAG=t 1", "KEYROLL_VERSIONS=7,9"] {
        assert!(text.lines().any(|seen| seen == line), "{line}");
    }
    assert_eq!(std::fs::read(folder.path().join("input")).expect("its input"), b"");
    assert_eq!(exec.rolled(&order()).await, Ok(None));
}

#[tokio::test]
async fn a_command_s_end_is_told_without_its_output() {
    let refused = |why| Some(Fate::Refused { why, code: None });
    let unknown = Some(Fate::Unknown { retry_after: None });
    let cases = [
        ("exit 0", None, ""),
        ("echo s3cret; echo s3cret >&2; exit 3", refused(Refusal::Invalid), "exit code 3"),
        ("kill -9 $$", unknown, "signal 9"),
        // More than a pipe holds: it must not block.
        ("head -c 300000 /dev/zero; exit 4", refused(Refusal::Invalid), "exit code 4"),
    ];
    for (text, fate, part) in cases {
        let (_folder, path) = script(text);
        let got = rollout(&format!("exec: {{ command: ['{path}'] }}")).expect("valid").roll(&order()).await;
        assert_eq!(got.as_ref().err().map(|failure| failure.fate), fate, "{text}");
        if let Err(failure) = got {
            let hint = failure.hint.unwrap_or_default();
            assert!(failure.what.contains(part) && hint.contains("bytes"), "{text}: {}", failure.what);
            assert!(!failure.what.contains("s3cret") && !hint.contains("s3cret"), "{text}");
        }
    }
}

/// A command that never ends, and a reader of a fifo that it and its grandchild write to: the reader sees its end only when
/// both are dead.
fn endless(timeout: &str) -> (tempfile::TempDir, Arc<dyn Rollout>, pipe::Receiver) {
    let (folder, path) = script("exec 3> fifo; (sleep 600 & wait) & echo started >&3; wait");
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let exec = rollout(&format!("exec: {{ command: ['{path}'], timeout: {timeout} }}")).expect("valid");
    let reader = pipe::OpenOptions::new().open_receiver(&fifo).expect("a reader");
    (folder, exec, reader)
}

async fn all_dead(mut reader: pipe::Receiver) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), reader.read_to_end(&mut rest)).await;
    end.expect("somebody still holds the fifo").expect("read");
}

#[tokio::test]
async fn a_timeout_kills_grandchildren_too() {
    let (_folder, exec, mut reader) = endless("1s");
    let failure = exec.roll(&order()).await.expect_err("it never ends");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
    assert!(failure.what.contains("still running after 1s"), "{failure}");
    let mut said = [0; 8];
    reader.read_exact(&mut said).await.expect("it had started");
    assert_eq!(&said, b"started\n");
    all_dead(reader).await;
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing_running() {
    let (_folder, exec, mut reader) = endless("10m");
    let (order, mut said) = (order(), [0; 8]);
    tokio::select! {
        ended = exec.roll(&order) => panic!("it ended: {ended:?}"),
        // The command opens the fifo when it pleases: until then a read says that there is no writer.
        () = async { while reader.read_exact(&mut said).await.is_err() { tokio::task::yield_now().await } } => {}
    }
    all_dead(reader).await;
}

#[tokio::test]
async fn mistakes_are_found_before_a_rollout() {
    let built = [
        ("exec: { command: [] }", "is empty"),
        ("exec: { command: [./roll] }", "not absolute"),
        ("exec: { command: [true], cwd: here }", "`cwd` is not absolute"),
        ("exec: { command: [roll], env: ['TOKEN=s3cret'] }", "names of variables only"),
        ("exec: { command: [roll], env: [KEYROLL_TAG] }", "keyroll's own"),
        ("http: { url: 'http://a', status: { url: 'http://a/b' } }", "does not hold `{tag}`"),
        ("http: { url: 'http://a', method: GET }", "unknown word"),
    ];
    for (yaml, part) in built {
        let fault = rollout(yaml).err().unwrap_or_else(|| panic!("{yaml} was taken"));
        assert!(fault.what.contains(part), "{yaml}: {}", fault.what);
        assert!(!fault.what.contains("s3cret"), "{yaml}: the error repeats the input");
    }
    let checked = [
        ("exec: { command: [no-such-program-here] }", "there is no program"),
        ("exec: { command: [/etc/passwd] }", "not executable"),
        ("exec: { command: ['true'], cwd: /nowhere/at/all }", "not a folder"),
        ("exec: { command: ['true'], env: [NO_SUCH_VARIABLE_HERE] }", "is not set"),
        ("http: { url: 'http://a', headers: { A: 'env:NOTHING' } }", "env:NOTHING is not set"),
    ];
    for (yaml, part) in checked {
        let problems = rollout(yaml).unwrap_or_else(|fault| panic!("{yaml}: {}", fault.what)).check().await.expect_err(yaml);
        assert!(problems[0].what.contains(part), "{yaml}: {}", problems[0].what);
    }
    let missing = rollout("exec: { command: [no-such-program-here] }").expect("valid").roll(&order()).await.expect_err("not there");
    assert!(matches!(missing.fate, Fate::NotSent { .. }));
}
