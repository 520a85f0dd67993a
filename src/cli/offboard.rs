//! `run --label … --revoke-by …`: everybody's keys at once, because somebody left. One that is held stops no other.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Local, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    App, Fail, approve, drive, load,
    load::Loaded,
    person::person,
    plan,
    report::{document, tell, write},
    run,
    select::Select,
    when,
};
use crate::{
    adapters::build,
    batch::{self, worse},
    driver::{self, Runner, Verdict},
    ids::RotationId,
    playbook::Span,
    ports::{Clock, Gate, Journal, Lease},
    record::{Begun, Plan},
    report::{self, Fate, Offboarding, Prospect},
    retry::Patience,
    rotation::Rotation,
    schedule::{self, Stands, Times},
};

/// What an offboarding adds to a run.
#[derive(clap::Args, Clone, Default)]
pub struct Choice {
    #[command(flatten)]
    pub select: Select,
    /// With --label or --all: shorten waits that are not needed for safety so that every key is gone by then:
    /// `18:00`, `tomorrow 09:30`, `3h` or RFC 3339
    #[arg(long, value_name = "WHEN", requires = "chosen")]
    pub revoke_by: Option<String>,
}

/// What only the run itself takes.
#[derive(clap::Args, Clone, Default)]
pub struct Doing {
    /// With --label or --all: only say what would be done
    #[arg(long, requires = "chosen")]
    pub dry_run: bool,
    /// With --label or --all: also write the closing table as one page; `-`: to standard output
    #[arg(long, value_name = "FILE", requires = "chosen")]
    pub html: Option<PathBuf>,
}

/// Says what would become of each key, and changes nothing.
pub async fn rehearse(app: &App, args: &Choice, paths: &[PathBuf]) -> Result<u8, Fail> {
    let journal = app.existing_journal().await?;
    let (what, books, rows, worst) = prepare(app, args, paths, journal).await?;
    drop(books);
    if app.json() {
        tell(&report::prospects_json(&what, &rows).to_string());
    } else {
        tell(report::prospects(&what, &rows).trim_end());
    }
    Ok(worst)
}

type Prepared = (Offboarding, Vec<(Loaded, Prospect)>, Vec<Prospect>, u8);

async fn prepare(app: &App, args: &Choice, paths: &[PathBuf], journal: Option<&dyn Journal>) -> Result<Prepared, Fail> {
    let now = app.clock.now();
    let local = now.with_timezone(&Local);
    let revoke_by = args.revoke_by.as_deref().map(|text| when::parse(text, &local, when::Way::On)).transpose().map_err(Fail::usage)?;
    if let Some(by) = revoke_by.filter(|by| *by <= now) {
        return Err(Fail::usage(format!("--revoke-by {} is over already; nothing was done", by.with_timezone(&Local).to_rfc3339())));
    }
    let chosen = args.select.choose(app, paths)?;
    let what = Offboarding { labels: args.select.words(), revoke_by, began: now };
    let ahead = behind_each_other(&chosen.books);
    let (mut books, mut rows, mut worst) = (Vec::new(), Vec::new(), 0);
    for loaded in chosen.books {
        let (row, code) = prospect(app, &loaded, journal, &what, ahead).await?;
        worst = worse(worst, code);
        rows.push(row.clone());
        books.push((loaded, row));
    }
    for (file, fail) in chosen.unreadable {
        worst = worse(worst, fail.code());
        // What is wrong and where; the drawing is `validate`'s.
        let wrong = fail.lines().into_iter().filter(|line| line.starts_with("error") || line.starts_with("-->"));
        let notes =
            std::iter::once("it is not valid, so nobody can know its labels: it may be one of these".to_owned()).chain(wrong).collect();
        rows.push(Prospect { playbook: file, old_key: None, created_at: None, waits_seconds: None, verdict: "cannot", notes });
    }
    Ok((what, books, rows, worst))
}

