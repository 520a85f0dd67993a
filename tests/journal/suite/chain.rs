//! What is found when a row was changed behind keyroll's back.

use chrono::Utc;
use keyroll::{
    ports::JournalError,
    record::{Decree, SCHEMA},
};
use sha2::{Digest, Sha256};

use super::{Desk, Outcome, Server, begin, id, refusal, step};

pub async fn every_kind_of_tampering_is_found_and_named<S: Server>() -> Outcome {
    let changed = "record 3 of rotation r1 is not what was written";
    let cases = [
        ("a body is changed", "UPDATE event SET body = replace(body, 'key-2', 'key-9') WHERE seq = 3", changed),
        ("a hash is changed", "UPDATE event SET hash = 'ff' WHERE seq = 3", changed),
        ("a body gains a space", "UPDATE event SET body = body || ' ' WHERE seq = 3", changed),
        ("the first is deleted", "DELETE FROM event WHERE seq = 1", "record 1 of rotation r1 is missing"),
        ("one in the middle is deleted", "DELETE FROM event WHERE seq = 3", "record 3 of rotation r1 is missing"),
        ("the last is deleted", "DELETE FROM event WHERE seq = 5", "record 5 of rotation r1 is missing"),
        ("all are deleted", "DELETE FROM event", "record 1 of rotation r1 is missing"),
        (
            "one is deleted and the rest closed up",
            "DELETE FROM event WHERE seq = 3; UPDATE event SET seq = seq - 1 WHERE seq > 3",
            "record 3 of rotation r1 is not what was written",
        ),
        (
            "two are swapped",
            "UPDATE event SET seq = 9 WHERE seq = 3; UPDATE event SET seq = 3 WHERE seq = 4; UPDATE event SET seq = 4 WHERE seq = 9",
            changed,
        ),
        (
            "the tail is cut, and the count with it",
            "DELETE FROM event WHERE seq = 5; UPDATE rotation SET seq = 4",
            "record 4 of rotation r1 is not the end that was written",
        ),
        ("the head is changed", "UPDATE rotation SET head = 'ff'", "record 5 of rotation r1 is not the end that was written"),
        ("the count is changed", "UPDATE rotation SET seq = 4", "record 5 of rotation r1 was never written by keyroll"),
        ("the epoch is changed", "UPDATE event SET epoch = 7 WHERE seq = 2", "record 2 of rotation r1 does not belong where it stands"),
        ("a number is negative", "UPDATE rotation SET seq = -1", "its column `last` holds -1"),
    ];
    for (what, sql, expected) in cases {
        let desk = Desk::<S>::new().await?;
        desk.five("r1").await?;
        desk.tamper(sql).await?;
        let error = refusal(desk.journal.records(&id("r1")).await);
        assert!(error.contains(expected), "{what}: {error}");
        assert!(error.starts_with("the journal cannot be trusted"), "{what}: {error}");
    }
    Ok(())
}

pub async fn a_record_of_another_rotation_is_found<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    desk.five("r1").await?;
    begin(&*desk.journal, "r2", &["b"]).await?;
    desk.tamper("UPDATE event SET body = (SELECT body FROM event WHERE rotation = 'r2'), hash = (SELECT hash FROM event WHERE rotation = 'r2') WHERE rotation = 'r1' AND seq = 1")
        .await?;
    assert!(refusal(desk.journal.records(&id("r1")).await).contains("record 1 of rotation r1 is not what was written"));
    assert_eq!(desk.journal.records(&id("r2")).await?.len(), 1, "one rotation's damage is not another's");
    Ok(())
}

pub async fn nothing_is_appended_where_the_head_was_changed_or_a_row_was_planted<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let mut lease = desk.five("r1").await?;
    desk.tamper("INSERT INTO event VALUES ('r1', 6, 1, '{}', 'ff')").await?;
    assert!(matches!(step(&*desk.journal, &mut lease).await, Err(JournalError::Corrupt(_))));
    desk.tamper("DELETE FROM event WHERE seq = 6; UPDATE rotation SET head = 'ff'").await?;
    assert!(refusal(step(&*desk.journal, &mut lease).await).contains("the head of rotation r1 was changed after record 5"));
    Ok(())
}

