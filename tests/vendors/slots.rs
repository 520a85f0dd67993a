//! Vendors whose keys stand in fixed slots: a new key takes another one's place, so which one that is must never be a guess.

use keyroll::{
    ids::KeyId,
    ports::{Fate, Like, Minted, Wanted},
    protocol::Refusal,
    sandbox::server::Fault,
};

use crate::{
    road::Road,
    site::{Bench, Vendor},
    standins::azure_openai::{block, vendor},
};

async fn create(bench: &Bench, like: Option<Like<'_>>, keep: &[KeyId], listed: &[KeyId]) -> Result<Minted, Option<Refusal>> {
    let wanted = Wanted { like, keep, listed, ..Wanted::named("new", "token-1") };
    bench.provider.create(&wanted).await.map_err(|failure| failure.refusal())
}

fn ids(bench: &Bench) -> [KeyId; 2] {
    let world = bench.server.world();
    let listed: Vec<KeyId> = world.keys.listed().into_iter().map(|key| KeyId::new(&key.id)).collect();
    let slot = |slot: &str| listed.iter().find(|id| id.as_str().starts_with(slot)).expect("it is never empty").clone();
    [slot("Key1"), slot("Key2")]
}

fn regenerated(bench: &Bench) -> usize {
    bench.server.count(bench.vendor.create.0, bench.vendor.create.1)
}

/// No slot is regenerated whose key somebody may use, whatever keyroll was told; nor is one guessed.
#[tokio::test]
async fn the_slot_of_a_key_in_use_is_never_regenerated() {
    let mut asks = vendor();
    asks.block = |url, admin| block(url, &format!("{{ token: {admin} }}"), "null");
    for (vendor, into) in [(asks, None), (vendor(), Some("Key2"))] {
        let bench = Bench::new(vendor).await;
        let [one, two] = ids(&bench);
        let drifted = KeyId::new("Key1-0123456789abcdef");
        assert_eq!(create(&bench, Some(Like::Key(&drifted)), &[], &[]).await.err(), Some(Some(Refusal::Conflict)), "in neither slot");
        assert_eq!(create(&bench, Some(Like::Key(&one)), &[one.clone(), two.clone()], &[]).await.err(), Some(Some(Refusal::Quota)));
        assert_eq!(create(&bench, None, std::slice::from_ref(&two), &[]).await.err(), Some(Some(Refusal::Invalid)), "it is kept");
        assert_eq!(regenerated(&bench), 0, "refused before the effect");
        let made = create(&bench, None, &[], &[one.clone(), two.clone()]).await;
        match into {
            Some(slot) => assert!(made.is_ok_and(|made| made.id.as_str().starts_with(slot))),
            None => assert_eq!(made.err(), Some(Some(Refusal::Invalid)), "nobody said which"),
        }
        assert_eq!(ids(&bench)[0], one, "untouched");
    }
}

/// Each slot in turn: the other one is regenerated, and a repetition regenerates that very one again.
#[tokio::test]
async fn a_new_key_goes_into_the_other_slot() {
    let bench = Bench::new(vendor()).await;
    for used in [0, 1] {
        let before = ids(&bench);
        bench.spoil(bench.vendor.create, 1, Fault::DropAfter);
        let like = &before[used];
        let wanted =
            Wanted { like: Some(Like::Key(like)), keep: std::slice::from_ref(like), listed: &before, ..Wanted::named("new", "token-1") };
        let lost = bench.provider.create(&wanted).await.err().expect("its answer is lost");
        assert!(matches!(lost.fate, Fate::Unknown { .. }));
        let made = bench.provider.create(&wanted).await.unwrap_or_else(|failure| panic!("{failure}"));
        let after = ids(&bench);
        assert_eq!((&after[used], &after[1 - used]), (like, &made.id));
        assert_eq!(bench.server.world().keys.living().len(), 2, "what the lost one made is dead");
    }
}

/// After revoke-first no key is in use: the slot that was regenerated for the leaked one is taken, not the other, and the same again.
#[tokio::test]
async fn what_this_rotation_regenerated_is_taken_first() {
    let mut asks = vendor();
    asks.block = |url, admin| block(url, &format!("{{ token: {admin} }}"), "null");
    let bench = Bench::new(asks).await;
    let before = ids(&bench);
    bench.provider.delete(&crate::common::tombstone_for(&before[0])).await.unwrap_or_else(|failure| panic!("{failure}"));
    for _ in 0..2 {
        let made = create(&bench, None, &[], &before).await.unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(ids(&bench), [made.id, before[1].clone()]);
    }
    let failure = bench.provider.delete(&crate::common::tombstone_for(&before[0])).await.expect_err("it is gone");
    assert_eq!(failure.refusal(), Some(Refusal::Gone));
    assert_eq!(regenerated(&bench), 3, "a delete of what is gone regenerates nothing");
}

