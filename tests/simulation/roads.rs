//! How a run comes to a row: what its world must be, and what must befall it on the way.

use keyroll::{ports::Ambiguity, protocol::Kind};

use super::{
    cells::{Row, What},
    fate::Scripted,
    incidents::Honest,
    scenario::{LEAKS_OLD, at_call, at_record, beside, while_calling},
    steps::Way,
    world::{
        fault::{Fault, Incident, Op},
        services::Says,
    },
};

/// What a row asks of the world; none: whatever the dice say.
#[derive(Default)]
pub struct Needs {
    pub kind: Option<Kind>,
    pub proved: Option<bool>,
    pub disables: Option<bool>,
    pub idle: Option<bool>,
    pub hold: Option<bool>,
    pub ambiguity: Option<Ambiguity>,
    pub stores: Option<usize>,
    pub lease: Option<bool>,
    pub honest: Option<Honest>,
    pub store_clock: bool,
    pub journal_clock: bool,
    pub replicas: bool,
    pub rolls: bool,
    pub says: Option<Says>,
    /// Old values live long enough to be read again.
    pub slow: bool,
    pub leaked_first: bool,
    /// Little time for a proof.
    pub hasty: bool,
    /// One store with one endpoint.
    pub single: bool,
    pub script: Vec<Scripted>,
}

fn one<T: Copy>(dice: &mut fastrand::Rng, of: &[T]) -> T {
    of[dice.usize(0..of.len())]
}

/// No row in particular. Quiet: only what people may ask for.
pub fn any(dice: &mut fastrand::Rng, quiet: bool) -> Needs {
    let mut needs = Needs::default();
    let ahead = ["create", "live", "promote", "converged", "rollout new", "consumer", "grace"];
    if quiet {
        match dice.u8(0..6) {
            0 => needs.script.push(beside(one(dice, &ahead), Incident::AskRollback)),
            1 => needs.script.push(beside(one(dice, &ahead), one(dice, &[Incident::AskAmend, Incident::AskWaive]))),
            2 => {
                let leak = one(dice, &[Incident::LeakOld, Incident::LeakOldNow, Incident::LeakNew, Incident::LeakBoth]);
                needs.script.push(beside(one(dice, &ahead), leak));
            }
            3 => needs.leaked_first = true,
            _ => {}
        }
    } else {
        needs.leaked_first = dice.u8(0..10) == 0;
    }
    needs
}

/// The world and the script that lead to this row.
pub fn to(row: Row, struck: &[What], dice: &mut fastrand::Rng) -> Needs {
    let mut needs = Needs::default();
    match row {
        Row::Step(way, step) => {
            towards(&mut needs, way, step, dice);
            for what in struck {
                suits(&mut needs, *what);
            }
        }
        Row::Call(way, step, op) => {
            towards(&mut needs, way, step, dice);
            for_call(&mut needs, step, op, dice);
        }
        Row::Record(way, kind) => for_record(&mut needs, way, kind, dice),
        Row::Journal(Op::Asked | Op::Decrees) => needs.disables = Some(true),
        Row::Journal(_) => {}
    }
    if struck.contains(&What::Fault(Fault::Stall)) {
        needs.lease = Some(true);
    }
    needs
}

/// What an incident needs to be one.
fn suits(needs: &mut Needs, what: What) {
    let What::Incident(incident) = what else { return };
    match incident {
        Incident::WallForward => needs.honest = Some(Honest::Journal),
        Incident::StoreClockForward | Incident::StoreClockBack => (needs.honest, needs.store_clock) = (Some(Honest::Journal), true),
        Incident::ReplicaBehind => needs.replicas = true,
        Incident::Lies if needs.kind.is_none_or(|kind| kind == Kind::Rotate) && needs.proved != Some(false) => {
            (needs.kind, needs.proved, needs.idle) = (Some(Kind::Rotate), Some(true), Some(true));
        }
        _ => {}
    }
}

fn towards(needs: &mut Needs, way: Way, step: &'static str, dice: &mut fastrand::Rng) {
    match way {
        Way::Ahead => ahead(needs, step, dice),
        Way::Back => back(needs, step, dice),
        Way::Leak => leak(needs, step, dice),
    }
}

fn rotates(needs: &mut Needs) {
    (needs.kind, needs.proved) = (Some(Kind::Rotate), Some(true));
}

/// A create that is lost and settled by reading.
fn loses_a_create(needs: &mut Needs, left: bool, dice: &mut fastrand::Rng) {
    needs.ambiguity = Some(one(dice, &[Ambiguity::Listable, Ambiguity::Listable, Ambiguity::Unnamed]));
    let fault = if left { one(dice, &[Fault::ResetAfter, Fault::Unreadable, Fault::BrokenAfter]) } else { Fault::ResetBefore };
    needs.script.push(at_call("create", Op::Create, fault));
}

