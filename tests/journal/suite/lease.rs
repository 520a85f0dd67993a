//! Who may write.

use keyroll::{
    ids::Identity,
    ports::{Journal, JournalError, Note},
    protocol::{Ask, Event},
    record::{Decree, Detail, SCHEMA},
};

use super::{Broken, Desk, Outcome, Server, at, begin, begin_seeing, close, id, open, plan, refusal, step, take_soon};

pub async fn records_come_back_as_they_were_written<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut lease = begin(&*desk.journal, "r1", &["a"]).await?;
    let second = step(&*desk.journal, &mut lease).await?;
    let records = desk.journal.records(&id("r1")).await?;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].detail, Detail::Planned(Box::new(plan())));
    assert_eq!((records[0].seq, records[0].epoch, records[0].at, records[0].schema), (1, 1, at(), SCHEMA));
    assert_eq!(records[1], second);
    assert_eq!((lease.seq, lease.epoch), (2, 1));
    Ok(())
}

pub async fn a_journal_keeps_its_id_and_salt<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let other = Desk::<S>::new().await?;
    let again = desk.again().await?;
    assert_eq!((again.id(), again.salt()), (desk.journal.id(), desk.journal.salt()));
    assert_eq!(again.salt().len(), 32);
    assert_ne!(other.journal.salt(), desk.journal.salt());
    assert_ne!(other.journal.id(), desk.journal.id());
    Ok(())
}

pub async fn of_many_first_openings_one_makes_the_journal<S: Server>() -> Outcome {
    let server = S::start().await?;
    let mut openings = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let place = server.place();
        openings.spawn(async move { open(&place).await.map(|journal| journal.id().to_owned()) });
    }
    let mut ids = std::collections::BTreeSet::new();
    while let Some(id) = openings.join_next().await {
        ids.insert(id??);
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    Ok(())
}

pub async fn a_second_runner_is_refused_while_the_first_lives<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let second = desk.again().await?;
    let lease = begin(&*desk.journal, "r1", &["a"]).await?;
    for journal in [&*desk.journal, &*second] {
        let Err(JournalError::Busy(rotation, by)) = journal.take(&id("r1")).await else { panic!("not busy") };
        assert_eq!(rotation, id("r1"));
        assert!(by.starts_with(&format!("process {} on host ", std::process::id())), "{by}");
    }
    drop(lease);
    let lease = take_soon(&*second, &id("r1")).await?;
    assert_eq!((lease.epoch, lease.seq), (2, 1));
    Ok(())
}

pub async fn a_takeover_fences_the_old_runner<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut old = begin(&*desk.journal, "r1", &["a"]).await?;
    // The old runner still believes that it drives.
    desk.server.forget().await?;
    let mut new = desk.journal.take(&id("r1")).await?;
    assert!(matches!(step(&*desk.journal, &mut old).await, Err(JournalError::TakenOver(_))));
    assert!(!matches!(desk.journal.collect(&old).await, Ok(Some(_))));
    step(&*desk.journal, &mut new).await?;
    assert!(matches!(step(&*desk.journal, &mut old).await, Err(JournalError::TakenOver(_))));
    assert_eq!(old.seq, 1, "a refused lease is unchanged");
    let epochs: Vec<_> = desk.journal.records(&id("r1")).await?.iter().map(|record| record.epoch).collect();
    assert_eq!(epochs, [1, 2]);
    // The old runner's end must not free the new runner's place.
    drop(old);
    assert!(matches!(desk.journal.take(&id("r1")).await, Err(JournalError::Busy(..))));
    Ok(())
}

