//! One keyroll on one machine: it can be killed, and stand still for a while.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use keyroll::{
    ids::RotationId,
    ports::{Clock, Failure, Fate, Got, Wiring, World},
    protocol::{Event, Refusal},
};
use tokio::sync::Notify;

use super::{
    Outside, Sim,
    facts::{At, Fact},
    fault::{Call, Calm, Fault, Op, RETRY_AFTER, TIMEOUT},
    origin,
};

/// What is true of one process.
#[derive(Default)]
pub struct Machine {
    pub host: usize,
    pub dead_since: Option<At>,
    /// It stands still from and to these moments.
    pub still: Option<(At, At)>,
    /// Its lease row lapsed.
    pub lapsed: bool,
    /// What it has a lease row of.
    pub drives: Option<RotationId>,
    /// What a killed process cannot give back.
    pub keeps: Vec<Box<dyn Send + Sync>>,
    /// The record that it is about to write.
    pub writing: Option<Event>,
    death: Arc<Notify>,
}

impl Machine {
    pub fn new(host: usize) -> Self {
        Self { host, ..Self::default() }
    }
}

#[derive(Clone)]
pub struct Process {
    pub sim: Sim,
    pub number: usize,
}

/// One store or one service, as one process reaches it.
#[derive(Clone)]
pub struct Port {
    pub process: Process,
    pub place: usize,
}

impl Process {
    /// The ports of this process.
    pub fn world(&self) -> World {
        let (stores, services) = {
            let outside = self.sim.lock();
            let services: Vec<_> = outside.services.iter().map(|service| (service.job, service.rolls)).collect();
            (outside.stores.len(), services)
        };
        let port = |place| Arc::new(Port { process: self.clone(), place });
        let wiring = |(place, (job, rolls)): (usize, (bool, bool))| Wiring {
            discovery: if job { None } else { Some(port(place)) },
            health: if job { None } else { Some(port(place)) },
            rollout: if rolls { Some(port(place)) } else { None },
        };
        World {
            provider: Arc::new(self.clone()),
            stores: (0..stores).map(|place| port(place) as _).collect(),
            consumers: services.into_iter().enumerate().map(wiring).collect(),
            outlets: Vec::new(),
        }
    }

