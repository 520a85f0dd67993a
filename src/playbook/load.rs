//! File to text.

use std::{io::Read, path::Path};

use super::{Fault, Source, tree::LONGEST};

impl Source {
    /// Reads a playbook's file.
    ///
    /// # Errors
    /// It cannot be read, is longer than 1 MiB, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let name = path.display().to_string();
        let broken = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Fault::new(format!("there is no file {name}")).instead("check the path, or write one with `keyroll init`")
            }
            std::io::ErrorKind::PermissionDenied => {
                Fault::new(format!("{name} may not be read")).instead("check the file's owner and permissions")
            }
            std::io::ErrorKind::IsADirectory => Fault::new(format!("{name} is a folder")).instead("name the file in it"),
            _ => Fault::new(format!("{name} cannot be read: {error}")),
        };
        let file = std::fs::File::open(path).map_err(|error| broken(&error))?;
        let mut bytes = Vec::new();
        // One byte more than the limit tells a file that is too long, without reading all of it.
        file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        if bytes.len() > LONGEST {
            return Err(Fault::new(format!("{name} is longer than 1 MiB")).instead("a playbook is a page of YAML: check the file's name"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Fault::new(format!("{name} is not UTF-8 text")).instead("a playbook is YAML in UTF-8: check the file's name"))?;
        Ok(Self { name, text })
    }
}
