//! Secret references. The environment of a process cannot be changed safely while tests run, so those that need one run
//! this very program again, with the test `child` alone.

use std::process::Command;

use keyroll::{
    adapters::secrets::Resolver,
    adapters::wire::Wire,
    playbook::SecretRef,
    ports::{Failure, Secrets},
    protocol::Refusal,
};
use serde_json::json;

use crate::vault_bench::World;

/// What the child is to read; it prints what it got.
const REFERENCE: &str = "KEYROLL_CHILD_REFERENCE";

#[tokio::test]
async fn child() {
    let Ok(reference) = std::env::var(REFERENCE) else { return };
    let reference: SecretRef = reference.parse().expect("a reference");
    match read(&reference).await {
        Ok(text) => println!("read <{text}>"),
        Err(failure) => println!("failed <{failure}> <{}>", failure.hint.as_deref().unwrap_or_default()),
    }
}

async fn read(reference: &SecretRef) -> Result<String, Failure> {
    let secret = Resolver::new(Wire::new().expect("TLS")).read(reference).await?;
    Ok(secret.reveal().to_owned())
}

/// The child's line, with these variables and no others.
async fn in_child(reference: &str, variables: &[(&str, &str)]) -> String {
    let me = std::env::current_exe().expect("this program");
    let mut command = Command::new(me);
    command.env_clear().env(REFERENCE, reference).envs(variables.iter().copied());
    // The name of a test has no crate in it.
    let name = concat!(module_path!(), "::child").split_once("::").expect("a module").1;
    command.args(["--exact", name, "--nocapture"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("started");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.lines().find_map(|line| line.find("read <").or(line.find("failed <")).map(|from| line[from..].to_owned()));
    line.unwrap_or_else(|| panic!("the child said: {text}"))
}

#[tokio::test]
async fn from_the_environment() {
    for (value, said) in
        [(Some("sk-canary"), "read <sk-canary>"), (Some(""), "failed <env:OURS is empty>"), (None, "failed <env:OURS is not set>")]
    {
        let variables: Vec<_> = value.iter().map(|value| ("OURS", *value)).collect();
        let line = in_child("env:OURS", &variables).await;
        assert!(line.starts_with(said), "{line}");
    }
}

#[tokio::test]
async fn from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for (bytes, text) in [
        (&b"sk-canary"[..], Some("sk-canary")),
        (b"sk-canary\n", Some("sk-canary")),
        (b"sk-canary\r\n", Some("sk-canary")),
        (b"sk-canary\n\n", Some("sk-canary\n")),
        (b"", None),
        (b"\n", None),
        (b"sk-canary\xff", None),
    ] {
        let path = folder.path().join("key");
        std::fs::write(&path, bytes).expect("written");
        shut(&path, 0o600);
        let reference = SecretRef::File(path.display().to_string());
        match read(&reference).await {
            Ok(got) => assert_eq!(Some(got.as_str()), text),
            Err(failure) => {
                assert_eq!((failure.refusal(), text), (Some(Refusal::Invalid), None));
                assert!(failure.what.starts_with(&reference.to_string()) && !format!("{failure:?}").contains("canary"), "{failure:?}");
            }
        }
    }
    let missing = SecretRef::File(folder.path().join("none").display().to_string());
    assert_eq!(read(&missing).await.expect_err("missing").refusal(), Some(Refusal::Gone));
}

fn shut(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
}

#[tokio::test]
async fn a_file_that_others_can_read_or_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    std::fs::write(&path, "sk-canary").expect("written");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let read_at = async |path: &std::path::Path| read(&SecretRef::File(path.display().to_string())).await;
    for mode in [0o644, 0o640, 0o620, 0o604, 0o601] {
        shut(&path, mode);
        for place in [&path, &link] {
            let failure = read_at(place).await.expect_err("open to others");
            assert!(failure.what.contains(&format!("can be read by others (mode {mode:04o})")), "{failure:?}");
            assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("chmod 600")), "{failure:?}");
        }
    }
    for mode in [0o600, 0o400] {
        shut(&path, mode);
        // Platforms put secrets behind links; what counts is the file.
        assert_eq!((read_at(&path).await, read_at(&link).await), (Ok("sk-canary".to_owned()), Ok("sk-canary".to_owned())));
    }
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("coreutils").success());
    for place in [pipe.as_path(), folder.path(), std::path::Path::new("/dev/zero")] {
        let failure = read_at(place).await.expect_err("no file");
        assert!(failure.what.contains("is no plain file"), "{failure:?}");
    }
    let long = folder.path().join("long");
    std::fs::write(&long, vec![b'x'; (1 << 20) + 1]).expect("written");
    shut(&long, 0o600);
    assert!(read_at(&long).await.expect_err("long").what.contains("longer than any secret"));
}

#[tokio::test]
async fn from_vault() {
    let world = World::standin().await;
    world.must("POST", "secret/data/ops/openai", json!({ "data": { "key": "sk-canary", "port": 1 } })).await;
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join(".vault-token"), format!("{}\n", world.token)).expect("written");
    shut(&home.path().join(".vault-token"), 0o600);
    let address = ("VAULT_ADDR", world.address.as_str());
    let by_variable = [address, ("VAULT_TOKEN", world.token.as_str())];
    let home = home.path().display().to_string();
    let by_file = [address, ("HOME", home.as_str())];
    let wrong = [address, ("VAULT_TOKEN", "hvs.canary")];
    for (reference, variables, said) in [
        ("vault:secret/ops/openai#key", &by_variable[..], "read <sk-canary>"),
        ("vault:secret/ops/openai#key", &by_file, "read <sk-canary>"),
        ("vault:secret/ops/openai#none", &by_variable, "failed <vault:secret/ops/openai#none: there is no such field>"),
        ("vault:secret/ops/openai#port", &by_variable, "failed <vault:secret/ops/openai#port: the field is no text>"),
        ("vault:secret/ops/none#key", &by_variable, "failed <vault:secret/ops/none#key: nothing is stored there>"),
        ("vault:secret/ops/openai#key", &[], "failed <vault:secret/ops/openai#key: VAULT_ADDR is not set>"),
        ("vault:secret/ops/openai#key", &wrong, "failed <GET http://127.0.0.1"),
    ] {
        let line = in_child(reference, variables).await;
        assert!(line.starts_with(said), "{line}");
        assert!(said.starts_with("read") || !line.contains("canary"), "{line}");
    }
}
