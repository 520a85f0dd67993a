//! The contract of a provider. A bench gives the adapter and what only the server knows; [`suite`] is the same for all.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use keyroll::{
    ids::KeyId,
    playbook::Limits,
    ports::{Ambiguity, Credential, Failure, Fate, Kept, Life, Like, Listed, Minted, Provider, Question, Wanted},
    protocol::{Bound, Bounds, Refusal, widened},
    secret::Secret,
};

use crate::common::tombstone_for;

/// One provider beside its server. Methods with a default may stay as they are where the server has nothing special.
#[async_trait]
pub trait ProviderBench: Send + Sync {
    /// The adapter, built from a block like any other.
    fn provider(&self) -> Arc<dyn Provider>;
    /// Keys that were there before, best more than fit on one page of a listing (and fewer than the quota by one).
    fn seeded(&self) -> Vec<KeyId>;
    /// Makes a key; where only a person can, as a person does.
    async fn mint(&self, wanted: &Wanted<'_>) -> Result<Minted, Failure> {
        self.provider().create(wanted).await
    }
    /// How many creates reached the server so far, whatever came of them; none where it cannot tell.
    async fn creates(&self) -> Option<usize>;
    /// Makes the server do the next create and lose its reply; false where it cannot.
    async fn lose_next_create(&self) -> bool {
        false
    }
    /// Makes the server do the next delete and lose its reply; false where it cannot.
    async fn lose_next_delete(&self) -> bool {
        false
    }
    /// The credential that a store would hold of a new key.
    fn credential(&self, minted: &Minted) -> Credential {
        Credential { id: Some(minted.id.clone()), secret: minted.secret.duplicate() }
    }
    /// A well-formed credential that this provider never issued.
    fn stranger(&self) -> Credential {
        Credential { id: None, secret: Secret::new("stranger-4b1f7e6a90d2c35e8b7d1a604f9e2c83") }
    }
    /// Those of these keys that no create and no delete of others may replace; all, but where keys stand in slots.
    fn lasting(&self, ids: BTreeSet<KeyId>) -> BTreeSet<KeyId> {
        ids
    }
    /// A model that can be asked.
    fn model(&self) -> &'static str {
        "sandbox-1"
    }
    /// Whether a deleted key is refused by the very next call; else within [`ProviderBench::patience`].
    fn dead_at_once(&self) -> bool {
        true
    }
    /// The longest the suite waits for one of the provider's windows; a stand-in is faster than the real thing.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
    /// What must never stand in an error: our own credential towards the provider.
    fn own_secrets(&self) -> Vec<Secret> {
        Vec::new()
    }
}

/// The whole contract, on one bench. Leaves the server with the keys it had.
pub async fn suite(bench: &dyn ProviderBench) {
    let provider = bench.provider();
    let before = at_rest(bench, &*provider).await;
    let minted = created(bench, &*provider, &before).await;
    let credential = bench.credential(&minted);
    identified(bench, &*provider, &minted, &credential).await;
    spoken(bench, &*provider, &credential).await;
    let known = bounded(&*provider, &before, &minted.id).await;
    switched(bench, &*provider, &minted.id, &credential).await;
    used(bench, &*provider, &minted.id).await;
    spent(bench, &*provider, &minted.id, &credential).await;
    deleted(bench, &*provider, &minted.id, &credential).await;
    remembered(bench, &*provider, known).await;
    lost_create(bench, &*provider).await;
    lost_delete(bench, &*provider).await;
    let after = ids(&list(&*provider).await);
    assert_eq!(after.len(), before.len());
    assert_eq!(bench.lasting(after), bench.lasting(ids(&before)), "the suite leaves nothing behind, and takes nothing away");
}

/// Nothing has happened: it is ready, and its listing is complete.
async fn at_rest(bench: &dyn ProviderBench, provider: &dyn Provider) -> Vec<Listed> {
    if let Err(problems) = provider.check().await {
        panic!("check: {}", problems.iter().map(|problem| format!("{} ({})", problem.what, problem.hint)).collect::<Vec<_>>().join("; "));
    }
    assert!(!provider.describe().is_empty());
    let listed = list(provider).await;
    let missing: Vec<_> = bench.seeded().into_iter().filter(|id| !ids(&listed).contains(id)).collect();
    assert!(missing.is_empty(), "the listing is complete over all pages; it lacks {missing:?}");
    if let Some(quota) = provider.traits().quota {
        assert!(listed.len() < quota, "the bench leaves room for one key");
    }
    listed
}

