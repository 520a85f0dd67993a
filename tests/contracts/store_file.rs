//! The file store: the contract in all three formats, and what only files can do.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use keyroll::{
    adapters::{Ctx, registry::Registry, wire::Wire},
    ids::{RotationId, Version},
    playbook::{Block, Fault, SecretRef, Seg, Source},
    ports::{Change, Failure, Got, Mark, Secrets, Store},
    protocol::Refusal,
    secret::Secret,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::store::{StoreBench, store_suite};

/// The file store needs none.
struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, reference: &SecretRef) -> Got<Secret> {
        Err(Failure::not_sent(format!("{reference} was asked for")))
    }
}

fn build(path: &Path, more: &str) -> Result<Arc<dyn Store>, Fault> {
    let text = format!("file:\n  path: {}\n{more}", path.display());
    let source = Arc::new(Source { name: "test".into(), text });
    let block = Block { kind: "file".into(), path: vec![Seg::Key("file".into())], source };
    let ctx = Ctx { secrets: Arc::new(NoSecrets), wire: Wire::new().expect("TLS") };
    let kind = Registry::builtin().stores.into_iter().find(|kind| kind.name == "file").expect("registered");
    (kind.build)(&block, &ctx)
}

struct Bench {
    folder: TempDir,
    path: PathBuf,
    store: Arc<dyn Store>,
    format: &'static str,
    /// Every (inode, time) the file had: somebody else's edits are told apart by them, so this bench never repeats one.
    seen: Mutex<HashSet<(u64, i64, i64)>>,
}

impl Bench {
    fn new(format: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.env");
        let store = build(&path, &format!("  format: {format}\n")).expect("a store");
        Self { folder, path, store, format, seen: Mutex::default() }
    }

    fn with(format: &'static str, text: &str) -> Self {
        let bench = Self::new(format);
        bench.text(text);
        bench
    }

    /// Somebody else writes this text.
    fn text(&self, text: &str) {
        let stamp = |meta: fs::Metadata| (meta.ino(), meta.mtime(), meta.mtime_nsec());
        let mut seen = self.seen.lock().expect("no panic");
        seen.extend(fs::metadata(&self.path).ok().map(stamp));
        loop {
            let fresh = self.folder.path().join("editor");
            fs::write(&fresh, text).expect("written");
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).expect("ours");
            fs::rename(&fresh, &self.path).expect("replaced");
            if seen.insert(stamp(fs::metadata(&self.path).expect("there"))) {
                return;
            }
        }
    }

    fn now(&self) -> String {
        fs::read_to_string(&self.path).expect("there")
    }

    fn mode(&self, path: &Path) -> u32 {
        fs::metadata(path).expect("there").mode() & 0o777
    }

    async fn version(&self) -> Version {
        self.store.read().await.expect("readable").expect("stored").version
    }

    async fn try_set(&self, base: Option<&Version>, fields: &[(&str, &str)], token: &str) -> Got<Version> {
        let fields: BTreeMap<_, _> = fields.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let mark = Mark { journal: "journal-1".into(), rotation: RotationId::new("01rotation") };
        self.store.write(&Change { base, fields: &fields, token, mark: &mark }).await
    }

    async fn set(&self, fields: &[(&str, &str)]) -> Version {
        let base = self.version().await;
        self.try_set(Some(&base), fields, base.as_str()).await.expect("the write is taken")
    }

    async fn field(&self, name: &str) -> Option<String> {
        let snapshot = self.store.read().await.expect("readable").expect("stored");
        snapshot.fields.get(name).map(|value| value.reveal().to_owned())
    }
}

#[async_trait]
impl StoreBench for Bench {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
    fn plain(&self) -> bool {
        self.format != "json"
    }
    async fn put(&self, value: &Map<String, Value>) {
        let plain = value.get("value").and_then(Value::as_str).unwrap_or_default();
        self.text(&match self.format {
            "json" => serde_json::to_string_pretty(value).expect("JSON"),
            "dotenv" => format!("# ours\nexport value=\"{plain}\"\n"),
            _ => plain.to_owned(),
        });
    }
    async fn get(&self) -> Option<Map<String, Value>> {
        let text = fs::read_to_string(&self.path).ok()?;
        if self.format == "json" {
            return serde_json::from_str(&text).expect("JSON");
        }
        Some(Map::from_iter([("value".into(), json!(self.field("value").await?))]))
    }
    async fn put_mark(&self, _: &str, _: &str) -> bool {
        false
    }
    async fn get_mark(&self, _: &str) -> Option<String> {
        None
    }
}

