//! Those who serve models: what a key may spend, and for how long, goes from one key to the next, and no answer is taken for more than
//! it says.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use keyroll::{
    ids::KeyId,
    playbook::Limits,
    ports::{Attributes, Credential, Failure, Fate, Life, Like, PROMPT_TOKENS, Question, Wanted},
    protocol::{Bound, Refusal, widened},
    sandbox::server::Fault,
    secret::Secret,
};
use serde_json::{Value, json};

use crate::{
    common::tombstone_for,
    provider::ProviderBench as _,
    site::{Bench, Key, Vendor, built},
    standins::{gemini, gemini_bound, litellm, openrouter, xai},
};

/// Makes replies of this kind say something else.
fn mangle(bench: &Bench, which: (&'static str, &str), change: impl Fn(&mut Value) + Send + 'static) {
    bench.server.world().mangle = Some((which.0, which.1.to_owned(), Box::new(change)));
}

fn id(bench: &Bench, nth: usize) -> KeyId {
    KeyId::new(&bench.server.world().keys.all[nth].id)
}

fn value(bench: &Bench, nth: usize) -> Credential {
    Credential { id: None, secret: Secret::new(&bench.server.world().keys.all[nth].value) }
}

fn key(bench: &Bench, id: &KeyId) -> Key {
    bench.server.world().keys.all.iter().find(|key| key.id == id.as_str()).expect("a key").clone()
}

fn attributes(bench: &Bench) -> &dyn Attributes {
    bench.provider.attributes().expect("its keys have limits")
}

fn creates(bench: &Bench) -> usize {
    bench.server.count(bench.vendor.create.0, bench.vendor.create.1)
}

#[track_caller]
fn unknown(failure: &Failure, what: &str) {
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{what}: {failure}");
}

/// A key lives as long as the old one was made for, whatever is left of that one's time, and also when that one is gone.
#[tokio::test]
async fn a_new_key_lives_as_long_as_the_old_one_was_made_for() {
    for vendor in [litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(Vendor { seeds: 1, ..vendor }).await;
        let (old, begun) = (id(&bench, 0), Utc::now().trunc_subsecs(0));
        {
            let mut world = bench.server.world();
            world.keys.all[0].made = begun - TimeDelta::days(20);
            world.keys.all[0].expires = Some(begun + TimeDelta::days(10));
        }
        let days = |end: Option<DateTime<Utc>>| end.map(|end| (end - begun + TimeDelta::hours(1)).num_days());
        let until = |bounds: &keyroll::protocol::Bounds| match bounds.get("expires_at") {
            Some(Bound::Until(end)) => days(end.and_then(|end| DateTime::from_timestamp(end, 0))),
            other => panic!("{}: {other:?}", vendor.name),
        };
        assert_eq!(until(&attributes(&bench).of(&old).await.expect("told")), Some(10), "{}", vendor.name);
        let kept = attributes(&bench).keep(&old).await.expect("kept");
        for (name, like) in [("like", Like::Key(&old)), ("gone", Like::Gone(&kept))] {
            let planned = attributes(&bench).planned(Some(like), &Limits::NONE).await.expect("planned");
            assert_eq!(until(&planned), Some(30), "{}: {name}", vendor.name);
            let wanted = Wanted { like: Some(like), ..Wanted::named(name, name) };
            let minted = bench.provider.create(&wanted).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
            assert_eq!(days(key(&bench, &minted.id).expires), Some(30), "{}: {name}", vendor.name);
            let listed = bench.provider.list().await.expect("a listing").into_iter().find(|listed| listed.id == minted.id);
            let told = [minted.expires_at, listed.expect("it is listed").expires_at];
            assert_eq!(told.map(days), [Some(30), Some(30)], "{}: {name}", vendor.name);
        }
    }
}

/// A key that ends, of which nobody can tell how long it was made for, is followed by none: the next one would never end.
#[tokio::test]
async fn a_lifetime_that_cannot_be_read_is_not_endless() {
    let table = [
        (litellm::vendor(), ("GET", "/key/info"), "/info/created_at", Value::Null),
        (litellm::vendor(), ("GET", "/key/info"), "/info/expires", json!(1_900_000_000)),
        (openrouter::vendor(), ("GET", "/api/v1/keys/*"), "/data/created_at", json!("last week")),
        (openrouter::vendor(), ("GET", "/api/v1/keys/*"), "/data/expires_at", json!("next week")),
        (xai::vendor(), xai::vendor().list, "/apiKeys/0/createTime", Value::Null),
        (xai::vendor(), xai::vendor().list, "/apiKeys/0/expireTime", json!("next week")),
    ];
    for (vendor, which, place, says) in table {
        let bench = Bench::new(Vendor { seeds: 1, ..vendor }).await;
        bench.server.world().keys.all[0].expires = Some(Utc::now() + TimeDelta::days(10));
        let old = id(&bench, 0);
        mangle(&bench, which, move |body| *body.pointer_mut(place).expect("it was there") = says.clone());
        unknown(&attributes(&bench).of(&old).await.expect_err("it cannot be read"), place);
        assert!(attributes(&bench).keep(&old).await.is_err(), "{place}");
        assert!(
            bench.provider.create(&Wanted { like: Some(Like::Key(&old)), ..Wanted::named("new", "token-1") }).await.is_err(),
            "{place}"
        );
        assert_eq!(creates(&bench), 0, "{place}");
    }
}

/// A limit of the playbook stands in the field of its kind, with its month, and nowhere else; what is planned is what the new key then has.
#[tokio::test]
async fn the_playbooks_limits_take_the_place_of_the_old_keys() {
    let limits = Limits { monthly: Some(20.0), requests_per_minute: Some(60), ..Limits::NONE };
    let table = [
        (litellm::vendor(), json!({ "budget_duration": "7d" }), json!({ "max_budget": 20.0, "budget_duration": "1mo", "rpm_limit": 60 })),
        (openrouter::vendor(), json!({ "limit_reset": "weekly" }), json!({ "limit": 20.0, "limit_reset": "monthly" })),
        (xai::vendor(), json!({}), json!({ "qpm": 60 })),
    ];
    for (vendor, had, gets) in table {
        let bench = Bench::new(vendor).await;
        let old = id(&bench, 0);
        let mut more = {
            let mut world = bench.server.world();
            let more = &mut world.keys.all[0].more;
            had.as_object().expect("fields").iter().for_each(|(name, value)| more[name] = value.clone());
            more.clone()
        };
        gets.as_object().expect("fields").iter().for_each(|(name, value)| more[name] = value.clone());
        let planned = attributes(&bench).planned(Some(Like::Key(&old)), &limits).await.expect("planned");
        let wanted = Wanted { like: Some(Like::Key(&old)), limits: &limits, ..Wanted::named("new", "token-1") };
        let minted = bench.provider.create(&wanted).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert_eq!(key(&bench, &minted.id).more, more, "{}", vendor.name);
        let has = attributes(&bench).of(&minted.id).await.expect("told");
        assert_eq!((widened(&planned, &has), widened(&has, &planned)), (vec![], vec![]), "{}: {planned:?}, {has:?}", vendor.name);
    }
}

/// Where the old key's limits are not all told, no key is made: a limit that is missing in an answer is not "without limit".
#[tokio::test]
async fn a_limit_that_is_not_told_is_not_without_limit() {
    const LITELLM: [&str; 12] = [
        "models",
        "permissions",
        "metadata",
        "max_parallel_requests",
        "tpm_limit",
        "rpm_limit",
        "max_budget",
        "budget_duration",
        "model_max_budget",
        "allowed_routes",
        "spend",
        "expires",
    ];
    let table = [
        (litellm::vendor(), ("GET", "/key/info"), "/info", LITELLM.as_slice()),
        (openrouter::vendor(), ("GET", "/api/v1/keys/*"), "/data", ["limit", "limit_reset"].as_slice()),
    ];
    for (vendor, which, within, fields) in table {
        let bench = Bench::new(Vendor { seeds: 1, ..vendor }).await;
        let old = id(&bench, 0);
        for field in fields {
            let (within, field) = (within.to_owned(), (*field).to_owned());
            let what = format!("{} without {field}", bench.vendor.name);
            mangle(&bench, which, move |body| {
                body.pointer_mut(&within).and_then(Value::as_object_mut).expect("fields").remove(&field).expect("it was there");
            });
            unknown(&attributes(&bench).of(&old).await.expect_err("it is not told"), &what);
            assert!(attributes(&bench).planned(Some(Like::Key(&old)), &Limits::NONE).await.is_err(), "{what}");
            let wanted = Wanted { like: Some(Like::Key(&old)), ..Wanted::named("new", "token-1") };
            let failure = bench.provider.create(&wanted).await.err().expect("it would have no such limit");
            assert!(matches!(failure.fate, Fate::NotSent { .. }), "{what}: {failure}");
        }
        assert_eq!(creates(&bench), 0);
    }
}

/// A number that cannot be read is no limit that could be shown or compared.
#[tokio::test]
async fn a_rate_of_xai_that_is_no_number_is_unknown() {
    let bench = Bench::new(xai::vendor()).await;
    bench.server.world().keys.all[0].more["tpm"] = json!("many");
    let old = id(&bench, 0);
    unknown(&attributes(&bench).of(&old).await.expect_err("no number"), "of");
    unknown(&attributes(&bench).planned(Some(Like::Key(&old)), &Limits::NONE).await.expect_err("no number"), "planned");
}

/// An answer that does not say that this very key is deleted leaves its deletion unknown.
#[tokio::test]
async fn a_delete_is_done_only_when_it_is_said() {
    let says: [fn(&mut Value); 2] = [|body| body["deleted"] = false.into(), |body| body["deleted_keys"] = json!(["another"])];
    for (vendor, change) in [openrouter::vendor(), litellm::vendor()].into_iter().zip(says) {
        let bench = Bench::new(vendor).await;
        mangle(&bench, vendor.delete, change);
        unknown(&bench.provider.delete(&tombstone_for(&id(&bench, 0))).await.expect_err("it is not said"), vendor.name);
    }
}

/// An operation of Google's that ends in an error did not do what was asked for; only some errors say that for certain.
#[tokio::test]
async fn an_operation_of_google_that_failed_is_not_done() {
    let told = [
        (json!({ "code": 9 }), Some(Refusal::Invalid)),
        (json!({ "code": 5 }), Some(Refusal::Gone)),
        (json!({ "code": 10 }), Some(Refusal::Conflict)),
        (json!({ "code": 7 }), Some(Refusal::Denied)),
        (json!({ "code": 2 }), None),
        (json!({ "code": 4 }), None),
        (json!({ "code": 13 }), None),
        (json!({ "code": 14 }), None),
        // It ended, and says neither.
        (Value::Null, None),
    ];
    for (error, why) in told {
        let bench = Bench::new(gemini::vendor()).await;
        let what = error.to_string();
        mangle(&bench, ("GET", "/v2/operations/*"), move |body| {
            *body = json!({ "name": "operations/akmf.1", "done": true, "error": error })
        });
        let deleted = bench.provider.delete(&tombstone_for(&id(&bench, 0))).await.expect_err("it failed");
        let created = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("it failed");
        for failure in [deleted, created] {
            assert_eq!(failure.refusal(), why, "{what}: {failure}");
            assert!(why.is_some() || matches!(failure.fate, Fate::Unknown { .. }), "{what}: {failure}");
        }
    }
}

/// Google goes on showing a deleted key to those who name it: that is no key to delete, and its second deletion is not sent.
#[tokio::test]
async fn a_key_that_google_shows_as_deleted_is_gone() {
    let bench = Bench::new(gemini::vendor()).await;
    let tombstone = tombstone_for(&id(&bench, 0));
    bench.provider.delete(&tombstone).await.unwrap_or_else(|failure| panic!("{failure}"));
    let failure = bench.provider.delete(&tombstone).await.expect_err("it is gone");
    assert_eq!(failure.refusal(), Some(Refusal::Gone), "{failure}");
    assert_eq!(bench.server.count(bench.vendor.delete.0, bench.vendor.delete.1), 1);
}

/// A prompt costs no more than it must: the model that was asked for, few tokens, and a stream only where one is wanted.
#[tokio::test]
async fn a_prompt_asks_for_what_was_asked() {
    let table = [
        (litellm::vendor(), "/v1/chat/completions", "max_tokens"),
        (openrouter::vendor(), "/api/v1/chat/completions", "max_tokens"),
        (xai::vendor(), "/v1/chat/completions", "max_completion_tokens"),
    ];
    for (vendor, path, most) in table {
        let bench = Bench::new(vendor).await;
        let prompt = bench.provider.prompt().expect("it can be asked");
        for stream in [false, true] {
            prompt.prompt(&value(&bench, 0), &Question { model: vendor.model, stream }).await.expect("an answer");
        }
        let told = bench.server.bodies("POST", path);
        let told: Vec<_> = told.iter().map(|body| (body["model"].as_str(), body[most].as_u64(), body["stream"] == true)).collect();
        let most = Some(u64::from(PROMPT_TOKENS));
        assert_eq!(told, [(Some(vendor.model), most, false), (Some(vendor.model), most, true)], "{}", vendor.name);
    }
    let bench = Bench::new(gemini::vendor()).await;
    let prompt = bench.provider.prompt().expect("it can be asked");
    for (model, stream) in [("gemini-2.5-pro", false), ("models/gemini-2.5-pro", true)] {
        prompt.prompt(&value(&bench, 0), &Question { model, stream }).await.expect("an answer");
    }
    for verb in ["generateContent", "streamGenerateContent"] {
        let told = bench.server.bodies("POST", &format!("/v1beta/models/gemini-2.5-pro:{verb}"));
        assert_eq!(told.len(), 1, "{verb}");
        assert_eq!(told[0]["generationConfig"]["maxOutputTokens"], PROMPT_TOKENS, "{verb}");
    }
}

/// A key that is switched off or blocked comes back: it is not dead, and it does not work.
#[tokio::test]
async fn a_key_that_is_switched_off_is_not_dead() {
    for vendor in [litellm::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        bench.provider.switch().expect("a switch").set(&id(&bench, 0), false).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Unclear), "{}", vendor.name);
        let prompt = bench.provider.prompt().expect("it can be asked");
        let spoken = prompt.prompt(&value(&bench, 0), &Question { model: vendor.model, stream: false }).await.expect("an answer");
        assert_eq!(spoken.life, Life::Unclear, "{}", vendor.name);
    }
    let bench = Bench::new(xai::vendor()).await;
    for blocked in ["api_key_blocked", "team_blocked"] {
        mangle(&bench, bench.vendor.probe, move |body| body[blocked] = true.into());
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Unclear), "{blocked}");
    }
}

