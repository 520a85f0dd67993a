//! What other processes can see of keyroll and of the programs that it starts, and what a dead one leaves behind.

use std::{
    os::unix::{
        fs::{FileExt, MetadataExt},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use keyroll::sandbox::service::Behaviour;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Search, memchr};
use crate::{
    ends,
    inbox::{Manner, hook, secret},
    stage::Stage,
};

const NOBODY: u32 = 65_534;

/// A program that writes down all that it can see of itself.
fn mirror(folder: &Path, name: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    let seen = path.display();
    let script = format!(
        "#!/bin/sh\ncat /proc/$$/environ > {seen}.environ\ncat /proc/$$/cmdline > {seen}.cmdline\nls -l /proc/$$/fd > {seen}.fd\ncat > {seen}.stdin\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// keyroll's own environment holds what its user has put there (`env:` references): that is the user's choice, and nothing is added.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_keyroll_nor_what_it_starts_shows_a_secret_to_a_list_of_processes() {
    let stage = Stage::new().await;
    let (folder, kept) = (stage.playbook().parent().unwrap().join("seen"), tempfile::tempdir().unwrap());
    std::fs::create_dir(&folder).unwrap();
    let notify = format!(
        "notify:\n  - exec: {{ command: [\"{}\"] }}\n    on: [started]\n  - webhook: {{ url: \"http://127.0.0.1:1/\", secret: {} }}\nverify: {{",
        mirror(&folder, "told"),
        secret(kept.path(), "mac", "mac-canary-of-a-file"),
    );
    stage.edit("verify: {", &notify);
    stage.edit(
        "    max_request: 0s\n",
        &format!("    max_request: 0s\n    rollout: {{ exec: {{ command: [\"{}\"] }} }}\n", mirror(&folder, "rolled")),
    );
    stage.edit("within: 20s", "within: 1h");
    stage.fleet.behave(0, Behaviour::Stuck);
    let old = stage.secrets();
    let mut child = stage.start(&["run", stage.playbook().to_str().unwrap(), "--output", "json"]);
    stage.until_promoted(&mut child).await;
    let pid = child.id().unwrap();
    let new: Vec<String> = stage.secrets().into_iter().filter(|secret| !old.contains(secret)).collect();
    assert_eq!(new.len(), 1, "the new key is in the store");
    let mut search = Search::new(&[("the old key", &old[1]), ("the new key", &new[0]), ("a file's secret", "mac-canary-of-a-file")]);
    let late = Instant::now() + Duration::from_secs(20);
    while !(folder.join("rolled.stdin").exists() && folder.join("told.stdin").exists()) {
        assert!(Instant::now() < late, "both programs run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for file in ["cmdline", "environ"] {
        // A process that is not dumpable does not even let its own user read its environment.
        if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/{file}")) {
            search.text(file, &bytes);
        }
    }
    assert!(std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| memchr(&words, b"stage.yaml") == 1), "its words are seen");
    // What the user gave to keyroll is not given on.
    search.also("the token", stage.token());
    search.folder(&folder);
    for program in ["told", "rolled"] {
        let environment = std::fs::read(folder.join(format!("{program}.environ"))).unwrap();
        let names: Vec<_> =
            environment.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok()?.split_once('=')).collect();
        assert!(names.iter().all(|(name, _)| *name == "PATH" || name.starts_with("KEYROLL_")), "{names:?}");
        let open = std::fs::read_to_string(folder.join(format!("{program}.fd"))).unwrap();
        assert!(!open.contains("journal.db") && !open.contains("socket:"), "{program} was given more than its pipes: {open}");
    }
    child.kill().await.unwrap();
    stage.fleet.behave(0, Behaviour::Normal);
    ends(&stage.keyroll(&["rollback"]).await, 1);
    stage.assert_clean("rolled back after the kill").await;
}

