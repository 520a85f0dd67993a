//! The pages in a real browser: it complains of nothing, asks for nothing, shows what it should, and no secret.
//! `.ci/run` installs the browser and what drives it, and tells where.

use std::{path::Path, process::Command};

use keyroll::report;
use serde_json::json;

use crate::{
    document::{document, hostile},
    held,
    stage::Stage,
};

#[ignore = "needs a browser"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_quiet_whole_and_hold_no_secret() {
    let modules = std::env::var("KEYROLL_TEST_BROWSER").expect("KEYROLL_TEST_BROWSER is not set: see .ci/run");
    let stage = Stage::new().await;
    let mut secrets = stage.secrets();
    let run = stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await;
    assert_eq!(run.status.code(), Some(0));
    secrets.extend(stage.secrets());
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let real = stage.keyroll(&["report", "stage", "--html", &place("real.html")]).await;
    assert_eq!(real.status.code(), Some(0));
    std::fs::write(place("hostile.html"), report::page(&document(&hostile()))).unwrap();
    std::fs::write(place("held.html"), report::page(&document(&held()))).unwrap();
    let pages = json!([
        { "file": place("real.html"), "has": ["stage", "the old one is dead", "proved at", "cannot be undone", "counted"], "lacks": secrets },
        { "file": place("hostile.html"), "has": ["<script>alert(1)</script>", "onerror=alert(2)"], "lacks": secrets },
        { "file": place("held.html"), "has": ["What is left to do", "keyroll waive", "did not count"], "lacks": secrets },
    ]);
    std::fs::write(place("pages.json"), pages.to_string()).unwrap();
    // Node finds packages beside the script that asks for them.
    let script = Path::new(&modules).join("check.mjs");
    let output = Command::new("node").arg(script).arg(place("pages.json")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
