//! `keyroll emergency` on the built binary: each mode, in each state of a rotation, with and without a store and a journal.
//! Afterwards what leaked is revoked, or the command has said exactly why not and what to type.

#[path = "../common/stage.rs"]
mod stage;

mod gateway;
mod matrix;
mod scene;
