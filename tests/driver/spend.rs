//! The idle gate at a provider that tells only what a key has spent: readings apart show its use.

use std::time::Duration;

use keyroll::{
    ports::Clock as _,
    protocol::{Ask, End, Why},
};

use crate::{Bench, HOUR, ask};

const MINUTE: Duration = Duration::from_secs(60);

fn bench() -> Bench {
    let bench = Bench::new("verify: { within: 5m, stable_for: 10s }\nrevoke: { grace: 1h, idle_for: 2h }\n");
    let mut outside = bench.sim.lock();
    (outside.tells_use, outside.tells_spend, outside.usage_lag) = (false, true, 5 * MINUTE);
    drop(outside);
    bench
}

#[tokio::test(start_paused = true)]
async fn readings_that_stand_still_let_the_old_key_go() {
    let bench = bench();
    bench.open().await;
    let rotation = bench.to_the_end("honest").await;
    assert_eq!(rotation.state.ended(), Some(End::Done), "{:?}", rotation.said);
    bench.sim.assert_clean("honest");
    let stood = rotation.waited_at.unwrap() - rotation.readings[0].at;
    assert!(stood.to_std().unwrap() >= 2 * HOUR, "the old key had spent nothing for as long as asked: {stood}");
    assert!(bench.clock.steady() < 5 * HOUR, "the grace is part of it");
}

/// A service that reports one key and uses another.
#[tokio::test(start_paused = true)]
async fn a_service_that_spends_with_the_old_key_holds_the_rotation_until_it_stops() {
    let bench = bench();
    bench.open().await;
    bench.sim.lock().instances[2].lies = true;
    let rotation = bench.to_the_end("a liar").await;
    assert_eq!(rotation.state.held, Some(Why::StillUsed));
    assert!(rotation.said.unwrap().contains("still grows"));
    assert!(bench.sim.lock().keys["key-0"].alive);

    ask(&bench, Ask::GoOn).await;
    let rotation = bench.to_the_end("it was not found").await;
    assert_eq!(rotation.state.held, Some(Why::StillUsed), "a person's word is no reading");
    assert!(bench.sim.lock().keys["key-0"].alive);

    {
        let mut outside = bench.sim.lock();
        let current = outside.versions.last().unwrap().clone();
        (outside.instances[2].lies, outside.instances[2].holds) = (false, current);
    }
    ask(&bench, Ask::GoOn).await;
    let moved = bench.clock.steady();
    assert_eq!(bench.to_the_end("it was moved").await.state.ended(), Some(End::Done));
    assert!(bench.clock.steady() - moved >= 2 * HOUR, "idle from then on");
    assert_eq!(bench.sim.lock().served_dead, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_spends_nothing_holds_the_rotation() {
    let bench = bench();
    bench.sim.lock().quiet = true;
    bench.open().await;
    let rotation = bench.to_the_end("a quiet one").await;
    assert_eq!(rotation.state.held, Some(Why::StillUsed));
    assert!(rotation.said.unwrap().contains("not seen the new key in use"));
    assert!(bench.sim.lock().keys["key-0"].alive);
}

/// Each process drops what it knew: what it had read stands in the journal.
#[tokio::test(start_paused = true)]
async fn a_death_between_two_readings_does_not_shorten_the_wait() {
    let mut bench = bench();
    bench.patience = MINUTE;
    bench.open().await;
    let mut runs = 0;
    while bench.go().await.unwrap().state.ended().is_none() {
        runs += 1;
        tokio::time::sleep(20 * MINUTE).await;
    }
    assert!(runs > 5, "{runs}");
    assert_eq!(bench.rotation().state.ended(), Some(End::Done));
    let passed = bench.clock.steady();
    assert!(passed >= 2 * HOUR + 5 * MINUTE && passed < 5 * HOUR, "{passed:?}");
    bench.sim.assert_clean("many processes");
}
