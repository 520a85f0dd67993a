//! `keyroll run --due`: what a timer runs. Also how every batch ends: a table, and the worst exit code.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;

use super::{App, Fail, Global, app, approve, drive, load};
use crate::{
    adapters::build,
    batch::{Batch, Host, Item, Manner, Outcome, Tick, Trouble, worse},
    notify::{self, Courier, Watched},
    playbook::{Playbook, Span},
    ports::{Clock, Journal},
    record::{Plan, Record},
    report,
    retry::Patience,
    rotation::Rotation,
    sight::View,
};

/// The command line around a batch.
struct Shell<'a>(&'a App);

#[async_trait]
impl Host for Shell<'_> {
    fn item(&self, origin: &str, playbook: &str) -> Result<Item, u8> {
        load::journaled(self.0, origin, playbook).map_err(|fail| said(fail, &self.0.global))
    }

    fn view(&self) -> Box<dyn View> {
        drive::view(self.0)
    }

    async fn agreed(&self, item: &Item, plan: &mut Plan) -> Result<bool, u8> {
        if !item.book.require_approval {
            return Ok(true);
        }
        let then = format!("keyroll run {}", report::words::quoted(&item.book.source.name));
        let ask = async {
            let journal = self.0.journal().await?;
            match approve::ask(self.0, journal, plan, approve::USUAL, &then).await? {
                approve::Word::Awaited => Ok(None),
                approve::Word::Given(word) => approve::take(self.0, journal, &word).await.map(|()| Some(word)),
            }
        };
        plan.approved = ask.await.map_err(|fail| said(fail, &self.0.global))?;
        Ok(plan.approved.is_some())
    }

    async fn driven(&self, item: &Item, held: bool, rotation: &Rotation, records: &[Record]) {
        if !self.0.json() && !self.0.global.quiet {
            anstream::println!("{}", report::summary(rotation, records));
        }
        let mut courier = Courier::new(&item.world.outlets);
        if let Some(occasion) = notify::occasion(rotation, held) {
            courier.tell(report::notice(rotation, records, occasion, self.0.clock.now()));
        }
        drive::untold(&courier.settle().await);
    }

    fn trouble(&self, playbook: &str, trouble: Trouble, rotation: Option<&Rotation>) -> u8 {
        let fail = match (trouble, rotation) {
            (Trouble::Preflight(problems), _) => Fail::preflight(playbook, problems),
            (Trouble::Unasked(problem), _) => {
                let what = format!("how old the key of `{playbook}` is could not be found out: {}", problem.what);
                Fail::new(if problem.unreachable { 5 } else { 2 }, what).detail(problem.hint)
            }
            (Trouble::Halt(halt), Some(rotation)) => Fail::halt(halt, rotation),
            (Trouble::Halt(halt), None) => Fail::new(5, halt.to_string()),
            (Trouble::Journal(error), _) => Fail::from(error),
            (Trouble::Broken(id, why), _) => Fail::new(5, format!("rotation {id} of `{playbook}`: {why}")),
        };
        said(fail, &self.0.global)
    }
}

fn said(fail: Fail, global: &Global) -> u8 {
    let code = fail.code();
    fail.print(global);
    code
}

pub async fn run(app: &App, paths: &[PathBuf], wait: Option<Span>, keep_going: bool) -> Result<u8, Fail> {
    let (items, bad) = load::each(app, paths)?;
    let journal = app.journal().await?;
    let stop = drive::stop_on_signals();
    let manner = Manner {
        longest_wait: wait.unwrap_or_default().0,
        patience: Patience { budget: app.global.patience.0, ..Patience::default() },
        keep_going,
    };
    let shell = Shell(app);
    let wrong = bad.into_iter().map(|(name, fail)| {
        let code = said(fail, &app.global);
        let next = Some(format!("keyroll validate {name}"));
        Outcome { playbook: name, rotation: None, what: "not looked at: the playbook is not valid".into(), code, next }
    });
    let mut outcomes: Vec<Outcome> = wrong.collect();
    let items: Vec<Arc<Item>> = items.into_iter().map(Arc::new).collect();
    let looked = items.clone();
    let tick = Batch::new(journal, &app.clock, &shell, &stop, manner, items).tick().await?;
    outcomes.extend(tick.outcomes.iter().cloned());
    remind(app, journal, &looked, &tick).await?;
    if !app.json() && (!app.global.quiet || !tick.unknown.is_empty()) {
        remarks(app, &tick, outcomes.is_empty(), paths.is_empty());
    }
    Ok(if outcomes.is_empty() && !app.json() { 0 } else { finish(app, &outcomes) })
}

