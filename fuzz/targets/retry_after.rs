//! See `feeds/retry_after.rs`.
#![no_main]
#![allow(dead_code)]

#[path = "../feeds/mod.rs"]
mod feeds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feeds::retry_after::feed(bytes));