    /// Does the work of this process until it is done, or the process is killed (none).
    pub async fn lives<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let death = self.sim.lock().machines[self.number].death.clone();
        tokio::select! {
            biased;
            () = death.notified() => None,
            done = work => Some(done),
        }
    }

    /// One call: what befalls it decides whether the work is done, and what is told.
    pub async fn call<T: Send>(&self, op: Op, place: usize, work: impl FnOnce(&mut Outside) -> Got<T> + Send + 'static) -> Got<T> {
        let fault = self.befalls(op, place).await;
        self.suffered(fault, work).await
    }

    /// What befalls a call that is about to be made; does not come back in a dead process.
    pub async fn befalls(&self, op: Op, place: usize) -> Fault {
        self.awake().await;
        let call = Call { process: self.number, op, place };
        let (fault, pause) = {
            let mut outside = self.sim.lock();
            let mut chance = outside.chance.take().unwrap_or_else(|| Box::new(Calm));
            let fault = chance.befalls(call, &mut outside);
            outside.chance = Some(chance);
            if fault != Fault::None {
                outside.note(Fact::Called { process: self.number, op, place, fault });
            }
            let most = outside.latency;
            (fault, if most.is_zero() { most } else { outside.some(most) })
        };
        pass(pause).await;
        match fault {
            Fault::CrashBefore => self.die().await,
            Fault::Stall => self.stand_still().await,
            Fault::HangBefore | Fault::HangAfter => pass(TIMEOUT).await,
            _ => {}
        }
        fault
    }

    pub async fn suffered<T: Send>(&self, fault: Fault, work: impl FnOnce(&mut Outside) -> Got<T> + Send + 'static) -> Got<T> {
        let unknown = |what: &str| Err(Failure::unknown(what));
        let refused = |why, code| Err(Failure::refused(why, Some(code), format!("answered {code}")));
        match fault {
            Fault::None | Fault::Stale | Fault::Stall => work(&mut self.sim.lock()),
            Fault::Denied => refused(Refusal::Denied, 403),
            Fault::NotFound => refused(Refusal::Gone, 404),
            Fault::Conflict => refused(Refusal::Conflict, 409),
            Fault::Quota => refused(Refusal::Quota, 400),
            Fault::TooMany => {
                Err(Failure { fate: Fate::NotSent { retry_after: Some(RETRY_AFTER) }, what: "answered 429".into(), hint: None })
            }
            Fault::Unreachable | Fault::DownBefore => Err(Failure::not_sent("connection refused")),
            Fault::BrokenBefore => unknown("answered 503"),
            Fault::ResetBefore => unknown("connection reset"),
            Fault::HangBefore => unknown("no answer"),
            Fault::BrokenAfter => work(&mut self.sim.lock()).and(unknown("answered 500")),
            Fault::ResetAfter => work(&mut self.sim.lock()).and(unknown("connection reset")),
            Fault::HangAfter => work(&mut self.sim.lock()).and(unknown("no answer")),
            Fault::Unreadable | Fault::DownAfter => work(&mut self.sim.lock()).and(unknown("answered 200 with something unreadable")),
            Fault::Late => {
                {
                    let mut outside = self.sim.lock();
                    let most = outside.issuer.lags.late;
                    let after = outside.some(most);
                    outside.later(after, move |outside| drop(work(outside)));
                }
                pass(TIMEOUT).await;
                unknown("no answer")
            }
            Fault::CrashAfter => {
                let _ = work(&mut self.sim.lock());
                self.die().await
            }
            Fault::CrashBefore => self.die().await,
        }
    }

    /// Stops this process for good; whoever drives it drops it.
    pub async fn die<T>(&self) -> T {
        {
            let mut outside = self.sim.lock();
            let (now, process) = (outside.now, self.number);
            let machine = &mut outside.machines[process];
            machine.dead_since = Some(now);
            machine.death.notify_one();
            outside.note(Fact::Stopped { process, how: "killed".into() });
        }
        std::future::pending().await
    }

    async fn stand_still(&self) {
        {
            let mut outside = self.sim.lock();
            let now = outside.now;
            let lasts = outside.lease.unwrap_or_default() * 2 + Duration::from_secs(5);
            let lasts = lasts + outside.some(lasts * 4);
            outside.machines[self.number].still = Some((now, now + lasts));
        }
        self.awake().await;
    }

    /// Waits while the process stands still. A lease that lapsed meanwhile is lost.
    pub async fn awake(&self) {
        loop {
            let left = {
                let mut outside = self.sim.lock();
                let (now, lease) = (outside.now, outside.lease);
                let machine = &mut outside.machines[self.number];
                if machine.dead_since.is_some() {
                    None
                } else {
                    let still = machine.still.filter(|(_, to)| *to > now);
                    if still.is_none()
                        && let Some((from, to)) = machine.still.take()
                    {
                        machine.lapsed |= lease.is_some_and(|lasts| to - from >= lasts);
                    }
                    Some(still.map(|(_, to)| to - now))
                }
            };
            match left {
                None => std::future::pending().await,
                Some(None) => return,
                Some(Some(left)) => pass(left).await,
            }
        }
    }
}

/// Lets time pass; none at all where there is none to pass.
pub async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

#[async_trait]
impl Clock for Process {
    fn now(&self) -> DateTime<Utc> {
        let outside = self.sim.lock();
        origin() + outside.now + outside.wrong_by[outside.machines[self.number].host]
    }
    fn steady(&self) -> Duration {
        self.sim.lock().now
    }
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time.max(Duration::from_millis(1))).await;
        self.awake().await;
    }
}
