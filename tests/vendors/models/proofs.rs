//! Which key a value is, and what is told of its use.

use super::*;

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
