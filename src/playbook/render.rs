//! Faults as rustc draws them, without anything that could be a secret.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::{
    Fault, Source,
    mask::{MASK, apart, cover, hidden, masked, suspicious},
    reference::NOT_A_REFERENCE,
    tree::{self, Node, Place, Value},
};

/// All faults, plain.
pub fn render(faults: &[Fault], source: &Source) -> String {
    draw(faults, source, &Renderer::plain())
}

/// All faults, with colours for a terminal.
pub fn render_coloured(faults: &[Fault], source: &Source) -> String {
    draw(faults, source, &Renderer::styled())
}

/// Nobody reads more at once.
const MOST: usize = 50;

fn draw(faults: &[Fault], source: &Source, renderer: &Renderer) -> String {
    // Where it is no YAML there is no tree; then only the line itself says what could be a secret.
    let root = tree::parse(&source.text).ok();
    let mut faults: Vec<Fault> = faults.iter().cloned().flat_map(Fault::each).collect();
    faults.sort_by_key(|fault| fault.at);
    let mut drawn: Vec<String> = faults.iter().take(MOST).map(|fault| one(fault, source, root.as_ref(), renderer)).collect();
    if faults.len() > MOST {
        drawn.push(format!("and {} more", faults.len() - MOST));
    }
    drawn.join("\n\n") + "\n"
}

fn one(fault: &Fault, source: &Source, root: Option<&Node>, renderer: &Renderer) -> String {
    let shown = fault
        .at
        .and_then(|(line, column)| Some((line, Line::new(source.text.lines().nth(line.checked_sub(1)?)?, line, column, fault, root))));
    let mut group: Group<'_> = Level::ERROR.primary_title(masked(&fault.what)).elements(std::iter::empty::<Element<'_>>());
    group = match &shown {
        Some((number, line)) => group.element(
            Snippet::source(line.text.as_str())
                .line_start(*number)
                .path(source.name.as_str())
                .annotation(AnnotationKind::Primary.span(line.from..line.to)),
        ),
        None => group.element(Origin::path(source.name.as_str())),
    };
    if let Some(instead) = &fault.instead {
        group = group.element(Level::HELP.message(masked(instead)));
    }
    renderer.render(&[group])
}

/// The faulty line, as it may be shown.
struct Line {
    text: String,
    from: usize,
    to: usize,
}

/// The longest part of a line that is shown.
const WIDEST: usize = 400;

impl Line {
    fn new(text: &str, number: usize, column: usize, fault: &Fault, root: Option<&Node>) -> Self {
        let at = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        let mut ranges = hidden(text);
        let word = word(text, at);
        if fault.what == NOT_A_REFERENCE {
            ranges.push(at..text.len());
        }
        if let Some(root) = root {
            secrets(root, None, number, &mut |place| {
                let start = text.char_indices().nth(place.column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
                let end = (start + place.to.saturating_sub(place.from)).min(text.len());
                let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
                ranges.push(start..end);
            });
        }
        let (masked, shift) = cover(text, &apart(ranges));
        let (from, to) = (shift(at), shift(word).max(shift(at)));
        let mut line = Self { text: masked, from, to };
        if line.to == line.from {
            let rest = &line.text[line.from..];
            line.to += if rest.starts_with(MASK) { MASK.len() } else { rest.chars().next().map_or(0, char::len_utf8) };
        }
        line.clip();
        line
    }

    /// Cuts a line of a megabyte down to what can be read.
    fn clip(&mut self) {
        if self.text.len() <= WIDEST {
            return;
        }
        let back = |at: usize, text: &str| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let start = back(self.from.saturating_sub(WIDEST / 2), &self.text);
        let end = back(start + WIDEST, &self.text);
        self.text = self.text[start..end].to_owned();
        self.from = (self.from - start).min(self.text.len());
        self.to = (self.to - start).min(self.text.len());
    }
}

/// The end of the word that begins at `at`.
fn word(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].find(quote).map_or(text.len(), |end| at + end + 2),
        _ => at + rest.find([' ', ',', ']', '}', '\t', '#']).unwrap_or(rest.len()).max(usize::from(!rest.is_empty()).min(rest.len())),
    }
}

/// Scalars on a line that hold what a secret's field should only refer to.
fn secrets(node: &Node, key: Option<&str>, line: usize, found: &mut impl FnMut(Place)) {
    match &node.value {
        Value::Plain(text) | Value::Text(text) => {
            if node.at.line == line && suspicious(key, text) {
                found(node.at);
            }
        }
        Value::List(items) => items.iter().for_each(|item| secrets(item, key, line, found)),
        Value::Map(entries) => entries.iter().for_each(|(key, value)| secrets(value, Some(&key.text), line, found)),
        Value::Nothing => {}
    }
}
