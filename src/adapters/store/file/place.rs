//! The file, and the folder beside it that makes its replacement conditional and safe to break off anywhere.
//!
//! Order of a write, under a lock: old content kept · new content written · state says what comes next · **rename** · state says what is.
//! Before the rename nothing changed; after it the file is the one that the state calls `next`, so either state tells the same version.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{RotationId, Version},
    ports::{Failure, Got, Mark, Problem},
    protocol::Refusal,
    secret::Secret,
};

/// How many old contents are kept: several playbooks may each own a variable of one file, and each may have to go back.
const KEPT: usize = 5;
/// How long another keyroll's write is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const MOUNT_HINT: &str = "mount the directory, not the file; where a file is a link, name what it points to";

pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
    /// `.NAME.keyroll`: lock, state, old contents, and the new content until its rename.
    pub(super) beside: PathBuf,
    pub(super) mode: u32,
}

pub(super) struct Content {
    pub(super) version: Version,
    pub(super) text: Secret,
    /// See [`Place::stamp`].
    stamp: String,
    count: u64,
    mode: u32,
    owner: (u32, u32),
}

/// What we last did to the file.
#[derive(Default, Serialize, Deserialize)]
struct State {
    /// How many writes of ours, as of the last one known to be complete.
    count: u64,
    /// The write that was begun last: if the file has its stamp, it happened.
    next: Option<Next>,
    /// Old contents, oldest first.
    kept: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    version: Version,
    /// Of the content alone.
    hash: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Next {
    count: u64,
    stamp: String,
    token: String,
    journal: String,
    rotation: RotationId,
}

impl Place {
    /// The file as it is; none: there is no file.
    pub(super) fn current(&self) -> Got<Option<Content>> {
        let _lock = self.lock(false)?;
        let state = self.state()?;
        self.content(&state)
    }

    /// The content at a version, if it is current or kept.
    pub(super) fn at(&self, version: &Version) -> Got<Option<Content>> {
        let _lock = self.lock(false)?;
        let state = self.state()?;
        if let Some(current) = self.content(&state)?.filter(|content| content.version == *version) {
            return Ok(Some(current));
        }
        let Some(kept) = state.kept.iter().find(|kept| kept.version == *version) else { return Ok(None) };
        let Some(file) = self.open(&self.beside.join(format!("{version}.prev")))? else { return Ok(None) };
        let content = self.load(file, &State::default())?;
        let intact = self.hash(&content.text) == kept.hash;
        Ok(intact.then(|| Content { version: version.clone(), ..content }))
    }

    /// The current version and those that are kept, newest first.
    pub(super) fn versions(&self) -> Got<Vec<Version>> {
        let _lock = self.lock(false)?;
        let state = self.state()?;
        let current = self.content(&state)?.map(|content| content.version);
        Ok(current.into_iter().chain(state.kept.into_iter().rev().map(|kept| kept.version)).collect())
    }

    /// Who wrote last.
    pub(super) fn mark(&self) -> Got<Option<Mark>> {
        let _lock = self.lock(false)?;
        let state = self.state()?;
        let Some(next) = &state.next else { return Ok(None) };
        let written = next.count <= state.count || self.content(&state)?.is_some_and(|content| content.count == next.count);
        Ok(written.then(|| Mark { journal: next.journal.clone(), rotation: next.rotation.clone() }))
    }