/// What a step needs on any way.
fn before(needs: &mut Needs, step: &'static str, dice: &mut fastrand::Rng) {
    let script = &mut needs.script;
    match step {
        "settle" => {
            let left = dice.bool();
            loses_a_create(needs, left, dice);
        }
        "sweep" => loses_a_create(needs, false, dice),
        "delete stray" => loses_a_create(needs, true, dice),
        "discard new" => script.push(at_record("did create", Fault::CrashAfter)),
        "promoted" => script.push(at_call("promote", Op::Write, one(dice, &[Fault::ResetBefore, Fault::ResetAfter]))),
        "fence" => script.push(at_call("promote", Op::Write, Fault::CrashBefore)),
        "fenced" => {
            script.push(at_call("promote", Op::Write, Fault::CrashBefore));
            script.push(at_call("fence", Op::Write, one(dice, &[Fault::ResetBefore, Fault::ResetAfter])));
        }
        "rolled new" => script.push(at_call("rollout new", Op::Roll, one(dice, &[Fault::ResetBefore, Fault::ResetAfter]))),
        "restored" => script.push(at_call("restore", Op::Write, one(dice, &[Fault::ResetBefore, Fault::ResetAfter]))),
        "rolled old" => script.push(at_call("rollout old", Op::Roll, one(dice, &[Fault::ResetBefore, Fault::ResetAfter]))),
        _ => {}
    }
    needs.rolls |= step.starts_with("roll");
    if matches!(step, "fence" | "fenced" | "promoted") && needs.kind == Some(Kind::Install) {
        needs.kind = None;
    }
    if matches!(step, "fence" | "fenced") {
        needs.kind = Some(Kind::Rotate);
    }
}

fn ahead(needs: &mut Needs, step: &'static str, dice: &mut fastrand::Rng) {
    before(needs, step, dice);
    match step {
        "unused" | "idle" => {
            rotates(needs);
            needs.idle = Some(true);
        }
        "disable" | "watched" | "soak" => {
            rotates(needs);
            needs.disables = Some(true);
        }
        "grace" | "everyone new" | "delete old" | "dead old" => rotates(needs),
        _ => {}
    }
}

fn back(needs: &mut Needs, step: &'static str, dice: &mut fastrand::Rng) {
    use Incident::AskRollback;
    rotates(needs);
    match step {
        "enable" => {
            needs.disables = Some(true);
            needs.script.push(beside("watched", one(dice, &[Incident::FallsIll, Incident::Hangs, Incident::Vanishes])));
        }
        "create" => {
            needs.ambiguity = Some(Ambiguity::Replayed);
            needs.script.push(at_call("create", Op::Create, one(dice, &[Fault::ResetBefore, Fault::ResetAfter])));
            needs.script.push(while_calling("create", Op::Create, AskRollback));
        }
        "settle" | "delete stray" => {
            before(needs, step, dice);
            needs.script.push(while_calling("create", Op::Create, AskRollback));
        }
        "discard new" => needs.script.push(beside("live", AskRollback)),
        "fence" | "fenced" => {
            needs.script.push(beside("fence", AskRollback));
            before(needs, step, dice);
        }
        _ => {
            before(needs, step, dice);
            let at = if step.starts_with("roll") {
                one(dice, &["consumer", "grace", "everyone new"])
            } else {
                one(dice, &["promote", "converged", "consumer", "grace", "stores new"])
            };
            if dice.u8(0..3) == 0 && at != "promote" && at != "converged" {
                needs.hold = Some(false);
                needs.script.push(beside("consumer", one(dice, &[Incident::FallsIll, Incident::Sticks])));
            }
            needs.script.push(beside(at, AskRollback));
        }
    }
}

