//! The lifecycle of a server: starting, checking and ending its process.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use super::{
    child::{Process, ProgramArgs},
    directory::ServerDirectory,
    watchdog::Watchdog,
};
use crate::{
    error::{Context, Error, Result},
    install::version::Version,
};

/// The state of a server that changes while it exists.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    name: String,
    version: Version,
    program: ProgramArgs,
    process: Option<Process>,
    watchdog: Watchdog,
    log: File,
    log_path: PathBuf,
    /// The length of the log when the current process started.
    log_start: usize,
    /// The time limit, once it has passed.
    expired: Option<Duration>,
}

/// Ends a server when its time limit passes, unless dropped before.
#[derive(Debug)]
pub(crate) struct TimeLimit {
    _alive: mpsc::Sender<()>,
}

impl Lifecycle {
    pub(crate) fn new(
        name: &str,
        version: Version,
        program: ProgramArgs,
        directory: &ServerDirectory,
    ) -> Result<Self> {
        let log_path = directory.log().to_owned();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log_path);
        let log = log.context(|| format!("open the log {}", log_path.display()))?;
        let watchdog = Watchdog::new(directory.temporary_path(), &log);
        let watchdog = watchdog.context(|| "start the watchdog shell".to_owned())?;
        let (name, process, expired) = (name.to_owned(), None, None);
        Ok(Self {
            name,
            version,
            program,
            process,
            watchdog,
            log,
            log_path,
            log_start: 0,
            expired,
        })
    }

    /// Starts a process in place of one that has ended.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        self.check_time()?;
        self.log_start = self.log_text().len();
        let process = Process::spawn(&self.program, &self.log, &mut self.watchdog);
        self.process = Some(process.context(|| format!("start {}", self.program.path.display()))?);
        Ok(())
    }

    /// The process, if it has not exited.
    pub(crate) fn running(&mut self) -> Option<&mut Process> {
        let process = self.process.as_mut()?;
        process.exit_status().is_none().then_some(process)
    }

    /// Fails if there is no process, with the reason.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.check_time()?;
        match self.process.as_mut().map(Process::exit_status) {
            None => Err(self.not_running()),
            Some(None) => Ok(()),
            Some(Some(status)) => Err(self.exited(status)),
        }
    }

    /// Sends a signal to the process; `send` returns whether there was one.
    pub(crate) fn signal(
        &mut self,
        send: impl FnOnce(&mut Process) -> io::Result<bool>,
    ) -> Result<()> {
        let sent = self.process.as_mut().map_or(Ok(false), send);
        if sent.context(|| format!("send a signal to etcd {}", self.name))? {
            Ok(())
        } else {
            Err(self.not_running())
        }
    }

    /// Ends the process by `how`. Does nothing if there is none.
    pub(crate) fn end(&mut self, how: impl FnOnce(&mut Process) -> io::Result<()>) -> Result<()> {
        let context = || format!("end etcd {}", self.name);
        if let Some(process) = &mut self.process {
            how(process).context(context)?;
            self.process = None;
        }
        self.watchdog.watch(None).context(context)
    }

    /// The whole log.
    pub(crate) fn log_text(&self) -> String {
        fs::read(&self.log_path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines that the current process has logged.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log_text();
        let lines: Vec<_> = log.get(self.log_start..).unwrap_or(&log).lines().collect();
        lines
            .split_at(lines.len().saturating_sub(TAIL_LINES))
            .1
            .join("\n")
    }

    fn not_running(&self) -> Error {
        Error::NotRunning {
            name: self.name.clone(),
        }
    }

    fn exited(&self, status: ExitStatus) -> Error {
        Error::Exited {
            version: self.version,
            name: self.name.clone(),
            status,
            log: self.log_tail(),
        }
    }

    fn check_time(&self) -> Result<()> {
        match self.expired {
            Some(limit) => Err(Error::TimeLimit {
                name: self.name.clone(),
                limit,
            }),
            None => Ok(()),
        }
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        // If it cannot be killed here, the watchdog kills it.
        let _ = self.end(Process::kill);
    }
}

impl TimeLimit {
    pub(crate) fn new(limit: Duration, lifecycle: &Arc<Mutex<Lifecycle>>) -> Self {
        let (alive, ended) = mpsc::channel();
        let lifecycle = Arc::downgrade(lifecycle);
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout)
                && let Some(lifecycle) = lifecycle.upgrade()
            {
                let mut lifecycle = lifecycle.lock().unwrap_or_else(PoisonError::into_inner);
                lifecycle.expired = Some(limit);
                // The watchdog remains, as above.
                let _ = lifecycle.end(Process::kill);
            }
        });
        Self { _alive: alive }
    }
}

/// In lines. etcd reports an invalid argument first and prints its usage after it.
const TAIL_LINES: usize = 40;
