//! How services are found, asked and rolled out, against small servers on loopback.

mod discovery;
mod fleet;
mod health;
mod rollout;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::Router;
use keyroll::{
    adapters::{Ctx, registry::Registry, wire::Wire},
    ids::InstanceId,
    playbook::{Block, Fault, SecretRef, Seg, Source},
    ports::{Discovery, Failure, Got, Instance, Rollout, Secrets},
    protocol::Refusal,
    secret::Secret,
};
use tokio::net::TcpListener;

/// Secrets by reference.
struct Known(BTreeMap<String, String>);

#[async_trait]
impl Secrets for Known {
    async fn read(&self, reference: &SecretRef) -> Got<Secret> {
        let found = self.0.get(&reference.to_string());
        found.map(Secret::new).ok_or_else(|| Failure::refused(Refusal::Gone, None, format!("{reference} is not set")))
    }
}

/// What adapters are given; `env:AUTH` is the only secret there is.
fn ctx() -> Ctx {
    let known = BTreeMap::from([("env:AUTH".to_owned(), "Bearer s3cret".to_owned())]);
    Ctx { secrets: Arc::new(Known(known)), wire: Wire::new().expect("TLS") }
}

fn block(yaml: &str) -> Block {
    let kind = yaml.split(':').next().expect("a kind").to_owned();
    let source = Arc::new(Source { name: "test.yaml".into(), text: yaml.into() });
    Block { path: vec![Seg::Key(kind.clone())], kind, source }
}

fn discovery(yaml: &str) -> Result<Arc<dyn Discovery>, Fault> {
    let block = block(yaml);
    let kinds = Registry::builtin().discoveries;
    (kinds.iter().find(|kind| kind.name == block.kind).expect("a known kind").build)(&block, &ctx())
}

fn rollout(yaml: &str) -> Result<Arc<dyn Rollout>, Fault> {
    let block = block(yaml);
    let kinds = Registry::builtin().rollouts;
    (kinds.iter().find(|kind| kind.name == block.kind).expect("a known kind").build)(&block, &ctx())
}

/// Serves until the test ends.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn instance(host: &str, address: SocketAddr) -> Instance {
    Instance { id: InstanceId::new(address.to_string()), host: host.into(), address, started: None, leaving: false }
}
