//! What every store must do, tried on a new, empty place for each case. A store's own file makes a [`StoreBench`] and calls
//! `store_suite!(make_bench)`; each case is then a test of its own there.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use keyroll::{
    ids::{RotationId, Version},
    ports::{Change, Failure, Fate, Mark, Store},
    protocol::Refusal,
    secret::Secret,
};

/// One place in one store, and ways to reach it that do not pass through the store under test.
#[async_trait]
pub trait StoreBench: Send + Sync {
    /// The store under test. Nothing is stored there when the bench is new.
    fn store(&self) -> Arc<dyn Store>;
    /// Whether the place holds one plain text (its only field is `value`) instead of named fields.
    fn plain(&self) -> bool {
        false
    }
    /// Somebody else makes this the whole value, whatever is there now.
    async fn put(&self, value: &serde_json::Map<String, serde_json::Value>);
    /// The whole value, with fields that are no text; for a plain place `{"value": …}`. None: nothing is stored.
    async fn get(&self) -> Option<serde_json::Map<String, serde_json::Value>>;
    /// Somebody else's mark beside the value (Vault custom_metadata, an AWS tag). False: this store has no such thing.
    async fn put_mark(&self, key: &str, value: &str) -> bool;
    /// That mark's value.
    async fn get_mark(&self, key: &str) -> Option<String>;
}

/// Makes one test of each case. `$fresh` is a path to `async fn() -> impl StoreBench`.
macro_rules! store_suite {
    ($fresh:path) => {
        crate::store::store_suite! { @cases $fresh:
            nothing_reads_as_none
            the_first_write_has_no_base
            a_first_write_meets_what_is_there
            a_write_at_its_base_becomes_current
            a_write_at_a_stale_base_changes_nothing
            other_fields_stay
            somebody_else_there_and_back_is_a_conflict
            our_own_there_and_back_is_a_conflict
            the_same_write_twice_changes_once
            the_old_value_stays_readable
            a_restore_is_a_new_version
            every_endpoint_shows_the_current_version
            the_mark_comes_back
            foreign_marks_stay
            errors_hold_no_secret
            a_ready_place_has_no_problem
        }
    };
    (@cases $fresh:path: $($case:ident)*) => { $(
        #[tokio::test]
        async fn $case() {
            crate::store::$case(&$fresh().await).await
        }
    )* };
}
pub(crate) use store_suite;

const OLD: &str = "sk-canary-old";
const NEW: &str = "sk-canary-new";
const OTHER: &str = "sk-canary-other";

fn field(bench: &dyn StoreBench) -> &'static str {
    if bench.plain() { "value" } else { "api_key" }
}

fn mark() -> Mark {
    Mark { journal: "journal-1".into(), rotation: RotationId::new("01rotation") }
}

/// Our field's value alone.
fn only(bench: &dyn StoreBench, value: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::from_iter([(field(bench).to_owned(), value.into())])
}

async fn try_write(bench: &dyn StoreBench, base: Option<&Version>, value: &str, token: &str) -> Result<Version, Failure> {
    let fields = BTreeMap::from([(field(bench).to_owned(), Secret::new(value))]);
    bench.store().write(&Change { base, fields: &fields, token, mark: &mark() }).await
}

/// A token as the driver makes it: 64 hex digits, different for each name.
fn token(name: &str) -> String {
    Secret::new(name).sha256()
}

async fn write(bench: &dyn StoreBench, base: Option<&Version>, value: &str) -> Version {
    try_write(bench, base, value, &token(&format!("{base:?} {value}"))).await.expect("the write is taken")
}

/// The current version and our field's value.
async fn current(bench: &dyn StoreBench) -> Option<(Version, String)> {
    let snapshot = bench.store().read().await.expect("readable")?;
    let value = snapshot.fields.get(field(bench)).expect("our field").reveal().to_owned();
    Some((snapshot.version, value))
}

async fn value_at(bench: &dyn StoreBench, version: &Version) -> Option<String> {
    let snapshot = bench.store().read_at(version).await.expect("readable")?;
    assert_eq!(&snapshot.version, version, "the version asked for");
    Some(snapshot.fields.get(field(bench)).expect("our field").reveal().to_owned())
}

async fn seeded(bench: &dyn StoreBench) -> Version {
    bench.put(&only(bench, OLD)).await;
    current(bench).await.expect("seeded").0
}

fn conflict(result: Result<Version, Failure>) {
    let failure = result.expect_err("a conflict");
    assert_eq!(failure.refusal(), Some(Refusal::Conflict), "{failure}");
}

pub async fn nothing_reads_as_none(bench: &dyn StoreBench) {
    assert!(current(bench).await.is_none());
    for (name, version) in bench.store().endpoints().await.expect("endpoints") {
        assert_eq!(version, None, "{name}");
    }
    assert_eq!(bench.store().mark().await.expect("readable"), None);
}

pub async fn the_first_write_has_no_base(bench: &dyn StoreBench) {
    let version = write(bench, None, NEW).await;
    assert_eq!(current(bench).await, Some((version, NEW.into())));
    assert_eq!(bench.get().await, Some(only(bench, NEW)));
}

