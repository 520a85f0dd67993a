//! What stands between keyroll and a store, and can be taken away.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub struct Gateway {
    here: SocketAddr,
    there: SocketAddr,
    work: Arc<Mutex<JoinSet<()>>>,
}

impl Gateway {
    pub async fn to(address: &str) -> Self {
        let there = address.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Self { here: listener.local_addr().unwrap(), there, work: Arc::default() };
        gateway.serve(listener);
        gateway
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.here)
    }

    fn serve(&self, listener: TcpListener) {
        let there = self.there;
        self.work.lock().unwrap().spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut inner, _)) = listener.accept().await {
                open.spawn(async move {
                    if let Ok(mut outer) = TcpStream::connect(there).await {
                        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
        });
    }

    /// Nobody listens any more, and what was open is cut.
    pub async fn down(&self) {
        let mut work = std::mem::take(&mut *self.work.lock().unwrap());
        work.shutdown().await;
    }

    pub async fn up(&self) {
        self.serve(TcpListener::bind(self.here).await.unwrap());
    }
}
