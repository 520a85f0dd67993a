//! What `reconcile` found, and what it deleted.

use serde_json::{Value, json};

use super::paint::{Ink, clean, paint};
use crate::{
    inspect::reconcile::{Key, Oddity, Survey, Swept, reason},
    protocol::{Because, Fate},
};

/// One playbook's survey.
pub struct Reconciled {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// The provider.
    pub provider: String,
    /// What was found.
    pub survey: Survey,
    /// What was deleted, with `--fix`.
    pub swept: Vec<Swept>,
}

impl Reconciled {
    /// How the deletion of a key went, if it was tried.
    fn outcome(&self, key: &Key) -> Option<&Swept> {
        self.swept.iter().find(|swept| swept.key == key.listed.id)
    }

    /// Whether a person is needed: everything that is neither explained nor deleted.
    pub fn unsettled(&self) -> bool {
        let key = |key: &Key| match key.fate {
            Fate::InUse | Fate::Busy | Fate::Kept => false,
            Fate::Unknown => !key.spare,
            Fate::Delete(_) => self.outcome(key).is_none_or(|swept| swept.failure.is_some()),
            _ => true,
        };
        let odd = |odd: &Oddity| !matches!(odd, Oddity::ForeignMark { adopted: true, .. });
        self.survey.keys.iter().any(key) || self.survey.oddities.iter().any(odd)
    }
}

/// Every playbook with what stands out; what is in order is counted.
pub fn reconciled(all: &[Reconciled]) -> String {
    let mut text = String::new();
    for one in all {
        text += &format!("{} {}\n", paint(Ink::Strong, &clean(&one.name)), paint(Ink::Faint, &clean(&one.file)));
        if let Some(open) = &one.survey.open {
            text += &format!("  {} left alone: rotation {open} is open and looks after its own keys\n", paint(Ink::Warn, "!"));
            text += &format!("    → keyroll show {open}\n");
        }
        let used = one.survey.keys.iter().filter(|key| key.fate == Fate::InUse).count();
        if one.survey.open.is_none() && one.survey.gaps.is_empty() {
            let busy = match one.survey.keys.iter().filter(|key| key.fate == Fate::Busy).count() {
                0 => String::new(),
                busy => format!(", {busy} of open rotations"),
            };
            let what = format!("{} listed at {}, {used} in use{busy}", count(one.survey.keys.len(), "key"), one.provider);
            text += &format!("  {} {}\n", paint(Ink::Good, "✓"), clean(&what));
        }
        for key in &one.survey.keys {
            if let Some((ink, mark, what, next)) = row(one, key) {
                text += &format!("  {} {} {}\n", paint(ink, mark), clean(&label(key)), clean(&what));
                text += &next.map_or_else(String::new, |next| format!("    → {}\n", clean(&next)));
            }
        }
        for odd in &one.survey.oddities {
            let (ink, mark, what, next) = oddity(one, odd);
            text += &format!("  {} {}\n", paint(ink, mark), clean(&what));
            text += &next.map_or_else(String::new, |next| format!("    → {}\n", clean(&next)));
        }
        for gap in &one.survey.gaps {
            text += &format!("  {} {}\n", paint(Ink::Bad, "✗"), clean(&gap.what));
            text += &gap.hint.as_ref().map_or_else(String::new, |hint| format!("    → {}\n", clean(hint)));
        }
    }
    text
}

fn count(many: usize, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}

/// A key's id, name and age.
fn label(key: &Key) -> String {
    let name = key.listed.name.as_ref().map(|name| format!("named {name}"));
    let made = key.listed.created_at.map(|at| format!("made {}", at.format("%Y-%m-%d")));
    let off = (!key.listed.enabled).then(|| "disabled".to_owned());
    let more: Vec<String> = name.into_iter().chain(made).chain(off).collect();
    if more.is_empty() { format!("key {}:", key.listed.id) } else { format!("key {} ({}):", key.listed.id, more.join(", ")) }
}

