//! The only loop: ask the protocol what comes next, write the intent down, call one port, write the outcome down.
//!
//! It takes no decision about safety. Effects are never dropped half-way: a stop is looked at between two actions, and
//! only readings and waits are cut short.

mod effects;
mod examine;
mod handed;
mod hands;
mod idle;
mod known;
mod looks;
mod preflight;
mod urgent;
mod waits;
mod witness;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::{hands::Hands, known::Known};
use crate::{
    playbook::Playbook,
    ports::{Clock, Failure, Gate, Journal, JournalError, Lease, Note, World},
    protocol::{Action, Effect, Event, Illegal, Pause, Unfit, allows, apply, decide, gated, left},
    record::{Detail, Waiting},
    retry::{Patience, Tries},
    rotation::{Broken, Rotation},
    secret::Secret,
    sight::{Sight, View},
};

pub use self::{
    examine::{Absent, Counted, Examined, examine},
    known::{field, secret_field},
    preflight::{Overrides, preflight},
    urgent::{PATIENCE as URGENT_PATIENCE, Suspect, Unread, urgent},
    waits::{Floor, Proving, Shortened, Verdict, floor, proving, shorten, total, waits},
};

/// What a run needs besides the rotation itself.
pub struct Runner<'a> {
    /// The outside world of this playbook.
    pub world: &'a World,
    /// The playbook in force.
    pub book: &'a Playbook,
    /// Our record.
    pub journal: &'a dyn Journal,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Set to stop after the current effect; the rotation stays open and can be resumed.
    pub stop: &'a CancellationToken,
    /// When risky steps may begin.
    pub gate: &'a dyn Gate,
    /// How long a call is repeated.
    pub patience: Patience,
    /// Longer waits are left to the journal, and the run ends.
    pub longest_wait: Duration,
    /// A new key's value that a person hands over, where a person makes them.
    pub handed: Option<&'a Secret>,
}

/// Between two tries of what cannot be reached, while a leaked key waits for its time.
const BETWEEN: Duration = Duration::from_secs(5);

