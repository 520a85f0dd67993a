//! The judges of what was read.

use std::time::Duration;

use keyroll::{
    ids::InstanceId,
    protocol::{Answer, Handed, ILL_PASSES, Jury, Showing, Unfit, fit, left, serves, short},
};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn show(shows: &[Showing]) -> Vec<(InstanceId, Showing)> {
    shows.iter().enumerate().map(|(n, shows)| (InstanceId::new(n.to_string()), *shows)).collect()
}

use Showing::{Nothing, Other, Wanted, WantedButIll};

#[test]
fn everybody_must_prove_it_for_long_enough() {
    let mut jury = Jury::new(secs(30), secs(60));
    assert_eq!(jury.pass(secs(0), &show(&[Wanted, Wanted]), 0), None);
    assert_eq!(jury.pass(secs(29), &show(&[Wanted, Wanted]), 0), None);
    assert_eq!(jury.pass(secs(30), &show(&[Wanted, Wanted]), 0), Some(Answer::Yes));
}

#[test]
fn one_that_falls_back_starts_it_anew() {
    for back in [Other, Nothing, WantedButIll] {
        let mut jury = Jury::new(secs(30), secs(100));
        jury.pass(secs(0), &show(&[Wanted, Wanted]), 0);
        assert_eq!(jury.pass(secs(10), &show(&[Wanted, back]), 0), None);
        assert_eq!(jury.pass(secs(30), &show(&[Wanted, Wanted]), 0), None);
        assert_eq!(jury.pass(secs(60), &show(&[Wanted, Wanted]), 0), Some(Answer::Yes), "{back:?}");
    }
}

#[test]
fn one_that_was_not_found_is_a_miss() {
    let mut jury = Jury::new(secs(0), secs(60));
    assert_eq!(jury.pass(secs(0), &show(&[Wanted]), 1), None);
    assert_eq!(jury.pass(secs(60), &show(&[Wanted]), 1), Some(Answer::No));
}

#[test]
fn a_proof_that_has_begun_may_end_after_the_deadline_and_one_that_has_not_may_not() {
    let mut jury = Jury::new(secs(30), secs(60));
    assert_eq!(jury.pass(secs(59), &show(&[Wanted]), 0), None);
    assert_eq!(jury.pass(secs(61), &show(&[Wanted]), 0), None);
    assert_eq!(jury.pass(secs(89), &show(&[Wanted]), 0), Some(Answer::Yes));
    let mut late = Jury::new(secs(30), secs(60));
    assert_eq!(late.pass(secs(59), &show(&[Other]), 0), None);
    assert_eq!(late.pass(secs(60), &show(&[Other]), 0), Some(Answer::No));
}

#[test]
fn the_same_one_must_be_ill_several_times_in_a_row() {
    assert_eq!(ILL_PASSES, 3);
    let mut jury = Jury::new(secs(30), secs(600));
    let passes =
        [[WantedButIll, Wanted], [WantedButIll, Wanted], [Wanted, WantedButIll], [WantedButIll, WantedButIll], [WantedButIll, Wanted]];
    for (n, shows) in (0..).zip(passes) {
        assert_eq!(jury.pass(secs(n), &show(&shows), 0), None, "pass {n}");
    }
    assert_eq!(jury.pass(secs(9), &show(&[WantedButIll, Wanted]), 0), Some(Answer::Bad));
}

#[test]
fn instances_are_counted_by_distinct_id() {
    let mut shows = show(&[Wanted, Wanted]);
    assert_eq!([short(2, &shows), short(3, &shows), short(1, &shows)], [0, 1, 0]);
    shows[1].0 = shows[0].0.clone();
    assert_eq!(short(2, &shows), 1);
}

/// A clock that jumps can only lengthen a wait (I9).
#[test]
fn the_clock_that_says_the_least_has_passed_is_believed() {
    assert_eq!(left(secs(60), [secs(10), secs(50)]), secs(50));
    assert_eq!(left(secs(60), [secs(61), secs(70)]), secs(0));
    assert_eq!(left(secs(60), []), secs(60));
}

/// Over every combination of facts: nothing but a working key that is listed, new and nobody's is taken, and what is said is so.
#[test]
fn a_value_is_taken_only_where_everything_is_known_of_it() {
    let mut taken = 0;
    for bits in 0..8u8 {
        let [proved, had, before] = std::array::from_fn(|bit| bits & (1 << bit) != 0);
        for works in [None, Some(false), Some(true)] {
            let handed = Handed { proved, had, before, works };
            match fit(handed) {
                Ok(()) => {
                    taken += 1;
                    assert!(proved && !had && !before && works == Some(true), "{handed:?}");
                }
                // A person hears first what is wrong with their key, and only then what nobody could find out about it.
                Err(Unfit::Had) => assert!(had, "{handed:?}"),
                Err(Unfit::Refused) => assert!(!had && works == Some(false), "{handed:?}"),
                Err(Unfit::Unclear) => assert!(!had && works.is_none(), "{handed:?}"),
                Err(Unfit::Unlisted) => assert!(!had && works == Some(true) && !proved, "{handed:?}"),
                Err(Unfit::Before) => assert!(!had && works == Some(true) && proved && before, "{handed:?}"),
            }
        }
    }
    assert_eq!(taken, 1);
}

#[test]
fn a_request_serves_its_purpose_alive_in_time_and_in_pieces_to_its_end() {
    for pieces in [None, Some(None), Some(Some(0)), Some(Some(1)), Some(Some(2))] {
        for alive in [false, true] {
            for took in [9, 10, 11] {
                let said = serves(alive, pieces, secs(took), secs(10));
                let missing = match pieces {
                    _ if !alive => Some("did not serve"),
                    Some(None) => Some("broke off"),
                    Some(Some(0 | 1)) => Some("one piece"),
                    _ => (took == 11).then_some("11000 ms"),
                };
                match (&said, missing) {
                    (Ok(()), None) => {}
                    (Err(said), Some(missing)) if said.contains(missing) => {}
                    _ => panic!("{said:?} of {alive}, {pieces:?}, {took} s"),
                }
            }
        }
    }
}
