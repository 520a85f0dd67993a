//! What a lost create left, judged from a listing.

use chrono::{DateTime, TimeDelta, Utc};
use keyroll::{
    ids::KeyId,
    protocol::{Candidate, Leftover, Made, made, settle},
};

/// A key that appeared in time, that nobody used and no store holds.
fn fits(id: &KeyId) -> Candidate<'_> {
    Candidate { id, named_ours: false, known: false, made: Made::Meanwhile, used: false, held: false }
}

fn ids() -> [KeyId; 3] {
    ["a", "b", "c"].map(KeyId::new)
}

#[test]
fn where_names_are_listed_only_ours_counts() {
    let [a, b, _] = &ids();
    let theirs = Candidate { named_ours: false, ..fits(a) };
    let ours = Candidate { named_ours: true, used: true, ..fits(b) };
    assert_eq!(settle([theirs, ours], &[], 0, true), Leftover::Stray(b.clone()));
    assert_eq!(settle([theirs, ours], std::slice::from_ref(b), 1, true), Leftover::Nothing, "it is known already");
}

#[test]
fn without_names_a_key_must_fit_in_everything() {
    let [a, ..] = ids();
    let alone = |candidate| settle([candidate], &[], 1, false);
    assert_eq!(alone(fits(&a)), Leftover::Stray(a.clone()));
    assert_eq!(alone(Candidate { known: true, ..fits(&a) }), Leftover::Nothing);
    assert_eq!(alone(Candidate { made: Made::Before, ..fits(&a) }), Leftover::Nothing);
    let doubtful =
        [Candidate { used: true, ..fits(&a) }, Candidate { held: true, ..fits(&a) }, Candidate { made: Made::Unknown, ..fits(&a) }];
    for candidate in doubtful {
        assert_eq!(alone(candidate), Leftover::Unclear(a.clone()), "{candidate:?}");
    }
}

#[test]
fn without_names_no_more_keys_are_ours_than_creates_were_lost() {
    let [a, b, c] = ids();
    let two = [fits(&a), fits(&b)];
    assert_eq!(settle(two, &[], 2, false), Leftover::Stray(a.clone()));
    assert_eq!(settle(two, &[], 1, false), Leftover::Unclear(a.clone()), "nobody can tell which of them");
    assert_eq!(settle(two, &[], 0, false), Leftover::Unclear(a.clone()), "all of ours were found before");
    assert_eq!(settle([fits(&a), Candidate { used: true, ..fits(&c) }], &[], 1, false), Leftover::Stray(a));
}

/// A clock that is fast or slow by minutes never makes a key of ours look like somebody else's from before; it puts it in doubt.
#[test]
fn an_age_counts_only_beyond_what_clocks_may_differ() {
    let first = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    let last = first + TimeDelta::seconds(90);
    let at = |seconds| made(Some(first + TimeDelta::seconds(seconds)), Some(first), last);
    assert_eq!([at(-901), at(-900), at(-2)], [Made::Before, Made::Unknown, Made::Unknown]);
    assert_eq!([at(-1), at(0), at(91)], [Made::Meanwhile; 3]);
    assert_eq!([at(92), at(86_400)], [Made::Unknown; 2], "made when none of ours can land any more");
    assert_eq!([made(None, Some(first), last), made(Some(first), None, last)], [Made::Unknown; 2]);
}