    /// Replaces the content, if it is still at `base`.
    pub(super) fn replace(&self, base: Option<&Version>, token: &str, mark: &Mark, edit: impl Fn(&str) -> Got<Secret>) -> Got<Version> {
        match DirBuilder::new().mode(0o700).create(&self.beside) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(self.failed("the folder beside it", &error)),
            _ => {}
        }
        self.own_folder()?;
        let _lock = self.lock(true)?;
        let mut state = self.state()?;
        let old = self.content(&state)?;
        let ours = state.next.as_ref().filter(|next| next.token == token);
        if let (Some(old), Some(next)) = (&old, ours)
            && next.count == old.count
            && next.stamp == old.stamp
        {
            return Ok(old.version.clone());
        }
        if old.as_ref().map(|old| &old.version) != base {
            return Err(self.moved());
        }
        let text = edit(old.as_ref().map_or("", |old| old.text.reveal()))?;
        let began = state.next.as_ref().map_or(0, |next| next.count);
        if let Some(old) = &old {
            self.keep(old, &mut state)?;
        }
        let fresh = self.beside.join("next");
        let mode = old.as_ref().map_or(self.mode, |old| old.mode & self.mode);
        let made = self.put(&fresh, &text, mode, old.as_ref().map(|old| old.owner))?;
        let next = Next {
            count: state.count.max(began) + 1,
            stamp: self.stamp(&text, &made),
            token: token.to_owned(),
            journal: mark.journal.clone(),
            rotation: mark.rotation.clone(),
        };
        let version = version(next.count, &next.stamp);
        state.count = old.as_ref().map_or(state.count, |old| old.count.max(state.count));
        state.next = Some(next.clone());
        self.save(&state)?;
        // Editors take no lock: looked at once more, as late as can be.
        if self.content(&state)?.map(|now| now.stamp) != old.as_ref().map(|old| old.stamp.clone()) {
            return Err(self.moved());
        }
        // A link fails where a file has appeared meanwhile; a rename would replace it.
        let commit = if old.is_some() { fs::rename(&fresh, &self.path) } else { fs::hard_link(&fresh, &self.path) };
        commit.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => self.moved(),
            ErrorKind::ResourceBusy | ErrorKind::CrossesDevices => self.failed("the file", &error).hint(MOUNT_HINT),
            _ => self.failed("the file", &error),
        })?;
        let after = |error: io::Error| Failure::unknown(format!("{}: written, but not known to be on disk ({error})", self.path.display()));
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(after)?;
        let _ = fs::remove_file(&fresh);
        state.count = next.count;
        self.save(&state).map_err(|failure| Failure::unknown(failure.what))?;
        Ok(version)
    }

    /// What must be put right before a rotation.
    pub(super) fn problems(&self) -> Vec<Problem> {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let (path, folder) = (self.path.display(), self.folder.display());
        let mut found = Vec::new();
        match fs::metadata(&self.folder) {
            Ok(meta) if meta.is_dir() => {
                if accessat(CWD, &self.folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_err() {
                    found.push(Problem::new(
                        format!("{folder} cannot be written: the file is replaced, not changed in place"),
                        format!("chmod u+wx {folder}, or run keyroll as its owner"),
                    ));
                }
            }
            _ => found.push(Problem::new(format!("{folder} is no folder"), format!("mkdir -p {folder}"))),
        }
        if let Err(failure) = self.own_folder() {
            found.push(failure.into());
        }
        let Ok(meta) = fs::symlink_metadata(&self.path) else { return found };
        if meta.is_symlink() || !meta.is_file() {
            found.push(Problem::new(format!("{path} is no plain file"), MOUNT_HINT));
            return found;
        }
        if meta.mode() & 0o777 & !self.mode != 0 {
            found.push(Problem::new(
                format!("{path} has mode {:04o}, wider than {:04o}", meta.mode() & 0o777, self.mode),
                format!("chmod {:04o} {path}, or set the store's mode if others must read it", self.mode),
            ));
        }
        if meta.nlink() > 1 && !self.beside.join("next").exists() {
            found.push(Problem::new(
                format!("{path} has {} names (hard links): the others would keep the old value", meta.nlink()),
                "remove the other links".to_owned(),
            ));
        }
        if self.mounted() {
            found.push(Problem::new(format!("{path} is itself a mount and cannot be replaced"), MOUNT_HINT));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() && !rustix::process::geteuid().is_root() {
            found.push(Problem::new(format!("{path} belongs to another user"), "run keyroll as the file's owner".to_owned()));
        }
        found
    }

    /// The content's hash, salted with the path: two files' hashes must not tell that they hold one secret.
    fn hash(&self, text: &Secret) -> String {
        text.fingerprint(self.path.as_os_str().as_encoded_bytes()).as_str().to_owned()
    }

    /// The content's hash with the file's inode and time, so that a content that went and came back differs. A rename keeps both.
    fn stamp(&self, text: &Secret, meta: &Metadata) -> String {
        let salt = format!("{} {} {} {}", self.path.display(), meta.ino(), meta.mtime(), meta.mtime_nsec());
        text.fingerprint(salt.as_bytes()).as_str()[..12].to_owned()
    }

    /// Whether the file alone is mounted, as far as the system tells.
    fn mounted(&self) -> bool {
        let Ok(real) = fs::canonicalize(&self.path) else { return false };
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        mounts.lines().filter_map(|line| line.split(' ').nth(4)).any(|mount| Path::new(mount) == real)
    }

    fn content(&self, state: &State) -> Got<Option<Content>> {
        self.open(&self.path)?.map(|file| self.load(file, state)).transpose()
    }

    fn load(&self, mut file: File, state: &State) -> Got<Content> {
        let mut text = String::new();
        let meta = file.metadata().map_err(|error| self.failed("the file", &error))?;
        file.read_to_string(&mut text).map_err(|error| self.failed("the file", &error))?;
        let text = Secret::new(text);
        let stamp = self.stamp(&text, &meta);
        let count = state.next.as_ref().filter(|next| next.stamp == stamp).map_or(state.count, |next| next.count);
        Ok(Content { version: version(count, &stamp), text, stamp, count, mode: meta.mode() & 0o777, owner: (meta.uid(), meta.gid()) })
    }

    /// Opens a plain file without following a link; none: there is none.
    fn open(&self, path: &Path) -> Got<Option<File>> {
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
        let no_file = || {
            Failure::refused(Refusal::Invalid, None, format!("{} is a link or no plain file", path.display()))
                .hint(format!("keyroll follows no link here: {MOUNT_HINT}"))
        };
        #[allow(clippy::cast_possible_wrap)]
        match OpenOptions::new().read(true).custom_flags(flags as i32).open(path) {
            Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => Ok(Some(file)),
            Ok(_) => Err(no_file()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(_) if fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) => Err(no_file()),
            Err(error) => Err(self.failed("the file", &error)),
        }
    }

    /// Keeps an old content readable, and forgets the oldest.
    fn keep(&self, old: &Content, state: &mut State) -> Got<()> {
        self.put(&self.beside.join(format!("{}.prev", old.version)), &old.text, 0o600, None)?;
        state.kept.retain(|kept| kept.version != old.version);
        state.kept.push(Kept { version: old.version.clone(), hash: self.hash(&old.text) });
        while state.kept.len() > KEPT {
            let _ = fs::remove_file(self.beside.join(format!("{}.prev", state.kept.remove(0).version)));
        }
        Ok(())
    }

    /// Writes a new file, durably. What stands there is unlinked, never opened: after a broken-off first write it is the file itself.
    fn put(&self, path: &Path, text: &Secret, mode: u32, owner: Option<(u32, u32)>) -> Got<Metadata> {
        let write = || {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.reveal().as_bytes())?;
            if let Some((user, group)) = owner {
                let made = file.metadata()?;
                if (made.uid(), made.gid()) != (user, group) {
                    fchown(&file, Some(user), Some(group))?;
                }
            }
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.sync_all()?;
            file.metadata()
        };
        write().map_err(|error| self.failed("its new content", &error))
    }

    fn state(&self) -> Got<State> {
        let path = self.beside.join("state");
        let Some(mut file) = self.open(&path)? else { return Ok(State::default()) };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| self.failed("the state beside it", &error))?;
        serde_json::from_str(&text).map_err(|_| {
            Failure::refused(Refusal::Invalid, None, format!("{} is not what keyroll wrote", path.display()))
                .hint("if no rotation is open on this file, remove that folder")
        })
    }

    fn save(&self, state: &State) -> Got<()> {
        let text = serde_json::to_string(state).map_err(|_| Failure::not_sent("the state beside the file cannot be written down"))?;
        let fresh = self.beside.join("state.next");
        self.put(&fresh, &Secret::new(text), 0o600, None)?;
        let done = fs::rename(&fresh, self.beside.join("state")).and_then(|()| File::open(&self.beside)?.sync_all());
        done.map_err(|error| self.failed("the state beside it", &error))
    }

    /// Shared for reading, alone for writing; the system gives it back when its holder dies. None: nobody has written yet.
    fn lock(&self, alone: bool) -> Got<Option<File>> {
        let path = self.beside.join("lock");
        #[allow(clippy::cast_possible_wrap)]
        let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let opened = OpenOptions::new().read(true).write(alone).create(alone).mode(0o600).custom_flags(flags).open(&path);
        let file = match opened {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| self.failed("the lock beside it", &error))?,
        };
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match if alone { file.try_lock() } else { file.try_lock_shared() } {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::not_sent(format!("{}: another keyroll is writing it", self.path.display())));
                }
                Err(TryLockError::Error(error)) => return Err(self.failed("the lock beside it", &error)),
            }
        }
    }

    /// Whether the folder beside the file is a folder, and ours alone: others could put their own contents and links there.
    fn own_folder(&self) -> Got<()> {
        match fs::symlink_metadata(&self.beside) {
            Ok(found) if !found.is_dir() || found.mode() & 0o022 != 0 => {
                let beside = self.beside.display();
                Err(Failure::refused(Refusal::Invalid, None, format!("{beside} is not keyroll's own folder"))
                    .hint(format!("it is a link, or others may write to it: remove it, or chmod 700 {beside}")))
            }
            _ => Ok(()),
        }
    }

    fn moved(&self) -> Failure {
        Failure::refused(Refusal::Conflict, None, format!("{} changed since it was read", self.path.display()))
    }

    /// An error before the rename: nothing changed.
    fn failed(&self, part: &str, error: &io::Error) -> Failure {
        let what = format!("{}: {part} cannot be used: {error}", self.path.display());
        match error.kind() {
            ErrorKind::PermissionDenied => Failure::refused(Refusal::Denied, None, what).hint("run keyroll as the file's owner"),
            ErrorKind::InvalidData => Failure::refused(Refusal::Invalid, None, what),
            _ => Failure::not_sent(what),
        }
    }
}

fn version(count: u64, stamp: &str) -> Version {
    Version::new(format!("{count}-{stamp}"))
}
