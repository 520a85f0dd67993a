//! Every setting, walked to its last state.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use keyroll::protocol::{End, Kind};
use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    setting::{SETTINGS, Setting, full},
    story::tell,
    walk::{Walk, walk},
};

/// How many states both explorers must have seen at full size, or the model looks at less than it did.
const STATES: usize = 3_500_000;

struct Explored {
    walk: Walk,
    by_stateright: usize,
    took: Duration,
}

fn explore(setting: Setting) -> Explored {
    let began = Instant::now();
    let walk = walk(&setting, |_| true);
    let checker = setting.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    Explored { walk, by_stateright: checker.unique_state_count(), took: began.elapsed() }
}

#[test]
fn nothing_is_broken_in_any_state_and_every_run_can_end() {
    let settings: Vec<Setting> = SETTINGS.iter().map(|setting| if full() { setting.at_full_size() } else { *setting }).collect();
    let next = AtomicUsize::new(0);
    // One setting on each of two cores.
    let work = || {
        let mut done = Vec::new();
        while let Some(setting) = settings.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((setting.name, explore(*setting)));
        }
        done
    };
    let explored: Vec<(&str, Explored)> = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut all = 0;
    for setting in &settings {
        let (name, explored) = explored.iter().find(|(name, _)| *name == setting.name).unwrap();
        judge(setting, explored);
        all += explored.walk.states;
        println!("{:>9} states, {:>2} steps deep, {:>5.1?}: {name}", explored.walk.states, explored.walk.depth, explored.took);
    }
    println!("{all:>9} states in {} settings, each walked twice", settings.len());
    assert!(!full() || all >= STATES, "{all} states: the model looks at less than it did");
}

fn judge(setting: &Setting, explored: &Explored) {
    let walk = &explored.walk;
    if let Some((broken, way)) = &walk.broken {
        panic!("{}\n{}", setting.name, tell(setting, way, broken));
    }
    assert_eq!(walk.states, explored.by_stateright, "{}: the two explorers disagree", setting.name);
    assert_eq!(walk.stuck, 0, "{}: states without a way to an end or a hold", setting.name);
    assert!(walk.ends.contains(&End::Done), "{}: it is never done", setting.name);
    let goes_back = setting.rules.kind == Kind::Rotate;
    assert_eq!(walk.ends.contains(&End::RolledBack), goes_back, "{}: {:?}", setting.name, walk.ends);
}
