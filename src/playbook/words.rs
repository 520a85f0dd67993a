//! Words for faults: what was probably meant, what was expected, and never what was found.

/// The known word that was probably meant. Only a known word is ever returned.
pub(crate) fn meant<'w>(text: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let text = text.to_lowercase().replace('-', "_");
    if text.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&text, word), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `a`, `b` or `c`.
pub(crate) fn listed<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// "did you mean" where something is near, else all there is.
pub(crate) fn instead(text: &str, known: &[&str]) -> String {
    match meant(text, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None if known.is_empty() => "nothing is allowed here: take it out".into(),
        None => format!("use {}", listed(known.iter().copied())),
    }
}
