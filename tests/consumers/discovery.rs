use std::{net::SocketAddr, str::FromStr, sync::Arc};

use axum::{Router, http::HeaderMap, http::StatusCode, routing::get};
use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, SRV},
    },
};
use keyroll::{
    ports::{Fate, Found},
    protocol::Refusal,
};
use tokio::{net::UdpSocket, sync::Mutex};

use super::{discovery, serve};

type Zone = Arc<Mutex<Vec<(&'static str, RData)>>>;

/// A name server on loopback. A name under `broken.` is a server failure; a name without records does not exist.
async fn name_server(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let asked = Message::from_vec(&buffer[..length]).expect("a query");
            let query = asked.queries[0].clone();
            let name = query.name().to_ascii().to_lowercase();
            let mut answer = Message::response(asked.metadata.id, OpCode::Query);
            let zone = zone.lock().await;
            let known: Vec<_> = zone.iter().filter(|(owner, _)| *owner == name).collect();
            let half = name.starts_with("half.") && query.query_type() == RecordType::AAAA;
            if name.starts_with("broken.") || half {
                answer.metadata.response_code = ResponseCode::ServFail;
            } else if known.is_empty() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            let records = known.into_iter().filter(|(_, data)| data.record_type() == query.query_type());
            let records: Vec<_> = records.map(|(_, data)| Record::from_rdata(query.name().clone(), 300, data.clone())).collect();
            answer.add_query(query).add_answers(records);
            socket.send_to(&answer.to_vec().expect("an answer"), from).await.expect("sent");
        }
    });
    address
}

fn a(last: u8) -> RData {
    RData::A(A::new(127, 0, 0, last))
}

fn srv(port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(0, 0, port, Name::from_str(target).expect("a name")))
}

fn shown(found: &Found) -> Vec<String> {
    found.instances.iter().map(|one| format!("{} {} {}", one.id, one.host, one.address)).collect()
}

#[tokio::test]
async fn every_address_and_every_srv_record_is_an_instance() {
    let zone = Zone::new(Mutex::new(vec![
        ("api.test.", a(1)),
        ("api.test.", a(2)),
        ("api.test.", RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1))),
        ("half.test.", a(1)),
        ("text.test.", RData::CNAME(hickory_resolver::proto::rr::rdata::CNAME(Name::from_str("api.test.").expect("a name")))),
        ("_api._tcp.test.", srv(81, "one.test.")),
        ("_api._tcp.test.", srv(82, "one.test.")),
        ("_api._tcp.test.", srv(81, "two.test.")),
        ("_api._tcp.test.", srv(81, "two.test.")),
        ("one.test.", a(1)),
        ("two.test.", a(2)),
        ("_none._tcp.test.", srv(0, ".")),
        ("_lost._tcp.test.", srv(80, "lost.test.")),
    ]));
    let server = name_server(zone).await;
    let cases: [(&str, Result<&[&str], &str>); 9] = [
        (
            "name: 'api.test:80'",
            Ok(&["127.0.0.1:80 api.test 127.0.0.1:80", "127.0.0.2:80 api.test 127.0.0.2:80", "[::1]:80 api.test [::1]:80"]),
        ),
        ("name: 'gone.test:80'", Ok(&[])),
        ("name: '127.0.0.9:80'", Ok(&["127.0.0.9:80 127.0.0.9 127.0.0.9:80"])),
        ("name: 'broken.test:80'", Err("A records of broken.test.")),
        ("name: 'half.test:80'", Err("AAAA records of half.test.")),
        (
            "srv: _api._tcp.test",
            Ok(&["127.0.0.1:81 one.test 127.0.0.1:81", "127.0.0.1:82 one.test 127.0.0.1:82", "127.0.0.2:81 two.test 127.0.0.2:81"]),
        ),
        ("srv: _gone._tcp.test", Ok(&[])),
        ("srv: _none._tcp.test", Ok(&[])),
        ("srv: _lost._tcp.test", Err("names lost.test., which has no address")),
    ];
    for (config, expected) in cases {
        let got = discovery(&format!("dns: {{ {config}, server: '{server}' }}")).expect(config).instances().await;
        match (got, expected) {
            (Ok(found), Ok(expected)) => {
                let mut got = shown(&found);
                got.sort();
                assert_eq!(got, expected, "{config}");
                assert_eq!(found.expected, None);
            }
            (Err(failure), Err(part)) => assert!(failure.what.contains(part) && failure.hint.is_some(), "{config}: {failure}"),
            (got, _) => panic!("{config}: {:?}", got.map(|found| shown(&found))),
        }
    }
}

