//! The built binary, as a person or a program meets it.

mod audit;
mod doctor;
mod identify;
mod journal;
mod leaks;
mod luck;
mod offboard;
mod own_key;
mod pages;
mod people;
mod reconcile;
mod schedule;
mod ways;

#[path = "../common/figure.rs"]
mod figure;
#[path = "../common/inbox.rs"]
mod inbox;
#[path = "../common/office.rs"]
mod office;
#[path = "../common/stage.rs"]
mod stage;

use std::process::Output;

/// Both outputs, with what differs from run to run made the same.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asserts the exit code, and shows what was said where it is another.
#[track_caller]
pub fn ends(output: &Output, code: i32) -> String {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}
