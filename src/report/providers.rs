//! What keyroll knows of each provider: a table, a card, and a page of the documentation. All of it is read from the adapters themselves.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Value, json};

use super::{
    paint::{Ink, clean, paint},
    time::rough,
};
use crate::ports::{Ambiguity, Provider};

/// One provider.
pub struct Card {
    /// Its name in a playbook.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What keyroll's credential needs.
    pub needs: &'static [&'static str],
    /// What nobody has confirmed.
    pub unconfirmed: &'static [&'static str],
    /// Where the vendor describes it.
    pub source: &'static str,
    /// A whole playbook.
    pub sample: &'static str,
    /// The fields of its block: name, meaning.
    pub fields: Vec<(String, String)>,
    /// The adapter, as the sample builds it.
    pub provider: Option<Arc<dyn Provider>>,
}

/// What a provider can, in a word or two each.
struct Can {
    made: &'static str,
    revoked: &'static str,
    disable: &'static str,
    undo: String,
    undelete: String,
    used: &'static str,
    spend: &'static str,
    lost: &'static str,
    listed: String,
    ready: String,
    dead: String,
    lag: String,
    tried: &'static str,
    limits: String,
    quota: String,
}

impl Card {
    fn can(&self) -> Option<Can> {
        let provider = self.provider.as_ref()?;
        let traits = provider.traits();
        let enforces = provider.enforces();
        let named = [("monthly", enforces.monthly), ("alerts", enforces.alerts), ("rate", enforces.rate)];
        let limits: Vec<&str> = named.iter().filter(|(_, can)| *can).map(|(name, _)| *name).collect();
        let limits = match (limits.is_empty(), provider.guard()) {
            (false, _) => limits.join(", "),
            (true, Some(_)) => "shown".into(),
            (true, None) => "no".into(),
        };
        Some(Can {
            made: if provider.by_person().is_some() { "by a person" } else { "by API" },
            revoked: match (provider.by_value(), provider.by_person()) {
                (Some(_), _) => "by API, by value",
                (None, Some(person)) if !person.revokes() => "by a person",
                _ => "by API",
            },
            disable: if provider.switch().is_some() { "yes" } else { "no" },
            undo: match (provider.switch(), provider.undelete()) {
                (Some(_), _) => "yes".into(),
                (None, Some(time)) => format!("{}, by hand", rough(time)),
                (None, None) => "no".into(),
            },
            undelete: provider.undelete().map_or_else(|| "no".into(), |time| format!("for {}, by hand", rough(time))),
            used: match (provider.usage(), provider.counter()) {
                (Some(_), _) => "yes",
                (None, Some(_)) => "by spend",
                (None, None) => "no",
            },
            spend: if provider.spend().is_some() { "yes" } else { "no" },
            lost: match traits.ambiguity {
                _ if provider.by_person().is_some() => "handed over again",
                Ambiguity::Replayed => "replayed",
                Ambiguity::Listable => "found by name",
                Ambiguity::Unnamed => "found by absence",
            },
            listed: match provider.by_person() {
                Some(person) if !person.lists() => "never: its id is a digest of its value".into(),
                _ => rough(traits.listed_within),
            },
            ready: rough(traits.ready_within),
            dead: rough(traits.dead_within),
            lag: if provider.usage().is_some() || provider.counter().is_some() { rough(traits.usage_lag) } else { "–".into() },
            tried: if provider.prompt().is_some() { "auth, prompt, stream" } else { "auth" },
            limits,
            quota: traits.quota.map_or_else(|| "–".into(), |quota| quota.to_string()),
        })
    }
}

const HEAD: [&str; 12] = [
    "provider",
    "made",
    "revoked",
    "disable",
    "undo",
    "last use",
    "spend",
    "lost create",
    "dead within",
    "probes",
    "limits",
    "unconfirmed",
];
type Row = [String; HEAD.len()];

/// Below [`HEAD`].
fn row(card: &Card) -> Row {
    let Some(can) = card.can() else { return std::array::from_fn(|at| if at == 0 { card.name } else { "?" }.to_owned()) };
    let facts = match card.unconfirmed.len() {
        0 => "nothing".into(),
        1 => "1 fact".into(),
        many => format!("{many} facts"),
    };
    let Can { made, revoked, disable, undo, used, spend, lost, dead, tried, limits, .. } = can;
    [card.name, made, revoked, disable, &undo, used, spend, lost, &dead, tried, &limits, &facts].map(str::to_owned)
}

