//! A relay that reads requests and passes replies on as they come: it holds one request until the network before the server is as
//! ill as the test wants it, so that every toxic strikes exactly the effect that it is meant for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};

use super::toxi::{Proxy, Toxic};

/// A request that came whole.
pub struct Request {
    /// `POST`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// AWS's name of it, where it has one.
    pub action: String,
    pub body: String,
}

impl Request {
    /// Whether it changes anything at the provider or in a store.
    pub fn is_effect(&self) -> bool {
        let reads = ["Get", "List", "Describe", "Simulate", "Batch"];
        let asks = ["/lookup", "/login", "/sys/capabilities"];
        if self.action.is_empty() {
            !matches!(self.method.as_str(), "GET" | "LIST") && !asks.iter().any(|path| self.path.contains(path))
        } else {
            !reads.iter().any(|verb| self.action.starts_with(verb))
        }
    }
}

/// What is struck, and by what.
pub struct Strike {
    /// The request that begins it.
    pub at: fn(&Request) -> bool,
    /// How many of these pass before.
    pub skip: usize,
    /// The connections that suffer: those to the server behind the tap, or others.
    pub on: Proxy,
    pub toxic: Toxic,
    /// Until somebody heals it; else until the struck connection has ended.
    pub lasting: bool,
}

/// A process gets a signal when its `at`-th request of a kind is asked, or when it is answered: exactly between two effects, or between an effect
/// and the record of it.
pub struct Blow {
    /// Which requests are counted.
    pub which: fn(&Request) -> bool,
    /// The first one is 1.
    pub at: usize,
    /// The server has done what was asked.
    pub answered: bool,
    pub signal: Signal,
    /// Whom; told once the process runs.
    pub whom: watch::Receiver<Option<Pid>>,
    /// Told when it has got it.
    pub fell: Arc<Notify>,
}

/// One tap.
#[derive(Clone)]
pub struct Tap {
    pub address: SocketAddr,
    upstream: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    strike: Option<Arc<Strike>>,
    blow: Option<Arc<Blow>>,
    asked: usize,
    passed: usize,
    struck: usize,
    creates: usize,
}

impl Tap {
    /// In front of this proxy; `creates` tells a create.
    pub async fn before(upstream: SocketAddr, creates: fn(&Request) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let tap = Self { address, upstream, state: Arc::default() };
        let serving = tap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let tap = serving.clone();
                tokio::spawn(async move { tap.serve(client, creates).await });
            }
        });
        tap
    }

    pub fn arm(&self, strike: Strike) {
        self.state.lock().expect("no panic").strike = Some(Arc::new(strike));
    }

    /// From now on requests are counted, until this one.
    pub fn aim(&self, blow: Blow) {
        let mut state = self.state.lock().expect("no panic");
        (state.blow, state.asked) = (Some(Arc::new(blow)), 0);
    }

    /// The blow, the first time that its request comes.
    fn falls(&self, request: &Request) -> Option<Arc<Blow>> {
        let mut state = self.state.lock().expect("no panic");
        let at = state.blow.as_ref().filter(|blow| (blow.which)(request))?.at;
        state.asked += 1;
        if at == state.asked { state.blow.take() } else { None }
    }

    /// How many requests were struck, and how many creates were seen.
    pub fn seen(&self) -> (usize, usize) {
        let state = self.state.lock().expect("no panic");
        (state.struck, state.creates)
    }

    /// The strike, the first time that its request comes.
    fn strikes(&self, request: &Request, creates: fn(&Request) -> bool) -> Option<Arc<Strike>> {
        let mut state = self.state.lock().expect("no panic");
        state.creates += usize::from(creates(request));
        let begins = state.strike.as_ref().filter(|strike| (strike.at)(request))?.clone();
        state.passed += 1;
        if state.passed <= begins.skip {
            return None;
        }
        state.struck += 1;
        state.strike.take()
    }

    async fn serve(&self, mut client: TcpStream, creates: fn(&Request) -> bool) {
        let mut struck = None;
        let reset = self.relay(&mut client, creates, &mut struck).await.is_err();
        if reset {
            // What was reset behind us is reset before us.
            let _ = client.set_zero_linger();
        }
        drop(client);
        if let Some(strike) = struck.filter(|strike: &Arc<Strike>| !strike.lasting) {
            strike.on.heal(strike.toxic).await;
        }
    }

    /// Until one side closes its connection.
    async fn relay(&self, client: &mut TcpStream, creates: fn(&Request) -> bool, struck: &mut Option<Arc<Strike>>) -> std::io::Result<()> {
        let mut server = TcpStream::connect(self.upstream).await?;
        let (mut up, mut down) = (Vec::new(), vec![0; 1 << 14]);
        let mut awaited: Option<Arc<Blow>> = None;
        loop {
            tokio::select! {
                read = client.read_buf(&mut up) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    while let Some((request, length)) = parse(&up) {
                        if let Some(strike) = self.strikes(&request, creates) {
                            strike.on.strike(strike.toxic).await;
                            *struck = Some(strike);
                            // toxiproxy resets only connections that were made after it was told to.
                            server = TcpStream::connect(self.upstream).await?;
                        }
                        match self.falls(&request) {
                            Some(blow) if blow.answered => awaited = Some(blow),
                            Some(blow) => blow.fall().await?,
                            None => {}
                        }
                        server.write_all(&up[..length]).await?;
                        up.drain(..length);
                    }
                }
                read = server.read(&mut down) => {
                    let read = read?;
                    if read == 0 && struck.as_ref().is_some_and(|strike| strike.toxic.swallows()) {
                        // A network that loses everything loses the end of a connection too.
                        while client.read(&mut down).await? > 0 {}
                    }
                    if read == 0 {
                        return Ok(());
                    }
                    if let Some(blow) = awaited.take() {
                        blow.fall().await?;
                    }
                    client.write_all(&down[..read]).await?;
                }
            }
        }
    }
}

impl Blow {
    /// A killed process's request goes nowhere, and neither does the answer to it; a stopped one's is on its way once the process stands still.
    async fn fall(&self) -> std::io::Result<()> {
        let mut whom = self.whom.clone();
        let pid = whom.wait_for(Option::is_some).await.ok().and_then(|pid| *pid).expect("it runs");
        kill_process(pid, self.signal)?;
        if self.signal == Signal::STOP {
            // On a busy machine its threads may run on for milliseconds, and would come to other requests than this one.
            let still = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            tokio::task::spawn_blocking(move || waitid(WaitId::Pid(pid), still)).await??;
        }
        self.fell.notify_one();
        if self.signal == Signal::KILL { Err(std::io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// The first request, if it is whole, and its length.
fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let length = end + header("content-length").and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
    let body = String::from_utf8_lossy(bytes.get(end..length)?).into_owned();
    let mut words = head.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let form = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "Action").map(|(_, value)| value.into_owned());
    let action = header("x-amz-target").and_then(|target| target.rsplit('.').next()).map(str::to_owned).or(form).unwrap_or_default();
    Some((Request { method, path, action, body }, length))
}
