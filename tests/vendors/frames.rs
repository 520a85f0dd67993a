//! Bedrock streams in frames: one that breaks off anywhere, or ends in an exception, has no end.

use axum::http::StatusCode;
use keyroll::{
    ports::{Credential, Life, Question, Spoken},
    sandbox::server::{Answer, Call},
};
use serde_json::json;

use crate::{
    site::{Bench, Keys, Vendor},
    standins::bedrock::{EVENTS, frame, stream, vendor},
};

/// What a streamed prompt is told by a runtime that answers so.
async fn told(shape: fn(&mut Keys, &Call) -> Answer) -> Spoken {
    let vendor = Vendor { shape, ..vendor() };
    let bench = Bench::new(vendor).await;
    let secret = keyroll::secret::Secret::new(&bench.server.world().keys.all[0].value);
    let question = Question { model: vendor.model, stream: true };
    let prompt = bench.provider.prompt().expect("Bedrock can be asked");
    prompt.prompt(&Credential { id: None, secret }, &question).await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn a_bedrock_stream_is_whole_only_with_its_last_frame() {
    assert_eq!(told(|_, _| Answer::Bytes(EVENTS, stream().concat())).await.pieces, Some(5));
    let without_an_end: [fn(&mut Keys, &Call) -> Answer; 6] = [
        |_, _| Answer::Bytes(EVENTS, Vec::new()),
        |_, _| Answer::Bytes(EVENTS, stream()[..3].concat()),
        |_, _| {
            let whole = stream().concat();
            Answer::Bytes(EVENTS, whole[..whole.len() - 1].to_vec())
        },
        // Lengths that nothing can have.
        |_, _| Answer::Bytes(EVENTS, vec![0xFF; 64]),
        |_, _| {
            let failed = [(":exception-type", "throttlingException"), (":message-type", "exception")];
            Answer::Bytes(EVENTS, [stream()[..2].concat(), frame(&failed, &json!({ "message": "slow down" }))].concat())
        },
        |_, _| (StatusCode::OK, json!({ "output": {} })).into(),
    ];
    for shape in without_an_end {
        let spoken = told(shape).await;
        assert_eq!((spoken.life, spoken.pieces), (Life::Alive, None));
    }
}
