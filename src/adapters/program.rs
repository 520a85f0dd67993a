//! A command of the playbook's: no shell, nothing of keyroll's own environment, and nothing left behind.

use std::{
    io::ErrorKind,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::{
    playbook::{Fault, Span},
    ports::{Failure, Got, Problem},
    protocol::Refusal,
};

/// What the command finds on PATH unless `env` names PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long output may trail behind the end of the command, if something it started still holds the pipe.
const TRAIL: Duration = Duration::from_millis(200);

/// A program with its arguments, as a playbook names it.
pub struct Program {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// After this time it is killed with everything in its process group.
    pub timeout: Span,
    /// Names of our own environment variables to pass on.
    pub env: Vec<String>,
    /// Where it runs; none: where keyroll runs.
    pub cwd: Option<PathBuf>,
}

impl Program {
    /// This one, if it can be run at all.
    ///
    /// # Errors
    /// Where the command is empty or not absolute, or `env` holds more than names.
    pub fn checked(self) -> Result<Self, Fault> {
        let Some(program) = self.command.first().filter(|program| !program.is_empty()) else {
            return Err(Fault::new("`command` is empty").instead("write the program and its arguments as a list"));
        };
        if program.contains('/') && !program.starts_with('/') {
            return Err(Fault::new("the program's path is not absolute").instead("write it from the root, or a bare name that is on PATH"));
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return Err(Fault::new("`command` holds a NUL character"));
        }
        let named = |name: &String| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !self.env.iter().all(named) {
            return Err(Fault::new("`env` takes names of variables only").instead("write for example `[HOME, KUBECONFIG]`"));
        }
        if self.env.iter().any(|name| name.starts_with("KEYROLL_")) {
            return Err(Fault::new("names that begin with KEYROLL_ are keyroll's own").instead("take them out of `env`"));
        }
        if self.cwd.as_ref().is_some_and(|cwd| !cwd.is_absolute()) {
            return Err(Fault::new("`cwd` is not absolute").instead("write it from the root"));
        }
        Ok(self)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// Whether it is there, with everything it needs; `of` names its owner: "the rollout".
    pub fn check(&self, of: &str) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        if let Err(failure) = self.find() {
            problems.push(Problem::new(failure.what, failure.hint.unwrap_or_default()));
        }
        if let Some(cwd) = self.cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
            problems.push(Problem::new(format!("{} is not a folder", cwd.display()), format!("check `cwd` of {of}")));
        }
        for name in self.env.iter().filter(|name| std::env::var_os(name).is_none()) {
            problems.push(Problem::new(format!("{name} is not set here"), format!("set it, or take it out of `env` of {of}")));
        }
        problems
    }

    fn path(&self) -> String {
        let own = self.env.iter().any(|name| name == "PATH").then(|| std::env::var("PATH").ok()).flatten();
        own.unwrap_or_else(|| PATH.to_owned())
    }

    /// The program's file: found before the start, so that a wrong name is told from a failing program.
    fn find(&self) -> Got<PathBuf> {
        let program = self.name();
        let candidates: Vec<PathBuf> = if program.starts_with('/') {
            vec![program.into()]
        } else {
            self.path().split(':').filter(|folder| folder.starts_with('/')).map(|folder| Path::new(folder).join(program)).collect()
        };
        let runs = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        if let Some(found) = candidates.iter().find(|path| runs(path)) {
            return Ok(found.clone());
        }
        let (what, hint) = match candidates.iter().find(|path| path.exists()) {
            Some(path) => (format!("{} is not executable", path.display()), "make it executable: chmod +x".to_owned()),
            None => {
                (format!("there is no program {program}"), "write its absolute path under `command`, or pass PATH by `env: [PATH]`".into())
            }
        };
        Err(Failure::not_sent(what).hint(hint))
    }

    fn start(&self, told: &[(&str, &str)]) -> Got<Command> {
        let mut command = Command::new(self.find()?);
        command.args(self.command.iter().skip(1)).env_clear();
        for name in &self.env {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("PATH", self.path())
            .envs(told.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        Ok(command)
    }

    /// Runs it to its end. `told`: variables it is given; `input`: its standard input; `of` names its owner, for messages.
    ///
    /// # Errors
    /// Where it cannot be started, ends with another exit code than 0, or is killed; its output is never part of the error.
    pub async fn run(&self, told: &[(&str, &str)], input: &[u8], of: &str) -> Got<()> {
        let program = self.name();
        let mut child = self.start(told)?.spawn().map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotFound => "check the first line of the script, and `cwd`",
                ErrorKind::PermissionDenied => "check the permissions of the program and of `cwd`",
                _ => "try to run it by hand",
            };
            Failure::not_sent(format!("{program} could not be started: {error}")).hint(hint)
        })?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
        let said = Arc::new(AtomicU64::new(0));
        let out = child.stdout.take().map(|pipe| tokio::spawn(count(pipe, said.clone())));
        let err = child.stderr.take().map(|pipe| tokio::spawn(count(pipe, said.clone())));
        let readers = [out, err];
        let stdin = child.stdin.take().map(|mut pipe| {
            let input = input.to_vec();
            // A command that does not read its input is none the worse for it.
            tokio::spawn(async move { pipe.write_all(&input).await })
        });
        let ended = tokio::time::timeout(self.timeout.0, child.wait()).await;
        if ended.is_err() {
            group.kill();
            // Reaps it, so that no zombie stays; a killed process cannot linger.
            let _ = child.wait().await;
        }
        group.over();
        if let Some(stdin) = stdin {
            stdin.abort();
        }
        let _ = tokio::time::timeout(TRAIL, async {
            for reader in readers.into_iter().flatten() {
                let _ = reader.await;
            }
        })
        .await;
        let said = said.load(Ordering::Relaxed);
        let hint = format!("its output ({said} bytes) is not kept, for it may hold secrets: run it by hand to see it");
        match ended {
            Err(_) => {
                let what = format!("{program} was still running after {} and was killed", self.timeout);
                Err(Failure::unknown(what).hint(format!("raise `timeout` of {of}; {hint}")))
            }
            Ok(Err(error)) => Err(Failure::unknown(format!("{program} was lost sight of: {error}"))),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(match (status.code(), status.signal()) {
                (Some(code), _) => Failure::refused(Refusal::Invalid, None, format!("{program} ended with exit code {code}")).hint(hint),
                (None, signal) => Failure::unknown(format!("{program} was ended by signal {}", signal.unwrap_or_default())).hint(hint),
            }),
        }
    }
}

/// A process group that is killed when its owner is dropped before its end.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        if let Some(leader) = self.0 {
            // It fails only where nobody is left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads a pipe to its end, so that the command never blocks on it.
async fn count(mut pipe: impl AsyncRead + Unpin, said: Arc<AtomicU64>) {
    let mut buffer = vec![0; 8192];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        said.fetch_add(read as u64, Ordering::Relaxed);
    }
}