/// A create makes exactly one key, listed with the id that it gave, and it works.
async fn created(bench: &dyn ProviderBench, provider: &dyn Provider, before: &[Listed]) -> Minted {
    let name = name();
    let count = bench.creates().await;
    let wanted = Wanted { like: before.first().map(|key| Like::Key(&key.id)), ..Wanted::named(&name, &name) };
    let minted = bench.mint(&wanted).await.unwrap_or_else(|failure| panic!("create: {failure}"));
    assert_eq!(bench.creates().await, count.map(|count| count + 1), "one call, one create");
    assert!(!minted.secret.reveal().is_empty());
    assert!(!ids(before).contains(&minted.id), "a new id");

    let found = within(bench, "the new key is listed", async || list(provider).await.into_iter().find(|key| key.id == minted.id)).await;
    if provider.traits().ambiguity == Ambiguity::Listable {
        assert_eq!(found.name.as_deref(), Some(name.as_str()), "under its exact name");
    }
    let credential = bench.credential(&minted);
    within(bench, "the new key works", async || probe(provider, &credential).await.filter(|life| *life == Life::Alive)).await;
    within(bench, "the new key is listed as enabled", async || {
        list(provider).await.into_iter().find(|key| key.id == minted.id && key.enabled)
    })
    .await;
    minted
}

/// A value is proved to be its key; one that was never issued is nobody's.
async fn identified(bench: &dyn ProviderBench, provider: &dyn Provider, minted: &Minted, credential: &Credential) {
    let listed = list(provider).await;
    let got = provider.identify(credential, &listed).await.unwrap_or_else(|failure| panic!("identify: {failure}"));
    let (id, proof) = got.expect("the new key is identified");
    assert_eq!(id, minted.id);
    assert!(proof.contains(' '), "a proof is a sentence: {proof}");
    assert!(!proof.contains(minted.secret.reveal()), "a proof holds no secret");

    let stranger = bench.stranger();
    let got = provider.identify(&stranger, &listed).await.unwrap_or_else(|failure| panic!("identify: {failure}"));
    assert!(got.is_none(), "a value that was never issued is nobody's");
    // Where an id is half of a credential, only a server that looks at signatures could tell.
    if stranger.id.is_none() {
        let claimed = Credential { id: Some(minted.id.clone()), secret: stranger.secret.duplicate() };
        let got = provider.identify(&claimed, &listed).await.unwrap_or_else(|failure| panic!("identify: {failure}"));
        assert!(got.is_none(), "an id beside it does not prove whose it is");
    }
    assert_ne!(probe(provider, &stranger).await, Some(Life::Alive), "and does not work");
}

/// A real request is served by a living key, whole and streamed; for a value that was never issued it is not.
async fn spoken(bench: &dyn ProviderBench, provider: &dyn Provider, credential: &Credential) {
    let Some(prompt) = provider.prompt() else { return };
    let model = bench.model();
    for stream in [false, true] {
        let question = Question { model, stream };
        let spoken = prompt.prompt(credential, &question).await.unwrap_or_else(|failure| panic!("prompt: {failure}"));
        assert_eq!(spoken.life, Life::Alive);
        assert_eq!(spoken.pieces.is_some(), stream, "{spoken:?}");
        assert!(spoken.pieces.is_none_or(|pieces| pieces > 1), "a stream comes in pieces: {spoken:?}");
        let stranger = prompt.prompt(&bench.stranger(), &question).await;
        assert!(stranger.is_ok_and(|spoken| spoken.life == Life::Dead), "a value that was never issued");
    }
}

/// What a new key will be allowed is told before it is made, is never more than the key that it is like has, and is what it then has.
async fn bounded(provider: &dyn Provider, before: &[Listed], made: &KeyId) -> Option<(Kept, Bounds)> {
    let attributes = provider.attributes()?;
    let like = before.first().map(|key| &key.id);
    let planned = attributes.planned(like.map(Like::Key), &Limits::NONE).await.unwrap_or_else(|failure| panic!("planned: {failure}"));
    let has = attributes.of(made).await.unwrap_or_else(|failure| panic!("of: {failure}"));
    assert_eq!(widened(&planned, &has), Vec::<String>::new(), "planned {planned:?}, has {has:?}");
    if let Some(like) = like {
        let old = attributes.of(like).await.unwrap_or_else(|failure| panic!("of: {failure}"));
        assert_eq!(widened(&old, &planned), Vec::<String>::new(), "old {old:?}, planned {planned:?}");
    }
    let kept = attributes.keep(made).await.unwrap_or_else(|failure| panic!("keep: {failure}"));
    Some((kept, has))
}

