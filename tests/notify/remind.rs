//! A held rotation is told again until somebody has seen it, and an overdue key until it is rotated; never more often than asked.

use chrono::{DateTime, TimeDelta, Utc};
use keyroll::{
    adapters::build::identities,
    ids::RotationId,
    journal::SqliteJournal,
    notify::{Watched, remind},
    playbook::Playbook,
    ports::{Journal, Lease, Opening, World},
    protocol::{Answer, Ask, Effect, Event, Kind, OnTimeout, Query, Rules},
    record::{Decree, Detail, Plan, Waits},
};

use super::{
    book,
    inbox::{Inbox, Manner, hook},
};

struct Desk {
    _folder: tempfile::TempDir,
    journal: SqliteJournal,
    playbook: Playbook,
    world: World,
    inbox: Inbox,
    id: RotationId,
}

fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn minutes(count: i64) -> DateTime<Utc> {
    begin() + TimeDelta::minutes(count)
}

fn plan(playbook: &Playbook) -> Plan {
    let rules = Rules {
        kind: Kind::Install,
        proved: true,
        disables: false,
        asks_use: false,
        replays: false,
        by_person: false,
        revokes: true,
        on_timeout: OnTimeout::Rollback,
        stores: 1,
        consumers: 1,
        attempts: 3,
    };
    Plan {
        playbook: playbook.source.text.clone(),
        origin: "payments.yaml".into(),
        name: playbook.name.clone(),
        provider: "openai".into(),
        rules,
        old: None,
        listed: Vec::new(),
        stores: Vec::new(),
        consumers: Vec::new(),
        waits: Waits::default(),
        notes: Vec::new(),
        attributes: Default::default(),
        kept: None,
        page: None,
        approved: None,
        begun: None,
    }
}

impl Desk {
    async fn new(manner: Manner, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&folder.path().join("journal.db")).await.unwrap();
        let (address, inbox) = hook(manner).await;
        let (playbook, world) = book(&format!("  - webhook: {{ url: \"http://{address}/hook\" }}\n{more}")).unwrap();
        Self { _folder: folder, journal, playbook, world, inbox, id: RotationId::at(begin(), 7) }
    }

    async fn add(&self, lease: &mut Lease, at: DateTime<Utc>, event: Event) {
        self.journal.append(lease, at, event, Detail::Nothing, false).await.unwrap();
    }

    /// A rotation that is held at the given time.
    async fn hold(&self) -> Lease {
        let opening = Opening {
            rotation: self.id.clone(),
            name: &self.playbook.name,
            identities: &identities(&self.playbook, &self.world),
            seen: None,
            event: Event::Planned,
            detail: Detail::Planned(Box::new(plan(&self.playbook))),
            then: None,
            at: begin(),
        };
        let mut lease = self.journal.open(opening).await.unwrap();
        self.add(&mut lease, begin(), Event::Intended(Effect::Create)).await;
        self.add(&mut lease, begin(), Event::Lost(Effect::Create)).await;
        self.add(&mut lease, begin(), Event::Saw(Query::Settle, Answer::Foreign)).await;
        lease
    }

    /// A batch at this time; how many messages have arrived by then, and why others did not.
    async fn batch(&self, at: DateTime<Utc>, overdue: Option<&str>) -> (usize, Vec<String>) {
        let identities = identities(&self.playbook, &self.world);
        let overdue = overdue.map(str::to_owned);
        let watched = Watched { playbook: &self.playbook, outlets: &self.world.outlets, identities, overdue };
        let failed = remind(&self.journal, at, &[watched]).await.unwrap();
        (self.inbox.letters().len(), failed)
    }

    async fn count(&self, at: DateTime<Utc>) -> usize {
        let (count, failed) = self.batch(at, None).await;
        assert_eq!(failed, Vec::<String>::new());
        count
    }
}

#[tokio::test]
async fn a_held_rotation_is_told_again_each_hour_until_somebody_has_seen_it() {
    let desk = Desk::new(Manner::Takes, "").await;
    let mut lease = desk.hold().await;
    assert_eq!(desk.count(minutes(30)).await, 0, "the run that met it told it already");
    assert_eq!(desk.count(minutes(61)).await, 1);
    assert_eq!(desk.count(minutes(66)).await, 1, "cron comes every five minutes");
    assert_eq!(desk.count(minutes(122)).await, 2);
    let body = &desk.inbox.letters()[1].body;
    assert!(body.contains(&format!("keyroll ack {}", desk.id)) && body.contains("\"held\""), "{body}");
    desk.journal.decree(minutes(130), "ana", Decree::Ack { rotation: desk.id.clone(), reason: None }).await.unwrap();
    assert_eq!(desk.count(minutes(1000)).await, 2, "ana has seen it");

    // It goes on, and is held again: nobody has seen that.
    desk.add(&mut lease, minutes(1100), Event::Asked(Ask::GoOn)).await;
    assert_eq!(desk.count(minutes(1101)).await, 2, "it is not held");
    desk.add(&mut lease, minutes(1102), Event::Intended(Effect::Create)).await;
    desk.add(&mut lease, minutes(1102), Event::Lost(Effect::Create)).await;
    desk.add(&mut lease, minutes(1103), Event::Saw(Query::Settle, Answer::Foreign)).await;
    assert_eq!(desk.count(minutes(1104)).await, 2);
    assert_eq!(desk.count(minutes(1164)).await, 3);
}

#[tokio::test]
async fn an_overdue_key_is_told_at_once_and_then_as_often_as_asked() {
    let desk = Desk::new(Manner::Takes, "    repeat: 4h\n").await;
    let overdue = Some("due since Monday; the provider does not answer");
    assert_eq!(desk.batch(begin(), None).await.0, 0);
    assert_eq!(desk.batch(begin(), overdue).await.0, 1);
    assert_eq!(desk.batch(minutes(200), overdue).await.0, 1);
    assert_eq!(desk.batch(minutes(241), overdue).await.0, 2);
    let body = &desk.inbox.letters()[0].body;
    assert!(body.contains("due since Monday") && body.contains("keyroll run payments.yaml"), "{body}");
}

#[tokio::test]
async fn what_was_not_delivered_is_tried_again_by_the_next_batch() {
    let desk = Desk::new(Manner::Refuses, "").await;
    desk.hold().await;
    for (minute, count) in [(61, 1), (66, 2)] {
        let (tried, failed) = desk.batch(minutes(minute), None).await;
        assert_eq!((tried, failed.len()), (count, 1), "{failed:?}");
    }
    assert!(desk.journal.decrees().await.unwrap().is_empty(), "nothing was told");
}

#[tokio::test]
async fn a_clock_that_went_back_tells_once_more_rather_than_never() {
    let desk = Desk::new(Manner::Takes, "").await;
    let overdue = Some("due since Monday");
    assert_eq!(desk.batch(minutes(100_000), overdue).await.0, 1);
    assert_eq!(desk.batch(minutes(5), overdue).await.0, 2);
}