/// An answer that shows the old value in the slot is no new key, and no death.
#[tokio::test]
async fn an_answer_of_before_is_unknown() {
    let bench = Bench::new(vendor()).await;
    let (path, before) = (bench.vendor.create, ids(&bench));
    let values: Vec<String> = bench.server.world().keys.all.iter().map(|key| key.value.clone()).collect();
    bench.server.world().mangle =
        Some((path.0, path.1.to_owned(), Box::new(move |body| *body = serde_json::json!({ "key1": values[0], "key2": values[1] }))));
    let created = bench.provider.create(&Wanted { like: Some(Like::Key(&before[0])), ..Wanted::named("new", "token-1") }).await;
    assert!(created.is_err_and(|failure| matches!(failure.fate, Fate::Unknown { .. })));
    let deleted = bench.provider.delete(&crate::common::tombstone_for(&before[0])).await;
    assert!(deleted.is_err_and(|failure| matches!(failure.fate, Fate::Unknown { .. })));
}

fn application() -> Vendor {
    Vendor {
        block: |url, admin| {
            let client = format!("{{ client: {{ tenant: dir-1, client_id: app-1, client_secret: {admin}, authority: \"{url}\" }} }}");
            block(url, &client, "Key2")
        },
        ..vendor()
    }
}

/// As an application: one token serves many calls; no failure to get one is a failure of the call that it is for.
#[tokio::test]
async fn an_application_logs_in() {
    let token = ("POST", "/dir-1/oauth2/v2.0/token");
    let bench = Bench::new(application()).await;
    bench.keeps_the_contract().await;
    assert_eq!(bench.server.count(token.0, token.1), 1);
    for (fault, refused) in [
        (Fault::Status { code: 401, retry_after: None }, Some(Refusal::Denied)),
        (Fault::Status { code: 500, retry_after: None }, None),
        (Fault::DropAfter, None),
        (Fault::Html, None),
    ] {
        let bench = Bench::new(application()).await;
        bench.spoil(token, 1, fault.clone());
        let failure = bench.provider.create(&Wanted::named("new", "token-1")).await.err().expect("no token");
        match refused {
            Some(_) => assert_eq!(failure.refusal(), refused, "{failure}"),
            None => assert!(matches!(failure.fate, Fate::NotSent { .. }), "{fault:?}: {failure}"),
        }
        assert_eq!(regenerated(&bench), 0);
        assert!(bench.provider.create(&Wanted::named("new", "token-1")).await.is_ok(), "the next call asks again");
    }
}

/// The key in use leaked: it is regenerated at once, and the services get another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_key_goes_first() {
    for mode in ["revoke-first", "replace-fast"] {
        let road = Road::new(vendor()).await;
        let leak = ["emergency", "book.yaml", "--mode", mode, "--reason", "seen in a public repository", "--yes"];
        let said = road.ends(&road.keyroll(&leak).await, 0);
        assert_ne!(road.only(&said), road.old, "{said}");
        assert!(said.contains("CONTAINED") && !said.contains("NOT CONTAINED"), "{said}");
    }
}

/// Both keys are the account's: the next rotation goes back to the first slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_alternate() {
    let road = Road::new(vendor()).await;
    for slot in ["Key2", "Key1"] {
        let said = road.ends(&road.keyroll(&["run", "book.yaml", "--yes"]).await, 0);
        assert!(road.only(&said).starts_with(slot), "{said}");
    }
}

/// The other slot is never empty, so it is no key that nobody explains; but without a key in use nothing tells which slot that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_slot_needs_no_explanation() {
    let road = Road::new(vendor()).await;
    let verdicts = async |code: i32| {
        let said = road.ends(&road.keyroll(&["reconcile", "book.yaml", "--output", "json"]).await, code);
        let told: serde_json::Value = serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error}: {said}"));
        let keys = told["playbooks"][0]["keys"].as_array().expect("keys").clone();
        keys.iter().map(|key| key["verdict"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(0).await, ["in_use", "spare"]);
    road.ends(&road.keyroll(&["run", "book.yaml", "--yes"]).await, 0);
    assert_eq!(verdicts(0).await, ["spare", "in_use"]);
    let stranger = serde_json::json!({ "key": "of-no-slot", "key_id": "" });
    road.vault.put("ai/vendor", stranger.as_object().expect("an object"));
    assert_eq!(verdicts(3).await.iter().filter(|verdict| *verdict == "spare").count(), 0);
}
