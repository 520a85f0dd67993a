//! Windows against an oracle that shares no code with them: another library's clock (jiff, with its own copy of the time zone
//! database), and a table of the week's minutes that is painted by hand.

use std::sync::OnceLock;

use chrono::{DateTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use jiff::{Timestamp, tz::TimeZone};
use keyroll::playbook::Window;
use proptest::prelude::*;

const WEEK: usize = 7 * 1440;

/// Days, begin and end in minutes, and a zone.
#[derive(Clone, Debug)]
struct Painted {
    days: Vec<usize>,
    from: usize,
    to: usize,
    zone: &'static str,
}

impl Painted {
    fn text(&self) -> String {
        const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days: Vec<_> = self.days.iter().map(|day| NAMES[*day]).collect();
        let clock = |minute: usize| format!("{:02}:{:02}", minute / 60, minute % 60);
        format!("{} {}-{} {}", days.join(","), clock(self.from), clock(self.to), self.zone)
    }

    /// The minutes of a week in which it is open, by the wall clock.
    fn table(&self) -> Vec<bool> {
        let mut table = vec![false; WEEK];
        let length = if self.to > self.from { self.to - self.from } else { self.to + 1440 - self.from };
        for day in &self.days {
            for minute in 0..length {
                // What goes over midnight belongs to the next day; a week goes round.
                let open = day * 1440 + self.from + minute;
                table[open % WEEK] = true;
            }
        }
        table
    }
}

/// Zones of which both libraries tell the same: their copies of the database are of different years, and history is corrected at times.
fn zones() -> &'static [(&'static str, TimeZone)] {
    static ZONES: OnceLock<Vec<(&'static str, TimeZone)>> = OnceLock::new();
    ZONES.get_or_init(|| {
        let both = TZ_VARIANTS.iter().filter_map(|zone| Some((*zone, TimeZone::get(zone.name()).ok()?)));
        both.filter(|(ours, oracle)| agree(*ours, oracle)).map(|(zone, oracle)| (zone.name(), oracle)).collect()
    })
}

/// Around each change that the oracle knows, and in each week.
fn agree(ours: Tz, oracle: &TimeZone) -> bool {
    let changes = changes(oracle).into_iter().flat_map(|at| [at - 1, at]);
    changes.chain((631_152_000..1_704_067_200).step_by(WEEK * 60)).all(|at| {
        let offset = ours.offset_from_utc_datetime(&moment(at).naive_utc()).fix().local_minus_utc();
        oracle.to_offset(Timestamp::from_second(at).expect("in range")).seconds() == offset
    })
}

fn changes(zone: &TimeZone) -> Vec<i64> {
    let from: Timestamp = "1990-01-01T00:00:00Z".parse().expect("a time");
    let until: Timestamp = "2024-01-01T00:00:00Z".parse().expect("a time");
    zone.following(from).map(|change| change.timestamp()).take_while(|at| *at < until).map(Timestamp::as_second).collect()
}

fn open(tables: &[(Vec<bool>, &TimeZone)], at: i64) -> bool {
    let at = Timestamp::from_second(at).expect("in range");
    tables.iter().any(|(table, zone)| {
        let local = zone.to_datetime(at);
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).expect("a day");
        table[day * 1440 + usize::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).expect("a minute")]
    })
}

fn moment(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(at, 0).expect("in range")
}

prop_compose! {
    fn painted()(days in prop::sample::subsequence((0..7).collect::<Vec<usize>>(), 1..7), from in 0..1440_usize, length in 1..1440_usize,
                 night in any::<bool>(), zone in 0..zones().len()) -> Painted {
        // Half of them where clocks are changed: in the small hours.
        let from = if night { from % 300 } else { from };
        let length = if night { 1 + length % 120 } else { length };
        Painted { days, from, to: (from + length) % 1440, zone: zones()[zone].0 }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn it_is_open_and_opens_when_the_oracle_says_so(
        slots in prop::collection::vec(painted(), 1..3), of in any::<prop::sample::Index>(), before in 0..3 * 86_400_i64, after in 0..2 * 86_400_i64,
    ) {
        let text = slots.iter().map(Painted::text).collect::<Vec<_>>().join(", ");
        let window: Window = text.parse().expect("a window");
        let zone = |name: &str| &zones().iter().find(|(known, _)| *known == name).expect("a zone").1;
        let tables: Vec<_> = slots.iter().map(|slot| (slot.table(), zone(slot.zone))).collect();
        let changes = changes(zone(slots[0].zone));
        let change = if changes.is_empty() { 1_700_000_000 } else { changes[of.index(changes.len())] };
        for at in (change - 7200..change + 7200).step_by(59).chain([change - 1, change, change + after]) {
            prop_assert_eq!(window.is_open(moment(at)), open(&tables, at), "{} at {}", &text, moment(at));
        }
        let from = change - before;
        let mut first = from;
        while !open(&tables, first) && first < from + 14 * 86_400 {
            first = (first.div_euclid(60) + 1) * 60;
        }
        if first < from + 14 * 86_400 {
            prop_assert_eq!(window.opens(moment(from)), Some(moment(first)), "{} from {}", &text, moment(from));
        }
    }
}

#[test]
fn the_oracle_knows_nearly_every_zone_and_their_changes() {
    assert!(zones().len() * 100 >= TZ_VARIANTS.len() * 95, "{} of {} zones", zones().len(), TZ_VARIANTS.len());
    assert!(zones().iter().filter(|(_, zone)| changes(zone).len() > 10).count() > 200);
}