/// What was kept of a key that is gone, as a journal gives it back, makes another one that is allowed the same and lives as long.
async fn remembered(bench: &dyn ProviderBench, provider: &dyn Provider, known: Option<(Kept, Bounds)>) {
    let (Some(attributes), Some((kept, had))) = (provider.attributes(), known) else { return };
    let kept: Kept = serde_json::from_str(&serde_json::to_string(&kept).expect("a text")).expect("what was kept");
    let gone = Some(Like::Gone(&kept));
    let planned = attributes.planned(gone, &Limits::NONE).await.unwrap_or_else(|failure| panic!("planned: {failure}"));
    alike(&had, &planned);
    if provider.by_person().is_some() {
        return;
    }
    let name = name();
    let wanted = Wanted { like: gone, ..Wanted::named(&name, &name) };
    let minted = provider.create(&wanted).await.unwrap_or_else(|failure| panic!("create: {failure}"));
    within(bench, "the new key is listed", async || ids(&list(provider).await).contains(&minted.id).then_some(())).await;
    let has = attributes.of(&minted.id).await.unwrap_or_else(|failure| panic!("of: {failure}"));
    alike(&had, &has);
    provider.delete(&tombstone_for(&minted.id)).await.unwrap_or_else(|failure| panic!("delete: {failure}"));
    absent(bench, provider, &minted.id).await;
}

/// Neither allows more than the other, and their ends lie no further apart than a day: some are given by the day.
#[track_caller]
fn alike(one: &Bounds, other: &Bounds) {
    assert_eq!((widened(one, other), widened(other, one)), (vec![], vec![]), "{one:?}, {other:?}");
    for (name, bound) in one {
        let (Bound::Until(one), Some(Bound::Until(other))) = (bound, other.get(name)) else { continue };
        assert!(one.zip(*other).map_or(one == other, |(one, other)| (one - other).abs() <= 86_400), "{name}: {one:?}, {other:?}");
    }
}

/// A key that is switched off does not work, says so in the listing, and comes back. Both may be repeated.
async fn switched(bench: &dyn ProviderBench, provider: &dyn Provider, id: &KeyId, credential: &Credential) {
    let Some(switch) = provider.switch() else { return };
    for on in [false, false, true, true] {
        switch.set(id, on).await.unwrap_or_else(|failure| panic!("switch: {failure}"));
        let what = if on { "a key that is switched on works again" } else { "a key that is switched off stops working" };
        within(bench, what, async || probe(provider, credential).await.filter(|life| (*life == Life::Alive) == on)).await;
        within(bench, "the listing shows it", async || list(provider).await.into_iter().find(|key| key.id == *id && key.enabled == on))
            .await;
    }
}

/// Usage can be asked for a key that exists.
async fn used(_bench: &dyn ProviderBench, provider: &dyn Provider, id: &KeyId) {
    let Some(usage) = provider.usage() else { return };
    let last = usage.last_used(id).await.unwrap_or_else(|failure| panic!("usage: {failure}"));
    let soon = chrono::Utc::now() + chrono::TimeDelta::minutes(5);
    assert!(last.is_none_or(|last| last < soon), "the last use is not in the future");
}

/// What was spent is told, and only grows.
async fn spent(_bench: &dyn ProviderBench, provider: &dyn Provider, id: &KeyId, credential: &Credential) {
    if let Some(counter) = provider.counter() {
        let before = counter.reading(id).await.unwrap_or_else(|failure| panic!("reading: {failure}"));
        probe(provider, credential).await;
        let after = counter.reading(id).await.unwrap_or_else(|failure| panic!("reading: {failure}"));
        assert!(after >= before, "{before} to {after}");
    }
}

/// A deleted key is dead and gone; deleting it again changes nothing.
async fn deleted(bench: &dyn ProviderBench, provider: &dyn Provider, id: &KeyId, credential: &Credential) {
    let tombstone = tombstone_for(id);
    provider.delete(&tombstone).await.unwrap_or_else(|failure| panic!("delete: {failure}"));
    if bench.dead_at_once() {
        assert_eq!(probe(provider, credential).await, Some(Life::Dead), "a deleted key is dead");
    }
    within(bench, "a deleted key is dead", async || probe(provider, credential).await.filter(|life| *life == Life::Dead)).await;
    absent(bench, provider, id).await;
    match provider.delete(&tombstone).await {
        Ok(()) => {}
        Err(failure) => {
            assert_eq!(failure.refusal(), Some(Refusal::Gone), "{failure}");
            clean(bench, &failure, &credential.secret);
        }
    }
}