/// What the proofs of all keys take, one after the other.
fn behind_each_other(books: &[Loaded]) -> Duration {
    let each = books.iter().map(|one| driver::proving(&one.book, &one.world.provider.traits()).least);
    each.fold(Duration::ZERO, Duration::saturating_add)
}

async fn prospect(
    app: &App,
    loaded: &Loaded,
    journal: Option<&dyn Journal>,
    what: &Offboarding,
    ahead: Duration,
) -> Result<(Prospect, u8), Fail> {
    let none = |verdict, notes| Prospect {
        playbook: loaded.book.name.clone(),
        old_key: None,
        created_at: None,
        waits_seconds: None,
        verdict,
        notes,
    };
    if let Some(open) = holder(loaded, journal).await?
        && let Some(journal) = journal
    {
        let rotation = super::app::rotation(journal, &open).await?;
        let old = rotation.plan.old.as_ref();
        let mut row = none("open", vec![report::words::keys(&rotation), beforehand(&rotation)]);
        (row.old_key, row.created_at) = (old.and_then(|old| old.id.clone()), old.and_then(|old| old.created_at));
        return Ok((row, 0));
    }
    let plan = match plan::make(app, loaded, &plan::Old::proved(), journal).await {
        Ok((plan, _)) => plan,
        Err(fail) => return Ok((none("cannot", fail.lines()), fail.code())),
    };
    let (plan, verdict, notes) = fitted(app, loaded, plan, what, ahead, &gate(loaded, journal).await?);
    let floor = driver::floor(&loaded.book, &loaded.world.provider.traits());
    let mut row = none(verdict, notes);
    row.notes.extend(plan.notes.iter().filter(|note| !row.notes.contains(note)).cloned().collect::<Vec<_>>());
    row.waits_seconds = Some(driver::total(&plan.waits, &floor).as_secs());
    (row.old_key, row.created_at) = (plan.old.as_ref().and_then(|old| old.id.clone()), plan.old.as_ref().and_then(|old| old.created_at));
    Ok((row, 0))
}

async fn holder(loaded: &Loaded, journal: Option<&dyn Journal>) -> Result<Option<RotationId>, Fail> {
    let Some(journal) = journal else { return Ok(None) };
    for identity in build::identities(&loaded.book, &loaded.world) {
        if let Some(open) = journal.holder(&identity).await? {
            return Ok(Some(open));
        }
    }
    Ok(None)
}

fn beforehand(rotation: &Rotation) -> String {
    let made = rotation.new.as_ref().map_or_else(String::new, |new| format!(" (its new key was made {})", report::clock(new.created_at)));
    format!(
        "rotation {} began before this run{made}: its waits stay as they are; if that key could be read too, run this again afterwards",
        rotation.id
    )
}

/// The gate before risky steps: the window and freezes. It is never shortened.
async fn gate(loaded: &Loaded, journal: Option<&dyn Journal>) -> Result<Times, Fail> {
    Ok(match journal {
        Some(journal) => batch::gate(journal, &loaded.book).await?,
        None => Times::new(&loaded.book, &[]),
    })
}

