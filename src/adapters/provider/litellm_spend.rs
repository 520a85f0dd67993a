//! What a virtual key of LiteLLM was used for, by the day: <https://docs.litellm.ai/docs/proxy/cost_tracking#daily-spend-breakdown-api>.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

use super::kit::{Api, day, micro, pages};
use crate::{
    adapters::wire,
    ids::KeyId,
    ports::{Got, Used},
};

#[derive(Deserialize)]
struct Page {
    results: Vec<Day>,
    metadata: Place,
}

#[derive(Deserialize)]
struct Place {
    has_more: bool,
}

#[derive(Deserialize)]
struct Day {
    date: NaiveDate,
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    spend: f64,
    prompt_tokens: u64,
    completion_tokens: u64,
    api_requests: u64,
}

/// Whole days, from the one that this moment lies in. One day may stand on two pages.
pub(super) async fn since(api: &Api, key: &KeyId, from: DateTime<Utc>) -> Got<Used> {
    let (first, now) = (day(from), Utc::now());
    // A proxy that is ahead of us is in its tomorrow already.
    let last = now.date_naive().succ_opt().unwrap_or(NaiveDate::MAX);
    let asked = format!(
        "/user/daily/activity?start_date={}&end_date={last}&api_key={}&page_size=1000",
        first.date_naive(),
        wire::segment(key.as_str())?
    );
    let asked = &asked;
    let page = |number: Option<String>| async move {
        let number: usize = number.as_deref().and_then(|number| number.parse().ok()).unwrap_or(1);
        let page: Page = api.get(&format!("{asked}&page={number}")).await?;
        Ok((page.results, page.metadata.has_more.then(|| (number + 1).to_string())))
    };
    let days = pages("GET user/daily/activity of LiteLLM", page).await?;
    let told = || days.iter().filter(|day| day.date >= first.date_naive()).map(|day| &day.metrics);
    let sum = |figure: fn(&Metrics) -> u64| Some(told().fold(0_u64, |sum, metrics| sum.saturating_add(figure(metrics))));
    Ok(Used {
        counted_from: Some(first),
        requests: sum(|metrics| metrics.api_requests),
        input_tokens: sum(|metrics| metrics.prompt_tokens),
        output_tokens: sum(|metrics| metrics.completion_tokens),
        micro_usd: Some(micro(told().map(|metrics| metrics.spend).sum())),
        cost_from: Some(first),
        as_of: now,
        ..Used::default()
    })
}