type Row = (Ink, &'static str, String, Option<String>);

fn row(one: &Reconciled, key: &Key) -> Option<Row> {
    let file = &one.file;
    let warn = |what: &str, next: &str| Some((Ink::Warn, "!", what.to_owned(), Some(next.to_owned())));
    match key.fate {
        Fate::InUse | Fate::Busy | Fate::Kept => None,
        Fate::Unknown if key.spare => None,
        Fate::Delete(because) => Some(match one.outcome(key) {
            None => (Ink::Warn, "!", reason(because).to_owned(), Some(format!("keyroll reconcile {file} --fix"))),
            Some(Swept { failure: None, .. }) => (
                Ink::Good,
                "✓",
                match because {
                    Because::Tombstoned => "deleted; the journal had declared it dead".to_owned(),
                    Because::HalfDone => "deleted; a create of this journal had made it, and nobody had its value".to_owned(),
                },
                None,
            ),
            Some(Swept { failure: Some(failure), .. }) => (
                Ink::Bad,
                "✗",
                format!("was not deleted, or it is not known: {failure}; its tombstone is written"),
                Some(format!("keyroll reconcile {file} --fix")),
            ),
        }),
        Fate::DeadInStore => {
            let what = "the journal declared it dead, and a store serves it; deleting it now would break its readers";
            Some((Ink::Bad, "✗", what.into(), Some(format!("keyroll run {file}"))))
        }
        Fate::Unclear => warn(
            "could be deleted, if it were sure that no store holds it; not everything could be read or told apart",
            "see to what is said of the stores, or delete it at the provider by hand",
        ),
        Fate::Claimed => warn(
            "bears a name that this journal asked for, and somebody has its value; it is left alone",
            "find out who uses it, then delete it at the provider by hand",
        ),
        Fate::Leftover => warn(
            "a rotation knew it, and no store serves it; nothing says that it is dead",
            "make sure that nobody uses it, then delete it at the provider by hand",
        ),
        Fate::Unknown => warn(
            "nothing in this journal explains it; keyroll never deletes such a key",
            "find out whose it is, and delete it at the provider by hand if it is nobody's",
        ),
    }
}

fn oddity(one: &Reconciled, odd: &Oddity) -> Row {
    let file = &one.file;
    match odd {
        Oddity::ServesDead { store, version, key } => {
            let key = key.as_ref().map_or_else(|| "a key".to_owned(), |key| format!("key {key}"));
            let what = format!("{store} serves {key} (version {version}), which the journal knows to be revoked");
            (Ink::Bad, "✗", what, Some(format!("keyroll run --replace {file}    (or write the live key back by hand)")))
        }
        Oddity::ForeignMark { store, journal, rotation, adopted: true } => (
            Ink::Good,
            "✓",
            format!("{store} was last rotated by rotation {rotation} of journal {journal}, which this one was told to replace"),
            None,
        ),
        Oddity::ForeignMark { store, journal, rotation, adopted: false } => {
            let what = format!("{store} was last rotated by rotation {rotation} of another journal ({journal})");
            let next = format!(
                "use that journal (--journal); only if it is lost for good: keyroll reconcile {file} --adopt {journal} --reason '…'"
            );
            (Ink::Warn, "!", what, Some(next))
        }
        Oddity::Differs { store } => {
            let what = format!("{store} serves another key than the first store");
            (Ink::Bad, "✗", what, Some("make all stores hold the same key: it must be clear which one is in use".into()))
        }
    }
}

/// The same for machines.
pub fn reconciled_json(all: &[Reconciled], code: u8) -> Value {
    let playbook = |one: &Reconciled| {
        let key = |key: &Key| {
            let told = row(one, key);
            json!({
                "key": key.listed.id, "name": key.listed.name, "created_at": key.listed.created_at, "enabled": key.listed.enabled,
                "verdict": if key.spare { "spare" } else { verdict(key.fate) }, "deleted": one.outcome(key).map(|swept| swept.failure.is_none()),
                "sentence": told.as_ref().map(|told| &told.2), "next": told.as_ref().and_then(|told| told.3.as_ref()),
            })
        };
        let odd = |odd: &Oddity| {
            let (_, _, what, next) = oddity(one, odd);
            json!({ "sentence": what, "next": next })
        };
        json!({
            "playbook": one.name, "file": one.file, "provider": one.provider, "open_rotation": one.survey.open,
            "keys": one.survey.keys.iter().map(key).collect::<Vec<_>>(),
            "oddities": one.survey.oddities.iter().map(odd).collect::<Vec<_>>(),
            "not_read": one.survey.gaps.iter().map(|gap| &gap.what).collect::<Vec<_>>(),
        })
    };
    json!({ "playbooks": all.iter().map(playbook).collect::<Vec<_>>(), "exit_code": code })
}

fn verdict(fate: Fate) -> &'static str {
    match fate {
        Fate::InUse => "in_use",
        Fate::Busy => "busy",
        Fate::Delete(_) => "may_be_deleted",
        Fate::DeadInStore => "dead_in_store",
        Fate::Unclear => "unclear",
        Fate::Claimed => "claimed",
        Fate::Kept => "kept",
        Fate::Leftover => "leftover",
        Fate::Unknown => "unknown",
    }
}
