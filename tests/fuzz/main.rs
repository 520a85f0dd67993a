//! Every seed of the fuzzer, fed to the function that the fuzzer feeds: what it once found, and what it begins with, on plain Rust.
//! `fuzz/run` searches on.

#[path = "../../fuzz/feeds/mod.rs"]
mod feeds;

use std::path::Path;

/// Where a target's seeds are: its own, and files that are kept for another reason.
fn folders(target: &str) -> Vec<&'static str> {
    match target {
        "playbook" => vec!["fuzz/seeds/playbook", "playbooks"],
        "records" => vec!["fuzz/seeds/records"],
        "replies" => vec!["fuzz/seeds/replies"],
        "reports" => vec!["tests/leak/reports"],
        "retry_after" => vec!["fuzz/seeds/retry_after"],
        other => panic!("{other} has no seeds"),
    }
}

#[test]
fn every_seed_is_taken_without_a_panic() {
    for (target, feed) in feeds::ALL {
        let mut fed = 0;
        for folder in folders(target) {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
                let bytes = std::fs::read(entry.expect("a seed").path()).expect("readable");
                feed(&bytes);
                // Broken off anywhere, too.
                for end in (0..bytes.len()).step_by(1 + bytes.len() / 8) {
                    feed(&bytes[..end]);
                }
                fed += 1;
            }
        }
        assert!(fed >= 5, "{target}: {fed} seeds");
        println!("{target}: {fed} seeds");
    }
}

/// The fuzzer's own list and this one, and the folders that its script names.
#[test]
fn the_script_runs_every_target_from_the_same_folders() {
    let script = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/run")).expect("the script");
    for (target, _) in feeds::ALL {
        assert!(script.contains(target), "{target}");
        for folder in folders(target) {
            let told = folder.strip_prefix("fuzz/").map_or_else(|| format!("../{folder}"), str::to_owned);
            assert!(script.contains(&told), "{told}");
        }
    }
}
