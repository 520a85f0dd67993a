//! What a test counted, for `.ci/run`'s table and for a person who reads along.

use std::{fs::OpenOptions, io::Write as _};

/// Prints a row, and adds it to the file that `KEYROLL_FIGURES` names, if any.
pub fn figure(of: &str, found: impl std::fmt::Display) {
    println!("{of}: {found}");
    if let Some(path) = std::env::var_os("KEYROLL_FIGURES") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the file of figures can be written");
        file.write_all(format!("{of}\t{found}\n").as_bytes()).expect("there is room for a figure");
    }
}
