//! What keys were used for: `GET /organization/usage/completions` and `GET /organization/costs`, summed over their buckets and pages.
//!
//! Completions come in buckets of one minute, for wider ones would count what was before the time asked for. Costs come a day at a
//! time, and in UTC: they are told from the beginning of the day on, and said to be.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};

use super::kit::{self, Api, day, micro};
use crate::{
    adapters::wire,
    ports::{Failure, Got, Used},
};

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<Bucket<T>>,
    has_more: bool,
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Bucket<T> {
    results: Vec<T>,
}

#[derive(Deserialize)]
struct Completions {
    input_tokens: u64,
    output_tokens: u64,
    num_model_requests: u64,
    api_key_id: Option<String>,
}

#[derive(Deserialize)]
struct Costs {
    amount: Amount,
    api_key_id: Option<String>,
}

#[derive(Deserialize)]
struct Amount {
    value: f64,
    currency: String,
}

/// The most buckets of one minute on a page: a day.
const MINUTES: u32 = 1440;
/// The most buckets of one day on a page.
const DAYS: u32 = 180;

/// The completions of these API keys together, and their cost where that can be read too.
pub(super) async fn used(api: &Api, keys: &[String], from: DateTime<Utc>) -> Got<Used> {
    let completions = format!("usage/completions?start_time={}&bucket_width=1m&limit={MINUTES}", from.timestamp());
    let (results, as_of) = buckets::<Completions>(api, &completions, keys).await?;
    let mut used = Used { counted: "completions".into(), as_of, ..Used::default() };
    let (mut requests, mut input, mut output) = (0_u64, 0_u64, 0_u64);
    for result in &results {
        if ours(result.api_key_id.as_ref(), keys)? {
            requests = requests.saturating_add(result.num_model_requests);
            input = input.saturating_add(result.input_tokens);
            output = output.saturating_add(result.output_tokens);
        }
    }
    (used.requests, used.input_tokens, used.output_tokens) = (Some(requests), Some(input), Some(output));
    match cost(api, keys, from).await {
        Ok((cost, day)) => (used.micro_usd, used.cost_from) = (Some(cost), Some(day)),
        Err(why) => tracing::warn!(%why, "what the key cost cannot be read"),
    }
    Ok(used)
}

/// In millionths of a US dollar, and since when.
async fn cost(api: &Api, keys: &[String], from: DateTime<Utc>) -> Got<(u64, DateTime<Utc>)> {
    let day = day(from);
    let costs = format!("costs?start_time={}&bucket_width=1d&limit={DAYS}", day.timestamp());
    let (results, _) = buckets::<Costs>(api, &costs, keys).await?;
    let mut sum = 0.0;
    for result in &results {
        if ours(result.api_key_id.as_ref(), keys)? {
            if !result.amount.currency.eq_ignore_ascii_case("usd") {
                return Err(Failure::unknown("GET costs: a cost that is not in US dollars"));
            }
            sum += result.amount.value;
        }
    }
    Ok((micro(sum), day))
}

/// All results for these keys, over all buckets and pages; and the last answer's time.
async fn buckets<T: DeserializeOwned>(api: &Api, what: &str, keys: &[String]) -> Got<(Vec<T>, DateTime<Utc>)> {
    let mut path = format!("/organization/{what}&group_by[]=api_key_id");
    for key in keys {
        path += &format!("&api_key_ids[]={}", wire::segment(key)?);
    }
    let path = &path;
    let as_of = &Mutex::new(None);
    let page = |page: Option<String>| async move {
        let cursor = page.as_deref().map(wire::segment).transpose()?.map(|page| format!("&page={page}")).unwrap_or_default();
        let reply = api.ask(Method::GET, &format!("{path}{cursor}"), None).await?;
        let got: Page<T> = reply.json()?;
        *as_of.lock().unwrap_or_else(PoisonError::into_inner) = reply.date();
        let next = got.next_page.filter(|_| got.has_more);
        if got.has_more && next.is_none() {
            return Err(Failure::unknown("GET usage: more pages, and no way to the next one"));
        }
        Ok((got.data.into_iter().flat_map(|bucket| bucket.results).collect(), next))
    };
    let all = kit::pages(&format!("GET {}", what.split('?').next().unwrap_or_default()), page).await?;
    let as_of = *as_of.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((all, as_of.unwrap_or_else(Utc::now)))
}

/// Whether a result is one of these keys'.
fn ours(key: Option<&String>, keys: &[String]) -> Got<bool> {
    let key = key.ok_or_else(|| Failure::unknown("usage that is not told by key"))?;
    Ok(keys.contains(key))
}
