//! Looks at keys outside of any rotation: whose a leaked value is, what stands ready for a rotation, what was left behind.
//!
//! ```text
//! memory   what the journal knows of keys        stores   what stores hold, compared in memory
//!    └──────────── identify · reconcile ────────────┘      doctor   what a rotation would need
//! ```
//!
//! Nothing here changes anything but [`reconcile::sweep`], and that only what [`crate::protocol::fate`] allows; and
//! [`reconcile::bury`], for one exact key on a person's word, where [`crate::protocol::suspect`] lets a person be asked.

pub mod doctor;
pub mod identify;
pub mod memory;
pub mod reconcile;
pub mod stores;
pub mod suspects;
