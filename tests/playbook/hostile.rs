//! Input that nobody wrote as a playbook: one clear fault, at once.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use keyroll::playbook::{Fault, Playbook, Source, render};

use super::source;

fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", "));
    }
    text
}

fn one(text: &str) -> Fault {
    let start = Instant::now();
    let faults = Playbook::parse(source(text)).expect_err("no playbook");
    let took = start.elapsed();
    // A bomb that is not stopped takes minutes, or all memory; a busy machine may take its time.
    assert!(took < Duration::from_secs(10), "{took:?}");
    let drawn = render(&faults, &source(text));
    assert!(drawn.len() < 20_000, "{} bytes", drawn.len());
    faults.into_iter().next().expect("a fault")
}

#[test]
fn strange_texts_get_one_clear_fault_at_once() {
    let mib = 1 << 20;
    let table = [
        ("longer than 1 MiB", "a: b\n".repeat(2 * mib), "the file is longer than 1 MiB"),
        ("an alias bomb", bomb(), "nested too deeply, or far too large for a playbook"),
        ("deep flow nesting", "[".repeat(100_000), "nested too deeply, or far too large for a playbook"),
        (
            "deep block nesting",
            (0..500).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
            "nested too deeply, or far too large for a playbook",
        ),
        ("very many nodes", format!("[{}]", "1,".repeat(200_000)), "nested too deeply, or far too large for a playbook"),
        ("one line of a megabyte", format!("keyroll: {}", "x".repeat(mib - 100)), "an unknown schema version"),
        ("control characters", "keyroll: 1\nname: \u{0}\u{1}".into(), "not a text file: there is a control character"),
        ("empty", String::new(), "the file is empty"),
        ("only a comment", "# nothing\n".into(), "the file is empty"),
        ("tabs", "keyroll: 1\nprovider:\n\tacme: {}\n".into(), "a tab cannot indent YAML"),
        ("a list", "- a\n- b\n".into(), "a playbook is a mapping"),
        ("a text", "hello".into(), "a playbook is a mapping"),
        ("two documents", format!("{}---\n{}", super::FULL, super::FULL), "several documents in one file"),
        ("an unknown alias", "keyroll: *nothing\n".into(), "an alias (`*…`) without its anchor (`&…`)"),
        ("an alias of itself", "a: &a [*a]\n".into(), "an alias inside its own anchor"),
    ];
    for (what, text, expected) in table {
        assert_eq!(one(&text).what, expected, "{what}");
    }
}

#[test]
fn a_mapping_as_a_key_and_odd_tags_do_no_harm() {
    for text in [
        "? {a: b}\n: c\n",
        "!!binary x: y\n",
        "keyroll: !foo 1\n",
        "{{}}: {{}}\n",
        "keyroll: 1\n? \n",
        "\u{feff}keyroll: 2\n",
        "%YAML 9.9\n---\na: b\n",
    ] {
        one(text);
    }
}

#[test]
fn a_file_that_cannot_be_a_playbook_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    let table = [
        (folder.path().join("none.yaml"), "there is no file"),
        (folder.path().to_owned(), "is a folder"),
        (put("big.yaml", &vec![b'a'; 10 << 20]), "is longer than 1 MiB"),
        (put("latin1.yaml", b"name: caf\xe9\n"), "is not UTF-8 text"),
    ];
    for (path, expected) in table {
        let start = Instant::now();
        let fault = Source::read(&path).expect_err("no text");
        assert!(fault.what.contains(expected), "{}", fault.what);
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(Source::read(&put("good.yaml", b"keyroll: 1\n")).unwrap().text, "keyroll: 1\n");
}
