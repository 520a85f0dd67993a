//! Anthropic's keys belong to workspaces, are known by a hint of their value, and their use is told in tokens.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use keyroll::{
    ids::KeyId,
    playbook::Limits,
    ports::{Credential, Fate, Got, Like},
    protocol::{Bounds, Refusal},
    secret::Secret,
};
use serde_json::Value;

use crate::{
    provider::ProviderBench as _,
    road::Road,
    site::{Bench, Vendor},
    standins::anthropic::vendor,
};

const REPORT: &str = "/v1/organizations/usage_report/messages";

/// Anthropic, asked for the keys of one workspace.
fn bound() -> Vendor {
    Vendor { block: |url, admin| format!("admin_key: {admin}\nworkspace: wrkspc_01\nbase_url: \"{url}/v1\""), ..vendor() }
}

impl Bench {
    /// Makes replies of this kind say something else.
    fn mangle(&self, which: (&'static str, &str), change: impl Fn(&mut Value) + Send + 'static) {
        self.server.world().mangle = Some((which.0, which.1.to_owned(), Box::new(change)));
    }

    fn value(&self, nth: usize) -> Credential {
        Credential { id: None, secret: Secret::new(&self.server.world().keys.all[nth].value) }
    }
}

/// A person chooses the workspace. In another one the key may reach what the old one could not, so it is archived, and the old one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_workspace_is_not_taken_into_use() {
    let mut elsewhere = vendor();
    elsewhere.seed = |keys, name| {
        let workspace = if keys.all.is_empty() { "wrkspc_01" } else { "wrkspc_02" };
        (vendor().seed)(keys, name);
        keys.all.last_mut().expect("just made").more["workspace_id"] = workspace.into();
    };
    let road = Road::new(elsewhere).await;
    let said = road.waits_for_a_key().await;
    let value = road.made_by_hand(&said);
    let said = road.ends(&road.keyroll_with(&["provide"], &value).await, 1);
    assert!(said.contains("may do more than was planned: workspace"), "{said}");
    assert_eq!(road.only(&said), road.old, "{said}");
}

/// What is planned is what the old key has, and without one the playbook's workspace.
#[tokio::test]
async fn a_new_key_is_planned_for_the_old_ones_workspace() {
    let bench = Bench::new(bound()).await;
    bench.server.world().keys.all[0].more["workspace_id"] = "wrkspc_02".into();
    bench.server.world().keys.all[1].more["workspace_id"] = Value::Null;
    let attributes = bench.provider.attributes().expect("workspaces");
    let shows = |bounds: Got<Bounds>, workspace: &str| {
        let text = format!("{:?}", bounds.unwrap_or_else(|failure| panic!("{failure}")));
        assert!(text.contains(&format!("\"{workspace}\"")), "{workspace}: {text}");
    };
    let [other, default, ours] = [0, 1, 2].map(|nth| bench.seeded()[nth].clone());
    shows(attributes.of(&other).await, "wrkspc_02");
    shows(attributes.of(&default).await, "default");
    shows(attributes.of(&ours).await, "wrkspc_01");
    shows(attributes.planned(Some(Like::Key(&other)), &Limits::NONE).await, "wrkspc_02");
    shows(attributes.planned(None, &Limits::NONE).await, "wrkspc_01");
}

/// Another workspace's key is none of ours: it is neither listed nor proved.
#[tokio::test]
async fn only_the_workspaces_keys_are_listed() {
    let bench = Bench::new(bound()).await;
    bench.server.world().keys.all[1].more["workspace_id"] = "wrkspc_02".into();
    let listed = bench.provider.list().await.expect("a listing");
    let ids: Vec<_> = listed.iter().map(|key| key.id.clone()).collect();
    assert_eq!(ids, [bench.seeded()[0].clone(), bench.seeded()[2].clone()]);
    assert_eq!(bench.provider.identify(&bench.value(1), &listed).await, Ok(None));
}

/// A hint has a beginning and an end: both must fit, and two keys that are shown alike are nobody's.
#[tokio::test]
async fn a_value_is_a_keys_only_by_the_whole_hint() {
    let bench = Bench::new(vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let real = bench.value(0);
    let value = real.secret.reveal();
    let (head, tail) = (&value[..16], &value[value.len() - 4..]);
    assert!(bench.provider.identify(&real, &listed).await.is_ok_and(|proof| proof.is_some()));
    for other in
        [format!("sk-ant-api03-???{}{tail}", &value[16..36]), format!("{head}{}????", &value[16..36]), format!("{head}--{}", &tail[2..])]
    {
        let credential = Credential { id: None, secret: Secret::new(other) };
        assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None));
    }
    assert_eq!(bench.provider.identify(&real, &listed[1..]).await, Ok(None), "it fits, and it is not among these keys");
    bench.server.world().keys.all[2].value = format!("{head}-other-{tail}");
    assert_eq!(bench.provider.identify(&real, &listed).await, Ok(None), "it fits two keys");
}

