//! The arrows between modules point one way. This is the whole matrix: what is not listed is not allowed.

use std::{collections::BTreeSet, fs, path::Path};

const MAY_USE: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("secret", &["ids"]),
    ("playbook", &[]),
    ("protocol", &["ids"]),
    ("record", &["ids", "protocol"]),
    ("rotation", &["ids", "protocol", "record"]),
    ("sight", &["record", "rotation"]),
    ("leak", &["ids", "secret"]),
    ("ports", &["ids", "secret", "playbook", "protocol", "record", "rotation"]),
    ("schedule", &["ids", "playbook", "protocol", "record", "rotation", "ports"]),
    ("journal", &["ids", "secret", "protocol", "record", "ports"]),
    ("retry", &[]),
    ("driver", &["ids", "secret", "playbook", "protocol", "record", "rotation", "sight", "ports", "retry"]),
    ("inspect", &["ids", "secret", "playbook", "protocol", "record", "rotation", "leak", "ports", "driver"]),
    ("adapters", &["ids", "secret", "playbook", "protocol", "rotation", "ports"]),
    ("report", &["ids", "playbook", "protocol", "record", "rotation", "sight", "schedule", "leak", "ports", "inspect"]),
    ("notify", &["ids", "playbook", "protocol", "record", "rotation", "ports", "report"]),
    (
        "batch",
        &["ids", "playbook", "protocol", "record", "rotation", "sight", "ports", "schedule", "retry", "driver", "adapters", "report"],
    ),
    (
        "sandbox",
        &[
            "ids", "secret", "playbook", "protocol", "record", "rotation", "sight", "ports", "journal", "retry", "driver", "adapters",
            "report",
        ],
    ),
    (
        "cli",
        &[
            "ids", "secret", "playbook", "protocol", "record", "rotation", "sight", "leak", "ports", "journal", "retry", "driver",
            "inspect", "adapters", "report", "notify", "sandbox", "schedule", "batch",
        ],
    ),
];

#[test]
fn arrows_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    visit(&root, &mut |path, text| {
        let relative = path.strip_prefix(&root).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if matches!(module, "main" | "lib") {
            return;
        }
        let Some((name, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: module `{module}` is not in the matrix", relative.display()));
            return;
        };
        seen.insert(*name);
        for used in uses(text) {
            if used != module && modules.contains(used.as_str()) && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: `{module}` must not use `{used}`", relative.display()));
            }
        }
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(seen, modules, "the matrix names modules that are not there");
}

/// The first segment after every `crate::`, in plain paths and in `use crate::{…}` lists.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut first = true;
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => first = true,
                    c if depth == 0 && first && (c.is_alphanumeric() || c == '_') => word.push(c),
                    _ if depth == 0 && !word.is_empty() => {
                        found.push(std::mem::take(&mut word));
                        first = false;
                    }
                    _ => {}
                }
                if first && !word.is_empty() && c == ',' {
                    found.push(std::mem::take(&mut word));
                }
            }
            found.extend((!word.is_empty()).then_some(word));
        } else {
            found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

fn visit(folder: &Path, each: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, each);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            each(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_reader_of_imports_reads_them_all() {
    let text = "use crate::{\n    ids::KeyId,\n    ports::{Got, Store},\n    retry,\n};\nlet x = crate::driver::drive();";
    assert_eq!(uses(text), ["ids", "ports", "retry", "driver"]);
}
