//! A new key may never do more than the old one.

use keyroll::protocol::{Bound, Bounds, widened, wider};
use proptest::prelude::*;

fn only(words: &[&str]) -> Bound {
    Bound::Only(Some(words.iter().map(ToString::to_string).collect()))
}

#[test]
fn what_is_wider() {
    let (most, all) = (|most| Bound::Most(Some(most)), Bound::Only(None));
    let table = [
        (most(10.0), most(10.0), false),
        (most(10.0), most(9.0), false),
        (most(10.0), most(11.0), true),
        (most(10.0), Bound::Most(None), true),
        (Bound::Most(None), most(1.0), false),
        (Bound::Most(None), Bound::Most(None), false),
        (only(&["a", "b"]), only(&["a"]), false),
        (only(&["a"]), only(&["a", "b"]), true),
        (only(&["a"]), all.clone(), true),
        (all.clone(), only(&["a"]), false),
        // An end is no right: the new key lives as long as the old one did, but not for ever.
        (Bound::Until(Some(1)), Bound::Until(Some(2)), false),
        (Bound::Until(Some(1)), Bound::Until(None), true),
        (Bound::Until(None), Bound::Until(Some(1)), false),
        (Bound::Is("team a".into()), Bound::Is("team b".into()), false),
        (most(10.0), only(&["a"]), true),
    ];
    for (old, new, expected) in table {
        assert_eq!(wider(&old, &new), expected, "{old:?} to {new:?}");
    }
}

#[test]
fn a_limit_that_is_gone_is_wider_and_one_that_is_new_is_not() {
    let old = Bounds::from([
        ("limit".into(), Bound::Most(Some(5.0))),
        ("team".into(), Bound::Is("a".into())),
        ("models".into(), Bound::Only(None)),
    ]);
    assert_eq!(widened(&old, &Bounds::new()), ["limit"]);
    let new = Bounds::from([("limit".into(), Bound::Most(Some(5.0))), ("rpm".into(), Bound::Most(Some(1.0)))]);
    assert_eq!(widened(&old, &new), Vec::<String>::new());
}

fn amount() -> impl Strategy<Value = Bound> {
    proptest::option::of(0.0..100.0).prop_map(Bound::Most)
}

fn scope() -> impl Strategy<Value = Bound> {
    proptest::option::of(proptest::collection::btree_set("[a-d]", 0..4)).prop_map(Bound::Only)
}

proptest! {
    /// Otherwise a chain of rotations, each no wider than the one before, could end wider than it began.
    #[test]
    fn no_wider_than_is_an_order(a in prop_oneof![amount(), scope()], b in prop_oneof![amount(), scope()], c in prop_oneof![amount(), scope()]) {
        prop_assert!(!wider(&a, &a));
        if !wider(&a, &b) && !wider(&b, &c) {
            prop_assert!(!wider(&a, &c), "{a:?} {b:?} {c:?}");
        }
    }
}
