//! What people read, as snapshots. Read them as somebody would at three in the morning: which key is in use, what
//! cannot be undone, what to type next?

mod browser;
mod document;
mod live;
mod overview;
#[path = "../common/stage.rs"]
mod stage;
mod story;

use chrono::TimeDelta;
use keyroll::{
    ids::InstanceId,
    playbook::Occasion,
    protocol::{Action, Answer, Ask, Bound, Bounds, Effect, Event, Kind, OnTimeout, Pause, Query, Refusal, Role, Rules},
    record::{ConsumerPlan, Detail, Missing},
    report::{self, Json, Plain, words},
    rotation::Rotation,
    sight::{Sight, View},
};
use story::{Story, plan, rules, start};

/// As it looks in a pipe.
fn bare(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn plain(story: &Story, late: &[&str]) -> String {
    let mut out = Vec::new();
    story.tell(&mut Plain::new(&mut out), late);
    String::from_utf8(out).unwrap()
}

fn happy() -> Story {
    Story::ideal(plan(rules(Kind::Rotate), 3))
}

/// One instance never moves, and the playbook says `on_timeout`.
fn stuck(on_timeout: OnTimeout) -> Story {
    let mut story = Story::new(plan(Rules { on_timeout, ..rules(Kind::Rotate) }, 3));
    story.until(Action::Look(Query::Consumer(Role::New, 0)));
    let evidence = story.evidence(Role::New, Some(0), &["inference-api-2"]);
    story.add(Event::Saw(Query::Consumer(Role::New, 0), Answer::No), evidence);
    story
}

fn held() -> Story {
    stuck(OnTimeout::Hold)
}

fn rolled_back() -> Story {
    let mut story = stuck(OnTimeout::Rollback);
    while story.step() {}
    story
}

fn parked() -> Story {
    let mut story = Story::new(plan(rules(Kind::Rotate), 3));
    story.until(Action::Wait(Pause::Grace));
    story
}

#[test]
fn messages() {
    let tell = |story: &Story, occasion| report::notice(&story.rotation, &story.records, occasion, start()).text();
    insta::assert_snapshot!("message_started", tell(&Story::new(plan(rules(Kind::Rotate), 3)), Occasion::Started));
    insta::assert_snapshot!("message_held", tell(&held(), Occasion::Held));
    insta::assert_snapshot!("message_rolled_back", tell(&rolled_back(), Occasion::RolledBack));
    insta::assert_snapshot!("message_done", tell(&happy(), Occasion::Done));
    let overdue =
        report::overdue("openai-production", "playbooks/openai.yaml", "due since 2026-08-01; the provider does not answer", start());
    insta::assert_snapshot!("message_overdue", overdue.text());
}

#[test]
fn plans() {
    let full = Rules { disables: true, asks_use: true, stores: 2, consumers: 2, on_timeout: OnTimeout::Hold, ..rules(Kind::Rotate) };
    let mut with_job = plan(full, 5);
    with_job.consumers[1] = ConsumerPlan { name: "nightly-eval".into(), baseline: vec![], expected: 0, job: true };
    with_job.notes.push("the provider's usage figures are up to an hour late".into());
    with_job.attributes.old = Bounds::from([
        ("limit".into(), Bound::Most(Some(200.0))),
        ("models".into(), Bound::Only(Some(["large", "small"].map(Into::into).into()))),
        ("team".into(), Bound::Is("search".into())),
    ]);
    with_job.attributes.new = Bounds::from([
        ("limit".into(), Bound::Most(Some(150.0))),
        ("models".into(), Bound::Only(Some(["large", "small"].map(Into::into).into()))),
        ("team".into(), Bound::Is("search".into())),
    ]);
    for (name, plan) in [
        ("rotate", plan(rules(Kind::Rotate), 3)),
        ("rotate_with_everything", with_job),
        ("install", plan(rules(Kind::Install), 3)),
        ("replace", plan(rules(Kind::Replace), 1)),
        ("revoke_by_hand", plan(Rules { proved: false, ..rules(Kind::Rotate) }, 3)),
        ("by_person", by_person()),
    ] {
        insta::assert_snapshot!(format!("plan_{name}"), bare(&report::plan(&plan)));
    }
    insta::assert_json_snapshot!(report::plan_json(&plan(rules(Kind::Rotate), 1)));
}

/// Keys that a person makes, and revokes.
fn by_person() -> keyroll::record::Plan {
    let rules = Rules { by_person: true, revokes: false, ..rules(Kind::Rotate) };
    keyroll::record::Plan { page: Some("https://console.groq.com/keys".into()), ..plan(rules, 3) }
}

#[test]
fn only_the_deletion_of_the_old_key_is_marked() {
    for (kind, proved, marks) in [(Kind::Rotate, true, 1), (Kind::Rotate, false, 0), (Kind::Install, false, 0), (Kind::Replace, false, 0)] {
        let text = report::plan(&plan(Rules { proved, ..rules(kind) }, 3));
        assert_eq!(text.matches("cannot be undone").count(), marks, "{text}");
        assert_eq!(text.matches("DELETE").count(), marks, "{text}");
    }
}

#[test]
fn lines() {
    insta::assert_snapshot!("plain_happy", plain(&happy(), &["inference-api-2"]));
    insta::assert_snapshot!("plain_rolled_back", plain(&rolled_back(), &["inference-api-2"]));
    insta::assert_snapshot!("plain_held", plain(&held(), &["inference-api-2"]));
}

#[test]
fn a_retry_is_told_once_and_a_pass_only_when_it_shows_something_new() {
    let story = parked();
    let mut out = Vec::new();
    let mut view = Plain::new(&mut out);
    let missing = |why: &str| vec![Missing { consumer: "api".into(), instance: Some(InstanceId::new("a")), why: why.into() }];
    for why in ["no answer", "no answer", "answers 500"] {
        view.see(&Sight::Pass { proved: &[], missing: &missing(why) });
        view.see(&Sight::Retrying { what: "GET https://vault answered 503", wait: std::time::Duration::from_secs(4) });
    }
    view.see(&Sight::Left(std::time::Duration::from_secs(4)));
    view.see(&Sight::Recorded(&story.rotation, story.records.last().unwrap()));
    drop(view);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn a_service_cannot_steer_the_terminal_or_the_shell() {
    let mut story = Story::new(plan(Rules { on_timeout: OnTimeout::Hold, ..rules(Kind::Rotate) }, 1));
    story.until(Action::Look(Query::Consumer(Role::New, 0)));
    let nasty = Missing {
        consumer: "inference-api".into(),
        instance: Some(InstanceId::new("x\u{1b}[2J'; rm -rf ~ #")),
        why: "answers \u{1b}]0;owned\u{7}".into(),
    };
    story.add(Event::Saw(Query::Consumer(Role::New, 0), Answer::No), Detail::Evidence { proved: vec![], missing: vec![nasty] });
    let next = words::next(&story.rotation).join("\n");
    assert!(next.contains(r"--instance 'x�[2J'\''; rm -rf ~ #'"), "{next}");
    let all = [plain(&story, &[]), next, bare(&report::summary(&story.rotation, &story.records))].join("\n");
    assert!(!all.contains(['\u{1b}', '\u{7}']), "{all:?}");
}

#[test]
fn objects() {
    let mut out = Vec::new();
    held().tell(&mut Json::new(&mut out), &["inference-api-2"]);
    let lines: Vec<serde_json::Value> = String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let passes = lines.iter().filter(|line| line.get("pass").is_some()).count();
    assert_eq!(passes, 1, "the second pass shows nothing new");
    let records: Vec<_> = lines.iter().filter(|line| line.get("seq").is_some()).collect();
    assert_eq!(records.len(), held().records.len());
    insta::assert_json_snapshot!(records.last().unwrap());
}

#[test]
fn tables() {
    let all: Vec<Rotation> = [happy(), parked(), held(), rolled_back()].into_iter().map(|story| story.rotation).collect();
    let now = start() + TimeDelta::minutes(75);
    insta::assert_snapshot!("history", bare(&report::history(&all)));
    insta::assert_json_snapshot!("status_json", report::status_json(&all[2..3], now));
}

#[test]
fn one_in_full() {
    let now = start() + TimeDelta::hours(3);
    for (name, story) in [("happy", happy()), ("held", held()), ("parked", parked())] {
        insta::assert_snapshot!(format!("show_{name}"), bare(&report::show(&story.rotation, &story.records, now)));
    }
}

#[test]
fn ends() {
    let mut aborted = Story::new(plan(rules(Kind::Rotate), 3));
    aborted.until(Action::Do(Effect::Create));
    let said = "POST https://api.openai.com/v1/organization/projects/proj_x/service_accounts answered 403";
    aborted.add(Event::Refused(Effect::Create, Refusal::Denied), Detail::Reply { said: said.into() });
    let by_hand = {
        let mut story = Story::new(plan(Rules { proved: false, ..rules(Kind::Rotate) }, 3));
        story.until(Action::Stop);
        story
    };
    let mut asked = Story::new(by_person());
    asked.until(Action::Do(Effect::Create));
    let mut told = Story::new(by_person());
    told.until(Action::Do(Effect::Delete(Role::Old)));
    told.add(Event::Refused(Effect::Delete(Role::Old), Refusal::Denied), Detail::Reply { said: "only a person can do that here".into() });
    for (name, story, code) in [
        ("waits_for_a_key", asked, 6),
        ("waits_for_a_revocation", told, 3),
        ("happy", happy(), 0),
        ("rolled_back", rolled_back(), 1),
        ("aborted", aborted, 1),
        ("held", held(), 3),
        ("by_hand", by_hand, 3),
        ("parked", parked(), 6),
    ] {
        insta::assert_snapshot!(format!("summary_{name}"), bare(&report::summary(&story.rotation, &story.records)));
        assert_eq!(report::exit_code(&story.rotation), code, "{name}");
    }
}

/// The one line that stands under every error, at each step of the longest happy way and of a way back.
#[test]
fn both_keys_at_every_step() {
    let everything = Rules { disables: true, asks_use: true, stores: 2, ..rules(Kind::Rotate) };
    let mut text = String::new();
    let mut back = Story::new(plan(Rules { stores: 2, ..everything }, 2));
    back.until(Action::Park(Pause::Grace));
    back.add(
        Event::Asked(Ask::Rollback),
        Detail::Person { by: "ana".into(), reason: Some("latency".into()), playbook: None, waiver: None },
    );
    while back.step() {}
    for (name, story) in [("forward", Story::ideal(plan(everything, 2))), ("back", back)] {
        text += &format!("{name}\n");
        let mut rotation = Rotation::begin(&story.records[0]).unwrap();
        let mut last = String::new();
        for record in &story.records[1..] {
            let keys = words::keys(&rotation);
            if keys != last {
                text += &format!("  {:<62} {keys}\n", words::step(&rotation));
                last = keys;
            }
            rotation.add(record).unwrap();
        }
        text += &format!("  {:<62} {}\n", words::step(&rotation), words::keys(&rotation));
    }
    insta::assert_snapshot!(text);
}
