//! What vendors' adapters share, so that each of them reads like its vendor's page: calls to the administration with their refusals
//! explained, listings in pages, what an answer says of a key's life, proofs by what a listing shows, how their JSON is read, and commands for
//! a person.

mod api;
mod by_hand;
mod json;
mod life;
mod login;
mod pages;
mod proof;
mod time;

pub use self::{
    api::{Api, Manner},
    by_hand::{Rest, by_hand},
    json::{present, sorted},
    life::{Dead, deleted, life},
    login::{Login, Sent},
    pages::pages,
    proof::{address, behind, only, shown},
    time::{renewed, rfc3339, seconds},
};
