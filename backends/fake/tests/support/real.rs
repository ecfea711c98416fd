//! Real servers: own ports, own directories, gone when dropped.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    Ask, Subject, Told, Watching,
    raw::{Connection, RawWatch},
};

/// The binaries to test against: `ETCD_BIN_3_4`, `ETCD_BIN_3_5`, or `ETCD_BIN` for one of them.
///
/// # Panics
/// When none is named: a test that cannot run says so.
pub fn binaries() -> Vec<PathBuf> {
    let names = ["ETCD_BIN_3_4", "ETCD_BIN_3_5", "ETCD_BIN"];
    let found = names.iter().filter_map(std::env::var_os);
    let found: Vec<PathBuf> = found
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect();
    assert!(
        !found.is_empty(),
        "no etcd to compare with: set ETCD_BIN_3_4 and ETCD_BIN_3_5 (or ETCD_BIN) to the etcd programs, \
         as in ETCD_BIN_3_4=/usr/bin/etcd cargo test -p etcd-fake; get-etcd-3.5 fetches a 3.5"
    );
    for path in &found {
        assert!(path.is_file(), "{} is not an etcd program", path.display());
    }
    found
}

/// Runs a program for as long as its own standard input is open, and removes a directory (`$0`) then: a test that is
/// killed leaves nothing behind.
pub const GUARDED: &str =
    r#""$@" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid 2>/dev/null; rm -rf "$0""#;

/// One running server of one member.
pub struct Real {
    /// The guard, not the server itself.
    process: Child,
    pub client_url: String,
    pub peer_url: String,
    pub version: String,
    connection: Connection,
}

impl Real {
    pub fn start(binary: &Path) -> Self {
        Self::start_with(binary, &["--enable-v2"])
    }

    pub fn start_with(binary: &Path, flags: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let shm = Path::new("/dev/shm");
        let base = if shm.is_dir() {
            shm.to_owned()
        } else {
            std::env::temp_dir()
        };
        let dir = base.join(format!("etcd-fake-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let (client_url, peer_url) = (free_url(), free_url());
        let process = Command::new("sh")
            .args(["-c", GUARDED])
            .arg(&dir)
            .arg(binary)
            .args(["--name", "default"])
            // A lonely member need not wait long for its own vote.
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .args(["--snapshot-count", "10000000"])
            .arg("--data-dir")
            .arg(&dir)
            .args(["--listen-client-urls", &client_url])
            .args(["--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url])
            .args(["--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let connection = Connection::new(client_url.trim_start_matches("http://"));
        let mut real = Self {
            process,
            client_url,
            peer_url,
            version: String::new(),
            connection,
        };
        real.wait_until_ready();
        real
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(told) = self.connection.try_ask(&Ask::new("GET", "/version")) {
                let version = told.json()["etcdcluster"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                if version.starts_with('3') {
                    self.version = version;
                    // The cluster's version is the last thing that a new server writes; let it be applied.
                    thread::sleep(Duration::from_millis(50));
                    return;
                }
            }
            assert!(Instant::now() < deadline, "etcd does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // The guard ends the server and removes its data.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Subject for Real {
    fn ask(&mut self, ask: &Ask) -> Told {
        self.connection.ask(ask)
    }

    fn watch(&mut self, ask: &Ask) -> (Told, Box<dyn Watching>) {
        let (told, watch) = RawWatch::open(self.connection.address(), ask);
        (told, Box::new(watch))
    }

    fn pass(&mut self, duration: Duration) {
        thread::sleep(duration);
    }

    fn name(&self) -> String {
        format!("etcd {}", self.version)
    }

    fn is_3_4(&self) -> bool {
        self.version.starts_with("3.4")
    }
}

fn free_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