mod json_contract {
    async fn fresh() -> super::Bench {
        super::Bench::new("json")
    }
    super::store_suite!(fresh);
}

mod dotenv_contract {
    async fn fresh() -> super::Bench {
        super::Bench::new("dotenv")
    }
    super::store_suite!(fresh);
}

mod raw_contract {
    async fn fresh() -> super::Bench {
        super::Bench::new("raw")
    }
    super::store_suite!(fresh);
}

#[tokio::test]
async fn only_our_lines_of_a_dotenv_file_change() {
    for (before, after) in [
        ("A=1\nKEY=old\n# end\n", "A=1\nKEY=sk-new\n# end\n"),
        ("KEY = \"old\" # why\nB='x y'\n", "KEY = \"sk-new\" # why\nB='x y'\n"),
        ("  export KEY='old'\r\nB=2\r\n", "  export KEY='sk-new'\r\nB=2\r\n"),
        ("# KEY=old\nB=2", "# KEY=old\nB=2\nKEY=sk-new\n"),
        ("B=2\r\n", "B=2\r\nKEY=sk-new\r\n"),
        ("KEY=\n", "KEY=sk-new\n"),
        ("KEY=a\nKEY=b\n", "KEY=sk-new\nKEY=sk-new\n"),
        ("KEY=old # note\nKEYS=x\nMY_KEY=y\n", "KEY=sk-new # note\nKEYS=x\nMY_KEY=y\n"),
        ("", "KEY=sk-new\n"),
    ] {
        let bench = Bench::with("dotenv", before);
        bench.set(&[("KEY", "sk-new")]).await;
        assert_eq!(bench.now(), after, "from {before:?}");
        assert_eq!(bench.field("KEY").await.as_deref(), Some("sk-new"));
    }
}

#[tokio::test]
async fn a_dotenv_value_comes_back_as_it_was_written() {
    for value in ["plain", "two words", "a#b", " #x", "it's", "a\"b", "$HOME", "back\\slash", "a'b\"c$d`e\\f", "", "ünï=="] {
        for before in ["KEY=old\n", "KEY='old'\n", "KEY=\"old\" # x\n", "B=1\n"] {
            let bench = Bench::with("dotenv", before);
            bench.set(&[("KEY", value)]).await;
            assert_eq!(bench.field("KEY").await.as_deref(), Some(value), "{value:?} into {before:?}: {:?}", bench.now());
        }
    }
}

#[tokio::test]
async fn what_a_format_cannot_hold_is_refused_and_changes_nothing() {
    for (format, before, field, value) in [
        ("dotenv", "KEY=old\n", "KEY", "two\nlines"),
        ("dotenv", "KEY=old\n", "1KEY", "x"),
        ("dotenv", "KEY=old\n", "A KEY", "x"),
        ("raw", "old", "KEY", "x"),
        ("raw", "old", "value", "x\n"),
    ] {
        let bench = Bench::with(format, before);
        let base = bench.version().await;
        let failure = bench.try_set(Some(&base), &[(field, value)], "t").await.expect_err("refused");
        assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{failure}");
        assert_eq!(bench.now(), before);
        assert_eq!(bench.version().await, base);
    }
}

#[tokio::test]
async fn an_unreadable_text_is_refused_without_its_content() {
    for (format, text) in [
        ("dotenv", "A=1\nKEY=\"canary\nB=2\"\n"),
        ("dotenv", "KEY='canary\n"),
        ("dotenv", "KEY=`canary`\n"),
        ("json", "{\"canary\": "),
        ("json", "[\"canary\"]"),
    ] {
        let bench = Bench::with(format, text);
        let failure = bench.store.read().await.map(|_| ()).expect_err("refused");
        assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{failure}");
        assert!(!format!("{failure:?}").contains("canary"), "{failure}");
        assert!(bench.store.check().await.is_err());
    }
}

#[tokio::test]
async fn only_our_members_of_a_json_file_change() {
    for (before, after) in [
        ("{\"b\":1.50,\"key\":\"old\",\"a\":[{\"key\":\"inner\"}]}\n", "{\"b\":1.50,\"key\":\"new\\\"\",\"a\":[{\"key\":\"inner\"}]}\n"),
        (
            "{\n    \"key\": null,\n    \"n\": 10000000000000000000000000\n}",
            "{\n    \"key\": \"new\\\"\",\n    \"n\": 10000000000000000000000000\n}",
        ),
        ("{\n  \"a\": \"}{,\\\"\"\n}\n", "{\n  \"a\": \"}{,\\\"\",\n  \"key\": \"new\\\"\"\n}\n"),
        ("{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"b\": 2, \"key\": \"new\\\"\"}"),
        ("{\"a\": 1}", "{\"a\": 1, \"key\": \"new\\\"\"}"),
        ("{\"k\\u0065y\": {\"x\": [1, 2]}}", "{\"k\\u0065y\": \"new\\\"\"}"),
        ("{}", "{\"key\":\"new\\\"\"}"),
        ("", "{\"key\":\"new\\\"\"}"),
    ] {
        let bench = Bench::with("json", before);
        bench.set(&[("key", "new\"")]).await;
        assert_eq!(bench.now(), after, "from {before:?}");
        assert_eq!(bench.field("key").await.as_deref(), Some("new\""));
    }
}

