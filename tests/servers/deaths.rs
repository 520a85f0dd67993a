//! The built keyroll, killed or stopped at every request that it sends to real servers: just before the effect, and between the effect and
//! its record. Another process goes on; afterwards one key of ours is alive, the store serves it, and the chain verifies.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{Notify, watch};

use crate::{
    common::figure::figure,
    network::{
        scene::{Kind, Manner, Scene, both},
        tap::{Blow, Request},
        toxi::Toxic,
    },
};

/// How many rotations run at once: they wait more than they work.
const AT_ONCE: usize = 16;
/// How many pairs with the same first death.
const IN_A_ROW: usize = 3;
/// A lease on PostgreSQL, in seconds: the next process waits for as long.
const LEASE: &str = "3";
const DEADLINE: Duration = Duration::from_secs(120);

/// More effects than a rotation has.
const EFFECTS: usize = 12;

/// A request, just before its effect or between the effect and its record.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: usize,
    answered: bool,
}

/// One rotation whose process is struck.
#[derive(Clone, Copy, Debug)]
struct Death {
    kind: Kind,
    shared: bool,
    manner: Manner,
    moment: Moment,
    signal: Signal,
}

/// The scene's keyroll with a blow aimed at it, or how it ended before the blow fell.
async fn struck(
    scene: &Scene,
    words: &[&str],
    which: fn(&Request) -> bool,
    moment: Moment,
    signal: Signal,
) -> Result<tokio::process::Child, Option<i32>> {
    let ((tell, whom), fell) = (watch::channel(None), Arc::new(Notify::new()));
    scene.tap.aim(Blow { which, at: moment.at, answered: moment.answered, signal, whom, fell: fell.clone() });
    let mut child = scene.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    tell.send_replace(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    tokio::select! {
        () = fell.notified() => Ok(child),
        ended = child.wait() => {
            let ended = ended.expect("waited for");
            if ended.signal().is_some() { Ok(child) } else { Err(ended.code()) }
        }
    }
}

async fn killed(mut child: tokio::process::Child, story: &str) {
    assert_eq!(child.wait().await.expect("waited for").signal(), Some(9), "{story}: it was killed");
}

/// Goes on until it is over.
async fn finish(scene: &Scene, story: &str) {
    let (playbook, late) = (scene.playbook().display().to_string(), Instant::now() + DEADLINE);
    let mut ran = scene.keyroll(&["resume"]).await;
    while !matches!(ran.code, 0 | 1) && Instant::now() < late {
        ran = match ran.code {
            // No rotation had begun, or moto fell over its own threads.
            2 => scene.keyroll(&["run", &playbook]).await,
            // The dead one's lease has to lapse.
            4..=6 => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                scene.keyroll(&["resume"]).await
            }
            _ => break,
        };
    }
    assert!(matches!(ran.code, 0 | 1), "{story}: {}: {}", ran.code, ran.said);
}

impl Death {
    /// Whether there was such a request.
    async fn happens(self) -> bool {
        let story = format!("{self:?}");
        let scene = Scene::new(self.kind, self.manner, Toxic::Late, self.shared.then_some(LEASE), true).await;
        let playbook = scene.playbook().display().to_string();
        let Ok(child) = struck(&scene, &["run", &playbook], |_| true, self.moment, self.signal).await else { return false };
        if self.signal == Signal::KILL {
            killed(child, &story).await;
            finish(&scene, &story).await;
        } else {
            finish(&scene, &story).await;
            let (version, live) = (scene.world.stored(&scene.name).await, scene.world.live(&scene.name).await);
            let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it is only stopped");
            kill_process(pid, Signal::CONT).expect("it is there");
            let woken = child.wait_with_output().await.expect("it ends");
            assert!(matches!(woken.status.code(), Some(2 | 4 | 5)), "{story}: it must not go on: {:?}: {}", woken.status, both(&woken));
            assert_eq!(
                (scene.world.stored(&scene.name).await, scene.world.live(&scene.name).await),
                (version, live),
                "{story}: it changed something"
            );
        }
        scene.assert_sound(false, &story).await;
        let chain = scene.keyroll(&["audit", "verify"]).await;
        assert_eq!(chain.code, 0, "{story}: {}", chain.said);
        true
    }
}

/// Each of these at the first request, the second one, and so on until there are no more.
async fn all(of: Vec<Death>) -> usize {
    let mut count = 0;
    for death in of {
        let at = |at| Death { moment: Moment { at, ..death.moment }, ..death };
        let happens = futures_util::stream::iter(1..).map(|nth| tokio::spawn(at(nth).happens()));
        let happened = happens.buffered(AT_ONCE).take_while(|happened| std::future::ready(!matches!(happened, Ok(false))));
        let happened: Vec<_> = happened.collect().await;
        assert!(happened.iter().all(Result::is_ok), "{death:?}: what went wrong is said above");
        count += happened.len();
    }
    count
}

