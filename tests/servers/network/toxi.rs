//! toxiproxy by its own API: a proxy in front of a server, and what it does to the connections.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU16, Ordering},
};

use serde_json::{Value, json};

use crate::{name, server};

/// One toxiproxy's proxy; gone when it is dropped is not needed: the server ends with the run.
#[derive(Clone)]
pub struct Proxy {
    api: String,
    http: reqwest::Client,
    pub address: SocketAddr,
}

/// Ports that no connection is given for its own end: while a proxy is down its port is free, and it must be there when it comes up again.
static NEXT: AtomicU16 = AtomicU16::new(12_000);

impl Proxy {
    /// In front of this address. Its connections can be reset from their beginning: toxiproxy sets that (`SO_LINGER` 0) where a
    /// connection is made while a `reset_peer` stands, even one that strikes none.
    pub async fn before(upstream: &str, resets: bool) -> Self {
        let (api, http) = (server("KEYROLL_TEST_TOXIPROXY"), reqwest::Client::new());
        let name = name("proxy");
        let address = loop {
            let port = NEXT.fetch_add(1, Ordering::Relaxed);
            assert!(port < 30_000, "a port that is free");
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let body = json!({ "name": name, "listen": address.to_string(), "upstream": upstream, "enabled": true });
            let made = http.post(format!("{api}/proxies")).json(&body).send().await.expect("toxiproxy answers");
            if made.status().is_success() {
                break address;
            }
        };
        let proxy = Self { api: format!("{api}/proxies/{name}"), http, address };
        if resets {
            proxy.add("lingers", "reset_peer", "downstream", 0.0, json!({ "timeout": 0 })).await;
        }
        proxy
    }

    async fn add(&self, name: &str, kind: &str, stream: &str, toxicity: f32, attributes: Value) {
        let body = json!({ "name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes });
        let added = self.http.post(format!("{}/toxics", self.api)).json(&body).send().await.expect("toxiproxy answers");
        assert!(added.status().is_success(), "{kind}: {}", added.status());
    }

    /// From now on, on connections that stand too.
    pub async fn strike(&self, toxic: Toxic) {
        for (place, (kind, stream, attributes)) in toxic.parts().into_iter().enumerate() {
            self.add(&format!("struck-{place}"), kind, stream, 1.0, attributes).await;
        }
        if toxic == Toxic::Down {
            self.enable(false).await;
        }
    }

    /// The network is well again.
    pub async fn heal(&self, toxic: Toxic) {
        for place in 0..toxic.parts().len() {
            // One that was taken away already is as good.
            let gone = self.http.delete(format!("{}/toxics/struck-{place}", self.api)).send().await.expect("toxiproxy answers");
            assert!(gone.status().is_success() || gone.status() == 404, "{}", gone.status());
        }
        if toxic == Toxic::Down {
            self.enable(true).await;
        }
    }

    async fn enable(&self, enabled: bool) {
        let done = self.http.post(&self.api).json(&json!({ "enabled": enabled })).send().await.expect("toxiproxy answers");
        assert!(done.status().is_success(), "{}", done.status());
    }
}

/// What a network does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toxic {
    /// Answers late, each by another time.
    Late,
    /// A kilobyte a second.
    Slow,
    /// Everything in pieces of a few bytes.
    Sliced,
    /// Replies at a few bytes a second.
    Trickle,
    /// Every connection ends after so many bytes of replies: in its TLS handshake, or in the middle of an answer.
    Cuts(u32),
    /// A reply ends in its middle.
    Cut,
    /// A reply is reset in its middle.
    Reset,
    /// A request ends in its middle: it never arrived.
    Torn,
    /// Half-open: requests arrive, replies do not, and nothing is closed.
    Silent,
    /// Half-open: requests are swallowed, and nothing is closed.
    Deaf,
    /// Connections are refused, and those that stand are closed.
    Down,
}

impl Toxic {
    /// Whether nothing comes through, not even the end of a connection.
    pub fn swallows(self) -> bool {
        matches!(self, Self::Silent | Self::Deaf)
    }

    fn parts(self) -> Vec<(&'static str, &'static str, Value)> {
        let slice = json!({ "average_size": 24, "size_variation": 12, "delay": 1000 });
        match self {
            Self::Late => vec![("latency", "downstream", json!({ "latency": 250, "jitter": 200 }))],
            Self::Slow => vec![("bandwidth", "downstream", json!({ "rate": 1 })), ("bandwidth", "upstream", json!({ "rate": 1 }))],
            Self::Sliced => vec![("slicer", "downstream", slice.clone()), ("slicer", "upstream", slice)],
            Self::Trickle => {
                vec![("slicer", "downstream", json!({ "average_size": 2, "size_variation": 1, "delay": 500_000 }))]
            }
            Self::Cut | Self::Reset => vec![("limit_data", "downstream", json!({ "bytes": 40 }))],
            Self::Cuts(bytes) => vec![("limit_data", "downstream", json!({ "bytes": bytes }))],
            Self::Torn => vec![("limit_data", "upstream", json!({ "bytes": 40 }))],
            Self::Silent => vec![("timeout", "downstream", json!({ "timeout": 0 }))],
            Self::Deaf => vec![("timeout", "upstream", json!({ "timeout": 0 }))],
            Self::Down => vec![],
        }
    }
}