pub async fn of_many_openings_on_one_identity_exactly_one_wins<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut runners = tokio::task::JoinSet::new();
    for runner in 0..6 {
        let place = desk.server.place();
        runners.spawn(async move {
            let journal = open(&place).await?;
            // Crosswise, so that claims taken in the given order would meet.
            let wanted = if runner % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            begin(&*journal, &format!("r{runner}"), &wanted).await.map(|lease| lease.rotation.clone())
        });
    }
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    while let Some(end) = runners.join_next().await {
        match end? {
            Ok(rotation) => won.push(rotation),
            Err(JournalError::Open(by)) => lost.push(by),
            Err(other) => return Err(other.into()),
        }
    }
    assert_eq!((won.len(), lost.len()), (1, 5));
    assert!(lost.iter().all(|by| *by == won[0]));
    assert_eq!(desk.journal.entries().await?.len(), 1, "a refused opening leaves nothing");
    Ok(())
}

/// Two timers find one key due; the second one begins after the first one is through.
pub async fn what_was_decided_before_another_rotation_does_not_begin<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut first = begin_seeing(&*desk.journal, "r2", &["a"], Some(0)).await?;
    close(&*desk.journal, &mut first).await?;
    // The clock of this machine is behind: its rotation would be listed as the older one.
    let late = begin_seeing(&*desk.journal, "r1", &["a"], Some(0)).await;
    assert!(matches!(&late, Err(JournalError::Overtaken(name)) if name == "example"), "{}", refusal(late));
    assert_eq!(desk.journal.entries().await?.len(), 1, "a refused opening leaves nothing");
    begin_seeing(&*desk.journal, "r1", &["a"], Some(1)).await?;
    Ok(())
}

pub async fn of_many_takers_exactly_one_wins<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    drop(begin(&*desk.journal, "r1", &["a"]).await?);
    desk.journal.close().await;
    let mut runners = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let place = desk.server.place();
        runners.spawn(async move {
            let journal = open(&place).await?;
            let lease = journal.take(&id("r1")).await?;
            Ok::<_, JournalError>((journal, lease))
        });
    }
    let (mut won, mut lost) = (Vec::new(), 0);
    while let Some(end) = runners.join_next().await {
        match end? {
            // Kept: a lease that is let go at once may rightly be taken by the next.
            Ok(held) => won.push(held),
            Err(JournalError::Busy(..)) => lost += 1,
            Err(other) => return Err(other.into()),
        }
    }
    assert_eq!((won.len(), lost), (1, 5));
    assert_eq!(won[0].1.epoch, 2, "a refused taker does not fence the runner");
    Ok(())
}

pub async fn one_shared_identity_is_enough_and_closing_gives_it_back<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut first = begin(&*desk.journal, "r1", &["store/a", "principal/x"]).await?;
    assert!(matches!(begin(&*desk.journal, "r2", &["store/b", "principal/x"]).await, Err(JournalError::Open(by)) if by == id("r1")));
    assert_eq!(desk.journal.holder(&Identity::new("store/b")).await?, None, "all or nothing");
    assert_eq!(desk.journal.holder(&Identity::new("store/a")).await?, Some(id("r1")));
    close(&*desk.journal, &mut first).await?;
    assert_eq!(desk.journal.holder(&Identity::new("store/a")).await?, None);
    begin(&*desk.journal, "r2", &["store/b", "principal/x", "principal/x"]).await?;
    assert!(refusal(step(&*desk.journal, &mut first).await).contains("is over and takes no more records"));
    assert_eq!(desk.journal.records(&id("r1")).await?.len(), 2);
    Ok(())
}

pub async fn entries_are_newest_first<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    for name in ["01b", "01a", "01c"] {
        let mut lease = begin(&*desk.journal, name, &[name]).await?;
        if name == "01a" {
            close(&*desk.journal, &mut lease).await?;
        }
    }
    let listed: Vec<_> =
        desk.journal.entries().await?.into_iter().map(|entry| (entry.rotation.to_string(), entry.name, entry.open)).collect();
    let expected = [("01c", true), ("01b", true), ("01a", false)];
    assert_eq!(listed, expected.map(|(rotation, open)| (rotation.to_owned(), "example".to_owned(), open)));
    Ok(())
}