/// Killed at one effect, and the process that goes on at another one. Whether there were such effects; none: not even the first.
async fn pair(kind: Kind, shared: bool, first: Moment, second: Moment) -> Option<bool> {
    let story = format!("{kind:?}, shared: {shared}: {first:?}, then {second:?}");
    let scene = Scene::new(kind, Manner::Follows, Toxic::Late, shared.then_some(LEASE), true).await;
    let playbook = scene.playbook().display().to_string();
    let child = struck(&scene, &["run", &playbook], Request::is_effect, first, Signal::KILL).await.ok()?;
    killed(child, &story).await;
    let late = Instant::now() + DEADLINE;
    let again = loop {
        match struck(&scene, &["resume"], Request::is_effect, second, Signal::KILL).await {
            // The dead one's lease has to lapse.
            Err(Some(4..=6)) if Instant::now() < late => tokio::time::sleep(Duration::from_millis(300)).await,
            end => break end,
        }
    };
    let Ok(child) = again else { return Some(false) };
    killed(child, &story).await;
    finish(&scene, &story).await;
    scene.assert_sound(false, &story).await;
    let chain = scene.keyroll(&["audit", "verify"]).await;
    assert_eq!(chain.code, 0, "{story}: {}", chain.said);
    Some(true)
}

/// All that begin with this one, at each `step`th: how many there were.
async fn pairs(kind: Kind, shared: bool, first: Moment, step: usize) -> usize {
    let mut count = 0;
    for answered in [false, true] {
        // Whichever steps are left out, each effect is the first for some and the second for others.
        let seconds = (1..).filter(|at| (at + first.at + usize::from(answered)).is_multiple_of(step));
        let seconds = futures_util::stream::iter(seconds).map(|at| tokio::spawn(pair(kind, shared, first, Moment { at, answered })));
        let happened = seconds.buffered(IN_A_ROW).map(|happened| happened.expect("what went wrong is said above"));
        let happened: Vec<_> = happened.take_while(|happened| std::future::ready(*happened == Some(true))).collect().await;
        count += happened.len();
    }
    count
}

const KILL: Death =
    Death { kind: Kind::Vault, shared: false, manner: Manner::Follows, moment: Moment { at: 0, answered: false }, signal: Signal::KILL };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_request_leaves_nothing_behind() {
    let answered = Death { moment: Moment { at: 0, answered: true }, ..KILL };
    let deaths = vec![
        KILL,
        answered,
        Death { manner: Manner::Stays, ..answered },
        Death { shared: true, ..answered },
        Death { kind: Kind::Aws, ..answered },
    ];
    let kills = all(deaths).await;
    figure("SIGKILL at every request", format!("{kills}, real Vault and moto, SQLite and PostgreSQL, before and after each effect"));
    assert!(kills > 150, "{kills} kills only");
}

async fn all_pairs(step: usize) {
    let both = [false, true];
    let firsts = both.into_iter().flat_map(|answered| (1..=EFFECTS).map(move |at| Moment { at, answered }));
    let all = firsts.flat_map(|first| [(Kind::Vault, false, first), (Kind::Aws, true, first)]);
    let counts = futures_util::stream::iter(all)
        .map(|(kind, shared, first)| tokio::spawn(async move { (first.at, pairs(kind, shared, first, step).await) }));
    let counts: Vec<_> = counts.buffer_unordered(AT_ONCE).map(|count| count.expect("what went wrong is said above")).collect().await;
    assert!(counts.iter().all(|(at, count)| *at < EFFECTS || *count == 0), "a rotation has more effects than {EFFECTS}");
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    figure("pairs of SIGKILL at effects", format!("{total}, real Vault with SQLite and moto with PostgreSQL"));
    assert!(total * step > 100, "{total} pairs only: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_of_kills_at_two_effects_leaves_nothing_behind() {
    all_pairs(7).await;
}

#[ignore = "takes a quarter of an hour"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_of_kills_at_any_two_effects_leaves_nothing_behind() {
    all_pairs(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_stopped_at_any_request_wakes_up_too_late() {
    let stop = Death { shared: true, signal: Signal::STOP, ..KILL };
    let stops = all(vec![stop, Death { kind: Kind::Aws, ..stop }]).await;
    figure("SIGSTOP at every request", format!("{stops}, past the lease on PostgreSQL; each woke up and changed nothing"));
    assert!(stops > 40, "{stops} stops only");
}
