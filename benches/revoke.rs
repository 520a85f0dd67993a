//! A leak: how long from the start of the process until the provider has the order to revoke, beside a bare `curl` that gives
//! the same order. Printed, never judged: `cargo bench --bench revoke`.

#[path = "../tests/common/stage.rs"]
mod stage;

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use stage::Stage;

const ROUNDS: usize = 15;
/// What stands in the order to revoke, and in no other request.
const ORDER: &[u8] = b"secret-id-accessor/destroy";

/// When the order came; a proxy before the provider looks for it.
type Came = Arc<Mutex<Option<Instant>>>;

async fn proxy(to: SocketAddr, came: Came) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = listener.local_addr().expect("its number");
    tokio::spawn(async move {
        while let Ok((inner, _)) = listener.accept().await {
            let came = came.clone();
            tokio::spawn(async move {
                let Ok(outer) = TcpStream::connect(to).await else { return };
                let (mut from, mut back) = inner.into_split();
                let (mut answers, mut onward) = outer.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
                let mut bytes = vec![0; 16 * 1024];
                while let Ok(read @ 1..) = from.read(&mut bytes).await {
                    if bytes[..read].windows(ORDER.len()).any(|window| window == ORDER) {
                        came.lock().expect("not poisoned").get_or_insert_with(Instant::now);
                    }
                    if onward.write_all(&bytes[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    here
}

/// Runs it to its end; how long until the order came.
async fn timed(mut command: tokio::process::Command, came: &Came) -> Duration {
    *came.lock().expect("not poisoned") = None;
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.expect("it starts");
    let at = came.lock().expect("not poisoned").unwrap_or_else(|| panic!("the order never came ({status})"));
    at - start
}

fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads").block_on(bench());
}

async fn bench() {
    let stage = Stage::new().await;
    let came = Came::default();
    let to: SocketAddr = stage.address().trim_start_matches("http://").parse().expect("an address");
    let here = proxy(to, came.clone()).await;
    stage.edit(&format!("vault_approle: {{ address: \"{}\"", stage.address()), &format!("vault_approle: {{ address: \"http://{here}\""));
    let playbook = stage.playbook();
    let playbook = playbook.to_str().expect("UTF-8");
    let output = stage.keyroll(&["run", playbook, "--yes"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let url = format!("http://{here}/v1/auth/approle/role/app/secret-id-accessor/destroy");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed(stage.command(&["emergency", playbook, "--mode", "revoke-first", "--reason", "bench", "--yes"]), &came).await);
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["-s", "-X", "POST", "-H", &format!("X-Vault-Token: {}", stage.token())]);
        curl.args(["-d", r#"{"secret_id_accessor":"00000000-0000-0000-0000-000000000000"}"#, &url]);
        bare.push(timed(curl, &came).await);
    }
    let (ours, bare) = (middle(ours), middle(bare));
    println!("revoke-first, from the start of the process to the provider's receipt of the order, median of {ROUNDS}:");
    println!("  keyroll emergency {ours:6.1} ms   bare curl {bare:6.1} ms   ratio {:.2}", ours / bare);
}
