//! Another process: the test binary runs itself again, and is killed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use keyroll::ports::JournalError;

use super::{Desk, Outcome, Server, begin, id, open, step, take_soon};

pub const PLACE: &str = "KEYROLL_TEST_JOURNAL";

/// Not a test by itself: what the child does when another test starts it.
pub async fn child<S: Server>() -> Outcome {
    let Ok(place) = std::env::var(PLACE) else { return Ok(()) };
    let journal = open(&place).await?;
    let mut lease = begin(&*journal, "r1", &["a"]).await?;
    loop {
        match step(&*journal, &mut lease).await {
            Ok(record) => println!("\nwrote {}", record.seq),
            Err(error) => {
                println!("\nstopped {} {error}", lease.seq);
                return Ok(());
            }
        }
    }
}

/// The child, on this journal.
pub fn start<S: Server>(server: &S, mut command: Command) -> std::io::Result<Child> {
    command.args(["--exact", S::CHILD, "--nocapture"]).env(PLACE, server.place()).stdout(Stdio::piped()).spawn()
}

pub async fn a_runner_killed_in_the_middle_leaves_a_whole_chain_and_no_lock<S: Server>() -> Outcome {
    for round in 0..S::ROUNDS {
        let desk = Desk::<S>::new().await?;
        let mut runner = start(&desk.server, Command::new(std::env::current_exe()?))?;
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
        let mut lease = take_soon(&*desk.journal, &id("r1")).await?;
        assert_eq!((lease.epoch, lease.seq), (2, records.len() as u64));
        step(&*desk.journal, &mut lease).await?;
        desk.journal.records(&id("r1")).await?;
    }
    Ok(())
}
