//! One running server process: ours by birth or by adoption.
//!
//! Servers are deliberately not tied to our life: they are in a process group
//! of their own, so that a terminal's Ctrl-C reaches only us and we can stop
//! them in order, and after a `kill -9` of ours they go on until the next
//! start adopts them. An adopted process is not our child, so its end is seen
//! by looking, not by waiting.
//!
//! A process id proves nothing by itself, because the kernel uses numbers
//! again. Every server therefore works in a directory of its own, and a
//! process counts as that server only while its current directory is that
//! one.

use std::{
    fs::File,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{Error, log::Log};

/// How often an adopted process is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What is fixed about a server, whichever process serves.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    /// Its name in messages.
    pub(crate) service: &'static str,
    /// The directory it works in, and nobody else does.
    pub(crate) dir: PathBuf,
    /// Where it logs.
    pub(crate) log: Log,
    /// How to stop it: each signal, and how long it is given to work.
    pub(crate) stop: &'static [(Signal, Duration)],
}

impl Kind {
    /// Waits for a start, and says why there is nothing to wait for any longer when it takes too long.
    pub(crate) async fn ready_within<T>(
        &self,
        patience: Duration,
        start: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let ready = timeout(patience, start).await;
        ready.unwrap_or_else(|_| {
            Err(Error::NotReady {
                service: self.service,
                seconds: patience.as_secs(),
                log: self.log.path().to_owned(),
                tail: self.log.tail(),
            })
        })
    }
}

/// A server process.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    pid: u32,
    /// Present when we started it.
    child: Option<Child>,
    /// The process that stops the server when we are gone.
    tether: Option<Child>,
    gone: bool,
}

impl Server {
    /// Starts `command`, which must stay in the foreground, on a claimed log.
    pub(crate) fn spawn(kind: Kind, mut command: Command, log: File) -> Result<Self, Error> {
        let errors = log.try_clone().map_err(Error::io(format!("open {}", kind.log.path().display())))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(false)
            .spawn()
            .map_err(Error::io(format!("start {}", kind.service)))?;
        let pid = child.id().unwrap_or_default();
        tracing::debug!(service = kind.service, pid, "started");
        Ok(Self { kind, pid, child: Some(child), tether: None, gone: false })
    }

    /// Takes over a process that is known to be this server.
    pub(crate) fn adopt(kind: Kind, pid: u32) -> Self {
        tracing::info!(service = kind.service, pid, "already running: keeping this process",);
        Self { kind, pid, child: None, tether: None, gone: false }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The error to report if the process has already ended while starting.
    pub(crate) fn failed(&mut self) -> Option<Error> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.gone = true;
        Some(Error::Failed {
            service: self.kind.service,
            status: status.to_string(),
            log: self.kind.log.path().to_owned(),
            tail: self.kind.log.tail(),
        })
    }

    /// Waits until the process is gone and returns the error to report.
    pub(crate) async fn wait(&mut self) -> Error {
        let status = match self.exited().await {
            Some(status) => status.to_string(),
            None => "exit status unknown".to_owned(),
        };
        Error::Died {
            service: self.kind.service,
            pid: self.pid,
            status,
            log: self.kind.log.path().to_owned(),
            tail: self.kind.log.tail(),
        }
    }

    /// Stops the process, first politely, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        if let Some(mut tether) = self.tether.take() {
            // Before the server, whose number it would otherwise signal late.
            let _ = tether.kill().await;
        }
        for (signal, patience) in self.kind.stop {
            self.signal(*signal);
            if timeout(*patience, self.exited()).await.is_ok() {
                tracing::debug!(service = self.kind.service, pid = self.pid, "stopped");
                return Ok(());
            }
            tracing::warn!(service = self.kind.service, pid = self.pid, "still there after {signal}",);
        }
        Err(Error::StillRunning { service: self.kind.service, pid: self.pid })
    }

    /// Has the server stopped as soon as this process ends, however it ends.
    ///
    /// A shell waits on a pipe whose other end only we hold.
    pub(crate) fn tether(&mut self) -> Result<(), Error> {
        let Some((signal, _)) = self.kind.stop.first() else {
            return Ok(());
        };
        let name = signal.as_str().trim_start_matches("SIG");
        let tether = Command::new("/bin/sh")
            .args(["-c", "cat >/dev/null; kill -s \"$0\" \"$1\"", name])
            .arg(self.pid.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("start /bin/sh"))?;
        self.tether = Some(tether);
        Ok(())
    }

    /// Waits for the end; `None` when the status is not ours to know.
    async fn exited(&mut self) -> Option<ExitStatus> {
        let status = match &mut self.child {
            _ if self.gone => None,
            Some(child) => child.wait().await.ok(),
            None => {
                while is_at_work(self.pid, &self.kind.dir) {
                    sleep(LOOK).await;
                }
                None
            }
        };
        self.gone = true;
        status
    }

    fn signal(&self, signal: Signal) {
        let ours = match &self.child {
            // A child that was waited for no longer has a number.
            Some(child) => child.id().is_some(),
            None => is_at_work(self.pid, &self.kind.dir),
        };
        if ours
            && !self.gone
            && let Some(pid) = number(self.pid)
            && let Err(error) = kill(pid, signal)
        {
            tracing::debug!(pid = self.pid, %error, "could not send {signal}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((signal, _)) = self.kind.stop.first() {
            self.signal(*signal);
        }
    }
}

/// Whether process `pid` exists, is not a zombie and works in `dir`.
///
/// Where there is no `/proc`, existing has to be enough; whoever adopts a
/// process makes it show that it knows the secret anyway.
pub(crate) fn is_at_work(pid: u32, dir: &Path) -> bool {
    if !exists(pid) {
        return false;
    }
    if !Path::new("/proc/self").exists() {
        return true;
    }
    match std::fs::metadata(format!("/proc/{pid}/cwd")) {
        Ok(works_in) => {
            std::fs::metadata(dir).is_ok_and(|dir| (works_in.dev(), works_in.ino()) == (dir.dev(), dir.ino()))
        }
        // Root in a container may not look there; what it was told is public.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => told(pid, dir),
        // A zombie has no current directory left.
        Err(_) => false,
    }
}

/// Whether anything, if only a zombie, has the number `pid`.
pub(crate) fn exists(pid: u32) -> bool {
    number(pid).is_some_and(|pid| kill(pid, None) != Err(Errno::ESRCH))
}

/// Whether the command line of process `pid` mentions `dir`.
fn told(pid: u32, dir: &Path) -> bool {
    let dir = dir.as_os_str().as_encoded_bytes();
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.windows(dir.len()).any(|part| part == dir))
}

/// A number that is safe to signal: 0 would be our whole process group.
fn number(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::{is_at_work, number, told};

    #[test]
    fn only_a_process_in_its_directory_is_at_work() {
        let here = std::env::current_dir().unwrap();
        assert!(is_at_work(std::process::id(), &here));
        assert!(!is_at_work(std::process::id(), &std::env::temp_dir()));
        assert!(!is_at_work(u32::MAX, &here));
    }

    #[test]
    fn a_command_line_tells_what_a_process_works_on() {
        let program = std::env::args().next().unwrap();
        assert!(told(std::process::id(), program.as_ref()));
        assert!(!told(std::process::id(), "/no/such/directory".as_ref()));
    }

    #[test]
    fn process_groups_and_init_are_never_signalled() {
        assert!(number(0).is_none());
        assert!(number(1).is_none());
        assert!(number(u32::MAX).is_none());
        assert!(number(2).is_some());
    }
}