pub async fn an_unknown_rotation_is_named_and_leaves_no_trace<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    for name in ["r9", "../../etc/x", "", "a/b", ".making"] {
        assert!(matches!(desk.journal.take(&id(name)).await, Err(JournalError::Unknown(_))), "{name}");
        assert!(matches!(desk.journal.records(&id(name)).await, Err(JournalError::Unknown(_))), "{name}");
        assert!(matches!(desk.journal.leave(&id(name), note(Ask::GoOn)).await, Err(JournalError::Unknown(_))), "{name}");
    }
    assert_eq!(desk.server.drivers().await?, 0);
    Ok(())
}

fn note(ask: Ask) -> Note {
    Note {
        event: Event::Asked(ask),
        detail: Detail::Person { by: "ada".into(), reason: Some("leak".into()), playbook: None, waiver: None },
    }
}

pub async fn asks_are_collected_once_and_in_order<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut lease = begin(&*desk.journal, "r1", &["a"]).await?;
    let person = desk.again().await?;
    assert_eq!(desk.journal.collect(&lease).await?, None);
    person.leave(&id("r1"), note(Ask::Rollback)).await?;
    person.leave(&id("r1"), note(Ask::GoOn)).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Rollback)));
    step(&*desk.journal, &mut lease).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::GoOn)));
    assert_eq!(desk.journal.collect(&lease).await?, None);
    close(&*desk.journal, &mut lease).await?;
    assert!(refusal(person.leave(&id("r1"), note(Ask::GoOn)).await).contains("that is still open"));
    Ok(())
}

/// Every process leaves some at once; none overwrites another's.
pub async fn asks_left_at_once_are_all_collected<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut lease = begin(&*desk.journal, "r1", &["a"]).await?;
    at_once(&desk, async |journal| journal.leave(&id("r1"), note(Ask::GoOn)).await.map_err(Broken::from)).await?;
    for _ in 0..18 {
        assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::GoOn)));
        step(&*desk.journal, &mut lease).await?;
    }
    assert_eq!(desk.journal.collect(&lease).await?, None);
    Ok(())
}

pub async fn decrees_made_at_once_stand_one_behind_the_other<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let decree = || Decree::Ack { rotation: id("r1"), reason: None };
    at_once(&desk, async |journal| journal.decree(at(), "ada", decree()).await.map(drop).map_err(Broken::from)).await?;
    let places: Vec<_> = desk.journal.decrees().await?.iter().map(|decreed| decreed.seq).collect();
    assert_eq!(places, (1..=18).collect::<Vec<_>>());
    Ok(())
}

/// Six journals do the same three times, side by side.
async fn at_once<S: Server>(desk: &Desk<S>, one: impl AsyncFn(&dyn Journal) -> Outcome) -> Outcome {
    let mut journals = Vec::new();
    for _ in 0..6 {
        journals.push(desk.again().await?);
    }
    let all = journals.iter().map(async |journal| {
        for _ in 0..3 {
            one(&**journal).await?;
        }
        Ok::<_, Broken>(())
    });
    futures_util::future::join_all(all).await.into_iter().collect()
}

pub async fn an_ask_that_a_dead_runner_took_and_never_recorded_is_asked_again<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut lease = begin(&*desk.journal, "r1", &["a"]).await?;
    desk.journal.leave(&id("r1"), note(Ask::Waive)).await?;
    desk.journal.leave(&id("r1"), note(Ask::Rollback)).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Waive)));
    step(&*desk.journal, &mut lease).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Rollback)));
    drop(lease);
    let lease = desk.journal.take(&id("r1")).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Rollback)));
    assert_eq!(desk.journal.collect(&lease).await?, None);
    Ok(())
}

pub async fn only_the_lease_holder_collects<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let old = begin(&*desk.journal, "r1", &["a"]).await?;
    desk.server.forget().await?;
    let new = desk.journal.take(&id("r1")).await?;
    desk.journal.leave(&id("r1"), note(Ask::GoOn)).await?;
    assert!(matches!(desk.journal.collect(&old).await, Err(JournalError::TakenOver(_))));
    assert_eq!(desk.journal.collect(&new).await?, Some(note(Ask::GoOn)));
    Ok(())
}
