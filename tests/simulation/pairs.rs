//! Every pair of deaths: the process of a short rotation is killed before or after any of its calls and records, and the one
//! that goes on is killed before or after any of its own.

use std::time::Duration;

use keyroll::protocol::Kind;

use super::{
    fate::{Lot, Scripted},
    incidents::Honest,
    run::{self, Outcome},
    scenario::{Scenario, Trouble, beside},
    world::{
        Sim,
        book::Text,
        facts::Origin,
        fault::{Fault, Incident},
        oracle::Setting,
        services::Says,
    },
};

/// A way through a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Road {
    Rotate,
    Disable,
    Back,
    Leak,
}

pub const ROADS: [Road; 4] = [Road::Rotate, Road::Disable, Road::Back, Road::Leak];

const SIDES: [Fault; 2] = [Fault::CrashBefore, Fault::CrashAfter];

/// One run of this road with these deaths.
pub fn killed(road: Road, kills: &[(usize, Fault)]) -> Outcome {
    run::scenario(1, || scenario(road, kills.to_vec()))
}

fn scenario(road: Road, kills: Vec<(usize, Fault)>) -> Scenario {
    let sim = Sim::empty();
    let mut outside = sim.lock();
    let first = outside.make("first", Origin::Before, None);
    let second = Duration::from_secs(1);
    let traits = &mut outside.issuer.traits;
    (traits.listed_within, traits.ready_within, traits.dead_within) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    outside.issuer.switches = road == Road::Disable;
    outside.add_store(Some(first));
    let service = outside.add_service(0, 1);
    outside.services[service].says = Says::Version;
    drop(outside);
    let disable = if road == Road::Disable { ", disable_for: 1s, watch: 1s" } else { "" };
    let extra = format!("probe: {{ times: 1 }}\nverify: {{ within: 20s, stable_for: 0s, every: 1s }}\nrevoke: {{ grace: 1s{disable} }}\n");
    let text = Text { stale_for: "0s".into(), max_request: Some("0s".into()), extra, ..Text::default() };
    let script: Vec<Scripted> = match road {
        Road::Rotate | Road::Disable => Vec::new(),
        Road::Back => vec![beside("grace", Incident::AskRollback)],
        Road::Leak => vec![beside("grace", Incident::LeakBoth)],
    };
    let (budget, target) = (script.len(), None);
    let lot = Lot { script, target, noise: (0, 0), budget, kills, honest: Honest::Wall, liars: false };
    let setting = Setting {
        kind: Kind::Rotate,
        old: Some(first),
        proved: true,
        stores: 1,
        expected: vec![Some(1)],
        reads: vec![0],
        stale_for: Duration::ZERO,
        least: Duration::ZERO,
    };
    Scenario {
        trouble: Trouble::None,
        book: text.parse(),
        setting,
        leaked_first: false,
        reads_once: false,
        longest_wait: Duration::from_secs(60),
        tick: second,
        lot: Some(lot),
        sim,
    }
}

/// Every single death of a road: how many, and the first thing that must not be.
pub fn singles(road: Road) -> Result<usize, String> {
    let whole = killed(road, &[]);
    told(road, &[], &whole)?;
    for at in 1..=whole.calls {
        for side in SIDES {
            told(road, &[(at, side)], &killed(road, &[(at, side)]))?;
        }
    }
    Ok(whole.calls * SIDES.len())
}

/// Every pair of deaths whose first is at this call.
pub fn seconds(road: Road, first: usize) -> Result<usize, String> {
    let mut pairs = 0;
    for side in SIDES {
        let resumed = killed(road, &[(first, side)]);
        for at in first + 1..=resumed.calls {
            for other in SIDES {
                let kills = [(first, side), (at, other)];
                told(road, &kills, &killed(road, &kills))?;
                pairs += 1;
            }
        }
    }
    Ok(pairs)
}

fn told(road: Road, kills: &[(usize, Fault)], outcome: &Outcome) -> Result<(), String> {
    match &outcome.wrong {
        None => Ok(()),
        Some(wrong) => Err(format!("{road:?}, killed at {kills:?}: {wrong}")),
    }
}
