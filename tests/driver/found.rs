//! Stories that the model and the simulation found, with the real driver.

use keyroll::{
    ids::RotationId,
    ports::{Clock, Journal, Note},
    protocol::{Answer, Ask, Effect, End, Event, Leak, Query, Refusal, Role, Urgency, Why},
    record::{Detail, Emergency},
    rotation::Rotation,
};

use crate::{
    Bench, DISABLES, PLAIN,
    world::{Fault, Ledger},
};

impl Bench {
    /// Drives until this is to be written, and dies.
    async fn dies_before(&self, event: Event) {
        *self.ledger.dies_before.lock().unwrap() = Some(event);
        self.go().await.map(|rotation| rotation.state).unwrap_err();
        assert!(self.ledger.dies_before.lock().unwrap().is_none(), "{event:?} never came");
    }

    /// Somebody says that keys leaked; the next run hears it.
    async fn leaks(&self, leak: Leak, urgency: Urgency) {
        let revoke_at = self.clock.now() + chrono::TimeDelta::hours(10);
        let emergency = Emergency { by: "ada".into(), reason: "leak".into(), leaked: Vec::new(), revoke_at, since: None };
        let note = Note { event: Event::Asked(Ask::Emergency(leak, urgency)), detail: Detail::Emergency(emergency) };
        self.ledger.leave(&RotationId::new("r1"), note).await.unwrap();
    }
}

const RESTORE: Event = Event::Intended(Effect::Restore(0));

fn deleted(ledger: &Ledger) -> usize {
    ledger.records.lock().unwrap().iter().filter(|record| matches!(record.event, Event::Did(Effect::Delete(_)))).count()
}

/// A promote was begun, and its runner died before anything was sent: the next one is about to fence it.
async fn about_to_fence() -> Bench {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.dies_before(Event::Did(Effect::Promote(0))).await;
    bench.sim.lock().versions.pop();
    bench.dies_before(RESTORE).await;
    bench
}

#[tokio::test(start_paused = true)]
async fn a_fence_never_goes_over_a_promote_that_landed() {
    let bench = about_to_fence().await;
    bench.sim.lock().versions.push("value-1".into());
    let rotation = bench.to_the_end("landed").await;
    assert_eq!((rotation.state.ended(), bench.sim.lock().creates), (Some(End::Done), 1), "the key that is there is used");
    bench.sim.assert_clean("landed");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_there_and_gone_again_is_not_deleted_at_once() {
    let bench = about_to_fence().await;
    bench.sim.lock().versions.extend(["value-1".into(), "value-0".into()]);
    // It read the new key while that was there, and takes its time to read again.
    (bench.sim.lock().instances[2].holds, bench.sim.lock().instances[2].lag) = ("value-1".into(), 6);
    let rotation = bench.to_the_end("there and back").await;
    assert_eq!(rotation.state.ended(), Some(End::RolledBack));
    bench.sim.assert_clean("there and back");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_given_up_is_no_stray() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().instances[3].stuck = true;
    bench.dies_before(RESTORE).await;
    bench.sim.lock().instances[3].stuck = false;
    bench.leaks(Leak::Old, Urgency::ReplaceFast).await;
    bench.sim.lock().fault = Some((2, Fault::LostAfter));
    let rotation = bench.to_the_end("a lost create").await;
    assert_eq!((rotation.state.ended(), rotation.formers.len()), (Some(End::Done), 1));
    bench.sim.assert_clean("the stores showed the given-up key all the time");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_shows_a_deleted_key_gets_another_one() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.dies_before(Event::Intended(Effect::Delete(Role::Old))).await;
    bench.leaks(Leak::New, Urgency::RevokeFirst).await;
    bench.dies_before(RESTORE).await;
    assert_eq!(deleted(&bench.ledger), 1, "the new key is gone, and the store still shows it");
    bench.leaks(Leak::Old, Urgency::ReplaceFast).await;
    let rotation = bench.to_the_end("both, one after the other").await;
    assert_eq!((rotation.state.ended(), rotation.state.held), (Some(End::Done), None));
    bench.sim.lock().served_dead.clear();
    bench.sim.assert_clean("a third key is in use");
}

#[tokio::test(start_paused = true)]
async fn a_leaked_key_that_is_only_off_is_not_called_dead() {
    let bench = Bench::new(DISABLES);
    bench.open().await;
    bench.dies_before(Event::Intended(Effect::Delete(Role::Old))).await;
    bench.leaks(Leak::Old, Urgency::ReplaceFast).await;
    let delete = bench.sim.lock().calls;
    bench.sim.lock().fault = Some((delete, Fault::Refused));
    let held: Rotation = bench.to_the_end("not allowed to delete").await;
    assert_eq!((held.state.held, held.state.dead), (Some(Why::StillAlive), false), "{:?}", held.said);
    crate::ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("allowed").await.state.ended(), Some(End::Done));
    bench.sim.assert_clean("allowed");
}

impl Bench {
    /// For a while the listing is as it was at the beginning.
    fn lists_late(&self) {
        self.sim.lock().listing_behind = Some(tokio::time::Instant::now() + std::time::Duration::from_secs(3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_listed_yet_is_not_gone() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    // Its value dies with its process; the deletion meets a wrong address.
    bench.dies_before(Event::Saw(Query::Live, Answer::Yes)).await;
    bench.lists_late();
    bench.sim.lock().fault = Some((1, Fault::NotFound));
    let rotation = bench.to_the_end("not listed yet").await;
    assert_eq!(rotation.state.held, Some(Why::Refused(Refusal::Invalid)), "it is there, and listed soon");
    crate::ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("listed").await.state.ended(), Some(End::Done));
    bench.sim.assert_clean("listed");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_key_may_be_listed_for_a_while() {
    let bench = Bench::new(PLAIN);
    bench.open().await;
    bench.sim.lock().forgotten.push("1".into());
    bench.dies_before(Event::Intended(Effect::Delete(Role::Old))).await;
    bench.dies_before(Event::Did(Effect::Delete(Role::Old))).await;
    bench.lists_late();
    let rotation = bench.to_the_end("listed still").await;
    assert_eq!((rotation.state.ended(), rotation.state.held), (Some(End::Done), None), "{:?}", rotation.said);
    bench.sim.assert_clean("listed still");
}

#[tokio::test(start_paused = true)]
async fn a_disabled_key_that_is_listed_is_not_gone() {
    let bench = Bench::new(DISABLES);
    bench.open().await;
    bench.dies_before(Event::Saw(Query::Watched, Answer::Yes)).await;
    bench.sim.lock().instances[1].ill_on_new = true;
    bench.sim.lock().fault = Some((3, Fault::NotFound));
    let rotation = bench.to_the_end("a wrong address").await;
    assert_eq!(rotation.state.held, Some(Why::Refused(Refusal::Invalid)), "the enable said 404, and the key is listed");
    crate::ask(&bench, Ask::GoOn).await;
    assert_eq!(bench.to_the_end("the right address").await.state.held, Some(Why::EnabledAgain));
    assert!(bench.sim.lock().keys["key-0"].on, "it is on again, and alive");
}
