//! A shell that ends etcd and removes its data if this process dies.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A shell that reads from a pipe whose other end only this process holds.
///
/// When this process dies, by whatever signal, the system closes its end. The shell's `read` fails; it kills the
/// process that it was given and removes the directory. (Linux's parent-death signal is not enough: it follows the
/// *thread* that started the child, and a test's threads exit before the test process does.)
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    watches: bool,
}

impl Watchdog {
    /// Starts a watchdog that watches no process yet. If this process dies it removes `directory`. Its output goes to
    /// `log`.
    pub(crate) fn new(directory: Option<&Path>, log: &File) -> io::Result<Self> {
        let shell = shell(SCRIPT, log)?
            .arg(directory.unwrap_or(Path::new("")))
            .spawn()?;
        Ok(Self {
            shell,
            watches: false,
        })
    }

    /// Sets the process to kill if this process dies, in place of the previous one.
    pub(crate) fn watch(&mut self, pid: Option<u32>) -> io::Result<()> {
        self.send(&pid.map(|pid| pid.to_string()).unwrap_or_default())?;
        self.watches = pid.is_some();
        Ok(())
    }

    fn send(&mut self, line: &str) -> io::Result<()> {
        let pipe = self
            .shell
            .stdin
            .as_mut()
            .ok_or_else(|| io::Error::other("the pipe to the watchdog is closed"))?;
        writeln!(pipe, "{line}")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if !self.watches {
            // An error means that the shell has exited already.
            let _ = self.send("done");
        }
        // Otherwise closing the pipe makes it kill the process that could not be ended.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A shell that runs `script`, reads from a pipe and writes to `log`. It has its own process group, so that Ctrl-C and
/// signals to a whole job do not reach it.
pub(crate) fn shell(script: &str, log: &File) -> io::Result<Command> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "etcd-server"]).process_group(0);
    command
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?);
    Ok(command)
}

/// Each line of input is the id of the process to watch, empty for none, or `done`.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
pid=
while read -r line; do
  [ "$line" != done ] || exit 0
  pid=$line
done
[ -z "$pid" ] || kill -KILL "$pid"
[ -z "$1" ] || rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;