/// What can be no key of the vendor's at all is as dead as one that was deleted.
#[tokio::test]
async fn a_value_that_was_never_a_key_is_dead() {
    for vendor in [gemini::vendor(), litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        assert_eq!(bench.provider.probe(&bench.stranger()).await, Ok(Life::Dead), "{}", vendor.name);
    }
}

/// "Unauthenticated" is what Google says of a bound key that is none; a standard one it calls invalid, and of that one it says nothing so.
#[tokio::test]
async fn a_key_of_google_dies_by_the_word_of_its_kind_alone() {
    let shape: crate::site::Shape = |_, _| {
        let error = json!({ "code": 401, "message": "Request had invalid authentication credentials.", "status": "UNAUTHENTICATED" });
        (axum::http::StatusCode::UNAUTHORIZED, json!({ "error": error })).into()
    };
    for (vendor, life) in [(gemini::vendor(), Life::Unclear), (gemini_bound::vendor(), Life::Dead)] {
        let bench = Bench::new(Vendor { shape, ..vendor }).await;
        assert_eq!(bench.provider.probe(&value(&bench, 0)).await, Ok(life));
    }
}

/// OpenRouter, asked for the keys of one workspace.
fn workspace() -> Vendor {
    Vendor {
        block: |url, admin| format!("management_key: {admin}\nworkspace: ws-1\nbase_url: \"{url}/api/v1\""),
        seeds: 3,
        ..openrouter::vendor()
    }
}