/// Kills it as a fault would, where whoever started it asked for core files; whether the system wrote one.
async fn dies(command: &mut tokio::process::Command, ready: impl AsyncFnOnce(&mut tokio::process::Child), by: Signal) -> bool {
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    ready(&mut child).await;
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    let status = loop {
        kill_process(pid, by).unwrap();
        // Rust's own handler takes the first SIGSEGV that nobody caused for itself, and gives way to the second.
        if let Ok(status) = tokio::time::timeout(Duration::from_millis(500), child.wait()).await {
            break status.unwrap();
        }
    };
    assert_eq!(status.signal(), Some(by.as_raw()));
    status.core_dumped()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_no_core_file() {
    let unlimited = "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\"";
    for signal in [Signal::ABORT, Signal::SEGV] {
        let stage = Stage::new().await;
        stage.edit("verify: { within: 20s", "verify: { within: 1h");
        stage.fleet.behave(0, Behaviour::Stuck);
        let here = tempfile::tempdir().unwrap();
        let plain = stage.command(&["run", stage.playbook().to_str().unwrap(), "--output", "json"]);
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", unlimited]).arg(plain.as_std().get_program()).args(plain.as_std().get_args());
        command.envs(plain.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(here.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let dumped = dies(&mut command, async |child| stage.until_promoted(child).await, signal).await;
        assert!(!dumped, "the system wrote a core of it");
        let left: Vec<_> = std::fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
        // A program of the same start that does nothing about it, so that the test is one.
        let mut control = tokio::process::Command::new("sh");
        control.args(["-c", unlimited, "cat"]).current_dir(here.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let ready = async |child: &mut tokio::process::Child| {
            use tokio::io::AsyncWriteExt;
            child.stdin.as_mut().unwrap().write_all(b"x\n").await.unwrap();
            let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
            assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("x"), "it is `cat` by now");
        };
        let dumps = dies(&mut control, ready, signal).await;
        println!(
            "{signal:?}: keyroll left no core; a plain program {}",
            if dumps { "did" } else { "did not either: this system writes none" }
        );
        stage.fleet.behave(0, Behaviour::Normal);
        ends(&stage.keyroll(&["rollback"]).await, 1);
    }
}

/// Who may look into the memory of a process that waits for its input.
fn looks_into(program: &Path, words: &[&str], folder: &Path) -> (std::io::Result<std::fs::File>, u32) {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.spawn().unwrap();
    let place = format!("/proc/{}", child.id());
    let late = Instant::now() + Duration::from_secs(20);
    // Asleep for a while: it waits for its input.
    let waits = || std::fs::read_to_string(format!("{place}/task/{}/stat", child.id())).is_ok_and(|stat| stat.contains(") S "));
    let mut quiet = 0;
    while quiet < 10 {
        assert!(Instant::now() < late, "it comes to rest");
        std::thread::sleep(Duration::from_millis(30));
        quiet = if waits() { quiet + 1 } else { 0 };
    }
    let owner = std::fs::metadata(format!("{place}/mem")).map_or(u32::MAX, |found| found.uid());
    let opened = std::fs::File::open(format!("{place}/mem"));
    assert!(child.try_wait().unwrap().is_none(), "it still runs");
    child.kill().unwrap();
    child.wait().unwrap();
    (opened, owner)
}

/// The system gives a process that is not dumpable to root, its memory and its environment with it.
#[test]
fn other_processes_of_the_same_user_cannot_look_into_its_memory() {
    use std::os::unix::fs::PermissionsExt;
    // Where anybody can reach it.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let keyroll = folder.path().join("keyroll");
    std::fs::copy(env!("CARGO_BIN_EXE_keyroll"), &keyroll).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/openai-vault.yaml"), folder.path().join("book.yaml")).unwrap();
    let words = ["identify", "--journal", "/nowhere/journal.db", "book.yaml"];
    let (ours, owner) = looks_into(&keyroll, &words, folder.path());
    let (_, plain_owner) = looks_into(Path::new("/bin/cat"), &[], folder.path());
    assert_eq!(owner, 0, "its memory belongs to its user");
    if geteuid().is_root() {
        assert_eq!(plain_owner, NOBODY, "a plain program's belongs to whoever runs it");
    } else {
        assert_eq!(ours.map(drop).map_err(|error| error.kind()), Err(std::io::ErrorKind::PermissionDenied));
    }
}

/// All that the process can write to: heap, stacks, everything but code and files. Only root can.
fn memory(pid: u32) -> Option<Vec<u8>> {
    let file = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut part = vec![0; usize::try_from(to - from).ok()?];
        if file.read_exact_at(&mut part, from).is_ok() {
            all.extend_from_slice(&part);
        }
    }
    Some(all)
}

/// A rotation that is over, in a process that still waits for a receiver of messages: what is left of the secrets in its memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rotation_has_dropped_is_gone_from_memory() {
    let (stage, kept) = (Stage::new().await, tempfile::tempdir().unwrap());
    let (address, inbox) = hook(Manner::IsSilent).await;
    stage.edit("verify: {", &format!("notify:\n  - webhook: {{ url: \"http://{address}/\" }}\n    on: [done]\nverify: {{"));
    let token = secret(kept.path(), "token", stage.token());
    let text = std::fs::read_to_string(stage.playbook()).unwrap().replace("env:STAGE_TOKEN", &token);
    std::fs::write(stage.playbook(), text).unwrap();
    let old = stage.secrets()[1].clone();
    let mut command = stage.command(&["run", stage.playbook().to_str().unwrap()]);
    command.env_remove("STAGE_TOKEN").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let late = Instant::now() + Duration::from_secs(30);
    while inbox.letters().is_empty() {
        assert!(Instant::now() < late, "it tells of its end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let [token, new] = <[String; 2]>::try_from(stage.secrets()).unwrap();
    let seen = memory(child.id().unwrap());
    child.kill().await.unwrap();
    let Some(bytes) = seen else {
        assert!(!geteuid().is_root(), "root can look");
        return println!("only root can look into its memory");
    };
    assert!(memchr(&bytes, b"stage.yaml") > 0, "it is its memory");
    let left = [("the old key", &old), ("the new key", &new), ("the token", &token)]
        .map(|(name, secret)| (name, memchr(&bytes, secret.as_bytes())));
    println!("in {} MiB of memory after the rotation: {left:?}", bytes.len() >> 20);
    let [old, new, token] = left.map(|(_, times)| times);
    assert_eq!((old, new), (0, 0), "the keys are gone");
    // The last request still stands in its connection's buffer.
    assert!(token <= 1, "{token}");
}
