//! A listing is whole, or none.

use super::*;

/// However few keys a page has, the listing goes on until it is whole; one that holds fewer than it counts is none.
#[tokio::test]
async fn a_listing_is_whole_or_none() {
    for (vendor, count) in [(cloudflare::vendor(), "total_count"), (fireworks::vendor(), "totalSize")] {
        let bench = Bench::new(Vendor { page: 20, seeds: 45, ..vendor }).await;
        assert_eq!(bench.provider.list().await.map(|listed| listed.len()), Ok(45), "{}", vendor.name);
        mangle(&bench, vendor.list, move |body| in_field(body, count, &|told| *told = 46.into()));
        assert!(bench.provider.list().await.is_err(), "{}: one is missing", vendor.name);
        mangle(&bench, vendor.list, |body| {
            for items in ["result", "apiKeys"] {
                in_field(body, items, &|told| *told = json!([]));
            }
            in_field(body, "nextPageToken", &|token| *token = "".into());
        });
        assert!(bench.provider.list().await.is_err(), "{}: all are missing", vendor.name);
    }
    let bench = Bench::new(Vendor { page: 20, seeds: 45, ..mistral::vendor() }).await;
    assert_eq!(bench.provider.list().await.map(|listed| listed.len()), Ok(45));
    let shape: crate::site::Shape = |keys, call| {
        let mut deaf = copied(call);
        deaf.query.remove("offset");
        (mistral::vendor().shape)(keys, &deaf)
    };
    let bench = Bench::new(Vendor { page: 20, seeds: 45, shape, ..mistral::vendor() }).await;
    assert!(bench.provider.list().await.is_err(), "the same page again is no end");
}

fn copied(call: &Call) -> Call {
    Call {
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        lists: call.lists.clone(),
        headers: call.headers.clone(),
        body: call.body.clone(),
    }
}

/// IAM's listing as it comes in pages of one key, beside credentials for another service, which only a call for all services is shown.
fn in_pages(keys: &mut Keys, call: &Call) -> Answer {
    let (status, mut body) = match (bedrock::vendor().shape)(keys, call) {
        Answer::Json(status, body) if call.body["Action"] == "ListServiceSpecificCredentials" => (status, body),
        other => return other,
    };
    let result = &mut body["ListServiceSpecificCredentialsResponse"]["ListServiceSpecificCredentialsResult"];
    let all = result["ServiceSpecificCredentials"].as_array().cloned().unwrap_or_default();
    let page = call.body["Marker"].as_str().and_then(|marker| marker.parse().ok()).unwrap_or(0);
    let mut shown: Vec<Value> = all.get(page).cloned().into_iter().collect();
    if call.body["ServiceName"] != "bedrock.amazonaws.com" {
        shown.push(
            json!({ "ServiceSpecificCredentialId": "ACCACODECOMMIT", "ServiceName": "codecommit.amazonaws.com", "Status": "Active" }),
        );
    }
    result["ServiceSpecificCredentials"] = shown.into();
    if page + 1 < all.len() {
        (result["IsTruncated"], result["Marker"]) = ("true".into(), (page + 1).to_string().into());
    }
    Answer::Json(status, body)
}

/// IAM's pages are all read, and hold the keys of Bedrock alone.
#[tokio::test]
async fn iams_pages_are_all_read() {
    let bench = Bench::new(Vendor { seeds: 2, shape: in_pages, ..bedrock::vendor() }).await;
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.into_iter().map(|key| key.id).collect::<Vec<_>>(), [id(&bench, 0), id(&bench, 1)]);
    let proof = bench.provider.identify(&value(&bench, 1), &bench.provider.list().await.expect("a listing")).await.expect("an answer");
    assert_eq!(proof.map(|(key, _)| key), Some(id(&bench, 1)));
    for lost in ["Marker", "ServiceSpecificCredentialId"] {
        mangle(&bench, ("*", "*"), move |body| {
            let result = &mut body["ListServiceSpecificCredentialsResponse"]["ListServiceSpecificCredentialsResult"];
            in_field(result, lost, &|told| *told = Value::Null);
        });
        let failure = bench.provider.list().await.expect_err("it is not whole");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{lost}: {failure}");
    }
}

/// The SDK writes 1970 and an empty text where IAM's answer has nothing: neither is told.
#[tokio::test]
async fn what_iam_does_not_tell_is_not_1970() {
    let bench = Bench::new(bedrock::vendor()).await;
    mangle(&bench, ("*", "*"), |body| in_field(body, "CreateDate", &|told| *told = Value::Null));
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed[0].created_at, None);
    mangle(&bench, ("*", "*"), |body| in_field(body, "ServiceCredentialSecret", &|told| *told = Value::Null));
    let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("there is no value");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "it may be there: {failure}");
}

/// A create whose answer cannot be read has a new key's value in it, and no part of it is shown.
#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_shown() {
    let ids = ["key1", "ServiceSpecificCredentialId", "id", "id", "id", "id", "api_key_id", "keyId", "key_id"];
    for (vendor, field) in clouds().into_iter().zip(ids) {
        let bench = Bench::new(vendor).await;
        mangle(&bench, ("*", vendor.create.1), move |body| in_field(body, field, &|told| *told = Value::Null));
        let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("it cannot be read");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {failure}", vendor.name);
        let (text, world) = (format!("{failure} {failure:?}"), bench.server.world());
        assert!(world.keys.all.iter().all(|key| !text.contains(&key.value)), "{}: a value was shown", vendor.name);
    }
}
