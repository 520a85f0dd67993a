//! What keys were used for, in the shapes of openai-openapi (Usage…): buckets of one minute.

use axum::http::StatusCode;
use chrono::Utc;
use serde_json::{Value, json};

use super::{
    World,
    routes::{Answer, Call, error},
};
use crate::secret::Secret;

/// Seconds of a bucket.
const WIDTH: i64 = 60;

impl World {
    /// One more completion of this key, now.
    pub(super) fn count_completion(&mut self, secret: &Secret) {
        let digest = secret.sha256();
        if let Some(key) = self.keys.iter().find(|key| key.sha256 == digest) {
            *self.completions.entry((Utc::now().timestamp() / WIDTH, key.key_id.clone())).or_default() += 1;
        }
    }
}

pub(super) fn answer(world: &World, call: &Call) -> Answer {
    let number = |name: &str| call.query.get(name).and_then(|text| text.parse::<i64>().ok());
    let Some(start) = number("start_time") else {
        return error(StatusCode::BAD_REQUEST, "missing_required_parameter", "start_time is missing");
    };
    if call.query.get("bucket_width").map(String::as_str) != Some("1m") {
        return error(StatusCode::BAD_REQUEST, "invalid_value", "the sandbox has buckets of one minute only");
    }
    let asked = |list: &str, value: &str| call.lists.iter().any(|(name, given)| name == list && given == value);
    let (filtered, grouped) = (call.lists.iter().any(|(name, _)| name == "api_key_ids"), asked("group_by", "api_key_id"));
    let begin = number("page").unwrap_or(start / WIDTH);
    let limit = number("limit").unwrap_or(60).clamp(1, i64::try_from(world.page).unwrap_or(i64::MAX));
    let end = Utc::now().timestamp() / WIDTH + 1;
    let next = begin.saturating_add(limit);
    let bucket = |minute: i64| {
        let of_it = world.completions.range((minute, String::new())..(minute + 1, String::new()));
        let results =
            of_it.filter(|((_, key), _)| !filtered || asked("api_key_ids", key)).map(|((_, key), count)| result(key, *count, grouped));
        json!({ "object": "bucket", "start_time": minute * WIDTH, "end_time": (minute + 1) * WIDTH, "results": results.collect::<Vec<_>>() })
    };
    let body = json!({
        "object": "page",
        "data": (begin..next.min(end)).map(bucket).collect::<Vec<_>>(),
        "has_more": next < end,
        "next_page": (next < end).then(|| next.to_string()),
    });
    (StatusCode::OK, body)
}

/// Each completion of the sandbox has one token in and two out.
fn result(key: &str, count: u64, grouped: bool) -> Value {
    json!({
        "object": "organization.usage.completions.result",
        "input_tokens": count,
        "output_tokens": 2 * count,
        "num_model_requests": count,
        "api_key_id": grouped.then_some(key),
    })
}
