//! A whole rotation of an IAM key into Vault, waits set to 0, against a script that makes the bare calls (boto3 and hvac).
//!
//! Needs real servers: KEYROLL_TEST_VAULT (the line that it prints, as for the tests), KEYROLL_TEST_MOTO, and KEYROLL_TEST_PYTHON with
//! tests/servers/moto/requirements.txt. It switches moto's authentication on: without it a deleted key still works.
//! `cargo bench --bench rotation`

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const KEYROLL: &str = env!("CARGO_BIN_EXE_keyroll");
const PAIRS: usize = 5;

/// The servers, and what both ways reach them with.
struct Servers {
    python: String,
    /// Address and root token.
    vault: (String, String),
    moto: String,
    /// An administrator's access key.
    admin: (String, String),
}

fn main() {
    let Ok(python) = std::env::var("KEYROLL_TEST_PYTHON") else {
        println!("rotation: no servers here (KEYROLL_TEST_PYTHON is not set); nothing was measured");
        return;
    };
    let servers = Servers::new(python);
    let folder = std::env::temp_dir().join(format!("keyroll-bench-rotation-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let port = service(servers.vault.clone());
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let name = format!("bench-{}-{pair}", std::process::id());
        servers.python("seed.py", &name);
        bare.push(servers.python("bare.py", &name));
        let name = format!("{name}-k");
        servers.python("seed.py", &name);
        let book = folder.join("bench.yaml");
        fs::write(&book, servers.playbook(&name, port)).unwrap();
        let mut keyroll = Command::new(KEYROLL);
        keyroll.args(["run", "--quiet", "--journal"]).arg(folder.join("journal.db")).arg(&book);
        ours.push(servers.run(&mut keyroll));
    }
    fs::remove_dir_all(&folder).unwrap();
    let (ours, bare) = (median(ours), median(bare));
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!("IAM key into Vault: keyroll {ours:.2?}, bare calls in Python {bare:.2?}, ratio {ratio:.2} (goal 0.50)");
}

impl Servers {
    fn new(python: String) -> Self {
        let told =
            |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start the server and set it (see .ci/run)"));
        let line: serde_json::Value = serde_json::from_str(&told("KEYROLL_TEST_VAULT")).unwrap();
        let part = |name: &str| line[name].as_str().unwrap().to_owned();
        let made = Command::new(&python).arg(script("admin.py")).stderr(Stdio::inherit()).output().unwrap();
        assert!(made.status.success(), "no administrator");
        let made = String::from_utf8(made.stdout).unwrap();
        let (id, secret) = made.trim().split_once(' ').unwrap();
        Self {
            python,
            vault: (part("address"), part("root_token")),
            moto: told("KEYROLL_TEST_MOTO"),
            admin: (id.to_owned(), secret.to_owned()),
        }
    }

    /// How long one of the scripts takes for this user.
    fn python(&self, name: &str, user: &str) -> Duration {
        self.run(Command::new(&self.python).args([&script(name), user, &format!("bench/{user}")]))
    }

    fn run(&self, command: &mut Command) -> Duration {
        let env = [
            ("AWS_ACCESS_KEY_ID", &self.admin.0),
            ("AWS_SECRET_ACCESS_KEY", &self.admin.1),
            ("KEYROLL_TEST_MOTO", &self.moto),
            ("KEYROLL_TEST_VAULT", &self.vault.0),
            ("KEYROLL_TEST_VAULT_TOKEN", &self.vault.1),
        ];
        let began = Instant::now();
        let status = command.envs(env).env("AWS_REGION", "us-east-1").stdout(Stdio::null()).status().unwrap();
        let took = began.elapsed();
        assert!(status.success(), "a run failed: {status}");
        took
    }

    fn playbook(&self, name: &str, port: u16) -> String {
        let (vault, moto) = (&self.vault.0, &self.moto);
        format!(
            "keyroll: 1
name: {name}
provider:
  aws_iam: {{ user: {name}, region: us-east-1, endpoint: \"{moto}\" }}
probe: {{ times: 1 }}
stores:
  - vault_kv2: {{ address: \"{vault}\", auth: {{ token: env:KEYROLL_TEST_VAULT_TOKEN }}, mount: secret, path: bench/{name} }}
    write: {{ secret_access_key: secret, access_key_id: id }}
    stale_for: 0s
consumers:
  - name: service
    instances: {{ fixed: [\"127.0.0.1:{port}\"] }}
    expect: 1
    health: {{ path: /{name}, version: {{ json: /version }} }}
    max_request: 0s
verify: {{ within: 10s, stable_for: 0s, every: 50ms }}
revoke: {{ grace: 0s, disable_for: 0s, watch: 0s, dead_within: 0s }}
"
        )
    }
}

/// A service that reports the store's version it was last told: whatever is current.
fn service(vault: (String, String)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &vault);
        }
    });
    port
}

fn answer(mut stream: TcpStream, (vault, token): &(String, String)) {
    let mut request = [0; 4096];
    let read = stream.read(&mut request).unwrap_or(0);
    let text = String::from_utf8_lossy(&request[..read]);
    let path = text.split_whitespace().nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let host = vault.trim_start_matches("http://");
    let mut upstream = TcpStream::connect(host).unwrap();
    write!(upstream, "GET /v1/secret/data/bench/{path} HTTP/1.0\r\nHost: {host}\r\nX-Vault-Token: {token}\r\n\r\n").unwrap();
    let mut body = String::new();
    upstream.read_to_string(&mut body).unwrap();
    let version =
        body.split("\"version\":").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>()).unwrap_or_default();
    let body = format!("{{\"version\":{}}}", if version.is_empty() { "0" } else { &version });
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(name).to_str().unwrap().to_owned()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
