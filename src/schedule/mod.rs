//! When a key is due, and when a rotation may go on: windows, freezes, ages, expiries. Pure: times are passed in.
//!
//! ```text
//! freeze   decrees → which freezes stand, what is queued
//! gate     window + freezes → closed until, and why
//! past     a playbook's rotations → the key in use, how often it failed
//! due      age, expiry, queue → when, why, how urgent
//! open     an open rotation → held, waits, or has something to do
//! naming   what a key's name should tell
//! ```

mod due;
mod freeze;
mod gate;
mod naming;
mod open;
mod past;

pub use self::{
    due::{Cause, Due, Terms, Urgency, due, outlived},
    freeze::{Freeze, Queued, freezes, queued},
    gate::Times,
    naming::lacks,
    open::{Stands, stands},
    past::{Key, Past},
};