/// The plan with its waits made to fit, whether they do, and what there is to say about it.
fn fitted(
    app: &App,
    loaded: &Loaded,
    mut plan: Plan,
    what: &Offboarding,
    ahead: Duration,
    gate: &Times,
) -> (Plan, &'static str, Vec<String>) {
    let Some(by) = what.revoke_by else { return (plan, "in_time", Vec::new()) };
    let (now, traits) = (app.clock.now(), loaded.world.provider.traits());
    let length = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).to_std().unwrap_or_default();
    let (floor, own) = (driver::floor(&loaded.book, &traits), driver::proving(&loaded.book, &traits));
    let shut = gate.closed(now);
    let opens = shut.as_ref().map_or(now, |closed| closed.until);
    // The others' proofs come before its own: they are made one after the other.
    let others = ahead.saturating_sub(own.least);
    let proving = driver::Proving { least: own.least, most: own.most.saturating_add(others) };
    let asked = plan.waits;
    let fit = driver::shorten(&asked, &floor, proving, length(opens, by));
    let mut cuts = Vec::new();
    for (name, was, is) in
        [("grace", asked.grace, fit.waits.grace), ("idle_for", asked.idle, fit.waits.idle), ("disable_for", asked.soak, fit.waits.soak)]
    {
        if is < was {
            cuts.push(format!("{name} {} instead of {}", Span::secs(is.as_secs()), Span::secs(was.as_secs())));
        }
    }
    let mut notes = Vec::new();
    if !cuts.is_empty() {
        notes.push(format!("shortened to meet {}: {}", report::clock(by), cuts.join(", ")));
    }
    plan.waits = fit.waits;
    plan.notes.extend(notes.clone());
    let needs = driver::total(&plan.waits, &floor);
    let end = TimeDelta::from_std(needs.saturating_add(own.least)).ok().and_then(|needs| opens.checked_add_signed(needs)).unwrap_or(opens);
    // Closed now, or closed again by the time it would be deleted.
    let closed = shut.or_else(|| gate.closed(end)).filter(|closed| closed.until > by);
    let mut verdict = match fit.verdict {
        Verdict::InTime => "in_time",
        Verdict::Tight => "tight",
        Verdict::TooLate => "too_late",
    };
    if let Some(closed) = closed {
        verdict = "too_late";
        notes.push(format!("the key cannot be deleted before {}: {}", report::clock(closed.until), closed.why));
    } else if verdict == "too_late" {
        notes.push(why_late(&plan, &floor, own, (opens > now).then_some(opens)));
    }
    (plan, verdict, notes)
}

fn why_late(plan: &Plan, floor: &driver::Floor, proving: driver::Proving, opens: Option<DateTime<Utc>>) -> String {
    let span = |length: Duration| Span(length).to_string();
    let mut parts = vec![format!("{} before the old key may be touched ({})", span(plan.waits.grace), floor.because)];
    parts.extend(floor.lag.filter(|lag| !lag.is_zero()).map(|lag| format!("usage figures that are {} late", span(lag))));
    parts.extend((!plan.waits.watch.is_zero()).then(|| format!("{} of watching", span(plan.waits.watch))));
    parts.extend((!plan.waits.soak.is_zero()).then(|| format!("{} off (a job's runs_every)", span(plan.waits.soak))));
    parts.extend((!proving.least.is_zero()).then(|| format!("{} of proofs", span(proving.least))));
    let closed = opens.map_or_else(String::new, |opens| format!(", and none of it begins before {}", report::clock(opens)));
    format!("what is never shortened takes too long: {}{closed}", parts.join(", "))
}

/// Does it.
pub async fn run(app: &App, args: &Choice, doing: &Doing, paths: &[PathBuf], wait: Option<Span>, yes: bool) -> Result<u8, Fail> {
    if doing.dry_run {
        return rehearse(app, args, paths).await;
    }
    let journal = app.journal().await?;
    let (what, books, rows, mut worst) = prepare(app, args, paths, Some(journal)).await?;
    if app.json() {
        tell(&report::prospects_json(&what, &rows).to_string());
    } else if !app.global.quiet {
        tell(&report::prospects(&what, &rows));
    }
    run::agree(app, yes, "Rotate them all?")?;
    let stop = drive::stop_on_signals();
    let ahead = behind_each_other_of(&books);
    let mut work = Work { app, journal, what: &what, stop: &stop, wait, ahead, begun: Vec::new() };
    for (loaded, row) in books {
        work.begin(loaded, row).await;
    }
    work.finish().await;
    let mut fates = Vec::new();
    for one in &work.begun {
        fates.push(work.fate(one).await?);
    }
    fates.extend(rows.iter().filter(|row| work.begun.iter().all(|one| one.name() != row.playbook)).map(|row| {
        Fate::not_begun(row.playbook.clone(), Some(row), 2, row.notes.clone(), vec![format!("keyroll validate {}", row.playbook)])
    }));
    worst = fates.iter().fold(worst, |worst, fate| worse(worst, fate.exit_code));
    close(app, &what, &fates, doing.html.as_deref())?;
    Ok(worst)
}

