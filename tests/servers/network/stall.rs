//! A PostgreSQL that stops answering in the middle of a conversation that is not yet a rotation's: opening the journal.

use std::time::{Duration, Instant};

use keyroll::{journal::Place, ports::JournalError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::scene::database;

/// Ten seconds for a connection, twenty-five for a call, and some for a busy machine.
const DEADLINE: Duration = Duration::from_secs(50);

/// Stops at each of these words of keyroll's.
pub async fn opening_never_hangs() {
    futures_util::future::join_all(["pg_catalog.pg_tables", "CREATE TABLE meta", "SELECT journal, salt"].map(|word| async move {
        let postgres = database().await;
        let mut url: url::Url = postgres.url("sslmode=disable").parse().expect("a URL");
        let server = format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(5432));
        url.set_port(Some(deaf_from(word, server).await)).expect("a port");
        let began = Instant::now();
        let opened = tokio::time::timeout(DEADLINE, Place::read(url.as_str().as_ref()).open()).await;
        let refused = opened.unwrap_or_else(|_| panic!("opening hangs at `{word}`")).err().expect("no answer came");
        assert!(matches!(&refused, JournalError::Down(what) if what.contains("no answer within")), "{word}: {refused}");
        println!("the journal stalls at `{word}`: given up after {:.0} s", began.elapsed().as_secs_f32());
    }))
    .await;
}

/// A relay that passes everything on until the client says this word, and nothing from then on.
async fn deaf_from(word: &'static str, server: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { return };
            tokio::spawn(pass(client, server, word));
        }
    });
    port
}

async fn pass(mut client: TcpStream, mut server: TcpStream, word: &str) -> std::io::Result<()> {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let text = &up[..read?];
                if text.is_empty() {
                    return Ok(());
                }
                if text.windows(word.len()).any(|part| part == word.as_bytes()) {
                    std::future::pending::<()>().await;
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
