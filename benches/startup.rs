//! How long a person waits for nothing: `keyroll --version` against `true`, and `validate` of 1,000 playbooks against reading them.
//!
//! `cargo bench --bench startup`

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const KEYROLL: &str = env!("CARGO_BIN_EXE_keyroll");

fn main() {
    let pairs = 21;
    let (ours, baseline) = (0..pairs).map(|_| (time(KEYROLL, &["--version"]), time("true", &[]))).unzip();
    report("cold start (--version)", median(ours), "`true`", median(baseline), Duration::from_millis(10));

    let folder = std::env::temp_dir().join(format!("keyroll-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks/openai-vault.yaml")).unwrap();
    for place in 0..1000 {
        let text = shipped.replace("ai/openai/production", &format!("ai/openai/production-{place}"));
        fs::write(folder.join(format!("playbook-{place:04}.yaml")), text).unwrap();
    }
    let path = folder.to_str().unwrap();
    let (ours, baseline) = (0..5).map(|_| (time(KEYROLL, &["validate", "--quiet", path]), read_all(&folder))).unzip();
    report("validate 1,000 playbooks", median(ours), "reading them", median(baseline), Duration::from_millis(500));
    fs::remove_dir_all(&folder).unwrap();
}

fn time(program: &str, args: &[&str]) -> Duration {
    let began = Instant::now();
    let status = Command::new(program).args(args).stdout(Stdio::null()).status().unwrap();
    let took = began.elapsed();
    assert!(status.success(), "{program} {args:?} failed");
    took
}

fn read_all(folder: &Path) -> Duration {
    let began = Instant::now();
    let bytes: usize = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap().len()).sum();
    assert!(bytes > 0);
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn report(what: &str, ours: Duration, baseline: &str, theirs: Duration, goal: Duration) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("{what}: {ours:.1?} (goal {goal:?}); {baseline}: {theirs:.1?}; ratio {ratio:.1}");
}
