//! What a reviewer reads of one rotation.

use chrono::TimeDelta;
use keyroll::{
    ids::{InstanceId, KeyId, Version},
    protocol::{Action, Answer, Ask, Event, Kind, OnTimeout, Query, Role, Rules},
    record::{Begun, Detail, Missing, Waiver},
    report::{self, Document},
};

use crate::{
    bare, happy, held, parked, rolled_back,
    story::{Story, plan, rules, start},
};

pub fn document(story: &Story) -> Document {
    let document = report::document(&story.records, &[], "f00d", "j1", start() + TimeDelta::hours(3)).unwrap();
    Document { made_by: "keyroll".into(), ..document }
}

/// A person waives what is missing and lets it go on; a runner takes over between a proof and the delete that was to rest on it.
fn eventful() -> Story {
    let mut story = held();
    let person = |reason: &str, waiver| Detail::Person { by: "ben".into(), reason: Some(reason.into()), playbook: None, waiver };
    let waiver = Waiver { consumer: "inference-api".into(), instance: Some(InstanceId::new("inference-api-2")) };
    story.add(Event::Asked(Ask::Waive), person("it is being retired", Some(waiver)));
    story.add(Event::Asked(Ask::GoOn), person("waived", None));
    story.until(Action::Look(Query::Stores(Role::New)));
    story.add(Event::Resumed, Detail::Nothing);
    while story.step() {}
    story
}

#[test]
fn in_lines() {
    for (name, story) in [("happy", happy()), ("eventful", eventful()), ("rolled_back", rolled_back()), ("parked", parked())] {
        insta::assert_snapshot!(format!("report_{name}"), bare(&report::text(&document(&story))));
    }
}

#[test]
fn as_an_object() {
    insta::assert_json_snapshot!("report_json", document(&eventful()));
}

#[test]
fn a_proof_counts_only_where_something_rested_on_it() {
    let looks = |story: &Story| document(story).verifications.iter().map(|look| (look.answer, look.counted)).collect::<Vec<_>>();
    assert_eq!(looks(&happy()), [(Answer::Yes, true); 2]);
    let (no, void, yes) = ((Answer::No, false), (Answer::Yes, false), (Answer::Yes, true));
    assert_eq!(looks(&eventful()), [no, yes, void, yes], "the takeover voided one");
}

#[test]
fn the_old_key_is_said_to_be_dead_only_where_the_provider_was_seen_refusing_it() {
    let mut deleted = Story::new(plan(rules(Kind::Rotate), 3));
    deleted.until(Action::Look(Query::Dead(keyroll::protocol::Role::Old)));
    for (story, revoked, dead) in [(happy(), true, true), (deleted, true, false), (rolled_back(), false, false), (parked(), false, false)] {
        let old = document(&story).old_key.unwrap();
        assert_eq!((old.revoked_at.is_some(), old.proved_dead), (revoked, dead), "{}", old.stands);
    }
}

#[test]
fn a_wait_is_told_as_it_was() {
    let waits = document(&happy()).waits;
    assert_eq!(waits.len(), 1);
    assert_eq!((waits[0].planned_seconds, waits[0].lasted_seconds), (3600.0, Some(3600.0)));
    assert_eq!(document(&parked()).waits.first().unwrap().lasted_seconds, None, "it is still on");
}

/// Every text that comes from outside, with a tag in it.
pub fn hostile() -> Story {
    const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u{202e}";
    let evil = |what: &str| format!("{what}{EVIL}");
    let mut plan = plan(Rules { on_timeout: OnTimeout::Hold, ..rules(Kind::Rotate) }, 1);
    (plan.name, plan.origin, plan.provider) = (evil("name"), evil("origin"), evil("provider"));
    plan.begun = Some(Begun { by: evil("begun"), why: Some(evil("why")) });
    plan.notes = vec![evil("note")];
    plan.stores[0].locator = evil("store");
    plan.stores[0].base = Some(Version::new("6"));
    plan.consumers[0].name = evil("consumer");
    plan.consumers[0].baseline = vec![InstanceId::new(evil("instance"))];
    let old = plan.old.as_mut().unwrap();
    (old.id, old.proof) = (Some(KeyId::new(evil("id"))), Some(evil("proof")));
    let mut story = Story::new(plan);
    story.until(Action::Look(Query::Consumer(Role::New, 0)));
    let missing = Missing { consumer: evil("consumer"), instance: Some(InstanceId::new(evil("instance"))), why: evil("missing") };
    story.add(Event::Saw(Query::Consumer(Role::New, 0), Answer::No), Detail::Evidence { proved: vec![], missing: vec![missing] });
    let waiver = Waiver { consumer: evil("consumer"), instance: Some(InstanceId::new(evil("instance"))) };
    let person = |waiver| Detail::Person { by: evil("by"), reason: Some(evil("reason")), playbook: None, waiver };
    story.add(Event::Asked(Ask::Waive), person(Some(waiver)));
    story.add(Event::Asked(Ask::GoOn), person(None));
    while story.step() {}
    story
}

#[test]
fn a_page_escapes_everything_from_outside() {
    for story in [hostile(), held(), happy()] {
        let page = report::page(&document(&story));
        // The page itself has none of these, so whatever is found came from outside.
        for tag in ["<script", "<img", "</script", "onerror=alert(2)>\"", "alert(2)>\"'"] {
            assert!(!page.contains(tag), "{tag} is in the page");
        }
        assert!(!page.contains("http-equiv=\"refresh\"") && !page.contains("src=\"http") && !page.contains("href=\"http"));
    }
    let page = report::page(&document(&hostile()));
    for what in
        ["name", "origin", "provider", "begun", "why", "note", "store", "consumer", "instance", "id", "proof", "missing", "by", "reason"]
    {
        assert!(page.contains(&format!("{what}&lt;script&gt;")), "{what} is not on the page");
    }
}
