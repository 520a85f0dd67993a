//! What a lost create left, judged from a listing.

use keyroll::{
    ids::KeyId,
    protocol::{Candidate, Leftover, settle},
};

/// A key that appeared in time, that nobody used and no store holds.
fn fits(id: &KeyId) -> Candidate<'_> {
    Candidate { id, named_ours: false, known: false, made_since: Some(true), used: false, held: false }
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
    let doubtful = [
        Candidate { used: true, ..fits(&a) },
        Candidate { held: true, ..fits(&a) },
        Candidate { made_since: Some(false), ..fits(&a) },
        Candidate { made_since: None, ..fits(&a) },
    ];
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