/// The keys of other workspaces are none of ours, and a key stays in the workspace of the one that it is like.
#[tokio::test]
async fn a_key_of_openrouter_is_made_in_its_workspace() {
    let bench = Bench::new(workspace()).await;
    bench.server.world().keys.all[1].more["workspace_id"] = "ws-1".into();
    let (elsewhere, ours) = (id(&bench, 0), id(&bench, 1));
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.iter().map(|key| &key.id).collect::<Vec<_>>(), [&ours]);
    let kept = attributes(&bench).keep(&elsewhere).await.expect("kept");
    let table = [
        (None, "ws-1"),
        (Some(Like::Key(&ours)), "ws-1"),
        (Some(Like::Key(&elsewhere)), "0df9e665"),
        (Some(Like::Gone(&kept)), "0df9e665"),
    ];
    for (like, workspace) in table {
        let minted = bench.provider.create(&Wanted { like, ..Wanted::named("new", "token-1") }).await.expect("a key");
        assert_eq!(key(&bench, &minted.id).more["workspace_id"], workspace, "{like:?}");
    }
}

/// Where OpenRouter's hash is not the value's digest, what is shown of it must be one key's alone, and enough.
#[tokio::test]
async fn a_label_of_openrouter_proves_one_key_or_none() {
    let bench = Bench::new(Vendor { seeds: 3, ..openrouter::vendor() }).await;
    (0..3).for_each(|nth| bench.server.world().keys.all[nth].id = format!("hash-{nth}"));
    let listed = bench.provider.list().await.expect("a listing");
    let proved = async |nth: usize, listed| {
        bench.provider.identify(&value(&bench, nth), listed).await.expect("an answer").map(|(id, _)| id.as_str().to_owned())
    };
    assert_eq!(proved(1, &listed).await.as_deref(), Some("hash-1"));
    assert_eq!(proved(1, &listed[..1]).await, None, "it is not among those that are asked for");
    let (alike, like) = {
        let mut world = bench.server.world();
        let value = world.keys.all[1].value.clone();
        world.keys.all[2].value = format!("{}-other-{}", &value[..12], &value[value.len() - 3..]);
        (1, 2)
    };
    assert_eq!((proved(alike, &listed).await, proved(like, &listed).await), (None, None), "two are shown alike");
    let tail = bench.server.world().keys.all[0].value[47..].to_owned();
    mangle(&bench, bench.vendor.list, move |body| body["data"][0]["label"] = format!("sk-or-v1-...{tail}").into());
    assert_eq!(proved(0, &listed).await, None, "two characters tell no keys apart");
}