#[tokio::test]
async fn each_pass_sees_the_records_of_now() {
    let zone = Zone::new(Mutex::new(vec![("api.test.", a(1))]));
    let server = name_server(zone.clone()).await;
    let dns = discovery(&format!("dns: {{ name: 'api.test:80', server: '{server}' }}")).expect("valid");
    assert_eq!(shown(&dns.instances().await.expect("found")).len(), 1);
    zone.lock().await.push(("api.test.", a(2)));
    assert_eq!(shown(&dns.instances().await.expect("found")).len(), 2);
    zone.lock().await.clear();
    assert_eq!(shown(&dns.instances().await.expect("found")).len(), 0);
}

#[tokio::test]
async fn a_fixed_entry_is_one_instance() {
    let fixed = discovery("fixed: ['127.0.0.1:80', '[::1]:80', '127.0.0.1:80', 'LOCALHOST:81']").expect("valid");
    let expected = ["127.0.0.1:80 127.0.0.1 127.0.0.1:80", "[::1]:80 ::1 [::1]:80", "localhost:81 localhost 127.0.0.1:81"];
    assert_eq!(shown(&fixed.instances().await.expect("found")), expected);
}

#[tokio::test]
async fn prometheus_lists_are_read_with_labels_and_auth() {
    let list = r#"[{"targets":["127.0.0.1:1","127.0.0.1:2","127.0.0.1:1"],"labels":{"env":"prod"}},{"targets":["127.0.0.1:3"]}]"#;
    let handler = move |headers: HeaderMap| async move {
        if headers.get("authorization").is_some_and(|value| value == "Bearer s3cret") {
            (StatusCode::OK, list)
        } else {
            (StatusCode::FORBIDDEN, "no")
        }
    };
    let at = serve(Router::new().route("/sd", get(handler)).route("/html", get(|| async { "<html>s3cret" }))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("targets.json");
    std::fs::write(&file, list).expect("written");
    let file = file.display();
    let cases: [(String, Result<usize, Option<Refusal>>); 7] = [
        (format!("http_sd: {{ url: 'http://{at}/sd', headers: {{ Authorization: 'env:AUTH' }} }}"), Ok(3)),
        (format!("http_sd: {{ url: 'http://{at}/sd', headers: {{ Authorization: 'env:AUTH' }}, labels: {{ env: prod }} }}"), Ok(2)),
        (format!("http_sd: {{ url: 'http://{at}/sd' }}"), Err(Some(Refusal::Denied))),
        (format!("http_sd: {{ url: 'http://{at}/html' }}"), Err(Some(Refusal::Invalid))),
        (format!("file_sd: {{ path: {file} }}"), Ok(3)),
        (format!("file_sd: {{ path: {file}, labels: {{ env: test }} }}"), Ok(0)),
        ("file_sd: { path: /nowhere/at/all }".into(), Err(Some(Refusal::Gone))),
    ];
    for (yaml, expected) in cases {
        let got = discovery(&yaml).expect("valid").instances().await;
        match got {
            Ok(found) => assert_eq!(Ok(found.instances.len()), expected, "{yaml}"),
            Err(failure) => {
                assert_eq!(Err(failure.refusal()), expected, "{yaml}: {failure}");
                assert!(!failure.to_string().contains("s3cret"));
            }
        }
    }
    let refused = discovery("http_sd: { url: 'http://127.0.0.1:1/sd' }").expect("valid").instances().await.expect_err("nobody there");
    assert!(matches!(refused.fate, Fate::NotSent { .. }));
}

#[test]
fn mistakes_are_found_when_it_is_built() {
    let cases = [
        ("fixed: []", "no instance"),
        ("fixed: ['api']", "not host:port"),
        ("fixed: ['http://api:80']", "not host:port"),
        ("fixed: ['api:0']", "not host:port"),
        ("dns: api", "not host:port"),
        ("dns: {}", "exactly one"),
        ("dns: { name: 'api:80', srv: _api._tcp.test }", "exactly one"),
        ("dns: { nam: 'api:80' }", "unknown field"),
        ("http_sd: { url: 'ftp://api' }", "must begin with"),
        ("http_sd: { url: 'http://me:s3cret@api' }", "no user or password"),
        ("http_sd: { url: 'http://api', headers: { Authorization: s3cret } }", "must not stand in a playbook"),
        ("http_sd: { url: 'http://api', headers: { 's3cret key': 'env:AUTH' } }", "header's name"),
    ];
    for (yaml, part) in cases {
        let fault = discovery(yaml).err().unwrap_or_else(|| panic!("{yaml} was taken"));
        assert!(fault.what.contains(part), "{yaml}: {}", fault.what);
        assert!(!fault.what.contains("s3cret"), "{yaml}: the error repeats the input");
    }
}
