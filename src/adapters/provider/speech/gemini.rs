//! Generated content, as Gemini's API defines it: <https://ai.google.dev/api/generate-content>.

use reqwest::RequestBuilder;
use serde_json::json;

use super::{Form, PROMPT_TOKENS, WORD, events, speak};
use crate::{
    adapters::provider::kit::Dead,
    ports::{Got, Question, Spoken},
};

const FORM: Form =
    Form { whole: "/candidates/0", pieces: |reply| events(reply, None, |piece| !piece["candidates"][0]["finishReason"].is_null()) };

/// The end of the address for this question, after `…/models/{model}`.
pub fn verb(question: &Question<'_>) -> &'static str {
    if question.stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" }
}

/// `request` is a POST to `…/models/{model}` and [`verb`], and bears the key.
///
/// # Errors
/// What `wire::send` calls a failure, and an answer that holds no content.
pub async fn gemini(request: RequestBuilder, question: &Question<'_>, dead: &[Dead]) -> Got<Spoken> {
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": WORD }] }],
        "generationConfig": { "maxOutputTokens": PROMPT_TOKENS },
    });
    speak(request.json(&body), question.stream, &FORM, dead).await
}