/// A create whose reply is lost is sent once, is told as unknown, and can be settled in the way that the traits declare.
async fn lost_create(bench: &dyn ProviderBench, provider: &dyn Provider) {
    if !bench.lose_next_create().await {
        return;
    }
    let name = name();
    let wanted = Wanted::named(&name, &name);
    let before = ids(&list(provider).await);
    let count = bench.creates().await;
    let Err(failure) = provider.create(&wanted).await else { panic!("the reply was lost") };
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "a lost reply is no answer: {failure}");
    clean(bench, &failure, &Secret::new("no secret was seen"));
    assert_eq!(bench.creates().await, count.map(|count| count + 1), "sent exactly once");

    let ours = match provider.traits().ambiguity {
        Ambiguity::Replayed => {
            let minted = provider.create(&wanted).await.unwrap_or_else(|failure| panic!("the same token again: {failure}"));
            let credential = bench.credential(&minted);
            within(bench, "the replayed key works", async || probe(provider, &credential).await.filter(|life| *life == Life::Alive)).await;
            minted.id
        }
        Ambiguity::Listable => {
            within(bench, "the lost key is listed", async || {
                let named: Vec<_> = list(provider).await.into_iter().filter(|key| key.name.as_deref() == Some(&name)).collect();
                assert!(named.len() <= 1, "one create, one key");
                named.into_iter().next()
            })
            .await
            .id
        }
        Ambiguity::Unnamed => {
            within(bench, "the lost key is listed", async || ids(&list(provider).await).difference(&before).next().cloned()).await
        }
    };
    let appeared: Vec<_> = ids(&list(provider).await).difference(&before).cloned().collect();
    assert_eq!(appeared, std::slice::from_ref(&ours), "exactly one key appeared");
    provider.delete(&tombstone_for(&ours)).await.unwrap_or_else(|failure| panic!("delete: {failure}"));
    absent(bench, provider, &ours).await;
}

/// A delete whose reply is lost is told as unknown, and can be repeated.
async fn lost_delete(bench: &dyn ProviderBench, provider: &dyn Provider) {
    let name = name();
    let minted = match bench.mint(&Wanted::named(&name, &name)).await {
        Ok(minted) => minted,
        Err(failure) => panic!("create: {failure}"),
    };
    let tombstone = tombstone_for(&minted.id);
    if bench.lose_next_delete().await {
        let Err(failure) = provider.delete(&tombstone).await else { panic!("the reply was lost") };
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "a lost reply is no answer: {failure}");
        clean(bench, &failure, &minted.secret);
    }
    match provider.delete(&tombstone).await {
        Ok(()) => {}
        Err(failure) => assert_eq!(failure.refusal(), Some(Refusal::Gone), "{failure}"),
    }
    absent(bench, provider, &minted.id).await;
}

async fn absent(bench: &dyn ProviderBench, provider: &dyn Provider, id: &KeyId) {
    within(bench, "a deleted key is no longer listed", async || (!ids(&list(provider).await).contains(id)).then_some(())).await;
}

/// Neither our credential nor the key's value stands in a failure, however it is printed.
pub fn clean(bench: &dyn ProviderBench, failure: &Failure, value: &Secret) {
    let text = format!("{failure} {failure:?}");
    for secret in bench.own_secrets().iter().chain([value]) {
        assert!(!text.contains(secret.reveal()), "an error holds a secret");
    }
}

async fn list(provider: &dyn Provider) -> Vec<Listed> {
    let listed = provider.list().await.unwrap_or_else(|failure| panic!("list: {failure}"));
    assert_eq!(ids(&listed).len(), listed.len(), "each key once");
    listed
}

/// None where the provider could not be asked.
async fn probe(provider: &dyn Provider, credential: &Credential) -> Option<Life> {
    provider.probe(credential).await.ok()
}

fn ids(listed: &[Listed]) -> BTreeSet<KeyId> {
    listed.iter().map(|key| key.id.clone()).collect()
}

/// A name nobody else has, in the form the driver gives.
fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let millis = chrono::Utc::now().timestamp_millis();
    format!("keyroll-suite-{millis}-{}-a1", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Looks until it is so; fails after the bench's patience.
async fn within<T>(bench: &dyn ProviderBench, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < bench.patience(), "not within {:?}: {what}", bench.patience());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