/// All of them, a line each.
pub fn table(cards: &[Card]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(cards.iter().map(row));
    let widths: Vec<usize> = (0..HEAD.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default()).collect();
    let line = |row: &Row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = format!("{}\n", paint(Ink::Strong, &line(&rows[0])));
    for row in &rows[1..] {
        text += &format!("{}\n", line(row));
    }
    text + "\nkeyroll providers NAME says more: what the credential needs, what is not confirmed, its fields, and a whole playbook\n"
}

/// One of them, whole.
pub fn card(card: &Card) -> String {
    let mut lines = vec![format!("{}  {}", paint(Ink::Strong, card.name), clean(card.about)), String::new()];
    lines.extend(facts(card).into_iter().map(|(what, value)| format!("  {what:<22} {value}")));
    let mut section = |head: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.push(String::new());
            lines.push(paint(Ink::Strong, head));
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    };
    section("What keyroll's credential needs", card.needs.iter().map(ToString::to_string).collect());
    section("Not confirmed", card.unconfirmed.iter().map(ToString::to_string).collect());
    let width = card.fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    section("Fields", card.fields.iter().map(|(name, meaning)| format!("{name:<width$}  {meaning}")).collect());
    section("A playbook", card.sample.lines().map(str::to_owned).collect());
    section("Source", [card.source].iter().filter(|source| !source.is_empty()).map(ToString::to_string).collect());
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn facts(card: &Card) -> Vec<(&'static str, String)> {
    let Some(can) = card.can() else { return Vec::new() };
    vec![
        ("a key is made", can.made.into()),
        ("… and revoked", can.revoked.into()),
        ("switched off, undoable", can.disable.into()),
        ("deleted, undoable", can.undelete),
        ("last use is told", can.used.into()),
        ("… this late", can.lag),
        ("use and cost of a leak", can.spend.into()),
        ("a lost create is", can.lost.into()),
        ("listed within", can.listed),
        ("works within", can.ready),
        ("dead within", can.dead),
        ("keys of one principal", can.quota),
        ("probe.level", can.tried.into()),
        ("limits on a key", can.limits),
    ]
}

/// The same for machines.
pub fn cards_json(cards: &[Card]) -> Value {
    let card = |card: &Card| {
        let facts: serde_json::Map<String, Value> = facts(card).into_iter().map(|(what, value)| (what.to_owned(), json!(value))).collect();
        json!({
            "name": card.name, "about": card.about, "facts": facts, "needs": card.needs, "unconfirmed": card.unconfirmed,
            "fields": card.fields.iter().map(|(name, meaning)| json!({ "name": name, "meaning": meaning })).collect::<Vec<_>>(),
            "sample": card.sample, "source": card.source,
        })
    };
    Value::Array(cards.iter().map(card).collect())
}

/// The page of the documentation.
pub fn page(cards: &[Card]) -> String {
    let mut page = String::from(
        "# Providers\n\nWritten from the adapters by `UPDATE_DOCS=1 cargo test --test playbook`; `keyroll providers` prints the same.\n\n\
         *Lost create*: how a create whose answer never came is settled. *Dead within*: how long a deleted key may still work; keyroll waits for refusals in a row \
         within it. *Undo*: whether a key that was disabled can be enabled again, or for how long a deleted one can be brought back. *Last use*: whether the provider tells when a key was used; without it `revoke.idle_for` is refused. *By spend*: it tells only what a key has cost; keyroll \
         compares two readings, and calls that cost nothing do not show. *Spend*: whether it tells what a key was used for since a leak: requests, tokens, cost. *Limits*: which of a playbook's `limits` a \
         new key is given (`shown`: `keyroll doctor` compares the account's). *Unconfirmed*: how many facts of the section below rest on an assumption.\n\n",
    );
    let _ = writeln!(page, "| {} |\n|{}", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    for card in cards {
        let row = row(card);
        let _ = writeln!(page, "| [`{name}`](#{name}) | {} |", row[1..].join(" | "), name = card.name);
    }
    for card in cards {
        let _ = write!(page, "\n## {}\n\n{}.\n\n", card.name, super::paint::capital(card.about));
        for (what, value) in facts(card) {
            let _ = writeln!(page, "- {what}: {value}");
        }
        for (head, lines) in [("What keyroll's credential needs", card.needs), ("Not confirmed", card.unconfirmed)] {
            if !lines.is_empty() {
                let _ = write!(page, "\n{head}:\n\n");
                page.extend(lines.iter().map(|line| format!("- {line}\n")));
            }
        }
        let _ = write!(page, "\n```yaml\n{}```\n", card.sample);
        if !card.source.is_empty() {
            let _ = write!(page, "\nSource: {}\n", card.source);
        }
    }
    page
}
