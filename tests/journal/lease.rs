//! Who may write.

use keyroll::{
    ids::Identity,
    journal::SqliteJournal,
    ports::{Journal, JournalError, Note},
    protocol::{Ask, Event},
    record::{Detail, SCHEMA},
};

use crate::{Desk, Outcome, at, begin, close, id, plan, refusal, step};

#[tokio::test]
async fn records_come_back_as_they_were_written() -> Outcome {
    let desk = Desk::new().await?;
    let mut lease = begin(&desk.journal, "r1", &["a"]).await?;
    let second = step(&desk.journal, &mut lease).await?;
    let records = desk.journal.records(&id("r1")).await?;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].detail, Detail::Planned(Box::new(plan())));
    assert_eq!((records[0].seq, records[0].epoch, records[0].at, records[0].schema), (1, 1, at(), SCHEMA));
    assert_eq!(records[1], second);
    assert_eq!((lease.seq, lease.epoch), (2, 1));
    Ok(())
}

#[tokio::test]
async fn a_journal_keeps_its_id_and_salt() -> Outcome {
    let desk = Desk::new().await?;
    let other = Desk::new().await?;
    let again = SqliteJournal::open(&desk.path()).await?;
    assert_eq!((again.id(), again.salt()), (desk.journal.id(), desk.journal.salt()));
    assert_eq!(again.salt().len(), 32);
    assert_ne!(other.journal.salt(), desk.journal.salt());
    assert_ne!(other.journal.id(), desk.journal.id());
    Ok(())
}

#[tokio::test]
async fn a_second_runner_is_refused_while_the_first_lives() -> Outcome {
    let desk = Desk::new().await?;
    let second = SqliteJournal::open(&desk.path()).await?;
    let lease = begin(&desk.journal, "r1", &["a"]).await?;
    for journal in [&desk.journal, &second] {
        let Err(JournalError::Busy(rotation, by)) = journal.take(&id("r1")).await else { panic!("not busy") };
        assert_eq!(rotation, id("r1"));
        assert!(by.starts_with(&format!("process {} on host ", std::process::id())), "{by}");
    }
    drop(lease);
    let lease = second.take(&id("r1")).await?;
    assert_eq!((lease.epoch, lease.seq), (2, 1));
    Ok(())
}

#[tokio::test]
async fn a_takeover_fences_the_old_runner() -> Outcome {
    let desk = Desk::new().await?;
    let mut old = begin(&desk.journal, "r1", &["a"]).await?;
    // What a lost lock file does: the old runner still believes that it drives.
    std::fs::remove_dir_all(desk.folder.path().join("journal.db.locks"))?;
    let mut new = desk.journal.take(&id("r1")).await?;
    assert!(matches!(step(&desk.journal, &mut old).await, Err(JournalError::TakenOver(_))));
    assert!(matches!(desk.journal.collect(&old).await, Ok(None)));
    step(&desk.journal, &mut new).await?;
    assert!(matches!(step(&desk.journal, &mut old).await, Err(JournalError::TakenOver(_))));
    assert_eq!(old.seq, 1, "a refused lease is unchanged");
    let epochs: Vec<_> = desk.journal.records(&id("r1")).await?.iter().map(|record| record.epoch).collect();
    assert_eq!(epochs, [1, 2]);
    // The old runner's end must not free the new runner's lock.
    drop(old);
    assert!(matches!(desk.journal.take(&id("r1")).await, Err(JournalError::Busy(..))));
    Ok(())
}

#[tokio::test]
async fn of_many_openings_on_one_identity_exactly_one_wins() -> Outcome {
    let desk = Desk::new().await?;
    let mut runners = tokio::task::JoinSet::new();
    for runner in 0..6 {
        let path = desk.path();
        runners.spawn(async move {
            let journal = SqliteJournal::open(&path).await?;
            // Crosswise, so that claims taken in the given order would meet.
            let wanted = if runner % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            begin(&journal, &format!("r{runner}"), &wanted).await
        });
    }
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    while let Some(end) = runners.join_next().await {
        match end? {
            Ok(lease) => won.push(lease.rotation),
            Err(JournalError::Open(by)) => lost.push(by),
            Err(other) => return Err(other.into()),
        }
    }
    assert_eq!((won.len(), lost.len()), (1, 5));
    assert!(lost.iter().all(|by| *by == won[0]));
    assert_eq!(desk.journal.entries().await?.len(), 1, "a refused opening leaves nothing");
    Ok(())
}