/// Writes a body as a newer keyroll would: with a hash that fits.
async fn written_by_another<S: Server>(from: &str, to: &str) -> Result<String, Box<dyn std::error::Error>> {
    let desk = Desk::<S>::new().await?;
    let lease = begin(&*desk.journal, "r1", &["a"]).await?;
    let record = &desk.journal.records(&id("r1")).await?[0];
    let body = serde_json::to_string(record)?;
    let newer = body.replacen(from, to, 1);
    assert_ne!(body, newer);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let link = |body: &str| hex(&Sha256::digest(hex(&Sha256::digest("r1")) + body));
    assert_eq!(lease.head, link(&body), "the chain's form: sha256(previous hash ‖ body), from sha256(rotation)");
    let (text, hash) = (newer.replace('\'', "''"), link(&newer));
    desk.tamper(&format!("UPDATE event SET body = '{text}', hash = '{hash}'; UPDATE rotation SET head = '{hash}'")).await?;
    Ok(refusal(desk.journal.records(&id("r1")).await))
}

pub async fn what_a_newer_keyroll_wrote_is_refused_never_skipped<S: Server>() -> Outcome {
    let newer = "record 1 of rotation r1 was written by a newer keyroll";
    let (schema, next) = (format!(r#""schema":{SCHEMA}"#), format!(r#""schema":{}"#, SCHEMA + 1));
    let cases = [
        ("a schema", schema.as_str(), next.as_str(), newer),
        ("no schema", &format!("{schema},"), "", newer),
        ("an event", r#""event":"resumed""#, r#""event":"levitated""#, newer),
        ("a detail", r#""planned""#, r#""planned_well""#, newer),
        ("a field", r#""seq":1"#, r#""seq":1,"mood":"good""#, newer),
        ("a field deep inside", r#""locator":"#, r#""region":"x","locator":"#, newer),
    ];
    for (what, from, to, expected) in cases {
        let error = written_by_another::<S>(from, to).await?;
        assert!(error.contains(expected), "{what}: {error}");
    }
    Ok(())
}

pub async fn a_journal_of_the_first_form_goes_on_in_the_second<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    let lease = begin(&*desk.journal, "r1", &["a"]).await?;
    drop(lease);
    desk.tamper("DROP TABLE decree; UPDATE meta SET form = 1").await?;
    let journal = desk.again().await?;
    assert_eq!(journal.records(&id("r1")).await?.len(), 1);
    let decree = Decree::Ack { rotation: id("r1"), reason: None };
    assert_eq!(journal.decree(Utc::now(), "ana", decree.clone()).await?.seq, 1);
    assert_eq!(journal.decree(Utc::now(), "ben", decree).await?.seq, 2);
    assert_eq!(journal.decrees().await?.iter().map(|one| one.by.as_str()).collect::<Vec<_>>(), ["ana", "ben"]);
    Ok(())
}

pub async fn a_changed_decree_is_found<S: Server>() -> Outcome {
    for (tampering, said) in [
        ("UPDATE decree SET body = replace(body, 'ana', 'eve') WHERE seq = 1", "decree 1 is not what was written"),
        ("DELETE FROM decree WHERE seq = 1", "decree 1 is missing"),
        ("UPDATE decree SET hash = 'ff' WHERE seq = 2", "decree 2 is not what was written"),
    ] {
        let desk = Desk::<S>::new().await?;
        for by in ["ana", "ben"] {
            desk.journal.decree(Utc::now(), by, Decree::Ack { rotation: id("r1"), reason: None }).await?;
        }
        desk.tamper(tampering).await?;
        assert!(refusal(desk.journal.decrees().await).contains(said), "{tampering}");
    }
    Ok(())
}

pub async fn tables_of_another_form_are_refused<S: Server>() -> Outcome {
    let desk = Desk::<S>::new().await?;
    desk.tamper("UPDATE meta SET form = 3").await?;
    let error = refusal(desk.again().await);
    assert!(error.contains("written by a newer keyroll"), "{error}");
    desk.tamper("UPDATE meta SET form = 2, salt = 'zz'").await?;
    assert!(refusal(desk.again().await).contains("its salt was changed"));
    desk.tamper("DELETE FROM meta").await?;
    assert!(refusal(desk.again().await).contains("lost its id and salt"));
    Ok(())
}
