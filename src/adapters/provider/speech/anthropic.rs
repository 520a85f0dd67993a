//! Messages, as Anthropic defines them: <https://docs.anthropic.com/en/api/messages>, <https://docs.anthropic.com/en/api/messages-streaming>.

use reqwest::RequestBuilder;
use serde_json::json;

use super::{Form, PROMPT_TOKENS, WORD, events, speak};
use crate::{
    adapters::provider::kit::Dead,
    ports::{Got, Question, Spoken},
};

const FORM: Form = Form { whole: "/content", pieces: |reply| events(reply, None, |piece| piece["type"] == "message_stop") };

/// `request` is a POST to `…/messages` that bears the key and the version.
///
/// # Errors
/// What `wire::send` calls a failure, and an answer that is no message.
pub async fn anthropic(request: RequestBuilder, question: &Question<'_>, dead: &[Dead]) -> Got<Spoken> {
    let mut body = json!({ "model": question.model, "max_tokens": PROMPT_TOKENS, "messages": [{ "role": "user", "content": WORD }] });
    if question.stream {
        body["stream"] = true.into();
    }
    speak(request.json(&body), question.stream, &FORM, dead).await
}
