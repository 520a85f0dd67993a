//! What keys were used for, in the shapes of openai-openapi (Usage…, Costs…): completions in buckets of a minute, costs in buckets of a day.

use axum::http::StatusCode;
use chrono::Utc;
use serde_json::{Value, json};

use super::{
    World,
    reply::{Answer, error},
};
use crate::{sandbox::server::Call, secret::Secret};

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

impl World {
    /// One more completion of this key, now.
    pub(super) fn count_completion(&mut self, secret: &Secret) {
        let digest = secret.sha256();
        if let Some(key) = self.keys.iter().find(|key| key.sha256 == digest) {
            *self.completions.entry((Utc::now().timestamp() / MINUTE, key.key_id.clone())).or_default() += 1;
        }
    }
}

/// Each completion of the sandbox has one token in and two out.
pub(super) fn completions(world: &World, call: &Call) -> Answer {
    buckets(world, call, MINUTE, "1m", &|key, count, grouped| {
        json!({
            "object": "organization.usage.completions.result",
            "input_tokens": count,
            "output_tokens": 2 * count,
            "num_model_requests": count,
            "api_key_id": grouped.then_some(key),
        })
    })
}

/// Each costs a cent.
pub(super) fn costs(world: &World, call: &Call) -> Answer {
    buckets(world, call, DAY, "1d", &|key, count, grouped| {
        json!({
            "object": "organization.costs.result",
            "amount": { "value": f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / 100.0, "currency": "usd" },
            "line_item": null,
            "project_id": null,
            "api_key_id": grouped.then_some(key),
        })
    })
}

fn buckets(world: &World, call: &Call, width: i64, name: &str, result: &dyn Fn(&str, u64, bool) -> Value) -> Answer {
    let number = |name: &str| call.query.get(name).and_then(|text| text.parse::<i64>().ok());
    let Some(start) = number("start_time") else {
        return error(StatusCode::BAD_REQUEST, "missing_required_parameter", "start_time is missing");
    };
    if call.query.get("bucket_width").map(String::as_str) != Some(name) {
        return error(StatusCode::BAD_REQUEST, "invalid_value", &format!("the sandbox has buckets of {name} only here"));
    }
    let asked = |list: &str, value: &str| call.lists.iter().any(|(name, given)| name == list && given == value);
    let (filtered, grouped) = (call.lists.iter().any(|(name, _)| name == "api_key_ids"), asked("group_by", "api_key_id"));
    let begin = number("page").unwrap_or(start / width);
    let limit = number("limit").unwrap_or(60).clamp(1, i64::try_from(world.page).unwrap_or(i64::MAX));
    let end = Utc::now().timestamp() / width + 1;
    let next = begin.saturating_add(limit);
    let bucket = |place: i64| {
        let minutes = place * width / MINUTE..(place + 1) * width / MINUTE;
        let mut counts = std::collections::BTreeMap::<&str, u64>::new();
        for ((_, key), count) in world.completions.range((minutes.start, String::new())..(minutes.end, String::new())) {
            *counts.entry(key.as_str()).or_default() += count;
        }
        let results = counts.into_iter().filter(|(key, _)| !filtered || asked("api_key_ids", key));
        let results: Vec<_> = results.map(|(key, count)| result(key, count, grouped)).collect();
        json!({ "object": "bucket", "start_time": place * width, "end_time": (place + 1) * width, "results": results })
    };
    let body = json!({
        "object": "page",
        "data": (begin..next.min(end)).map(bucket).collect::<Vec<_>>(),
        "has_more": next < end,
        "next_page": (next < end).then(|| next.to_string()),
    });
    (StatusCode::OK, body)
}
