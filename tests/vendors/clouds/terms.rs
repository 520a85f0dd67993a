//! What a key was made with goes into the next one, and is told before it is made.

use super::*;

/// A key that was made some time ago has less before it than it was made for, and its successor is made for all of it.
#[tokio::test]
async fn a_lifetime_is_counted_from_the_old_keys_making() {
    for vendor in ending() {
        let bench = Bench::new(vendor).await;
        first(&bench, |key| {
            let days = |days| TimeDelta::days(days);
            (key.made, key.expires) = (key.made - days(10), key.expires.map(|end| end - days(10)));
        });
        let (attributes, old) = (bench.provider.attributes().expect("keys end here"), id(&bench, 0));
        let had = attributes.of(&old).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert!(near(end(&had), 20), "{}: {had:?}", vendor.name);
        let kept = attributes.keep(&old).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        for like in [Like::Key(&old), Like::Gone(&kept)] {
            let planned =
                attributes.planned(Some(like), &Limits::NONE).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
            assert!(near(end(&planned), 30), "{}: {planned:?}", vendor.name);
        }
        let made = create(&bench).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert!(near(made.expires_at, 30), "{}: {:?}", vendor.name, made.expires_at);
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let ends = |id: &KeyId| listed.iter().find(|key| key.id == *id).and_then(|key| key.expires_at);
        assert!(near(ends(&old), 20) && near(ends(&made.id), 30), "{}", vendor.name);
    }
}

/// A key that ends by itself, and nobody tells how long it was made for: another one must not live for ever because of that.
#[tokio::test]
async fn a_lifetime_that_cannot_be_read_makes_no_key() {
    let made = ["CreateDate", "issued_on", "created", "createTime", "created_at"];
    for (vendor, field) in ending().into_iter().zip(made) {
        let bench = Bench::new(vendor).await;
        mangle(&bench, ("*", "*"), |body| in_field(body, field, &|told| *told = Value::Null));
        let failure = create(&bench).await.err().expect("it would have another life");
        assert!(matches!(failure.fate, Fate::NotSent { .. }), "{}: {failure}", vendor.name);
        assert_eq!(creates(&bench), 0, "{}", vendor.name);
        let attributes = bench.provider.attributes().expect("keys end here");
        assert!(attributes.keep(&id(&bench, 0)).await.is_err(), "{}", vendor.name);
    }
}

/// Before a create is sent nothing can have been made, whatever happened to what is read for it.
#[tokio::test]
async fn what_fails_before_a_create_made_nothing() {
    let single = |path: &'static str| ("GET", path);
    let reads = [
        (azure_openai::vendor(), azure_openai::vendor().list),
        (bedrock::vendor(), bedrock::vendor().list),
        (cloudflare::vendor(), single("/client/v4/user/tokens/*")),
        (datadog::vendor(), single("/api/v2/api_keys/*")),
        (datadog_application::vendor(), single("/api/v2/service_accounts/sa-1/application_keys/*")),
        (deepgram::vendor(), deepgram::vendor().list),
        (fireworks::vendor(), fireworks::vendor().list),
        (mistral::vendor(), mistral::vendor().list),
    ];
    for (vendor, read) in reads {
        for fault in [status(500), Fault::DropAfter, Fault::Html] {
            let bench = Bench::new(vendor).await;
            bench.spoil(read, 1, fault.clone());
            let failure = create(&bench).await.err().expect("nothing could be read");
            assert!(matches!(failure.fate, Fate::NotSent { .. }), "{}: {fault:?}: {failure}", vendor.name);
            assert_eq!(creates(&bench), 0, "{}: {fault:?}", vendor.name);
        }
    }
}

