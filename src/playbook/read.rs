//! From the tree to any type, by serde: all faults of a value at once, each in our words and with its place.

use std::{cell::RefCell, collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor,
    },
};

use super::{
    Fault,
    reference::NOT_A_REFERENCE,
    tree::{Node, Place, Value},
    words,
};

/// More faults than this in one value help nobody.
const ENOUGH: usize = 30;

/// Reads a node as `T`. Where a field is wrong it is noted, left out, and the rest is read again, so that one pass of a
/// person's eyes finds all of them. `key` is where the node's own key stands: a missing field is shown there.
pub(super) fn read<T: DeserializeOwned>(node: &Node, key: Option<Place>) -> Result<T, Vec<Fault>> {
    let notes = Notes::default();
    for _ in 0..ENOUGH {
        match T::deserialize(At { node, key, notes: &notes }) {
            Ok(value) if notes.faults.borrow().is_empty() => return Ok(value),
            Ok(_) => break,
            Err(wrong) => {
                // A type's own `custom` error comes after its visit, and so without its place.
                let wrong = *scrubbed(wrong, node).at(node, key).0;
                let excused = wrong.lacks.is_some_and(|name| notes.left_out.borrow().contains(&(wrong.holder, name.to_owned())));
                if !excused {
                    notes.add(wrong.fault);
                }
                match wrong.entry {
                    Some((entry, holder, name)) => {
                        notes.skip.borrow_mut().insert(entry);
                        notes.left_out.borrow_mut().insert((holder, name));
                    }
                    None => break,
                }
            }
        }
    }
    Err(notes.faults.into_inner())
}

/// What was noted while reading.
#[derive(Default)]
struct Notes {
    faults: RefCell<Vec<Fault>>,
    /// Values known to be wrong, by their address in the tree.
    skip: RefCell<HashSet<*const Node>>,
    /// Fields left out with them: they are not missing.
    left_out: RefCell<HashSet<(*const Node, String)>>,
}

impl Notes {
    fn add(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

/// serde's error, caught before it can quote anything. Boxed: it goes through every return.
#[derive(Debug)]
struct Wrong(Box<Mistake>);

#[derive(Debug)]
struct Mistake {
    fault: Fault,
    /// The field a mapping lacks.
    lacks: Option<&'static str>,
    /// That mapping.
    holder: *const Node,
    /// The innermost entry that is wrong: its value, its mapping or list, its key.
    entry: Option<(*const Node, *const Node, String)>,
}

impl Wrong {
    fn new(fault: Fault) -> Self {
        Self(Box::new(Mistake { fault, lacks: None, holder: std::ptr::null(), entry: None }))
    }
    fn expected(expected: &dyn Expected) -> Self {
        let shown = expected.to_string();
        let wanted = match shown.as_str() {
            "a string" | "string" | "a borrowed string" => "a text",
            "a boolean" => "`true` or `false`",
            "a sequence" => "a list",
            "a map" => "a mapping",
            text if text.starts_with("struct ") || text.starts_with("internally tagged") => "a mapping",
            text if text.starts_with("enum ") || text.starts_with("variant ") => "one of its known forms",
            "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64"
            | "a nonzero usize" => "a whole number, 0 or more",
            "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
            "f32" | "f64" => "a number",
            text => text,
        };
        Self::new(
            Fault::new("the wrong kind of value").instead(format!("write {}", wanted.strip_prefix("tuple struct ").unwrap_or(wanted))),
        )
    }
    fn at(mut self, node: &Node, key: Option<Place>) -> Self {
        if self.fault.at.is_none() {
            let place = if self.lacks.is_some() { key.unwrap_or(node.at) } else { node.at };
            self.fault.at = Some(place.pair());
        }
        if self.lacks.is_some() && self.holder.is_null() {
            self.holder = node;
        }
        self
    }
}

impl std::ops::Deref for Wrong {
    type Target = Mistake;

    fn deref(&self) -> &Mistake {
        &self.0
    }
}

impl std::ops::DerefMut for Wrong {
    fn deref_mut(&mut self) -> &mut Mistake {
        &mut self.0
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.what)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        if message == NOT_A_REFERENCE {
            return Self::new(
                Fault::new(message).instead("write `env:NAME`, `file:/path`, `vault:mount/path#field` or `aws:secret-id#field`"),
            );
        }
        if message.starts_with("data did not match any variant") {
            return Self::new(Fault::new("none of the forms that are allowed here"));
        }
        match message.split_once(": ") {
            Some((what, instead)) if ["write ", "use ", "did you "].iter().any(|word| instead.starts_with(word)) => {
                Self::new(Fault::new(what).instead(instead))
            }
            _ => Self::new(Fault::new(message)),
        }
    }
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }
    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }
    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }
    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(Fault::new("an unknown word").instead(words::instead(found, known)))
    }
    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(Fault::new("unknown field").instead(words::instead(found, known)))
    }
    fn missing_field(field: &'static str) -> Self {
        let mut wrong = Self::new(Fault::new(format!("`{field}` is missing")).instead(format!("add `{field}:`")));
        wrong.lacks = Some(field);
        wrong
    }
    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Fault::new(format!("`{field}` twice")).instead("keep one of them"))
    }
}

