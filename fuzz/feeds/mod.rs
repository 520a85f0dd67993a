//! What each target does with its bytes. The fuzzer calls these, and so does `cargo test` with every seed (`tests/fuzz`).

#[path = "../../tests/common/mod.rs"]
mod common;
pub mod playbook;
pub mod records;
pub mod replies;
pub mod reports;
pub mod retry_after;

/// What a target does with its bytes: anything but a panic.
pub type Feed = fn(&[u8]);

/// Every target by its name, which is its folder of seeds too.
pub const ALL: &[(&str, Feed)] = &[
    ("playbook", playbook::feed),
    ("records", records::feed),
    ("replies", replies::feed),
    ("reports", reports::feed),
    ("retry_after", retry_after::feed),
];
