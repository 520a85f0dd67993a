//! The table of the coverage: every step, call and record there is, and what can befall each. What is not listed cannot happen;
//! `REASONS` says why. The lists of steps and records are what an exhaustive walk over the protocol reaches, leaks included.

use std::sync::LazyLock;

use super::{
    steps::Way,
    world::fault::{Fault, Incident, Op},
};

/// Where something befalls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Row {
    /// Beside a step.
    Step(Way, &'static str),
    /// At a call of a step.
    Call(Way, &'static str, Op),
    /// At a record.
    Record(Way, &'static str),
    /// At a call of the journal outside of any step.
    Journal(Op),
}

/// What befalls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    Fault(Fault),
    Incident(Incident),
}

/// Each step, its ways (Ahead, Back, Leak) and its calls. A call in brackets is rare, and not asked for.
const STEPS: &str = "\
preflight     A    Check Mark Read List Identify Probe Discover Ask (ReadAt)
create        ABL  Create
settle        ABL  List Read Identify
sweep         ABL  List Read Identify
delete stray  ABL  Delete List
discard new   ABL  Delete List
live          A.L  Probe
promote       A.L  Read Write
promoted      A.L  Read
fence         ABL  Read Write (ReadAt)
fenced        ABL  Read
converged     A.L  Endpoints Read
rollout new   A.L  Roll
rolled new    A.L  Rolled
consumer      A..  Discover Ask ReadAt
grace         A..  StoreClock JournalClock
unused        A..  Usage StoreClock
idle          A..  StoreClock JournalClock
everyone new  A.L  Discover Ask ReadAt
stores new    A.L  Read
disable       A..  Switch List
watched       A..  Discover Ask (ReadAt)
soak          A..  StoreClock JournalClock
delete old    A.L  Delete List
dead old      A.L  ReadAt Probe List (Read)
stop          ABL  -
restore       .BL  Read ReadAt Probe Write
restored      .BL  Read
rollout old   .BL  Roll
rolled old    .BL  Rolled
everyone old  .BL  Discover Ask (ReadAt)
stale         .B.  StoreClock JournalClock
stores old    .B.  Read
delete new    .BL  Delete List
dead new      ..L  ReadAt Probe List (Read)
enable        .B.  Switch List
delete former ..L  Delete List
revoke        ..L  -
";

/// Why a step is not on a way.
pub const REASONS: &str = "\
no way back and no leak before there is a rotation: preflight
an emergency waits for no proof of one consumer, no grace, no idle time, no disable and no soak: consumer grace unused idle disable watched soak enable
the way back has no new key to try, write or prove: live promote promoted converged rollout new, rolled new, everyone new, stores new
the way ahead restores nothing, and proves nothing of the old key: restore restored rollout old, rolled old, everyone old, stores old, stale
a restored store is read as part of the proof that an emergency does without: stores old, stale
a new key that a store served is deleted only on the way back, or because it leaked: delete new
only a new key that leaked must be seen dead: dead new
the way back never touches the old key: delete old, dead old
a key is given up only because of a leak: delete former
only a leaked key has a time: revoke
on the way back a disabled key is only switched on: enable disable
";

/// Each kind of record and the ways on which it is written.
const RECORDS: &str = "\
resumed              ABL
asked                ABL
gated                A..
intended create      A.L
did create           ABL
refused create       ABL
lost create          ABL
saw settle           ABL
saw sweep            ABL
intended delete stray ABL
did delete stray     ABL
refused delete stray ABL
lost delete stray    ABL
intended discard new ABL
did discard new      ABL
refused discard new  ABL
lost discard new     ABL
saw live             A.L
intended promote     A.L
did promote          A.L
refused promote      A.L
lost promote         A.L
saw promoted         A.L
intended fence       ABL
did fence            ABL
refused fence        ABL
lost fence           ABL
saw fenced           ABL
saw converged        A.L
intended rollout new A.L
did rollout new      A.L
refused rollout new  A.L
lost rollout new     A.L
saw rolled new       A.L
saw consumer         A..
parked grace         A..
waited grace         A..
saw unused           A..
parked idle          A..
waited idle          A..
saw everyone new     A.L
saw stores new       A.L
intended disable     A..
did disable          A..
refused disable      A..
lost disable         A..
saw watched          A..
parked soak          A..
waited soak          A..
intended delete old  A.L
did delete old       A.L
refused delete old   A.L
lost delete old      A.L
saw dead old         A.L
intended restore     .BL
did restore          .BL
refused restore      .BL
lost restore         .BL
saw restored         .BL
intended rollout old .BL
did rollout old      .BL
refused rollout old  .BL
lost rollout old     .BL
saw rolled old       .BL
saw everyone old     .BL
parked stale         .B.
waited stale         .B.
saw stores old       .B.
intended delete new  .BL
did delete new       .BL
refused delete new   .BL
lost delete new      .BL
saw dead new         ..L
intended enable      .B.
did enable           .B.
refused enable       .B.
lost enable          .B.
intended delete former ..L
did delete former    ..L
refused delete former ..L
lost delete former   ..L
waited revoke        ..L
";

fn ways(text: &str) -> Vec<Way> {
    let way = |letter| match letter {
        'A' => Some(Way::Ahead),
        'B' => Some(Way::Back),
        'L' => Some(Way::Leak),
        _ => None,
    };
    text.chars().filter_map(way).collect()
}

/// A line's name, ways and rest.
fn line(text: &'static str) -> (&'static str, Vec<Way>, &'static str) {
    let marks = |word: &&str| word.chars().all(|letter| "ABL.".contains(letter));
    let word = text.split_whitespace().find(marks).unwrap();
    let (name, rest) = text.split_once(&format!(" {word}")).unwrap();
    (name.trim(), ways(word), rest.trim())
}

fn op(word: &str) -> Op {
    use Op::*;
    const ALL: [Op; 21] = [
        Check,
        List,
        Identify,
        Create,
        Delete,
        Probe,
        Switch,
        Usage,
        Read,
        ReadAt,
        Write,
        Endpoints,
        Mark,
        StoreClock,
        Discover,
        Ask,
        Roll,
        Rolled,
        JournalClock,
        Collect,
        Take,
    ];
    *ALL.iter().find(|op| format!("{op:?}") == word).unwrap_or_else(|| panic!("no call {word}"))
}

/// Every row, and whether it is rare.
pub fn rows() -> Vec<(Row, bool)> {
    let mut rows = Vec::new();
    for (name, ways, ops) in STEPS.lines().map(line) {
        for way in ways {
            rows.push((Row::Step(way, name), false));
            for word in ops.split_whitespace().filter(|word| *word != "-") {
                let rare = word.starts_with('(');
                rows.push((Row::Call(way, name, op(word.trim_matches(['(', ')']))), rare));
            }
            if name != "preflight" {
                rows.push((Row::Call(way, name, Op::Collect), false));
            }
        }
    }
    rows.extend(RECORDS.lines().map(line).flat_map(|(name, ways, _)| ways.into_iter().map(move |way| (Row::Record(way, name), false))));
    rows.extend([Op::Open, Op::Take, Op::Records, Op::Decrees, Op::Asked].map(|op| (Row::Journal(op), false)));
    rows
}

/// Every row with a few of its columns at a time: what one run strikes.
pub fn targets() -> &'static [(Row, Vec<What>)] {
    static TARGETS: LazyLock<Vec<(Row, Vec<What>)>> = LazyLock::new(|| {
        let few = |(row, _): (Row, bool)| columns(row).chunks(3).map(|few| (row, few.to_vec())).collect::<Vec<_>>();
        rows().into_iter().flat_map(few).collect()
    });
    &TARGETS
}