fn leak(needs: &mut Needs, step: &'static str, dice: &mut fastrand::Rng) {
    rotates(needs);
    let old = one(dice, &LEAKS_OLD);
    match step {
        "restore" | "restored" | "rollout old" | "rolled old" | "everyone old" | "dead new" => {
            before(needs, step, dice);
            let at = if step.starts_with("roll") { "grace" } else { one(dice, &["converged", "consumer", "grace", "everyone new"]) };
            needs.script.push(beside(at, one(dice, &[Incident::LeakNew, Incident::LeakNewNow])));
        }
        "delete new" => needs
            .script
            .push(beside(one(dice, &["consumer", "grace", "everyone new"]), one(dice, &[Incident::LeakNew, Incident::LeakNewNow]))),
        "delete former" => needs.script.push(beside(one(dice, &["consumer", "grace", "everyone new"]), Incident::LeakBoth)),
        "revoke" => {
            needs.script.push(beside("consumer", Incident::LeakOld));
            needs.script.push(beside("everyone new", Incident::Hangs));
            needs.hasty = true;
        }
        "fence" | "fenced" | "promoted" | "settle" | "delete stray" | "sweep" | "discard new" => {
            before(needs, step, dice);
            if dice.bool() {
                needs.leaked_first = true;
            } else {
                needs.script.push(beside("create", old));
            }
        }
        _ => {
            before(needs, step, dice);
            if dice.u8(0..3) == 0 {
                needs.leaked_first = true;
            } else {
                let late = matches!(step, "everyone new" | "dead old" | "stores new" | "delete old");
                let at = if late { one(dice, &["live", "promote", "consumer", "grace"]) } else { one(dice, &["create", "live"]) };
                needs.script.push(beside(at, old));
            }
        }
    }
}

/// What a call of a step needs beyond the step.
fn for_call(needs: &mut Needs, step: &'static str, op: Op, dice: &mut fastrand::Rng) {
    match op {
        // Again and again: what is really deleted is not listed.
        Op::List if step.starts_with("delete") || step == "discard new" => {
            needs.script.extend([at_call(step, Op::Delete, Fault::NotFound); 4]);
        }
        Op::List if matches!(step, "disable" | "enable") => needs.script.extend([at_call(step, Op::Switch, Fault::NotFound); 4]),
        // Without names the stores are asked what they hold.
        Op::Read | Op::Identify if matches!(step, "settle" | "sweep") => needs.ambiguity = Some(Ambiguity::Unnamed),
        // The value is gone from the stores: the listing is asked.
        Op::List if step.starts_with("dead") => needs.script.push(beside(step, Incident::Forgets)),
        Op::ReadAt if matches!(step, "consumer" | "everyone new") => {
            needs.says = Some(Says::Sha256);
            needs.script.push(at_record("did promote", Fault::CrashAfter));
        }
        Op::Read if step == "converged" => {
            needs.script.push(beside("converged", Incident::ForeignField));
            needs.single = true;
        }
        Op::StoreClock => needs.store_clock = true,
        Op::JournalClock => needs.journal_clock = true,
        _ => {}
    }
    let _ = dice;
}

fn for_record(needs: &mut Needs, way: Way, kind: &'static str, dice: &mut fastrand::Rng) {
    match kind {
        "resumed" => {
            towards(
                needs,
                way,
                one(
                    dice,
                    match way {
                        Way::Ahead => &["create", "consumer", "grace"],
                        Way::Back => &["restore", "everyone old", "stale"],
                        Way::Leak => &["live", "promote", "dead old"],
                    },
                ),
                dice,
            );
            needs.script.push(at_record(
                match way {
                    Way::Ahead => "did promote",
                    Way::Back => "did restore",
                    Way::Leak => "saw converged",
                },
                Fault::CrashAfter,
            ));
        }
        "asked" => {
            towards(
                needs,
                way,
                one(
                    dice,
                    match way {
                        Way::Ahead => &["consumer", "grace"],
                        Way::Back => &["everyone old", "stale"],
                        Way::Leak => &["everyone new"],
                    },
                ),
                dice,
            );
            needs.script.push(beside(
                match way {
                    Way::Ahead => "converged",
                    Way::Back => "everyone old",
                    Way::Leak => "everyone new",
                },
                one(dice, &[Incident::AskWaive, Incident::AskAmend]),
            ));
        }
        "gated" => {
            rotates(needs);
            needs.script.push(beside(one(dice, &["live", "converged", "grace"]), Incident::Freeze));
        }
        _ => {
            let (verb, step) = kind.split_once(' ').unwrap();
            towards(needs, way, step, dice);
            let op = match step {
                "create" => Op::Create,
                "promote" | "fence" | "restore" => Op::Write,
                "disable" | "enable" => Op::Switch,
                step if step.starts_with("rollout") => Op::Roll,
                _ => Op::Delete,
            };
            match verb {
                "lost" => needs.script.push(at_call(step, op, one(dice, &[Fault::ResetBefore, Fault::HangAfter, Fault::BrokenBefore]))),
                "refused" => needs.script.push(at_call(step, op, one(dice, &[Fault::Denied, Fault::Conflict]))),
                "did" if step == "create" && way == Way::Back => {}
                _ => {}
            }
            needs.rolls |= step.starts_with("roll");
        }
    }
}
