//! What may be deleted outside of any rotation, over every combination of facts (I3).

use keyroll::protocol::{Because, Fate, Seen, Traces, fate, suspect, together};

const SEEN: [Seen; 3] = [Seen::Yes, Seen::No, Seen::Unclear];

fn all() -> Vec<Traces> {
    let mut all = Vec::new();
    for bits in 0..64u8 {
        for current in SEEN {
            for older in SEEN {
                let bit = |at: u8| bits & (1 << at) != 0;
                all.push(Traces {
                    open: bit(0),
                    tombstoned: bit(1),
                    intended: bit(2),
                    recorded: bit(3),
                    used: bit(4),
                    kept: bit(5),
                    current,
                    older,
                });
            }
        }
    }
    all
}

#[test]
fn a_key_is_deleted_only_where_i3_allows_it() {
    let mut deletes = 0;
    for key in all() {
        let Fate::Delete(because) = fate(&key) else { continue };
        deletes += 1;
        assert!(!key.open, "an open rotation looks after its own: {key:?}");
        assert_eq!(key.current, Seen::No, "nobody may be about to read it: {key:?}");
        match because {
            Because::Tombstoned => assert!(key.tombstoned, "{key:?}"),
            Because::HalfDone => {
                assert!(key.intended && !key.recorded, "its create must be in this journal, and its id must not: {key:?}");
                assert_eq!(key.older, Seen::No, "no version of a store may hold it: {key:?}");
                assert!(!key.used, "somebody has its value: {key:?}");
                assert!(!key.kept, "a person keeps it: {key:?}");
            }
        }
    }
    // Tombstoned: 3 older × intended × recorded × used × kept; half-done: the one combination.
    assert_eq!(deletes, 3 * 16 + 1, "and everywhere else where it does");
}

#[test]
fn what_is_not_ours_is_never_more_than_reported() {
    for key in all().into_iter().filter(|key| !key.tombstoned && !key.intended && !key.recorded && !key.open) {
        let unknown = if key.kept { Fate::Kept } else { Fate::Unknown };
        let expected = if key.current == Seen::Yes { Fate::InUse } else { unknown };
        assert_eq!(fate(&key), expected, "{key:?}");
    }
}

#[test]
fn a_dead_key_in_a_store_is_an_alarm_and_not_a_deletion() {
    for key in all().into_iter().filter(|key| key.tombstoned && key.current == Seen::Yes && !key.open) {
        assert_eq!(fate(&key), Fate::DeadInStore, "{key:?}");
    }
}

#[test]
fn where_not_everything_could_be_read_nothing_is_deleted() {
    for key in all().into_iter().filter(|key| key.current == Seen::Unclear) {
        assert!(!matches!(fate(&key), Fate::Delete(_)), "{key:?}");
    }
}

#[test]
fn what_a_create_of_ours_may_have_made_is_nobodys_leftover() {
    for key in all().into_iter().filter(|key| key.intended && !key.recorded && !key.tombstoned && !key.open && !key.kept) {
        let expected = match (key.current, key.older) {
            (Seen::Yes, _) => Fate::InUse,
            (_, Seen::Yes) => Fate::Claimed,
            _ if key.used => Fate::Claimed,
            (Seen::No, Seen::No) => Fate::Delete(Because::HalfDone),
            _ => Fate::Unclear,
        };
        assert_eq!(fate(&key), expected, "{key:?}");
    }
}

/// After a leak of an admin key a person may have a key killed only where nothing at all explains it.
#[test]
fn nobody_is_asked_about_a_key_that_something_explains() {
    let mut asked = 0;
    for key in all().into_iter().filter(|key| suspect(fate(key))) {
        asked += 1;
        assert!(!key.open && !key.tombstoned && !key.kept && !key.recorded, "{key:?}");
        assert_ne!(key.current, Seen::Yes, "a store serves it: {key:?}");
    }
    assert!(asked > 0);
}

/// Two playbooks of one provider see the same keys: what one of them explains is explained, in whichever order they look.
#[test]
fn who_can_explain_a_key_is_believed() {
    let fates: Vec<Fate> = all().iter().map(fate).collect();
    for one in &fates {
        for other in &fates {
            let both = together(*one, *other);
            assert!(both == *one || both == *other);
            assert_eq!(both, together(*other, *one), "{one:?} {other:?}");
            assert_eq!(suspect(both), suspect(*one) && suspect(*other), "{one:?} {other:?}");
            if *one == Fate::InUse && *other != Fate::DeadInStore {
                assert_eq!(both, Fate::InUse);
            }
        }
    }
}
