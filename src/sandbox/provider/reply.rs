//! What all of the stand-in's routes answer alike.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::server::Call;

pub(super) type Answer = (StatusCode, Value);

pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    (status, json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": code } }))
}

pub(super) fn missing() -> Answer {
    error(StatusCode::NOT_FOUND, "not_found", "no such thing")
}

/// A page after the item that `after` names.
pub(super) fn cursored(call: &Call, longest: usize, items: &[(&str, Value)]) -> Answer {
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).clamp(1, longest);
    let begin = match call.query.get("after") {
        None => 0,
        Some(after) => match items.iter().position(|(id, _)| id == after) {
            Some(place) => place + 1,
            None => return error(StatusCode::BAD_REQUEST, "invalid_after", "no such cursor"),
        },
    };
    let page: Vec<_> = items.iter().skip(begin).take(limit).collect();
    let body = json!({
        "object": "list",
        "data": page.iter().map(|(_, item)| item).collect::<Vec<_>>(),
        "first_id": page.first().map(|(id, _)| id),
        "last_id": page.last().map(|(id, _)| id),
        "has_more": begin + page.len() < items.len(),
    });
    (StatusCode::OK, body)
}