/// Only `active` is a key that works; and when it ends is told.
#[tokio::test]
async fn a_status_that_nobody_knows_yet_is_not_enabled() {
    let bench = Bench::new(Vendor { page: 3, ..vendor() }).await;
    let end = DateTime::from_timestamp(4_102_444_800, 0).expect("a time");
    bench.server.world().keys.all[2].expires = Some(end);
    bench.mangle(vendor().list, |body| body["data"][1]["status"] = "expired".into());
    let listed = bench.provider.list().await.expect("a listing");
    let told: Vec<_> = listed.iter().map(|key| (key.enabled, key.expires_at)).collect();
    assert_eq!(told, [(true, None), (false, None), (true, Some(end))]);
}

/// A listing that ends there would make live keys look gone, and a report idle ones.
#[tokio::test]
async fn more_pages_without_a_way_to_them_are_unknown() {
    let bench = Bench::new(vendor()).await;
    bench.mangle(vendor().list, |body| body["last_id"] = Value::Null);
    let failure = bench.provider.list().await.expect_err("there is another page");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");

    bench.mangle(("GET", REPORT), |body| body["has_more"] = true.into());
    let usage = bench.provider.usage().expect("Anthropic tells");
    let failure = usage.last_used(&bench.seeded()[0]).await.expect_err("there is another page");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
}

/// Nothing is done that the answer does not show.
#[tokio::test]
async fn a_status_that_stays_is_no_change_of_it() {
    let bench = Bench::new(vendor()).await;
    let id = bench.seeded()[0].clone();
    bench.mangle(vendor().delete, |body| body["status"] = "expired".into());
    let switch = bench.provider.switch().expect("keys can be switched off");
    let switched = [switch.set(&id, false).await, switch.set(&id, true).await];
    let deleted = bench.provider.delete(&crate::common::tombstone_for(&id)).await;
    for done in switched.into_iter().chain([deleted]) {
        assert!(done.as_ref().is_err_and(|failure| matches!(failure.fate, Fate::Unknown { .. })), "{done:?}");
    }
}

/// The last use is this key's own, whatever others do; it is the newest one, and hours without tokens are none.
#[tokio::test]
async fn a_last_use_is_the_keys_own_and_the_newest() {
    let bench = Bench::new(vendor()).await;
    let used = Utc::now() - TimeDelta::hours(5);
    bench.server.world().keys.all[0].used = Some(used);
    let hour = used.duration_trunc(TimeDelta::hours(1)).expect("an hour");
    let usage = bench.provider.usage().expect("Anthropic tells");
    assert_eq!(usage.last_used(&bench.seeded()[0]).await, Ok(Some(hour)));
    assert_eq!(usage.last_used(&bench.seeded()[1]).await, Ok(None), "another key was used");

    let earlier = (hour - TimeDelta::hours(20)).to_rfc3339();
    bench.mangle(("GET", REPORT), move |body| {
        let mut bucket = body["data"][0].clone();
        bucket["starting_at"] = earlier.as_str().into();
        body["data"].as_array_mut().expect("buckets").push(bucket);
    });
    assert_eq!(usage.last_used(&bench.seeded()[0]).await, Ok(Some(hour)), "not the oldest");
    let gone = usage.last_used(&KeyId::new("apikey_gone")).await;
    assert_eq!(gone.map_err(|failure| failure.refusal()), Err(Some(Refusal::Gone)), "gone is not unused");
}

/// All tokens that this key took and gave, cached or not, and nothing of the time before.
#[tokio::test]
async fn what_was_used_is_the_keys_own_since_then() {
    let bench = Bench::new(vendor()).await;
    for key in &mut bench.server.world().keys.all[..2] {
        key.used = Some(Utc::now() - TimeDelta::minutes(12));
    }
    let spend = bench.provider.spend().expect("Anthropic tells");
    for (minutes, tokens) in [(30, (Some(18), Some(5))), (10, (Some(0), Some(0)))] {
        let used = spend.since(&bench.seeded()[0], Utc::now() - TimeDelta::minutes(minutes)).await.expect("an answer");
        assert_eq!((used.input_tokens, used.output_tokens), tokens, "of the last {minutes} minutes");
    }
}
