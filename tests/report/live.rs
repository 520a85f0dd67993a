//! The live picture, on a terminal in memory.

use std::time::Duration;

use indicatif::{InMemoryTerm, ProgressDrawTarget};
use keyroll::{
    protocol::{Action, Answer, Event, Kind, Pause, Query, Role, Rules},
    record::Detail,
    report::Live,
    sight::{Sight, View},
};

use crate::story::{Story, plan, rules};

struct Screen {
    term: InMemoryTerm,
    live: Live,
}

impl Screen {
    fn new(rows: u16, columns: u16) -> Self {
        let term = InMemoryTerm::new(rows, columns);
        // Redraws at each change and never by itself: what is seen must not depend on time.
        let live = Live::new(ProgressDrawTarget::term_like(Box::new(term.clone())), false, None);
        Self { term, live }
    }

    fn pass(&mut self, story: &Story, late: &[&str]) {
        let Detail::Evidence { proved, missing } = story.evidence(Role::New, Some(0), late) else { unreachable!() };
        self.live.see(&Sight::Pass { proved: &proved, missing: &missing });
    }

    fn end(mut self) -> String {
        self.live.end();
        self.term.contents()
    }

    fn shows(&self) -> String {
        self.term.contents()
    }
}

fn verifying(instances: usize) -> Story {
    let mut story = Story::new(plan(rules(Kind::Rotate), instances));
    story.until(Action::Look(Query::Consumer(Role::New, 0)));
    story
}

#[test]
fn each_instance_has_a_row() {
    let (story, mut screen) = (verifying(3), Screen::new(24, 80));
    story.tell(&mut screen.live, &[]);
    screen.pass(&story, &["inference-api-2"]);
    insta::assert_snapshot!(screen.shows());
}

#[test]
fn twenty_instances_fit_a_small_terminal() {
    let (story, mut screen) = (verifying(20), Screen::new(24, 80));
    story.tell(&mut screen.live, &[]);
    screen.pass(&story, &["inference-api-2", "inference-api-7", "inference-api-9", "inference-api-11"]);
    insta::assert_snapshot!(screen.shows());
}

#[test]
fn many_steps_fit_a_small_terminal() {
    let rules = Rules { disables: true, asks_use: true, stores: 9, consumers: 9, ..rules(Kind::Rotate) };
    let mut story = Story::new(plan(rules, 3));
    let mut screen = Screen::new(24, 80);
    story.until(Action::Look(Query::Consumer(Role::New, 4)));
    story.tell(&mut screen.live, &[]);
    insta::assert_snapshot!(screen.shows());
}

#[test]
fn a_wait_counts_down() {
    let mut story = verifying(3);
    story.until(Action::Wait(Pause::Grace));
    let mut screen = Screen::new(24, 80);
    story.tell(&mut screen.live, &[]);
    screen.live.see(&Sight::Left(Duration::from_secs(754)));
    insta::assert_snapshot!(screen.shows());
}

#[test]
fn a_narrow_terminal_shows_no_broken_lines() {
    let (story, mut screen) = (verifying(3), Screen::new(24, 40));
    story.tell(&mut screen.live, &[]);
    screen.pass(&story, &["inference-api-2"]);
    insta::assert_snapshot!(screen.shows());
}

#[test]
fn the_end_stays_on_the_screen() {
    let happy = Story::ideal(plan(rules(Kind::Rotate), 3));
    let mut back = verifying(3);
    let evidence = back.evidence(Role::New, Some(0), &["inference-api-2"]);
    back.add(Event::Saw(Query::Consumer(Role::New, 0), Answer::No), evidence);
    while back.step() {}
    let mut parked = verifying(3);
    parked.until(Action::Wait(Pause::Grace));
    for (name, story) in [("done", happy), ("rolled_back", back), ("parked", parked), ("held", crate::held())] {
        let mut screen = Screen::new(30, 100);
        story.tell(&mut screen.live, &["inference-api-2"]);
        insta::assert_snapshot!(format!("end_{name}"), screen.end());
    }
}
