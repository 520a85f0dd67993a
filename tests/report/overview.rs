//! `status`, and how a batch ends.

use std::time::Duration;

use chrono::TimeDelta;
use keyroll::{
    ids::{KeyId, RotationId},
    ports::{AlwaysOpen, Gate},
    protocol::{Event, Kind},
    record::{Detail, Waiting},
    report::{self, BatchRow, Overview},
    rotation::Rotation,
    schedule::{Freeze, Key, Past, Terms, Times, Urgency, due, stands},
};

use super::{bare, happy, held, parked, rolled_back};
use crate::story::{Story, plan, rules, start};

const DAY: Duration = Duration::from_secs(86_400);

/// A playbook whose key is so many days old and may get 90.
fn row(name: &str, age: i64, now: chrono::DateTime<chrono::Utc>) -> Overview {
    let key = Key { id: Some(KeyId::new("svc_acct_0001i9fD4pGa")), made: Some(now - TimeDelta::days(age)), expires: None };
    let terms = Terms { name, every: Some(DAY * 90), needs: DAY };
    let due = due(&terms, &key, &Past::default(), None, &Times::of(name, None, &[]));
    let urgency = due.urgency(now);
    let (due, lacks, notes) = (Some(due), Vec::new(), Vec::new());
    Overview { name: name.into(), key, due, newest: None, stands: None, urgency, closed: None, lacks, notes, file: format!("{name}.yaml") }
}

fn open(name: &str, rotation: Rotation, urgency: Urgency, now: chrono::DateTime<chrono::Utc>) -> Overview {
    let tuesday = Times::of(name, "Tue 09:00-16:00 UTC".parse().ok(), &[]);
    let stands = if name == "gated" { stands(&rotation, &tuesday, now) } else { stands(&rotation, &AlwaysOpen, now) };
    Overview { key: report::key_of(&rotation), stands: Some(stands), newest: Some(rotation), urgency, due: None, ..row(name, 1, now) }
}

/// Before its first effect, at a closed window.
fn gated() -> Story {
    let mut story = Story::new(plan(rules(Kind::Rotate), 3));
    let what_for = "outside its window, Tue 09:00-16:00 UTC".into();
    let waiting = Waiting { lasts: DAY, since: start(), store_since: None, journal_since: None, what_for, readings: None };
    story.add(Event::Gated, Detail::Waiting(waiting));
    story
}

fn rows() -> Vec<Overview> {
    let now = start() + TimeDelta::minutes(20);
    let mut unknown = row("somebody-made-it", 1, now);
    unknown.key = Key::default();
    let terms = Terms { name: "x", every: Some(DAY * 90), needs: DAY };
    unknown.due = Some(due(&terms, &unknown.key, &Past::default(), None, &Times::of("x", None, &[])));
    unknown.urgency = Urgency::Due;
    let mut shut = row("due-but-shut", 91, now);
    let until = now + TimeDelta::days(2);
    let freeze = Freeze { number: 3, playbooks: vec![], until, reason: "fair".into(), by: "ann".into() };
    let times = Times::of("due-but-shut", None, &[freeze]);
    let due_then = due(&Terms { name: "due-but-shut", every: Some(DAY * 90), needs: DAY }, &shut.key, &Past::default(), None, &times);
    shut.urgency = due_then.urgency(now);
    shut.due = Some(due_then);
    shut.closed = times.closed(now).map(|closed| (closed.until, closed.why));
    let mut named = row("key", 10, now);
    named.lacks = vec!["application", "environment"];
    named.notes = vec!["freeze 3 lasts until 2026-11-25, and the key stops working before that".into()];
    let mut back = row("went-back", 120, now);
    back.newest = Some(rolled_back().rotation);
    vec![
        row("fine", 10, now),
        row("soon", 85, now),
        row("overdue", 120, now),
        shut,
        back,
        unknown,
        named,
        open("waits", parked().rotation, Urgency::Fine, now),
        open("gated", gated().rotation, Urgency::Fine, now),
        open("held", held().rotation, Urgency::Overdue, now),
        Overview { newest: Some(happy().rotation), ..row("rotated", 0, now) },
    ]
}

#[test]
fn every_playbook_has_a_row_and_what_to_type() {
    let now = start() + TimeDelta::minutes(20);
    insta::assert_snapshot!("overview", bare(&report::overview(&rows(), now)));
    let json = report::overview_json(&rows(), now);
    insta::assert_json_snapshot!("overview_json", [&json[0], &json[3], &json[9]]);
    let red = report::overview(&rows()[2..3], now);
    let green = report::overview(&rows()[..1], now);
    assert!(red.contains("\u{1b}[31m") || red.contains("\u{1b}[1m\u{1b}[31m"), "what is late is red: {red:?}");
    assert!(green.contains("\u{1b}[32m"), "{green:?}");
}

#[test]
fn a_gated_rotation_says_why_and_until_when() {
    let story = gated();
    let text = bare(&report::summary(&story.rotation, &story.records));
    assert!(text.contains("waits until 2026-11-24 09:00 UTC: outside its window, Tue"), "{text}");
    assert!(text.contains("after 2026-11-24 09:00 UTC"), "{text}");
}

#[test]
fn a_batch_ends_with_a_table() {
    let row = |playbook: &str, what: &str, code, next: Option<&str>| BatchRow {
        playbook: playbook.into(),
        rotation: Some(RotationId::new("01m83t4cm00000000000000007")),
        what: what.into(),
        code,
        next: next.map(Into::into),
    };
    let rows = [
        row("inference-prod", "rotated", 0, None),
        row("search-prod", "rolled back; the old key is in use", 1, None),
        row("eval-prod", "parked until 2026-11-23 10:00 UTC", 6, Some("keyroll resume 01m83t4cm00000000000000007")),
    ];
    insta::assert_snapshot!("batch", bare(&report::batch(&rows)));
    insta::assert_json_snapshot!("batch_json", report::batch_json(&rows, 1));
    let freeze = Freeze { number: 3, playbooks: vec![], until: start() + TimeDelta::days(3), reason: "fair".into(), by: "ann".into() };
    insta::assert_snapshot!("freezes", bare(&report::freezes(&[freeze], start())));
}
