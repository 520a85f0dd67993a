//! The playbook: one key, and all that is needed to rotate it. YAML goes in, typed values and all errors at once come out.

mod block;
mod check;
mod duration;
mod fault;
mod form;
mod load;
mod mask;
mod model;
mod parse;
mod read;
mod reference;
mod render;
mod template;
mod tree;
mod window;
pub(crate) mod words;

pub use block::{Block, Seg, Source};
pub use duration::Span;
pub use fault::Fault;
pub use form::{NotifyForm, PlaybookForm, StoreForm};
pub use mask::masked;
pub use model::{
    Consumer, EmergencyMode, EmergencySpec, HealthSpec, Instances, Job, Limits, Notify, Occasion, OnTimeout, Playbook, Pointer, Probe,
    ProbeLevel, RevokeSpec, RolloutSpec, Scheme, Store, VerifySpec, WriteSource,
};
pub use reference::{SecretRef, quoted};
pub use render::{render, render_coloured};
pub use template::{Answers, PROVIDERS, STORES, template};
pub use window::Window;
