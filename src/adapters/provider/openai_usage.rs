//! What keys were used for: `GET /organization/usage/completions` and `GET /organization/costs`, summed over their buckets and pages.
//!
//! Completions come in buckets of one minute, for wider ones would count what was before the time asked for. Costs come a day at a
//! time, and in UTC: they are told from the beginning of the day on, and said to be.

use chrono::{DateTime, NaiveTime, Utc};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};

use super::openai_api::{Api, MOST_PAGES};
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

impl Api {
    /// The completions of these API keys together, and their cost where that can be read too.
    pub async fn used(&self, keys: &[String], from: DateTime<Utc>) -> Got<Used> {
        let completions = format!("usage/completions?start_time={}&bucket_width=1m&limit={MINUTES}", from.timestamp());
        let (results, as_of) = self.buckets::<Completions>(&completions, keys).await?;
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
        match self.cost(keys, from).await {
            Ok((cost, day)) => (used.micro_usd, used.cost_from) = (Some(cost), Some(day)),
            Err(why) => tracing::warn!(%why, "what the key cost cannot be read"),
        }
        Ok(used)
    }

    /// In millionths of a US dollar, and since when.
    async fn cost(&self, keys: &[String], from: DateTime<Utc>) -> Got<(u64, DateTime<Utc>)> {
        let day = from.date_naive().and_time(NaiveTime::MIN).and_utc();
        let costs = format!("costs?start_time={}&bucket_width=1d&limit={DAYS}", day.timestamp());
        let (results, _) = self.buckets::<Costs>(&costs, keys).await?;
        let mut sum = 0.0;
        for result in &results {
            if ours(result.api_key_id.as_ref(), keys)? {
                if !result.amount.currency.eq_ignore_ascii_case("usd") {
                    return Err(Failure::unknown("GET costs: a cost that is not in US dollars"));
                }
                sum += result.amount.value;
            }
        }
        // Saturates, and takes a credit for nothing.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of money, rounded")]
        Ok(((sum * 1e6).round() as u64, day))
    }

    /// All results for these keys, over all buckets and pages; and the answer's time.
    async fn buckets<T: DeserializeOwned>(&self, what: &str, keys: &[String]) -> Got<(Vec<T>, DateTime<Utc>)> {
        let mut url = format!("{}/organization/{what}&group_by[]=api_key_id", self.base);
        for key in keys {
            url += &format!("&api_key_ids[]={}", wire::segment(key)?);
        }
        let mut all = Vec::new();
        let mut page: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let cursor = page.as_deref().map(wire::segment).transpose()?.map(|page| format!("&page={page}")).unwrap_or_default();
            let reply = self.ask(Method::GET, format!("{url}{cursor}"), None).await?;
            let got: Page<T> = reply.json()?;
            all.extend(got.data.into_iter().flat_map(|bucket| bucket.results));
            match got.next_page {
                Some(next) if got.has_more && page.as_ref() != Some(&next) => page = Some(next),
                _ if got.has_more => break,
                _ => return Ok((all, reply.date().unwrap_or_else(Utc::now))),
            }
        }
        Err(Failure::unknown(format!("GET {}: the listing has no end", what.split('?').next().unwrap_or_default())))
    }
}

/// Whether a result is one of these keys'.
fn ours(key: Option<&String>, keys: &[String]) -> Got<bool> {
    let key = key.ok_or_else(|| Failure::unknown("usage that is not told by key"))?;
    Ok(keys.contains(key))
}
