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
        tap::Blow,
        toxi::Toxic,
    },
};

/// How many rotations run at once.
const AT_ONCE: usize = 16;
/// A lease on PostgreSQL, in seconds: the next process waits for as long.
const LEASE: &str = "3";
const DEADLINE: Duration = Duration::from_secs(120);

/// One rotation whose process is struck.
#[derive(Clone, Copy, Debug)]
struct Death {
    kind: Kind,
    shared: bool,
    manner: Manner,
    answered: bool,
    at: usize,
    signal: Signal,
}

/// The scene's keyroll with a blow aimed at it. None: it ended before the blow fell.
async fn struck(scene: &Scene, words: &[&str], death: Death) -> Option<tokio::process::Child> {
    let ((tell, whom), fell) = (watch::channel(None), Arc::new(Notify::new()));
    scene.tap.aim(Blow { at: death.at, answered: death.answered, signal: death.signal, whom, fell: fell.clone() });
    let mut child = scene.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    tell.send_replace(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    tokio::select! {
        () = fell.notified() => Some(child),
        ended = child.wait() => ended.expect("waited for").signal().map(|_| child),
    }
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
        let Some(mut child) = struck(&scene, &["run", &playbook], self).await else { return false };
        if self.signal == Signal::KILL {
            let status = child.wait().await.expect("waited for");
            assert_eq!(status.signal(), Some(9), "{story}: it was killed");
        }
        finish(&scene, &story).await;
        if self.signal == Signal::STOP {
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
        let happens = futures_util::stream::iter(1..).map(|at| tokio::spawn(Death { at, ..death }.happens()));
        let happened = happens.buffered(AT_ONCE).take_while(|happened| std::future::ready(!matches!(happened, Ok(false))));
        let happened: Vec<_> = happened.collect().await;
        assert!(happened.iter().all(Result::is_ok), "{death:?}: what went wrong is said above");
        count += happened.len();
    }
    count
}

const KILL: Death = Death { kind: Kind::Vault, shared: false, manner: Manner::Follows, answered: false, at: 0, signal: Signal::KILL };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_request_leaves_nothing_behind() {
    let answered = Death { answered: true, ..KILL };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_stopped_at_any_request_wakes_up_too_late() {
    let stop = Death { shared: true, signal: Signal::STOP, ..KILL };
    let stops = all(vec![stop, Death { kind: Kind::Aws, ..stop }]).await;
    figure("SIGSTOP at every request", format!("{stops}, past the lease on PostgreSQL; each woke up and changed nothing"));
    assert!(stops > 40, "{stops} stops only");
}