#[tokio::test]
async fn a_plain_text_keeps_its_newline_as_found() {
    for (before, after) in [("old", "new"), ("old\n", "new\n"), ("old\r\n", "new\r\n"), ("", "new")] {
        let bench = Bench::with("raw", before);
        bench.set(&[("value", "new")]).await;
        assert_eq!(bench.now(), after);
    }
}

#[tokio::test]
async fn a_stricter_mode_stays_and_nothing_of_ours_is_wider() {
    let bench = Bench::with("raw", "old");
    bench.set(&[("value", "new")]).await;
    assert_eq!(bench.mode(&bench.path), 0o600);
    let beside = bench.folder.path().join(".app.env.keyroll");
    assert_eq!(bench.mode(&beside), 0o700);
    for entry in fs::read_dir(&beside).expect("there") {
        assert_eq!(bench.mode(&entry.expect("an entry").path()) & 0o077, 0);
    }
    fs::set_permissions(&bench.path, fs::Permissions::from_mode(0o400)).expect("ours");
    bench.set(&[("value", "newer")]).await;
    assert_eq!(bench.mode(&bench.path), 0o400);
}

#[tokio::test]
async fn check_names_what_to_put_right() {
    let bench = Bench::with("raw", "old");
    fs::set_permissions(&bench.path, fs::Permissions::from_mode(0o644)).expect("ours");
    let problems = bench.store.check().await.expect_err("too wide");
    assert!(problems[0].hint.contains("chmod 0600"), "{:?}", problems[0]);
    let wider = build(&bench.path, "  format: raw\n  mode: \"0644\"\n").expect("a store");
    assert_eq!(wider.check().await, Ok(()), "where the playbook says so");

    fs::hard_link(&bench.path, bench.folder.path().join("other")).expect("linked");
    assert!(wider.check().await.expect_err("two names")[0].what.contains("hard links"));

    let gone = build(&bench.folder.path().join("no/such"), "  format: raw\n").expect("a store");
    assert!(gone.check().await.expect_err("no folder")[0].hint.contains("mkdir"));
}

/// Whoever can write beside the file puts links there, and their own folder in place of ours.
#[tokio::test]
async fn no_link_beside_it_is_followed_and_no_folder_of_others_is_used() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let target = elsewhere.path().join("target");
    for name in ["lock", "next", "state", "state.next"] {
        let bench = Bench::with("raw", "old");
        let beside = bench.folder.path().join(format!(".{}.keyroll", bench.path.file_name().expect("a name").to_string_lossy()));
        fs::create_dir(&beside).expect("made");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o700)).expect("ours");
        symlink(&target, beside.join(name)).expect("linked");
        let base = bench.store.read().await.ok().flatten().map(|found| found.version);
        let done = bench.try_set(base.as_ref(), &[("value", "new")], "t").await;
        assert!(!target.exists(), "{name}: something was written through the link: {done:?}");
        assert!(done.is_ok() || bench.now() == "old", "{name}");
    }
    for folder in ["link", "open"] {
        let bench = Bench::with("raw", "old");
        let beside = bench.folder.path().join(format!(".{}.keyroll", bench.path.file_name().expect("a name").to_string_lossy()));
        if folder == "link" {
            symlink(elsewhere.path(), &beside).expect("linked");
        } else {
            fs::create_dir(&beside).expect("made");
            fs::set_permissions(&beside, fs::Permissions::from_mode(0o777)).expect("ours");
        }
        let base = bench.store.read().await.ok().flatten().map(|found| found.version);
        let failure = bench.try_set(base.as_ref(), &[("value", "new")], "t").await.expect_err("not ours");
        assert!(failure.what.contains("is not keyroll's own folder"), "{failure:?}");
        assert!(bench.store.check().await.is_err());
        assert_eq!(bench.now(), "old");
        assert!(fs::read_dir(elsewhere.path()).expect("a folder").next().is_none(), "nothing was put elsewhere");
    }
}

