//! What keys were used for: `GET /organization/usage/completions`, summed over its buckets and pages.
//!
//! Buckets of one minute, for wider ones would count what was before the time asked for. Costs come a day at a time, so they are not told.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;

use super::openai_api::{Api, MOST_PAGES};
use crate::{
    adapters::wire,
    ports::{Failure, Got, Used},
};

#[derive(Deserialize)]
struct Page {
    data: Vec<Bucket>,
    has_more: bool,
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    results: Vec<Completions>,
}

#[derive(Deserialize)]
struct Completions {
    input_tokens: u64,
    output_tokens: u64,
    num_model_requests: u64,
    api_key_id: Option<String>,
}

/// The most buckets of one minute on a page: a day.
const BUCKETS: u32 = 1440;

impl Api {
    /// The completions of these API keys together.
    pub async fn used(&self, keys: &[String], from: DateTime<Utc>) -> Got<Used> {
        let url = format!("{}/organization/usage/completions", self.base);
        let mut query = format!("start_time={}&bucket_width=1m&limit={BUCKETS}&group_by[]=api_key_id", from.timestamp());
        for key in keys {
            query += &format!("&api_key_ids[]={}", wire::segment(key)?);
        }
        let (mut requests, mut input, mut output) = (0_u64, 0_u64, 0_u64);
        let mut page: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let cursor = page.as_deref().map(wire::segment).transpose()?.map(|page| format!("&page={page}")).unwrap_or_default();
            let reply = self.ask(Method::GET, format!("{url}?{query}{cursor}"), None).await?;
            let got: Page = reply.json()?;
            for result in got.data.iter().flat_map(|bucket| &bucket.results) {
                let Some(key) = &result.api_key_id else {
                    return Err(Failure::unknown(format!("GET {url}: usage that is not told by key")));
                };
                if keys.contains(key) {
                    requests = requests.saturating_add(result.num_model_requests);
                    input = input.saturating_add(result.input_tokens);
                    output = output.saturating_add(result.output_tokens);
                }
            }
            match got.next_page {
                Some(next) if got.has_more && page.as_ref() != Some(&next) => page = Some(next),
                _ if got.has_more => break,
                _ => {
                    return Ok(Used {
                        counted: "completions",
                        requests: Some(requests),
                        input_tokens: Some(input),
                        output_tokens: Some(output),
                        cost_usd: None,
                        as_of: reply.date().unwrap_or_else(Utc::now),
                    });
                }
            }
        }
        Err(Failure::unknown(format!("GET {url}: the listing has no end")))
    }
}