/// Every cell that is asked for.
pub fn cells() -> &'static [(Row, What)] {
    static CELLS: LazyLock<Vec<(Row, What)>> = LazyLock::new(|| {
        let asked = rows().into_iter().filter(|(_, rare)| !rare);
        asked.flat_map(|(row, _)| columns(row).into_iter().map(move |what| (row, what))).collect()
    });
    &CELLS
}

/// The table's own text of a record's kind.
pub fn known_record(text: &str) -> Option<&'static str> {
    RECORDS.lines().map(|text| line(text).0).find(|name| *name == text)
}

/// Everything that can befall a row.
pub fn columns(row: Row) -> Vec<What> {
    let faults: &[Fault] = match row {
        Row::Step(_, step) => return incidents(step).map(What::Incident).collect(),
        Row::Call(_, _, op) | Row::Journal(op) => faults(op),
        Row::Record(..) => faults(Op::Append),
    };
    faults.iter().copied().map(What::Fault).collect()
}

/// What can befall one kind of call.
pub fn faults(op: Op) -> &'static [Fault] {
    use Fault::*;
    match op {
        Op::Create => &[
            Denied,
            NotFound,
            Conflict,
            Quota,
            TooMany,
            Unreachable,
            BrokenBefore,
            BrokenAfter,
            ResetBefore,
            ResetAfter,
            HangBefore,
            HangAfter,
            Unreadable,
            Late,
            CrashBefore,
            CrashAfter,
            Stall,
        ],
        Op::Delete | Op::Switch | Op::Write | Op::Roll => &[
            Denied,
            NotFound,
            Conflict,
            TooMany,
            Unreachable,
            BrokenBefore,
            BrokenAfter,
            ResetBefore,
            ResetAfter,
            HangBefore,
            HangAfter,
            Unreadable,
            Late,
            CrashBefore,
            CrashAfter,
            Stall,
        ],
        Op::Read | Op::List => &[
            Denied,
            NotFound,
            TooMany,
            Unreachable,
            BrokenBefore,
            ResetBefore,
            HangBefore,
            Unreadable,
            Stale,
            CrashBefore,
            CrashAfter,
            Stall,
        ],
        Op::Check
        | Op::Identify
        | Op::Probe
        | Op::Usage
        | Op::ReadAt
        | Op::Endpoints
        | Op::Mark
        | Op::StoreClock
        | Op::Discover
        | Op::Ask
        | Op::Rolled => {
            &[Denied, NotFound, TooMany, Unreachable, BrokenBefore, ResetBefore, HangBefore, Unreadable, CrashBefore, CrashAfter, Stall]
        }
        Op::Open | Op::Append => &[DownBefore, DownAfter, CrashBefore, CrashAfter, Stall],
        Op::Take | Op::Records | Op::Collect | Op::Asked | Op::JournalClock => &[DownBefore, CrashBefore, CrashAfter, Stall],
        // Whoever looks for freezes beside the work is not the one who is stopped.
        Op::Decrees => &[DownBefore],
    }
}

/// What can happen beside a step.
fn incidents(step: &str) -> impl Iterator<Item = Incident> {
    use Incident::*;
    const WORLD: &[Incident] = &[
        WallForward,
        WallBack,
        StoreClockForward,
        StoreClockBack,
        ThirdWriter,
        ForeignField,
        ForeignKey,
        DeletedByHand,
        ReplicaBehind,
        SlowProvider,
        Restarts,
        Sticks,
        Lies,
        Flaps,
        Vanishes,
        Appears,
        Hangs,
        FallsIll,
        Freeze,
        Forgets,
    ];
    const PEOPLE: &[Incident] = &[AskRollback, AskAmend, AskWaive, AskGoOn, LeakOld, LeakNew, LeakBoth, LeakOldNow, LeakNewNow];
    let people = if step == "preflight" { &[] } else { PEOPLE };
    WORLD.iter().chain(people).copied()
}
