//! What a person reads before anything runs.

use std::process::Command;

fn page(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_keyroll"))
        .args(args)
        .env("COLUMNS", "100")
        .env_remove("KEYROLL_JOURNAL")
        .env_remove("KEYROLL_LOG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_keyroll_and_of_run() {
    insta::assert_snapshot!("help", page(&["--help"]));
    insta::assert_snapshot!("help_run", page(&["run", "--help"]));
}

#[test]
fn every_shell_gets_completions_and_editors_a_schema() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(page(&["completions", shell]).contains("rollback"), "{shell}");
    }
    let schema: serde_json::Value = serde_json::from_str(&page(&["schema"])).unwrap();
    assert_eq!(schema["properties"]["name"]["type"], "string");
}

#[test]
fn init_writes_a_playbook_that_validates_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.yaml");
    let file = file.to_str().unwrap();
    page(&["init", file, "--provider", "aws_iam", "--store", "aws_secretsmanager", "--scope", "batch", "--place", "batch/key"]);
    page(&["validate", file]);
    let again = Command::new(env!("CARGO_BIN_EXE_keyroll")).args(["init", file]).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
}
