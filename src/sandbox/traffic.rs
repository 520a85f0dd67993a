//! Steady requests to a fleet, counted: what "zero downtime" is measured by.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

/// Requests in flight at once; when all are taken, the next waits, so a fleet that hangs cannot eat the memory.
const IN_FLIGHT: usize = 256;
/// Latencies kept; beyond, a random one is replaced.
const SAMPLES: usize = 1 << 16;
/// The longest one request may take.
const LONGEST: Duration = Duration::from_secs(30);

/// What happened so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Requests sent.
    pub sent: u64,
    /// Answered with 200.
    pub ok: u64,
    /// Answered otherwise, or not at all.
    pub failed: u64,
    /// What the first failure was.
    pub first_failure: Option<String>,
    /// Half of the answers came within this time.
    pub p50: Duration,
    /// 99 of 100 answers came within this time.
    pub p99: Duration,
}

#[derive(Default)]
struct Counts {
    sent: u64,
    ok: u64,
    failed: u64,
    first_failure: Option<String>,
    latencies: Vec<Duration>,
}

impl Counts {
    fn add(&mut self, took: Duration, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.ok += 1,
            Err(why) => {
                self.failed += 1;
                self.first_failure.get_or_insert(why);
            }
        }
        if self.latencies.len() < SAMPLES {
            self.latencies.push(took);
        } else if let Some(slot) = self.latencies.get_mut(fastrand::usize(..(self.ok + self.failed) as usize)) {
            *slot = took;
        }
    }

    fn summary(&self) -> Summary {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at =
            |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default();
        Summary { sent: self.sent, ok: self.ok, failed: self.failed, first_failure: self.first_failure.clone(), p50: at(50), p99: at(99) }
    }
}

/// Requests under way. They end when this is dropped.
pub struct Traffic {
    counts: Arc<Mutex<Counts>>,
    answered: watch::Receiver<u64>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Sends `GET /work` to the targets in turn, so many a second in all. The list is read anew for each request, as a
    /// balancer does; while it is empty nothing is sent.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn start(targets: watch::Receiver<Vec<SocketAddr>>, requests_per_second: u32) -> std::io::Result<Self> {
        let client = reqwest::Client::builder()
            // All of it is in the clear: reading the system's trust roots takes longer than a rotation here.
            .tls_certs_only([])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LONGEST)
            .build()
            .map_err(|error| std::io::Error::other(error.without_url().to_string()))?;
        let counts = Arc::new(Mutex::new(Counts::default()));
        let stop = CancellationToken::new();
        let gap = Duration::from_secs(1) / requests_per_second.max(1);
        let (done, answered) = watch::channel(0);
        let task = tokio::spawn(send_all(client, targets, gap, counts.clone(), done, stop.clone()));
        Ok(Self { counts, answered, stop, task: Some(task) })
    }

    /// What happened so far.
    pub fn so_far(&self) -> Summary {
        lock(&self.counts).summary()
    }

    /// Waits until so many requests have had their answer, or their failure.
    pub async fn answered(&self, requests: u64) {
        let _ = self.answered.clone().wait_for(|answered| *answered >= requests).await;
    }

    /// Sends no more, waits for what is in flight, and tells what happened.
    pub async fn stop(mut self) -> Summary {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
        self.so_far()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn lock(counts: &Mutex<Counts>) -> std::sync::MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn send_all(
    client: reqwest::Client,
    targets: watch::Receiver<Vec<SocketAddr>>,
    gap: Duration,
    counts: Arc<Mutex<Counts>>,
    answered: watch::Sender<u64>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut ticks = tokio::time::interval(gap);
    // A timer is no finer than a millisecond: what is late is sent at once, so the rate holds.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for turn in 0usize.. {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let Some(target) = ({
            let list = targets.borrow();
            (!list.is_empty()).then(|| list[turn % list.len()])
        }) else {
            continue;
        };
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = stop.cancelled() => break,
        };
        let (client, counts, answered) = (client.clone(), counts.clone(), answered.clone());
        lock(&counts).sent += 1;
        tokio::spawn(async move {
            let _permit = permit;
            let begun = Instant::now();
            let outcome = one(&client, target).await;
            lock(&counts).add(begun.elapsed(), outcome);
            answered.send_modify(|answered| *answered += 1);
        });
    }
    // All permits back means that nothing is in flight.
    let _ = room.acquire_many(u32::try_from(IN_FLIGHT).unwrap_or(u32::MAX)).await;
}

async fn one(client: &reqwest::Client, target: SocketAddr) -> Result<(), String> {
    let answer = client.get(format!("http://{target}/work")).send().await;
    let answer = answer.map_err(|error| format!("{target}: {}", if error.is_timeout() { "no answer in time" } else { "no connection" }))?;
    let status = answer.status();
    // Read whole, so that the connection can be used again.
    let text = answer.text().await.map_err(|_| format!("{target}: the answer broke off"))?;
    if status == reqwest::StatusCode::OK { Ok(()) } else { Err(format!("{target} answered {}: {text}", status.as_u16())) }
}
