//! What ends an etcd, and clears up after it, when we die before we could.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A shell that reads from a pipe whose other end only we hold.
///
/// When we die, by whatever signal, the system closes our end. The shell's `read` fails; it kills the process it was
/// told of and removes the directory. (The parent-death signal of Linux would not do: it follows the *thread* that
/// started the child, and the threads of a test come and go.)
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    watches: bool,
}

impl Watchdog {
    /// Starts a watchdog that watches nothing yet; if we die it removes `directory`. What it has to say goes to `log`.
    pub(super) fn new(directory: Option<&Path>, log: &File) -> io::Result<Self> {
        let shell = shell(SCRIPT, log)?
            .arg(directory.unwrap_or(Path::new("")))
            .spawn()?;
        Ok(Self {
            shell,
            watches: false,
        })
    }

    /// Names the process to kill if we die, in place of the one named before.
    pub(super) fn watch(&mut self, pid: Option<u32>) -> io::Result<()> {
        self.tell(&pid.map(|pid| pid.to_string()).unwrap_or_default())?;
        self.watches = pid.is_some();
        Ok(())
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        let pipe = self
            .shell
            .stdin
            .as_mut()
            .ok_or_else(|| io::Error::other("the pipe is closed"))?;
        writeln!(pipe, "{line}")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if !self.watches {
            // If it is gone already, so much the better.
            let _ = self.tell("done");
        }
        // Of a process we could not end, the closing pipe tells it.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A shell that runs `script`, reads from us and writes to `log`. It has a process group of its own: Ctrl-C is for us,
/// and so is a signal that ends a whole job.
pub(super) fn shell(script: &str, log: &File) -> io::Result<Command> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "etcd-http"]).process_group(0);
    command
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?);
    Ok(command)
}

/// Each line is the id of the process to watch, empty for none, or says that we are done.
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