/// What narrows a key is a bound of it: a key without it may do more.
#[tokio::test]
async fn what_narrows_a_key_is_told() {
    let policies = json!([{ "effect": "allow", "permission_groups": [{ "id": "82e64a83756745bbbb1c9c2701bf816b" }], "resources": {} }]);
    let deny = json!({ "effect": "deny", "permission_groups": [{ "id": "e199d584e69344eba202452019deafe3" }], "resources": {} });
    let condition = json!({ "condition": { "request_ip": { "in": ["10.0.0.0/8"] } } });
    let scopes = |scopes: &[&str]| json!({ "scopes": scopes });
    let remote = |on: Value| json!({ "remote_config_read_enabled": on });
    let table = [
        (cloudflare::vendor(), "condition", condition, json!({ "condition": null })),
        (cloudflare::vendor(), "policies", json!({ "policies": [policies[0], deny] }), json!({ "policies": policies })),
        (datadog::vendor(), "remote_config_read_enabled", remote(Value::Null), remote(true.into())),
        (datadog_application::vendor(), "scopes", scopes(&["a"]), scopes(&["a", "b"])),
        (datadog_application::vendor(), "scopes", scopes(&["a"]), json!({ "scopes": null })),
        (deepgram::vendor(), "scopes", scopes(&["a"]), scopes(&["a", "b"])),
    ];
    for (vendor, name, narrow, wide) in table {
        let bench = Bench::new(vendor).await;
        let (attributes, key) = (bench.provider.attributes().expect("keys have bounds"), id(&bench, 0));
        let mut bounds = Vec::new();
        for terms in [&narrow, &wide] {
            first(&bench, |key| terms.as_object().expect("terms").iter().for_each(|(term, value)| key.more[term] = value.clone()));
            bounds.push(attributes.of(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name)));
        }
        assert_eq!(widened(&bounds[0], &bounds[1]), [name], "{}", vendor.name);
    }
    for vendor in ending() {
        let bench = Bench::new(vendor).await;
        let (attributes, key) = (bench.provider.attributes().expect("keys end here"), id(&bench, 0));
        let ends = attributes.of(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        first(&bench, |key| key.expires = None);
        let endless = attributes.of(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert_eq!(widened(&ends, &endless).len(), 1, "{}", vendor.name);
    }
}

/// A permission group's attributes belong to what it allows.
#[tokio::test]
async fn a_groups_attributes_go_into_the_next_token() {
    let bench = Bench::new(cloudflare::vendor()).await;
    first(&bench, |key| key.more["policies"][0]["permission_groups"][0]["meta"] = json!({ "key": "read-only", "value": "1" }));
    let made = create(&bench).await.unwrap_or_else(|failure| panic!("{failure}"));
    let world = bench.server.world();
    let new = world.keys.all.iter().find(|key| key.id == made.id.as_str()).expect("the new token");
    assert_eq!(new.more["policies"], world.keys.all[0].more["policies"]);
}

/// IAM's two dates may lie some seconds less than whole days apart: a key for thirty days is followed by one for thirty.
#[tokio::test]
async fn days_are_whole() {
    for (seconds, days) in [(-40, 30), (40, 30)] {
        let bench = Bench::new(bedrock::vendor()).await;
        first(&bench, |key| key.expires = key.expires.map(|end| end + TimeDelta::seconds(seconds)));
        let made = create(&bench).await.unwrap_or_else(|failure| panic!("{failure}"));
        let world = bench.server.world();
        let new = world.keys.all.iter().find(|key| key.id == made.id.as_str()).expect("the new key");
        assert_eq!(new.more["days"], days);
    }
    let bench = Bench::new(bedrock::vendor()).await;
    first(&bench, |key| key.expires = Some(key.made + TimeDelta::hours(3)));
    let failure = create(&bench).await.err().expect("IAM makes keys for whole days");
    assert!(matches!(failure.fate, Fate::NotSent { .. }) && creates(&bench) == 0, "{failure}");
}

/// A key that is made like none other is what the playbook says of it; where that is nothing, none is made.
#[tokio::test]
async fn a_first_key_is_what_the_playbook_says() {
    let shape: crate::site::Shape = |keys, call| match call.method.as_str() {
        "POST" if call.body["user_id"] != "user-7" => (StatusCode::UNPROCESSABLE_ENTITY, json!({ "detail": "for whom?" })).into(),
        _ => (mistral::vendor().shape)(keys, call),
    };
    let told = "workspace: ws-batch\nuser: user-7";
    let bench = with(Vendor { shape, ..mistral::vendor() }, "workspace: ws-default", told).await;
    let made = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let attributes = bench.provider.attributes().expect("keys have a workspace");
    assert_eq!(attributes.of(&made.id).await.expect("an answer")["workspace"], Bound::Is("ws-batch".into()));
    assert_eq!(attributes.planned(None, &Limits::NONE).await.expect("an answer")["workspace"], Bound::Is("ws-batch".into()));
    let old = id(&bench, 0);
    let planned = attributes.planned(Some(Like::Key(&old)), &Limits::NONE).await.expect("an answer");
    assert_eq!(planned["workspace"], Bound::Is("ws-prod".into()), "the old one's goes before");

    for (vendor, scopes) in [(datadog_application::vendor(), "dashboards_read"), (deepgram::vendor(), "usage:write")] {
        let bench = Bench::new(vendor).await;
        let made = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
        let bounds = bench.provider.attributes().expect("keys have scopes").of(&made.id).await.expect("an answer");
        assert_eq!(bounds["scopes"], Bound::Only(Some([scopes.to_owned()].into())), "{}", vendor.name);
    }

    let bench = Bench::new(Vendor { block: without_policies, ..cloudflare::vendor() }).await;
    let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("it has no policies");
    assert_eq!((failure.refusal(), creates(&bench)), (Some(Refusal::Invalid), 0), "{failure}");
}

fn without_policies(url: &str, admin: &str) -> String {
    let block = (cloudflare::vendor().block)(url, admin);
    block.lines().filter(|line| !line.starts_with("policies")).fold(String::new(), |block, line| block + line + "\n")
}

/// What a key without scopes may do is not said: none is made like one.
#[tokio::test]
async fn a_key_of_deepgram_without_scopes_is_followed_by_none() {
    let bench = Bench::new(deepgram::vendor()).await;
    first(&bench, |key| key.more["scopes"] = json!([]));
    let failure = create(&bench).await.err().expect("nobody knows what it may");
    assert_eq!((failure.refusal(), creates(&bench)), (Some(Refusal::Invalid), 0), "{failure}");
}

/// What an application key may do is passed on as told; where it is not told none is made, for without scopes it may what its user may.
#[tokio::test]
async fn the_scopes_of_an_application_key_are_never_guessed() {
    let path = ("GET", "/api/v2/service_accounts/sa-1/application_keys/*");
    for (scopes, told) in [(json!(["monitors_read"]), true), (json!([]), true), (Value::Null, true), (json!("all"), false)] {
        let bench = Bench::new(datadog_application::vendor()).await;
        first(&bench, |key| key.more["scopes"] = scopes.clone());
        match create(&bench).await {
            Ok(made) => {
                let world = bench.server.world();
                let new = world.keys.all.iter().find(|key| key.id == made.id.as_str()).expect("the new key");
                assert!(told && new.more["scopes"] == scopes, "{scopes}: {}", new.more);
            }
            Err(failure) => assert!(!told && matches!(failure.fate, Fate::NotSent { .. }), "{scopes}: {failure}"),
        }
    }
    let bench = Bench::new(datadog_application::vendor()).await;
    mangle(&bench, path, |body| drop(body["data"]["attributes"].as_object_mut().map(|told| told.remove("scopes"))));
    let failure = create(&bench).await.err().expect("it may everything");
    assert!(matches!(failure.fate, Fate::NotSent { .. }) && creates(&bench) == 0, "{failure}");
}
