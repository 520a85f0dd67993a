//! Where messages arrive: a hook, a mail server and a program, each of which can take, refuse or say nothing.
#![allow(dead_code)]

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What a receiver does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Takes,
    Refuses,
    Redirects,
    IsSilent,
}

/// One message as it came.
#[derive(Clone)]
pub struct Letter {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// What arrived so far.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<Vec<Letter>>>);

impl Inbox {
    pub fn letters(&self) -> Vec<Letter> {
        self.0.lock().unwrap().clone()
    }
    fn put(&self, letter: Letter) {
        self.0.lock().unwrap().push(letter);
    }
}

/// Said by every receiver that refuses: it must not come back in an error.
pub const GOSSIP: &str = "gossip-of-the-receiver";

/// A hook at `http://ADDRESS/…`.
pub async fn hook(manner: Manner) -> (String, Inbox) {
    let inbox = Inbox::default();
    let app = axum::Router::new().fallback(post).with_state((manner, inbox.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, inbox)
}

async fn post(State((manner, inbox)): State<(Manner, Inbox)>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    inbox.put(Letter { path: uri.path().to_owned(), headers, body: String::from_utf8(body.to_vec()).unwrap() });
    match manner {
        Manner::Takes => "ok".into_response(),
        Manner::Refuses => (StatusCode::NOT_FOUND, GOSSIP).into_response(),
        Manner::Redirects => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")], GOSSIP).into_response(),
        Manner::IsSilent => std::future::pending().await,
    }
}

/// A mail server that offers no STARTTLS. Each letter's body is all that the client said, line by line.
pub async fn mail(manner: Manner) -> (u16, Inbox) {
    let inbox = Inbox::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let kept = inbox.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let inbox = kept.clone();
            tokio::spawn(async move {
                let said = Arc::new(Mutex::new(String::new()));
                let _ = talk(stream, manner, &said).await;
                let body = said.lock().unwrap().clone();
                inbox.put(Letter { path: String::new(), headers: HeaderMap::new(), body });
            });
        }
    });
    (port, inbox)
}

async fn talk(stream: TcpStream, manner: Manner, said: &Mutex<String>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    if manner == Manner::IsSilent {
        return std::future::pending().await;
    }
    write.write_all(b"220 inbox\r\n").await?;
    let mut data = false;
    while let Some(line) = lines.next_line().await? {
        *said.lock().unwrap() += &format!("{line}\n");
        if data && line != "." {
            continue;
        }
        let verb = line.get(..4).unwrap_or(".").to_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-inbox\r\n250 AUTH PLAIN\r\n".to_owned(),
            "AUTH" => "235 welcome\r\n".to_owned(),
            "DATA" => {
                data = true;
                "354 go on\r\n".to_owned()
            }
            "RCPT" if manner == Manner::Refuses => format!("550 {GOSSIP}\r\n"),
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => {
                data = false;
                "250 ok\r\n".to_owned()
            }
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// A program that writes its input and its variables beside itself.
pub fn program(folder: &Path, manner: Manner) -> String {
    let path = folder.join("told");
    let end = match manner {
        Manner::Takes => "",
        Manner::Refuses | Manner::Redirects => "exit 3",
        Manner::IsSilent => "sleep 600",
    };
    let script = format!("#!/bin/sh\ncat > {path}.in\nenv > {path}.env\necho {GOSSIP}\n{end}\n", path = path.display());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A secret in a file, as a reference.
pub fn secret(folder: &Path, name: &str, value: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, value).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!("file:{}", path.display())
}