fn behind_each_other_of(books: &[(Loaded, Prospect)]) -> Duration {
    let each = books.iter().map(|(one, _)| driver::proving(&one.book, &one.world.provider.traits()).least);
    each.fold(Duration::ZERO, Duration::saturating_add)
}

fn close(app: &App, what: &Offboarding, fates: &[Fate], html: Option<&Path>) -> Result<(), Fail> {
    if app.json() {
        tell(&report::fates_json(what, fates).to_string());
    } else {
        tell(&format!("\n{}", report::fates(what, fates).trim_end()));
    }
    html.map_or(Ok(()), |file| write(app, file, &report::fates_page(what, fates, app.clock.now())))
}

/// One key on its way.
struct One {
    loaded: Loaded,
    prospect: Prospect,
    rotation: Option<RotationId>,
    /// What stopped it, where something did.
    fail: Option<Fail>,
}

impl One {
    fn name(&self) -> &str {
        &self.loaded.book.name
    }
}

struct Work<'a> {
    app: &'a App,
    journal: &'a dyn Journal,
    what: &'a Offboarding,
    stop: &'a CancellationToken,
    wait: Option<Span>,
    ahead: Duration,
    begun: Vec<One>,
}

impl Work<'_> {
    /// As far as the first wait: so all waits run side by side.
    async fn begin(&mut self, loaded: Loaded, prospect: Prospect) {
        let mut one = One { loaded, prospect, rotation: None, fail: None };
        if !self.stop.is_cancelled()
            && let Err(fail) = self.start(&mut one).await
        {
            fail.complain();
            one.fail = Some(fail);
        }
        self.begun.push(one);
    }

    async fn start(&self, one: &mut One) -> Result<(), Fail> {
        if let Some(open) = holder(&one.loaded, Some(self.journal)).await? {
            one.rotation = Some(open);
            return Ok(());
        }
        let (plan, seen) = plan::make(self.app, &one.loaded, &plan::Old::proved(), Some(self.journal)).await?;
        let (mut plan, ..) = fitted(self.app, &one.loaded, plan, self.what, self.ahead, &gate(&one.loaded, Some(self.journal)).await?);
        let by = self.what.revoke_by.map_or_else(String::new, |by| format!(", to be revoked by {}", report::clock(by)));
        plan.begun = Some(Begun { by: person(), why: Some(format!("offboarding of {}{by}", self.what.labels)) });
        if one.loaded.book.require_approval {
            let then = format!("keyroll run {}", report::words::quoted(&one.loaded.book.source.name));
            match approve::ask(self.app, self.journal, &plan, approve::USUAL, &then).await? {
                approve::Word::Awaited => {
                    return Err(
                        Fail::new(6, format!("`{}` waits for another person's approval", one.loaded.book.name)).next("keyroll status")
                    );
                }
                approve::Word::Given(word) => {
                    approve::take(self.app, self.journal, &word).await?;
                    plan.approved = Some(word);
                }
            }
        }
        let mut view = drive::view(self.app);
        let (rotation, lease) = run::open(self.app, &one.loaded, self.journal, plan, seen, view.as_mut()).await?;
        one.rotation = Some(rotation.id.clone());
        self.drive(&one.loaded, rotation, lease, view.as_mut(), Duration::ZERO).await
    }

    async fn drive(
        &self,
        loaded: &Loaded,
        mut rotation: Rotation,
        mut lease: Lease,
        view: &mut dyn crate::sight::View,
        longest_wait: Duration,
    ) -> Result<(), Fail> {
        let gate = gate(loaded, Some(self.journal)).await?;
        let runner = Runner {
            world: &loaded.world,
            book: &loaded.book,
            journal: self.journal,
            clock: &self.app.clock,
            gate: &gate,
            stop: self.stop,
            patience: Patience { budget: self.app.global.patience.0, ..Patience::default() },
            longest_wait,
            handed: None,
        };
        let work = driver::drive(&runner, view, &mut rotation, &mut lease);
        let result = batch::watched(self.journal, &self.app.clock, &gate, work).await;
        view.end();
        result.map_err(|halt| Fail::halt(halt, &rotation))
    }

    /// Goes on with each as its wait ends, the soonest first, until all are over or wait longer than anybody sits here.
    async fn finish(&mut self) {
        let sits = self.wait.map(|Span(wait)| wait);
        // Each once more than it can have waits: whoever makes no progress is left to `resume`.
        for _ in 0..8 {
            let mut parked = Vec::new();
            for (at, one) in self.begun.iter().enumerate().filter(|(_, one)| one.fail.is_none()) {
                let Some(id) = &one.rotation else { continue };
                let Ok(rotation) = super::app::rotation(self.journal, id).await else { continue };
                if rotation.state.ended().is_some() {
                    continue;
                }
                let Ok(gate) = gate(&one.loaded, Some(self.journal)).await else { continue };
                let now = self.app.clock.now();
                match schedule::stands(&rotation, &gate, now) {
                    Stands::Held(_) => {}
                    Stands::Waits { until, .. } => parked.push((until, at)),
                    Stands::Ready(_) => parked.push((now, at)),
                }
            }
            parked.sort();
            let mut moved = false;
            for (until, at) in parked {
                let now = self.app.clock.now();
                let left = |by: DateTime<Utc>| (by - now).to_std().unwrap_or_default();
                let longest = sits.unwrap_or_else(|| self.what.revoke_by.map_or(drive::USUAL_WAIT, |by| left(by).max(drive::USUAL_WAIT)));
                if self.stop.is_cancelled() || left(until) > longest {
                    continue;
                }
                moved = true;
                let result = self.go_on(at, longest).await;
                if let Err(fail) = result {
                    fail.complain();
                    self.begun[at].fail = Some(fail);
                }
            }
            if !moved {
                return;
            }
        }
    }

    async fn go_on(&self, at: usize, longest: Duration) -> Result<(), Fail> {
        let Some((one, id)) = self.begun.get(at).and_then(|one| one.rotation.as_ref().map(|id| (one, id))) else { return Ok(()) };
        let found = super::app::rotation(self.journal, id).await?;
        let loaded = load::journaled(self.app, &found.plan.origin, &found.playbook)?;
        let mut view = drive::view(self.app);
        let (rotation, lease) = drive::take(self.app, self.journal, id, view.as_mut()).await?;
        tracing::debug!(playbook = one.name(), "goes on");
        self.drive(&loaded, rotation, lease, view.as_mut(), longest).await
    }

    async fn fate(&self, one: &One) -> Result<Fate, Fail> {
        let said = |fail: &Option<Fail>| fail.as_ref().map(Fail::lines).unwrap_or_default();
        let Some(id) = &one.rotation else {
            let (code, lines) = match &one.fail {
                Some(fail) => (fail.code(), fail.lines()),
                None => (6, vec!["stopped before it began; the key is as it was".to_owned()]),
            };
            let next = vec![format!("keyroll run {}", one.loaded.book.source.name)];
            return Ok(Fate::not_begun(one.name().to_owned(), Some(&one.prospect), code, lines, next));
        };
        let rotation = super::app::rotation(self.journal, id).await?;
        let doc = document(self.app, self.journal, &rotation).await?;
        let code = one.fail.as_ref().map_or(0, Fail::code);
        let mut fate = Fate::of(&doc, worse(report::exit_code(&rotation), code), said(&one.fail), self.what.revoke_by);
        if one.prospect.verdict == "open" {
            fate.remains.push(beforehand(&rotation));
        }
        if rotation.state.ended().is_some() && fate.outcome != "done" {
            fate.next.push(format!("keyroll run {}  # once more, after the cause was put right", one.loaded.book.source.name));
        }
        Ok(fate)
    }
}
