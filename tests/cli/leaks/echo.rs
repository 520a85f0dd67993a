//! Servers that say back everything they were told, in every status and two languages: nothing of it is passed on.

use std::{
    os::unix::fs::PermissionsExt,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::Search;

const ADMIN: &str = "sk-admin-canary/+~ab&<%>";
const VAULT: &str = "hvs.canary/+~cd&<%>";
const AWS: &str = "aws-secret-canary/+ef";
const OLD: &str = "sk-old-canary/+~gh&<%>";
const DATABASE: &str = "pg-canary/+&<%>ij";

/// What the server answers with, and how often it did.
#[derive(Default)]
struct Echo {
    status: AtomicU16,
    asked: AtomicU32,
}

async fn echo(State(echo): State<Arc<Echo>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    echo.asked.fetch_add(1, Ordering::Relaxed);
    let status = StatusCode::from_u16(echo.status.load(Ordering::Relaxed)).unwrap();
    let all = format!("{uri} {headers:?} {}", String::from_utf8_lossy(&body));
    let known: Vec<_> = headers.values().filter_map(|value| value.to_str().ok()).collect();
    let words = format!("{all} {}", known.join(" "));
    let json = echo.asked.load(Ordering::Relaxed) % 2 == 0;
    let extra = [("location", "/elsewhere"), ("retry-after", "0")];
    if json {
        let text = serde_json::json!({
            "errors": [words], "error": { "code": words, "message": words }, "data": { "keys": [words] }, "__type": words, "message": words,
        });
        return (status, extra, axum::Json(text)).into_response();
    }
    (status, extra, [("content-type", "text/html")], format!("<html><body><h1>{status}</h1><pre>{words}</pre></body></html>"))
        .into_response()
}

fn playbooks(at: &str, file: &str) -> [(&'static str, String); 4] {
    let vault = format!("vault_kv2: {{ address: \"{at}\", auth: {{ token: env:VAULT }}, mount: secret, path: a }}");
    let keys = "region: us-east-1, credentials: { access_key_id: env:ID, secret_access_key: env:AWS }";
    let relay = format!(
        "http: {{ base_url: \"{at}\", headers: {{ Authorization: {{ bearer: env:ADMIN }}, X-Key: {{ ref: env:ADMIN }} }}, \
         list: {{ path: /keys, items: /data, id: /id, name: /name, sha256: /sha256 }}, create: {{ path: /keys, body: {{ name: \"{{name}}\" }}, id: /id, secret: /key }}, \
         delete: {{ path: \"/keys/{{id}}\" }}, probe: {{ path: /models }} }}"
    );
    [
        ("openai", format!("openai: {{ project: p, admin_key: env:ADMIN, base_url: \"{at}\" }}"), vault.clone()),
        ("vault", format!("vault_approle: {{ address: \"{at}\", auth: {{ token: env:VAULT }}, role: r }}"), vault),
        ("aws", format!("aws_iam: {{ user: u, endpoint: \"{at}\", {keys} }}"), format!("aws_secretsmanager: {{ secret_id: s, endpoint: \"{at}\", {keys} }}")),
        ("relay", relay, format!("file: {{ path: \"{file}\", format: raw }}")),
    ]
    .map(|(name, provider, store)| {
        let field = if name == "relay" { "value: secret" } else { "value: secret, id: id" };
        let text = format!(
            "keyroll: 1\nname: {name}\nprovider:\n  {provider}\nstores:\n  - {store}\n    write: {{ {field} }}\n    stale_for: 0s\n\
             consumers:\n  - name: app\n    instances: {{ fixed: [\"{}\"] }}\n    health: {{ path: /healthz, version: {{ json: /error/code }} }}\n\
             \x20   rollout: {{ http: {{ url: \"{at}/roll\", headers: {{ Authorization: env:ADMIN }} }} }}\n",
            at.trim_start_matches("http://"),
        );
        (name, text)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_everything_back_is_not_quoted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::new(Echo::default());
    let app = Router::new().fallback(echo).with_state(shared.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("kept/key");
    std::fs::create_dir(folder.path().join("kept")).unwrap();
    std::fs::write(&key, OLD).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let books = playbooks(&at, key.to_str().unwrap());
    let mut search = Search::new(&[("the admin key", ADMIN), ("the Vault token", VAULT), ("AWS's secret", AWS), ("the old key", OLD)]);
    for (name, text) in &books {
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    }
    for status in [200, 302, 400, 401, 403, 404, 409, 429, 500, 503] {
        shared.status.store(status, Ordering::Relaxed);
        let runs = books.iter().flat_map(|(name, _)| [(*name, "run"), (*name, "doctor"), (*name, "reconcile"), (*name, "emergency")]);
        let outputs = futures_util::stream::iter(runs).map(|(name, verb)| {
            let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
            command.arg(verb).arg(folder.path().join(format!("{name}.yaml"))).args(["--log", "trace", "--patience", "0s"]);
            if verb == "emergency" {
                command.args(["--reason", "leaked", "--yes", "--store-down", "revoke"]);
            }
            let journal = folder.path().join(format!("{name}-{verb}-{status}.db"));
            command.env("KEYROLL_JOURNAL", journal).env("XDG_STATE_HOME", folder.path()).env("TMPDIR", folder.path());
            command.envs([("ADMIN", ADMIN), ("VAULT", VAULT), ("ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS", AWS)]).stdin(Stdio::null());
            async move { (format!("{verb} {name} {status}"), command.output().await.unwrap()) }
        });
        for (what, output) in outputs.buffer_unordered(4).collect::<Vec<_>>().await {
            assert_ne!(output.status.code(), Some(101), "{what} panicked");
            search.text(&what, &[output.stdout, output.stderr].concat());
        }
    }
    std::fs::remove_dir_all(folder.path().join("kept")).unwrap();
    search.folder(folder.path());
    let asked = shared.asked.load(Ordering::Relaxed);
    assert!(asked > 200, "the servers were asked {asked} times");
    println!("asked {asked} times; {}", search.told());
}

/// A PostgreSQL that asks for the password in the clear, and says in its refusal what it got.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_says_the_password_back_is_not_quoted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = Arc::new(AtomicU32::new(0));
    let told = got.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                // Whatever comes first (a wish for TLS, or a startup) is answered: no TLS, then: your password in the clear.
                let read = client.read(&mut bytes).await?;
                if read == 8 {
                    client.write_all(b"N").await?;
                    let _startup = client.read(&mut bytes).await?;
                }
                client.write_all(b"R\0\0\0\x08\0\0\0\x03").await?;
                let read = client.read(&mut bytes).await?;
                let password = String::from_utf8_lossy(bytes.get(5..read.saturating_sub(1)).unwrap_or_default()).into_owned();
                told.fetch_add(u32::from(password == DATABASE), Ordering::Relaxed);
                let fields = format!("SFATAL\0VFATAL\0C28P01\0Mpassword {password} is wrong, {password:?}\0\0");
                let length = u32::try_from(fields.len() + 4).unwrap();
                client.write_all(&[b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()).await
            });
        }
    });
    let mut url = url::Url::parse(&format!("postgres://keyroll@127.0.0.1:{port}/db?sslmode=disable")).unwrap();
    url.set_password(Some(&url::form_urlencoded::byte_serialize(DATABASE.as_bytes()).collect::<String>())).unwrap();
    let mut search = Search::new(&[("the database's password", DATABASE)]);
    for (place, words) in [(url.as_str(), "history"), (url.as_str(), "doctor"), ("postgres://keyroll:%zz@127.0.0.1:1/db", "status")] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        command.args([words, "--log", "trace", "-vv"]).env("KEYROLL_JOURNAL", place);
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        search.text(words, &[output.stdout, output.stderr].concat());
    }
    assert!(got.load(Ordering::Relaxed) >= 2, "the password was sent, so it could have come back");
}
