//! Bedrock's own format for all of its models: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>,
//! …/API_runtime_ConverseStream.html. A stream is AWS's event stream: frames with their lengths in front,
//! <https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html>. TLS keeps what it carries whole, so their checksums are not read.

use reqwest::RequestBuilder;
use serde_json::json;

use super::{Form, PROMPT_TOKENS, WORD, is_of, speak};
use crate::{
    adapters::{provider::kit::Dead, wire::Reply},
    ports::{Got, Question, Spoken},
};

const FORM: Form = Form { whole: "/output/message", pieces };

/// The end of the address for this question, after `…/model/{model}/`.
pub fn operation(question: &Question<'_>) -> &'static str {
    if question.stream { "converse-stream" } else { "converse" }
}

/// `request` is a POST to `…/model/{model}/` and [`operation`], and bears the key.
///
/// # Errors
/// What `wire::send` calls a failure, and an answer that holds no message.
pub async fn converse(request: RequestBuilder, question: &Question<'_>, dead: &[Dead]) -> Got<Spoken> {
    let body = json!({
        "messages": [{ "role": "user", "content": [{ "text": WORD }] }],
        "inferenceConfig": { "maxTokens": PROMPT_TOKENS },
    });
    speak(request.json(&body), question.stream, &FORM, dead).await
}

fn pieces(reply: &Reply) -> Got<Option<usize>> {
    if !is_of(reply, "application/vnd.amazon.eventstream") {
        return Ok(None);
    }
    let (mut rest, mut count, mut ended) = (reply.body.as_slice(), 0, false);
    while !rest.is_empty() {
        let Some((event, after)) = frame(rest) else { return Ok(None) };
        count += 1;
        ended = ended || event == Some("messageStop");
        rest = after;
    }
    Ok(ended.then_some(count))
}

/// A frame's prelude (its length, its headers' length, a checksum), and the checksum at its end.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// What the first frame calls itself, where it is an event (an exception is none), and what follows it. None where it is not there to its end.
fn frame(bytes: &[u8]) -> Option<(Option<&str>, &[u8])> {
    let length = |place: usize| usize::try_from(u32::from_be_bytes(bytes.get(place..place + 4)?.try_into().ok()?)).ok();
    let (whole, headers) = (length(0)?, length(4)?);
    if whole < PRELUDE.checked_add(headers)?.checked_add(CHECKSUM)? {
        return None;
    }
    let (frame, after) = bytes.split_at_checked(whole)?;
    Some((event(&frame[PRELUDE..PRELUDE + headers]), after))
}

/// The type of a header's value that is a text: the only one here.
const TEXT: u8 = 7;

/// The header `:event-type`.
fn event(mut headers: &[u8]) -> Option<&str> {
    while let Some((length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let [TEXT, high, low, rest @ ..] = rest else { return None };
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        if name == b":event-type" {
            return std::str::from_utf8(value).ok();
        }
        headers = rest;
    }
    None
}
