//! What a leaked key was used for, by vendors that tell it by the day: also when the key is gone.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use keyroll::ports::{Fate, Used};
use serde_json::{Value, json};

use crate::{
    provider::ProviderBench as _,
    road::Road,
    site::{Bench, Vendor},
    standins,
};

/// A stretch of a day, so many days ago: what it cost, requests, tokens sent and received.
type Stretch = (i64, f64, u64, u64, u64);

/// The third is another stretch of the second's day, and the last lies before the time that is asked for.
const STRETCHES: &[Stretch] = &[(0, 0.25, 3, 30, 60), (1, 1.5, 2, 20, 40), (1, 0.125, 1, 10, 20), (3, 50.0, 900, 9000, 9000)];

fn date(ago: i64) -> String {
    (Utc::now() - TimeDelta::days(ago)).date_naive().to_string()
}

fn litellm(&(ago, spend, requests, sent, received): &Stretch) -> Value {
    let metrics = json!({
        "spend": spend, "prompt_tokens": sent, "completion_tokens": received, "api_requests": requests, "successful_requests": requests,
        "cache_read_input_tokens": 0,
    });
    json!({ "date": date(ago), "metrics": metrics, "breakdown": {} })
}

fn openrouter(&(ago, spend, requests, sent, received): &Stretch) -> Value {
    json!({
        "date": date(ago), "model": "openai/gpt-4.1", "usage": spend - 0.125, "byok_usage_inference": 0.125, "requests": requests,
        "prompt_tokens": sent, "completion_tokens": received, "reasoning_tokens": 0,
    })
}

fn told(vendor: &Vendor) -> fn(&Stretch) -> Value {
    if vendor.name == "litellm" { litellm } else { openrouter }
}

/// Days are summed over all pages from the one on that the time lies in, and no other key's and no earlier ones.
#[tokio::test]
async fn days_are_summed_from_the_one_that_the_time_lies_in() {
    for vendor in [standins::litellm::vendor(), standins::openrouter::vendor()] {
        let bench = Bench::new(Vendor { seeds: 2, ..vendor }).await;
        let rows: Vec<Value> = STRETCHES.iter().map(told(&bench.vendor)).collect();
        bench.server.world().keys.all[0].more["activity"] = rows.into();
        bench.server.world().keys.all[1].more["activity"] = json!([told(&bench.vendor)(&(0, 7.0, 7, 7, 7))]);
        let (id, spend) = (bench.seeded()[0].clone(), bench.provider.spend().expect("it is told"));
        let day: DateTime<Utc> = (Utc::now() - TimeDelta::days(1)).date_naive().and_time(NaiveTime::MIN).and_utc();
        let from = day + TimeDelta::hours(9);
        let want = Used {
            counted_from: Some(day),
            requests: Some(6),
            input_tokens: Some(60),
            output_tokens: Some(120),
            micro_usd: Some(1_875_000),
            cost_from: Some(day),
            ..Used::default()
        };
        for gone in [false, true] {
            if gone {
                bench.provider.delete(&crate::common::tombstone_for(&id)).await.expect("deleted");
            }
            let used = spend.since(&id, from).await.unwrap_or_else(|failure| panic!("{}: {failure}", bench.vendor.name));
            let counted = used.counted.clone();
            assert_eq!(Used { as_of: want.as_of, counted: String::new(), ..used }, want, "{}: gone: {gone}", bench.vendor.name);
            assert_eq!(counted.is_empty(), bench.vendor.name == "litellm", "which days are counted is said: {counted}");
        }
    }
}

/// A day without its figures is no day without use.
#[tokio::test]
async fn a_figure_that_is_missing_is_unknown() {
    for vendor in [standins::litellm::vendor(), standins::openrouter::vendor()] {
        let bench = Bench::new(Vendor { seeds: 1, ..vendor }).await;
        let whole = told(&bench.vendor)(&STRETCHES[0]);
        let at = if bench.vendor.name == "litellm" { "/metrics" } else { "" };
        let figures = ["requests", "api_requests", "prompt_tokens", "completion_tokens", "usage", "spend", "date"];
        let mut tried = 0;
        for figure in figures {
            let mut lacks = whole.clone();
            let place = if figure == "date" { "" } else { at };
            let fields = lacks.pointer_mut(place).and_then(Value::as_object_mut).expect("an object");
            if fields.remove(figure).is_none() {
                continue;
            }
            tried += 1;
            // The stand-in leaves out what has no day.
            if figure == "date" && bench.vendor.name == "litellm" {
                continue;
            }
            bench.server.world().keys.all[0].more["activity"] = json!([lacks]);
            let told = bench.provider.spend().expect("it is told").since(&bench.seeded()[0], Utc::now()).await;
            assert!(told.is_err_and(|failure| matches!(failure.fate, Fate::Unknown { .. })), "{}: {figure}", bench.vendor.name);
        }
        assert_eq!(tried, 5, "{}", bench.vendor.name);
    }
}

/// The end of an emergency tells it, and so does the report.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_emergency_tells_what_the_key_was_used_for() {
    let road = Road::new(standins::litellm::vendor()).await;
    let rows: Vec<Value> = STRETCHES.iter().map(litellm).collect();
    road.server.world().keys.all[0].more["activity"] = rows.into();
    let emergency = ["emergency", "book.yaml", "--mode", "revoke-first", "--reason", "in a public repository", "--since", "1m", "--yes"];
    let said = road.ends(&road.keyroll(&emergency).await, 0);
    assert!(
        said.contains("00:00") && said.contains(": 3 requests, 30 tokens in, 60 tokens out; it cost 0.25 USD, as the provider knew at"),
        "{said}"
    );
    let report = road.ends(&road.keyroll(&["report", road.vendor.name]).await, 0);
    assert!(report.contains("3 requests, 30 tokens in"), "{report}");
}
