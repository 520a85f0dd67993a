//! A runner that is stopped for longer than its lease, and wakes up.

use keyroll::ports::Journal as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{
    suite::{Broken, Outcome},
    world::{World, until},
};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn signal(child: &Child, signal: Signal) -> Outcome {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or("it has ended")?;
    Ok(kill_process(pid, signal)?)
}

/// A run that has just promoted its new key, and got this signal.
async fn struck(world: &World, by: Signal) -> Result<Child, Broken> {
    let playbook = world.playbook(0).display().to_string();
    let mut command: Command = world.keyroll(&words(&["run", "--output", "json", &playbook]));
    let mut child = command.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    loop {
        let line = lines.next_line().await?.ok_or("it ended before the store had the new key")?;
        if serde_json::from_str::<serde_json::Value>(&line)?["event"]["did"]["promote"].is_u64() {
            signal(&child, by)?;
            break;
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}

/// Everything the rotation did: records, the store's version, the live keys.
async fn deeds(world: &World) -> Result<(usize, (u64, String), Vec<String>), Broken> {
    let rotation = world.journal.entries().await?.pop().ok_or("no rotation")?.rotation;
    Ok((world.journal.records(&rotation).await?.len(), world.stored(0), world.live(0).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_runner_that_was_taken_over_ends_and_changes_nothing_more() -> Outcome {
    let world = World::new(1, "3s", 2.0).await?;
    let child = struck(&world, Signal::STOP).await?;
    let pid = child.id().ok_or("it has ended")?;
    let busy = world.keyroll(&words(&["resume"])).output().await?;
    let said = String::from_utf8(busy.stderr)?;
    assert_eq!(busy.status.code(), Some(4), "{said}");
    assert!(said.contains(&format!("process {pid} on host ")) && said.contains("lapses in "), "{said}");
    until("the other takes over", async || {
        let taken = world.keyroll(&words(&["resume"])).output().await?;
        assert!(matches!(taken.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&taken.stderr));
        Ok(taken.status.code() == Some(0))
    })
    .await?;
    let before = deeds(&world).await?;
    signal(&child, Signal::CONT)?;
    let woken = child.wait_with_output().await?;
    let said = String::from_utf8(woken.stderr)?;
    assert_eq!(woken.status.code(), Some(4), "{said}");
    assert!(said.contains("was taken over by another keyroll"), "{said}");
    assert_eq!(deeds(&world).await?, before);
    world.assert_rotated_once(0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_runner_whose_lease_lapsed_goes_on_only_by_resume() -> Outcome {
    let world = World::new(1, "3s", 1.0).await?;
    let child = struck(&world, Signal::STOP).await?;
    until("the lease lapses", async || Ok(world.server.number("SELECT COUNT(*) FROM lease WHERE until <= clock_timestamp()").await? == 1))
        .await?;
    let before = deeds(&world).await?;
    signal(&child, Signal::CONT)?;
    let woken = child.wait_with_output().await?;
    let said = String::from_utf8(woken.stderr)?;
    assert_eq!(woken.status.code(), Some(5), "{said}");
    assert!(said.contains("its lease lapsed before it was renewed") && said.contains("keyroll resume "), "{said}");
    assert_eq!(deeds(&world).await?, before);
    let resumed = world.keyroll(&words(&["resume"])).output().await?;
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    world.assert_rotated_once(0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_ends_in_an_orderly_way_gives_its_lease_back_at_once() -> Outcome {
    let world = World::new(1, "3s", 600.0).await?;
    let ended = struck(&world, Signal::TERM).await?.wait_with_output().await?;
    assert_eq!(ended.status.code(), Some(6), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(world.server.number("SELECT COUNT(*) FROM lease").await?, 0, "nobody waits ten minutes for it");
    let resumed = world.keyroll(&words(&["resume"])).output().await?;
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    world.assert_rotated_once(0).await
}
