//! A secret that stands where it must not: it is never said again.

use keyroll::{
    adapters::build::build,
    playbook::{Fault, Playbook, render, render_coloured},
};

use super::{FULL, source, world};

fn faults(text: &str) -> Vec<Fault> {
    match Playbook::parse(source(text)) {
        Err(faults) => faults,
        Ok(playbook) => build(&playbook, &world::registry(), &world::ctx()).err().unwrap_or_default(),
    }
}

/// The byte ranges of every scalar in the full playbook, keys too.
fn scalars() -> Vec<(usize, usize)> {
    scalars_of(FULL)
}

fn scalars_of(text: &str) -> Vec<(usize, usize)> {
    let pattern = regex::Regex::new(r#""[^"\n]*"|[^\s\[\]{},:"](?:[^\s\[\]{},":]|:\S)*"#).unwrap();
    pattern.find_iter(text).map(|hit| (hit.start(), hit.end())).filter(|(from, to)| &text[*from..*to] != "-").collect()
}

const CANARIES: &[&str] = &[
    "sk-CANARY-1a2b3c4d",
    "\"sk-CANARY-1a2b3c4d\"",
    "AKIACANARY0123456789",
    "hvs.CANARYabcdefgh123",
    "eyJCANARYabc.def.ghi",
    "ghp_CANARY1234567890",
    "CANARYx9f8e7d6c5b4a3z2y1",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARYKEY1",
    "https://user:CANARY@host/path",
];

#[test]
fn a_secret_in_any_place_is_in_no_message() {
    let mut wrong = 0;
    for canary in CANARIES {
        for (from, to) in scalars() {
            let text = format!("{}{canary}{}", &FULL[..from], &FULL[to..]);
            let faults = faults(&text);
            wrong += usize::from(!faults.is_empty());
            let said = format!("{faults:?}\n{}\n{}", render(&faults, &source(&text)), render_coloured(&faults, &source(&text)));
            assert!(!said.contains("CANARY"), "{canary} instead of `{}`:\n{said}", &FULL[from..to]);
        }
    }
    assert!(wrong > 300, "most places refuse a secret: {wrong}");
}

#[test]
fn a_secret_in_any_place_beside_a_mistake_is_not_drawn() {
    let slips =
        [("witin: 10m", "within: 10m"), ("tmes: 3", "times: 3"), ("key_idd: id", "key_id: id"), ("sizze: 3", "size: 3"), ("rle:", "role:")];
    for canary in CANARIES {
        for (from, to) in scalars() {
            // All slips at once, so that nearly every line of the file is drawn.
            let mut text = format!("{}{canary}{}", &FULL[..from], &FULL[to..]);
            for (slip, good) in slips {
                text = text.replacen(good, slip, 1);
            }
            let faults = faults(&text);
            let said = format!("{faults:?}\n{}", render(&faults, &source(&text)));
            assert!(!said.contains("CANARY"), "{canary} instead of `{}`:\n{said}", &FULL[from..to]);
        }
    }
}

#[test]
fn a_plain_password_in_a_secrets_field_is_covered_whole() {
    for password in [
        "CANARY",
        "CANARY with, commas CANARY",
        "\"CANARY 'quoted' CANARY\"",
        "'CANARY: x'",
        "|\n      CANARY\n      CANARY",
        "{ CANARY: CANARY }",
        "[CANARY]",
        "env: CANARY",
    ] {
        let text = FULL.replacen("env:ADMIN_KEY", password, 1);
        let faults = faults(&text);
        let said = format!("{faults:?}\n{}", render(&faults, &source(&text)));
        let allowed = password.starts_with(['{', '[']);
        assert!(!faults.is_empty());
        assert!(allowed || !said.contains("CANARY"), "{password}:\n{said}");
    }
}

#[test]
fn a_playbooks_debug_shows_no_text() {
    let text = FULL.replacen("# ", "", 0) + "# sk-CANARY\n";
    let playbook = Playbook::parse(source(&text)).expect("a good playbook");
    assert!(!format!("{playbook:?}").contains("CANARY"));
}

#[test]
fn the_real_adapters_say_no_secret_either() {
    let registry = keyroll::adapters::registry::Registry::builtin();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim_end()).collect();
        let good: String = lines.iter().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        for canary in CANARIES {
            for (from, to) in scalars_of(&good) {
                let text = format!("{}{canary}{}", &good[..from], &good[to..]);
                let faults = match Playbook::parse(source(&text)) {
                    Err(faults) => faults,
                    Ok(playbook) => build(&playbook, &registry, &world::ctx()).err().unwrap_or_default(),
                };
                let said = format!("{faults:?}\n{}", render(&faults, &source(&text)));
                assert!(!said.contains("CANARY"), "{canary} instead of `{}`:\n{said}", &good[from..to]);
            }
        }
    }
}
