//! Proxies between a client and etcd: [`Nginx`], [`Haproxy`], [`Nghttpx`], each a process with a port of its own.
//!
//! A test that needs one fails where it is not installed. `.ci/test` installs all three.

mod documented;
mod haproxy;
mod nghttpx;
mod nginx;
mod process;

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use tempfile::TempDir;

use self::process::Process;
pub use self::{
    documented::documented,
    haproxy::Haproxy,
    nghttpx::Nghttpx,
    nginx::{Nginx, Page},
};

/// A running proxy. Dropping it ends it, and shows its logs if the test is failing.
#[derive(Debug)]
pub struct Proxy {
    kind: Kind,
    https: bool,
    port: u16,
    /// Its configuration, its logs and the files that it asks for.
    directory: TempDir,
    process: Mutex<Option<Process>>,
}

/// A program, and what to install to have it.
#[derive(Clone, Copy, Debug)]
struct Kind {
    program: &'static str,
    package: &'static str,
}

impl Proxy {
    /// Starts a program with the arguments that `configure` returns for a directory and a port.
    fn start(kind: Kind, https: bool, configure: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        let directory = TempDir::new().unwrap();
        for attempt in 1.. {
            let port = free_port();
            let args = configure(directory.path(), port);
            fs::write(directory.path().join(ARGUMENTS), args.join("\n")).unwrap();
            match Process::start(kind, directory.path(), port) {
                Ok(process) => {
                    return Self {
                        kind,
                        https,
                        port,
                        directory,
                        process: Mutex::new(Some(process)),
                    };
                }
                // Another program may have taken the port.
                Err(error) if attempt == ATTEMPTS => {
                    panic!("{error}\n{}", logs(directory.path()))
                }
                Err(_) => {}
            }
        }
        unreachable!("the last attempt returns or panics")
    }

    /// Where clients reach it, such as `http://127.0.0.1:7001`.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Kills it: its connections break off, and its port refuses others.
    pub fn kill(&self) {
        self.process.lock().unwrap().take();
    }

    /// Kills it and starts it again, with the same port. All connections break off.
    pub fn restart(&self) {
        let mut process = self.process.lock().unwrap();
        process.take();
        let started = Process::start(self.kind, self.directory.path(), self.port);
        *process = Some(started.unwrap_or_else(|error| panic!("{error}\n{}", self.logs())));
    }

    /// What it has logged: errors, and a line for each request that is over.
    pub fn logs(&self) -> String {
        logs(self.directory.path())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}:\n{}", self.kind.program, self.logs());
        }
    }
}

/// The last lines of each log.
fn logs(directory: &Path) -> String {
    let mut text = String::new();
    for name in LOGS {
        let log = fs::read_to_string(directory.join(name)).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
            writeln!(text, "{name}: {line}").expect("a string takes all");
        }
    }
    text
}

/// The path of a program; panics where it is not installed.
fn path_of(kind: Kind) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian has servers here, where not everybody looks.
    directories.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = directories
        .iter()
        .map(|directory| directory.join(kind.program))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "this test needs {}: install the package {}, or run .ci/test, which does",
            kind.program, kind.package
        )
    })
}

/// A port below those of `etcd_server` and below those of outgoing connections, so that it is still free at a restart.
fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut ports = (0..1_000).map(|_| fastrand::u16(5_000..10_240));
    ports.find(free).expect("a port is free")
}

/// The host and port of a URL without a path.
fn authority(url: &str) -> &str {
    url.split_once("://")
        .map_or(url, |(_, authority)| authority)
}

/// A file with one argument per line.
const ARGUMENTS: &str = "arguments";

/// What the process writes to its standard output and error, and the log of requests where it has one.
const LOGS: [&str; 2] = [OUTPUT, ACCESS];
const OUTPUT: &str = "output.log";
const ACCESS: &str = "access.log";

const LOG_LINES: usize = 60;
const ATTEMPTS: usize = 3;
