//! A gateway in front of moto, one request a connection: it counts, loses replies, acts in between, and refuses what AWS refuses.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What happens to the next request of an action.
pub enum Trick {
    /// It is done, and its reply lost.
    LoseReply,
    /// This comes first: it was sent just before, by somebody else.
    After(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// It is not done, and answered with this status and body.
    Answer(u16, String),
}

#[derive(Default)]
struct Inner {
    counts: HashMap<String, usize>,
    tricks: HashMap<String, Trick>,
    inactive: HashSet<String>,
}

#[derive(Clone)]
pub struct Gateway {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Gateway {
    pub async fn new(moto: &str) -> Self {
        let to = moto.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let gateway = Self { url, inner: Arc::default() };
        let serving = gateway.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (gateway, to) = (serving.clone(), to.clone());
                tokio::spawn(async move { gateway.serve(client, &to).await });
            }
        });
        gateway
    }

    pub fn count(&self, action: &str) -> usize {
        self.inner.lock().expect("no panic").counts.get(action).copied().unwrap_or_default()
    }

    pub fn next(&self, action: &str, trick: Trick) {
        self.inner.lock().expect("no panic").tricks.insert(action.into(), trick);
    }

    async fn serve(&self, mut client: TcpStream, to: &str) -> Option<()> {
        let (head, body) = request(&mut client).await?;
        let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
        let target = header(&head, "x-amz-target").and_then(|target| target.split('.').next_back());
        let action = target.or(form.get("Action").map(String::as_str))?.to_owned();
        let signer =
            header(&head, "authorization").and_then(|text| text.split("Credential=").nth(1)?.split('/').next()).unwrap_or_default();
        let (trick, off) = {
            let mut inner = self.inner.lock().expect("no panic");
            *inner.counts.entry(action.clone()).or_default() += 1;
            if let (Some(key), Some(status)) = (form.get("AccessKeyId"), form.get("Status")) {
                let _ = if status == "Inactive" { inner.inactive.insert(key.clone()) } else { inner.inactive.remove(key) };
            }
            (inner.tricks.remove(&action), inner.inactive.contains(signer))
        };
        if off {
            let xml = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>switched off</Message></Error></ErrorResponse>";
            return answer(&mut client, 403, xml).await;
        }
        let lost = matches!(trick, Some(Trick::LoseReply));
        match trick {
            Some(Trick::Answer(status, body)) => return answer(&mut client, status, &body).await,
            Some(Trick::After(first)) => first.await,
            _ => {}
        }
        let mut server = TcpStream::connect(to).await.ok()?;
        let (first, rest) = head.split_once("\r\n")?;
        server.write_all(format!("{first}\r\nconnection: close\r\n{rest}").as_bytes()).await.ok()?;
        server.write_all(&body).await.ok()?;
        let mut reply = Vec::new();
        server.read_to_end(&mut reply).await.ok()?;
        if !lost {
            client.write_all(&reply).await.ok()?;
        }
        client.shutdown().await.ok()
    }
}

async fn answer(client: &mut TcpStream, status: u16, body: &str) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} -\r\nconnection: close\r\nretry-after: 7\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all((head + body).as_bytes()).await.ok()?;
    client.shutdown().await.ok()
}

async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end + 4].to_vec()).ok()?;
            let length: usize = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
            if bytes.len() >= end + 4 + length {
                return Some((head, bytes[end + 4..end + 4 + length].to_vec()));
            }
        }
        let read = client.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
