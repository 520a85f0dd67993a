//! The place a journal's file stands in: what would keep a record from being written.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use rustix::fs::{Access, access, statvfs};

use super::lock::Locks;
use crate::ports::Problem;

/// A record takes a few KiB; below this a rotation might not end.
const ROOM: u64 = 100 << 20;

/// Looks at the file, its disk and its folder of locks: each by a word, with what was found or what is wrong. A file that is
/// not there yet is no problem where it can be made.
pub fn look(path: &Path) -> Vec<(&'static str, Result<String, Problem>)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let nearest = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    vec![("file", file(path, nearest)), ("disk", disk(nearest)), ("locks", locks(path, nearest))]
}

fn writable(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn file(path: &Path, nearest: &Path) -> Result<String, Problem> {
    let place = path.display();
    let Ok(found) = fs::symlink_metadata(path) else {
        return if writable(nearest) {
            Ok(format!("{place} is not there yet; the first rotation makes it"))
        } else {
            Err(Problem::new(format!("{place} is not there, and cannot be made"), format!("let this user write to {}", nearest.display())))
        };
    };
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o177 != 0 {
        return Err(Problem::new(format!("{place} is open to other users (mode {mode:04o})"), format!("chmod 600 '{place}'")));
    }
    if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        return Err(Problem::new(format!("{place} cannot be read and written by this user"), "run keyroll as the user who owns it"));
    }
    Ok(format!("{place}, mode {mode:04o}"))
}

fn disk(nearest: &Path) -> Result<String, Problem> {
    let place = nearest.display();
    let Ok(found) = statvfs(nearest) else {
        return Err(Problem::new(format!("the disk of {place} does not tell how much room it has"), "check that it is mounted"));
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let told = format!("{} MiB free at {place}", free >> 20);
    if free < ROOM { Err(Problem::new(told, "make room: a record that cannot be written stops a rotation")) } else { Ok(told) }
}

fn locks(path: &Path, nearest: &Path) -> Result<String, Problem> {
    let folder = Locks::beside(path).folder;
    let place = folder.display();
    match fs::symlink_metadata(&folder) {
        Ok(found) if !found.is_dir() => Err(Problem::new(format!("{place} is no folder"), format!("remove it: rm '{place}'"))),
        Ok(_) if writable(&folder) => Ok(format!("{place} can be written")),
        Ok(_) => {
            Err(Problem::new(format!("{place} cannot be written"), format!("let this user write to it: chown -R \"$USER\" '{place}'")))
        }
        Err(_) if writable(nearest) => Ok(format!("{place} is made when it is needed")),
        Err(_) => {
            Err(Problem::new(format!("{place} is not there, and cannot be made"), format!("let this user write to {}", nearest.display())))
        }
    }
}