/// Why the loop ended before the rotation did. The journal holds everything; `resume` goes on.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The other side refuses, or cannot be reached.
    #[error(transparent)]
    Outside(#[from] Failure),
    /// Our record cannot be written: no journal, no effect.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The records and the protocol disagree.
    #[error("this is a defect of keyroll; nothing was done: {0}")]
    Defect(#[from] Illegal),
    /// What a person handed over is no new key; it is waited for another one.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// The records do not fold.
    #[error("the journal cannot be trusted: {0}")]
    Broken(#[from] Broken),
}

/// Drives a rotation until it ends, is held, is parked or cannot go on. Returns how it stands then; look at
/// [`crate::protocol::State::ended`] and `held`: neither means parked.
///
/// # Errors
/// [`Halt`], with the rotation as its last durable record left it in `rotation`.
pub async fn drive(runner: &Runner<'_>, view: &mut dyn View, rotation: &mut Rotation, lease: &mut Lease) -> Result<(), Halt> {
    let known = Known::of(rotation, runner.journal.salt());
    let mut hands = Hands {
        world: runner.world,
        book: runner.book,
        journal: runner.journal,
        clock: runner.clock,
        view,
        patience: runner.patience,
        known,
        value: None,
        handed: runner.handed.map(Secret::duplicate),
        waiting: None,
    };
    let mut lost = None;
    loop {
        if let Some(note) = runner.journal.collect(lease).await? {
            hear(runner, &mut hands, rotation, lease, note).await?;
            continue;
        }
        if runner.revokes_in(rotation).is_some_and(|time| time.is_zero()) {
            commit(runner, &mut hands, rotation, lease, Event::Waited(Pause::Revoke), Detail::Nothing).await?;
            continue;
        }
        if gated(&rotation.state)
            && !runner.stop.is_cancelled()
            && let Some(closed) = runner.gate.closed(runner.clock.now())
        {
            let now = runner.clock.now();
            let lasts = (closed.until - now).to_std().unwrap_or_default();
            if rotation.gated.as_ref().is_none_or(|known| known.what_for != closed.why) {
                let waiting = Waiting { lasts, since: now, store_since: None, journal_since: None, what_for: closed.why, readings: None };
                commit(runner, &mut hands, rotation, lease, Event::Gated, Detail::Waiting(waiting)).await?;
            }
            if lasts > runner.longest_wait {
                return Ok(());
            }
            hands.view.see(&Sight::Left(lasts));
            rest(runner, lasts).await;
            continue;
        }
        let action = decide(&rotation.state);
        if action == Action::Stop || (runner.stop.is_cancelled() && !matches!(action, Action::Do(_))) {
            return Ok(());
        }
        // Both only read: they may be cut short at any point.
        let reads = matches!(action, Action::Look(_) | Action::Intend(_));
        let left = runner.revokes_in(rotation);
        hands.patience.budget = left.map_or(runner.patience.budget, |left| left.min(runner.patience.budget));
        let step = tokio::select! {
            biased;
            // Somebody else may be at it by now.
            () = lease.term.over() => {
                runner.journal.asked(lease).await?;
                return Err(JournalError::Lapsed(rotation.id.clone()).into());
            }
            () = runner.stop.cancelled(), if reads => Step::Again,
            asked = asked(runner, lease), if reads => {
                asked?;
                Step::Again
            }
            () = runner.revoking(rotation), if reads => Step::Again,
            step = step(runner, &mut hands, rotation, action) => match (step, left) {
                // What cannot be reached must not keep a leaked key alive beyond its time.
                (Err(Halt::Outside(failure)), Some(left)) => {
                    let wait = left.min(BETWEEN);
                    hands.view.see(&Sight::Retrying { what: &failure.what, wait });
                    runner.clock.sleep(wait).await;
                    Step::Again
                }
                // Once it is due nothing else is done before it is deleted.
                (Err(Halt::Outside(failure)), None) if rotation.state.paying() && !runner.stop.is_cancelled() => {
                    hands.view.see(&Sight::Retrying { what: &failure.what, wait: BETWEEN });
                    rest(runner, BETWEEN).await;
                    Step::Again
                }
                (step, _) => step?,
            },
        };
        let (event, detail) = match step {
            Step::Took(event, detail) => (event, detail),
            Step::Again => continue,
            Step::Left => return Ok(()),
        };
        let failed = matches!(event, Event::Lost(_)).then(|| said(&detail));
        commit(runner, &mut hands, rotation, lease, event, detail).await?;
        match failed {
            Some(what) if rotation.state.paying() => {
                hands.view.see(&Sight::Retrying { what: &what, wait: BETWEEN });
                rest(runner, BETWEEN).await;
            }
            Some(what) => back_off(runner, &mut hands, &mut lost, what).await?,
            None => lost = lost.filter(|_| !matches!(event, Event::Did(_))),
        }
    }
}

/// How one action went.
enum Step {
    /// This goes into the journal.
    Took(Event, Detail),
    /// Nothing does yet.
    Again,
    /// The wait is too long for this process.
    Left,
}

/// Does what the protocol wants next.
async fn step(runner: &Runner<'_>, hands: &mut Hands<'_>, rotation: &Rotation, action: Action) -> Result<Step, Halt> {
    hands.known.update(rotation);
    let (event, detail) = match action {
        Action::Stop => return Ok(Step::Left),
        Action::Do(Effect::Create) if rotation.plan.rules.by_person => match hands.take(rotation).await? {
            Some(detail) => (Event::Did(Effect::Create), detail),
            None => return Ok(unasked(runner, rotation).await),
        },
        Action::Do(effect) => hands.perform(rotation, effect).await?,
        Action::Intend(effect) => (Event::Intended(effect), hands.intend(rotation, effect).await?),
        Action::Park(pause) => (Event::Parked(pause), hands.park(rotation, pause).await?),
        Action::Look(query) => hands.observe(rotation, query).await?,
        Action::Wait(pause) => {
            let time = match runner.revokes_in(rotation) {
                Some(time) => time,
                None => hands.left(rotation).await?,
            };
            if time > runner.longest_wait {
                return Ok(Step::Left);
            }
            hands.view.see(&Sight::Left(time));
            if !time.is_zero() {
                rest(runner, time).await;
                return Ok(Step::Again);
            }
            (Event::Waited(pause), Detail::Nothing)
        }
    };
    Ok(Step::Took(event, detail))
}

impl Runner<'_> {
    /// In an emergency: how long until what leaked is deleted whatever the state; none where nothing waits for that.
    fn revokes_in(&self, rotation: &Rotation) -> Option<Duration> {
        let emergency = rotation.emergency.as_ref().filter(|_| rotation.state.owes() && !rotation.state.due)?;
        Some((emergency.revoke_at - self.clock.now()).to_std().unwrap_or_default())
    }

    /// Until then.
    async fn revoking(&self, rotation: &Rotation) {
        match self.revokes_in(rotation) {
            Some(time) => self.clock.sleep(time).await,
            None => std::future::pending().await,
        }
    }
}

/// A person has to do something first. Meanwhile a leaked key's time may come.
async fn unasked(runner: &Runner<'_>, rotation: &Rotation) -> Step {
    match runner.revokes_in(rotation) {
        Some(time) if time <= runner.longest_wait && !runner.stop.is_cancelled() => {
            rest(runner, time).await;
            Step::Again
        }
        _ => Step::Left,
    }
}

/// A short part of a longer wait; a stop ends it.
async fn rest(runner: &Runner<'_>, time: Duration) {
    tokio::select! {
        biased;
        () = runner.stop.cancelled() => {}
        () = runner.clock.sleep(time.min(Duration::from_secs(1))) => {}
    }
}

/// Writes a record, conditional on our lease; only then does the state move.
async fn commit(
    runner: &Runner<'_>,
    hands: &mut Hands<'_>,
    rotation: &mut Rotation,
    lease: &mut Lease,
    event: Event,
    detail: Detail,
) -> Result<(), Halt> {
    let next = apply(&rotation.state, &event)?;
    let record = runner.journal.append(lease, runner.clock.now(), event, detail, next.ended().is_some()).await?;
    rotation.add(&record)?;
    tracing::info!(rotation = %rotation.id, seq = record.seq, event = ?record.event, "recorded");
    hands.view.see(&Sight::Recorded(rotation, &record));
    Ok(())
}

/// Between two tries of an effect whose outcome was lost; the reading between them has its own patience.
async fn back_off(runner: &Runner<'_>, hands: &mut Hands<'_>, lost: &mut Option<Tries>, what: String) -> Result<(), Halt> {
    let now = runner.clock.steady();
    let tries = lost.get_or_insert_with(|| Tries::new(runner.patience, now));
    let Some(wait) = tries.next(now, None, fastrand::f64()) else { return Err(Failure::unknown(what).into()) };
    hands.view.see(&Sight::Retrying { what: &what, wait });
    runner.clock.sleep(wait).await;
    Ok(())
}

fn said(detail: &Detail) -> String {
    match detail {
        Detail::Reply { said } => said.clone(),
        _ => "the outcome is unknown".into(),
    }
}

/// Waits until a person has asked. It only looks: this future may be dropped, and an ask must not go with it.
async fn asked(runner: &Runner<'_>, lease: &Lease) -> Result<(), JournalError> {
    loop {
        runner.clock.sleep(Duration::from_secs(1)).await;
        if runner.journal.asked(lease).await? {
            return Ok(());
        }
    }
}

/// Takes a person's ask in, if it is still possible.
async fn hear(runner: &Runner<'_>, hands: &mut Hands<'_>, rotation: &mut Rotation, lease: &mut Lease, note: Note) -> Result<(), Halt> {
    match note.event {
        Event::Asked(ask) if allows(&rotation.state, ask) => commit(runner, hands, rotation, lease, note.event, note.detail).await,
        _ => {
            tracing::warn!(rotation = %rotation.id, asked = ?note.event, "too late for that; it is left aside");
            Ok(())
        }
    }
}

impl Hands<'_> {
    async fn park(&mut self, rotation: &Rotation, pause: Pause) -> Result<Detail, Halt> {
        let waits = &rotation.plan.waits;
        let (lasts, what_for) = match pause {
            Pause::Grace => (waits.grace, "nobody may still be about to read or use the old key"),
            Pause::Idle => (
                waits.idle.max(Duration::from_secs(60)).min(Duration::from_secs(3600)),
                "the provider must be able to say that the old key is idle",
            ),
            Pause::Soak => (waits.soak, "the old key is off and can still be enabled if anything complains"),
            Pause::Stale => (waits.stale, "nobody may still be about to read or use the new key"),
            Pause::Revoke => (Duration::ZERO, "the leaked key is deleted then, whatever the state"),
        };
        self.waiting = Some(self.clock.steady());
        let (store_since, journal_since) = (self.store_clock().await, self.journal.clock().await?);
        let since = self.clock.now();
        // After the wait's own clocks were read: the readings are no older than the wait.
        let readings = self.readings(rotation, pause).await;
        Ok(Detail::Waiting(Waiting { lasts, since, store_since, journal_since, what_for: what_for.into(), readings }))
    }

    /// What is left of the wait that is on, by the slowest clock we have.
    async fn left(&mut self, rotation: &Rotation) -> Result<Duration, Halt> {
        let Some(waiting) = &rotation.waiting else { return Ok(Duration::ZERO) };
        let wall = (self.clock.now() - waiting.since).to_std().unwrap_or_default();
        let steady = self.waiting.map(|since| self.clock.steady().saturating_sub(since));
        let ours = left(waiting.lasts, [Some(wall), steady].into_iter().flatten());
        if !ours.is_zero() || waiting.lasts.is_zero() {
            return Ok(ours);
        }
        // The other clocks only once ours says that it is over: asking them costs a call. One that told its time and no
        // longer does keeps the wait on.
        let mut clocks = vec![wall];
        if let Some(since) = waiting.store_since {
            let Some(now) = self.store_clock().await else { return Ok(Duration::from_secs(1)) };
            // Whole seconds on the wire: one is given back, or a wait of seconds would never agree with ours.
            clocks.push((now - since).to_std().unwrap_or_default() + Duration::from_secs(1));
        }
        if let Some(since) = waiting.journal_since {
            let Some(now) = self.journal.clock().await? else { return Ok(Duration::from_secs(1)) };
            clocks.push((now - since).to_std().unwrap_or_default());
        }
        Ok(left(waiting.lasts, clocks))
    }

    /// The first clock that a store tells.
    pub(super) async fn store_clock(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        for store in &self.world.stores {
            if let Ok(Some(now)) = store.clock().await {
                return Some(now);
            }
        }
        None
    }
}
