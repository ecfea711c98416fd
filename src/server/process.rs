//! A child process that never outlives us.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::watchdog::{Watchdog, shell};

/// What to run.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) envs: Vec<(OsString, OsString)>,
}

/// A program we started. It is killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts the program with its output going to `log`.
    pub(super) fn spawn(launch: &Launch, log: &File, watchdog: &mut Watchdog) -> io::Result<Self> {
        let mut gate = shell(GATE, log)?;
        gate.arg(&launch.program).args(&launch.args);
        without_settings(&mut gate).envs(launch.envs.iter().map(|(name, value)| (name, value)));
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

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the program ended; `None` while it runs or is paused.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Sends a signal; answers whether there was still a process to send it to.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<bool> {
        // Until `ended` has collected it, the id is that of our child and of nobody else.
        if self.ended().is_some() {
            return Ok(false);
        }
        kill_process(self.id()?, signal)?;
        Ok(true)
    }

    /// Halts the program; answers whether there was one to halt. On a busy machine its threads run on for a moment after
    /// the signal: returns when they have stopped.
    pub(super) fn pause(&mut self) -> io::Result<bool> {
        if !self.signal(Signal::STOP)? {
            return Ok(false);
        }
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(self.id()?), stopped)?.is_none() {
            if self.ended().is_some() {
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

    /// Asks the program to end, and ends it if it has not done so after `grace`.
    pub(super) fn stop(&mut self, grace: Duration) -> io::Result<()> {
        // A paused process would take note of SIGTERM only when it goes on.
        if self.signal(Signal::TERM)? && self.signal(Signal::CONT)? {
            let deadline = Instant::now() + grace;
            while self.ended().is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.kill()
    }

    /// Ends the program at once.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        if self.signal(Signal::KILL)? {
            self.status = Some(self.child.wait()?);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Were it refused, the watchdog would still see to it.
        let _ = self.kill();
    }
}

/// Keeps our `ETCD_…` variables from a program: each configures etcd, and whoever set one did not mean it for this one.
pub(super) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os().filter(|(name, _)| is_etcd_setting(name)) {
        command.env_remove(name);
    }
    command
}

fn is_etcd_setting(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"ETCD_")
}

/// The program waits here until the watchdog knows of it: there is no moment at which our death would set it free.
const GATE: &str = r#"read -r go && exec "$@" </dev/null"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_etcd_are_told_from_others() {
        assert!(is_etcd_setting(OsStr::new("ETCD_NAME")));
        assert!(
            !is_etcd_setting(OsStr::new("ETCDCTL_API")) && !is_etcd_setting(OsStr::new("PATH"))
        );
    }
}
