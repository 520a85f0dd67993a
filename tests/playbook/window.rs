//! Windows: what is read, what is printed, and when they open, over changes of the clock too.

use chrono::{DateTime, TimeDelta, Utc};
use keyroll::playbook::{Playbook, Window};
use proptest::prelude::*;

use super::{FULL, source};

fn window(text: &str) -> Window {
    text.parse().unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn one_form_is_printed_for_all_that_are_read() {
    for (read, printed) in [
        ("Mon-Thu 09:00-16:00 Europe/Berlin", "Mon-Thu 09:00-16:00 Europe/Berlin"),
        ("9:00-16:00", "09:00-16:00 UTC"),
        ("mon,WED,Friday 09:00-16:00 UTC", "Mon,Wed,Fri 09:00-16:00 UTC"),
        ("Fri-Mon 22:00-04:00 America/New_York", "Mon,Fri-Sun 22:00-04:00 America/New_York"),
        ("Mon 09:00-12:00, Tue 10:00-12:00 Europe/Berlin", "Mon 09:00-12:00, Tue 10:00-12:00 Europe/Berlin"),
        ("Mon 09:00-12:00 Asia/Tokyo, Tue 10:00-12:00", "Mon 09:00-12:00, Tue 10:00-12:00 Asia/Tokyo"),
        ("00:00-24:00 UTC", "00:00-24:00 UTC"),
    ] {
        assert_eq!(window(read).to_string(), printed, "{read}");
    }
}

#[test]
fn a_playbook_has_one_or_a_list_of_them() {
    let book = |text: &str| Playbook::parse(source(text)).unwrap_or_else(|faults| panic!("{faults:?}")).window;
    let line = "window: \"Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin\"";
    let one = book(FULL).unwrap();
    assert_eq!(one.to_string(), "Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin");
    let list = "window: [\"Mon-Thu 09:00-16:00 Europe/Berlin\", \"Fri 09:00-12:00 Europe/Berlin\"]";
    assert_eq!(book(&FULL.replace(line, list)).unwrap(), one);
    assert_eq!(book(&FULL.replace(line, "")), None);
}

/// Each: a window, a moment, and the first moment from then on when it is open.
#[test]
fn it_opens_when_the_wall_clock_says_so() {
    for (text, from, opens) in [
        ("Mon-Thu 09:00-16:00 Europe/Berlin", "2026-11-20T12:00:00Z", "2026-11-23T08:00:00Z"),
        ("Mon-Thu 09:00-16:00 Europe/Berlin", "2026-11-23T14:59:59Z", "2026-11-23T14:59:59Z"),
        ("Mon-Thu 09:00-16:00 Europe/Berlin", "2026-11-23T15:00:00Z", "2026-11-24T08:00:00Z"),
        // Over midnight: it began on Friday, so it is open on Saturday morning.
        ("Fri 22:00-04:00 UTC", "2026-11-21T03:59:00Z", "2026-11-21T03:59:00Z"),
        ("Fri 22:00-04:00 UTC", "2026-11-21T04:00:00Z", "2026-11-27T22:00:00Z"),
        // 29 March 2026: 02:00 becomes 03:00 in Berlin. What begins in between opens at the change ...
        ("02:30-04:00 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
        // ... and what lies in between is not there on that day.
        ("02:15-02:45 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-30T00:15:00Z"),
        ("Sun 02:15-02:45 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-04-05T00:15:00Z"),
        // 25 October 2026: 03:00 becomes 02:00. What exists twice is open twice.
        ("02:15-02:45 Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:15:00Z"),
        ("02:15-02:45 Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-25T01:15:00Z"),
        ("01:30-02:30 Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
        // A day that Samoa never had.
        ("Fri 09:00-10:00 Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-05T19:00:00Z"),
    ] {
        assert_eq!(window(text).opens(at(from)), Some(at(opens)), "{text} from {from}");
    }
}

prop_compose! {
    fn slot()(days in prop::sample::subsequence(vec!["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], 0..7),
              from in 0_u32..96, length in 1_u32..96,
              zone in prop::sample::select(vec!["", " UTC", " Europe/Berlin", " America/New_York", " Australia/Lord_Howe", " Asia/Kathmandu"]))
        -> String {
        let clock = |quarter: u32| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
        format!("{} {}-{}{zone}", days.join(","), clock(from), clock((from + length) % 96)).trim().to_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_printed_is_read_as_the_same(slots in prop::collection::vec(slot(), 1..4)) {
        let window = window(&slots.join(", "));
        prop_assert_eq!(window.to_string().parse::<Window>(), Ok(window));
    }

    /// Around every kind of change of the clock: the next opening is open, not before, and nothing is open before it.
    #[test]
    fn the_next_opening_is_the_first_open_moment(
        slots in prop::collection::vec(slot(), 1..3),
        change in prop::sample::select(vec!["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z",
                                            "2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"]),
        quarters in -300_i64..20, seconds in 0_i64..900,
    ) {
        let (window, from) = (window(&slots.join(", ")), at(change) + TimeDelta::minutes(15 * quarters) + TimeDelta::seconds(seconds));
        let opens = window.opens(from).expect("a weekly window opens within two weeks");
        prop_assert!(opens >= from && window.is_open(opens));
        // Windows, zones and changes lie on quarters of an hour: nothing is skipped.
        let mut quarter = from;
        while quarter < opens {
            prop_assert!(!window.is_open(quarter), "open at {quarter} already, before {opens}");
            quarter += TimeDelta::seconds(900 - quarter.timestamp() % 900);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[A-Za-z0-9:, /\\PC-]{0,40}") {
        let _ = text.parse::<Window>();
    }
}