#[tokio::test]
async fn one_shared_identity_is_enough_and_closing_gives_it_back() -> Outcome {
    let desk = Desk::new().await?;
    let mut first = begin(&desk.journal, "r1", &["store/a", "principal/x"]).await?;
    assert!(matches!(begin(&desk.journal, "r2", &["store/b", "principal/x"]).await, Err(JournalError::Open(by)) if by == id("r1")));
    assert_eq!(desk.journal.holder(&Identity::new("store/b")).await?, None, "all or nothing");
    assert_eq!(desk.journal.holder(&Identity::new("store/a")).await?, Some(id("r1")));
    close(&desk.journal, &mut first).await?;
    assert_eq!(desk.journal.holder(&Identity::new("store/a")).await?, None);
    begin(&desk.journal, "r2", &["store/b", "principal/x", "principal/x"]).await?;
    assert!(refusal(step(&desk.journal, &mut first).await).contains("is over and takes no more records"));
    assert_eq!(desk.journal.records(&id("r1")).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn entries_are_newest_first() -> Outcome {
    let desk = Desk::new().await?;
    for name in ["01b", "01a", "01c"] {
        let mut lease = begin(&desk.journal, name, &[name]).await?;
        if name == "01a" {
            close(&desk.journal, &mut lease).await?;
        }
    }
    let listed: Vec<_> =
        desk.journal.entries().await?.into_iter().map(|entry| (entry.rotation.to_string(), entry.name, entry.open)).collect();
    let expected = [("01c", true), ("01b", true), ("01a", false)];
    assert_eq!(listed, expected.map(|(rotation, open)| (rotation.to_owned(), "example".to_owned(), open)));
    Ok(())
}

#[tokio::test]
async fn an_unknown_rotation_is_named_and_leaves_no_trace() -> Outcome {
    let desk = Desk::new().await?;
    for name in ["r9", "../../etc/x", "", "a/b", ".making"] {
        assert!(matches!(desk.journal.take(&id(name)).await, Err(JournalError::Unknown(_))), "{name}");
        assert!(matches!(desk.journal.records(&id(name)).await, Err(JournalError::Unknown(_))), "{name}");
        assert!(matches!(desk.journal.leave(&id(name), note(Ask::GoOn)).await, Err(JournalError::Unknown(_))), "{name}");
    }
    assert_eq!(std::fs::read_dir(desk.folder.path().join("journal.db.locks"))?.count(), 0);
    Ok(())
}

fn note(ask: Ask) -> Note {
    Note {
        event: Event::Asked(ask),
        detail: Detail::Person { by: "ada".into(), reason: Some("leak".into()), playbook: None, waiver: None },
    }
}

#[tokio::test]
async fn asks_are_collected_once_and_in_order() -> Outcome {
    let desk = Desk::new().await?;
    let mut lease = begin(&desk.journal, "r1", &["a"]).await?;
    let person = SqliteJournal::open(&desk.path()).await?;
    assert_eq!(desk.journal.collect(&lease).await?, None);
    person.leave(&id("r1"), note(Ask::Rollback)).await?;
    person.leave(&id("r1"), note(Ask::GoOn)).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Rollback)));
    step(&desk.journal, &mut lease).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::GoOn)));
    assert_eq!(desk.journal.collect(&lease).await?, None);
    close(&desk.journal, &mut lease).await?;
    assert!(refusal(person.leave(&id("r1"), note(Ask::GoOn)).await).contains("that is still open"));
    Ok(())
}

#[tokio::test]
async fn an_ask_that_a_dead_runner_took_and_never_recorded_is_asked_again() -> Outcome {
    let desk = Desk::new().await?;
    let mut lease = begin(&desk.journal, "r1", &["a"]).await?;
    desk.journal.leave(&id("r1"), note(Ask::Waive)).await?;
    desk.journal.leave(&id("r1"), note(Ask::Rollback)).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Waive)));
    step(&desk.journal, &mut lease).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Rollback)));
    drop(lease);
    let lease = desk.journal.take(&id("r1")).await?;
    assert_eq!(desk.journal.collect(&lease).await?, Some(note(Ask::Rollback)));
    assert_eq!(desk.journal.collect(&lease).await?, None);
    Ok(())
}

#[tokio::test]
async fn only_the_lease_holder_collects() -> Outcome {
    let desk = Desk::new().await?;
    let old = begin(&desk.journal, "r1", &["a"]).await?;
    std::fs::remove_dir_all(desk.folder.path().join("journal.db.locks"))?;
    let new = desk.journal.take(&id("r1")).await?;
    desk.journal.leave(&id("r1"), note(Ask::GoOn)).await?;
    assert!(matches!(desk.journal.collect(&old).await, Err(JournalError::TakenOver(_))));
    assert_eq!(desk.journal.collect(&new).await?, Some(note(Ask::GoOn)));
    Ok(())
}
