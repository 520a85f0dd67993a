//! One real request of the workload's kind, in the wire formats that services speak. It asks for a word and at most [`PROMPT_TOKENS`] tokens.

mod anthropic;
mod converse;
mod gemini;
mod openai;

use reqwest::RequestBuilder;
use serde_json::Value;

pub use self::{
    anthropic::anthropic,
    converse::{converse, operation},
    gemini::{gemini, verb},
    openai::openai,
};
use super::kit::{Dead, life};
use crate::{
    adapters::wire::{self, Reply},
    ports::{Failure, Got, Life, PROMPT_TOKENS, Spoken},
};

/// What is asked of a model.
const WORD: &str = "Answer with the one word: ok";

/// How an answer is read.
struct Form {
    /// Something that every whole answer has: a JSON pointer.
    whole: &'static str,
    /// How many pieces a streamed answer has; none where it is no stream, or breaks off.
    pieces: fn(&Reply) -> Got<Option<usize>>,
}

/// Sends it once and reads the answer to its end.
async fn speak(request: RequestBuilder, stream: bool, form: &Form, dead: &[Dead]) -> Got<Spoken> {
    let reply = wire::send(request).await?;
    let life = life(&reply, dead);
    let room = room(&reply);
    if life != Life::Alive {
        return Ok(Spoken { life, pieces: None, room });
    }
    if !stream {
        let answer: Value = reply.json()?;
        return match answer.pointer(form.whole) {
            Some(_) => Ok(Spoken { life, pieces: None, room }),
            None => Err(unlike(&reply)),
        };
    }
    Ok(Spoken { life, pieces: (form.pieces)(&reply)?, room })
}

fn is_of(reply: &Reply, kind: &str) -> bool {
    let told = reply.headers.get(reqwest::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    told.starts_with(kind)
}

/// The pieces of a stream of events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), which ends with the text `end`, or else with a
/// piece that is the `last` one.
fn events(reply: &Reply, end: Option<&str>, last: fn(&Value) -> bool) -> Got<Option<usize>> {
    if !is_of(reply, "text/event-stream") {
        return Ok(None);
    }
    let text = std::str::from_utf8(&reply.body).map_err(|_| unlike(reply))?;
    let (mut count, mut ended) = (0, false);
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
        if end == Some(data) {
            ended = true;
            continue;
        }
        let piece: Value = serde_json::from_str(data).map_err(|_| unlike(reply))?;
        count += 1;
        ended = ended || end.is_none() && last(&piece);
    }
    Ok(ended.then_some(count))
}

fn unlike(reply: &Reply) -> Failure {
    Failure {
        hint: Some("services would not understand it either: check the model and the address".into()),
        ..reply.unlike("no completion")
    }
}

/// The longest number in a header that is worth telling.
const LONGEST: usize = 32;

/// `x-ratelimit-remaining-requests: 499` and the like, where what stands there is a number or a time.
fn room(reply: &Reply) -> Vec<(String, String)> {
    let plain =
        |value: &str| !value.is_empty() && value.len() <= LONGEST && value.chars().all(|c| c.is_ascii_alphanumeric() || ".:-".contains(c));
    let limits = reply.headers.iter().filter(|(name, _)| name.as_str().contains("ratelimit"));
    let told = limits.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    told.filter(|(_, value)| plain(value)).collect()
}
