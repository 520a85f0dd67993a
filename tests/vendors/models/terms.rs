//! What a key was made with goes into the next one.

use super::*;

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
