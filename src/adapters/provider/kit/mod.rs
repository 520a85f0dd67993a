//! What vendors' adapters share, so that each of them reads like its vendor's page: calls to the administration with their refusals
//! explained, listings in pages, what an answer says of a key's life, proofs by what a listing shows, how their JSON is read, and commands for
//! a person.

mod api;
mod by_hand;
mod by_person;
mod entra;
mod json;
mod kept;
mod key;
mod life;
mod login;
mod money;
mod pages;
mod proof;
mod termed;
mod time;

pub use self::{
    api::{Api, Manner},
    by_hand::{Rest, by_hand, revoked_by_hand},
    by_person::{by_a_person, digest_id, made_by_hand},
    entra::Entra,
    json::{present, said, sorted},
    kept::{keep, kept},
    key::in_header,
    life::{Dead, deleted, life, says, switched},
    login::{Basic, Login, Sent},
    money::micro,
    pages::{full_pages, pages},
    proof::{address, behind, fitting, only, shown},
    termed::Termed,
    time::{Lifetime, day, rfc2822, rfc3339, seconds},
};
