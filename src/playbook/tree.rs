//! The YAML as a tree that remembers where everything stands. Read once; every type is then read from the tree, so that
//! no library's message, which may quote a secret, ever reaches a person.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Weak},
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};

use super::{Fault, Seg, Source};

/// A playbook is a page of text; more is not a playbook.
pub(super) const LONGEST: usize = 1 << 20;

/// Where something stands: line and column from 1, and its bytes where they are one run of text.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
    pub from: usize,
    pub to: usize,
}

impl Place {
    fn of(location: &Location) -> Self {
        let span = location.span();
        let from = span.byte_offset().unwrap_or_default() as usize;
        let to = from + span.byte_len().unwrap_or_default() as usize;
        Self { line: location.line() as usize, column: location.column() as usize, from, to }
    }
    pub(super) fn pair(self) -> (usize, usize) {
        (self.line, self.column)
    }
}

/// One value. No `Debug`: it may be a secret that does not belong there.
pub(super) struct Node {
    pub at: Place,
    pub value: Value,
}

/// What stands there.
pub(super) enum Value {
    /// Nothing, or `null`.
    Nothing,
    /// A bare word that YAML takes for a number or a boolean, as it was written.
    Plain(String),
    /// Any other text.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
pub(super) struct Key {
    pub at: Place,
    pub text: String,
}

impl Node {
    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }
    /// The key and its value.
    pub(super) fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        self.entries().iter().find(|(name, _)| name.text == key).map(|(name, node)| (name, node))
    }
    /// A mapping's entries; none for anything else.
    pub(super) fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }
    /// Calls back with every scalar's text, the deepest too.
    pub(super) fn scalars<'n>(&'n self, each: &mut impl FnMut(&'n str)) {
        match &self.value {
            Value::Plain(text) | Value::Text(text) => each(text),
            Value::List(items) => items.iter().for_each(|item| item.scalars(each)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| value.scalars(each)),
            Value::Nothing => {}
        }
    }
    /// The key and the value at the end of a path; the last key on the way, for a message about what it lacks.
    pub(super) fn walk(&self, path: &[Seg]) -> Option<(Option<Place>, &Node)> {
        let mut node = self;
        let mut key = None;
        for seg in path {
            match seg {
                Seg::Key(name) => {
                    let (found, value) = node.entry(name)?;
                    key = Some(found.at);
                    node = value;
                }
                Seg::At(place) => match &node.value {
                    Value::List(items) => node = items.get(*place)?,
                    _ => return None,
                },
            }
        }
        Some((key, node))
    }
}

thread_local! {
    /// The last text's tree: a playbook's blocks are read one after the other, and the reading is most of the work.
    static LAST: RefCell<Option<(Weak<Source>, Rc<Node>)>> = const { RefCell::new(None) };
}

/// The tree of a source, read once for all of its blocks.
pub(super) fn of(source: &Arc<Source>) -> Result<Rc<Node>, Fault> {
    // The weak pointer keeps the address from being given to another source, so the same address is the same text.
    let known =
        LAST.with_borrow(|last| last.as_ref().filter(|(of, _)| of.as_ptr() == Arc::as_ptr(source)).map(|(_, node)| Rc::clone(node)));
    if let Some(node) = known {
        return Ok(node);
    }
    let node = Rc::new(parse(&source.text)?);
    LAST.set(Some((Arc::downgrade(source), Rc::clone(&node))));
    Ok(node)
}

/// Reads the text into a tree.
///
/// # Errors
/// One fault: the text is too long, not YAML, or built to exhaust us.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > LONGEST {
        return Err(Fault::new("the file is longer than 1 MiB").instead("a playbook is a page of YAML: check the file's name"));
    }
    if let Some(fault) = junk(text) {
        return Err(fault);
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        budget: serde_saphyr::budget! {
            max_events: 50_000,
            max_nodes: 20_000,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_documents: 1,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 100,
            max_recorded_anchor_events: 20_000,
            max_recorded_anchor_bytes: 1 << 20,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000, max_replay_stack_depth: 8 },
    };
    let mut node: Node = serde_saphyr::with_deserializer_from_str_with_options(text, options, |from| Node::deserialize(from))
        .map_err(|error| said(&error))?;
    raw(&mut node, text);
    Ok(node)
}