/// A place in the tree, as serde's source.
#[derive(Clone, Copy)]
struct At<'de> {
    node: &'de Node,
    key: Option<Place>,
    notes: &'de Notes,
}

impl<'de> At<'de> {
    fn wrong(self, wanted: &str) -> Wrong {
        let what = match (&self.node.value, wanted) {
            (Value::Nothing, _) => "nothing stands here",
            (Value::Text(text), "a number" | "a whole number" | "a whole number, 0 or more") if text.parse::<f64>().is_ok() => {
                return Wrong::new(Fault::new("a text, not a number").instead("write it without quotes")).at(self.node, self.key);
            }
            _ => "the wrong kind of value",
        };
        Wrong::new(Fault::new(what).instead(format!("write {wanted}"))).at(self.node, self.key)
    }

    fn number<T: std::str::FromStr>(self, wanted: &str) -> Result<T, Wrong> {
        let digits = |text: &String| text.replace('_', "").parse().ok();
        match &self.node.value {
            Value::Plain(text) => digits(text).ok_or_else(|| match text.parse::<f64>() {
                Ok(_) => Wrong::new(Fault::new("a number out of range").instead(format!("write {wanted}"))).at(self.node, self.key),
                Err(_) => self.wrong(wanted),
            }),
            _ => Err(self.wrong(wanted)),
        }
    }

    fn visit<V>(self, result: Result<V, Wrong>) -> Result<V, Wrong> {
        result.map_err(|wrong| scrubbed(wrong, self.node).at(self.node, self.key))
    }

    /// Walks a mapping; `known` are a struct's fields, and any other is noted and left out.
    fn map<V: Visitor<'de>>(self, visitor: V, known: Option<&'static [&'static str]>) -> Result<V::Value, Wrong> {
        let Value::Map(entries) = &self.node.value else { return Err(self.wrong("a mapping: `field: value`")) };
        let mut kept = Vec::with_capacity(entries.len());
        let mut seen = HashSet::new();
        for (key, value) in entries {
            if !seen.insert(key.text.as_str()) {
                self.notes.add(Fault::new("the same field twice").at(key.at.line, key.at.column).instead("keep one of them"));
            } else if known.is_some_and(|known| !known.contains(&key.text.as_str())) {
                let fault = Fault::new("unknown field").at(key.at.line, key.at.column);
                self.notes.add(fault.instead(words::instead(&key.text, known.unwrap_or_default())));
            } else if !self.notes.skip.borrow().contains(&std::ptr::from_ref(value)) {
                kept.push((key, value));
            }
        }
        let walk = Entries { holder: self.node, entries: kept.into_iter(), value: None, notes: self.notes };
        self.visit(visitor.visit_map(walk))
    }
}

/// Takes the value's own text out of a message that an adapter's type made of it.
fn scrubbed(mut wrong: Wrong, node: &Node) -> Wrong {
    if wrong.fault.at.is_some() {
        return wrong;
    }
    let mut texts = Vec::new();
    node.scalars(&mut |text| texts.push(text.trim()));
    let fault = &mut wrong.fault;
    for said in [Some(&mut fault.what), fault.instead.as_mut()].into_iter().flatten() {
        for text in &texts {
            if text.len() >= 4 && said.contains(text) && said != NOT_A_REFERENCE {
                *said = said.replace(text, "…");
            }
        }
    }
    wrong
}

