//! What a person or a machine reads of a rotation: folds over its records, and nothing else.
//!
//! Texts may carry colours; print them through `anstream`, which takes them out where they do not belong.

mod audit;
mod document;
mod json;
mod live;
mod offboard;
mod paint;
mod plain;
mod plan;
mod stand;
mod status;
mod steps;
mod summary;
mod time;
pub mod words;

pub use audit::{Exported, Line, Seal, compare, decree_line, decree_sentence, record_line};
pub use document::{Document, Moment, document, outcome, page, shell, text};
pub use json::{Json, line as json_line};
pub use live::Live;
pub use offboard::{Fate, Offboarding, Prospect, fates, fates_json, fates_page, prospects, prospects_json};
pub use paint::{bad, good};
pub use plain::Plain;
pub use plan::{plan, plan_json};
pub use status::{history, show, show_json, status_json, table};
pub use steps::{Step, ahead, ideal, steps};
pub use summary::{summary, times};
pub use time::clock;
pub use words::exit_code;
