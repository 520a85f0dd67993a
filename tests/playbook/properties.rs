//! What holds for any input.

use std::time::Duration;

use keyroll::playbook::{Playbook, Span, masked, render};
use proptest::prelude::*;

use super::{FULL, source};

proptest! {
    #[test]
    fn a_duration_is_printed_as_it_is_read(millis in 0_u64..100 * 366 * 86_400_000) {
        let span = Span(Duration::from_millis(millis));
        prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
    }

    #[test]
    fn any_units_are_read_and_their_sum_is_printed(parts in prop::collection::vec((0_u64..1000, 0_usize..6), 1..5)) {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
        let text: String = parts.iter().map(|(count, unit)| format!("{count}{}", units[*unit].0)).collect();
        let sum: u64 = parts.iter().map(|(count, unit)| count * units[*unit].1).sum();
        let span: Span = text.parse().expect("a duration");
        prop_assert_eq!(span.0, Duration::from_millis(sum));
        prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        if let Err(faults) = Playbook::parse(source(&text)) {
            render(&faults, &source(&text));
        }
        masked(&text);
    }

    #[test]
    fn no_damage_to_a_playbook_makes_it_panic(at in 0..FULL.len(), length in 0_usize..40, put in "[\\[\\]{}:,#&*!|>'\"\n\t -]{0,4}") {
        let end = (at + length).min(FULL.len());
        let text = format!("{}{put}{}", &FULL[..at], &FULL[end..]);
        if let Err(faults) = Playbook::parse(source(&text)) {
            prop_assert!(!faults.is_empty());
            render(&faults, &source(&text));
        }
    }
}
