//! Which journal: what a command line may hold, and what is never printed.

use std::process::{Command, Output};

fn keyroll(args: &[&str], variable: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyroll"));
    command.args(args).env_remove("KEYROLL_JOURNAL");
    variable.map(|url| command.env("KEYROLL_JOURNAL", url));
    command.output().unwrap()
}

fn all(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Port 9 (discard) has no PostgreSQL; nothing is sent before the connection stands.
const AT: &str = "127.0.0.1:9/keys";

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    for url in [format!("postgres://ada:swordfish@{AT}"), format!("postgresql://ada@{AT}?password=swordfish")] {
        for args in [vec!["--journal", &url, "status"], vec!["status", "--journal", &url, "-vv"]] {
            let output = keyroll(&args, None);
            assert_eq!(output.status.code(), Some(2), "{}", all(&output));
            assert!(all(&output).contains("KEYROLL_JOURNAL") && all(&output).contains("PGPASSWORD"), "{}", all(&output));
            assert!(!all(&output).contains("swordfish"));
        }
    }
}

#[test]
fn a_password_in_the_environment_is_used_and_never_printed() {
    let url = format!("postgres://ada:swordfish@{AT}");
    for args in [&["status"][..], &["history", "-vv"], &["show", "--output", "json"], &["resume", "--log", "trace"]] {
        let output = keyroll(args, Some(&url));
        assert_eq!(output.status.code(), Some(5), "{args:?}: {}", all(&output));
        assert!(all(&output).contains(&format!("postgres://ada@{AT} cannot be reached")), "{args:?}: {}", all(&output));
        assert!(!all(&output).contains("swordfish"), "{args:?}: {}", all(&output));
    }
    for args in [&["--help"][..], &["run", "--help"], &["run"]] {
        assert!(!all(&keyroll(args, Some(&url))).contains("swordfish"), "{args:?}");
    }
    let slip = keyroll(&["status"], Some("postgres://ada:sword fish@[::1/x"));
    assert!(all(&slip).contains("its URL cannot be read") && !all(&slip).contains("fish"), "{}", all(&slip));
}
