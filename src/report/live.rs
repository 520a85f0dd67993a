//! The picture on a terminal: steps done, the running one, steps to come. It redraws itself in place.
//!
//! The scene is plain data and is drawn into lines here; the terminal is indicatif's business. The picture never needs
//! more than [`ROWS`] rows, so that it fits the smallest terminal that is in use; indicatif cuts long lines.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    paint::{Ink, bare, clean, paint},
    steps::{Step, steps},
    summary::outcome,
    time::{between, rough},
    words,
};
use crate::{
    protocol::{Answer, Event, Query},
    record::{Evidence, Missing, Record},
    rotation::Rotation,
    sight::{Sight, View},
};

/// The most rows the picture takes: 24 less a prompt and what was typed.
const ROWS: usize = 22;
/// The most instances that get a row each; more are summed up.
const EACH: usize = 8;
/// How many of those that are missing are named then.
const FEW: usize = 3;
const TICK: Duration = Duration::from_millis(120);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Still,
    Spins,
}

#[derive(Default)]
struct Scene {
    done: Vec<(bool, String, Duration)>,
    running: Option<(Step, String)>,
    under: Vec<String>,
    left: Option<Duration>,
    retry: Option<String>,
    ahead: Vec<String>,
    last: Option<String>,
    stopped: bool,
    began: Option<chrono::DateTime<chrono::Utc>>,
}

/// A view for a person at a terminal.
pub struct Live {
    screen: MultiProgress,
    bars: Vec<(Kind, ProgressBar)>,
    scene: Scene,
    colours: bool,
    tick: Option<Duration>,
}

impl Live {
    /// Draws on standard error, which leaves standard output to what is asked for. No colours with `NO_COLOR`.
    pub fn on_terminal() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self::new(ProgressDrawTarget::stderr(), colours, Some(TICK))
    }

    /// Draws on `target`; with `tick`, the running step's mark turns that often, whatever happens.
    pub fn new(target: ProgressDrawTarget, colours: bool, tick: Option<Duration>) -> Self {
        Self { screen: MultiProgress::with_draw_target(target), bars: Vec::new(), scene: Scene::default(), colours, tick }
    }

    fn draw(&mut self) {
        let lines = self.scene.lines();
        for (at, (kind, text)) in lines.iter().enumerate() {
            if at == self.bars.len() {
                let bar = self.screen.add(ProgressBar::new_spinner());
                self.bars.push((Kind::Still, bar.with_style(style(Kind::Still))));
            }
            let (was, bar) = &mut self.bars[at];
            if was != kind {
                *was = *kind;
                bar.set_style(style(*kind));
                match (kind, self.tick) {
                    (Kind::Spins, Some(tick)) => bar.enable_steady_tick(tick),
                    _ => bar.disable_steady_tick(),
                }
            }
            let text = if self.colours { text.clone() } else { bare(text) };
            if bar.message() != text {
                bar.set_message(text);
            }
        }
        for (_, bar) in self.bars.drain(lines.len()..) {
            bar.disable_steady_tick();
            self.screen.remove(&bar);
        }
    }
}