/// Two keys of xAI that are shown alike are told apart by what xAI tells each of itself, and never by a guess.
#[tokio::test]
async fn keys_of_xai_that_look_alike_tell_which_they_are() {
    let bench = Bench::new(Vendor { seeds: 3, ..xai::vendor() }).await;
    let other = {
        let mut world = bench.server.world();
        let first = world.keys.all[0].value.clone();
        world.keys.all[1].value = format!("xai-other{}", &first[first.len() - 4..]);
        KeyId::new(&world.keys.all[1].id)
    };
    let listed = bench.provider.list().await.expect("a listing");
    let proof = bench.provider.identify(&value(&bench, 1), &listed).await.expect("an answer");
    assert_eq!(proof.map(|(id, _)| id), Some(other));
    assert_eq!(bench.provider.identify(&value(&bench, 1), &listed[2..]).await, Ok(None), "it is not among those that are asked for");
    bench.spoil(bench.vendor.probe, 1, Fault::Status { code: 500, retry_after: None });
    assert!(bench.provider.identify(&value(&bench, 1), &listed).await.is_err(), "a failure is no proof that it is nobody's");
}

/// A value that cannot be read again is not another key's, and one that is gone since it was listed stops no search.
#[tokio::test]
async fn a_value_of_google_that_cannot_be_read_proves_nothing() {
    let bench = Bench::new(gemini::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let last = listed.len() - 1;
    for code in [403, 500] {
        bench.spoil(("GET", "/v2/projects/prod-1/locations/global/keys/*/keyString"), 1, Fault::Status { code, retry_after: None });
        let stranger = bench.provider.identify(&bench.stranger(), &listed).await;
        assert!(stranger.is_err(), "{code}: it may be the key that could not be read");
    }
    bench.server.world().keys.delete(listed[0].id.as_str());
    let proof = bench.provider.identify(&value(&bench, last), &listed).await.expect("an answer");
    assert_eq!(proof.map(|(id, _)| id), Some(listed[last].id.clone()));
}

/// What own keys at other providers cost counts as use, and so does the cheapest call.
#[tokio::test]
async fn openrouters_counter_misses_no_use() {
    let bench = Bench::new(openrouter::vendor()).await;
    let counter = bench.provider.counter().expect("it tells what was spent");
    for (usage, byok, reading) in [(1.0, 0.0, 1_000_000_000), (1.0, 0.5, 1_500_000_000), (1.000_000_4, 0.0, 1_000_000_400)] {
        mangle(&bench, ("GET", "/api/v1/keys/*"), move |body| {
            (body["data"]["usage"], body["data"]["byok_usage"]) = (usage.into(), byok.into());
        });
        assert_eq!(counter.reading(&id(&bench, 0)).await, Ok(reading), "{usage} and {byok}");
    }
}

/// A key that was deleted while pages were read would hide another one: then the listing is none.
#[tokio::test]
async fn a_listing_of_litellm_that_lacks_a_key_is_none() {
    let bench = Bench::new(litellm::vendor()).await;
    mangle(&bench, bench.vendor.list, |body| body["total_count"] = (body["total_count"].as_u64().expect("a count") + 1).into());
    unknown(&bench.provider.list().await.expect_err("one is missing"), "list");
}

/// LiteLLM tells of deleted keys from its archive: a key that is only there has no limits, no use and no successor.
#[tokio::test]
async fn a_key_in_litellms_archive_is_gone() {
    let bench = Bench::new(litellm::vendor()).await;
    let gone = id(&bench, 0);
    assert!(bench.server.world().keys.delete(gone.as_str()));
    let port = attributes(&bench);
    let of = port.of(&gone).await.map(drop);
    let keep = port.keep(&gone).await.map(drop);
    let used = bench.provider.usage().expect("it tells use").last_used(&gone).await.map(drop);
    let made = bench.provider.create(&Wanted { like: Some(Like::Key(&gone)), ..Wanted::named("new", "token-1") }).await.map(drop);
    for told in [of, keep, used, made] {
        assert_eq!(told.map_err(|failure| failure.refusal()), Err(Some(Refusal::Gone)));
    }
    assert_eq!(creates(&bench), 0);
}

/// A LiteLLM that is too old to tell the last use does not tell that there was none.
#[tokio::test]
async fn a_last_use_that_litellm_does_not_tell_is_not_never() {
    let bench = Bench::new(litellm::vendor()).await;
    let (usage, old) = (bench.provider.usage().expect("it tells use"), id(&bench, 0));
    assert_eq!(usage.last_used(&old).await, Ok(None));
    let used = Utc::now().trunc_subsecs(0) - TimeDelta::days(3);
    bench.server.world().keys.all[0].used = Some(used);
    assert_eq!(usage.last_used(&old).await, Ok(Some(used)));
    mangle(&bench, ("GET", "/key/info"), |body| drop(body["info"].as_object_mut().expect("fields").remove("last_active")));
    unknown(&usage.last_used(&old).await.expect_err("it is not told"), "without last_active");
}

/// What a key may reach that is not shown may be anything: no key is made like it.
#[tokio::test]
async fn permissions_that_litellm_does_not_show_are_not_all_permissions() {
    let bench = Bench::new(litellm::vendor()).await;
    mangle(&bench, ("GET", "/key/info"), |body| body["info"]["object_permission"] = Value::Null);
    let old = id(&bench, 0);
    unknown(&attributes(&bench).of(&old).await.expect_err("it is not shown"), "of");
    assert!(bench.provider.create(&Wanted { like: Some(Like::Key(&old)), ..Wanted::named("new", "token-1") }).await.is_err());
    assert_eq!(creates(&bench), 0);
}

/// A rotation gives no new budget: what the old key spent of it is spent, also when that one is gone.
#[tokio::test]
async fn what_is_spent_of_a_budget_stays_spent() {
    let bench = Bench::new(litellm::vendor()).await;
    let old = id(&bench, 0);
    let kept = attributes(&bench).keep(&old).await.expect("kept");
    for (name, like) in [("like", Like::Key(&old)), ("gone", Like::Gone(&kept))] {
        let minted = bench.provider.create(&Wanted { like: Some(like), ..Wanted::named(name, name) }).await.expect("a key");
        assert!((key(&bench, &minted.id).spent - 12.5).abs() < 1e-9, "{name}");
    }
}

/// Every place of LiteLLM's that may hold somebody's credential goes into the next key, and neither into the journal nor into a plan.
#[tokio::test]
async fn each_place_for_credentials_is_named_and_not_kept() {
    const SECRET: &str = "sk-lf-7c1e90ab";
    let bench = Bench::new(litellm::vendor()).await;
    let old = id(&bench, 0);
    {
        let mut world = bench.server.world();
        let more = &mut world.keys.all[0].more;
        more["config"] = json!({ "api_key": SECRET });
        more["router_settings"] = json!({ "redis_password": SECRET });
        more["metadata"]["logging"] = json!([{ "callback_vars": { "langfuse_secret_key": SECRET } }]);
        more["metadata"]["callback_settings"] = json!({ "callback_vars": { "langfuse_secret_key": SECRET } });
    }
    let places = ["config", "router_settings", "metadata.logging", "metadata.callback_settings"];
    let kept = attributes(&bench).keep(&old).await.expect("kept");
    assert!(!format!("{kept:?}").contains(SECRET), "a credential is written down");
    assert_eq!(kept.without, places);
    let bounds = attributes(&bench).of(&old).await.expect("told");
    assert!(!format!("{bounds:?}").contains(SECRET), "a credential is shown");
    assert!(places.iter().all(|place| bounds.contains_key(*place)), "{:?}", bounds.keys());
    let minted = bench.provider.create(&Wanted { like: Some(Like::Key(&old)), ..Wanted::named("new", "token-1") }).await.expect("a key");
    assert_eq!(key(&bench, &minted.id).more, key(&bench, &old).more);
}

/// The same month, whichever way LiteLLM writes it: a budget of `1mo` is not wider than one of `30d`.
#[tokio::test]
async fn two_names_of_a_month_are_one_budget() {
    let bench = Bench::new(litellm::vendor()).await;
    let old = id(&bench, 0);
    let limits = Limits { monthly: Some(20.0), ..Limits::NONE };
    let had = attributes(&bench).of(&old).await.expect("told");
    let planned = attributes(&bench).planned(Some(Like::Key(&old)), &limits).await.expect("planned");
    assert_eq!(widened(&had, &planned), Vec::<String>::new(), "{had:?}, {planned:?}");
}

/// A list of services with nothing in it forbids nothing, so a key that names one is narrower.
#[tokio::test]
async fn an_empty_restriction_of_google_is_none() {
    let bench = Bench::new(gemini::vendor()).await;
    bench.server.world().keys.all[0].more["restrictions"]["apiTargets"] = json!([]);
    let bounds = attributes(&bench).of(&id(&bench, 0)).await.expect("told");
    assert_eq!(bounds.get("apiTargets"), Some(&Bound::Only(None)));
    assert!(widened(&attributes(&bench).of(&id(&bench, 1)).await.expect("told"), &bounds).contains(&"apiTargets".to_owned()));
}

/// Google owes nobody an order of an answer's fields: the same restriction in another order is not a wider one.
#[tokio::test]
async fn the_order_of_fields_is_no_restriction_of_google() {
    let bench = Bench::new(gemini::vendor()).await;
    let service = "generativelanguage.googleapis.com";
    for (nth, target) in
        [json!({ "service": service, "methods": ["Get*"] }), json!({ "methods": ["Get*"], "service": service })].iter().enumerate()
    {
        bench.server.world().keys.all[nth].more["restrictions"]["apiTargets"] = json!([target]);
    }
    let port = attributes(&bench);
    let (one, other) = (port.of(&id(&bench, 0)).await.expect("told"), port.of(&id(&bench, 1)).await.expect("told"));
    assert_eq!((widened(&one, &other), widened(&other, &one)), (vec![], vec![]), "{one:?}, {other:?}");
}

/// The first key of a project may call what the playbook says, as the account that it names, and nothing else.
#[tokio::test]
async fn a_first_key_of_google_is_restricted() {
    for (vendor, account) in [(gemini::vendor(), Value::Null), (gemini_bound::vendor(), json!("app@prod-1.iam.gserviceaccount.com"))] {
        let bench = Bench::new(vendor).await;
        let minted = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
        let more = key(&bench, &minted.id).more;
        assert_eq!(more["restrictions"], json!({ "apiTargets": [{ "service": "generativelanguage.googleapis.com" }] }));
        assert_eq!(more["serviceAccountEmail"], account);
    }
}

/// A key of xAI that may do nothing is not made, whether the playbook or the old key says so.
#[tokio::test]
async fn a_key_of_xai_without_rights_is_not_made() {
    let without = Vendor {
        block: |url, admin| {
            format!("team: c9a0c990-53e6-491e-8df7-b9f18e6983ac\nmanagement_key: {admin}\nbase_url: \"{url}\"\nwork_url: \"{url}/v1\"")
        },
        ..xai::vendor()
    };
    let bench = Bench::new(without).await;
    bench.server.world().keys.all[0].more["acls"] = json!([]);
    let old = id(&bench, 0);
    for like in [None, Some(Like::Key(&old))] {
        let failure = bench.provider.create(&Wanted { like, ..Wanted::named("new", "token-1") }).await.err().expect("it could do nothing");
        assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{failure}");
    }
    assert_eq!(creates(&bench), 0, "refused before the effect");
}

/// xAI shows keys in their listing alone: one that is not there is gone, and not only unknown.
#[tokio::test]
async fn a_key_that_xai_does_not_list_is_gone() {
    let bench = Bench::new(xai::vendor()).await;
    let gone = KeyId::new("fe15b799-32e1-4d02-none");
    assert_eq!(attributes(&bench).of(&gone).await.map_err(|failure| failure.refusal()), Err(Some(Refusal::Gone)));
}

/// What `reconcile` and a settling go by is told as the vendor tells it.
#[tokio::test]
async fn a_listing_tells_when_a_key_was_made_and_used() {
    for vendor in [gemini::vendor(), litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        let (made, used) = (Utc::now().trunc_subsecs(0) - TimeDelta::days(40), Utc::now().trunc_subsecs(0) - TimeDelta::days(2));
        {
            let mut world = bench.server.world();
            (world.keys.all[0].made, world.keys.all[0].used) = (made, Some(used));
        }
        if vendor.name == "openrouter" {
            mangle(&bench, vendor.list, move |body| body["data"][0]["last_used_at"] = used.to_rfc3339().into());
        }
        let listed = bench.provider.list().await.expect("a listing").into_iter().find(|key| key.id == id(&bench, 0)).expect("listed");
        assert_eq!(listed.created_at, Some(made), "{}", vendor.name);
        let tells = matches!(vendor.name, "litellm" | "openrouter");
        assert_eq!(listed.last_used, Some(used).filter(|_| tells), "{}", vendor.name);
        let minted = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(minted.created_at, Some(key(&bench, &minted.id).made), "{}", vendor.name);
    }
}

/// A block that would make a key for everything, or that leads out of its path, is refused before anything is called.
#[test]
fn a_block_that_reaches_too_far_is_refused() {
    for (name, block, says) in [
        ("gemini", "project: prod-1\ntoken: env:ADMIN\nservices: []", "services"),
        ("gemini", "project: ..\ntoken: env:ADMIN", "project"),
        ("xai", "team: ..\nmanagement_key: env:ADMIN", "team"),
    ] {
        let Err(fault) = built(name, block) else { panic!("{block}: built") };
        assert!(fault.what.contains(says), "{block}: {}", fault.what);
    }
}

/// A switch is set only when the vendor's answer says so; what it says else, or a page in its place, leaves it unknown.
#[tokio::test]
async fn a_switch_is_set_only_when_it_is_said() {
    let table: [(Vendor, (&'static str, &str), &str); 3] = [
        (litellm::vendor(), ("POST", "/key/block"), "/blocked"),
        (openrouter::vendor(), ("PATCH", "/api/v1/keys/*"), "/data/disabled"),
        (xai::vendor(), ("PUT", "/auth/api-keys/*"), "/disabled"),
    ];
    for (vendor, which, place) in table {
        let bench = Bench::new(vendor).await;
        let (switch, old) = (bench.provider.switch().expect("a switch"), id(&bench, 0));
        bench.spoil(which, 1, Fault::Html);
        unknown(&switch.set(&old, false).await.expect_err("a page is no word"), vendor.name);
        assert!(key(&bench, &old).enabled, "{}", vendor.name);
        let place = place.to_owned();
        mangle(&bench, which, move |body| *body.pointer_mut(&place).expect("it was there") = false.into());
        unknown(&switch.set(&old, false).await.expect_err("it says that the key is on"), vendor.name);
    }
}

/// A page in the place of xAI's empty answer is no deletion.
#[tokio::test]
async fn a_page_of_xai_is_no_deletion() {
    let bench = Bench::new(xai::vendor()).await;
    let old = id(&bench, 0);
    bench.spoil(bench.vendor.delete, 1, Fault::Html);
    unknown(&bench.provider.delete(&tombstone_for(&old)).await.expect_err("it is there still"), "delete");
    assert!(key(&bench, &old).live());
}

/// An id that leads out of its place names no other key: it is one name, whatever stands in it.
#[tokio::test]
async fn an_id_with_a_slash_names_no_other_key() {
    for vendor in [gemini::vendor(), litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        let old = id(&bench, 0);
        for odd in [format!("none/../{old}"), format!("{old}?all=true"), format!("{old}#")] {
            let failure = bench.provider.delete(&tombstone_for(&KeyId::new(&odd))).await.expect_err("there is no such key");
            assert_eq!(failure.refusal(), Some(Refusal::Gone), "{}: {odd}: {failure}", vendor.name);
        }
        assert!(key(&bench, &old).live(), "{}", vendor.name);
    }
}

/// A credential that may not, or a vendor that does not answer, is found before a rotation and not in it.
#[tokio::test]
async fn a_check_that_is_not_let_in_says_what_to_do() {
    for vendor in [gemini::vendor(), litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        for (code, unreachable) in [(401, false), (403, false), (404, false), (503, true)] {
            bench.spoil(vendor.list, 1, Fault::Status { code, retry_after: None });
            let problems = bench.provider.check().await.expect_err("a problem");
            assert_eq!(problems.iter().map(|problem| problem.unreachable).collect::<Vec<_>>(), [unreachable], "{}: {code}", vendor.name);
            assert!(!problems[0].hint.is_empty(), "{}: {code}", vendor.name);
        }
    }
}

/// xAI writes `disabled` as a boolean and as its text: a key is off in the listing either way, and is switched either way.
#[tokio::test]
async fn a_switch_of_xai_is_read_in_both_forms() {
    let bench = Bench::new(Vendor { seeds: 2, ..xai::vendor() }).await;
    let switch = bench.provider.switch().expect("a switch");
    for nth in [0, 1] {
        for on in [false, true] {
            switch.set(&id(&bench, nth), on).await.unwrap_or_else(|failure| panic!("{failure}"));
            let listed = bench.provider.list().await.expect("a listing");
            assert_eq!(listed[nth].enabled, on, "{}", key(&bench, &listed[nth].id).name);
        }
    }
}

/// What a plan shows of a key is what the vendor tells of it, each limit by its name.
#[tokio::test]
async fn what_a_key_may_do_is_told_whole() {
    let only = |all: &[&str]| Bound::Only(Some(all.iter().map(|one| (*one).to_owned()).collect()));
    let service = r#"{"methods":["Get*","GenerateContent"],"service":"generativelanguage.googleapis.com"}"#;
    let table = [
        (gemini::vendor(), vec![("apiTargets", only(&[service])), ("serverKeyRestrictions", only(&["192.0.2.0/24"]))]),
        (
            litellm::vendor(),
            vec![
                ("models", only(&["gpt-4o-mini", "text-embedding-3-small"])),
                ("allowed_routes", only(&["/chat/completions"])),
                ("max_budget in USD (1mo)", Bound::Most(Some(50.0))),
                ("rpm_limit", Bound::Most(Some(600.0))),
                ("tpm_limit", Bound::Most(Some(100_000.0))),
                ("max_parallel_requests", Bound::Most(Some(20.0))),
                ("team_id", Bound::Is("team-a".into())),
            ],
        ),
        (
            openrouter::vendor(),
            vec![
                ("limit in USD (monthly)", Bound::Most(Some(50.0))),
                ("include_byok_in_limit", Bound::Is("true".into())),
                ("workspace", Bound::Is("0df9e665".into())),
                ("expires_at", Bound::Until(None)),
            ],
        ),
        (
            xai::vendor(),
            vec![
                ("acls", only(&["api-key:endpoint:chat", "api-key:model:grok-4"])),
                ("qps", Bound::Most(Some(5.0))),
                ("qpm", Bound::Most(Some(100.0))),
                ("tpm", Bound::Most(Some(100_000.0))),
            ],
        ),
    ];
    for (vendor, bounds) in table {
        let bench = Bench::new(vendor).await;
        let told = attributes(&bench).of(&id(&bench, 0)).await.expect("told");
        for (name, bound) in bounds {
            assert_eq!(told.get(name), Some(&bound), "{}: {name}", vendor.name);
        }
    }
}

/// A plan says which of a playbook's limits the vendor itself will hold a key to.
#[tokio::test]
async fn it_is_told_which_limits_a_key_is_given() {
    for (vendor, told) in [
        (gemini::vendor(), (false, false)),
        (litellm::vendor(), (true, true)),
        (openrouter::vendor(), (true, false)),
        (xai::vendor(), (false, true)),
    ] {
        let enforces = Bench::new(vendor).await.provider.enforces();
        assert_eq!((enforces.monthly, enforces.rate, enforces.alerts), (told.0, told.1, false), "{}", vendor.name);
    }
}

/// A key that cannot be sent in a header is said to be unfit, and nothing of it is shown.
#[tokio::test]
async fn a_key_of_google_with_a_newline_is_not_sent() {
    let bench = Bench::new(gemini::vendor()).await;
    let broken = Credential { id: None, secret: Secret::new("AIzaSy-with-a\nnewline") };
    let failure = bench.provider.probe(&broken).await.expect_err("no header holds it");
    assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{failure}");
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("newline")) && !format!("{failure:?}").contains("AIzaSy"));
    assert_eq!(bench.server.requests(), []);
}

/// The limits and the cost of another key are not this key's.
#[tokio::test]
async fn what_openrouter_tells_of_another_key_is_not_this_keys() {
    let bench = Bench::new(openrouter::vendor()).await;
    let old = id(&bench, 0);
    mangle(&bench, ("GET", "/api/v1/keys/*"), |body| body["data"]["hash"] = "another".into());
    unknown(&attributes(&bench).of(&old).await.expect_err("it is another key's"), "of");
    unknown(&bench.provider.counter().expect("it tells what was spent").reading(&old).await.expect_err("it is another key's"), "reading");
    assert!(bench.provider.create(&Wanted { like: Some(Like::Key(&old)), ..Wanted::named("new", "token-1") }).await.is_err());
    assert_eq!(creates(&bench), 0);
}

/// What a person types takes the value and the id from where the vendor's answer has them, and deletes this very key.
#[tokio::test]
async fn by_hand_a_key_is_found_in_the_vendors_answer() {
    for vendor in [litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        let answer = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
        let seen = answer.clone();
        mangle(&bench, vendor.create, move |body| *seen.lock().expect("not poisoned") = body.clone());
        let minted = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
        let hands = bench.provider.by_hand(Some(&minted.id));
        let places = hands.create[1].split("jq -r ").skip(1).map(|rest| rest.split(')').next().unwrap_or_default().replace('.', "/"));
        let answer = answer.lock().expect("not poisoned").clone();
        let found: Vec<_> = places.map(|place| answer.pointer(&place).and_then(Value::as_str).map(str::to_owned)).collect();
        assert!(found == [Some(minted.secret.reveal().to_owned()), Some(minted.id.to_string())], "{}: {}", vendor.name, hands.create[1]);
        let revoke = &hands.revoke[0];
        assert!(revoke.contains(minted.id.as_str()) && revoke.contains(&format!("-X {}", vendor.delete.0)), "{}: {revoke}", vendor.name);
    }
}
