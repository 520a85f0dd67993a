//! See `feeds/records.rs`.
#![no_main]
#![allow(dead_code)]

#[path = "../feeds/mod.rs"]
mod feeds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feeds::records::feed(bytes));
