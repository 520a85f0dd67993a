//! Those who serve models: what a key may spend, and for how long, goes from one key to the next, and no answer is taken for more than
//! it says.

mod blocks;
mod bounds;
mod endings;
mod proofs;
mod terms;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use keyroll::{
    ids::KeyId,
    playbook::Limits,
    ports::{Attributes, Credential, Fate, Life, Like, PROMPT_TOKENS, Question, Wanted},
    protocol::{Bound, Refusal, widened},
    sandbox::server::Fault,
    secret::Secret,
};

use serde_json::{Value, json};

use crate::{
    common::tombstone_for,
    hands::{creates, id, key, mangle, unknown, value},
    provider::ProviderBench as _,
    site::{Bench, Vendor, built},
    standins::{gemini, gemini_bound, litellm, openrouter, xai},
};

fn attributes(bench: &Bench) -> &dyn Attributes {
    bench.provider.attributes().expect("its keys have limits")
}