/// Control characters and a tab as indentation, found before the parser does: its words for them are not ours.
fn junk(text: &str) -> Option<Fault> {
    for (place, line) in text.lines().enumerate() {
        if let Some(column) = line.chars().position(|c| c.is_control() && c != '\t') {
            let fault = Fault::new("not a text file: there is a control character").at(place + 1, column + 1);
            return Some(fault.instead("a playbook is YAML in UTF-8: check the file's name"));
        }
        let indent = line.len() - line.trim_start().len();
        if let Some(column) = line[..indent].find('\t').filter(|_| !line.trim().is_empty()) {
            return Some(Fault::new("a tab cannot indent YAML").at(place + 1, column + 1).instead("indent with spaces"));
        }
    }
    None
}

/// The parser's error in our own words: its own may quote the text.
fn said(error: &serde_saphyr::Error) -> Fault {
    use serde_saphyr::Error;
    let mut error = error.without_snippet();
    while let Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    let fault = match error {
        Error::Eof { .. } => Fault::new("the file is empty").instead("start from `keyroll init`"),
        Error::MultipleDocuments { .. } => several(),
        Error::Budget { breach, .. } if format!("{breach:?}").starts_with("Documents") => several(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => too_much(),
        Error::UnknownAnchor { .. } => Fault::new("an alias (`*…`) without its anchor (`&…`)").instead("quote a text that begins with `*`"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => Fault::new("an alias inside its own anchor").instead("write it out plainly"),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => Fault::new("`<<` needs a mapping").instead("write the fields out plainly"),
        Error::ExternalMessage { msg, .. } => syntax(msg),
        _ => Fault::new("not YAML").instead("check the indentation, and quote texts with special characters"),
    };
    match error.location() {
        Some(at) if at.line() > 0 => fault.at(at.line() as usize, at.column() as usize),
        _ => fault,
    }
}

fn too_much() -> Fault {
    Fault::new("nested too deeply, or far too large for a playbook").instead("write it out plainly, without anchors and aliases")
}

fn several() -> Fault {
    Fault::new("several documents in one file").instead("one playbook a file: split it at the `---`")
}

/// The parser's message, chosen among ours.
fn syntax(said: &str) -> Fault {
    let table = [
        ("mapping values", "a `:` where none can be", "quote a text that has `: ` in it, and check the indentation"),
        ("unexpected character", "a text cannot begin with this character", "put it in quotes"),
        ("quoted scalar", "a quote without its partner", "close it on the same line"),
        ("bracket", "a bracket without its partner", "check `[ ]` and `{ }`"),
        ("flow", "a bracket without its partner, or a comma is missing", "check `[ ]`, `{ }` and the commas"),
        ("':' indicator", "a bracket without its partner, or a comma is missing", "check `[ ]`, `{ }` and the commas"),
        ("block collection", "a list whose items do not line up", "begin each item with `- ` in the same column"),
        ("expected key", "fields that do not line up", "indent the fields of one mapping alike"),
        ("simple key", "a field without its `:`", "write `field: value`"),
    ];
    if ["nest", "recursion", "depth"].iter().any(|word| said.contains(word)) {
        return too_much();
    }
    let found = table.iter().find(|(word, ..)| said.contains(word));
    let (what, instead) =
        found.map_or(("not YAML", "check the indentation, and quote texts with special characters"), |(_, what, instead)| (what, instead));
    Fault::new(what).instead(instead)
}

/// Puts back what was written where YAML saw a number or a boolean: `1.10` is not `1.1` in a name.
fn raw(node: &mut Node, text: &str) {
    match &mut node.value {
        Value::Plain(shown) => {
            if let Some(written) =
                text.get(node.at.from..node.at.to).map(str::trim).filter(|written| !written.is_empty() && !written.starts_with('*'))
            {
                *shown = written.to_owned();
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| raw(item, text)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| raw(value, text)),
        _ => {}
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(from)?;
        Ok(Node { at: Place::of(&spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Read)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("YAML")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((Key { at: Place::of(&key.referenced), text: key.value }, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}
