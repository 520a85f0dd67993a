//! Which key a value is, and what the listing tells of it.

use super::*;

/// A key that is not among those that were listed is another principal's, or gone: its value is nobody's.
#[tokio::test]
async fn a_key_that_was_not_listed_is_nobodys() {
    for vendor in clouds() {
        let bench = Bench::new(vendor).await;
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let claimed = Credential { id: Some(id(&bench, 0)), ..value(&bench, 0) };
        let proof = bench.provider.identify(&claimed, &listed).await.expect("an answer");
        assert_eq!(proof.map(|(id, _)| id), Some(id(&bench, 0)), "{}", vendor.name);
        let others: Vec<_> = listed.into_iter().filter(|key| key.id != id(&bench, 0)).collect();
        assert_eq!(bench.provider.identify(&claimed, &others).await, Ok(None), "{}", vendor.name);
    }
}

/// Where two keys show the same of their values, neither is proved; nor is one that shows too little, or a value that is what is shown.
#[tokio::test]
async fn what_two_keys_show_proves_neither() {
    let hints: [(Vendor, &str, &str); 4] = [
        (bedrock::vendor(), "ServiceCredentialAlias", ""),
        (datadog_application::vendor(), "last4", ""),
        (fireworks::vendor(), "prefix", "fw_"),
        (mistral::vendor(), "hidden_key", "..."),
    ];
    // What each shows of a value.
    let parts: [fn(&str) -> String; 4] = [
        |value| value[.."ABSK".len()].to_owned(),
        |value| value[value.len() - 4..].to_owned(),
        |value| value[..12].to_owned(),
        |value| format!("{}{}", &value[..4], &value[value.len() - 4..]),
    ];
    for ((vendor, field, short), part) in hints.into_iter().zip(parts) {
        let bench = Bench::new(Vendor { seeds: 2, page: 100, ..vendor }).await;
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let credential = Credential { id: Some(id(&bench, 0)), ..value(&bench, 0) };
        let proof = bench.provider.identify(&credential, &listed).await.expect("an answer");
        assert_eq!(proof.map(|(id, _)| id), Some(id(&bench, 0)), "{}", vendor.name);
        let secret = Secret::new(part(credential.secret.reveal()));
        assert_eq!(bench.provider.identify(&Credential { id: None, secret }, &listed).await, Ok(None), "{}: no more", vendor.name);
        mangle(&bench, vendor.list, move |body| {
            let first = Cell::new(None::<Value>);
            in_field(body, field, &|told| {
                let same = first.take().unwrap_or_else(|| told.clone());
                *told = same.clone();
                first.set(Some(same));
            });
        });
        assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None), "{}: two of them", vendor.name);
        mangle(&bench, vendor.list, move |body| {
            let first = Cell::new(true);
            in_field(body, field, &|told| {
                if first.replace(false) {
                    *told = short.into();
                }
            });
        });
        assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None), "{}: too little", vendor.name);
    }
}

