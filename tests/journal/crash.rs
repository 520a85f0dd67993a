//! Another process: this test binary runs itself again, and is killed or starved of disk.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use keyroll::{
    journal::SqliteJournal,
    ports::{Journal, JournalError},
};

use crate::{Desk, Outcome, begin, id, step};

const PLACE: &str = "KEYROLL_TEST_JOURNAL";

/// Not a test by itself: what the child does when the tests below start it.
#[tokio::test]
async fn child() -> Outcome {
    let Ok(place) = std::env::var(PLACE) else { return Ok(()) };
    let journal = SqliteJournal::open(Path::new(&place)).await?;
    let mut lease = begin(&journal, "r1", &["a"]).await?;
    loop {
        match step(&journal, &mut lease).await {
            Ok(record) => println!("\nwrote {}", record.seq),
            Err(error) => {
                println!("\nstopped {} {error}", lease.seq);
                return Ok(());
            }
        }
    }
}

fn start(place: &Path, mut command: Command) -> std::io::Result<Child> {
    command.args(["--exact", "crash::child", "--nocapture"]).env(PLACE, place).stdout(Stdio::piped()).spawn()
}

fn this_binary() -> std::io::Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

#[tokio::test]
async fn a_runner_killed_in_the_middle_leaves_a_whole_chain_and_no_lock() -> Outcome {
    for round in 0..5u64 {
        let desk = Desk::new().await?;
        let mut runner = start(&desk.path(), this_binary()?)?;
        let output = BufReader::new(runner.stdout.take().ok_or("no output")?);
        let enough = 5 + round * 3;
        let mut lines = output.lines();
        let mut told = 0;
        while told < enough {
            let line = lines.next().ok_or("it ended too early")??;
            told = line.strip_prefix("wrote ").map_or(Ok(told), str::parse)?;
        }
        let Err(JournalError::Busy(_, by)) = desk.journal.take(&id("r1")).await else { panic!("the runner lives") };
        assert!(by.contains(&format!("process {} ", runner.id())), "{by}");
        runner.kill()?;
        runner.wait()?;
        for line in lines {
            told = line?.strip_prefix("wrote ").map_or(Ok(told), str::parse)?;
        }
        let records = desk.journal.records(&id("r1")).await?;
        assert!(records.len() as u64 >= told, "{} of {told} records are left", records.len());
        let mut lease = desk.journal.take(&id("r1")).await?;
        assert_eq!((lease.epoch, lease.seq), (2, records.len() as u64));
        step(&desk.journal, &mut lease).await?;
        desk.journal.records(&id("r1")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_runner_without_room_says_so_and_keeps_what_it_has() -> Outcome {
    let desk = Desk::new().await?;
    let mut shell = Command::new("sh");
    // A write past this size fails as on a full disk, whoever runs it.
    shell.args(["-c", r#"trap '' XFSZ; ulimit -f 256; exec "$0" "$@""#]).arg(std::env::current_exe()?);
    let runner = start(&desk.path(), shell)?.wait_with_output()?;
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
