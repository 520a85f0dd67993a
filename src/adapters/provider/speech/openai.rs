//! Chat completions, as OpenAI defines them and most relays and vendors speak them:
//! <https://platform.openai.com/docs/api-reference/chat/create>.

use reqwest::RequestBuilder;
use serde_json::json;

use super::{Form, PROMPT_TOKENS, WORD, events, speak};
use crate::{
    adapters::provider::kit::Dead,
    ports::{Got, Question, Spoken},
};

const FORM: Form = Form { whole: "/choices/0", pieces: |reply| events(reply, Some("[DONE]"), |_| false) };

/// `request` is a POST to `…/chat/completions` that bears the key; `most` is the vendor's field for the most tokens: `max_tokens`, at OpenAI itself
/// `max_completion_tokens`.
///
/// # Errors
/// What `wire::send` calls a failure, and an answer that is no completion.
pub async fn openai(request: RequestBuilder, most: &str, question: &Question<'_>, dead: &[Dead]) -> Got<Spoken> {
    let mut body = json!({ "model": question.model, "messages": [{ "role": "user", "content": WORD }] });
    body[most] = PROMPT_TOKENS.into();
    if question.stream {
        body["stream"] = true.into();
    }
    speak(request.json(&body), question.stream, &FORM, dead).await
}
