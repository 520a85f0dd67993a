//! Drives a rotation with a view, and says how it ended.

use tokio_util::sync::CancellationToken;

use std::{io::IsTerminal, time::Duration};

use super::{App, Fail, load::Loaded, logging};
use crate::{
    batch,
    driver::{self, Runner},
    ids::RotationId,
    notify::{self, Courier},
    playbook::Occasion,
    ports::{Clock, Journal, Lease},
    protocol::Event,
    record::Detail,
    report,
    retry::Patience,
    rotation::Rotation,
    secret::Secret,
    sight::{Blind, Sight, View},
};

/// How long a run sits through a wait.
#[derive(clap::Args, Clone, Copy)]
pub struct Waiting {
    /// Sit through waits up to this long; longer ones are parked in the journal, and `keyroll resume` goes on [default: 15m; with --due 0s, with --revoke-by until then]
    #[arg(long, value_name = "TIME")]
    pub wait: Option<crate::playbook::Span>,
}

/// How long a run sits through a wait, and what a person brings along.
pub struct How<'a> {
    /// The first.
    pub waiting: Waiting,
    /// A new key's value.
    pub handed: Option<&'a Secret>,
}

impl From<Waiting> for How<'_> {
    fn from(waiting: Waiting) -> Self {
        Self { waiting, handed: None }
    }
}

/// A person at a terminal sits through this.
pub const USUAL_WAIT: Duration = Duration::from_secs(900);

/// The view that fits the output.
pub fn view(app: &App) -> Box<dyn View> {
    if app.json() {
        Box::new(report::Json::new(std::io::stdout()))
    } else if app.global.quiet {
        Box::new(Blind)
    } else if std::io::stdout().is_terminal() && std::io::stderr().is_terminal() && !logging::wanted(&app.global) {
        Box::new(report::Live::on_terminal())
    } else {
        Box::new(report::Plain::new(anstream::stdout()))
    }
}

/// Takes an open rotation over: from here this process drives it.
pub async fn take(app: &App, journal: &dyn Journal, id: &RotationId, view: &mut dyn View) -> Result<(Rotation, Lease), Fail> {
    let over = || Fail::usage(format!("rotation {id} is over")).next(format!("keyroll show {id}"));
    batch::take(journal, &app.clock, id, view).await?.ok_or_else(over)
}

/// Writes one record outside the loop: a takeover, a person's ask.
pub async fn append(
    app: &App,
    journal: &dyn Journal,
    lease: &mut Lease,
    rotation: &mut Rotation,
    event: Event,
    detail: Detail,
    view: &mut dyn View,
) -> Result<(), Fail> {
    let refuse = |what: String| Fail::usage(what);
    let next = crate::protocol::apply(&rotation.state, &event)
        .map_err(|_| refuse(format!("rotation {} cannot take that now", rotation.id)).of(rotation))?;
    let record = journal.append(lease, app.clock.now(), event, detail, next.ended().is_some()).await?;
    rotation.add(&record).map_err(|broken| refuse(broken.to_string()).of(rotation))?;
    view.see(&Sight::Recorded(rotation, &record));
    Ok(())
}

/// Drives it to its end, a hold or a long wait; prints the summary; the exit code.
pub async fn drive(
    app: &App,
    loaded: &Loaded,
    journal: &dyn Journal,
    mut rotation: Rotation,
    mut lease: Lease,
    view: &mut dyn View,
    how: impl Into<How<'_>>,
) -> Result<u8, Fail> {
    let How { waiting, handed } = how.into();
    let stop = stop_on_signals();
    let gate = batch::gate(journal, &loaded.book).await?;
    let runner = Runner {
        world: &loaded.world,
        book: &loaded.book,
        journal,
        clock: &app.clock,
        gate: &gate,
        stop: &stop,
        patience: Patience { budget: app.global.patience.0, ..Patience::default() },
        longest_wait: waiting.wait.map_or(USUAL_WAIT, |wait| wait.0),
        handed,
    };
    use tracing::Instrument;
    let span = tracing::info_span!("rotation", id = %rotation.id, playbook = %rotation.plan.name);
    let mut courier = Courier::new(&loaded.world.outlets);
    let held = rotation.state.held.is_some();
    if rotation.seq == 1
        && let Ok(records) = journal.records(&rotation.id).await
    {
        courier.tell(report::notice(&rotation, &records, Occasion::Started, app.clock.now()));
    }
    let work = driver::drive(&runner, view, &mut rotation, &mut lease).instrument(span);
    let result = batch::watched(journal, &app.clock, &gate, work).await;
    view.end();
    drop(lease);
    if let (Some(occasion), Ok(records)) = (notify::occasion(&rotation, held), journal.records(&rotation.id).await) {
        courier.tell(report::notice(&rotation, &records, occasion, app.clock.now()));
    }
    let result = match result {
        Ok(_) => finish(app, journal, &rotation, stop.is_cancelled()).await,
        Err(halt) => Err(Fail::halt(halt, &rotation)),
    };
    untold(&courier.settle().await);
    result
}

/// Says which messages were not delivered. It changes no exit code: the rotation is what it is.
pub fn untold(failed: &[String]) {
    for why in failed {
        anstream::eprintln!("warning: somebody was not told: {why}");
    }
}

/// Prints the summary; the exit code.
pub async fn finish(app: &App, journal: &dyn Journal, rotation: &Rotation, stopped: bool) -> Result<u8, Fail> {
    if app.json() {
        println!("{}", serde_json::json!({ "result": report::status_json(std::slice::from_ref(rotation), app.clock.now())[0] }));
    } else {
        let records = journal.records(&rotation.id).await?;
        if stopped && rotation.state.ended().is_none() {
            anstream::eprintln!("stopped between two steps, as you asked; `keyroll resume` goes on from here");
        }
        anstream::print!("{}", report::summary(rotation, &records));
    }
    Ok(report::exit_code(rotation))
}

/// The first signal stops between two steps, the second at once. Both can be resumed.
pub fn stop_on_signals() -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let mut heard = 0;
        loop {
            if !signal().await {
                return;
            }
            heard += 1;
            if heard > 1 {
                eprintln!("\nstopped at once; `keyroll resume` finds out how far the last step came");
                std::process::exit(6);
            }
            eprintln!("\nstopping after the current step (once more: at once)");
            token.cancel();
        }
    });
    stop
}

async fn signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds else { return false };
    tokio::select! { got = interrupt.recv() => got.is_some(), got = terminate.recv() => got.is_some(), got = hangup.recv() => got.is_some() }
}
