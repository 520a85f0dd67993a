//! One lock file a rotation. The kernel lets go when its holder dies, so a dead runner is known at once.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::down;
use crate::ports::JournalError;

/// The folder of a journal's locks.
pub(super) struct Locks {
    pub(super) folder: PathBuf,
}

/// A held lock; given back when dropped.
pub(super) struct Held {
    file: File,
    path: PathBuf,
}

/// Why there is no lock.
pub(super) enum Refused {
    /// Somebody holds it: what they wrote into it.
    Taken(String),
    /// It cannot be had.
    Down(JournalError),
}

impl Locks {
    /// The locks beside the journal at `path`.
    pub fn beside(path: &Path) -> Self {
        let mut folder = OsString::from(path);
        folder.push(".locks");
        Self { folder: folder.into() }
    }

    /// Takes the lock called `name`, or says who holds it. Never waits.
    pub fn take(&self, name: &str) -> Result<Held, Refused> {
        let path = self.folder.join(format!("{name}.lock"));
        loop {
            match self.grab(&path) {
                Ok(Some(held)) => return Ok(held),
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Refused::Taken(holder(&path))),
                Err(_) if self.strange() => {
                    let place = self.folder.display();
                    let what = format!(
                        "{place} is not keyroll's own folder (a link, or others may write to it): remove it, or chmod 700 '{place}'"
                    );
                    return Err(Refused::Down(JournalError::Down(what)));
                }
                Err(error) => return Err(Refused::Down(down::file("lock", &path, &error))),
            }
        }
    }

    /// Whether somebody else could take lock files away in this folder, or has put it elsewhere.
    fn strange(&self) -> bool {
        fs::symlink_metadata(&self.folder).is_ok_and(|found| !found.is_dir() || found.mode() & 0o022 != 0)
    }

    /// `None`: the file was taken away between opening and locking it, so what is locked is no longer the lock.
    fn grab(&self, path: &Path) -> io::Result<Option<Held>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        if self.strange() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            Errno::WOULDBLOCK => io::Error::from(io::ErrorKind::WouldBlock),
            other => io::Error::from(other),
        })?;
        if !is_at(&file, path)? {
            return Ok(None);
        }
        let mut held = Held { file, path: path.to_owned() };
        held.sign()?;
        Ok(Some(held))
    }
}

impl Held {
    fn sign(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        write!(self.file, "{}", super::this_process())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Away first, then free: whoever waits on this very file sees that it is no longer the lock.
        // Only if it still is: a file that somebody else put there is their lock, not ours.
        if is_at(&self.file, &self.path).is_ok_and(|ours| ours) {
            let _ = fs::remove_file(&self.path);
        }
        // Said aloud, because a child that was just forked shares this lock until it executes.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Whether `path` still names this open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn holder(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(300).read_to_string(&mut text));
    match read {
        Ok(_) if !text.is_empty() => text.chars().filter(|letter| !letter.is_control()).collect(),
        _ => "another process".into(),
    }
}
