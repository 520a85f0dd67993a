//! When keys are due and when rotations may go on: the rules one by one, and a whole year of a fleet.

#[path = "../common/figure.rs"]
mod figure;
mod rules;
mod world;
mod year;
