//! The coverage, as tables: what befell which step, and how often; nothing that can happen may be missing.

use std::collections::BTreeSet;

use super::{
    cells::{REASONS, Row, What, cells, columns, rows},
    fate::Counts,
    world::fault::{Fault, Incident, Op},
};

/// Prints the tables; what is missing in them, or should not be there.
pub fn report(counts: &Counts) -> Vec<String> {
    let known = rows();
    let faults: Vec<What> = heads(&known, |row| matches!(row, Row::Call(..) | Row::Journal(_)));
    let deaths: Vec<What> = heads(&known, |row| matches!(row, Row::Record(..)));
    let (mut world, mut people): (Vec<What>, Vec<What>) = (Vec::new(), Vec::new());
    for head in heads(&known, |row| matches!(row, Row::Step(..))) {
        let asked = matches!(head, What::Incident(incident) if format!("{incident:?}").starts_with("Ask") || format!("{incident:?}").starts_with("Leak"));
        if asked { people.push(head) } else { world.push(head) }
    }
    let of = |picks: fn(&Row) -> bool| known.iter().map(|(row, _)| *row).filter(picks).collect::<Vec<_>>();
    table("what befell each call", &of(|row| matches!(row, Row::Call(..) | Row::Journal(_))), &faults, counts);
    table("what befell each record", &of(|row| matches!(row, Row::Record(..))), &deaths, counts);
    table("what happened beside each step", &of(|row| matches!(row, Row::Step(..))), &world, counts);
    table("what people asked for beside each step", &of(|row| matches!(row, Row::Step(..))), &people, counts);
    println!("\nA dot: that cannot befall such a call. A step is not on a way where\n{REASONS}");
    let mut wrong: Vec<String> =
        missing(counts).into_iter().map(|(_, row, what)| format!("{} was never struck by {}", name(row), head(what))).collect();
    let cells: usize = known.iter().map(|(row, _)| columns(*row).len()).sum();
    let listed: BTreeSet<Row> = known.iter().map(|(row, _)| *row).collect();
    wrong.extend(counts.visits.keys().filter(|row| !listed.contains(row)).map(|row| format!("{} is not in the table", name(*row))));
    println!("{} rows, {cells} cells that can happen, {} struck", known.len(), counts.struck.len());
    wrong
}

/// The cells that were never struck, with their places among all.
pub fn missing(counts: &Counts) -> Vec<(usize, Row, What)> {
    let struck = |row: Row, what: What| counts.struck.get(&(row, what)).is_some_and(|count| *count > 0);
    cells().iter().enumerate().filter(|(_, (row, what))| !struck(*row, *what)).map(|(place, (row, what))| (place, *row, *what)).collect()
}

fn heads(known: &[(Row, bool)], picks: fn(&Row) -> bool) -> Vec<What> {
    let all: BTreeSet<What> = known.iter().filter(|(row, _)| picks(row)).flat_map(|(row, _)| columns(*row)).collect();
    all.into_iter().collect()
}

fn table(title: &str, rows: &[Row], heads: &[What], counts: &Counts) {
    println!("\n{title}");
    print!("{:34}", "");
    heads.iter().for_each(|what| print!("{:>6}", head(*what)));
    println!();
    for row in rows {
        print!("{:34}", name(*row));
        let columns = columns(*row);
        for what in heads {
            let count = counts.struck.get(&(*row, *what)).copied().unwrap_or_default();
            if columns.contains(what) { print!("{count:>6}") } else { print!("{:>6}", "·") }
        }
        println!();
    }
}

fn name(row: Row) -> String {
    match row {
        Row::Step(way, step) => format!("{way:?} {step}"),
        Row::Call(way, step, Op::Collect) => format!("{way:?} {step}, before it"),
        Row::Call(way, step, op) => format!("{way:?} {step}: {op:?}"),
        Row::Record(way, kind) => format!("{way:?} {kind}"),
        Row::Journal(op) => format!("journal: {op:?}"),
    }
}

/// A column in five letters.
fn head(what: What) -> &'static str {
    use Fault::*;
    use Incident::*;
    match what {
        What::Fault(fault) => match fault {
            None => "-",
            Denied => "403",
            NotFound => "404",
            Conflict => "409",
            Quota => "full",
            TooMany => "429",
            Unreachable => "ref",
            BrokenBefore => "5xx-",
            BrokenAfter => "5xx+",
            ResetBefore => "cut-",
            ResetAfter => "cut+",
            HangBefore => "hang-",
            HangAfter => "hang+",
            Unreadable => "2xx?",
            Late => "late",
            Stale => "stale",
            CrashBefore => "kill-",
            CrashAfter => "kill+",
            Stall => "still",
            DownBefore => "down-",
            DownAfter => "down+",
        },
        What::Incident(incident) => match incident {
            WallForward => "wall+",
            WallBack => "wall-",
            StoreClockForward => "date+",
            StoreClockBack => "date-",
            ThirdWriter => "third",
            ForeignField => "field",
            ForeignKey => "key",
            DeletedByHand => "hand",
            ReplicaBehind => "repl",
            SlowProvider => "slow",
            Restarts => "start",
            Sticks => "stuck",
            Lies => "lies",
            Flaps => "flaps",
            Vanishes => "gone",
            Appears => "new",
            Hangs => "hangs",
            FallsIll => "ill",
            Freeze => "froze",
            Forgets => "forgt",
            AskRollback => "back",
            AskAmend => "amend",
            AskWaive => "waive",
            AskGoOn => "go on",
            LeakOld => "old",
            LeakNew => "new",
            LeakBoth => "both",
            LeakOldNow => "old!",
            LeakNewNow => "new!",
        },
    }
}
