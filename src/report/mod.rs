//! What a person or a machine reads of a rotation: folds over its records, and nothing else.
//!
//! Texts may carry colours; print them through `anstream`, which takes them out where they do not belong.

mod audit;
mod batch;
mod bounds;
mod doctor;
mod document;
mod emergency;
mod identify;
mod json;
mod live;
mod notice;
mod offboard;
mod overview;
mod paint;
mod plain;
mod plan;
mod providers;
mod reconcile;
mod stand;
mod status;
mod steps;
mod summary;
mod suspects;
mod time;
mod used;
pub mod words;

pub use audit::{Exported, Line, Seal, compare, decree_line, decree_sentence, record_line};
pub use batch::{BatchRow, batch, batch_json, freezes, moment, stands};
pub use doctor::{Patient, doctor, doctor_json};
pub use document::{Document, Moment, document, outcome, page, shell, text};
pub use emergency::{Leaked, aftermath, leaked, will_break};
pub use identify::{Identified, identified, identified_json};
pub use json::{Json, line as json_line};
pub use live::Live;
pub use notice::{notice, overdue, seen};
pub use offboard::{Fate, Offboarding, Prospect, fates, fates_json, fates_page, prospects, prospects_json};
pub use overview::{Overview, key_of, overview, overview_json};
pub use paint::{bad, good};
pub use plain::Plain;
pub use plan::{plan, plan_json};
pub use providers::{Card, card, cards_json, page as providers_page, table as providers_table};
pub use reconcile::{Reconciled, reconciled, reconciled_json};
pub use status::{history, show, show_json, status_json};
pub use steps::{Step, ahead, ideal, steps};
pub use summary::{summary, times};
pub use suspects::{AdminSweep, Called, Choice, admin_sweep, admin_sweep_json, lineup, suspect};
pub use time::clock;
pub use used::{used, used_json};
pub use words::exit_code;
