//! A child process that does not outlive this process.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write},
    path::PathBuf,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::watchdog::{Watchdog, shell};
use crate::environment::without_etcd_settings;

/// A program with its arguments and additional environment variables.
#[derive(Clone, Debug)]
pub(crate) struct ProgramArgs {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) envs: Vec<(OsString, OsString)>,
}

/// A running program. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts the program with its output redirected to `log`.
    pub(crate) fn spawn(
        program: &ProgramArgs,
        log: &File,
        watchdog: &mut Watchdog,
    ) -> io::Result<Self> {
        let mut gate = shell(GATE, log)?;
        gate.arg(&program.path).args(&program.args);
        without_etcd_settings(&mut gate)
            .envs(program.envs.iter().map(|(name, value)| (name, value)));
        let mut process = Self {
            child: gate.spawn()?,
            status: None,
        };
        watchdog.watch(Some(process.pid()))?;
        if let Some(mut gate) = process.child.stdin.take() {
            gate.write_all(b"go\n")?;
        }
        Ok(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The exit status; `None` while the program runs or is paused.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Sends a signal. Returns whether there was still a process to send it to.
    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<bool> {
        // The system does not reuse the id before `exit_status` has reaped the child.
        if self.exit_status().is_some() {
            return Ok(false);
        }
        kill_process(self.id()?, signal)?;
        Ok(true)
    }

    /// Stops the program with SIGSTOP, and returns whether there was one to stop. Its threads may run for a moment after the
    /// signal, so this waits until they have stopped.
    pub(crate) fn pause(&mut self) -> io::Result<bool> {
        if !self.signal(Signal::STOP)? {
            return Ok(false);
        }
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(self.id()?), stopped)?.is_none() {
            if self.exit_status().is_some() {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(true)
    }

    fn id(&self) -> io::Result<Pid> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        id.ok_or_else(|| io::Error::other("the process has no id"))
    }

    /// Sends SIGTERM, and kills the program if it has not exited after `grace`.
    pub(crate) fn stop(&mut self, grace: Duration) -> io::Result<()> {
        // A paused process handles SIGTERM only after SIGCONT.
        if self.signal(Signal::TERM)? && self.signal(Signal::CONT)? {
            let deadline = Instant::now() + grace;
            while self.exit_status().is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.kill()
    }

    /// Kills the program.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if self.signal(Signal::KILL)? {
            self.status = Some(self.child.wait()?);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If this fails, the watchdog still kills it.
        let _ = self.kill();
    }
}

/// Delays the program until the watchdog knows its id, so that it cannot outlive this process at any moment.
const GATE: &str = r#"read -r go && exec "$@" </dev/null"#;
