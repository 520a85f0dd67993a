//! A year's change of a vendor's replies: what is new breaks nothing, and what is missing is unknown, never a crash and never an assumption.

use keyroll::{
    ports::{Fate, Wanted},
    protocol::Refusal,
};
use serde_json::{Value, json};

use crate::{
    common::tombstone_for,
    provider::ProviderBench as _,
    site::{Bench, Vendor},
};

/// Every object gains a field, whose kind nobody knows yet.
fn grown(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(grown);
            fields.insert("x_new_this_year".into(), json!({ "kind": "unheard_of", "values": [1, null] }));
        }
        Value::Array(items) => items.iter_mut().for_each(grown),
        _ => {}
    }
}

pub async fn what_is_new_breaks_nothing(vendor: Vendor) {
    let bench = Bench::new(vendor).await;
    bench.server.world().mangle = Some(("*", "*".into(), Box::new(grown)));
    bench.keeps_the_contract().await;
}

/// The places of all fields of an object, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, below) in fields {
                let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.push(place.clone());
                places(below, &place, found);
            }
        }
        Value::Array(items) => items.iter().enumerate().take(1).for_each(|(place, below)| places(below, &format!("{at}/{place}"), found)),
        _ => {}
    }
}

fn without(value: &mut Value, place: &str) {
    let Some((parent, name)) = place.rsplit_once('/') else { return };
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&name.replace("~1", "/").replace("~0", "~"))),
        Some(Value::Array(items)) => drop(name.parse::<usize>().map(|place| items.remove(place))),
        _ => {}
    }
}

/// What this vendor really answers to a request of this kind.
async fn real(vendor: fn() -> Vendor, which: (&'static str, &'static str), work: impl AsyncFn(&Bench)) -> Value {
    let bench = Bench::new(vendor()).await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
    let kept = seen.clone();
    let keep = move |body: &mut Value| *kept.lock().expect("not poisoned") = body.clone();
    bench.server.world().mangle = Some((which.0, which.1.to_owned(), Box::new(keep)));
    work(&bench).await;
    seen.lock().expect("not poisoned").clone()
}

/// Takes each field away in turn: a create is then either whole all the same, or unknown; a listing is either whole or no listing.
pub async fn what_is_missing_is_unknown(vendor: fn() -> Vendor) {
    let wanted = Wanted::named("changed", "token-1");
    let (create, list, delete) = (vendor().create, vendor().list, vendor().delete);
    let mut all = Vec::new();
    places(&real(vendor, create, async |bench| drop(bench.provider.create(&wanted).await)).await, "", &mut all);
    let mut unknown = 0;
    for place in &all {
        let bench = Bench::new(vendor()).await;
        let gone = place.clone();
        bench.server.world().mangle = Some((create.0, create.1.to_owned(), Box::new(move |body| without(body, &gone))));
        match bench.provider.create(&wanted).await {
            Ok(minted) => {
                let keys = bench.server.world().keys.all.clone();
                assert!(
                    keys.iter().any(|key| key.id == minted.id.as_str() && key.value == minted.secret.reveal()),
                    "create without {place}"
                );
            }
            Err(failure) => {
                assert!(matches!(failure.fate, Fate::Unknown { .. }), "create without {place}: {failure}");
                unknown += 1;
            }
        }
    }
    assert!(unknown > 0 || all.is_empty(), "{}: a create without its key or its id is unknown", vendor().name);

    let mut all = Vec::new();
    places(&real(vendor, list, async |bench| drop(bench.provider.list().await)).await, "", &mut all);
    for place in &all {
        let bench = Bench::new(vendor()).await;
        let gone = place.clone();
        bench.server.world().mangle = Some((list.0, list.1.to_owned(), Box::new(move |body| without(body, &gone))));
        // A listing that is shorter than it was would make a live key look gone.
        if let Ok(listed) = bench.provider.list().await {
            let missing: Vec<_> = bench.seeded().into_iter().filter(|id| listed.iter().all(|key| key.id != *id)).collect();
            assert!(missing.is_empty(), "{}: a listing without {place} lacks {missing:?}", vendor().name);
        }
    }

    let bench = Bench::new(vendor()).await;
    bench.server.world().mangle = Some((delete.0, delete.1.to_owned(), Box::new(|body| *body = json!({ "what": "nobody knows" }))));
    let id = bench.seeded()[0].clone();
    match bench.provider.delete(&tombstone_for(&id)).await {
        Ok(()) => assert!(bench.server.world().keys.find(id.as_str()).is_none(), "it is deleted, whatever was said"),
        Err(failure) => assert!(
            matches!(failure.fate, Fate::Unknown { .. }) || failure.refusal() == Some(Refusal::Gone),
            "a delete with another answer: {failure}"
        ),
    }
}
