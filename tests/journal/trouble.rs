//! What is said when the journal cannot be used. None of it depends on who runs the tests: root may do more than most.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use keyroll::{
    journal::SqliteJournal,
    ports::{Journal, JournalError},
};

use crate::{Desk, Outcome, begin, id, mode, refusal, step, suite::crash::PLACE};

#[tokio::test]
async fn everything_it_makes_is_for_its_owner_alone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a/b/journal.db");
    let journal = SqliteJournal::open(&path).await?;
    let _lease = begin(&journal, "r1", &["a"]).await?;
    for (file, expected) in [
        ("a/b", 0o700),
        ("a/b/journal.db", 0o600),
        ("a/b/journal.db-wal", 0o600),
        ("a/b/journal.db-shm", 0o600),
        ("a/b/journal.db.locks", 0o700),
        ("a/b/journal.db.locks/r1.lock", 0o600),
    ] {
        assert_eq!(mode(&folder.path().join(file))?, expected, "{file}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wider_file_is_refused_with_the_command_that_mends_it() -> Outcome {
    let desk = Desk::new().await?;
    for wide in [0o640, 0o604, 0o622, 0o700] {
        fs::set_permissions(desk.path(), fs::Permissions::from_mode(wide))?;
        let error = refusal(SqliteJournal::open(&desk.path()).await);
        assert!(error.contains(&format!("(mode {wide:04o}); run: chmod 600 '{}'", desk.path().display())), "{error}");
    }
    fs::set_permissions(desk.path(), fs::Permissions::from_mode(0o600))?;
    SqliteJournal::open(&desk.path()).await?;
    Ok(())
}

#[tokio::test]
async fn a_symbolic_link_is_refused_and_the_file_behind_it_named() -> Outcome {
    let desk = Desk::new().await?;
    let link = desk.folder.path().join("link.db");
    std::os::unix::fs::symlink(desk.path(), &link)?;
    let error = refusal(SqliteJournal::open(&link).await);
    assert!(error.contains("is a symbolic link: name the file itself") && error.contains("journal.db"), "{error}");
    let nowhere = desk.folder.path().join("nowhere.db");
    std::os::unix::fs::symlink("/nonexistent/x", &nowhere)?;
    assert!(refusal(SqliteJournal::open(&nowhere).await).contains("is a symbolic link"));
    assert!(refusal(SqliteJournal::open_existing(&nowhere).await).contains("is a symbolic link"));
    Ok(())
}

#[tokio::test]
async fn reading_a_journal_that_is_not_there_makes_none() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("deep/journal.db");
    assert!(SqliteJournal::open_existing(&path).await?.is_none());
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    drop(SqliteJournal::open(&path).await?);
    let journal = SqliteJournal::open_existing(&path).await?.ok_or("it is there")?;
    assert!(journal.entries().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_empty_file_becomes_a_journal_and_odd_names_work() -> Outcome {
    let folder = tempfile::tempdir()?;
    for name in ["empty.db", "a b?c#d%20é'.db", ":memory:"] {
        let path = folder.path().join(name);
        fs::write(&path, "")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let journal = SqliteJournal::open(&path).await?;
        begin(&journal, "r1", &["a"]).await?;
        assert!(fs::metadata(&path)?.len() > 0, "{name}");
        let again = SqliteJournal::open(&path).await?;
        assert_eq!(again.entries().await?.len(), 1, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_journal_is_named() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    fs::write(&file, "not a folder")?;
    let text = folder.path().join("text.db");
    fs::write(&text, "dear diary, this is a text of some length and no database at all, whatever its name says ".repeat(20))?;
    fs::set_permissions(&text, fs::Permissions::from_mode(0o600))?;
    let cases = [
        (file.join("journal.db"), "cannot make the folder"),
        (file.join("deep/journal.db"), "cannot make the folder"),
        (Path::new("/proc/self/journal.db").to_owned(), "cannot make the journal /proc/self/journal.db"),
        (Path::new("/proc/keyroll/journal.db").to_owned(), "cannot make the folder /proc/keyroll"),
        (folder.path().to_owned(), "is no file: name another place"),
        (text, "is not a journal (it is no SQLite database)"),
    ];
    for (path, expected) in cases {
        let Err(JournalError::Down(error)) = SqliteJournal::open(&path).await else { panic!("{} was opened", path.display()) };
        assert!(error.contains(expected), "{error}");
    }
    Ok(())
}

/// What somebody who can write beside the journal may have put there.
#[tokio::test]
async fn no_link_beside_the_journal_is_followed_and_no_folder_of_others_is_used() -> Outcome {
    let elsewhere = tempfile::tempdir()?;
    for name in ["journal.db-wal", "journal.db-shm", "journal.db-journal"] {
        let folder = tempfile::tempdir()?;
        let target = elsewhere.path().join(name);
        std::os::unix::fs::symlink(&target, folder.path().join(name))?;
        let opened = SqliteJournal::open(&folder.path().join("journal.db")).await;
        assert!(!target.exists(), "{name}: something was written through the link, {:?}", opened.err());
    }
    let desk = Desk::new().await?;
    let locks = desk.folder.path().join("journal.db.locks");
    fs::remove_dir_all(&locks)?;
    std::os::unix::fs::symlink(elsewhere.path(), &locks)?;
    let error = refusal(begin(&desk.journal, "r1", &["a"]).await);
    assert!(error.contains("is not keyroll's own folder"), "{error}");
    assert!(fs::read_dir(elsewhere.path())?.next().is_none(), "no lock was put elsewhere");
    fs::remove_file(&locks)?;
    fs::create_dir(&locks)?;
    fs::set_permissions(&locks, fs::Permissions::from_mode(0o777))?;
    let error = refusal(begin(&desk.journal, "r1", &["a"]).await);
    assert!(error.contains("is not keyroll's own folder"), "{error}");
    fs::set_permissions(&locks, fs::Permissions::from_mode(0o700))?;
    std::os::unix::fs::symlink(elsewhere.path().join("x"), locks.join("r1.lock"))?;
    refusal(begin(&desk.journal, "r1", &["a"]).await);
    assert!(!elsewhere.path().join("x").exists(), "no lock was put elsewhere");
    Ok(())
}

#[tokio::test]
async fn a_database_of_something_else_is_left_alone() -> Outcome {
    let desk = Desk::new().await?;
    desk.tamper("ALTER TABLE meta RENAME TO songs").await?;
    let error = refusal(SqliteJournal::open(&desk.path()).await);
    assert!(error.contains("is a database of something else"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_journal_that_another_process_keeps_locked_is_named() -> Outcome {
    let desk = Desk::new().await?;
    let mut lease = begin(&desk.journal, "r1", &["a"]).await?;
    let other = sqlx::AnyPool::connect(&format!("sqlite://{}", desk.path().display())).await?;
    let hog = other.begin_with("BEGIN IMMEDIATE").await?;
    let error = refusal(step(&desk.journal, &mut lease).await);
    assert!(error.contains("is locked by another process"), "{error}");
    assert_eq!(desk.journal.records(&id("r1")).await?.len(), 1, "readers are not kept out");
    drop(hog);
    other.close().await;
    step(&desk.journal, &mut lease).await?;
    Ok(())
}

/// A constraint that is only checked by the commit stands for every commit that fails.
#[tokio::test]
async fn a_commit_that_failed_is_read_back_and_can_be_done_again() -> Outcome {
    let desk = Desk::new().await?;
    let mut lease = begin(&desk.journal, "r1", &["a"]).await?;
    desk.tamper(
        "CREATE TABLE parent (id BIGINT PRIMARY KEY); \
         CREATE TABLE child (p BIGINT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED); \
         CREATE TRIGGER late AFTER INSERT ON event BEGIN INSERT INTO child VALUES (1); END",
    )
    .await?;
    assert!(matches!(step(&desk.journal, &mut lease).await, Err(JournalError::Down(_))));
    assert!(matches!(begin(&desk.journal, "r2", &["b"]).await, Err(JournalError::Down(_))));
    assert_eq!(lease.seq, 1);
    desk.tamper("DROP TRIGGER late").await?;
    step(&desk.journal, &mut lease).await?;
    assert_eq!(desk.journal.records(&id("r1")).await?.len(), 2);
    begin(&desk.journal, "r2", &["b"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_runner_without_room_says_so_and_keeps_what_it_has() -> Outcome {
    let desk = Desk::new().await?;
    let mut shell = Command::new("sh");
    // A write past this size fails as on a full disk, whoever runs it.
    shell.args(["-c", r#"trap '' XFSZ; ulimit -f 256; exec "$0" "$@""#]).arg(std::env::current_exe()?);
    let runner =
        shell.args(["--exact", "child", "--nocapture"]).env(PLACE, desk.path()).stdout(Stdio::piped()).spawn()?.wait_with_output()?;
    let output = String::from_utf8(runner.stdout)?;
    let stopped = output.lines().find_map(|line| line.strip_prefix("stopped ")).ok_or("it did not stop")?;
    let (seq, error) = stopped.split_once(' ').ok_or("no sequence")?;
    assert!(error.contains("see whether the disk is full or failing"), "{error}");
    assert_eq!(desk.journal.records(&id("r1")).await?.len() as u64, seq.parse::<u64>()?);
    let mut lease = desk.journal.take(&id("r1")).await?;
    step(&desk.journal, &mut lease).await?;
    Ok(())
}

#[tokio::test]
async fn an_append_is_quick() -> Outcome {
    let desk = Desk::new().await?;
    let mut lease = begin(&desk.journal, "r1", &["a"]).await?;
    let began = Instant::now();
    for _ in 0..200 {
        step(&desk.journal, &mut lease).await?;
    }
    println!("{:?} an append", began.elapsed() / 200);
    assert_eq!(desk.journal.records(&id("r1")).await?.len(), 201);
    Ok(())
}

/// SQLite keeps whatever it is given, of any type.
#[tokio::test]
async fn a_number_that_is_none_is_found() -> Outcome {
    let desk = Desk::new().await?;
    begin(&desk.journal, "r1", &["a"]).await?;
    desk.tamper("UPDATE event SET epoch = 'x'").await?;
    assert!(refusal(desk.journal.records(&id("r1")).await).contains("its column `epoch` was changed"));
    Ok(())
}