fn style(kind: Kind) -> ProgressStyle {
    let template = match kind {
        Kind::Still => "{wide_msg}",
        Kind::Spins => "{spinner} {wide_msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

impl View for Live {
    fn see(&mut self, sight: &Sight<'_>) {
        match sight {
            Sight::Recorded(rotation, record) => self.scene.recorded(rotation, record),
            Sight::Pass { proved, missing } => self.scene.pass(proved, missing),
            Sight::Left(left) => self.scene.left = Some(*left),
            Sight::Retrying { what, wait } => self.scene.retry = Some(format!("{}; again in {}", clean(what), rough(*wait))),
        }
        self.draw();
    }

    /// Leaves what was done on the screen, above the summary, and takes away what is still to come.
    fn end(&mut self) {
        self.scene.close();
        self.draw();
        for (_, bar) in &self.bars {
            bar.abandon();
        }
    }
}

impl Scene {
    fn recorded(&mut self, rotation: &Rotation, record: &Record) {
        (self.retry, self.left) = (None, None);
        let now = Step::from(rotation.state.phase);
        let text = words::sentence(rotation, record);
        let began = *self.began.get_or_insert(record.at);
        if self.running.as_ref().is_some_and(|(step, _)| *step != now) {
            self.done.push((good(&record.event), text.clone(), between(began, record.at)));
            self.began = Some(record.at);
            self.under.clear();
        } else if rotation.state.held.is_some() {
            self.done.push((false, text.clone(), between(began, record.at)));
            self.under.clear();
        }
        let mut ahead = steps(rotation.state).into_iter();
        if rotation.state.held.is_some() || rotation.state.ended().is_some() {
            self.last = Some(outcome(rotation));
            self.running = Some((now, String::new()));
            self.ahead.clear();
            return;
        }
        self.last = None;
        let title =
            ahead.next().filter(|step| *step == now).map_or_else(|| words::step(rotation).into(), |step| step.title(&rotation.plan));
        self.running = Some((now, title));
        self.ahead = ahead.map(|step| step.title(&rotation.plan)).collect();
        if matches!(record.event, Event::Intended(_) | Event::Did(_) | Event::Saw(..))
            && self.done.last().is_none_or(|(_, last, _)| *last != text)
        {
            self.under = vec![text];
        }
    }

    fn pass(&mut self, proved: &[Evidence], missing: &[Missing]) {
        self.retry = None;
        if proved.len() + missing.len() > EACH {
            self.under = vec![format!("{} of {} prove it", proved.len(), words::instances(proved.len() + missing.len()))];
            self.under.extend(missing.iter().take(FEW).map(|one| format!("{} {}", paint(Ink::Warn, "…"), words::miss(one))));
            if missing.len() > FEW {
                self.under.push(format!("{} and {} more", paint(Ink::Warn, "…"), missing.len() - FEW));
            }
            return;
        }
        let mut lines: Vec<(String, String)> = proved
            .iter()
            .map(|one| (one.instance.to_string(), clean(&format!("{} reports {}", one.instance, one.reported))))
            .map(|(key, text)| (key, format!("{} {text}", paint(Ink::Good, "✓"))))
            .collect();
        lines.extend(missing.iter().map(|one| {
            let key = one.instance.as_ref().map_or_else(|| one.consumer.clone(), |instance| instance.to_string());
            (key, format!("{} {}", paint(Ink::Warn, "…"), words::miss(one)))
        }));
        // By name, so that a row keeps its place when its instance proves the key.
        lines.sort();
        self.under = lines.into_iter().map(|(_, text)| text).collect();
    }

    fn close(&mut self) {
        self.ahead.clear();
        self.retry = None;
        self.under.clear();
        // How it ended is the summary's first line, which comes next.
        if self.last.take().is_some() {
            self.running = None;
        } else {
            self.stopped = true;
        }
    }

    /// At most [`ROWS`] lines: the oldest of what is done and the farthest of what is to come are summed up.
    fn lines(&self) -> Vec<(Kind, String)> {
        let mut middle = Vec::new();
        if let Some((_, title)) = self.running.as_ref().filter(|_| self.last.is_none()) {
            let left = self.left.map_or_else(String::new, |left| format!(", {} left", rough(Duration::from_secs(left.as_secs()))));
            let (kind, mark) = if self.stopped { (Kind::Still, "… ") } else { (Kind::Spins, "") };
            middle.push((kind, format!("{mark}{}{left}", paint(Ink::Strong, title))));
            middle.extend(self.under.iter().map(|line| (Kind::Still, format!("    {line}"))));
            middle.extend(self.retry.iter().map(|line| (Kind::Still, format!("    {} {line}", paint(Ink::Warn, "!")))));
        }
        middle.extend(self.last.iter().map(|line| (Kind::Still, line.clone())));
        let room = ROWS.saturating_sub(middle.len());
        let (done, ahead) = (self.done.len(), self.ahead.len());
        let for_ahead = ahead.min(room.saturating_sub(done).max(room / 2));
        let for_done = done.min(room - for_ahead);

        let mut lines = Vec::new();
        let hidden = if for_done < done { done - for_done + 1 } else { 0 };
        if hidden > 0 {
            lines.push((Kind::Still, paint(Ink::Faint, &format!("✓ {hidden} earlier steps"))));
        }
        for (good, text, took) in self.done.iter().skip(hidden) {
            let mark = if *good { paint(Ink::Good, "✓") } else { paint(Ink::Bad, "✗") };
            let took = if took.as_secs() > 0 { paint(Ink::Faint, &format!("  {}", rough(*took))) } else { String::new() };
            lines.push((Kind::Still, format!("{mark} {}{took}", text)));
        }
        lines.append(&mut middle);
        let more = if for_ahead < ahead { ahead - for_ahead + 1 } else { 0 };
        lines.extend(self.ahead.iter().take(ahead - more).map(|text| (Kind::Still, paint(Ink::Faint, &format!("· {}", text)))));
        if more > 0 {
            lines.push((Kind::Still, paint(Ink::Faint, &format!("· {more} more steps"))));
        }
        lines
    }
}

/// Whether a step ended as it should.
fn good(event: &Event) -> bool {
    match event {
        Event::Saw(Query::Settle, _) => true,
        Event::Saw(_, answer) => *answer == Answer::Yes,
        Event::Refused(..) | Event::Lost(_) => false,
        _ => true,
    }
}
