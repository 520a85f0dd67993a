//! Colours. Everything returned by a report carries ANSI codes; `anstream` takes them out in a pipe and with `NO_COLOR`.

use anstyle::{AnsiColor, Style};

/// What a piece of text says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    /// It went well.
    Good,
    /// It went wrong, or cannot be undone.
    Bad,
    /// A person should look.
    Warn,
    /// A heading, or what to type.
    Strong,
    /// Of less interest.
    Faint,
}

/// The text in its ink.
pub fn paint(ink: Ink, text: &str) -> String {
    let style = match ink {
        Ink::Good => AnsiColor::Green.on_default(),
        Ink::Bad => AnsiColor::Red.on_default().bold(),
        Ink::Warn => AnsiColor::Yellow.on_default(),
        Ink::Strong => Style::new().bold(),
        Ink::Faint => Style::new().dimmed(),
    };
    format!("{style}{text}{style:#}")
}

/// In the ink of what went well.
pub fn good(text: &str) -> String {
    paint(Ink::Good, &clean(text))
}

/// In the ink of what went wrong.
pub fn bad(text: &str) -> String {
    paint(Ink::Bad, &clean(text))
}

/// Without its inks.
pub fn bare(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// With a capital first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// At most so many letters; what is left out of the middle becomes `…`, as both ends tell ids apart.
pub fn shorten(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most || most < 3 {
        return text.to_owned();
    }
    let tail = (most - 1) / 2;
    let head = most - 1 - tail;
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// Without control characters: what services and providers say must not steer a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
