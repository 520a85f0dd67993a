//! What a server does to a runner: refuses it, forgets it, hangs up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use keyroll::{journal::Place, ports::JournalError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    Postgres,
    suite::{Broken, Desk, Outcome, Server as _, begin, close, id, open, refusal, step},
};

#[tokio::test]
async fn a_server_that_refuses_is_told_in_words_and_without_the_password() -> Outcome {
    let desk = Desk::<Postgres>::new().await?;
    let good = desk.server.url("");
    let reader = "keyroll_reader".to_owned() + &fastrand::u32(..).to_string();
    desk.tamper(&format!("CREATE ROLE {reader} LOGIN PASSWORD 'swordfish'")).await?;
    let stranger = good.replace("keyroll_admin:test-password", &format!("{reader}:swordfish"));
    let empty = Postgres::start().await?;
    let nowhere = empty.url("").replace("keyroll_admin:test-password", &format!("{reader}:swordfish"));
    let database = good.rsplit('/').next().unwrap_or_default().to_owned();
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let cases = [
        ("wrong password", good.replace(":test-password@", ":swordfish@"), "does not accept the password"),
        ("no database", good.replace(&database, "no_such_one"), "make it: createdb"),
        ("no server", format!("postgres://ada:swordfish@{closed}/x"), "cannot be reached"),
        ("no TLS", good.clone() + "&sslmode=verify-full", "no TLS as `sslmode` wants it"),
        ("no right to read", stranger, "GRANT USAGE ON SCHEMA keyroll"),
        ("no right to make", nowhere, "CREATE SCHEMA keyroll AUTHORIZATION"),
        ("a slip", good.clone() + "&sslmod=verify-full", "a parameter `sslmod` that keyroll does not know"),
        ("no time", good.clone() + "&keyroll_lease=0", "a `keyroll_lease` that is not 0.1 to 3600 seconds"),
        ("no port", "postgres://ada:swordfish@127.0.0.1:port/x".into(), "its URL cannot be read"),
    ];
    for (what, url, expected) in cases {
        let error = refusal(open(&url).await);
        assert!(error.contains(expected), "{what}: {error}");
        for secret in ["swordfish", "test-password"] {
            assert!(!error.contains(secret), "{what}: {error}");
            assert!(!Place::read(url.as_ref()).to_string().contains(secret), "{what}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_standby_can_be_read_and_not_written() -> Outcome {
    let desk = Desk::<Postgres>::new().await?;
    drop(begin(&*desk.journal, "r1", &["a"]).await?);
    let standby = open(&desk.server.url("options[default_transaction_read_only]=on")).await?;
    assert_eq!(standby.records(&id("r1")).await?.len(), 1);
    let error = refusal(standby.take(&id("r1")).await);
    assert!(error.contains("is read-only") && error.contains("name the primary"), "{error}");
    Ok(())
}

#[tokio::test]
async fn reading_a_journal_that_is_not_there_makes_none() -> Outcome {
    let server = Postgres::start().await?;
    let place = Place::read(server.place().as_ref());
    assert!(place.open_existing().await?.is_none());
    assert_eq!(server.number("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'keyroll'").await?, 0);
    place.open().await?;
    assert!(place.open_existing().await?.is_some());
    Ok(())
}

/// A dropped lease is given back at once; one that is not renewed lapses, and then nothing more is written or begun on it.
#[tokio::test]
async fn a_lease_that_lapsed_is_lost_even_if_nobody_took_it() -> Outcome {
    let desk = Desk::<Postgres>::new().await?;
    let mut lease = begin(&*desk.journal, "r1", &["a"]).await?;
    let other = desk.again().await?;
    let Err(JournalError::Busy(_, by)) = other.take(&id("r1")).await else { panic!("not busy") };
    assert!(by.starts_with(&format!("process {} on host ", std::process::id())) && by.contains("lapses in 5 s"), "{by}");
    desk.server.forget().await?;
    assert!(matches!(desk.journal.asked(&lease).await, Err(JournalError::Lapsed(_))));
    assert!(matches!(desk.journal.collect(&lease).await, Err(JournalError::Lapsed(_))));
    assert!(matches!(step(&*desk.journal, &mut lease).await, Err(JournalError::Lapsed(_))));
    assert_eq!(desk.journal.records(&id("r1")).await?.len(), 1);
    let mut next = other.take(&id("r1")).await?;
    assert!(matches!(step(&*desk.journal, &mut lease).await, Err(JournalError::TakenOver(_))));
    assert!(matches!(desk.journal.collect(&lease).await, Err(JournalError::TakenOver(_))));
    step(&*other, &mut next).await?;
    // The loser's end gives nothing back that is not its own.
    drop(lease);
    desk.journal.close().await;
    assert!(matches!(desk.journal.take(&id("r1")).await, Err(JournalError::Busy(..))));
    drop(next);
    other.close().await;
    let mut last = desk.journal.take(&id("r1")).await?;
    close(&*desk.journal, &mut last).await?;
    assert_eq!(desk.server.drivers().await?, 0, "a rotation that is over has no driver");
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_keeps_a_lease_that_writes_nothing() -> Outcome {
    let server = Postgres::start().await?;
    let journal = open(&server.url("keyroll_lease=1")).await?;
    let mut lease = begin(&*journal, "r1", &["a"]).await?;
    let first = server.number("SELECT CAST(EXTRACT(EPOCH FROM until) * 1000 AS BIGINT) FROM lease").await?;
    let late = tokio::time::Instant::now() + Duration::from_secs(20);
    // Two whole leases further, by the server's clock.
    while server.number("SELECT CAST(EXTRACT(EPOCH FROM until) * 1000 AS BIGINT) FROM lease").await? < first + 2000 {
        assert!(tokio::time::Instant::now() < late, "nobody renews it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    step(&*journal, &mut lease).await?;
    Ok(())
}

#[tokio::test]
async fn the_time_is_the_servers() -> Outcome {
    let desk = Desk::<Postgres>::new().await?;
    let told = desk.journal.clock().await?.ok_or("it tells its time")?;
    assert!((Utc::now() - told).abs() < chrono::TimeDelta::seconds(5), "{told}");
    Ok(())
}

#[tokio::test]
async fn connections_that_were_cut_are_made_again() -> Outcome {
    let desk = Desk::<Postgres>::new().await?;
    let mut lease = begin(&*desk.journal, "r1", &["a"]).await?;
    for _ in 0..3 {
        desk.tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await?;
        step(&*desk.journal, &mut lease).await?;
    }
    assert_eq!(desk.journal.records(&id("r1")).await?.len(), 4);
    Ok(())
}

/// The answer to a commit is lost with its connection: what happened is read, never guessed.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_out() -> Outcome {
    let desk = Desk::<Postgres>::new().await?;
    for reaches in [true, false] {
        let cut = Arc::new(AtomicBool::new(false));
        let port = proxy(&desk.server.url(""), cut.clone(), reaches).await?;
        let real = desk.server.url("sslmode=disable");
        let (head, tail) = real.split_once('@').ok_or("no user")?;
        let path = tail.split_once('/').ok_or("no path")?.1;
        let journal = open(&format!("{head}@127.0.0.1:{port}/{path}")).await?;
        let name = format!("r{reaches}");
        let mut lease = begin(&*journal, &name, &[&name]).await?;
        cut.store(true, Ordering::SeqCst);
        let said = step(&*journal, &mut lease).await;
        let written = journal.records(&id(&name)).await?.len();
        match said {
            Ok(record) => assert_eq!((record.seq, lease.seq, written), (2, 2, 2)),
            Err(JournalError::Down(_)) => assert_eq!((lease.seq, written), (1, 1)),
            Err(other) => return Err(other.into()),
        }
        assert_eq!(written == 2, reaches, "the proxy lets the commit through, or not");
        assert!(!cut.load(Ordering::SeqCst), "it was cut");
        step(&*journal, &mut lease).await?;
    }
    Ok(())
}

/// Once `cut` is set, the next COMMIT reaches the server or does not, and its connection ends before the answer.
async fn proxy(url: &str, cut: Arc<AtomicBool>, reaches: bool) -> Result<u16, Broken> {
    let server = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).ok_or("no server")?.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { return };
            tokio::spawn(pass(client, server, cut.clone(), reaches));
        }
    });
    Ok(port)
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Arc<AtomicBool>, reaches: bool) -> std::io::Result<()> {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let text = &up[..read?];
                if text.is_empty() {
                    return Ok(());
                }
                if text.windows(7).any(|word| word == b"COMMIT\0") && cut.swap(false, Ordering::SeqCst) {
                    if reaches {
                        server.write_all(text).await?;
                        // The server's answer: it is durable. Nobody hears it.
                        let _heard = server.read(&mut down).await?;
                    }
                    return Ok(());
                }
                server.write_all(text).await?;
            }
            read = server.read(&mut down) => {
                let text = &down[..read?];
                if text.is_empty() {
                    return Ok(());
                }
                client.write_all(text).await?;
            }
        }
    }
}
