//! The process of a proxy.

use std::{
    fs::{self, File, OpenOptions},
    io,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{ARGUMENTS, Kind, OUTPUT, path_of};

/// A running program, killed when dropped, or when this process ends in any other way.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Kills the program, and removes its directory, when its standard input ends, which is a pipe of this process.
    watchdog: Option<Child>,
}

impl Process {
    /// Starts a program with the arguments in the directory, and waits until it accepts connections.
    pub(super) fn start(kind: Kind, directory: &Path, port: u16) -> Result<Self, String> {
        let arguments = fs::read_to_string(directory.join(ARGUMENTS)).unwrap();
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.join(OUTPUT))
            .unwrap();
        let child = Command::new(path_of(kind))
            .args(arguments.lines())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output.try_clone().unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", kind.program));
        let mut process = Self {
            child,
            watchdog: None,
        };
        process.watchdog = Some(watchdog(process.child.id(), directory, &output).unwrap());
        process.wait_until_it_accepts(kind, port)?;
        Ok(process)
    }

    fn wait_until_it_accepts(&mut self, kind: Kind, port: u16) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("{} exited: {status}", kind.program));
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{} does not accept connections", kind.program))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(mut watchdog) = self.watchdog.take() {
            // Before its standard input ends: the id of the program may belong to another by now.
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
    }
}

fn watchdog(program: u32, directory: &Path, output: &File) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "sh"])
        .arg(program.to_string())
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
}

const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM
read -r end
kill -KILL "$1"
rm -rf -- "$2"
"#;
const START_LIMIT: Duration = Duration::from_secs(10);
