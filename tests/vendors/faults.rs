//! What goes wrong on the wire has one fate, whichever vendor it is, and no create is sent twice.

use keyroll::{
    ports::{Credential, Fate, Life, Wanted},
    protocol::Refusal,
    sandbox::server::Fault,
    secret::Secret,
};
use serde_json::Value;

use crate::{
    provider::{ProviderBench as _, clean},
    site::{Bench, Vendor},
};

fn status(code: u16) -> Fault {
    Fault::Status { code, retry_after: (code == 429 || code == 503).then(|| "7".into()) }
}

/// What a create is told, by its fault; and how many keys there are then.
pub async fn each_has_one_fate(vendor: fn() -> Vendor) {
    let table: [(Fault, Option<Refusal>, bool, usize); 12] = [
        (status(400), Some(Refusal::Invalid), false, 0),
        (status(401), Some(Refusal::Denied), false, 0),
        (status(403), Some(Refusal::Denied), false, 0),
        (status(404), Some(Refusal::Gone), false, 0),
        (status(429), None, true, 0),
        (status(500), None, false, 0),
        (status(503), None, false, 0),
        (Fault::StatusAfter(502), None, false, 1),
        (Fault::DropBefore, None, false, 0),
        (Fault::DropAfter, None, false, 1),
        (Fault::Html, None, false, 0),
        (Fault::CutBody, None, false, 1),
    ];
    for (fault, refused, not_sent, made) in table {
        let bench = Bench::new(vendor()).await;
        let what = format!("{}: {fault:?}", bench.vendor.name);
        bench.spoil(bench.vendor.create, 1, fault);
        let Err(failure) = bench.provider.create(&Wanted::named("spoiled", "token-1")).await else { panic!("{what}: it went well") };
        match failure.fate {
            Fate::Refused { why, .. } => assert_eq!(Some(why), refused, "{what}: {failure}"),
            Fate::NotSent { retry_after } => assert!(not_sent && retry_after.is_some_and(|wait| wait.as_secs() == 7), "{what}: {failure}"),
            Fate::Unknown { .. } => assert!(refused.is_none() && !not_sent, "{what}: {failure}"),
        }
        assert_eq!(bench.server.count(bench.vendor.create.0, bench.vendor.create.1), 1, "{what}: sent once");
        assert_eq!(bench.named("spoiled"), made, "{what}");
        clean(&bench, &failure, &Secret::new("spoiled-value"));
        if refused == Some(Refusal::Denied) {
            assert!(failure.hint.is_some(), "{what}: says what to do");
        }
    }
}

/// 403, 404, 429 and 5xx of a call with the key are no evidence of anything, nor is a page in its place.
pub async fn only_its_own_word_is_death(vendor: Vendor) {
    let bench = Bench::new(vendor).await;
    let key = bench.server.world().keys.all[0].clone();
    let credential = Credential { id: Some(keyroll::ids::KeyId::new(&key.id)), secret: Secret::new(&key.value) };
    for code in vendor.unclear {
        bench.spoil(vendor.probe, 1, status(*code));
        let life = bench.provider.probe(&credential).await;
        assert!(!matches!(life, Ok(Life::Dead | Life::Alive)), "{}: {code} is no answer: {life:?}", vendor.name);
    }
    bench.spoil(vendor.probe, 1, Fault::DropBefore);
    assert!(bench.provider.probe(&credential).await.is_err());
    assert_eq!(bench.provider.probe(&credential).await.ok(), Some(Life::Alive), "{}", vendor.name);

    // Where no status alone means death, the status of death in other words is none.
    if [400, 401, 403, 404].iter().all(|code| vendor.unclear.contains(code)) {
        bench.server.world().mangle = Some((vendor.probe.0, vendor.probe.1.to_owned(), Box::new(in_other_words)));
        let life = bench.provider.probe(&bench.stranger()).await;
        assert!(!matches!(life, Ok(Life::Dead | Life::Alive)), "{}: a refusal for another reason is no answer: {life:?}", vendor.name);
    }
}

/// The same answer with other texts and numbers in it.
fn in_other_words(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(in_other_words),
        Value::Array(items) => items.iter_mut().for_each(in_other_words),
        Value::String(text) => "for another reason".clone_into(text),
        Value::Number(number) => *number = 7.into(),
        Value::Bool(_) | Value::Null => {}
    }
}

pub async fn a_page_that_fails_is_no_shorter_listing(vendor: Vendor) {
    let bench = Bench::new(vendor).await;
    let whole = bench.provider.list().await.unwrap_or_else(|failure| panic!("{failure}")).len();
    let pages = if vendor.seeds > vendor.page { 2 } else { 1 };
    for nth in 1..=pages {
        for fault in [status(500), Fault::Html, Fault::CutBody, Fault::DropAfter] {
            bench.spoil(vendor.list, nth, fault.clone());
            let listed = bench.provider.list().await;
            assert!(listed.is_err(), "{}: {fault:?} on page {nth}", vendor.name);
        }
    }
    assert_eq!(bench.provider.list().await.map(|listed| listed.len()).ok(), Some(whole), "{}", vendor.name);
}