macro_rules! numbers {
    ($($method:ident $visit:ident $wanted:literal)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.number($wanted).and_then(|value| self.visit(visitor.$visit(value)))
        }
    )* };
}

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Nothing => self.visit(visitor.visit_unit()),
            Value::Text(text) => self.visit(visitor.visit_str(text)),
            Value::Plain(text) => self.visit(match text.as_str() {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                text => match (text.parse(), text.parse(), text.parse()) {
                    (Ok(whole), _, _) => visitor.visit_u64(whole),
                    (_, Ok(whole), _) => visitor.visit_i64(whole),
                    (_, _, Ok(number)) => visitor.visit_f64(number),
                    _ => visitor.visit_str(text),
                },
            }),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.map(visitor, None),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 "a whole number, 0 or more"
        deserialize_u16 visit_u16 "a whole number, 0 or more"
        deserialize_u32 visit_u32 "a whole number, 0 or more"
        deserialize_u64 visit_u64 "a whole number, 0 or more"
        deserialize_i8 visit_i8 "a whole number"
        deserialize_i16 visit_i16 "a whole number"
        deserialize_i32 visit_i32 "a whole number"
        deserialize_i64 visit_i64 "a whole number"
        deserialize_f32 visit_f32 "a number"
        deserialize_f64 visit_f64 "a number"
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Plain(text) if text.eq_ignore_ascii_case("true") => self.visit(visitor.visit_bool(true)),
            Value::Plain(text) if text.eq_ignore_ascii_case("false") => self.visit(visitor.visit_bool(false)),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.node.text() {
            Some(text) => self.visit(visitor.visit_str(text)),
            None => Err(self.wrong("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Nothing => self.visit(visitor.visit_none()),
            _ => self.visit(visitor.visit_some(self)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Nothing => self.visit(visitor.visit_unit()),
            _ => Err(self.wrong("nothing")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        self.visit(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::List(items) => self.visit(visitor.visit_seq(Items { holder: self.node, items: items.iter(), notes: self.notes })),
            _ => Err(self.wrong("a list: `[…]`")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.map(visitor, None)
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        if fields.is_empty() && matches!(self.node.value, Value::Nothing) {
            let nothing = Entries { holder: self.node, entries: Vec::new().into_iter(), value: None, notes: self.notes };
            return self.visit(visitor.visit_map(nothing));
        }
        self.map(visitor, Some(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, known: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        let one_of = || format!("use {}", words::listed(known.iter().copied()));
        match &self.node.value {
            Value::Plain(text) | Value::Text(text) => {
                self.visit(visitor.visit_enum(Variant { name: text, at: self.node.at, content: None, known, from: self }))
            }
            Value::Map(entries) => match entries.as_slice() {
                [(key, content)] => {
                    let content = At { node: content, key: Some(key.at), notes: self.notes };
                    self.visit(visitor.visit_enum(Variant { name: &key.text, at: key.at, content: Some(content), known, from: self }))
                }
                _ => Err(Wrong::new(Fault::new("exactly one is needed here").instead(one_of())).at(self.node, self.key)),
            },
            _ => Err(Wrong::new(Fault::new("the wrong kind of value").instead(one_of())).at(self.node, self.key)),
        }
    }

    serde::forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit_struct tuple tuple_struct identifier ignored_any }
}

struct Entries<'de> {
    holder: &'de Node,
    entries: std::vec::IntoIter<(&'de super::tree::Key, &'de Node)>,
    value: Option<(&'de super::tree::Key, &'de Node)>,
    notes: &'de Notes,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.value = self.entries.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let read = seed.deserialize(key.text.as_str().into_deserializer());
        read.map(Some).map_err(|mut wrong: Wrong| {
            wrong.fault.at.get_or_insert(key.at.pair());
            wrong
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let Some((key, node)) = self.value.take() else { return Err(Wrong::new(Fault::new("a value without its key"))) };
        seed.deserialize(At { node, key: Some(key.at), notes: self.notes }).map_err(|wrong| {
            let mut wrong = scrubbed(wrong, node).at(node, Some(key.at));
            wrong.entry.get_or_insert((node, self.holder, key.text.clone()));
            wrong
        })
    }
}

struct Items<'de> {
    holder: &'de Node,
    items: std::slice::Iter<'de, Node>,
    notes: &'de Notes,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let holder = self.holder;
        let skip = self.notes.skip.borrow();
        let Some(node) = self.items.by_ref().find(|node| !skip.contains(&std::ptr::from_ref(*node))) else { return Ok(None) };
        drop(skip);
        seed.deserialize(At { node, key: None, notes: self.notes }).map(Some).map_err(|wrong| {
            let mut wrong = scrubbed(wrong, node).at(node, None);
            wrong.entry.get_or_insert((node, holder, String::new()));
            wrong
        })
    }
}

struct Variant<'de> {
    name: &'de str,
    at: Place,
    content: Option<At<'de>>,
    known: &'static [&'static str],
    from: At<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Wrong;
    type Variant = Content<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'de>), Wrong> {
        if !self.known.contains(&self.name) {
            let fault = Fault::new("an unknown word").at(self.at.line, self.at.column);
            return Err(Wrong::new(fault.instead(words::instead(self.name, self.known))));
        }
        let name = seed.deserialize(self.name.into_deserializer())?;
        Ok((name, Content { content: self.content, from: self.from }))
    }
}

struct Content<'de> {
    content: Option<At<'de>>,
    from: At<'de>,
}

impl<'de> Content<'de> {
    fn content(self) -> Result<At<'de>, Wrong> {
        self.content.ok_or_else(|| {
            Wrong::new(Fault::new("this word needs a value").instead("write `word: value`")).at(self.from.node, self.from.key)
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.content {
            None => Ok(()),
            Some(At { node: Node { value: Value::Nothing, .. }, .. }) => Ok(()),
            Some(content) => Err(content.wrong("the word alone")),
        }
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Wrong> {
        seed.deserialize(self.content()?)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.content()?.deserialize_seq(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        self.content()?.map(visitor, Some(fields))
    }
}
