//! The life of a server: its process, or the lack of one, and who ends it.

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
    directory::Place,
    error::{Doing, Error, Result},
    process::{Launch, Process},
    watchdog::Watchdog,
};

/// What changes between the start of a server and its end.
#[derive(Debug)]
pub(super) struct Life {
    name: String,
    launch: Launch,
    process: Option<Process>,
    watchdog: Watchdog,
    log: File,
    log_path: PathBuf,
    /// How long the log was before the present process wrote to it.
    log_start: usize,
    expired: Option<Duration>,
}

/// Ends a server when its time is over, unless dropped before.
#[derive(Debug)]
pub(super) struct TimeLimit {
    _alive: mpsc::Sender<()>,
}

impl Life {
    pub(super) fn new(name: &str, launch: Launch, place: &Place) -> Result<Self> {
        let log_path = place.log().to_owned();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log_path);
        let log = log.doing(|| format!("open the log {}", log_path.display()))?;
        let watchdog = Watchdog::new(place.scratch(), &log);
        let watchdog = watchdog.doing(|| "start the shell that watches over etcd".to_owned())?;
        let (name, process, expired) = (name.to_owned(), None, None);
        Ok(Self {
            name,
            launch,
            process,
            watchdog,
            log,
            log_path,
            log_start: 0,
            expired,
        })
    }

    /// Starts the process in place of one that has ended.
    pub(super) fn spawn(&mut self) -> Result<()> {
        self.check_time()?;
        self.log_start = self.log_text().len();
        let process = Process::spawn(&self.launch, &self.log, &mut self.watchdog);
        self.process = Some(process.doing(|| format!("start {}", self.launch.program.display()))?);
        Ok(())
    }

    /// The process, if it has not ended.
    pub(super) fn running(&mut self) -> Option<&mut Process> {
        let process = self.process.as_mut()?;
        process.ended().is_none().then_some(process)
    }

    /// Fails, with the reason, if there is no process.
    pub(super) fn check(&mut self) -> Result<()> {
        self.check_time()?;
        match self.process.as_mut().map(Process::ended) {
            None => Err(Error::NotRunning {
                name: self.name.clone(),
            }),
            Some(None) => Ok(()),
            Some(Some(status)) => Err(self.exited(status)),
        }
    }

    /// Halts the process, or lets it go on; `how` answers whether there was one.
    pub(super) fn signal(
        &mut self,
        how: impl FnOnce(&mut Process) -> io::Result<bool>,
    ) -> Result<()> {
        let doing = format!("send a signal to etcd {}", self.name);
        match self
            .process
            .as_mut()
            .map_or(Ok(false), how)
            .doing(|| doing)?
        {
            true => Ok(()),
            false => Err(Error::NotRunning {
                name: self.name.clone(),
            }),
        }
    }

    /// Ends the process in this way; does nothing if there is none.
    pub(super) fn end(&mut self, how: impl FnOnce(&mut Process) -> io::Result<()>) -> Result<()> {
        let doing = || format!("end etcd {}", self.name);
        if let Some(process) = &mut self.process {
            how(process).doing(doing)?;
            self.process = None;
        }
        self.watchdog.watch(None).doing(doing)
    }

    /// All that was logged.
    pub(super) fn log_text(&self) -> String {
        fs::read(&self.log_path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines the present process has logged.
    pub(super) fn log_tail(&self) -> String {
        let log = self.log_text();
        let lines: Vec<_> = log.get(self.log_start..).unwrap_or(&log).lines().collect();
        lines
            .split_at(lines.len().saturating_sub(TAIL))
            .1
            .join("\n")
    }

    fn exited(&self, status: ExitStatus) -> Error {
        Error::Exited {
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

impl Drop for Life {
    fn drop(&mut self) {
        // A process that cannot be killed is left to the watchdog.
        let _ = self.end(Process::kill);
    }
}

impl TimeLimit {
    pub(super) fn new(limit: Duration, life: &Arc<Mutex<Life>>) -> Self {
        let (alive, ended) = mpsc::channel();
        let life = Arc::downgrade(life);
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout)
                && let Some(life) = life.upgrade()
            {
                let mut life = life.lock().unwrap_or_else(PoisonError::into_inner);
                life.expired = Some(limit);
                // As above.
                let _ = life.end(Process::kill);
            }
        });
        Self { _alive: alive }
    }
}

/// In lines. etcd says what is wrong with its arguments first, and then at some length how it is to be used.
const TAIL: usize = 40;
