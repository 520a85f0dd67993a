use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use keyroll::{
    adapters::health,
    playbook::{HealthSpec, Pointer, Scheme, Span},
    ports::{Claim, Got, Report},
    sandbox::{
        service::{Behaviour, Fleet, ServiceConfig},
        traffic::Traffic,
    },
    secret::Secret,
};
use serde_json::json;

use super::{ctx, discovery, serve};

/// A store and a provider at once: the value of version 3 is `key-3`, and only keys from `oldest` on are accepted.
#[derive(Default)]
struct World {
    version: AtomicU64,
    oldest: AtomicU64,
    calls: AtomicU64,
}

async fn read(State(world): State<Arc<World>>, headers: HeaderMap) -> Result<Json<serde_json::Value>, StatusCode> {
    if headers.get("x-vault-token").is_none_or(|token| token != "t0ken") {
        return Err(StatusCode::FORBIDDEN);
    }
    let version = world.version.load(Ordering::SeqCst);
    Ok(Json(json!({ "data": { "data": { "api_key": format!("key-{version}") }, "metadata": { "version": version } } })))
}

async fn complete(State(world): State<Arc<World>>, headers: HeaderMap) -> StatusCode {
    world.calls.fetch_add(1, Ordering::SeqCst);
    let key = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer key-")?.parse::<u64>().ok());
    if key.is_some_and(|key| key >= world.oldest.load(Ordering::SeqCst)) { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

async fn start(n: usize, behaviours: &[Behaviour]) -> (Arc<World>, Fleet) {
    let world = Arc::new(World { version: AtomicU64::new(1), oldest: AtomicU64::new(1), calls: AtomicU64::new(0) });
    let router =
        Router::new().route("/v1/secret/data/ai/openai", get(read)).route("/v1/chat/completions", post(complete)).with_state(world.clone());
    let at = serve(router).await;
    let config = ServiceConfig {
        vault: format!("http://{at}"),
        token: Arc::new(Secret::new("t0ken")),
        path: "ai/openai".into(),
        field: "api_key".into(),
        name: "openai".into(),
        provider: format!("http://{at}/v1"),
        every: Duration::from_millis(20),
        behaviours: behaviours.to_vec(),
    };
    (world, Fleet::start(n, config).await.expect("a fleet"))
}

/// Asks every instance that the fleet's directory lists, by the adapters.
async fn ask(fleet: &Fleet) -> Vec<Got<Report>> {
    let spec = HealthSpec {
        path: "/healthz".into(),
        scheme: Scheme::Http,
        version: Some(Pointer::Json("/secrets/openai/version".into())),
        key_id: None,
        fingerprint: None,
        instance: Some(Pointer::Json("/instance".into())),
        store: 0,
        timeout: Span(Duration::from_millis(800)),
    };
    let health = health::http(&spec, &ctx()).expect("valid");
    let found = discovery(&format!("http_sd: {{ url: '{}' }}", fleet.directory())).expect("valid").instances().await.expect("found");
    let mut reports = Vec::new();
    for instance in &found.instances {
        reports.push(health.ask(instance).await);
    }
    reports
}

/// What one copy shows after the store moved to version 2: (healthy, version) of two asks; none where it is not listed.
async fn after_change(behaviour: Behaviour) -> (Vec<Got<Report>>, Vec<Got<Report>>, Fleet) {
    let (world, fleet) = start(1, &[behaviour]).await;
    let before = ask(&fleet).await;
    match behaviour {
        Behaviour::AppearsLate => assert!(before.is_empty()),
        _ => {
            let report = before[0].as_ref().unwrap_or_else(|failure| panic!("{behaviour:?}: {failure}"));
            assert_eq!((report.healthy, &report.claim), (true, &Some(Claim::Version("1".into()))), "{behaviour:?}");
            assert_eq!(report.id.as_ref().map(|id| id.as_str()), Some("svc-1"));
        }
    }
    world.version.store(2, Ordering::SeqCst);
    let mut present = fleet.present();
    match behaviour {
        Behaviour::Stuck => {}
        Behaviour::AppearsLate => drop(present.wait_for(|list| list.len() == 1).await),
        Behaviour::Vanishes => drop(present.wait_for(Vec::is_empty).await),
        _ => fleet.reports(0, 2).await,
    }
    (ask(&fleet).await, ask(&fleet).await, fleet)
}

#[tokio::test]
async fn each_behaviour_shows_only_after_the_change() {
    let new = |healthy| Some((healthy, Some("2")));
    let slow = Behaviour::Slow(Duration::from_millis(50));
    let cases = [
        (Behaviour::Normal, vec![new(true)], vec![new(true)], 2),
        (Behaviour::Stuck, vec![Some((true, Some("1")))], vec![Some((true, Some("1")))], 1),
        (Behaviour::Liar, vec![new(true)], vec![new(true)], 1),
        (Behaviour::Hangs, vec![None], vec![None], 2),
        (slow, vec![new(true)], vec![new(true)], 2),
        (Behaviour::Html, vec![Some((true, None))], vec![Some((true, None))], 2),
        (Behaviour::Flaps, vec![new(false)], vec![new(true)], 2),
        (Behaviour::Vanishes, vec![], vec![], 2),
        (Behaviour::AppearsLate, vec![new(true)], vec![new(true)], 2),
        (Behaviour::Ill, vec![new(false)], vec![new(false)], 2),
    ];
    for (behaviour, first, second, used) in cases {
        let (one, two, fleet) = after_change(behaviour).await;
        for (got, expected) in [(one, first), (two, second)] {
            let got: Vec<_> = got.into_iter().map(|report| report.ok().map(|report| (report.healthy, report.claim))).collect();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|shown| {
                    shown.map(|(healthy, version): (bool, Option<&str>)| (healthy, version.map(|version| Claim::Version(version.into()))))
                })
                .collect();
            assert_eq!(got, expected, "{behaviour:?}");
        }
        assert_eq!(fleet.using(), [used], "{behaviour:?}");
        fleet.stop().await;
    }
}

#[tokio::test]
async fn traffic_over_a_change_loses_nothing_and_a_liar_is_heard() {
    let (world, fleet) = start(20, &[]).await;
    let traffic = Traffic::start(fleet.present(), 600).expect("traffic");
    world.version.store(2, Ordering::SeqCst);
    for place in 0..20 {
        fleet.reports(place, 2).await;
    }
    traffic.answered(600).await;
    let summary = traffic.stop().await;
    assert_eq!((summary.sent, summary.failed, &summary.first_failure), (summary.ok, 0, &None));
    assert_eq!(world.calls.load(Ordering::SeqCst), summary.sent);
    assert!(summary.p50 <= summary.p99 && summary.p99 > Duration::ZERO);

    fleet.behave(3, Behaviour::Liar);
    world.version.store(3, Ordering::SeqCst);
    for place in 0..20 {
        fleet.reports(place, 3).await;
    }
    world.oldest.store(3, Ordering::SeqCst);
    let traffic = Traffic::start(fleet.present(), 600).expect("traffic");
    traffic.answered(100).await;
    let summary = traffic.stop().await;
    assert!(summary.failed > 0 && summary.failed < summary.sent / 10, "one of twenty fails");
    assert!(summary.first_failure.expect("a failure").contains("svc-4: the provider refused version 2"));
    fleet.stop().await;
}
