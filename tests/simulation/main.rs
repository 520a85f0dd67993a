//! A seeded simulation: the production driver and protocol in a world in memory, with every fault at every step.
//!
//! `cargo test --test simulation` runs some seeds. `-- --seeds N` runs N of them, and from 10,000 on nothing may be missing in the
//! coverage; `--pairs` adds every pair of deaths on the main road, `--all-pairs` on every road; `--rules` takes one rule of the core
//! away after the other, and some seed must miss it (`--features mutants`); `--seed N` replays one seed and tells its story; `--keep-going` goes on after a failure, and groups what is alike.

mod cells;
mod cover;
mod fate;
#[path = "../common/figure.rs"]
mod figure;
mod incidents;
mod pairs;
mod people;
mod reader;
mod reasons;
mod roads;
mod run;
mod scenario;
mod steps;
mod story;
#[path = "../common/world/mod.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| args.iter().any(|arg| arg == name);
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        Some(args.get(at + 1).and_then(|text| text.parse::<u64>().ok()).unwrap_or_else(|| panic!("a number after {name}")))
    };
    // `cargo test WORD` asks every target for tests of that name; `--list` only for names.
    let word = args.first().filter(|arg| !arg.starts_with('-'));
    if word.is_some_and(|word| !"simulation".contains(word.as_str())) || given("--list") {
        return ExitCode::SUCCESS;
    }
    if let Some(seed) = number("--seed") {
        return story::tell(seed);
    }
    let ask = story::Asked {
        from: number("--from").unwrap_or(0),
        seeds: number("--seeds").unwrap_or(600),
        twice: if given("--seeds") { 200 } else { 40 },
        pairs: match (given("--all-pairs"), given("--pairs")) {
            (true, _) => pairs::ROADS.len(),
            (false, pairs) => usize::from(pairs),
        },
        rules: given("--rules"),
        keep_going: given("--keep-going"),
    };
    if story::all(&ask) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
