//! What each rule is for: with it taken away, a promise is broken, and the shortest story of that is told.

use crate::{
    setting::{Budget, CALM, PLAIN, Setting, Without},
    story::tell,
    walk::walk,
};

/// A rule, the world in which it is missed, and the promise that is broken without it.
struct Mutant {
    rule: &'static str,
    without: Without,
    setting: Setting,
    breaks: &'static str,
}

const TWO_RUNNERS: Setting = Setting { budget: Budget { takes: 1, losses: 1, ..CALM }, ..PLAIN };

/// Rules that live in the world: in stores, in the journal, in how long a wait is.
const WORLD: &[Mutant] = &[
    Mutant { rule: "a restore is a new version", without: Without::NewVersions, setting: TWO_RUNNERS, breaks: "I2" },
    Mutant { rule: "a promote is conditional", without: Without::ConditionalPromote, setting: TWO_RUNNERS, breaks: "I2" },
    Mutant {
        rule: "a value that moved there and back does not satisfy a condition",
        without: Without::VersionsCompared,
        setting: TWO_RUNNERS,
        breaks: "I2",
    },
    Mutant { rule: "every journal write is conditional on the epoch", without: Without::Epoch, setting: TWO_RUNNERS, breaks: "I2" },
    Mutant { rule: "the grace is at least stale_for", without: Without::StaleFor, setting: TWO_RUNNERS, breaks: "I2" },
];

/// Rules of the pure core.
#[cfg(feature = "mutants")]
const CORE: &[Mutant] = {
    use keyroll::protocol::{Ask, Rule};

    use crate::setting::Meddle;

    const ROLLBACK: Setting = Setting { asks: &[Ask::Rollback], budget: Budget { takes: 1, losses: 1, asks: 1, ..CALM }, ..PLAIN };
    const DISABLES: Setting = Setting { rules: keyroll::protocol::Rules { disables: true, ..PLAIN.rules }, ..ROLLBACK };
    const MEDDLED: Setting = Setting { meddles: &[Meddle::OldBack], budget: Budget { meddles: 1, ..CALM }, ..PLAIN };
    const fn core(rule: Rule) -> Without {
        Without::Core(rule)
    }
    &[
        Mutant { rule: "the tombstone stands before the deletion", without: core(Rule::TombstoneFirst), setting: ROLLBACK, breaks: "I5" },
        Mutant {
            rule: "the same: what follows where nobody looks for tombstones",
            without: core(Rule::TombstoneFirst),
            setting: ROLLBACK,
            breaks: "I2",
        },
        Mutant {
            rule: "everybody proves the key again after the grace",
            without: core(Rule::VerifyAgain),
            setting: TWO_RUNNERS,
            breaks: "I1",
        },
        Mutant { rule: "every instance counts, not a sample", without: core(Rule::EveryInstance), setting: TWO_RUNNERS, breaks: "I1" },
        Mutant { rule: "a rollback waits too", without: core(Rule::GraceBack), setting: TWO_RUNNERS, breaks: "I2" },
        Mutant { rule: "the stores are read after the last proof", without: core(Rule::ReadStoresLast), setting: MEDDLED, breaks: "I2" },
        Mutant { rule: "nothing is restored after a disable", without: core(Rule::NoRestoreAfterDisable), setting: DISABLES, breaks: "I2" },
    ]
};

/// The shortest story, and its length.
fn missed(mutant: &Mutant) -> (String, usize) {
    let setting = Setting { without: Some(mutant.without), ..mutant.setting };
    let Some((broken, way)) = walk(&setting, |name| name.starts_with(&format!("{}:", mutant.breaks))).broken else {
        panic!("nobody misses this rule: {}", mutant.rule);
    };
    (tell(&setting, &way, broken), way.len() - 1)
}

fn caught(mutants: &[Mutant]) {
    for mutant in mutants {
        assert!(walk(&mutant.setting, |_| true).broken.is_none(), "with the rule nothing may be broken: {}", mutant.rule);
        let (_, steps) = missed(mutant);
        println!("without \"{}\": {} is broken after {steps} steps", mutant.rule, mutant.breaks);
    }
}

#[test]
fn each_rule_of_the_world_is_missed() {
    caught(WORLD);
}

#[cfg(feature = "mutants")]
#[test]
fn each_rule_of_the_core_is_missed() {
    caught(CORE);
}

#[test]
fn a_story_can_be_read() {
    insta::assert_snapshot!(missed(&WORLD[0]).0);
}

#[cfg(feature = "mutants")]
#[test]
fn a_story_of_the_core_can_be_read() {
    insta::assert_snapshot!(missed(&CORE[1]).0);
}