pub async fn a_first_write_meets_what_is_there(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    conflict(try_write(bench, None, NEW, &token("first")).await);
    assert_eq!(current(bench).await, Some((base, OLD.into())));
}

pub async fn a_write_at_its_base_becomes_current(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    let version = write(bench, Some(&base), NEW).await;
    assert_ne!(version, base);
    assert_eq!(current(bench).await, Some((version, NEW.into())));
}

pub async fn a_write_at_a_stale_base_changes_nothing(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    bench.put(&only(bench, OTHER)).await;
    let theirs = current(bench).await;
    conflict(try_write(bench, Some(&base), NEW, &token("stale")).await);
    assert_eq!(current(bench).await, theirs);
    assert_eq!(bench.get().await, Some(only(bench, OTHER)));
}

pub async fn other_fields_stay(bench: &dyn StoreBench) {
    if bench.plain() {
        return;
    }
    let whole = r#"{"api_key":"sk-canary-old","note":"käse \" \\ \n","port":8443,"big":9007199254740991,"real":0.1,"on":true,"none":null,"list":[1,{"a":"b"}],"empty":""}"#;
    let mut value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(whole).expect("JSON");
    bench.put(&value).await;
    let base = current(bench).await.expect("seeded").0;
    write(bench, Some(&base), NEW).await;
    value.insert("api_key".into(), NEW.into());
    assert_eq!(bench.get().await, Some(value));
    let snapshot = bench.store().read().await.expect("readable").expect("stored");
    assert_eq!(snapshot.fields.keys().map(String::as_str).collect::<Vec<_>>(), ["api_key", "empty", "note"], "text fields alone are shown");
}

pub async fn somebody_else_there_and_back_is_a_conflict(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    bench.put(&only(bench, OTHER)).await;
    bench.put(&only(bench, OLD)).await;
    conflict(try_write(bench, Some(&base), NEW, &token("late")).await);
    assert_eq!(current(bench).await.map(|(_, value)| value), Some(OLD.into()));
}

pub async fn our_own_there_and_back_is_a_conflict(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    let promoted = write(bench, Some(&base), NEW).await;
    let restored = write(bench, Some(&promoted), OLD).await;
    conflict(try_write(bench, Some(&base), OTHER, &token("late")).await);
    assert_eq!(current(bench).await, Some((restored, OLD.into())));
}

pub async fn the_same_write_twice_changes_once(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    let token = token("once");
    let version = try_write(bench, Some(&base), NEW, &token).await.expect("the write is taken");
    match try_write(bench, Some(&base), NEW, &token).await {
        Ok(again) => assert_eq!(again, version, "idempotent"),
        Err(failure) => assert_eq!(failure.refusal(), Some(Refusal::Conflict), "{failure}"),
    }
    assert_eq!(current(bench).await, Some((version, NEW.into())));
    assert_eq!(value_at(bench, &base).await.as_deref(), Some(OLD), "the old value was not pushed out");
}

pub async fn the_old_value_stays_readable(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    let version = write(bench, Some(&base), NEW).await;
    assert_eq!(value_at(bench, &base).await.as_deref(), Some(OLD));
    assert_eq!(value_at(bench, &version).await.as_deref(), Some(NEW));
}

pub async fn a_restore_is_a_new_version(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    let promoted = write(bench, Some(&base), NEW).await;
    let restored = write(bench, Some(&promoted), OLD).await;
    assert!(restored != base && restored != promoted, "{restored}");
    assert_eq!(current(bench).await, Some((restored, OLD.into())));
}

pub async fn every_endpoint_shows_the_current_version(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    let version = write(bench, Some(&base), NEW).await;
    let endpoints = bench.store().endpoints().await.expect("endpoints");
    assert!(!endpoints.is_empty());
    for (name, shown) in endpoints {
        assert_eq!(shown.as_ref(), Some(&version), "{name}");
    }
}

pub async fn the_mark_comes_back(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    assert_eq!(bench.store().mark().await.expect("readable"), None);
    write(bench, Some(&base), NEW).await;
    assert_eq!(bench.store().mark().await.expect("readable"), Some(mark()));
}

pub async fn foreign_marks_stay(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    if !bench.put_mark("owner", "team-a").await {
        return;
    }
    write(bench, Some(&base), NEW).await;
    assert_eq!(bench.get_mark("owner").await.as_deref(), Some("team-a"));
    assert_eq!(bench.store().mark().await.expect("readable"), Some(mark()));
}

pub async fn errors_hold_no_secret(bench: &dyn StoreBench) {
    let base = seeded(bench).await;
    bench.put(&only(bench, OTHER)).await;
    for base in [None, Some(&base)] {
        let failure = try_write(bench, base, NEW, &token("refused")).await.expect_err("a conflict");
        assert!(!format!("{failure:?}").contains("canary"));
        assert!(matches!(failure.fate, Fate::Refused { .. }));
    }
    assert!(!bench.store().locator().contains("canary"));
}

pub async fn a_ready_place_has_no_problem(bench: &dyn StoreBench) {
    assert_eq!(bench.store().check().await, Ok(()), "an empty place");
    seeded(bench).await;
    assert_eq!(bench.store().check().await, Ok(()), "a place with a value");
}
