//! What can go wrong on the way to a server and back, on demand.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// How one request goes wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// This status, and nothing was done.
    Status {
        /// The status.
        code: u16,
        /// The `Retry-After` header: seconds or a date.
        retry_after: Option<String>,
    },
    /// This status, though the work was done.
    StatusAfter(u16),
    /// The connection ends without an answer, and nothing was done.
    DropBefore,
    /// The connection ends without an answer, though the work was done.
    DropAfter,
    /// The work is done, and no answer ever comes.
    Hang,
    /// 200 with a web page, as a balancer would answer; nothing was done.
    Html,
    /// The work is done, and the answer's body breaks off in the middle.
    CutBody,
    /// 307 to this address; nothing was done.
    Redirect(String),
}

/// A fault that waits for its request.
pub(super) struct Rule {
    method: String,
    path: String,
    /// How many more fitting requests, this one included.
    left: usize,
    fault: Fault,
}

impl Rule {
    pub(super) fn new(method: &str, path: &str, nth: usize, fault: Fault) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), left: nth.max(1), fault }
    }
}

/// The fault of this request, if its turn has come; used up then.
pub(super) fn take(rules: &mut Vec<Rule>, method: &str, path: &str) -> Option<Fault> {
    let mut due = None;
    for (place, rule) in rules.iter_mut().enumerate() {
        if rule.method == method && fits(&rule.path, path) {
            rule.left = rule.left.saturating_sub(1);
            if rule.left == 0 && due.is_none() {
                due = Some(place);
            }
        }
    }
    due.map(|place| rules.remove(place).fault)
}

/// Whether a path fits a pattern in which `*` stands for one segment.
pub fn fits(pattern: &str, path: &str) -> bool {
    let (mut want, mut have) = (pattern.split('/'), path.split('/'));
    loop {
        match (want.next(), have.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) if want == "*" || want == have => {}
            _ => return false,
        }
    }
}

/// Ends a connection: nothing more is written to it.
#[derive(Clone)]
pub(super) struct Cut(Arc<AtomicBool>);

impl Cut {
    pub(super) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A listener whose connections can be cut.
pub(super) struct Door(pub(super) TcpListener);

/// A connection that can be cut.
pub(super) struct Line {
    stream: TcpStream,
    cut: Cut,
}

impl Listener for Door {
    type Io = Line;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Line, Self::Addr) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        (Line { stream, cut: Cut(Arc::default()) }, from)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().cut.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.0.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