/// Tells again of what is held and of what is due and could not begin.
async fn remind(app: &App, journal: &dyn Journal, items: &[Arc<Item>], tick: &Tick) -> Result<(), Fail> {
    let watched: Vec<Watched<'_>> = items
        .iter()
        .map(|item| {
            let failed =
                tick.outcomes.iter().find(|one| one.playbook == item.book.name && one.rotation.is_none() && matches!(one.code, 2 | 5));
            Watched {
                playbook: &item.book,
                outlets: &item.world.outlets,
                identities: build::identities(&item.book, &item.world),
                overdue: failed.map(|one| one.what.clone()),
            }
        })
        .collect();
    drive::untold(&notify::remind(journal, app.clock.now(), &watched).await?);
    Ok(())
}

/// What was left alone, in as few lines as there are kinds of it.
fn remarks(app: &App, tick: &Tick, nothing: bool, unnamed: bool) {
    for name in &tick.unknown {
        anstream::eprintln!(
            "`{name}` has `every`, and nobody knows how old its key is: it is never due by itself until `keyroll run` has rotated it once"
        );
    }
    if let Some((name, opens)) = tick.closed.iter().min_by_key(|(_, opens)| *opens) {
        let (count, opens) = (tick.closed.len(), report::moment(*opens, app.clock.now()));
        anstream::println!("{count} due, and kept by a window or a freeze; {name} may begin {opens}");
    } else if nothing && unnamed {
        anstream::println!("no open rotation has anything to do; name playbooks to have those rotated that are due");
    } else if nothing {
        let next = tick.next.as_ref().map(|(name, at)| format!("; the next is {name}, {}", report::moment(*at, app.clock.now())));
        anstream::println!("nothing is due{}", next.unwrap_or_default());
    }
}

/// The end of a batch: its table, and the worst exit code.
pub fn finish(app: &App, outcomes: &[Outcome]) -> u8 {
    let code = outcomes.iter().fold(0, |worst, one| worse(worst, one.code));
    let rows = outcomes.iter().map(|one| report::BatchRow {
        playbook: one.playbook.clone(),
        rotation: one.rotation.clone(),
        what: one.what.clone(),
        code: one.code,
        next: one.next.clone(),
    });
    let rows: Vec<_> = rows.collect();
    if app.json() {
        println!("{}", report::batch_json(&rows, code));
    } else {
        anstream::print!("{}", report::batch(&rows));
    }
    code
}

/// One playbook of a `run` of several: what became of it, with its error printed.
pub async fn outcome(journal: &dyn Journal, book: &Playbook, result: Result<u8, Fail>, global: &Global) -> Result<Outcome, Fail> {
    let failed = result.is_err();
    let code = result.unwrap_or_else(|fail| said(fail, global));
    let newest = journal.entries().await?.into_iter().find(|entry| entry.name == book.name);
    let rotation = match newest {
        Some(entry) => Some(app::rotation(journal, &entry.rotation).await?),
        None => None,
    };
    // Without a rotation that is open, an error means that none began.
    let rotation = rotation.filter(|rotation| !failed || rotation.state.ended().is_none());
    let what = rotation.as_ref().map_or_else(|| "not begun".to_owned(), |rotation| report::stands(rotation).to_owned());
    let next = match &rotation {
        Some(rotation) => report::words::next(rotation).into_iter().next(),
        None => Some(format!("keyroll plan {}", book.source.name)),
    };
    let next = next.map(|line| line.split("  # ").next().unwrap_or_default().to_owned());
    Ok(Outcome { playbook: book.name.clone(), rotation: rotation.map(|rotation| rotation.id), what, code, next })
}
