//! The demo's world: stand-ins for what a rotation touches, on loopback.

pub mod vault;