/// What Datadog says of a value goes before what its last characters look like.
#[tokio::test]
async fn datadogs_own_word_goes_before_a_likeness() {
    let bench = Bench::new(datadog::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    mangle(&bench, ("GET", "/api/v2/validate"), |body| in_field(body, "api_key_id", &|told| *told = "of-another-organization".into()));
    assert_eq!(bench.provider.identify(&value(&bench, 0), &listed).await, Ok(None));
    mangle(&bench, ("GET", "/api/v2/validate"), |body| *body = json!({ "valid": true }));
    let proof = bench.provider.identify(&value(&bench, 0), &listed).await.expect("an answer");
    assert_eq!(proof.map(|(id, _)| id), Some(id(&bench, 0)), "its end is all there is then");
}

/// A value that is told no id is nobody's, whatever the store says.
#[tokio::test]
async fn a_claim_is_no_word_of_deepgrams() {
    let bench = Bench::new(deepgram::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let claimed = Credential { id: Some(id(&bench, 0)), ..value(&bench, 0) };
    mangle(&bench, deepgram::vendor().probe, |body| *body = json!({ "scopes": ["usage:write"] }));
    assert_eq!(bench.provider.identify(&claimed, &listed).await, Ok(None));
}

/// What is not told or cannot be read is not "never": a key in use would look idle.
#[tokio::test]
async fn a_last_use_that_is_not_told_is_unknown() {
    let fields = [
        (cloudflare::vendor(), "last_used_on", "/client/v4/user/tokens/*"),
        (datadog::vendor(), "date_last_used", "/api/v2/api_keys/*"),
        (datadog_application::vendor(), "last_used_at", "/api/v2/service_accounts/sa-1/application_keys/*"),
        (mistral::vendor(), "last_used", mistral::vendor().list.1),
        (fireworks::vendor(), "lastUsed", fireworks::vendor().list.1),
    ];
    for (vendor, field, path) in fields {
        let bench = Bench::new(Vendor { seeds: 1, ..vendor }).await;
        let (usage, key) = (bench.provider.usage().expect("it tells"), id(&bench, 0));
        assert_eq!(usage.last_used(&key).await, Ok(None), "{}", vendor.name);
        let then = Utc::now() - TimeDelta::days(3);
        first(&bench, |key| key.used = Some(then));
        let used = usage.last_used(&key).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        assert_eq!(used.map(|used| used.timestamp()), Some(then.timestamp()), "{}", vendor.name);
        for told in [json!("last week"), json!(7), Value::Null] {
            let text = told.clone();
            // Null is told; a field of another name is not.
            mangle(&bench, ("GET", path), move |body| {
                if text.is_null() {
                    let renamed = body.to_string().replace(&format!("\"{field}\""), "\"seen\"");
                    *body = serde_json::from_str(&renamed).expect("it was JSON");
                } else {
                    in_field(body, field, &|used| *used = text.clone());
                }
            });
            let failure = usage.last_used(&key).await.expect_err("it is not told");
            assert!(matches!(failure.fate, Fate::Unknown { .. }), "{}: {told}: {failure}", vendor.name);
        }
    }
}

/// Each key is listed as it is: its name, its times, and its use where that is told.
#[tokio::test]
async fn a_key_is_listed_as_it_is() {
    for vendor in clouds().into_iter().filter(|vendor| vendor.name != "azure_openai") {
        let bench = Bench::new(vendor).await;
        first(&bench, |key| (key.made, key.used) = (key.made - TimeDelta::days(10), Some(key.made - TimeDelta::days(3))));
        let key = bench.server.world().keys.all[0].clone();
        let listed = bench.provider.list().await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
        let seconds = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp());
        let used = bench.provider.usage().and(key.used);
        let told = [listed[0].created_at, listed[0].expires_at, listed[0].last_used];
        assert_eq!(told.map(seconds), [Some(key.made), key.expires, used].map(seconds), "{}", vendor.name);
        assert_eq!(listed[0].name.clone().unwrap_or_default(), key.name, "{}", vendor.name);
        assert!(listed[0].enabled, "{}", vendor.name);
    }
}

/// An alias is public: a value is a key's only where more than the alias stands in it.
#[tokio::test]
async fn an_alias_alone_is_no_value() {
    let bench = Bench::new(bedrock::vendor()).await;
    let listed = bench.provider.list().await.expect("a listing");
    let value = bench.server.world().keys.all[0].value.clone();
    let whole = String::from_utf8(BASE64_STANDARD.decode(&value["ABSK".len()..]).expect("base64")).expect("text");
    let (alias, rest) = whole.split_once(':').expect("a colon");
    for (begins, text, whose) in [
        ("ABSK", format!("{alias}:{rest}"), Some(&listed[0].id)),
        ("ABSK", alias.to_owned(), None),
        ("ABSK", format!("{alias}-2:{rest}"), None),
        ("", format!("{alias}:{rest}"), None),
    ] {
        let secret = Secret::new(format!("{begins}{}", BASE64_STANDARD.encode(text)));
        let proof = bench.provider.identify(&Credential { id: None, secret }, &listed).await.expect("an answer");
        assert_eq!(proof.as_ref().map(|(id, _)| id), whose);
    }
}