#[tokio::test]
async fn a_link_is_not_followed() {
    let bench = Bench::with("raw", "old");
    let link = bench.folder.path().join("link");
    symlink(&bench.path, &link).expect("linked");
    let store = build(&link, "  format: raw\n").expect("a store");
    let failure = store.read().await.map(|_| ()).expect_err("refused");
    assert_eq!(failure.refusal(), Some(Refusal::Invalid));
    assert!(failure.hint.expect("advice").contains("mount the directory, not the file"));
    assert!(store.check().await.is_err());
    assert_eq!(bench.now(), "old");
}

#[tokio::test]
async fn a_playbook_that_cannot_work_is_a_fault() {
    for (path, more) in
        [("relative", "  format: raw\n"), ("/x", "  format: raw\n  mode: \"0200\"\n"), ("/x", "  format: raw\n  mod: 1\n"), ("/x", "")]
    {
        assert!(build(Path::new(path), more).is_err(), "{path} {more}");
    }
}

/// Two playbooks own one variable each of the same file: each can still go back after the other's rotation.
#[tokio::test]
async fn several_old_contents_stay_readable_and_then_go() {
    let bench = Bench::with("dotenv", "A=old\nB=old\n");
    let base = bench.version().await;
    bench.set(&[("A", "new")]).await;
    bench.set(&[("B", "new")]).await;
    let old = bench.store.read_at(&base).await.expect("readable").expect("kept");
    assert_eq!(old.fields.get("A").map(Secret::reveal), Some("old"));
    for round in 0..5 {
        bench.set(&[("A", &format!("round {round}"))]).await;
    }
    assert!(bench.store.read_at(&base).await.expect("readable").is_none(), "old secrets do not pile up");
    let kept = fs::read_dir(bench.folder.path().join(".app.env.keyroll")).expect("there");
    assert_eq!(kept.filter(|entry| entry.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|x| x == "prev"))).count(), 5);
}

/// Whatever was on disk when a write broke off: before the rename it did not happen, after it it did, and it can be repeated.
#[tokio::test]
async fn a_write_can_break_off_anywhere() {
    let bench = Bench::with("raw", "old");
    let base = bench.version().await;
    let beside = bench.folder.path().join(".app.env.keyroll");
    let promoted = bench.try_set(Some(&base), &[("value", "new")], "t").await.expect("taken");
    let done = fs::read_to_string(beside.join("state")).expect("there");

    // After the rename, before the state says that it is complete.
    let mut state: Value = serde_json::from_str(&done).expect("JSON");
    state["count"] = json!(0);
    fs::write(beside.join("state"), state.to_string()).expect("written");
    assert_eq!(bench.version().await, promoted);
    assert_eq!(bench.try_set(Some(&base), &[("value", "new")], "t").await, Ok(promoted), "repeated, not doubled");
    assert!(bench.store.mark().await.expect("readable").is_some());

    // Before the rename: the state speaks of a write that never came.
    state["next"]["stamp"] = json!("000000000000");
    fs::write(beside.join("state"), state.to_string()).expect("written");
    fs::write(beside.join("next"), "half").expect("written");
    let base = bench.version().await;
    assert!(bench.store.mark().await.expect("readable").is_none());
    let next = bench.try_set(Some(&base), &[("value", "newer")], "u").await.expect("taken");
    assert_eq!((bench.now().as_str(), bench.version().await), ("newer", next));

    // A first write that broke off between its two names: the leftover is the file itself, and must not be written into.
    fs::remove_file(beside.join("next")).ok();
    fs::hard_link(&bench.path, beside.join("next")).expect("linked");
    let base = bench.version().await;
    assert!(bench.try_set(Some(&base), &[("KEY", "x")], "v").await.is_err(), "not a field of a plain text");
    assert_eq!(bench.store.check().await, Ok(()));
    bench.set(&[("value", "last")]).await;
    assert_eq!(bench.now(), "last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_at_one_base_exactly_one_wins() {
    let bench = Arc::new(Bench::with("raw", "old"));
    let base = bench.version().await;
    let writers = (0..8).map(|writer| {
        let (bench, base) = (Arc::clone(&bench), base.clone());
        tokio::spawn(async move {
            let value = format!("writer {writer}");
            bench.try_set(Some(&base), &[("value", &value)], &value).await.map(|_| value)
        })
    });
    let mut won = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.expect("no panic") {
            Ok(value) => won.push(value),
            Err(failure) => assert_eq!(failure.refusal(), Some(Refusal::Conflict), "{failure}"),
        }
    }
    assert_eq!(won, [bench.now()]);
}
